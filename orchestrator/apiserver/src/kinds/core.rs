//! Namespaces, nodes, configuration, volumes, events and leases.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{NameRule, Strategy, validate as rules};
use crate::{
    json::{as_map, at, default, default_str, entry_map, int_at, list_at, map_at, str_at, take},
    status::{Cause, FieldError},
};

pub(crate) struct Namespace;
pub(crate) struct Node;
pub(crate) struct ConfigMap;
pub(crate) struct Secret;
pub(crate) struct PersistentVolume;
pub(crate) struct PersistentVolumeClaim;
pub(crate) struct Event;
pub(crate) struct Lease;

/// All values of a ConfigMap or Secret together: 1 MiB, as upstream's `MaxSecretSize`.
const DATA_BYTES_MAX: usize = 1 << 20;

impl Strategy for Namespace {
    fn default(&self, object: &mut Value) {
        let name = str_at(object, &["metadata", "name"]).to_owned();
        if !name.is_empty() {
            let labels = entry_map(entry_map(as_map(object), "metadata"), "labels");
            labels.insert("kubernetes.io/metadata.name".into(), name.into());
        }
    }

    fn prepare_create(&self, object: &mut Value) {
        object["status"] = json!({"phase": "Active"});
        let spec = spec_of(object);
        // The namespace controller takes it away when nothing is left inside.
        let list = spec.entry("finalizers").or_insert_with(|| json!([]));
        if !list
            .as_array()
            .is_some_and(|l| l.iter().any(|f| f == "kubernetes"))
        {
            *list = json!(["kubernetes"]);
        }
    }

    fn prepare_update(&self, new: &mut Value, old: &Value) {
        if let Some(finalizers) = at(old, &["spec", "finalizers"]) {
            spec_of(new).insert("finalizers".into(), finalizers.clone());
        }
    }

    fn name_rule(&self) -> NameRule {
        NameRule::Label
    }
}

fn spec_of(object: &mut Value) -> &mut serde_json::Map<String, Value> {
    entry_map(as_map(object), "spec")
}

impl Strategy for Node {
    fn default(&self, object: &mut Value) {
        entry_map(as_map(object), "spec");
        entry_map(as_map(object), "status");
    }

    /// A node agent registers with its addresses and capacity in place.
    fn keeps_status_on_create(&self) -> bool {
        true
    }

    fn validate_update(&self, new: &Value, old: &Value, causes: &mut Vec<FieldError>) {
        for field in ["podCIDR", "providerID"] {
            if !str_at(old, &["spec", field]).is_empty() {
                rules::immutable(new, old, &["spec", field], causes);
            }
        }
    }
}

/// Checks the keys of `data` and `binaryData` and the size of all of it.
fn data(object: &Value, fields: &[&str], causes: &mut Vec<FieldError>) {
    let mut size = 0;
    for field in fields {
        for (key, value) in map_at(object, &[field]).into_iter().flatten() {
            let good = key
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
            if !good || key.is_empty() || key.len() > 253 || key == "." || key.starts_with("..") {
                let why = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
                causes.push(Cause::invalid(
                    format!("{field}[{key}]"),
                    &key.as_str().into(),
                    why,
                ));
            }
            size += value.as_str().map_or(0, str::len);
        }
    }
    // Bytes are measured as base64; a third more is what they may be.
    if size > DATA_BYTES_MAX * 4 / 3 {
        causes.push(FieldError::too_long(fields[0], DATA_BYTES_MAX));
    }
}

/// Once an object says `immutable: true`, its content and the flag stay.
fn frozen(new: &Value, old: &Value, fields: &[&str], causes: &mut Vec<FieldError>) {
    if old["immutable"] != Value::Bool(true) {
        return;
    }
    for field in fields.iter().chain(&["immutable"]) {
        if at(new, &[field]) != at(old, &[field]) {
            let why = "field is immutable when `immutable` is set";
            causes.push(Cause::forbidden(*field, why));
        }
    }
}

impl Strategy for ConfigMap {
    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        data(object, &["data", "binaryData"], causes);
        let binary = map_at(object, &["binaryData"]);
        for key in map_at(object, &["data"]).into_iter().flat_map(|m| m.keys()) {
            if binary.is_some_and(|b| b.contains_key(key)) {
                let why = "duplicate of key present in data";
                causes.push(Cause::invalid(
                    format!("binaryData[{key}]"),
                    &key.as_str().into(),
                    why,
                ));
            }
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, causes: &mut Vec<FieldError>) {
        frozen(new, old, &["data", "binaryData"], causes);
    }
}

