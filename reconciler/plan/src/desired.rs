//! A compiled object made ready to apply: one spelling, a namespace, and the owner's mark.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{ApiVersion, ObjectKey};

/// The field manager of every write.
pub const MANAGER: &str = "ordain";

/// Set to [`MANAGER`] on objects that name no other manager; for people and for `kubectl get -l`.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

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

fn entry_map<'a>(
    parent: &'a mut Map<String, Value>,
    key: &str,
) -> Option<&'a mut Map<String, Value>> {
    let entry = parent.entry(key).or_insert_with(|| json!({}));
    if entry.is_null() {
        *entry = json!({});
    }
    entry.as_object_mut()
}

/// Spells an object as a server would, where the difference would otherwise show up as a change
/// at each look (fluxcd/pkg `ssa/normalize`).
fn normalize(object: &mut Value) {
    let kind = object
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let Some(root) = object.as_object_mut() else {
        return;
    };
    if kind != "CustomResourceDefinition" {
        root.shift_remove("status");
    }
    if let Some(metadata) = root.get_mut("metadata").and_then(Value::as_object_mut) {
        // Server-side apply refuses managedFields, and the others are the server's to say.
        for field in [
            "managedFields",
            "resourceVersion",
            "uid",
            "generation",
            "creationTimestamp",
        ] {
            metadata.shift_remove(field);
        }
    }
    if kind == "Secret" {
        string_data(root);
    }
    drop_null_timestamps(object);
}

/// Begins a text that stands for a secret until the object is sent (`lang/secrets`, `MARK`).
pub const SECRET_MARK: &str = "ordain-secret/v1:";

/// `stringData` is write-only: the server moves it into `data`, and a later read never shows it. What stands for a
/// secret stays: it has no base64 yet.
fn string_data(root: &mut Map<String, Value>) {
    let Some(Value::Object(texts)) = root.shift_remove("stringData") else {
        return;
    };
    let Some(data) = entry_map(root, "data") else {
        return;
    };
    let mut secrets = Map::new();
    for (key, text) in texts {
        match text {
            Value::String(text) if text.starts_with(SECRET_MARK) => {
                secrets.insert(key, text.into());
            }
            Value::String(text) => {
                data.insert(key, base64(text.as_bytes()).into());
            }
            _ => {}
        }
    }
    if !secrets.is_empty() {
        if data.is_empty() {
            root.shift_remove("data");
        }
        root.insert("stringData".to_owned(), Value::Object(secrets));
    }
}

/// Go clients print `creationTimestamp: null` in embedded metadata; it means nothing.
fn drop_null_timestamps(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("creationTimestamp").is_some_and(Value::is_null) {
                map.shift_remove("creationTimestamp");
            }
            map.values_mut().for_each(drop_null_timestamps);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_null_timestamps),
        _ => {}
    }
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= chunk.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(object: Value, namespaced: bool) -> Value {
        prepare(object, None, namespaced, "shop", "dev/web")
            .expect("complete")
            .object
    }

    #[test]
    fn base64_pads_as_the_rfc_says() {
        let wanted = [
            "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy",
        ];
        for (length, wanted) in wanted.iter().enumerate() {
            assert_eq!(base64(&b"foobar"[..length]), *wanted);
        }
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
