//! When an object may be deleted to be created again, and in which steps.
//!
//! Only a field that the server says is immutable, on a path that we change, and only for kinds that hold no data unless
//! somebody approves that one object. Flux takes any 422 for such a field and so deletes a live object because of a typo
//! (fluxcd/flux2#3627).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Desired, ObjectKey, Policy, Refusal, json, managed,
    paths::{self, Pattern},
};

/// One cause of a refusal: `reason`, `field` and `message` of a `StatusCause`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// `FieldValueInvalid`, `FieldValueForbidden` and so on.
    pub reason: String,
    /// The way to the field.
    pub field: String,
    /// In words.
    pub message: String,
}

/// The fields which the server says cannot be changed, for [`Refusal::immutable`].
///
/// `field is immutable` is `apimachinery/pkg/api/validation` (`FieldImmutableErrorMsg`); StatefulSets, Pods and claims say
/// `Forbidden` with words about updates. A `Forbidden` about anything else would be refused at creation too.
#[must_use]
pub fn immutable_fields(causes: &[Cause]) -> Vec<String> {
    let is_immutable = |cause: &&Cause| {
        let words = cause.message.to_ascii_lowercase();
        let says = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
        match cause.reason.as_str() {
            "FieldValueForbidden" => says(&[
                "immutable",
                "updates to",
                "update is forbidden",
                "may not change",
                "may not be changed",
                "cannot be changed",
            ]),
            "FieldValueInvalid" | "" => {
                says(&["immutable", "may not be changed", "cannot be changed"])
            }
            _ => false,
        }
    };
    causes
        .iter()
        .filter(is_immutable)
        .map(|cause| cause.field.clone())
        .collect()
}

/// What a refusal for immutable fields comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is replaced.
    Replace,
    /// It holds data, or others do: it is replaced when this object is approved. In words.
    Ask(String),
    /// It is refused, with what can be done about it.
    Refuse(Option<String>),
}

/// Decides about a refused change.
pub(crate) fn verdict(
    desired: &Desired,
    live: &Value,
    refusal: &Refusal,
    policy: &Policy,
) -> Verdict {
    let terminating = live
        .pointer("/metadata/deletionTimestamp")
        .is_some_and(|at| !at.is_null());
    // A server names fields that follow from the changed one as well.
    let certain = refusal
        .immutable
        .iter()
        .any(|field| changes(live, &desired.object, field));
    if terminating || !certain {
        return Verdict::Refuse(None);
    }
    if let Some(holds) = holds(&desired.key, live) {
        return Verdict::Ask(holds);
    }
    // A Job runs once: a changed one is another run.
    if policy.replace.value || desired.key.is("batch", "Job") {
        return Verdict::Replace;
    }
    let help = "to have it deleted and created again, say `ordain.dev/replace: allowed`";
    Verdict::Refuse(Some(help.to_owned()))
}

/// What is lost with an object of this kind, or what else can be done; `None` for kinds without data.
fn holds(key: &ObjectKey, live: &Value) -> Option<String> {
    let words = match (key.group.as_str(), key.kind.as_str()) {
        ("", "PersistentVolumeClaim" | "PersistentVolume") => "its data may go with it",
        ("", "Namespace") => "everything in it goes with it",
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            "every object of its kind goes with it"
        }
        ("apps", "StatefulSet")
            if json::items(live, "/spec/volumeClaimTemplates")
                .next()
                .is_some() =>
        {
            let namespace = key.namespace.as_deref().unwrap_or_default();
            return Some(format!(
                "to change it while its pods run, delete it alone: `kubectl delete statefulset {} -n {namespace} \
                 --cascade=orphan`; it is created again and takes over its pods and claims",
                key.name
            ));
        }
        _ => return None,
    };
    Some(words.to_owned())
}

/// True when what is declared at or below a field is not what is live, or something of ours below it is not declared any
/// more.
fn changes(live: &Value, desired: &Value, field: &str) -> bool {
    let pattern = Pattern::of_field(field);
    let declared = pattern.places(desired);
    let differs = declared.iter().any(|place| {
        let there = paths::counterpart(desired, place, live);
        let there = there.as_ref().and_then(|at| paths::get(live, at));
        match (paths::get(desired, place), there) {
            (Some(wanted), Some(found)) => !covers(found, wanted),
            (wanted, _) => wanted.is_some(),
        }
    });
    differs
        || pattern.places(live).iter().any(|place| {
            managed::entries(live)
                .filter(managed::Entry::is_ours)
                .any(|entry| {
                    let ours = entry.places(live);
                    let mut below = ours.iter().filter(|at| at.starts_with(place));
                    below.any(|at| paths::counterpart(live, at, desired).is_none())
                })
        })
}

