//! What is evaluated by itself, and its objects: from an app or a file's exports to values that keep the rules of their
//! kinds.
//!
//! It knows one app at a time, and none of the rules over the whole set.

use ordain_lang_syntax::{Diagnostic, Span};
use ordain_lang_types::Program;
use ordain_lang_types::program::{AppId, LetId};

use crate::identity::{identity, is_namespaced};
use crate::machine::Machine;
use crate::machine::pour::{Nowhere, Pour};
use crate::session::Object;
use crate::value::{Res, Value};

/// What is evaluated by itself.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    App(AppId),
    /// The exports of a file without an app, by module.
    Exports(usize),
}

/// The name of what is evaluated, and where it stands.
pub(crate) fn named(program: &Program, what: Unit) -> (&str, Span) {
    match what {
        Unit::App(id) => {
            let app = &program.apps[id.index()];
            (app.name.as_str(), app.span)
        }
        Unit::Exports(at) => {
            let module = &program.modules[at];
            let name = module.path.rsplit('.').next().unwrap_or(&module.path);
            let first = module.exports.first();
            let nowhere = Span::new(module.file, 0, 0);
            (
                name,
                first.map_or(nowhere, |id| program.lets[id.index()].span),
            )
        }
    }
}

/// Evaluates everything of an app; gives no objects when there is any mistake.
pub(crate) fn objects(
    machine: &mut Machine<'_>,
    what: Unit,
    namespace: Option<&str>,
) -> (Vec<Value>, Vec<Object>) {
    let before = machine.diagnostics.len();
    let mut values = Vec::new();
    let mut objects = Vec::new();
    let found = match what {
        Unit::App(id) => of_app(machine, id),
        Unit::Exports(at) => of_exports(machine, &machine.program.modules[at].exports),
    };
    let (_, app) = named(machine.program, what);
    for (at, value) in found.unwrap_or_default() {
        if let Ok(object) = settle(machine, values.len(), (app, at), value, namespace) {
            values.push(value);
            objects.push(object);
        }
    }
    if let Unit::App(id) = what {
        // Fields that no object reads have rules as well.
        let span = machine.program.apps[id.index()].span;
        if let Ok(rec) = machine.app(id, span) {
            let _ = machine.check_record(rec);
            for cell in machine.heap.cells(rec).to_vec() {
                if let Ok(Value::Rec(inner)) = machine.field(rec, cell.pos, span) {
                    machine.see(inner);
                }
            }
        }
    }
    while let Some(rec) = machine.next_unchecked() {
        let _ = machine.check_record(rec);
    }
    if machine.diagnostics[before..]
        .iter()
        .any(Diagnostic::is_error)
    {
        return (Vec::new(), Vec::new());
    }
    (values, objects)
}

fn of_app(machine: &mut Machine<'_>, id: AppId) -> Res<Vec<(Span, Value)>> {
    let app = &machine.program.apps[id.index()];
    let rec = machine.app(id, app.span)?;
    let Some(pos) = app.objects else {
        return Ok(Vec::new());
    };
    let value = machine.field(rec, pos, app.span)?;
    Ok(elements(machine, value, app.span))
}

fn of_exports(machine: &mut Machine<'_>, exports: &[LetId]) -> Res<Vec<(Span, Value)>> {
    let mut found = Vec::new();
    for id in exports {
        let span = machine.program.lets[id.index()].span;
        let value = machine.constant(*id, span)?;
        found.extend(elements(machine, value, span));
    }
    Ok(found)
}

/// The objects of a list, with their places; a single object is a list of one.
fn elements(machine: &Machine<'_>, value: Value, span: Span) -> Vec<(Span, Value)> {
    match value {
        Value::Null => Vec::new(),
        Value::List(list) => {
            let items = machine.heap.list(list).iter();
            items
                .flat_map(|item| {
                    let at = item.at as usize;
                    let span = if at == 0 {
                        span
                    } else {
                        machine.heap.provs[at].span
                    };
                    elements(machine, item.value, span)
                })
                .collect()
        }
        value => vec![(span, value)],
    }
}

/// Evaluates an object to its leaves and reads who it is. Its place comes with that of its app's name.
fn settle(
    machine: &mut Machine<'_>,
    index: usize,
    (app, at): (Span, Span),
    value: Value,
    namespace: Option<&str>,
) -> Res<Object> {
    let mut object = identity(machine, index, at, value)?;
    if object.namespace.is_none() && is_namespaced(machine, value, &object) {
        object.namespace = namespace.map(str::to_owned);
    }
    machine.object = Some(object.title());
    machine.judging = true;
    let settled = machine.pour(value, &mut Nowhere, Pour::default());
    machine.judging = false;
    // Rules look at whole objects, also at those with mistakes: what could not be evaluated is not known to them.
    let judged = machine.judge(&object, app);
    let settled = settled.and(judged);
    let settled = match settled {
        Ok(()) => machine.judge_custom(value, &object),
        broken => broken,
    };
    machine.object = None;
    settled.map(|()| object)
}
