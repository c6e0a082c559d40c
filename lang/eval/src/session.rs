//! From a program and an environment to the objects of its apps: threads, settling, what each app says.
//!
//! Each app is evaluated by itself, on one of a few threads; the caller's function sees it there,
//! while its values live, and keeps what it needs.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ordain_lang_syntax::{Diagnostic, FileId, Name, Span};
use ordain_lang_types::Program;
use ordain_lang_types::program::{AppId, Env, EnvId, Setting};
use serde_json::Value as Json;

use crate::emit::{JsonSink, Sink};
use crate::identity::duplicates;
use crate::limits;
use crate::machine::Machine;
use crate::machine::pour::{Pour, Secrets};
use crate::provenance::{How, Layer, Source};
use crate::settle::{Unit, named, objects};
use crate::value::Value;

/// How to evaluate.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The environment; none evaluates the apps as they stand.
    pub env: Option<EnvId>,
    /// How many threads at most. One is enough for a few apps.
    pub threads: usize,
}

/// Which object it is, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// `v1`, `apps/v1`.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    /// The namespace; that of the environment when the object names none and its kind needs one.
    pub namespace: Option<String>,
    /// `metadata.name`; empty for a message without one.
    pub name: String,
    /// The element of the app's `objects` which it is.
    pub at: Span,
    /// Where the record was made, perhaps in a library.
    pub made: Span,
    /// Whether its kind is a message, which no API server stores: it is built and never deployed.
    pub is_message: bool,
    pub(crate) index: usize,
}

impl Object {
    /// The API group; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    /// Group, kind, namespace and name: what no two objects of an environment have in common.
    #[must_use]
    pub fn identity(&self) -> (&str, &str, Option<&str>, &str) {
        let namespace = self.namespace.as_deref();
        (self.group(), &*self.kind, namespace, &*self.name)
    }

    /// `Deployment shop/web`, as diagnostics name it.
    #[must_use]
    pub fn title(&self) -> String {
        title(&self.kind, self.namespace.as_deref(), &self.name)
    }
}

fn title(kind: &str, namespace: Option<&str>, name: &str) -> String {
    match namespace {
        // A message has no name.
        _ if name.is_empty() => kind.to_owned(),
        // Every object's is made, in case something is said about it.
        Some(namespace) => [kind, " ", namespace, "/", name].concat(),
        None => [kind, " ", name].concat(),
    }
}

/// An evaluated app; its objects can be written in any form.
pub struct App<'m, 'p> {
    /// Its name; that of the module for a file that exports objects without an app.
    pub name: &'p str,
    /// Where its name is.
    pub span: Span,
    /// The namespace of the environment.
    pub namespace: Option<&'p str>,
    /// The cluster of the environment.
    pub cluster: Option<&'p str>,
    /// Its objects in the order of the source. Empty when there were mistakes.
    pub objects: Vec<Object>,
    values: Vec<Value>,
    /// How many mistakes the machine knew before.
    before: usize,
    /// How many needed exemptions it knew.
    exempted_before: usize,
    machine: &'m mut Machine<'p>,
}

impl<'p> App<'_, 'p> {
    pub(crate) fn machine(&self) -> &Machine<'p> {
        self.machine
    }

    /// The value of the object at a position.
    pub(crate) fn value_of(&self, object: usize) -> Option<Value> {
        self.values.get(self.objects.get(object)?.index).copied()
    }
}

impl App<'_, '_> {
    /// The mistakes in it.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.machine.diagnostics[self.before..]
    }

    /// Where the exemptions are written that something in it needed.
    pub fn exempted(&self) -> &[Span] {
        &self.machine.exempted[self.exempted_before..]
    }

    /// Writes an object; a secret is the reference that stands for it.
    pub fn write(&mut self, object: &Object, sink: &mut impl Sink) {
        let how = Pour {
            secrets: Secrets::Referenced,
            namespace: object.namespace.as_deref(),
            ..Pour::default()
        };
        // It was poured once before, so nothing can fail.
        let _ = self.machine.pour(self.values[object.index], sink, how);
    }

    /// An object as JSON; a secret is the reference that stands for it.
    pub fn json(&mut self, object: &Object) -> Json {
        let mut sink = JsonSink::new();
        self.write(object, &mut sink);
        sink.finish()
    }

    /// Which lines set a field of an object, newest first, with the value as messages show it.
    ///
    /// A step of the path is a field, a key, or a list element by position or by the value of one
    /// of its fields: `["spec", "template", "spec", "containers", "main", "image"]`.
    pub fn explain(&mut self, object: &Object, path: &[&str]) -> Option<(String, Vec<Source>)> {
        match self.machine.explain(self.values[object.index], path) {
            Some((value, chain)) => Some((self.machine.show(value), chain)),
            None => self.implied(object, path),
        }
    }

    /// What an object has though no field of it was set: its type's names, the environment's namespace.
    fn implied(&self, object: &Object, path: &[&str]) -> Option<(String, Vec<Source>)> {
        let by_type = |value: &str| {
            let source = Source {
                span: object.made,
                layer: Layer::Value,
                how: How::Set,
            };
            Some((format!("{value:?}"), vec![source]))
        };
        match path {
            ["apiVersion"] => by_type(&object.api_version),
            ["kind"] => by_type(&object.kind),
            ["metadata", "namespace"] => {
                let namespace = object.namespace.as_deref()?;
                let program = self.machine.program;
                let chain = &program.envs[self.machine.env?.index()].chain;
                let settings = chain.iter().rev().filter_map(|env| {
                    Some(Source {
                        span: program.envs[env.index()].namespace.as_ref()?.span,
                        layer: Layer::Env(env.index()),
                        how: How::Set,
                    })
                });
                Some((format!("{namespace:?}"), settings.collect()))
            }
            _ => None,
        }
    }
}

