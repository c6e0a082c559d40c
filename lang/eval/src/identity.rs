//! Who an object is: its kind, name and namespace, and that no two are the same.

use std::collections::HashMap;

use ordain_lang_syntax::{Diagnostic, Name, Span};
use ordain_schemas::{KubeVersion, Table, WATCH_EVENT, is_message};

use crate::machine::Machine;
use crate::session::Object;
use crate::value::{MapId, Reported, Res, Value};

pub(crate) fn identity(
    machine: &mut Machine<'_>,
    index: usize,
    at: Span,
    value: Value,
) -> Res<Object> {
    let (api_version, kind, name, namespace, made) = match value {
        Value::Rec(rec) => {
            let record = *machine.heap.rec(rec);
            let Some(gvk) = machine.def(record.def).gvk() else {
                return Err(no_object(machine, at, value));
            };
            let (name, namespace) = machine.object_name(rec)?;
            (
                gvk.api_version.to_string(),
                gvk.kind.to_string(),
                name,
                namespace,
                record.span,
            )
        }
        Value::Map(map) => {
            let api_version = machine.map_get(map, "apiVersion");
            let kind = machine.map_get(map, "kind");
            let metadata = machine.map_get(map, "metadata");
            let name = machine.get_named(metadata, "name", at)?;
            let namespace = machine.get_named(metadata, "namespace", at)?;
            let (api_version, kind) = match (machine.str_of(api_version), machine.str_of(kind)) {
                (Some(api_version), Some(kind)) => (api_version, kind),
                (None, None) if is_watch_event(machine, map) => {
                    (String::new(), WATCH_EVENT.to_owned())
                }
                _ => return Err(no_object(machine, at, value)),
            };
            (
                api_version,
                kind,
                machine.str_of(name),
                machine.str_of(namespace),
                at,
            )
        }
        _ => return Err(no_object(machine, at, value)),
    };
    let is_message = is_message(table(machine), &api_version, &kind);
    let name = name.filter(|name| !name.is_empty());
    let name = name.or_else(|| is_message.then(String::new));
    let Some(name) = name else {
        let mut diagnostic = Diagnostic::error("E0510", format!("a {kind} without a name"))
            .label(at, "this object")
            .help("set `metadata.name`; names made by the cluster (`generateName`) cannot be compared with it");
        if made != at {
            diagnostic = diagnostic.label(made, "made here");
        }
        return Err(machine.report(diagnostic));
    };
    let object = Object {
        api_version,
        kind,
        namespace,
        name,
        at,
        made,
        is_message,
        index,
    };
    if is_message {
        let diagnostic = Diagnostic::warning(
            "W0512",
            format!("a {} is a message: an API server stores none", object.kind),
        )
        .label(at, "built, and never deployed")
        .help("keep it in a file of its own, for `kubectl create -f` or for tests")
        .object(object.title());
        let _ = machine.report(diagnostic);
    }
    Ok(object)
}

fn table(machine: &Machine<'_>) -> &'static Table {
    let version: KubeVersion = machine.program.kubernetes.parse().unwrap_or_default();
    ordain_schemas::table(version)
}

/// What a watch sends: a `type` and an `object`, and nothing that says what it is.
pub(crate) fn is_watch_event(machine: &Machine<'_>, map: MapId) -> bool {
    let is_text = machine.str_of(machine.map_get(map, "type")).is_some();
    let object = machine.map_get(map, "object");
    is_text && matches!(object, Value::Map(_) | Value::Rec(_)) && machine.heap.map(map).len() == 2
}

fn no_object(machine: &mut Machine<'_>, at: Span, value: Value) -> Reported {
    let shown = machine.show(value);
    machine.report(
        Diagnostic::error("E0514", "this is no Kubernetes object")
            .label(at, "an element of `objects`")
            .note(format!("it is {shown}")),
    )
}

pub(crate) fn is_namespaced(machine: &Machine<'_>, value: Value, object: &Object) -> bool {
    if let Value::Rec(rec) = value {
        let def = machine.def(machine.heap.rec(rec).def);
        return def.gvk().is_some_and(|gvk| gvk.namespaced);
    }
    let crds = &machine.program.crds;
    let custom = crds.find(&object.api_version, &object.kind);
    table(machine)
        .kind_of(&object.api_version, &object.kind)
        .map(|kind| kind.namespaced)
        .or_else(|| custom.map(|kind| kind.crd.namespaced))
        .unwrap_or(false)
}

/// Reports objects with one identity, which would overwrite each other at every apply.
pub fn duplicates<'o>(
    objects: impl Iterator<Item = &'o Object>,
    env: Option<Name>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut known: HashMap<(&str, &str, Option<&str>, &str), &Object> = HashMap::new();
    // Messages have no identity.
    for object in objects.filter(|object| !object.name.is_empty()) {
        match known.entry(object.identity()) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(object);
            }
            std::collections::hash_map::Entry::Occupied(first) => {
                let first = first.get();
                let mut diagnostic =
                    Diagnostic::error("E0511", format!("two objects are {}", object.title()))
                        .label(object.at, "this one")
                        .object(object.title());
                diagnostic = match (first.at != object.at, object.made != object.at) {
                    (true, _) => diagnostic.label(first.at, "and this one"),
                    // One element of a comprehension, or one function, makes both.
                    (false, true) => diagnostic
                        .label(object.made, "both are made here")
                        .help("make the name depend on what differs"),
                    (false, false) => diagnostic
                        .note("both are made in the same place")
                        .help("make the name depend on what differs"),
                };
                diagnostic.env = env.map(|env| env.as_str().to_owned());
                diagnostics.push(diagnostic);
            }
        }
    }
}
