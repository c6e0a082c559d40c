//! The objects of a session, kept per environment and app, and evaluated again where something changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use ordain_lang_eval as eval;
use ordain_lang_syntax::{Diagnostic, FileId, Sources};
use ordain_lang_types::Program;
use ordain_schemas::KubeVersion;

use super::SessionBuild;
use super::graph::Set;
use super::statics::{Programs, Statics};
use super::store::{Known, Store, Units};
use crate::build::{App, AppText, BuildOptions, add, as_app, as_text, wanted};
use crate::check::{Environment, of_versions, sort};
use crate::load::Project;
use crate::whole::{self, InForce, UnitFacts, Whole};

/// See the module.
#[derive(Default)]
pub(super) struct Built {
    pub(super) units: Units,
    known: Store<Known>,
    apps: Store<App>,
    yaml: Store<AppText>,
    json: Store<AppText>,
    /// The programs that units are evaluated from, where that is not the whole.
    sources: Vec<Option<Arc<Programs>>>,
}

/// A form that apps are wanted in.
pub(super) trait Form: PartialEq + Send + Sized {
    /// What chooses among forms of one type.
    type Choice: Copy + Sync;

    /// Where a session keeps them.
    fn store(built: &mut Built, choice: Self::Choice) -> &mut Store<Self>;

    /// Makes it of an evaluated app.
    fn make(
        env: Option<&Environment>,
        app: &mut eval::App<'_, '_>,
        sources: &Sources,
        choice: Self::Choice,
    ) -> Self;
}

impl Form for App {
    type Choice = ();

    fn store(built: &mut Built, (): ()) -> &mut Store<App> {
        &mut built.apps
    }

    fn make(
        env: Option<&Environment>,
        app: &mut eval::App<'_, '_>,
        sources: &Sources,
        (): (),
    ) -> App {
        as_app(env, app, sources)
    }
}

impl Form for AppText {
    type Choice = crate::Format;

    fn store(built: &mut Built, format: crate::Format) -> &mut Store<AppText> {
        match format {
            crate::Format::Yaml => &mut built.yaml,
            crate::Format::Json => &mut built.json,
        }
    }

    fn make(
        env: Option<&Environment>,
        app: &mut eval::App<'_, '_>,
        _: &Sources,
        format: crate::Format,
    ) -> AppText {
        as_text(env, app, format)
    }
}

impl Built {
    /// The whole was checked anew: everything is evaluated from it.
    pub(super) fn take_whole(&mut self) {
        self.sources.clear();
    }

    /// A slice was checked: these units are evaluated from it.
    pub(super) fn take_slice(&mut self, units: &Set, programs: &Arc<Programs>) {
        self.sources.resize(self.units.all.len(), None);
        for unit in units {
            self.sources[*unit] = Some(Arc::clone(programs));
        }
    }

    /// The project has other units, and nothing that was evaluated holds.
    pub(super) fn renumber(&mut self, units: Units) {
        let numbers = super::store::renumbering(&self.units, &units);
        self.known.renumber(&numbers);
        self.apps.renumber(&numbers);
        self.yaml.renumber(&numbers);
        self.json.renumber(&numbers);
        self.units = units;
        self.sources.clear();
    }

    /// What these units depend on changed.
    pub(super) fn outdate(&mut self, units: impl IntoIterator<Item = usize>) {
        for unit in units {
            self.known.outdate(unit);
            self.apps.outdate(unit);
            self.yaml.outdate(unit);
            self.json.outdate(unit);
        }
    }

    /// The units that remember a place in a file.
    pub(super) fn pointing_to(&self, file: FileId) -> Vec<usize> {
        self.known.find(|known| known.points_to(file))
    }

    /// Brings the wanted apps up to date, as [`crate::build::run`] does from scratch.
    pub(super) fn build<T: Form>(
        &mut self,
        project: &Project,
        statics: &mut Statics,
        options: &BuildOptions,
        choice: T::Choice,
    ) -> SessionBuild<T> {
        let environments = project.environments();
        let mut diagnostics = project.loading_diagnostics(&environments);
        let wanted = wanted(&environments, options).unwrap_or_else(|diagnostic| {
            diagnostics.push(*diagnostic);
            Vec::new()
        });
        let mut versions: Vec<KubeVersion> = Vec::new();
        match environments.is_empty() {
            true => versions.push(project.manifest.kubernetes),
            false => versions.extend(environments.iter().map(|env| env.kubernetes)),
        }
        let mut seen: Vec<KubeVersion> = Vec::new();
        for version in versions {
            if !seen.contains(&version) {
                seen.push(version);
            }
        }
        let found = seen
            .into_iter()
            .map(|version| (version, statics.found(project, version)))
            .collect();
        add(&mut diagnostics, of_versions(found, &environments));
        let mut apps = Vec::new();
        let mut changed = Vec::new();
        let mut whole = Whole::new(wanted.iter().copied());
        if !diagnostics.iter().any(Diagnostic::is_error) {
            for env in wanted {
                let version = env.map_or(project.manifest.kubernetes, |env| env.kubernetes);
                let mut one = Batch {
                    built: self,
                    project,
                    statics,
                    env,
                    version,
                };
                let (fresh, found) = one.run::<T>(choice, &mut whole);
                let name = key(env);
                let count = self.units.all.len();
                let current = T::store(self, choice).of(name);
                for unit in 0..count {
                    if let Some(app) = current(unit) {
                        if fresh.contains(&unit) {
                            changed.push(apps.len());
                        }
                        apps.push(Arc::clone(app));
                    }
                }
                add(&mut diagnostics, found);
            }
            let is_all = options.env.is_none() && options.cluster.is_none();
            if is_all && !diagnostics.iter().any(Diagnostic::is_error) {
                add(&mut diagnostics, whole.needless());
            }
        }
        if diagnostics.iter().any(Diagnostic::is_error) {
            apps.clear();
            changed.clear();
        }
        sort(&mut diagnostics);
        SessionBuild {
            apps,
            changed,
            diagnostics: diagnostics.into(),
        }
    }
}

