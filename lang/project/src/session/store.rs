//! What was evaluated, by environment and app, and whether it still holds.

use std::collections::HashMap;
use std::sync::Arc;

use ordain_lang_eval as eval;
use ordain_lang_rules::{Exemption, Scope};
use ordain_lang_syntax::{Diagnostic, FileId, Name, Span};

use super::moved::Moved;
use crate::load::Project;
use crate::shared::{self, Outcome};
use crate::whole::{Mover, UnitFacts};

/// An app, or the exports of a file without one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Unit {
    /// Its file's path, which outlives numbers.
    path: String,
    pub(super) file: FileId,
    pub(super) module: usize,
    /// None for exports.
    pub(super) app: Option<Name>,
}

/// The apps and exports of a project, in the order in which a build gives them.
#[derive(Default, Debug)]
pub(super) struct Units {
    pub(super) all: Vec<Unit>,
    numbers: HashMap<(FileId, Option<Name>), usize>,
}

impl Units {
    pub(super) fn of(project: &Project, outlines: &[Arc<super::outline::Outline>]) -> Units {
        let unit = |module: usize, app: Option<Name>| {
            let file = project.modules[module].file;
            Unit {
                path: project.sources.path(file).to_owned(),
                file,
                module,
                app,
            }
        };
        let apps = outlines.iter().enumerate().flat_map(|(at, outline)| {
            let apps = outline.apps.iter();
            apps.map(move |app| unit(at, Some(*app)))
        });
        let exports = outlines
            .iter()
            .enumerate()
            .filter(|(_, outline)| outline.apps.is_empty() && outline.has_exports)
            .map(|(at, _)| unit(at, None));
        let all: Vec<Unit> = apps.chain(exports).collect();
        let numbers = all
            .iter()
            .enumerate()
            .map(|(at, unit)| ((unit.file, unit.app), at))
            .collect();
        Units { all, numbers }
    }

    pub(super) fn number(&self, file: FileId, app: Option<Name>) -> Option<usize> {
        self.numbers.get(&(file, app)).copied()
    }
}

/// What a build needs of an app beside its output.
#[derive(Clone, Default, Debug)]
pub(super) struct Known {
    pub(super) objects: Vec<eval::Object>,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// What the rules over the whole set know of it.
    pub(super) facts: Option<UnitFacts>,
    /// Where the last place ends that it remembers, by file.
    ends: Ends,
}

impl Known {
    pub(super) fn new(
        objects: Vec<eval::Object>,
        diagnostics: Vec<Diagnostic>,
        facts: UnitFacts,
    ) -> Known {
        let mut known = Known {
            objects,
            diagnostics,
            facts: Some(facts),
            ends: Ends::default(),
        };
        known.find_ends();
        known
    }

    /// Whether it remembers a place in a file that ends behind an offset.
    pub(super) fn points_to(&self, file: FileId, behind: u32) -> bool {
        let mut ends = self.ends.0.iter();
        ends.any(|(of, end)| *of == file && *end > behind)
    }

    /// Moves every place that it remembers.
    fn follow(&mut self, mover: &mut impl Mover) {
        for object in &mut self.objects {
            mover.place(&mut object.at);
            mover.place(&mut object.made);
        }
        let found = self.diagnostics.iter_mut();
        for label in found.flat_map(|found| &mut found.labels) {
            mover.place(&mut label.span);
        }
        if let Some(facts) = &mut self.facts {
            facts.follow(mover);
        }
    }

    fn find_ends(&mut self) {
        let mut ends = Ends::default();
        self.follow(&mut ends);
        self.ends = ends;
    }
}

/// Where the last place ends, by file. Few files are remembered: the app's own, what it uses, and environments.
#[derive(Clone, Default, Debug)]
struct Ends(Vec<(FileId, u32)>);

impl Mover for Ends {
    fn place(&mut self, span: &mut Span) {
        match self.0.iter_mut().find(|(file, _)| *file == span.file) {
            Some((_, end)) => *end = span.end.max(*end),
            None => self.0.push((span.file, span.end)),
        }
    }

