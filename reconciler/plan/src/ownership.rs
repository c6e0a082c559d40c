//! Which fields a forced apply takes away from other managers, read from `managedFields`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{MANAGER, managed};

/// Fields that another manager loses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Who had them.
    pub manager: String,
    /// When it wrote them last, as the server says (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The fields.
    pub fields: Vec<String>,
}

/// Compares `managedFields` of the live object with those of the dry run.
///
/// Entries of subresources (`status`, `scale`) are left out: they are not ours to take.
#[must_use]
pub fn taken(live: &Value, dry_run: &Value) -> Vec<Taken> {
    let after = managers(dry_run);
    let lost = managers(live).into_iter().filter_map(|(manager, before)| {
        let kept = after.get(&manager);
        let lost = before.fields.into_iter();
        let fields: Vec<_> = lost
            .filter(|field| !kept.is_some_and(|kept| kept.fields.contains(field)))
            .collect();
        (!fields.is_empty()).then_some(Taken {
            manager,
            time: before.time,
            fields,
        })
    });
    lost.collect()
}

/// What one manager has, whatever the operations and versions it wrote with.
#[derive(Default)]
struct Held {
    fields: BTreeSet<String>,
    time: Option<String>,
}

fn managers(object: &Value) -> BTreeMap<String, Held> {
    let mut managers: BTreeMap<_, Held> = BTreeMap::new();
    for entry in managed::entries(object) {
        if entry.manager != MANAGER && entry.subresource.is_empty() {
            let held = managers.entry(entry.manager.to_owned()).or_default();
            // Times of one form sort as they follow each other.
            held.time = held.time.take().max(entry.time.map(str::to_owned));
            if let Some(fields) = entry.fields() {
                leaves(&mut String::new(), fields, &mut held.fields);
            }
        }
    }
    managers
}

/// Field paths of a FieldsV1 (structured-merge-diff `fieldpath/serialize.go`): `f:` fields, `k:` keyed
/// elements, `v:` set elements, `.` the thing itself.
fn leaves(path: &mut String, fields: &Map<String, Value>, out: &mut BTreeSet<String>) {
    let children: Vec<_> = fields.iter().filter(|(key, _)| *key != ".").collect();
    if children.is_empty() {
        if !path.is_empty() {
            out.insert(path.clone());
        }
        return;
    }
    for (key, inner) in children {
        let length = path.len();
        match key.split_once(':') {
            Some(("f", name)) if path.is_empty() => path.push_str(name),
            Some(("f", name)) => {
                path.push('.');
                path.push_str(name);
            }
            Some((_, rest)) => {
                path.push('[');
                path.push_str(&key_values(rest));
                path.push(']');
            }
            None => path.push_str(key),
        }
        if let Some(inner) = inner.as_object() {
            leaves(path, inner, out);
        }
        path.truncate(length);
    }
}

/// `{"containerPort":80,"protocol":"TCP"}` reads better as `80,TCP`.
fn key_values(text: &str) -> String {
    let plain = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(map)) => map.values().map(plain).collect::<Vec<_>>().join(","),
        Ok(value) => plain(&value),
        Err(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_that_leave_another_manager_are_named() {
        let live = json!({"metadata": {"managedFields": [
            {"manager": "kubectl-edit", "operation": "Update", "time": "2026-01-02T03:04:05Z", "fieldsV1": {
                "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {
                    "k:{\"name\":\"web\"}": {".": {}, "f:image": {}}}}}}}},
            {"manager": "kubelet", "subresource": "status", "fieldsV1": {"f:status": {}}},
        ]}});
        let dry_run = json!({"metadata": {"managedFields": [
            {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {
                "f:spec": {"f:replicas": {}}}},
            {"manager": "ordain", "operation": "Apply", "fieldsV1": {}},
        ]}});
        let fields = vec!["spec.template.spec.containers[web].image".to_owned()];
        let manager = "kubectl-edit".to_owned();
        let time = Some("2026-01-02T03:04:05Z".to_owned());
        assert_eq!(
            taken(&live, &dry_run),
            [Taken {
                manager,
                time,
                fields
            }]
        );
        assert_eq!(taken(&live, &live), []);
    }
}