fn key(env: Option<&Environment>) -> &str {
    env.map_or("", |env| &env.name)
}

/// The evaluation of what is outdated in one environment.
struct Batch<'b> {
    built: &'b mut Built,
    project: &'b Project,
    statics: &'b mut Statics,
    env: Option<&'b Environment>,
    version: KubeVersion,
}

/// What came out of a part of a batch.
type Pieces<T> = Vec<eval::Piece<(T, UnitFacts)>>;

impl Batch<'_> {
    /// Evaluates, and returns which units have another output than before, and all that was found in the environment.
    fn run<T: Form>(&mut self, choice: T::Choice, whole: &mut Whole) -> (Set, Vec<Diagnostic>) {
        let name = key(self.env);
        let mut slices: Vec<(Arc<Programs>, Set)> = Vec::new();
        let mut from_whole = Set::new();
        let count = self.built.units.all.len();
        let mut outdated: Vec<usize> = Vec::new();
        let current = T::store(self.built, choice).of(name);
        outdated.extend((0..count).filter(|unit| current(*unit).is_none()));
        let current = self.built.known.of(name);
        outdated.extend((0..count).filter(|unit| current(*unit).is_none()));
        for unit in outdated {
            match self.built.sources.get(unit).and_then(Option::as_ref) {
                None => {
                    from_whole.insert(unit);
                }
                Some(programs) => match slices.iter_mut().find(|(p, _)| Arc::ptr_eq(p, programs)) {
                    Some((_, units)) => {
                        units.insert(unit);
                    }
                    None => slices.push((Arc::clone(programs), Set::from([unit]))),
                },
            }
        }
        let mut more = eval::More::default();
        let mut pieces: BTreeMap<usize, eval::Piece<(T, UnitFacts)>> = BTreeMap::new();
        let has_policies = (self.statics.graph.outlines.iter())
            .any(|outline| outline.suites.iter().any(|suite| suite.is_policy));
        if has_policies {
            // A policy looks at the values of all apps at once.
            slices.clear();
            from_whole = (0..self.built.units.all.len()).collect();
        }
        if !from_whole.is_empty() || has_policies {
            let whole = self.statics.whole(self.project);
            slices.push((whole, from_whole));
        }
        for (programs, units) in slices {
            let Some(program) = programs.get(&self.version) else {
                continue;
            };
            let (found, denied) = self.evaluate::<T>(program, &units, choice);
            more.diagnostics.extend(denied.diagnostics);
            more.exempted.extend(denied.exempted);
            for piece in found {
                if let Some(unit) = self.built.units.number(piece.file, piece.app) {
                    pieces.insert(unit, piece);
                }
            }
        }
        let none = Known::default();
        let current = self.built.known.of(name);
        let found = (0..count).map(|unit| {
            if let Some(piece) = pieces.get(&unit) {
                return (&*piece.diagnostics, &*piece.objects);
            }
            let known = current(unit).map_or(&none, |known| &**known);
            (&*known.diagnostics, &*known.objects)
        });
        let env_name = self.env.map(|env| ordain_lang_syntax::Name::new(&env.name));
        let mut diagnostics = eval::gather(found, more.diagnostics, env_name);
        let mut fresh = Set::new();
        // Apps share constants: where one failed, others may have failed silently. Nothing of it is kept.
        if pieces.values().all(eval::Piece::is_sound) {
            for (unit, piece) in pieces {
                let (result, facts) = piece.result;
                let known = Known {
                    objects: piece.objects,
                    diagnostics: piece.diagnostics,
                    facts: Some(facts),
                };
                if self.built.known.of(name)(unit).is_none() {
                    // Another form of an outdated app is outdated as well.
                    self.built.known.set(name, unit, known);
                }
                if T::store(self.built, choice).put(name, unit, result) {
                    fresh.insert(unit);
                }
            }
        }
        let current = self.built.known.of(name);
        let known = (0..count).map(current);
        // Half a set breaks rules that the whole one keeps.
        let facts: Option<Vec<&UnitFacts>> = known.map(|known| known?.facts.as_ref()).collect();
        if let Some(facts) = facts {
            let facts = facts.iter().copied();
            let found = whole.check(self.version, self.env, facts.clone(), &more.exempted);
            add(&mut diagnostics, found);
            if let Some(env) = self.env {
                add(&mut diagnostics, whole.clashes(env, facts));
            }
        }
        (fresh, diagnostics)
    }

    fn evaluate<T: Form>(
        &self,
        program: &Program,
        units: &Set,
        choice: T::Choice,
    ) -> (Pieces<T>, eval::More) {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let options = eval::Options {
            env: self.env.and_then(|env| program.env(&env.name)),
            threads,
        };
        let wanted = |file, app| {
            let unit = self.built.units.number(file, app);
            unit.is_some_and(|unit| units.contains(&unit))
        };
        let sources = &self.project.sources;
        let in_force = InForce::of(program, self.env);
        eval::evaluate_pieces(program, options, wanted, |app| {
            let facts = whole::facts(app, &in_force);
            (T::make(self.env, app, sources, choice), facts)
        })
    }
}