    fn exemption(&mut self, one: &mut Arc<Exemption>) {
        let mut span = one.span;
        self.place(&mut span);
        if let Scope::App(mut app) = one.scope {
            self.place(&mut app);
        }
    }

    fn copy(&mut self, one: &shared::Copy) {
        one.places().for_each(|mut span| self.place(&mut span));
    }
}

/// Moves what is remembered behind an edit.
struct Following<'m> {
    moved: &'m Moved,
    /// The exemptions that were moved, by what they were.
    exemptions: HashMap<*const Exemption, [Arc<Exemption>; 2]>,
    /// Whether a place is lost.
    is_lost: bool,
}

impl Mover for Following<'_> {
    fn place(&mut self, span: &mut Span) {
        self.is_lost |= !self.moved.apply(span);
    }

    fn exemption(&mut self, one: &mut Arc<Exemption>) {
        let app = match one.scope {
            Scope::App(app) => Some(app),
            Scope::All | Scope::File(_) => None,
        };
        let mut places = app.into_iter().chain([one.span]);
        if !places.any(|place| self.moved.reaches(place)) {
            return;
        }
        if let Some([_, known]) = self.exemptions.get(&Arc::as_ptr(one)) {
            *one = Arc::clone(known);
            return;
        }
        let mut new = Exemption::clone(one);
        self.place(&mut new.span);
        if let Scope::App(app) = &mut new.scope {
            self.place(app);
        }
        let old = std::mem::replace(one, Arc::new(new));
        // The old one is kept, so that its address stays its own.
        let key = Arc::as_ptr(&old);
        self.exemptions.insert(key, [old, Arc::clone(one)]);
    }

    fn copy(&mut self, one: &shared::Copy) {
        self.is_lost |= one.places().any(|place| self.moved.reaches(place));
    }
}

impl Store<Known> {
    /// Lets the places follow an edit. Gives back the units that remember one which is no more, or whose output says where
    /// something stands.
    pub(super) fn follow(&mut self, moved: &Moved) -> Vec<usize> {
        let mut following = Following {
            moved,
            exemptions: HashMap::new(),
            is_lost: false,
        };
        let mut lost = Vec::new();
        self.each(|unit, known| {
            if !moved.reaches_any(|file, behind| known.points_to(file, behind)) {
                return;
            }
            following.is_lost = known.objects.iter().any(|one| moved.reaches(one.at));
            known.follow(&mut following);
            known.find_ends();
            if following.is_lost {
                lost.push(unit);
            }
        });
        lost
    }
}

/// Values by environment and unit.
#[derive(Debug)]
pub(super) struct Store<T> {
    envs: HashMap<String, Vec<Option<Slot<T>>>>,
}

#[derive(Debug)]
struct Slot<T> {
    value: Arc<T>,
    is_current: bool,
    /// The value without these objects, which others of the set have.
    less: Option<(Vec<usize>, Arc<T>)>,
}

impl<T> Default for Store<T> {
    fn default() -> Self {
        Store {
            envs: HashMap::new(),
        }
    }
}