impl Strategy for Secret {
    fn default(&self, object: &mut Value) {
        default_str(as_map(object), "type", "Opaque");
        // `stringData` is a way to write, never stored.
        if let Some(Value::Object(strings)) = take(object, &[], "stringData") {
            let data = entry_map(as_map(object), "data");
            for (key, value) in strings {
                let text = value.as_str().unwrap_or("");
                data.insert(key, STANDARD.encode(text).into());
            }
        }
    }

    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        data(object, &["data"], causes);
        let has = |key: &str| at(object, &["data", key]).is_some();
        let wanted: &[&str] = match str_at(object, &["type"]) {
            "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
            "kubernetes.io/dockercfg" => &[".dockercfg"],
            "kubernetes.io/tls" => &["tls.crt", "tls.key"],
            "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
            _ => &[],
        };
        for key in wanted.iter().filter(|k| !has(k)) {
            causes.push(Cause::required(format!("data[{key}]"), ""));
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, causes: &mut Vec<FieldError>) {
        frozen(new, old, &["data"], causes);
        rules::immutable(new, old, &["type"], causes);
    }
}

impl Strategy for PersistentVolume {
    fn default(&self, object: &mut Value) {
        let spec = entry_map(as_map(object), "spec");
        default_str(spec, "persistentVolumeReclaimPolicy", "Retain");
        default_str(spec, "volumeMode", "Filesystem");
    }

    fn prepare_create(&self, object: &mut Value) {
        object["status"] = json!({"phase": "Pending"});
    }

    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        if list_at(object, &["spec", "accessModes"]).is_empty() {
            causes.push(Cause::required("spec.accessModes", ""));
        }
        if at(object, &["spec", "capacity", "storage"]).is_none() {
            causes.push(Cause::required("spec.capacity", ""));
        }
    }
}

impl Strategy for PersistentVolumeClaim {
    fn default(&self, object: &mut Value) {
        let spec = entry_map(as_map(object), "spec");
        default_str(spec, "volumeMode", "Filesystem");
    }

    fn prepare_create(&self, object: &mut Value) {
        object["status"] = json!({"phase": "Pending"});
    }

    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        if list_at(object, &["spec", "accessModes"]).is_empty() {
            causes.push(Cause::required(
                "spec.accessModes",
                "at least 1 access mode is required",
            ));
        }
        if at(object, &["spec", "resources", "requests", "storage"]).is_none() {
            causes.push(Cause::required("spec.resources[storage]", ""));
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, causes: &mut Vec<FieldError>) {
        for field in ["accessModes", "storageClassName", "volumeMode", "selector"] {
            if at(old, &["spec", field]).is_some() {
                rules::immutable(new, old, &["spec", field], causes);
            }
        }
        if !str_at(old, &["spec", "volumeName"]).is_empty() {
            rules::immutable(new, old, &["spec", "volumeName"], causes);
        }
    }
}

impl Strategy for Event {
    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        let namespace = str_at(object, &["metadata", "namespace"]);
        let about = str_at(object, &["involvedObject", "namespace"]);
        let fits = about == namespace || (about.is_empty() && matches!(namespace, "" | "default"));
        if !fits && namespace != "kube-system" {
            let why = "does not match event.namespace";
            causes.push(Cause::invalid(
                "involvedObject.namespace",
                &about.into(),
                why,
            ));
        }
    }

    fn create_on_update(&self) -> bool {
        true
    }
}

impl Strategy for Lease {
    fn default(&self, object: &mut Value) {
        default(as_map(object), "spec", json!({}));
    }

    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        if let Some(seconds) = int_at(object, &["spec", "leaseDurationSeconds"])
            && seconds <= 0
        {
            let why = "must be greater than 0";
            causes.push(Cause::invalid(
                "spec.leaseDurationSeconds",
                &seconds.into(),
                why,
            ));
        }
    }

    fn create_on_update(&self) -> bool {
        true
    }

    fn needs_resource_version(&self) -> bool {
        true
    }
}
