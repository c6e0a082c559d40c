//! Built-in kinds that run no pods themselves.

use serde_json::{Value, json};

use super::{
    Health, Status,
    condition::{Condition, condition},
    text,
};

pub(super) fn claim(object: &Value) -> Health {
    match text(object, "/status/phase") {
        "Bound" => Health::healthy(),
        "Lost" => Health::degraded("its volume is lost"),
        "Pending" => pending_claim(object),
        _ => Health::progressing("not observed yet"),
    }
}

/// Set when a volume is being made for a claim: at once, or when the claim's storage class waits for its first
/// consumer (`volumeBindingMode: WaitForFirstConsumer`), once a pod that uses it has a node
/// (Kubernetes `pkg/controller/volume/persistentvolume/pv_controller.go`).
const PROVISIONERS: [&str; 2] = [
    "volume.kubernetes.io/storage-provisioner",
    "volume.beta.kubernetes.io/storage-provisioner",
];

fn pending_claim(object: &Value) -> Health {
    let annotations = object.pointer("/metadata/annotations");
    let provisioner = annotations.and_then(|map| {
        let mut found = PROVISIONERS.into_iter().filter_map(|name| map.get(name));
        found.next().and_then(Value::as_str)
    });
    match provisioner {
        Some(provisioner) => {
            Health::progressing(format!("its volume is being made by {provisioner}"))
        }
        // Nothing is on its way. Waiting for it would hold back the very consumer that it waits for; the
        // consumer's own health tells when no volume comes.
        None => Health::new(
            Status::Healthy,
            "waits for its first consumer, or for a volume that fits",
        ),
    }
}

pub(super) fn volume(object: &Value) -> Health {
    match text(object, "/status/phase") {
        "Failed" => Health::degraded(match text(object, "/status/message") {
            "" => "it could not be reclaimed",
            message => message,
        }),
        _ => Health::healthy(),
    }
}

pub(super) fn service(object: &Value) -> Health {
    let balanced = text(object, "/spec/type") == "LoadBalancer";
    let addresses = object
        .pointer("/status/loadBalancer/ingress")
        .and_then(Value::as_array);
    if balanced && addresses.is_none_or(Vec::is_empty) {
        return Health::progressing("waits for a load balancer's address");
    }
    Health::healthy()
}

pub(super) fn namespace(object: &Value) -> Health {
    match text(object, "/status/phase") {
        "Terminating" => Health::progressing("Namespace is being deleted"),
        _ => Health::healthy(),
    }
}

/// Reasons that do not go away by waiting (Argo CD `health_hpa.go`).
const AUTOSCALER_FAILURES: [(&str, &str); 8] = [
    ("AbleToScale", "FailedGetScale"),
    ("AbleToScale", "FailedUpdateScale"),
    ("ScalingActive", "FailedGetResourceMetric"),
    ("ScalingActive", "InvalidSelector"),
    ("ScalingActive", "FailedGetObjectMetric"),
    ("ScalingActive", "FailedGetPodsMetric"),
    ("ScalingActive", "FailedGetExternalMetric"),
    ("ScalingActive", "FailedGetContainerResourceMetric"),
];

/// Where `autoscaling/v1`, which has no conditions, keeps them (Kubernetes `pkg/apis/autoscaling/annotations.go`).
const AUTOSCALER_CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";

pub(super) fn autoscaler(object: &Value) -> Health {
    let annotations = object.pointer("/metadata/annotations");
    let written = annotations
        .and_then(|map| map.get(AUTOSCALER_CONDITIONS))
        .and_then(Value::as_str);
    if object.pointer("/status/conditions").is_none()
        && let Some(Ok(conditions)) = written.map(serde_json::from_str::<Value>)
    {
        return autoscaler(&json!({"status": {"conditions": conditions}}));
    }
    let failed = AUTOSCALER_FAILURES.iter().find_map(|(kind, reason)| {
        condition(object, kind)
            .filter(|condition| condition.is_false() && condition.reason == *reason)
    });
    if let Some(failed) = failed {
        return Health::degraded(failed.text());
    }
    let able = condition(object, "AbleToScale").is_some_and(|condition| condition.is_true());
    let limited = condition(object, "ScalingLimited").is_some_and(|condition| condition.is_true());
    if able || limited {
        Health::healthy()
    } else {
        Health::progressing("waits for its first look at its target")
    }
}

pub(super) fn api_service(object: &Value) -> Health {
    match condition(object, "Available") {
        Some(available) if available.is_true() => Health::healthy(),
        Some(available) => Health::progressing(available.text()),
        None => Health::progressing("not observed yet"),
    }
}

pub(super) fn definition(object: &Value) -> Health {
    if let Some(terminating) = condition(object, "Terminating").filter(|found| found.is_true()) {
        return Health::progressing(terminating.text());
    }
    if let Some(names) = condition(object, "NamesAccepted").filter(|found| found.is_false()) {
        return Health::degraded(names.text());
    }
    let Some(established) = condition(object, "Established") else {
        return Health::progressing("not established yet");
    };
    if established.is_false() {
        return if established.reason == "Installing" {
            Health::progressing(established.text())
        } else {
            Health::degraded(established.text())
        };
    }
    if let Some(schema) = condition(object, "NonStructuralSchema").filter(|found| found.is_true()) {
        return Health::degraded(schema.text());
    }
    Health::healthy()
}

pub(super) fn disruption_budget(object: &Value) -> Health {
    let conditions = object
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    let failed = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["status"] == "False" && condition["reason"] == "SyncFailed");
    if let Some(failed) = failed {
        return Health::degraded(Condition::read(failed).text());
    }
    // Too few pods at the moment is what the budget is there to see, and no fault of its own.
    if object.get("status").is_none() {
        return Health::progressing("not observed yet");
    }
    Health::healthy()
}
