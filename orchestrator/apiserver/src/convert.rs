//! Between the version an object is stored in and the version a client speaks.
//!
//! Nearly all kinds have one shape in all their versions, and only the `apiVersion` changes.
//! Events and HorizontalPodAutoscalers are the exceptions.

use serde_json::{Map, Value, json};

use crate::{
    json::{as_map, at, list_at, str_at},
    registry::Resource,
};

/// Turns a stored object into the version of the resource.
pub(crate) fn to_version(resource: &Resource, mut object: Value) -> Value {
    if !resource.converts() {
        return object;
    }
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("events.k8s.io", "Event") => rename(&mut object, &EVENT_FIELDS, false),
        ("autoscaling", "HorizontalPodAutoscaler") => hpa_to_v1(&mut object),
        _ => {}
    }
    if let Some(map) = object.as_object_mut() {
        map.insert("apiVersion".into(), resource.api_version().into());
    }
    object
}

/// Turns an object in the version of the resource into the one that is stored.
pub(crate) fn to_storage(resource: &Resource, mut object: Value) -> Value {
    if !resource.converts() {
        return object;
    }
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("events.k8s.io", "Event") => rename(&mut object, &EVENT_FIELDS, true),
        ("autoscaling", "HorizontalPodAutoscaler") => hpa_to_v2(&mut object),
        _ => {}
    }
    if let Some(map) = object.as_object_mut() {
        map.insert(
            "apiVersion".into(),
            resource.storage_version.as_str().into(),
        );
    }
    object
}

/// Fields of events in `v1` and in `events.k8s.io/v1` (`pkg/apis/events/v1/conversion.go`).
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

fn rename(object: &mut Value, fields: &[(&str, &str)], back: bool) {
    let Some(map) = object.as_object_mut() else {
        return;
    };
    let renamed: Map<String, Value> = std::mem::take(map)
        .into_iter()
        .map(|(field, value)| {
            let pair = fields
                .iter()
                .find(|(a, b)| field == *(if back { b } else { a }));
            (
                pair.map_or(field, |(a, b)| (if back { a } else { b }).to_string()),
                value,
            )
        })
        .collect();
    *map = renamed;
}

/// Where v1 keeps the metrics that it has no field for.
const METRICS_NOTE: &str = "autoscaling.alpha.kubernetes.io/metrics";
const BEHAVIOR_NOTE: &str = "autoscaling.alpha.kubernetes.io/behavior";

fn hpa_to_v1(object: &mut Value) {
    let metrics = list_at(object, &["spec", "metrics"]).to_vec();
    let is_cpu = |m: &Value| {
        str_at(m, &["type"]) == "Resource"
            && str_at(m, &["resource", "name"]) == "cpu"
            && at(m, &["resource", "target", "averageUtilization"]).is_some()
    };
    let (cpu, others): (Vec<Value>, Vec<Value>) = metrics.into_iter().partition(is_cpu);
    let behavior = at(object, &["spec", "behavior"]).cloned();
    let current = list_at(object, &["status", "currentMetrics"])
        .iter()
        .find(|m| str_at(m, &["resource", "name"]) == "cpu")
        .and_then(|m| at(m, &["resource", "current", "averageUtilization"]).cloned());
    let spec = as_map(as_map(object).entry("spec").or_insert(Value::Null));
    spec.shift_remove("metrics");
    spec.shift_remove("behavior");
    if let Some(target) = cpu
        .first()
        .and_then(|m| at(m, &["resource", "target", "averageUtilization"]))
    {
        spec.insert("targetCPUUtilizationPercentage".into(), target.clone());
    }
    let mut notes = Vec::new();
    if !others.is_empty() {
        notes.push((METRICS_NOTE, Value::Array(others).to_string()));
    }
    if let Some(behavior) = behavior {
        notes.push((BEHAVIOR_NOTE, behavior.to_string()));
    }
    for (key, text) in notes {
        object["metadata"]["annotations"][key] = text.into();
    }
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
        status.shift_remove("currentMetrics");
        status.shift_remove("conditions");
        if let Some(current) = current {
            status.insert("currentCPUUtilizationPercentage".into(), current);
        }
    }
}

fn hpa_to_v2(object: &mut Value) {
    let mut taken = Vec::new();
    for key in [METRICS_NOTE, BEHAVIOR_NOTE] {
        let notes = object
            .get_mut("metadata")
            .and_then(|m| m.get_mut("annotations"));
        let text = notes
            .and_then(Value::as_object_mut)
            .and_then(|n| n.shift_remove(key));
        taken.push(text.and_then(|t| serde_json::from_str::<Value>(t.as_str()?).ok()));
    }
    let mut metrics: Vec<Value> = taken[0]
        .take()
        .and_then(|v| v.as_array().cloned())
        .unwrap_or_default();
    let spec = as_map(as_map(object).entry("spec").or_insert(Value::Null));
    if let Some(target) = spec.shift_remove("targetCPUUtilizationPercentage") {
        let target = json!({"type": "Utilization", "averageUtilization": target});
        metrics.insert(
            0,
            json!({"type": "Resource", "resource": {"name": "cpu", "target": target}}),
        );
    }
    if !metrics.is_empty() {
        spec.insert("metrics".into(), metrics.into());
    }
    if let Some(behavior) = taken[1].take() {
        spec.insert("behavior".into(), behavior);
    }
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut)
        && let Some(current) = status.shift_remove("currentCPUUtilizationPercentage")
    {
        let current = json!({"averageUtilization": current});
        status.insert(
            "currentMetrics".into(),
            json!([{"type": "Resource", "resource": {"name": "cpu", "current": current}}]),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_keeps_all_it_says_on_the_way_and_back() {
        let stored = json!({"kind": "Event", "involvedObject": {"name": "p"}, "message": "hello",
            "source": {"component": "c"}, "count": 2, "reason": "R", "type": "Normal"});
        let mut seen = stored.clone();
        rename(&mut seen, &EVENT_FIELDS, false);
        assert_eq!(seen["regarding"]["name"], "p");
        assert_eq!(seen["note"], "hello");
        rename(&mut seen, &EVENT_FIELDS, true);
        assert_eq!(seen, stored);
    }

    #[test]
    fn an_autoscaler_keeps_all_it_says_on_the_way_and_back() {
        let pods = json!({"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "1"}}});
        let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}});
        let stored = json!({"metadata": {"name": "h", "annotations": {}}, "spec": {"maxReplicas": 3, "metrics": [cpu, pods],
            "behavior": {"scaleUp": {"selectPolicy": "Max"}}}});
        let mut seen = stored.clone();
        hpa_to_v1(&mut seen);
        assert_eq!(
            seen["spec"],
            json!({"maxReplicas": 3, "targetCPUUtilizationPercentage": 60})
        );
        hpa_to_v2(&mut seen);
        assert_eq!(seen, stored);
    }
}
