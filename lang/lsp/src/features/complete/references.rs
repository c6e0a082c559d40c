//! Names of objects in the set, where a field refers to one; names inside one Pod, where a field refers to those.

use ordain_lang_syntax::ast::{Element, Expr, ExprKind, FieldOp, MemberKind, Record, SegmentKind};
use ordain_lang_types::index::Def;
use ordain_lang_types::ty::RecordId;

use super::{At, Kind, Proposal};
use crate::nodes::Node;

/// What a field's value names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Target {
    /// An object of a kind.
    Object(&'static str),
    /// An object of the kind that the field `kind` beside it says.
    KindBeside,
    /// A key of the object that the field beside it names.
    KeyOf(&'static str, &'static str),
    /// A port.
    Port,
    /// A volume of the same Pod.
    Volume,
}

/// Fields that refer to something, by the short name of their type
/// (k8s.io/api/core/v1, apps/v1, networking/v1, rbac/v1, autoscaling/v2 types.go).
const REFERENCES: &[(&str, &str, Target)] = &[
    ("ConfigMapKeySelector", "name", Target::Object("ConfigMap")),
    (
        "ConfigMapKeySelector",
        "key",
        Target::KeyOf("ConfigMap", "name"),
    ),
    ("ConfigMapEnvSource", "name", Target::Object("ConfigMap")),
    ("ConfigMapVolumeSource", "name", Target::Object("ConfigMap")),
    ("ConfigMapProjection", "name", Target::Object("ConfigMap")),
    ("SecretKeySelector", "name", Target::Object("Secret")),
    ("SecretKeySelector", "key", Target::KeyOf("Secret", "name")),
    ("SecretEnvSource", "name", Target::Object("Secret")),
    ("SecretProjection", "name", Target::Object("Secret")),
    ("SecretVolumeSource", "secretName", Target::Object("Secret")),
    ("IngressTLS", "secretName", Target::Object("Secret")),
    ("LocalObjectReference", "name", Target::Object("Secret")),
    (
        "PodSpec",
        "serviceAccountName",
        Target::Object("ServiceAccount"),
    ),
    (
        "PodSpec",
        "priorityClassName",
        Target::Object("PriorityClass"),
    ),
    (
        "PodSpec",
        "runtimeClassName",
        Target::Object("RuntimeClass"),
    ),
    (
        "PersistentVolumeClaimVolumeSource",
        "claimName",
        Target::Object("PersistentVolumeClaim"),
    ),
    (
        "PersistentVolumeClaimSpec",
        "storageClassName",
        Target::Object("StorageClass"),
    ),
    ("StatefulSetSpec", "serviceName", Target::Object("Service")),
    ("IngressServiceBackend", "name", Target::Object("Service")),
    (
        "IngressSpec",
        "ingressClassName",
        Target::Object("IngressClass"),
    ),
    ("CrossVersionObjectReference", "name", Target::KindBeside),
    ("RoleRef", "name", Target::KindBeside),
    ("Subject", "name", Target::Object("ServiceAccount")),
    ("ServiceBackendPort", "name", Target::Port),
    ("ServicePort", "targetPort", Target::Port),
    ("HTTPGetAction", "port", Target::Port),
    ("TCPSocketAction", "port", Target::Port),
    ("VolumeMount", "name", Target::Volume),
    ("VolumeDevice", "name", Target::Volume),
];

/// What the string that is written may name; the labels are its content.
pub(super) fn content(at: &At<'_, '_>) -> Vec<Proposal> {
    let Some((record, field)) = field_written(at) else {
        return Vec::new();
    };
    let Some(full) = at.view.index().kubernetes(record) else {
        return Vec::new();
    };
    let short = full.rsplit('.').next().unwrap_or(full);
    let known = REFERENCES
        .iter()
        .find(|(ty, name, _)| *ty == short && field == *name);
    let Some((.., target)) = known else {
        return Vec::new();
    };
    match target {
        Target::Object(kind) => objects(at, Some(*kind)),
        Target::KindBeside => {
            let kind = beside(at, "kind");
            objects(at, kind.as_deref())
        }
        Target::KeyOf(kind, name) => {
            let name = beside(at, name);
            let keys = at.known.keys(kind, name.as_deref());
            let what = match &name {
                Some(name) => format!("key of {kind} {name}"),
                None => format!("key of a {kind}"),
            };
            let one = |key: &str| Proposal::new(key, Kind::Reference, what.as_str()).ranked(0);
            keys.into_iter().map(one).collect()
        }
        Target::Port => {
            let ports = at.known.ports();
            let one = |name: &str| Proposal::new(name, Kind::Reference, "port").ranked(0);
            ports.into_iter().map(one).collect()
        }
        Target::Volume => volumes(at),
    }
}

