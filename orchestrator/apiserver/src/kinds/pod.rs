//! Pods and pod templates.

use ordain_orchestrator_api::Quantity;
use serde_json::{Map, Value, json};

use super::{Strategy, pod_defaults, pod_validate};
use crate::{
    json::{as_map, entry_map, int_at, list_at, map_at, str_at},
    status::FieldError,
};

pub(crate) struct Pod;
pub(crate) struct PodTemplate;

impl Strategy for Pod {
    fn default(&self, object: &mut Value) {
        pod_defaults::pod(object);
    }

    fn prepare_create(&self, object: &mut Value) {
        let class = qos_class(object);
        object["status"] = json!({"phase": "Pending", "qosClass": class});
        if let Some(spec) = object["spec"].as_object_mut() {
            spec.shift_remove("ephemeralContainers");
        }
        gate_condition(object);
    }

    fn prepare_status(&self, new: &mut Value, old: &Value) {
        let class = str_at(old, &["status", "qosClass"]).to_owned();
        let status = entry_map(as_map(new), "status");
        if !class.is_empty() {
            status.insert("qosClass".into(), class.into());
        }
        // `podIP` and `podIPs` are one fact under two names.
        let ip = status
            .get("podIP")
            .and_then(Value::as_str)
            .unwrap_or("")
            .to_owned();
        let first = status
            .get("podIPs")
            .and_then(|l| l[0]["ip"].as_str())
            .unwrap_or("")
            .to_owned();
        if !ip.is_empty() && first != ip {
            status.insert("podIPs".into(), json!([{"ip": ip}]));
        } else if ip.is_empty() && !first.is_empty() {
            status.insert("podIP".into(), first.into());
        }
    }

    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        pod_validate::spec(&object["spec"], "spec", causes);
    }

    fn validate_update(&self, new: &Value, old: &Value, causes: &mut Vec<FieldError>) {
        pod_validate::pod_update(new, old, causes);
    }

    fn has_generation(&self) -> bool {
        true
    }
}

/// Pods that wait at a gate say so from the start.
fn gate_condition(object: &mut Value) {
    if !list_at(object, &["spec", "schedulingGates"]).is_empty() {
        object["status"]["conditions"] = json!([{
            "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
        }]);
    }
}

impl Strategy for PodTemplate {
    fn default(&self, object: &mut Value) {
        pod_defaults::template(entry_map(as_map(object), "template"));
    }

    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        pod_validate::template(
            &object["template"],
            "template",
            &["Always", "OnFailure", "Never"],
            causes,
        );
    }
}

/// Returns the quality-of-service class (`pkg/apis/core/v1/helper/qos/qos.go`).
fn qos_class(object: &Value) -> &'static str {
    let containers = || {
        let lists = ["containers", "initContainers"];
        lists
            .into_iter()
            .flat_map(|list| list_at(object, &["spec", list]))
    };
    let counts = |map: Option<&Map<String, Value>>| -> Vec<(String, Quantity)> {
        let entries = map
            .into_iter()
            .flatten()
            .filter(|(name, _)| matches!(name.as_str(), "cpu" | "memory"));
        let amounts =
            entries.filter_map(|(name, v)| Some((name.clone(), Quantity::from_value(v).ok()?)));
        amounts
            .filter(|(_, amount)| *amount > Quantity::ZERO)
            .collect()
    };
    let mut any = false;
    let mut guaranteed = true;
    for container in containers() {
        let mut requests = counts(map_at(container, &["resources", "requests"]));
        let mut limits = counts(map_at(container, &["resources", "limits"]));
        any |= !requests.is_empty() || !limits.is_empty();
        requests.sort_by(|a, b| a.0.cmp(&b.0));
        limits.sort_by(|a, b| a.0.cmp(&b.0));
        guaranteed &= limits.len() == 2 && requests == limits;
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// Returns how long a deleted pod gets, in seconds: what the caller asks, or what the pod says;
/// nothing for a pod that runs nowhere or has ended.
pub(crate) fn grace_seconds(pod: &Value, asked: Option<i64>) -> i64 {
    let own = int_at(pod, &["spec", "terminationGracePeriodSeconds"]).unwrap_or(30);
    let idle = str_at(pod, &["spec", "nodeName"]).is_empty()
        || matches!(str_at(pod, &["status", "phase"]), "Succeeded" | "Failed");
    if idle { 0 } else { asked.unwrap_or(own).max(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quality_of_service_follows_the_resources() {
        let pod = |resources: Value| json!({"spec": {"containers": [{"resources": resources}]}});
        assert_eq!(qos_class(&pod(json!({}))), "BestEffort");
        assert_eq!(
            qos_class(&pod(json!({"requests": {"cpu": "1"}}))),
            "Burstable"
        );
        let full = json!({"cpu": "1", "memory": "1Gi"});
        assert_eq!(
            qos_class(&pod(json!({"requests": full, "limits": full}))),
            "Guaranteed"
        );
    }

    #[test]
    fn a_pod_that_runs_nowhere_gets_no_grace() {
        let mut pod = json!({"spec": {"terminationGracePeriodSeconds": 7}});
        assert_eq!(grace_seconds(&pod, None), 0);
        pod["spec"]["nodeName"] = "n".into();
        assert_eq!(grace_seconds(&pod, None), 7);
        assert_eq!(grace_seconds(&pod, Some(1)), 1);
        pod["status"] = json!({"phase": "Succeeded"});
        assert_eq!(grace_seconds(&pod, None), 0);
    }
}
