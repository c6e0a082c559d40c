//! The objects of a session, kept per environment and app, and evaluated again where something changed.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use ordain_lang_eval as eval;
use ordain_lang_syntax::{Diagnostic, FileId, Sources, Span};
use ordain_lang_types::Program;
use ordain_schemas::KubeVersion;

use super::SessionBuild;
use super::graph::Set;
use super::moved::Moved;
use super::statics::{Programs, Statics};
use super::store::{Known, Store, Units};
use crate::build::{App, AppText, BuildOptions, add, as_app, as_text, wanted};
use crate::check::{Environment, sort};
use crate::in_force::InForce;
use crate::load::Project;
use crate::nearby::Near;
use crate::shared::{Outcome, SharedNames, Sharing};
use crate::versions::of_versions;
use crate::whole::{self, Judged, UnitFacts, Whole};

/// With fewer apps, starting threads for the rules costs more than it saves.
const MANY_UNITS: usize = 100;

/// With more changed apps, the rules are applied to everything at once.
const FEW_UNITS: usize = 20;

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
    /// Environments whose objects broke no rule over the set and needed every exemption. Changes that are nothing to the
    /// rules leave it so.
    quiet: BTreeSet<String>,
    /// The names of objects that others may declare as well: what is known of units was read with these.
    shared: SharedNames,
    /// How many apps were evaluated so far.
    pub(super) evaluated: usize,
}

/// A form that apps are wanted in.
pub(super) trait Form: Clone + Outcome + PartialEq + Send + Sized {
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

    /// Something changed that is everybody's: an environment, or the files of the project.
    pub(super) fn take_settings(&mut self) {
        self.quiet.clear();
    }

    /// A slice was checked: these units are evaluated from it.
    pub(super) fn take_slice(&mut self, units: &Set, programs: &Arc<Programs>) {
        self.sources.resize(self.units.all.len(), None);
        for unit in units {
            self.sources[*unit] = Some(Arc::clone(programs));
        }
    }