/// What came out of an evaluation.
#[derive(Debug)]
pub struct Evaluated<R> {
    /// What the caller's function made of each app, in the order of the program.
    pub apps: Vec<R>,
    /// Every mistake that was found.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether every app has all of its objects: rules over the whole set make sense then.
    pub is_whole: bool,
    /// The exemptions that a policy met.
    pub exempted: Vec<Span>,
}

/// An app, or the exports of a file without one, evaluated by itself.
#[derive(Debug)]
pub struct Piece<R> {
    /// The file it stands in.
    pub file: FileId,
    /// The app's name; none for the exports of a file.
    pub app: Option<Name>,
    /// What the caller's function made of it.
    pub result: R,
    /// Which objects it has. Empty when there were mistakes.
    pub objects: Vec<Object>,
    /// The mistakes in it. When another piece failed before, mistakes in what both share may be told there only.
    pub diagnostics: Vec<Diagnostic>,
    unit: usize,
}

impl<R> Piece<R> {
    /// Whether there are no mistakes in it.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        !self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// What an evaluation says of no piece.
#[derive(Debug, Default)]
pub struct More {
    /// What policies deny.
    pub diagnostics: Vec<Diagnostic>,
    /// The exemptions that a policy met.
    pub exempted: Vec<Span>,
}

/// Whether a program is evaluated in one piece: one app, or the exports of one file, and nothing that looks at them
/// afterwards.
#[must_use]
pub fn is_one_piece(program: &Program) -> bool {
    program.policies.is_empty() && units(program).len() == 1
}

/// Evaluates all apps of a program in an environment, and gives each to `each`, which leaves its objects as they are.
///
/// Apps with mistakes are given as well, without objects. The program must have passed the
/// checker without errors.
pub fn evaluate<'p, R: Send>(
    program: &'p Program,
    options: Options,
    each: impl Fn(&mut App<'_, 'p>) -> R + Sync,
) -> Evaluated<R> {
    let (pieces, more) = evaluate_pieces(program, options, |_, _| true, each, |_| Vec::new());
    let env = options.env.map(|env| program.envs[env.index()].name);
    let found = pieces.iter().map(|piece| &*piece.diagnostics);
    let mut diagnostics = gather(found, more.diagnostics);
    let objects = pieces.iter().flat_map(|piece| &piece.objects);
    duplicates(objects, env, &mut diagnostics);
    Evaluated {
        // Where nothing could be evaluated nothing is whole.
        is_whole: (diagnostics.is_empty() || !pieces.is_empty())
            && pieces.iter().all(Piece::is_sound),
        apps: pieces.into_iter().map(|piece| piece.result).collect(),
        diagnostics,
        exempted: more.exempted,
    }
}

/// Puts together what was found in the pieces of a build, in their order. `more` are mistakes of no piece.
pub fn gather<'o>(
    pieces: impl Iterator<Item = &'o [Diagnostic]>,
    more: Vec<Diagnostic>,
) -> Vec<Diagnostic> {
    let mut diagnostics: Vec<Diagnostic> = Vec::new();
    for found in pieces {
        let before = diagnostics.len();
        for diagnostic in found {
            // What pieces share is told for the first of them.
            let is_same = |other: &Diagnostic| {
                (other.code, &other.message, &other.labels)
                    == (diagnostic.code, &diagnostic.message, &diagnostic.labels)
            };
            if !diagnostics[..before].iter().any(is_same)
                && !diagnostics[before..].contains(diagnostic)
            {
                diagnostics.push(diagnostic.clone());
            }
        }
    }
    for diagnostic in more {
        if !diagnostics.contains(&diagnostic) {
            diagnostics.push(diagnostic);
        }
    }
    diagnostics
}

