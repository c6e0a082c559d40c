//! Deployment, ReplicaSet, StatefulSet, DaemonSet and ReplicationController.
//!
//! Facts: `pkg/apis/apps/v1/defaults.go`, `pkg/apis/apps/validation/validation.go`.

use serde_json::{Value, json};

use super::{Strategy, pod_defaults, pod_validate, validate as rules};
use crate::{
    json::{
        as_map, at, default, default_str, entry_map, int_at, list_at, map_at, str_at, with_map,
    },
    status::{Cause, FieldError},
};

pub(crate) struct Deployment;
pub(crate) struct ReplicaSet;
pub(crate) struct StatefulSet;
pub(crate) struct DaemonSet;
pub(crate) struct ReplicationController;

impl Strategy for Deployment {
    /// Controllers read wishes from a Deployment's annotations (`deployment/strategy.go`).
    fn counts_change(&self, new: &Value, old: &Value) -> bool {
        at(new, &["metadata", "annotations"]) != at(old, &["metadata", "annotations"])
    }

    fn has_generation(&self) -> bool {
        true
    }

    fn default(&self, object: &mut Value) {
        let spec = entry_map(as_map(object), "spec");
        default(spec, "replicas", 1);
        pod_defaults::template(entry_map(spec, "template"));
        let strategy = entry_map(spec, "strategy");
        default_str(strategy, "type", "RollingUpdate");
        if strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate") {
            let rolling = entry_map(strategy, "rollingUpdate");
            default(rolling, "maxUnavailable", "25%");
            default(rolling, "maxSurge", "25%");
        }
        default(spec, "revisionHistoryLimit", 10);
        default(spec, "progressDeadlineSeconds", 600);
    }

    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        common(object, causes);
        let strategy = at(object, &["spec", "strategy"]).unwrap_or(&Value::Null);
        let kind = str_at(strategy, &["type"]);
        match kind {
            "Recreate" => {
                if strategy.get("rollingUpdate").is_some_and(|v| !v.is_null()) {
                    let why = "may not be specified when strategy `type` is 'Recreate'";
                    causes.push(Cause::forbidden("spec.strategy.rollingUpdate", why));
                }
            }
            "RollingUpdate" => {
                let rolling = strategy.get("rollingUpdate").unwrap_or(&Value::Null);
                let path = "spec.strategy.rollingUpdate";
                rules::int_or_percent(rolling, path, "maxUnavailable", true, causes);
                rules::int_or_percent(rolling, path, "maxSurge", false, causes);
                let zero = |field| {
                    rolling
                        .get(field)
                        .is_some_and(|v| v.as_i64() == Some(0) || v.as_str() == Some("0%"))
                };
                if zero("maxUnavailable") && zero("maxSurge") {
                    let why = "may not be 0 when `maxSurge` is 0";
                    let value = rolling.get("maxUnavailable").unwrap_or(&Value::Null);
                    causes.push(Cause::invalid(format!("{path}.maxUnavailable"), value, why));
                }
            }
            other => causes.push(Cause::unsupported(
                "spec.strategy.type",
                &other.into(),
                &["Recreate", "RollingUpdate"],
            )),
        }
        let ready = int_at(object, &["spec", "minReadySeconds"]).unwrap_or(0);
        if let Some(deadline) = int_at(object, &["spec", "progressDeadlineSeconds"])
            && deadline <= ready
        {
            let why = "must be greater than minReadySeconds";
            causes.push(Cause::invalid(
                "spec.progressDeadlineSeconds",
                &deadline.into(),
                why,
            ));
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, causes: &mut Vec<FieldError>) {
        rules::immutable(new, old, &["spec", "selector"], causes);
    }
}

impl Strategy for ReplicaSet {
    fn has_generation(&self) -> bool {
        true
    }

    fn default(&self, object: &mut Value) {
        let spec = entry_map(as_map(object), "spec");
        default(spec, "replicas", 1);
        pod_defaults::template(entry_map(spec, "template"));
    }

    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        common(object, causes);
    }

    fn validate_update(&self, new: &Value, old: &Value, causes: &mut Vec<FieldError>) {
        rules::immutable(new, old, &["spec", "selector"], causes);
    }
}

impl Strategy for StatefulSet {
    fn has_generation(&self) -> bool {
        true
    }

