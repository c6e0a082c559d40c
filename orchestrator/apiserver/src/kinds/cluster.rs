//! Kinds that set a cluster up: classes, autoscalers, budgets, extensions.

use serde_json::{Value, json};

use super::{Strategy, validate as rules};
use crate::{
    json::{
        as_map, at, default, default_str, each_map, entry_map, int_at, list_at, str_at, with_map,
    },
    status::{Cause, FieldError},
};

pub(crate) struct PriorityClass;
pub(crate) struct StorageClass;
pub(crate) struct HorizontalPodAutoscaler;
pub(crate) struct PodDisruptionBudget;
pub(crate) struct CustomResourceDefinition;
pub(crate) struct SigningRequest;
pub(crate) struct Webhooks;

/// Users may not outrank the system: `HighestUserDefinablePriority`.
const USER_PRIORITY_MAX: i64 = 1_000_000_000;

impl Strategy for PriorityClass {
    fn default(&self, object: &mut Value) {
        default_str(as_map(object), "preemptionPolicy", "PreemptLowerPriority");
    }

    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        let value = int_at(object, &["value"]).unwrap_or(0);
        let system = str_at(object, &["metadata", "name"]).starts_with("system-");
        if value > USER_PRIORITY_MAX && !system {
            let why =
                format!("maximum allowed value of a user defined priority is {USER_PRIORITY_MAX}");
            causes.push(Cause::forbidden("value", &why));
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, causes: &mut Vec<FieldError>) {
        rules::immutable(new, old, &["value"], causes);
        rules::immutable(new, old, &["preemptionPolicy"], causes);
    }

    fn has_generation(&self) -> bool {
        true
    }
}

impl Strategy for StorageClass {
    fn default(&self, object: &mut Value) {
        let object = as_map(object);
        default_str(object, "reclaimPolicy", "Delete");
        default_str(object, "volumeBindingMode", "Immediate");
    }

    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        if str_at(object, &["provisioner"]).is_empty() {
            causes.push(Cause::required("provisioner", ""));
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, causes: &mut Vec<FieldError>) {
        for field in [
            "provisioner",
            "reclaimPolicy",
            "volumeBindingMode",
            "parameters",
        ] {
            rules::immutable(new, old, &[field], causes);
        }
    }
}

impl Strategy for HorizontalPodAutoscaler {
    fn default(&self, object: &mut Value) {
        let spec = entry_map(as_map(object), "spec");
        default(spec, "minReplicas", 1);
        if spec
            .get("metrics")
            .and_then(Value::as_array)
            .is_none_or(Vec::is_empty)
        {
            let target = json!({"type": "Utilization", "averageUtilization": 80});
            spec.insert(
                "metrics".into(),
                json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]),
            );
        }
        with_map(spec, "behavior", |behavior| {
            let policy =
                |kind: &str, value: i64| json!({"type": kind, "value": value, "periodSeconds": 15});
            for (direction, policies) in [
                (
                    "scaleUp",
                    json!([policy("Pods", 4), policy("Percent", 100)]),
                ),
                ("scaleDown", json!([policy("Percent", 100)])),
            ] {
                let rules = entry_map(behavior, direction);
                default(rules, "selectPolicy", "Max");
                default(rules, "policies", policies);
                if direction == "scaleUp" {
                    default(rules, "stabilizationWindowSeconds", 0);
                }
            }
        });
    }

    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        let min = int_at(object, &["spec", "minReplicas"]).unwrap_or(1);
        let max = int_at(object, &["spec", "maxReplicas"]).unwrap_or(0);
        if min < 1 {
            causes.push(Cause::invalid(
                "spec.minReplicas",
                &min.into(),
                "must be greater than or equal to 1",
            ));
        }
        if max < 1 {
            causes.push(Cause::invalid(
                "spec.maxReplicas",
                &max.into(),
                "must be greater than 0",
            ));
        } else if max < min {
            let why = "must be greater than or equal to `minReplicas`";
            causes.push(Cause::invalid("spec.maxReplicas", &max.into(), why));
        }
    }
}

impl Strategy for PodDisruptionBudget {
    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        let spec = at(object, &["spec"]).unwrap_or(&Value::Null);
        if spec.get("minAvailable").is_some() && spec.get("maxUnavailable").is_some() {
            let why = "minAvailable and maxUnavailable cannot be both set";
            causes.push(Cause::invalid("spec", spec, why));
        }
        rules::int_or_percent(spec, "spec", "minAvailable", true, causes);
        rules::int_or_percent(spec, "spec", "maxUnavailable", true, causes);
        if let Some(selector) = spec.get("selector") {
            rules::label_selector(selector, "spec.selector", causes);
        }
    }

    fn has_generation(&self) -> bool {
        true
    }
}

