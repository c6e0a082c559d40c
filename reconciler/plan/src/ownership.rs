//! Which fields a forced apply takes away from other managers, read from `managedFields`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::MANAGER;

/// Fields that another manager loses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Who had them.
    pub manager: String,
    /// The fields.
    pub fields: Vec<String>,
}

/// Compares `managedFields` of the live object with those of the dry run.
///
/// Entries of subresources (`status`, `scale`) are left out: they are not ours to take.
#[must_use]
pub fn taken(live: &Value, dry_run: &Value) -> Vec<Taken> {
    let after = managers(dry_run);
    let lost = managers(live).into_iter().filter_map(|(manager, fields)| {
        let kept = after.get(&manager);
        let lost = fields
            .into_iter()
            .filter(|field| !kept.is_some_and(|kept| kept.contains(field)));
        let fields: Vec<_> = lost.collect();
        (!fields.is_empty()).then_some(Taken { manager, fields })
    });
    lost.collect()
}

fn managers(object: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut managers: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let entries = object
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array);
    for entry in entries.into_iter().flatten() {
        let name = entry
            .get("manager")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let sub = entry
            .get("subresource")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if name != MANAGER && sub.is_empty() {
            let fields = managers.entry(name.to_owned()).or_default();
            leaves(
                &mut String::new(),
                entry.get("fieldsV1").unwrap_or(&Value::Null),
                fields,
            );
        }
    }
    managers
}

/// Field paths of a FieldsV1 (structured-merge-diff `fieldpath/serialize.go`): `f:` fields, `k:` keyed
/// elements, `v:` set elements, `.` the thing itself.
fn leaves(path: &mut String, fields: &Value, out: &mut BTreeSet<String>) {
    let Some(map) = fields.as_object() else {
        return;
    };
    let children: Vec<_> = map.iter().filter(|(key, _)| *key != ".").collect();
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
        leaves(path, inner, out);
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
            {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {
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
        assert_eq!(taken(&live, &dry_run), [Taken { manager, fields }]);
        assert_eq!(taken(&live, &live), []);
    }
}