/// Evaluates the wanted apps and exports (by their file and the app's name) as [`evaluate`] does, in the order of the
/// program. What has one identity is the caller's business: `left_out` names the objects that policies are not to see, by
/// the positions of their piece and their own.
pub fn evaluate_pieces<'p, R: Send>(
    program: &'p Program,
    options: Options,
    wanted: impl Fn(FileId, Option<Name>) -> bool,
    each: impl Fn(&mut App<'_, 'p>) -> R + Sync,
    left_out: impl Fn(&[Piece<R>]) -> Vec<(usize, usize)> + Sync,
) -> (Vec<Piece<R>>, More) {
    let mut units = units(program);
    units.retain(|unit| match *unit {
        Unit::App(id) => {
            let app = &program.apps[id.index()];
            wanted(app.span.file, Some(app.name))
        }
        Unit::Exports(at) => wanted(program.modules[at].file, None),
    });
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Piece<R>>> = Mutex::new(Vec::with_capacity(units.len()));
    let denied: Mutex<More> = Mutex::default();
    let work = || {
        let mut machine = Machine::new(program, options.env);
        loop {
            let unit = next.fetch_add(1, Ordering::Relaxed);
            let Some(what) = units.get(unit) else { break };
            let one = run(&mut machine, unit, *what, &each);
            done.lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .push(one);
        }
        if !program.policies.is_empty() {
            // This thread is the only one.
            let pieces = done
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let counts = pieces.iter().map(|piece| piece.objects.len());
            machine.forget(&left_out(&pieces), counts);
        }
        for policy in &program.policies {
            machine.policy(policy);
        }
        let mut found = denied
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        found.diagnostics.append(&mut machine.diagnostics);
        found.exempted.append(&mut machine.exempted);
    };
    // Policies look at the objects of all apps, so these live on one heap.
    let threads = match program.policies.is_empty() {
        true => options.threads.clamp(1, units.len().max(1)),
        false => 1,
    };
    let started = std::thread::scope(|scope| {
        let start = |_| {
            // Evaluation recurses with the program's nesting, so it brings its own stack.
            let thread = std::thread::Builder::new().stack_size(limits::STACK_BYTES);
            thread.spawn_scoped(scope, work).is_ok()
        };
        (0..threads).map(start).filter(|started| *started).count()
    });
    let mut done = done
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|one| one.unit);
    let mut more = denied
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if started == 0 {
        // Nothing evaluated must never look like nothing wanted.
        more.diagnostics.push(no_thread());
    }
    (done, more)
}

/// The system gave no thread to evaluate on.
pub(crate) fn no_thread() -> Diagnostic {
    Diagnostic::error("E0505", "the system gives no thread to evaluate on")
        .help("raise the limit on processes or memory of this user")
}

/// The apps, and the files that export objects without having an app.
fn units(program: &Program) -> Vec<Unit> {
    let mut units: Vec<Unit> = (0..program.apps.len())
        .map(AppId::new)
        .map(Unit::App)
        .collect();
    let mut has_app = vec![false; program.modules.len()];
    for app in &program.apps {
        has_app[app.module.index()] = true;
    }
    for (at, module) in program.modules.iter().enumerate() {
        if !has_app[at] && !module.exports.is_empty() {
            units.push(Unit::Exports(at));
        }
    }
    units
}

fn setting(
    program: &Program,
    env: Option<EnvId>,
    pick: impl Fn(&Env) -> Option<&Setting>,
) -> Option<&str> {
    program.setting(env?, pick).map(|setting| &*setting.value)
}

fn run<'p, R>(
    machine: &mut Machine<'p>,
    unit: usize,
    what: Unit,
    each: &(impl Fn(&mut App<'_, 'p>) -> R + Sync),
) -> Piece<R> {
    let program = machine.program;
    machine.next_app();
    let before = machine.diagnostics.len();
    let exempted_before = machine.exempted.len();
    let (name, span) = named(program, what);
    let namespace = setting(program, machine.env, |env| env.namespace.as_ref());
    let (values, objects) = objects(machine, what, namespace);
    if !program.policies.is_empty() {
        for (object, value) in objects.iter().zip(&values) {
            machine.know_object(object, span, *value);
        }
    }
    let mut app = App {
        name,
        span,
        namespace,
        cluster: setting(program, machine.env, |env| env.cluster.as_ref()),
        objects,
        values,
        before,
        exempted_before,
        machine,
    };
    let result = each(&mut app);
    let objects = std::mem::take(&mut app.objects);
    let diagnostics = app.machine.diagnostics.split_off(before);
    // The caller's function saw them; what is left are those of policies.
    app.machine.exempted.truncate(exempted_before);
    Piece {
        file: span.file,
        app: matches!(what, Unit::App(_)).then(|| Name::new(name)),
        result,
        objects,
        diagnostics,
        unit,
    }
}

/// Evaluates an app, makes its objects known to policies, and shows it.
pub(crate) fn look_at_app<'p>(
    machine: &mut Machine<'p>,
    app: usize,
    look: impl FnOnce(&mut App<'_, 'p>),
) {
    let program = machine.program;
    let namespace = setting(program, machine.env, |env| env.namespace.as_ref());
    let cluster = setting(program, machine.env, |env| env.cluster.as_ref());
    let before = machine.diagnostics.len();
    let exempted_before = machine.exempted.len();
    let (values, objects) = objects(machine, Unit::App(AppId::new(app)), namespace);
    let span = program.apps[app].span;
    for (object, value) in objects.iter().zip(&values) {
        machine.know_object(object, span, *value);
    }
    look(&mut App {
        name: program.apps[app].name.as_str(),
        span,
        namespace,
        cluster,
        objects,
        values,
        before,
        exempted_before,
        machine,
    });
}