    fn default(&self, object: &mut Value) {
        let spec = entry_map(as_map(object), "spec");
        default_str(spec, "podManagementPolicy", "OrderedReady");
        let update = entry_map(spec, "updateStrategy");
        default_str(update, "type", "RollingUpdate");
        if update.get("type").and_then(Value::as_str) == Some("RollingUpdate") {
            let rolling = entry_map(update, "rollingUpdate");
            default(rolling, "partition", 0);
        }
        let retention = entry_map(spec, "persistentVolumeClaimRetentionPolicy");
        default_str(retention, "whenDeleted", "Retain");
        default_str(retention, "whenScaled", "Retain");
        default(spec, "replicas", 1);
        default(spec, "revisionHistoryLimit", 10);
        pod_defaults::template(entry_map(spec, "template"));
        if let Some(Value::Array(claims)) = spec.get_mut("volumeClaimTemplates") {
            for claim in claims {
                let claim = as_map(claim);
                default(claim, "apiVersion", "v1");
                default(claim, "kind", "PersistentVolumeClaim");
                default(entry_map(claim, "spec"), "volumeMode", "Filesystem");
                default_str(entry_map(claim, "status"), "phase", "Pending");
            }
        }
    }

    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        common(object, causes);
        let policy = str_at(object, &["spec", "podManagementPolicy"]);
        if !matches!(policy, "OrderedReady" | "Parallel") {
            let allowed = &["OrderedReady", "Parallel"];
            causes.push(Cause::unsupported(
                "spec.podManagementPolicy",
                &policy.into(),
                allowed,
            ));
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, causes: &mut Vec<FieldError>) {
        const FREE: [&str; 8] = [
            "replicas",
            "ordinals",
            "template",
            "updateStrategy",
            "revisionHistoryLimit",
            "persistentVolumeClaimRetentionPolicy",
            "minReadySeconds",
            "status",
        ];
        let fixed = |object: &Value| {
            let mut spec = map_at(object, &["spec"]).cloned().unwrap_or_default();
            spec.retain(|field, _| !FREE.contains(&field.as_str()));
            spec
        };
        if fixed(new) != fixed(old) {
            causes.push(Cause::forbidden(
                "spec",
                "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                 'minReadySeconds' are forbidden",
            ));
        }
    }
}

impl Strategy for DaemonSet {
    fn has_generation(&self) -> bool {
        true
    }

    fn default(&self, object: &mut Value) {
        let spec = entry_map(as_map(object), "spec");
        pod_defaults::template(entry_map(spec, "template"));
        let update = entry_map(spec, "updateStrategy");
        default_str(update, "type", "RollingUpdate");
        if update.get("type").and_then(Value::as_str) == Some("RollingUpdate") {
            let rolling = entry_map(update, "rollingUpdate");
            default(rolling, "maxUnavailable", 1);
            default(rolling, "maxSurge", 0);
        }
        default(spec, "revisionHistoryLimit", 10);
    }

    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        common(object, causes);
    }

    fn validate_update(&self, new: &Value, old: &Value, causes: &mut Vec<FieldError>) {
        rules::immutable(new, old, &["spec", "selector"], causes);
    }
}

impl Strategy for ReplicationController {
    fn has_generation(&self) -> bool {
        true
    }

    fn default(&self, object: &mut Value) {
        let labels = map_at(object, &["spec", "template", "metadata", "labels"]).cloned();
        if let Some(labels) = labels {
            default(
                entry_map(as_map(object), "spec"),
                "selector",
                labels.clone(),
            );
            default(entry_map(as_map(object), "metadata"), "labels", labels);
        }
        let spec = entry_map(as_map(object), "spec");
        default(spec, "replicas", 1);
        with_map(spec, "template", pod_defaults::template);
    }

    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        replicas(object, causes);
        let selector = map_at(object, &["spec", "selector"]);
        if selector.is_none_or(|s| s.is_empty()) {
            causes.push(Cause::required("spec.selector", ""));
        }
        match at(object, &["spec", "template"]) {
            None => causes.push(Cause::required("spec.template", "")),
            Some(template) => {
                pod_validate::template(template, "spec.template", &["Always"], causes)
            }
        }
    }
}

fn replicas(object: &Value, causes: &mut Vec<FieldError>) {
    for field in ["replicas", "minReadySeconds", "revisionHistoryLimit"] {
        if let Some(number) = int_at(object, &["spec", field])
            && number < 0
        {
            let why = "must be greater than or equal to 0";
            causes.push(Cause::invalid(format!("spec.{field}"), &number.into(), why));
        }
    }
}

/// What all workloads of the group `apps` have in common.
fn common(object: &Value, causes: &mut Vec<FieldError>) {
    replicas(object, causes);
    let selector = at(object, &["spec", "selector"]).unwrap_or(&Value::Null);
    let empty = map_at(selector, &["matchLabels"]).is_none_or(|m| m.is_empty())
        && list_at(selector, &["matchExpressions"]).is_empty();
    let template = at(object, &["spec", "template"]).unwrap_or(&Value::Null);
    if selector.is_null() {
        causes.push(Cause::required("spec.selector", ""));
    } else if empty {
        let why = "empty selector is invalid for deployment";
        causes.push(Cause::invalid("spec.selector", &json!({}), why));
    } else {
        rules::label_selector(selector, "spec.selector", causes);
    }
    let labels = at(template, &["metadata", "labels"]).unwrap_or(&Value::Null);
    if !selector.is_null() && !empty && !rules::selects(selector, labels) {
        let why = "`selector` does not match template `labels`";
        causes.push(Cause::invalid("spec.template.metadata.labels", labels, why));
    }
    pod_validate::template(template, "spec.template", &["Always"], causes);
}
