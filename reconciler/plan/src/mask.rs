//! Secrets are never shown, stored in a plan or sent to a terminal: only that they differ.

use serde_json::Value;

use crate::{Change, FieldChange, ObjectKey};

/// Stands for a secret value.
pub const MASK: &str = "(secret)";

/// Where kubectl keeps a copy of everything that was applied, values included.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Replaces the values of a Secret's fields in changes.
pub(crate) fn mask(key: &ObjectKey, changes: &mut [FieldChange]) {
    if !key.is("", "Secret") {
        return;
    }
    for FieldChange { path, change, .. } in changes {
        let root = path.split(['.', '[']).next().unwrap_or_default();
        let whole = matches!(root, "data" | "stringData") || path.contains(LAST_APPLIED);
        let values: &mut [&mut Value] = match change {
            Change::Added { new } => &mut [new],
            Change::Removed { old } => &mut [old],
            Change::Changed { old, new } => &mut [old, new],
        };
        for value in values {
            if whole {
                hide(value);
            } else if let Some(copy) = value.get_mut(LAST_APPLIED) {
                hide(copy);
            }
        }
    }
}

/// Keeps the keys of a map: which entries a Secret has is no secret.
fn hide(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(hide),
        other => *other = MASK.into(),
    }
}