impl<T> Store<T> {
    /// The values of an environment that hold, by unit.
    pub(super) fn of<'s>(
        &'s self,
        env: &str,
    ) -> impl Fn(usize) -> Option<&'s Arc<T>> + Copy + use<'s, T> {
        let slots = self.envs.get(env).map_or(&[][..], Vec::as_slice);
        move |unit| {
            let slot = slots.get(unit)?.as_ref();
            slot.filter(|slot| slot.is_current).map(|slot| &slot.value)
        }
    }

    /// The last value of a unit, whether it holds or not.
    pub(super) fn last(&self, env: &str, unit: usize) -> Option<&T> {
        let slot = self.envs.get(env)?.get(unit)?.as_ref();
        slot.map(|slot| &*slot.value)
    }

    /// Gives each value to `each`, with its unit, whether it holds or not.
    pub(super) fn each(&mut self, mut each: impl FnMut(usize, &mut T))
    where
        T: Clone,
    {
        for slots in self.envs.values_mut() {
            for (unit, slot) in slots.iter_mut().enumerate() {
                if let Some(slot) = slot {
                    each(unit, Arc::make_mut(&mut slot.value));
                }
            }
        }
    }

    /// Takes in a value. Returns whether it differs from the one before; when it does not, that one stays.
    pub(super) fn put(&mut self, env: &str, unit: usize, value: T) -> bool
    where
        T: PartialEq,
    {
        if let Some(slots) = self.envs.get_mut(env)
            && let Some(Some(slot)) = slots.get_mut(unit)
            && *slot.value == value
        {
            slot.is_current = true;
            return false;
        }
        self.set(env, unit, value);
        true
    }

    /// Takes in a value that is never compared.
    pub(super) fn set(&mut self, env: &str, unit: usize, value: T) {
        if !self.envs.contains_key(env) {
            self.envs.insert(env.to_owned(), Vec::new());
        }
        let slots = self.envs.get_mut(env).expect("made above");
        if slots.len() <= unit {
            slots.resize_with(unit + 1, || None);
        }
        slots[unit] = Some(Slot {
            value: Arc::new(value),
            is_current: true,
            less: None,
        });
    }

    /// The value of a unit that holds, without objects that others of the set have. Comes with whether it is left without
    /// others than before; what does not change is the same allocation.
    pub(super) fn without(
        &mut self,
        env: &str,
        unit: usize,
        left_out: &[usize],
    ) -> Option<(Arc<T>, bool)>
    where
        T: Clone + Outcome,
    {
        let slot = self.envs.get_mut(env)?.get_mut(unit)?.as_mut()?;
        if !slot.is_current {
            return None;
        }
        if left_out.is_empty() {
            let was_less = slot.less.take().is_some();
            return Some((Arc::clone(&slot.value), was_less));
        }
        if let Some((own, less)) = &slot.less
            && own == left_out
        {
            return Some((Arc::clone(less), false));
        }
        let mut less = T::clone(&slot.value);
        less.leave_out(left_out);
        let less = Arc::new(less);
        slot.less = Some((left_out.to_vec(), Arc::clone(&less)));
        Some((less, true))
    }

    /// Nothing of a unit holds any more.
    pub(super) fn outdate(&mut self, unit: usize) {
        for slots in self.envs.values_mut() {
            if let Some(Some(slot)) = slots.get_mut(unit) {
                slot.is_current = false;
            }
        }
    }

    /// Gives units their new numbers; nothing holds any more.
    pub(super) fn renumber(&mut self, numbers: &[Option<usize>]) {
        for slots in self.envs.values_mut() {
            let mut moved = Vec::new();
            for (slot, number) in std::mem::take(slots).into_iter().zip(numbers) {
                let (Some(mut slot), Some(number)) = (slot, *number) else {
                    continue;
                };
                if moved.len() <= number {
                    moved.resize_with(number + 1, || None);
                }
                slot.is_current = false;
                moved[number] = Some(slot);
            }
            *slots = moved;
        }
    }

    /// The units of which any value is remembered.
    pub(super) fn find(&self, wanted: impl Fn(&T) -> bool) -> Vec<usize> {
        let mut found: Vec<usize> = self
            .envs
            .values()
            .flat_map(|slots| slots.iter().enumerate())
            .filter_map(|(at, slot)| {
                let slot = slot.as_ref()?;
                (slot.is_current && wanted(&slot.value)).then_some(at)
            })
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The new numbers of units, by their old ones.
pub(super) fn renumbering(old: &Units, new: &Units) -> Vec<Option<usize>> {
    let by_path: HashMap<(&str, Option<Name>), usize> = new
        .all
        .iter()
        .enumerate()
        .map(|(at, unit)| ((&*unit.path, unit.app), at))
        .collect();
    old.all
        .iter()
        .map(|unit| by_path.get(&(&*unit.path, unit.app)).copied())
        .collect()
}
