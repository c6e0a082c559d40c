//! A compiled object made ready to apply: one spelling, a namespace, and the owner's mark.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{ApiVersion, ObjectKey, normalize::normalize};

/// The field manager of every write.
pub const MANAGER: &str = "ordain";

/// Set to [`MANAGER`] on objects that name no other manager; for people and for `kubectl get -l`.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// Set to `true` on objects that name another manager, so that a server can be asked for them all the same.
pub const MARKED_LABEL: &str = "ordain.dev/marked";

/// The owner's mark: `<environment>/<app>`. An object without ours is never deleted.
pub const OWNER_ANNOTATION: &str = "ordain.dev/app";

/// An object as it is to be applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Desired {
    /// Its identity.
    pub key: ObjectKey,
    /// The version to apply it in.
    pub version: ApiVersion,
    /// The object itself.
    pub object: Value,
    /// `file:line` of its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// Prepares one compiled object.
///
/// `namespaced` says whether the kind lives in namespaces: a namespaced object without one goes to
/// `namespace`, a cluster-wide object loses a stray one (kustomize-controller 1.8.5 took it for
/// another object and deleted the old one).
///
/// Returns `None` when the object has no kind or name.
#[must_use]
pub fn prepare(
    mut object: Value,
    at: Option<String>,
    namespaced: bool,
    namespace: &str,
    owner: &str,
) -> Option<Desired> {
    ObjectKey::of(&object)?;
    normalize(&mut object);
    let metadata = object.get_mut("metadata")?.as_object_mut()?;
    if !namespaced {
        metadata.shift_remove("namespace");
    } else if metadata
        .get("namespace")
        .and_then(Value::as_str)
        .is_none_or(str::is_empty)
    {
        metadata.insert("namespace".to_owned(), namespace.into());
    }
    let labels = entry_map(metadata, "labels")?;
    labels
        .entry(MANAGED_BY_LABEL)
        .or_insert_with(|| MANAGER.into());
    if labels.get(MANAGED_BY_LABEL).is_some_and(|by| by != MANAGER) {
        labels.insert(MARKED_LABEL.to_owned(), "true".into());
    }
    entry_map(metadata, "annotations")?.insert(OWNER_ANNOTATION.to_owned(), owner.into());
    let key = ObjectKey::of(&object)?;
    let version = ApiVersion::parse(object.get("apiVersion")?.as_str()?);
    Some(Desired {
        key,
        version,
        object,
        at,
    })
}

pub(crate) fn entry_map<'a>(
    parent: &'a mut Map<String, Value>,
    key: &str,
) -> Option<&'a mut Map<String, Value>> {
    let entry = parent.entry(key).or_insert_with(|| json!({}));
    if entry.is_null() {
        *entry = json!({});
    }
    entry.as_object_mut()
}

/// Begins a text that stands for a secret until the object is sent (`lang/secrets`, `MARK`).
pub const SECRET_MARK: &str = "ordain-secret/v1:";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(object: Value, namespaced: bool) -> Value {
        prepare(object, None, namespaced, "shop", "dev/web")
            .expect("complete")
            .object
    }

    #[test]
    fn a_namespaced_object_gets_a_namespace_and_the_marks() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
        let wanted = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": "a", "namespace": "shop",
                "labels": {"app.kubernetes.io/managed-by": "ordain"},
                "annotations": {"ordain.dev/app": "dev/web"},
            },
        });
        assert_eq!(check(object, true), wanted);
    }

    #[test]
    fn one_that_names_another_manager_can_be_found_as_well() {
        let metadata = json!({"name": "a", "labels": {"app.kubernetes.io/managed-by": "Helm"}});
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
        let wanted = json!({"app.kubernetes.io/managed-by": "Helm", "ordain.dev/marked": "true"});
        assert_eq!(check(object, true)["metadata"]["labels"], wanted);
    }

    #[test]
    fn a_stray_namespace_does_not_change_a_cluster_wide_identity() {
        let metadata = json!({"name": "a", "namespace": "stray", "creationTimestamp": null});
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
        let object = check(object, false);
        assert_eq!(object.pointer("/metadata/namespace"), None);
        assert_eq!(object.pointer("/metadata/creationTimestamp"), None);
    }

    #[test]
    fn what_stands_for_a_secret_stays_as_it_is() {
        let reference = format!("{SECRET_MARK}{{}}");
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"},
            "stringData": {"a": reference, "b": "foo"},
        });
        let object = check(object, true);
        assert_eq!(object["data"], json!({"b": "Zm9v"}));
        assert_eq!(object["stringData"], json!({"a": reference}));
    }

    #[test]
    fn what_a_secret_writes_is_what_a_later_read_shows() {
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"},
            "data": {"b": "eA=="}, "stringData": {"a": "foo"}, "status": {},
        });
        let object = check(object, true);
        assert_eq!(object["data"], json!({"b": "eA==", "a": "Zm9v"}));
        assert_eq!(
            (object.get("stringData"), object.get("status")),
            (None, None)
        );
    }
}