impl Strategy for CustomResourceDefinition {
    fn default(&self, object: &mut Value) {
        let spec = entry_map(as_map(object), "spec");
        default(entry_map(spec, "conversion"), "strategy", "None");
        with_map(spec, "names", |names| {
            let kind = names
                .get("kind")
                .and_then(Value::as_str)
                .unwrap_or("")
                .to_owned();
            if !kind.is_empty() {
                default_str(names, "singular", &kind.to_lowercase());
                default_str(names, "listKind", &format!("{kind}List"));
            }
        });
    }

    /// A definition is in force as soon as it is stored.
    fn prepare_create(&self, object: &mut Value) {
        let now = crate::object::now();
        let condition = |kind: &str, reason: &str, message: &str| {
            json!({
                "type": kind, "status": "True", "reason": reason, "message": message,
                "lastTransitionTime": now, "observedGeneration": 1,
            })
        };
        object["status"] = json!({
            "acceptedNames": at(object, &["spec", "names"]),
            "conditions": [
                condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            ],
            "storedVersions": storage_versions(object),
        });
    }

    fn prepare_update(&self, new: &mut Value, _old: &Value) {
        let mut stored = list_at(new, &["status", "storedVersions"]).to_vec();
        for version in storage_versions(new) {
            if !stored.contains(&version) {
                stored.push(version);
            }
        }
        let names = at(new, &["spec", "names"]).cloned().unwrap_or_default();
        let status = entry_map(as_map(new), "status");
        status.insert("storedVersions".into(), stored.into());
        status.insert("acceptedNames".into(), names);
    }

    fn validate_update(&self, new: &Value, old: &Value, causes: &mut Vec<FieldError>) {
        rules::immutable(new, old, &["spec", "group"], causes);
        rules::immutable(new, old, &["spec", "scope"], causes);
        rules::immutable(new, old, &["spec", "names", "plural"], causes);
    }

    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        let spec = at(object, &["spec"]).unwrap_or(&Value::Null);
        let name = str_at(object, &["metadata", "name"]);
        let wanted = format!(
            "{}.{}",
            str_at(spec, &["names", "plural"]),
            str_at(spec, &["group"])
        );
        if name != wanted {
            let why = "must be spec.names.plural+\".\"+spec.group";
            causes.push(Cause::invalid("metadata.name", &name.into(), why));
        }
        let versions = list_at(spec, &["versions"]);
        let storage = versions
            .iter()
            .filter(|v| v["storage"] == Value::Bool(true))
            .count();
        if storage != 1 {
            let why = "must have exactly one version marked as storage version";
            let shown = spec.get("versions").unwrap_or(&Value::Null);
            causes.push(Cause::invalid("spec.versions", shown, why));
        }
        for (index, version) in versions.iter().enumerate() {
            if at(version, &["schema", "openAPIV3Schema"]).is_none() {
                let path = format!("spec.versions[{index}].schema.openAPIV3Schema");
                causes.push(Cause::required(path, "schemas are required"));
            }
        }
    }

    fn has_generation(&self) -> bool {
        true
    }
}

/// Returns the names of the versions that objects of a definition are stored in.
fn storage_versions(definition: &Value) -> Vec<Value> {
    list_at(definition, &["spec", "versions"])
        .iter()
        .filter(|v| v["storage"] == Value::Bool(true))
        .map(|v| v["name"].clone())
        .collect()
}

impl Strategy for SigningRequest {}

impl Strategy for Webhooks {
    fn default(&self, object: &mut Value) {
        let object = as_map(object);
        each_map(object, "webhooks", |hook| {
            default_str(hook, "failurePolicy", "Fail");
            default_str(hook, "matchPolicy", "Equivalent");
            default(hook, "namespaceSelector", json!({}));
            default(hook, "objectSelector", json!({}));
            default(hook, "timeoutSeconds", 10);
            each_map(hook, "rules", |rule| default_str(rule, "scope", "*"));
            with_map(hook, "clientConfig", |config| {
                with_map(config, "service", |service| default(service, "port", 443));
            });
        });
        if object.get("kind").and_then(Value::as_str) == Some("ValidatingAdmissionPolicy") {
            let spec = entry_map(object, "spec");
            default_str(spec, "failurePolicy", "Fail");
            with_map(spec, "matchConstraints", |constraints| {
                default_str(constraints, "matchPolicy", "Equivalent");
                default(constraints, "namespaceSelector", json!({}));
                default(constraints, "objectSelector", json!({}));
            });
        }
    }

    fn has_generation(&self) -> bool {
        true
    }
}
