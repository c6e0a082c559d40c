//! Who an object is: its kind, name and namespace, and that no two are the same.

use std::collections::HashMap;

use ordain_lang_syntax::{Diagnostic, Name, Span};
use ordain_schemas::KubeVersion;

use crate::machine::Machine;
use crate::session::Object;
use crate::value::{Reported, Res, Value};

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
            let (Some(api_version), Some(kind)) =
                (machine.str_of(api_version), machine.str_of(kind))
            else {
                return Err(no_object(machine, at, value));
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
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        let mut diagnostic = Diagnostic::error("E0510", format!("a {kind} without a name"))
            .label(at, "this object")
            .help("set `metadata.name`; names made by the cluster (`generateName`) cannot be compared with it");
        if made != at {
            diagnostic = diagnostic.label(made, "made here");
        }
        return Err(machine.report(diagnostic));
    };
    Ok(Object {
        api_version,
        kind,
        namespace,
        name,
        at,
        made,
        index,
    })
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
    let version: KubeVersion = machine.program.kubernetes.parse().unwrap_or_default();
    let crds = &machine.program.crds;
    let custom = crds.find(&object.api_version, &object.kind);
    ordain_schemas::table(version)
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
    for object in objects {
        let identity = (
            object.group(),
            &*object.kind,
            object.namespace.as_deref(),
            &*object.name,
        );
        match known.entry(identity) {
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
