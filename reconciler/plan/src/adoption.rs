//! Taking over objects that others applied before: what has to change in `managedFields`, as a JSON patch.
//!
//! Without it a field that kubectl wrote stays for ever: nobody declares it any more, and server-side apply removes only
//! what its own manager declared before (fluxcd/pkg `PatchReplaceFieldsManagers`).

use serde_json::{Map, Value, json};

use crate::{ApiVersion, MANAGED_BY_LABEL, MANAGER, MARKED_LABEL, OWNER_ANNOTATION, json as read};

/// Where kubectl's client-side apply keeps what it applied.
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Groups that the API server brings itself. It converts their managed fields; those of custom kinds it does not.
const BUILT_IN: [&str; 25] = [
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "extensions",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "settings.k8s.io",
    "storage.k8s.io",
    "storagemigration.k8s.io",
];

/// Entries that become ours: kubectl's by any name, the one the server makes up for objects that had no managers yet, and
/// our own of another operation. Those of subresources never do.
fn is_taken(entry: &Value) -> bool {
    let (manager, operation) = (
        read::text(entry, "/manager"),
        read::text(entry, "/operation"),
    );
    read::text(entry, "/subresource").is_empty()
        // A restart asked for by `kubectl rollout restart` is no field that anybody declared.
        && ((manager.starts_with("kubectl") && manager != "kubectl-rollout")
            || (manager == "before-first-apply" && operation == "Update")
            || (manager == MANAGER && operation == "Update"))
}

fn is_ours(entry: &Value) -> bool {
    entry["manager"] == MANAGER
        && entry["operation"] == "Apply"
        && entry.get("subresource").is_none()
}

/// Returns a JSON patch (RFC 6902) that prepares a live object for an apply in `version`, or `None` when nothing has to
/// be done.
///
/// With `adopts` ([`Policy::adopts`](crate::Policy::adopts)) kubectl's entries become ours and its annotation goes. Entries
/// of a custom kind in another version are always rewritten: the server cannot convert them and refuses the apply with
/// "field not declared in schema" (fluxcd/pkg `migrateAPIVersion`). The patch tests the resource version: an object that
/// changed in between is looked at again.
#[must_use]
pub fn adoption(live: &Value, version: &ApiVersion, adopts: bool) -> Option<Value> {
    let entries = live.pointer("/metadata/managedFields")?.as_array()?;
    let annotation = read::annotation(live, LAST_APPLIED).filter(|_| adopts);
    let mut kept = entries.clone();
    if adopts && (annotation.is_some() || entries.iter().any(is_taken)) {
        kept = merged(entries, live, annotation.is_some());
    }
    if !BUILT_IN.contains(&version.group.as_str()) {
        for entry in &mut kept {
            entry["apiVersion"] = version.to_string().into();
        }
    }
    if kept == *entries && annotation.is_none() {
        return None;
    }
    let resource_version = live.pointer("/metadata/resourceVersion")?;
    let mut patch = vec![
        json!({"op": "test", "path": "/metadata/resourceVersion", "value": resource_version}),
        json!({"op": "replace", "path": "/metadata/managedFields", "value": kept}),
    ];
    if annotation.is_some() {
        let path = format!("/metadata/annotations/{}", LAST_APPLIED.replace('/', "~1"));
        patch.push(json!({"op": "remove", "path": path}));
    }
    if read::label(live, MARKED_LABEL).is_some() {
        let path = format!("/metadata/labels/{}", MARKED_LABEL.replace('/', "~1"));
        patch.push(json!({"op": "remove", "path": path}));
    }
    Some(Value::Array(patch))
}

fn merged(entries: &[Value], live: &Value, annotated: bool) -> Vec<Value> {
    let mut fields = Map::new();
    let mut kept = Vec::new();
    for entry in entries {
        if is_taken(entry) || is_ours(entry) {
            merge(&mut fields, read::map(entry, "/fieldsV1"));
        } else {
            kept.push(entry.clone());
        }
    }
    if annotated {
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
    kept
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

/// Returns a JSON patch that takes our owner's mark off an object which is given away, so that nobody rebuilds an inventory
/// with it and no watch of ours hears of it; `None` when it carries none.
#[must_use]
pub fn release(live: &Value) -> Option<Value> {
    read::annotation(live, OWNER_ANNOTATION)?;
    let version = live.pointer("/metadata/resourceVersion")?;
    let path = format!(
        "/metadata/annotations/{}",
        OWNER_ANNOTATION.replace('/', "~1")
    );
    let mut patch = vec![
        json!({"op": "test", "path": "/metadata/resourceVersion", "value": version}),
        json!({"op": "remove", "path": path}),
    ];
    if read::label(live, MANAGED_BY_LABEL) == Some(MANAGER) {
        let path = format!("/metadata/labels/{}", MANAGED_BY_LABEL.replace('/', "~1"));
        patch.push(json!({"op": "remove", "path": path}));
    }
    Some(Value::Array(patch))
}
