//! What a field manager applied, read back from a live object: its fields and nothing that others wrote or defaulted
//! (Kubernetes API concepts, "Server-Side Apply", `managedFields`; structured-merge-diff, `fieldpath/serialize.go`).

use serde_json::{Map, Value};

/// Returns the part of a live object that `manager` applied; `None` when it applied nothing.
#[must_use]
pub fn applied_fields(live: &Value, manager: &str) -> Option<Value> {
    let entries = live.pointer("/metadata/managedFields")?.as_array()?;
    let entry = entries.iter().find(|entry| {
        entry["manager"] == manager
            && entry["operation"] == "Apply"
            && entry
                .get("subresource")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .is_empty()
    })?;
    let fields = entry.get("fieldsV1")?.as_object()?;
    let mut part = extract(live, fields);
    let root = part.as_object_mut()?;
    for name in ["apiVersion", "kind"] {
        root.insert(name.to_owned(), live.get(name)?.clone());
    }
    let metadata = root
        .entry("metadata")
        .or_insert_with(|| Value::Object(Map::new()))
        .as_object_mut()?;
    for name in ["name", "namespace"] {
        if let Some(value) = live["metadata"].get(name) {
            metadata.insert(name.to_owned(), value.clone());
        }
    }
    Some(part)
}

fn extract(value: &Value, fields: &Map<String, Value>) -> Value {
    if fields.keys().all(|key| key == ".") {
        return value.clone();
    }
    let child = |value: &Value, fields: &Value| match fields.as_object() {
        Some(fields) => extract(value, fields),
        None => value.clone(),
    };
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter_map(|(name, value)| {
                let fields = fields.get(&format!("f:{name}"))?;
                Some((name.clone(), child(value, fields)))
            });
            Value::Object(kept.collect())
        }
        Value::Array(items) => {
            let kept = items.iter().enumerate().filter_map(|(at, item)| {
                let (key, fields) = fields.iter().find(|(key, _)| is_element(key, at, item))?;
                let mut kept = child(item, fields);
                // The keys name the element, owned or not.
                if let (Some(names), Some(kept)) = (keys(key), kept.as_object_mut()) {
                    kept.extend(names);
                }
                Some(kept)
            });
            Value::Array(kept.collect())
        }
        other => other.clone(),
    }
}

fn keys(key: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(key.strip_prefix("k:")?).ok()
}

/// `k:{"name":"web"}`, `v:"value"` or `i:3`.
fn is_element(key: &str, at: usize, item: &Value) -> bool {
    if let Some(keys) = keys(key) {
        return keys
            .iter()
            .all(|(name, value)| item.get(name) == Some(value));
    }
    if let Some(value) = key.strip_prefix("v:") {
        return serde_json::from_str::<Value>(value).is_ok_and(|value| value == *item);
    }
    key.strip_prefix("i:").and_then(|text| text.parse().ok()) == Some(at)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_and_other_managers_fields_are_left_out() {
        let live = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "web", "namespace": "shop", "uid": "1", "labels": {"a": "1", "b": "2"},
                "managedFields": [
                    {"manager": "ordain", "operation": "Update", "fieldsV1": {"f:spec": {"f:paused": {}}}},
                    {"manager": "ordain", "operation": "Apply", "fieldsV1": {
                        "f:metadata": {"f:labels": {"f:a": {}}, "f:finalizers": {"v:\"x\"": {}}},
                        "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {
                            "k:{\"name\":\"web\"}": {".": {}, "f:image": {}}}}}}}},
                ],
                "finalizers": ["y", "x"],
            },
            "spec": {"replicas": 3, "paused": true, "template": {"spec": {"dnsPolicy": "ClusterFirst", "containers": [
                {"name": "sidecar", "image": "s:1"},
                {"name": "web", "image": "w:1", "imagePullPolicy": "Always"}]}}},
            "status": {"replicas": 3},
        });
        let wanted = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "labels": {"a": "1"}, "finalizers": ["x"]},
            "spec": {"replicas": 3, "template": {"spec": {"containers": [{"image": "w:1", "name": "web"}]}}},
        });
        assert_eq!(applied_fields(&live, "ordain"), Some(wanted));
        assert_eq!(applied_fields(&live, "kubectl"), None);
    }
}
