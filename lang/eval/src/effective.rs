//! The value that one field of an app has in an environment, and the lines that set it, without evaluating the rest.
//!
//! What an editor shows beside a line. Secrets are masked, as everywhere.

use ordain_lang_types::Program;
use ordain_lang_types::program::{AppId, EnvId};

use crate::limits;
use crate::machine::Machine;
use crate::provenance::{How, Layer, Source};
use crate::value::Value;

/// A step from an app to one of its fields.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum PathStep {
    /// A field, a key, or an element by one of its fields or by position.
    Name(String),
    /// An object of a list of objects.
    Object {
        /// `Deployment`.
        kind: String,
        /// `metadata.name`.
        name: String,
    },
}

/// A value and where it comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effective {
    /// As messages show it; a secret is masked.
    pub value: String,
    /// What set or changed it, the winner first.
    pub sources: Vec<Source>,
    /// The names by which brackets choose an element of it, when it is a list or a map.
    pub keys: Vec<String>,
}

/// Returns the values at paths into an app in an environment (none: as the app stands), in the order of `paths`;
/// none where nothing is. The program must have passed the checker without errors.
#[must_use]
pub fn effective(
    program: &Program,
    env: Option<EnvId>,
    app: AppId,
    paths: &[Vec<PathStep>],
) -> Vec<Option<Effective>> {
    let work = || {
        let mut machine = Machine::new(program, env);
        paths
            .iter()
            .map(|path| one(&mut machine, app, path))
            .collect()
    };
    std::thread::scope(|scope| {
        // Evaluation recurses with the program's nesting, so it brings its own stack.
        let thread = std::thread::Builder::new().stack_size(limits::STACK_BYTES);
        let running = thread.spawn_scoped(scope, work);
        let made: Option<Vec<Option<Effective>>> =
            running.ok().and_then(|thread| thread.join().ok());
        made.unwrap_or_else(|| vec![None; paths.len()])
    })
}

fn one(machine: &mut Machine<'_>, app: AppId, path: &[PathStep]) -> Option<Effective> {
    let span = machine.program.apps.get(app.index())?.span;
    let mut root = Value::Rec(machine.app(app, span).ok()?);
    let mut steps: Vec<&str> = Vec::with_capacity(path.len());
    for step in path {
        match step {
            PathStep::Name(name) => steps.push(name),
            PathStep::Object { kind, name } => {
                let (list, _) = machine.explain(root, &steps)?;
                root = object(machine, list, kind, name)?;
                steps.clear();
            }
        }
    }
    if steps.is_empty()
        && let Value::Rec(rec) = root
    {
        // The object itself: where it was made.
        let made = Source {
            span: machine.heap.rec(rec).span,
            layer: Layer::Value,
            how: How::Set,
        };
        return Some(Effective {
            value: machine.show(root),
            sources: vec![made],
            keys: Vec::new(),
        });
    }
    let (value, sources) = machine.explain(root, &steps)?;
    let keys = keys(machine, value);
    let value = machine.show(value);
    Some(Effective {
        value,
        sources,
        keys,
    })
}

/// What elements are called: by their field `name`, the first string they have otherwise, or a map's keys.
fn keys(machine: &mut Machine<'_>, value: Value) -> Vec<String> {
    match value {
        Value::Map(map) => {
            let entries = machine.heap.map(map).to_vec();
            let key = |entry: &_| {
                let entry: &crate::heap::Entry = entry;
                machine.text(entry.key).to_owned()
            };
            entries.iter().map(key).collect()
        }
        Value::List(list) => {
            let items = machine.heap.list(list).to_vec();
            let called = |machine: &mut Machine<'_>, value: Value| {
                let Value::Rec(rec) = value else { return None };
                let record = *machine.heap.rec(rec);
                let at = machine.def(record.def).field("name".into())?;
                match machine.field(rec, at, record.span).ok()? {
                    Value::Str(text) => Some(machine.text(text).to_owned()),
                    _ => None,
                }
            };
            items
                .into_iter()
                .filter_map(|item| called(machine, item.value))
                .collect()
        }
        _ => Vec::new(),
    }
}

/// The object with a kind and a name in a list, or in the lists of one.
fn object(machine: &mut Machine<'_>, value: Value, kind: &str, name: &str) -> Option<Value> {
    match value {
        Value::List(list) => {
            let items = machine.heap.list(list).to_vec();
            items
                .into_iter()
                .find_map(|item| object(machine, item.value, kind, name))
        }
        Value::Rec(rec) => {
            let def = machine.heap.rec(rec).def;
            let is_kind = machine.def(def).gvk().is_some_and(|gvk| &*gvk.kind == kind);
            let (found, _) = machine.object_name(rec).ok()?;
            (is_kind && found.as_deref() == Some(name)).then_some(value)
        }
        _ => None,
    }
}
