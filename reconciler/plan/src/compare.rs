//! Whether a dry run would change a live object. Equal means: do not write.

use serde_json::{Map, Value};

use crate::digest;

/// True when applying would change something that somebody declared: labels, annotations, or anything
/// outside of `metadata` and `status` (fluxcd/pkg `ssa/manager_diff.go`, `hasDrifted`).
#[must_use]
pub fn differs(live: &Value, dry_run: &Value) -> bool {
    declared(live) != declared(dry_run)
}

/// A digest of what [`differs`] compares, to notice a change without keeping the object.
///
/// Annotations that Kubernetes' own controllers keep up to date are left out: each rollout would look
/// like somebody's edit.
#[must_use]
pub fn fingerprint(object: &Value) -> String {
    let mut declared = declared(object);
    let annotations = declared
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut);
    if let Some(annotations) = annotations {
        annotations.retain(|key, _| !CONTROLLERS.contains(&key.as_str()));
    }
    digest(&declared)
}

/// Written by the Deployment and Job controllers.
const CONTROLLERS: [&str; 4] = [
    "deployment.kubernetes.io/revision",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "batch.kubernetes.io/job-tracking",
];

/// The part of an object that people and controllers declare.
pub(crate) fn declared(object: &Value) -> Value {
    let Some(root) = object.as_object() else {
        return object.clone();
    };
    let mut part = Map::new();
    for (key, value) in root {
        match key.as_str() {
            "status" => {}
            "metadata" => {
                let metadata = value.as_object().into_iter().flatten();
                let kept = metadata.filter(|(key, value)| {
                    // An empty map and none are the same to every server.
                    matches!(
                        key.as_str(),
                        "labels" | "annotations" | "finalizers" | "ownerReferences"
                    ) && !value.as_object().is_some_and(Map::is_empty)
                });
                let kept = kept.map(|(key, value)| (key.clone(), value.clone()));
                part.insert("metadata".to_owned(), Value::Object(kept.collect()));
            }
            _ => {
                part.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(part)
}