    /// A file was edited in a way that other units than the outdated ones only see as another place.
    pub(super) fn take_moved(&mut self, moved: &Moved) {
        let lost = self.known.follow(moved);
        self.outdate(lost);
        if !moved.is_still() {
            // Programs remember places as well.
            self.sources.clear();
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
        self.take_whole();
        self.take_settings();
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

    /// The units that remember a place in a file which ends behind an offset.
    pub(super) fn pointing_to(&self, file: FileId, behind: u32) -> Vec<usize> {
        self.known.find(|known| known.points_to(file, behind))
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
        let named = options.env.as_deref();
        let found = of_versions(project, found, &environments, named);
        add(&mut diagnostics, found);
        let (mut apps, mut changed) = (Vec::new(), Vec::new());
        let shared = SharedNames::of(project);
        if shared != self.shared {
            self.shared = shared;
            self.outdate(0..self.units.all.len());
            self.take_settings();
        }
        if !diagnostics.iter().any(Diagnostic::is_error) {
            let mut rounds = Vec::new();
            for env in &wanted {
                let mut batch = Batch {
                    built: self,
                    project,
                    statics,
                    env: *env,
                    version: env.map_or(project.manifest.kubernetes, |env| env.kubernetes),
                };
                rounds.push(batch.run::<T>(choice));
            }
            let mut whole = Whole::new(wanted.iter().copied());
            let rounds: Vec<(Round, Sharing)> = (wanted.iter().zip(rounds))
                .map(|(env, round)| {
                    let sharing = self.sharing(*env, &round.strays);
                    (round, sharing)
                })
                .collect();
            let is_quiet = !whole.has_shared()
                && wanted.iter().all(|env| self.quiet.contains(key(*env)))
                && (wanted.iter().zip(&rounds))
                    .all(|(env, (round, sharing))| self.stays_quiet(project, *env, round, sharing));
            let mut judged = match is_quiet {
                true => Vec::new(),
                false => self.judge(project, &wanted, &rounds),
            }
            .into_iter();
            for (env, (round, sharing)) in wanted.iter().zip(rounds) {
                let name = key(*env);
                let count = self.units.all.len();
                let store = T::store(self, choice);
                for unit in 0..count {
                    let left_out = sharing.left_out(unit);
                    if let Some((app, is_other)) = store.without(name, unit, left_out) {
                        if is_other || round.fresh.contains(&unit) {
                            changed.push(apps.len());
                        }
                        apps.push(app);
                    }
                }
                add(&mut diagnostics, round.found);
                if let Some(judged) = judged.next() {
                    let found = self.take_judged(*env, judged, &round.exempted, &mut whole);
                    add(&mut diagnostics, found);
                }
            }
            let is_all = options.env.is_none() && options.cluster.is_none();
            if is_all && !is_quiet && !diagnostics.iter().any(Diagnostic::is_error) {
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

/// What is wrong with all objects of an environment together.
struct SetFound {
    duplicates: Vec<Diagnostic>,
    /// None where objects are missing: half a set breaks rules that the whole one keeps.
    judged: Option<Judged>,
}

impl Built {
    /// Applies the rules over all objects of each environment, side by side.
    fn judge(
        &self,
        project: &Project,
        wanted: &[Option<&Environment>],
        rounds: &[(Round, Sharing)],
    ) -> Vec<SetFound> {
        let one = |(env, (round, sharing)): (&Option<&Environment>, &(Round, Sharing))| {
            let env = *env;
            let version = env.map_or(project.manifest.kubernetes, |env| env.kubernetes);
            self.judge_one(env, version, &round.strays, sharing)
        };
        let sets = wanted.iter().zip(rounds);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        if threads < 2 || wanted.len() < 2 || self.units.all.len() < MANY_UNITS {
            return sets.map(one).collect();
        }
        let sets: Vec<_> = sets.collect();
        std::thread::scope(|scope| {
            // With more environments than processors, each thread takes several.
            let parts = sets.chunks(sets.len().div_ceil(threads));
            let started: Vec<_> = parts
                .map(|part| scope.spawn(move || part.iter().copied().map(one).collect::<Vec<_>>()))
                .collect();
            let joined = started.into_iter().map(|thread| {
                let done = thread.join();
                done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            joined.flatten().collect()
        })
    }

    /// Whether an environment whose objects broke no rule is still like that, as far as a look at what changed can tell.
    fn stays_quiet(
        &self,
        project: &Project,
        env: Option<&Environment>,
        round: &Round,
        sharing: &Sharing,
    ) -> bool {
        let Some(unlike) = &round.unlike else {
            return false;
        };
        if unlike.is_empty() {
            return true;
        }
        let Some(facts) = self.facts(env).filter(|_| unlike.len() <= FEW_UNITS) else {
            return false;
        };
        let near = Near {
            kubernetes: env.map_or(project.manifest.kubernetes, |env| env.kubernetes),
            env,
            now: &facts,
            sharing,
            before: unlike,
        };
        near.stays_quiet() && self.are_single(env, unlike.iter().map(|(unit, _)| *unit))
    }

    /// Whether no other object is called as one of these units is.
    fn are_single(
        &self,
        env: Option<&Environment>,
        units: impl Iterator<Item = usize> + Clone,
    ) -> bool {
        let known = self.known.of(key(env));
        // What others may declare as well is another question.
        let is_copy = |known: &Known, at: usize| {
            let copies = known.facts.as_ref().map_or(&[][..], UnitFacts::copies);
            copies.iter().any(|copy| copy.at == at)
        };
        let objects = |unit: usize| {
            known(unit).into_iter().flat_map(move |known| {
                let objects = known.objects.iter().enumerate();
                let single = objects.filter(move |(at, _)| !is_copy(known, *at));
                single.map(|(_, object)| object)
            })
        };
        let mut identities = HashSet::new();
        let names: HashSet<&str> = units.clone().flat_map(objects).map(|o| &*o.name).collect();
        let named = (0..self.units.all.len()).flat_map(objects);
        named
            .filter(|object| !object.name.is_empty() && names.contains(&*object.name))
            .all(|object| identities.insert(object.identity()))
    }

    /// `strays` are objects of apps that are not kept.
    fn judge_one(
        &self,
        env: Option<&Environment>,
        version: KubeVersion,
        strays: &Strays,
        sharing: &Sharing,
    ) -> SetFound {
        let known = self.known.of(key(env));
        let count = self.units.all.len();
        let objects = (0..count).flat_map(|unit| {
            let objects = match (strays.get(&unit), known(unit)) {
                (Some((objects, _)), _) => &**objects,
                (None, Some(known)) => &*known.objects,
                (None, None) => &[],
            };
            let objects = objects.iter().enumerate();
            objects.map(move |(at, object)| (unit, at, object))
        });
        let duplicates = sharing.duplicates(objects, env.map(|env| &*env.name));
        let judged = self.facts(env).map(|facts| {
            let facts = facts.iter().copied();
            Judged::of(version, env, facts, sharing)
        });
        SetFound { duplicates, judged }
    }

    /// What becomes of objects that several units declare.
    fn sharing(&self, env: Option<&Environment>, strays: &Strays) -> Sharing {
        if self.shared.is_empty() {
            return Sharing::default();
        }
        let known = self.known.of(key(env));
        let units = (0..self.units.all.len()).filter_map(|unit| {
            let facts = match strays.get(&unit) {
                Some((_, facts)) => facts,
                None => known(unit)?.facts.as_ref()?,
            };
            Some((unit, facts))
        });
        Sharing::of(env.map(|env| &*env.name), units)
    }

    /// The facts of all units in an environment; none where one is missing.
    fn facts(&self, env: Option<&Environment>) -> Option<Vec<&UnitFacts>> {
        let known = self.known.of(key(env));
        (0..self.units.all.len())
            .map(|unit| known(unit)?.facts.as_ref())
            .collect()
    }

    /// Takes note of what is wrong with an environment's objects, and tells it.
    fn take_judged(
        &mut self,
        env: Option<&Environment>,
        set: SetFound,
        exempted: &[Span],
        whole: &mut Whole,
    ) -> Vec<Diagnostic> {
        let mut found = set.duplicates;
        let mut is_quiet = found.is_empty() && exempted.is_empty();
        if let Some(judged) = set.judged {
            is_quiet &= judged.is_quiet();
            add(&mut found, whole.take(judged, exempted));
            let facts = env
                .filter(|_| whole.has_shared())
                .and_then(|env| Some((env, self.facts(Some(env))?)));
            if let Some((env, facts)) = facts {
                add(&mut found, whole.clashes(env, facts.into_iter()));
            }
        } else {
            is_quiet = false;
        }
        let name = key(env);
        match is_quiet {
            true => self.quiet.insert(name.to_owned()),
            false => self.quiet.remove(name),
        };
        found
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

/// Objects of what is not kept, and their facts, by unit.
type Strays = BTreeMap<usize, (Vec<eval::Object>, UnitFacts)>;

/// What came out of a batch.
struct Round {
    /// The units that have another output than before.
    fresh: Set,
    /// What was found in the apps and by policies.
    found: Vec<Diagnostic>,
    exempted: Vec<Span>,
    /// What is not kept.
    strays: Strays,
    /// The units that are not as before to the rules over the set, and what they were. None when that is not known.
    unlike: Option<Vec<(usize, UnitFacts)>>,
}

/// What came out of a part of a batch.
type Pieces<T> = Vec<eval::Piece<(T, UnitFacts)>>;

impl Batch<'_> {
    /// Evaluates what is outdated.
    fn run<T: Form>(&mut self, choice: T::Choice) -> Round {
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
            self.built.evaluated += found.len();
            more.diagnostics.extend(denied.diagnostics);
            more.exempted.extend(denied.exempted);
            for piece in found {
                if let Some(unit) = self.built.units.number(piece.file, piece.app) {
                    pieces.insert(unit, piece);
                }
            }
        }
        let current = self.built.known.of(name);
        let found = (0..count).map(|unit| match (pieces.get(&unit), current(unit)) {
            (Some(piece), _) => &*piece.diagnostics,
            (None, Some(known)) => &*known.diagnostics,
            (None, None) => &[],
        });
        let mut round = Round {
            fresh: Set::new(),
            found: eval::gather(found, more.diagnostics),
            unlike: more.exempted.is_empty().then(Vec::new),
            exempted: more.exempted,
            strays: Strays::new(),
        };
        // Apps share constants: where one failed, others may have failed silently. Nothing of it is kept.
        let is_kept = pieces.values().all(eval::Piece::is_sound);
        round.unlike.take_if(|_| !is_kept);
        for (unit, piece) in pieces {
            let (result, facts) = piece.result;
            if !is_kept {
                round.strays.insert(unit, (piece.objects, facts));
                continue;
            }
            let last = self.built.known.last(name, unit);
            let last = last.and_then(|last| last.facts.as_ref());
            match (&mut round.unlike, last) {
                (Some(unlike), Some(last)) if !last.is_like(&facts) => {
                    unlike.push((unit, last.clone()));
                }
                (Some(_), Some(_)) | (None, _) => {}
                (unlike, None) => *unlike = None,
            }
            // Another form of an outdated app is outdated as well.
            if self.built.known.of(name)(unit).is_none() {
                let known = Known::new(piece.objects, piece.diagnostics, facts);
                self.built.known.set(name, unit, known);
            }
            if T::store(self.built, choice).put(name, unit, result) {
                round.fresh.insert(unit);
            }
        }
        round
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
        let in_force = InForce::of(program, self.env, &self.built.shared);
        let make = |app: &mut eval::App<'_, '_>| {
            let facts = whole::facts(app, &in_force);
            (T::make(self.env, app, sources, choice), facts)
        };
        eval::evaluate_pieces(program, options, wanted, make, |pieces| {
            let units = pieces
                .iter()
                .map(|piece: &eval::Piece<(T, UnitFacts)>| &piece.result.1);
            Sharing::of(self.env.map(|env| &*env.name), units.enumerate()).aside()
        })
    }
}