/// The same where no quotes are written yet.
pub(super) fn quoted(at: &At<'_, '_>) -> Vec<Proposal> {
    let mut found = content(at);
    for proposal in &mut found {
        let text = format!("{:?}", proposal.label);
        proposal.insert.clone_from(&text);
        proposal.label = text;
    }
    found
}

/// Objects of the last build, of a kind.
pub(super) fn objects(at: &At<'_, '_>, kind: Option<&str>) -> Vec<Proposal> {
    let one = |object: &crate::objects::KnownObject| {
        let detail = format!("{} of {}", object.kind, object.app);
        Proposal::new(object.name.as_str(), Kind::Reference, detail).ranked(0)
    };
    at.known.of_kind(kind).map(one).collect()
}

/// The field that the value at the cursor is for.
fn field_written(at: &At<'_, '_>) -> Option<(RecordId, &'static str)> {
    let member = at.path.iter().rev().find_map(|node| match node {
        Node::Member(member) => Some(*member),
        _ => None,
    })?;
    let MemberKind::Field(field) = &member.kind else {
        return None;
    };
    let last = field.path.last()?;
    let found = at.view.index().use_at(at.view.file, last.span.start)?;
    match found.def {
        Def::Field(record, position) => {
            let def = at.view.program().types.record(record);
            Some((record, def.fields.get(position as usize)?.name.as_str()))
        }
        _ => None,
    }
}

/// The constant string of a field beside the one that is written: in the same braces, or of the same path.
fn beside(at: &At<'_, '_>, name: &str) -> Option<String> {
    let braces = at.path.iter().rev().find_map(|node| match node {
        Node::Record(record) => Some(*record),
        _ => None,
    })?;
    let written = at.path.iter().rev().find_map(|node| match node {
        Node::Member(member) => match &member.kind {
            MemberKind::Field(field) => Some(field.path.len()),
            _ => None,
        },
        _ => None,
    })?;
    braces.members.iter().find_map(|member| {
        let MemberKind::Field(field) = &member.kind else {
            return None;
        };
        let is_named =
            matches!(&field.path.last()?.kind, SegmentKind::Name(last) if *last == *name);
        if !is_named || field.path.len() != written {
            return None;
        }
        match &field.op {
            FieldOp::Set(value) => text(value).filter(|text| !text.is_empty()),
            _ => None,
        }
    })
}

fn text(value: &Expr) -> Option<String> {
    match &value.kind {
        ExprKind::Str(text) => Some(text.to_string()),
        _ => None,
    }
}

/// The names of the volumes in the same Pod.
fn volumes(at: &At<'_, '_>) -> Vec<Proposal> {
    let mut found = Vec::new();
    for node in at.path.iter().rev() {
        let Node::Record(record) = node else { continue };
        for list in lists(record, &["volumes", "volumeClaimTemplates"]) {
            for element in list {
                let Element::Item(Expr {
                    kind: ExprKind::Record(volume),
                    ..
                }) = element
                else {
                    continue;
                };
                if let Some(name) = name_in(volume) {
                    found.push(Proposal::new(name, Kind::Reference, "volume").ranked(0));
                }
            }
        }
    }
    found
}

/// The lists that braces set under one of some names, also at the end of a path.
fn lists<'a>(record: &'a Record, names: &[&str]) -> Vec<&'a [Element]> {
    let one = |member: &'a ordain_lang_syntax::ast::Member| {
        let MemberKind::Field(field) = &member.kind else {
            return None;
        };
        let SegmentKind::Name(last) = &field.path.last()?.kind else {
            return None;
        };
        let is_named = names.contains(&last.as_str());
        match &field.op {
            FieldOp::Set(value) | FieldOp::Append(value) if is_named => match &value.kind {
                ExprKind::List(elements) => Some(&elements[..]),
                _ => None,
            },
            _ => None,
        }
    };
    record.members.iter().filter_map(one).collect()
}

fn name_in(record: &Record) -> Option<String> {
    record.members.iter().find_map(|member| {
        let MemberKind::Field(field) = &member.kind else {
            return None;
        };
        let is_name =
            matches!(&field.path.last()?.kind, SegmentKind::Name(last) if *last == *"name");
        match &field.op {
            FieldOp::Set(value) if is_name => text(value),
            _ => None,
        }
    })
}