/// True when everything of `wanted` is in `found`; a server fills in the rest.
fn covers(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, wanted)| found.get(key).is_some_and(|found| covers(found, wanted))),
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len()
                && found
                    .iter()
                    .zip(wanted)
                    .all(|(found, wanted)| covers(found, wanted))
        }
        _ => found == wanted,
    }
}

/// How an object is replaced. In this order: `check` as a dry run, the delete of `uid`, waiting until nothing by this name is
/// there, `create`; and when that fails, `restore`.
#[derive(Debug, Clone, PartialEq)]
pub struct Replacement {
    /// What to create as a dry run before anything is deleted, under another name; `None` for kinds whose name cannot be
    /// another one, which are created without having been tried.
    pub check: Option<Value>,
    /// The uid to delete: no other object by this name is touched.
    pub uid: Option<String>,
    /// What to create.
    pub create: Value,
    /// What to create when that fails: the old object, as it was declared and filled in.
    pub restore: Value,
}

/// Characters of a name that are kept for the one which is only tried; with what is added it stays a DNS label.
const NAME_CHARS: usize = 40;

impl Replacement {
    /// The steps for an object. `desired` is what is sent, with its secrets.
    #[must_use]
    pub fn new(desired: &Value, live: &Value) -> Self {
        let uid = json::text(live, "/metadata/uid");
        Self {
            check: check(desired),
            uid: (!uid.is_empty()).then(|| uid.to_owned()),
            create: desired.clone(),
            restore: restore(live),
        }
    }
}

fn check(desired: &Value) -> Option<Value> {
    let kind = json::text(desired, "/kind");
    if matches!(kind, "CustomResourceDefinition" | "APIService") {
        return None;
    }
    let mut copy = desired.clone();
    let name: String = json::text(desired, "/metadata/name")
        .chars()
        .take(NAME_CHARS)
        .collect();
    copy["metadata"]["name"] = format!("{}-check", name.trim_end_matches(['.', '-'])).into();
    // Addresses and ports that the old object still has.
    if kind == "Service"
        && let Some(spec) = copy["spec"].as_object_mut()
    {
        for field in [
            "clusterIP",
            "clusterIPs",
            "healthCheckNodePort",
            "loadBalancerIP",
        ] {
            if spec.get(field).is_some_and(|value| value != "None") {
                spec.shift_remove(field);
            }
        }
        for port in spec
            .get_mut("ports")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if let Some(port) = port.as_object_mut() {
                port.shift_remove("nodePort");
            }
        }
    }
    Some(copy)
}

/// The old object without what the server says, so that it can be created again.
fn restore(live: &Value) -> Value {
    let mut object = live.clone();
    let remove = |object: &mut Value, pointer: &str, fields: &[&str]| {
        if let Some(map) = object.pointer_mut(pointer).and_then(Value::as_object_mut) {
            fields.iter().for_each(|field| {
                map.shift_remove(*field);
            });
        }
    };
    remove(&mut object, "", &["status"]);
    let server = [
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "selfLink",
    ];
    remove(&mut object, "/metadata", &server);
    match json::text(live, "/kind") {
        // A Job's selector and these labels are made up from the uid of the old one.
        "Job" if live.pointer("/spec/manualSelector") != Some(&Value::Bool(true)) => {
            let labels = [
                "controller-uid",
                "batch.kubernetes.io/controller-uid",
                "job-name",
                "batch.kubernetes.io/job-name",
            ];
            remove(&mut object, "/spec", &["selector"]);
            remove(&mut object, "/metadata/labels", &labels);
            remove(&mut object, "/spec/template/metadata/labels", &labels);
        }
        "Pod" => remove(&mut object, "/spec", &["nodeName"]),
        "PersistentVolume" => remove(&mut object, "/spec/claimRef", &["uid", "resourceVersion"]),
        _ => {}
    }
    object
}

/// What somebody approves to have one object deleted or replaced: the plan's hash and the object.
#[must_use]
pub fn object_approval(hash: &str, key: &ObjectKey) -> String {
    let kind = if key.group.is_empty() {
        key.kind.clone()
    } else {
        format!("{}.{}", key.kind, key.group)
    };
    match &key.namespace {
        Some(namespace) => format!("{hash}/{kind}/{namespace}/{}", key.name),
        None => format!("{hash}/{kind}/{}", key.name),
    }
}
