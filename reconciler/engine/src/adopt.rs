//! Takes over objects that kubectl applied: its entries in `managedFields` become ours.
//!
//! Without it a field that kubectl wrote stays for ever: nobody declares it any more, and server-side
//! apply removes only what its own manager declared before (fluxcd/pkg `PatchReplaceFieldsManagers`).

use ordain_reconciler_plan::MANAGER;
use serde_json::{Map, Value, json};

/// Where kubectl's client-side apply keeps what it applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Entries that become ours: kubectl's by any name, the one the server makes up for objects that had no
/// managers yet, and our own of another operation.
fn is_taken(entry: &Value) -> bool {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    let (manager, operation) = (text("manager"), text("operation"));
    text("subresource").is_empty()
        // A restart asked for by `kubectl rollout restart` is no field that anybody declared.
        && ((manager.starts_with("kubectl") && manager != "kubectl-rollout")
            || (manager == "before-first-apply" && operation == "Update")
            || (manager == MANAGER && operation == "Update"))
}

/// Returns a JSON patch (RFC 6902) that adopts the object, or `None` when kubectl has no part in it.
///
/// The patch tests the resource version: an object that changed in between is looked at again.
pub(crate) fn patch(live: &Value) -> Option<Value> {
    let entries = live.pointer("/metadata/managedFields")?.as_array()?;
    if !entries.iter().any(is_taken) {
        return None;
    }
    let mut fields = Map::new();
    let mut kept = Vec::new();
    let ours = |entry: &Value| {
        entry["manager"] == MANAGER
            && entry["operation"] == "Apply"
            && entry.get("subresource").is_none()
    };
    for entry in entries {
        if is_taken(entry) || ours(entry) {
            merge(
                &mut fields,
                entry.get("fieldsV1").and_then(Value::as_object),
            );
        } else {
            kept.push(entry.clone());
        }
    }
    let annotation = live
        .pointer("/metadata/annotations")
        .and_then(|map| map.get(LAST_APPLIED));
    if annotation.is_some() {
        forget(
            &mut fields,
            &["f:metadata", "f:annotations", &format!("f:{LAST_APPLIED}")],
        );
    }
    kept.push(json!({
        "manager": MANAGER,
        "operation": "Apply",
        "apiVersion": live.get("apiVersion"),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }));
    let version = live.pointer("/metadata/resourceVersion")?;
    let mut patch = vec![
        json!({"op": "test", "path": "/metadata/resourceVersion", "value": version}),
        json!({"op": "replace", "path": "/metadata/managedFields", "value": kept}),
    ];
    if annotation.is_some() {
        let path = format!("/metadata/annotations/{}", LAST_APPLIED.replace('/', "~1"));
        patch.push(json!({"op": "remove", "path": path}));
    }
    Some(Value::Array(patch))
}

/// The union of two field sets.
fn merge(into: &mut Map<String, Value>, from: Option<&Map<String, Value>>) {
    for (key, value) in from.into_iter().flatten() {
        let entry = into.entry(key.clone()).or_insert_with(|| json!({}));
        if let Some(entry) = entry.as_object_mut() {
            merge(entry, value.as_object());
        }
    }
}

fn forget(fields: &mut Map<String, Value>, path: &[&str]) {
    match path {
        [] => {}
        [last] => {
            fields.shift_remove(*last);
        }
        [first, rest @ ..] => {
            if let Some(inner) = fields.get_mut(*first).and_then(Value::as_object_mut) {
                forget(inner, rest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubectls_fields_become_ours_and_others_stay() {
        let live = json!({"apiVersion": "v1", "metadata": {
        "resourceVersion": "7",
        "annotations": {LAST_APPLIED: "{}"},
        "managedFields": [
            {"manager": "kubectl-client-side-apply", "operation": "Update", "fieldsV1": {
                "f:metadata": {"f:annotations": {".": {}, format!("f:{LAST_APPLIED}"): {}}},
                "f:data": {"f:a": {}}}},
            {"manager": "ordain", "operation": "Apply", "fieldsV1": {"f:data": {"f:b": {}}}},
            {"manager": "controller", "operation": "Update", "fieldsV1": {"f:data": {"f:c": {}}}},
            {"manager": "kubectl", "operation": "Update", "subresource": "scale", "fieldsV1": {}},
        ]}});
        let wanted = json!([
            {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
            {"op": "replace", "path": "/metadata/managedFields", "value": [
                {"manager": "controller", "operation": "Update", "fieldsV1": {"f:data": {"f:c": {}}}},
                {"manager": "kubectl", "operation": "Update", "subresource": "scale", "fieldsV1": {}},
                {"manager": "ordain", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
                    "fieldsV1": {"f:metadata": {"f:annotations": {".": {}}}, "f:data": {"f:a": {}, "f:b": {}}}},
            ]},
            {"op": "remove", "path": "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"},
        ]);
        assert_eq!(patch(&live), Some(wanted));
    }

    #[test]
    fn an_object_without_kubectl_is_left_alone() {
        let live = json!({"metadata": {"resourceVersion": "7", "managedFields": [
            {"manager": "ordain", "operation": "Apply", "fieldsV1": {}}]}});
        assert_eq!(patch(&live), None);
    }
}
