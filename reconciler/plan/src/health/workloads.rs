//! Kinds that run pods. Their own counts say how far they are; why not further is in their pods.

use serde_json::Value;

use super::{Health, Status, condition, number, text};

/// What `spec.replicas` means when it is left out (Kubernetes `pkg/apis/apps/v1/defaults.go`).
fn wanted(object: &Value) -> i64 {
    object
        .pointer("/spec/replicas")
        .and_then(Value::as_i64)
        .unwrap_or(1)
}

pub(super) fn deployment(object: &Value) -> Health {
    if object.pointer("/spec/paused").and_then(Value::as_bool) == Some(true) {
        return Health::new(Status::Suspended, "paused");
    }
    if let Some(progress) = condition(object, "Progressing")
        && progress.reason == "ProgressDeadlineExceeded"
    {
        return Health::degraded(progress.text());
    }
    if object.pointer("/status/observedGeneration").is_none() {
        return Health::progressing("not observed yet");
    }
    let wanted = wanted(object);
    let updated = number(object, "/status/updatedReplicas");
    let replicas = number(object, "/status/replicas");
    let available = number(object, "/status/availableReplicas");
    let failure = condition(object, "ReplicaFailure").filter(|failure| failure.is_true());
    let why = failure.map_or_else(String::new, |failure| format!(" ({})", failure.text()));
    if updated < wanted {
        return Health::progressing(format!("{updated} of {wanted} replicas are updated{why}"));
    }
    if replicas > updated {
        return Health::progressing(format!(
            "{} old replicas are still there",
            replicas - updated
        ));
    }
    if available < updated {
        return Health::progressing(format!(
            "{available} of {updated} updated replicas are available{why}"
        ));
    }
    let ready = number(object, "/status/readyReplicas");
    if ready < wanted {
        return Health::progressing(format!("{ready} of {wanted} replicas are ready{why}"));
    }
    // The counts are right; the controller may know better for a moment (kstatus `core.go`).
    let rolling = condition(object, "Progressing")
        .filter(|progress| progress.is_true() && progress.reason != "NewReplicaSetAvailable");
    let unavailable = condition(object, "Available").filter(|available| available.is_false());
    if let Some(waits) = rolling.or(unavailable) {
        return Health::progressing(waits.text());
    }
    Health::healthy()
}

pub(super) fn stateful_set(object: &Value) -> Health {
    if text(object, "/spec/updateStrategy/type") == "OnDelete" {
        return Health::healthy();
    }
    if object.pointer("/status/observedGeneration").is_none() {
        return Health::progressing("not observed yet");
    }
    let wanted = wanted(object);
    let ready = number(object, "/status/readyReplicas");
    let replicas = number(object, "/status/replicas");
    let updated = number(object, "/status/updatedReplicas");
    if replicas < wanted {
        return Health::progressing(format!("{replicas} of {wanted} replicas exist"));
    }
    if ready < wanted {
        return Health::progressing(format!("{ready} of {wanted} replicas are ready"));
    }
    if replicas > wanted {
        return Health::progressing(format!("{} replicas too many", replicas - wanted));
    }
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition");
    if partition > 0 {
        let due = (wanted - partition).max(0);
        return if updated < due {
            Health::progressing(format!(
                "{updated} of {due} replicas of the partition are updated"
            ))
        } else {
            Health::healthy()
        };
    }
    let (current, update) = (
        text(object, "/status/currentRevision"),
        text(object, "/status/updateRevision"),
    );
    if current != update {
        return Health::progressing(format!("{updated} of {wanted} replicas are updated"));
    }
    Health::healthy()
}

pub(super) fn daemon_set(object: &Value) -> Health {
    if object.pointer("/status/observedGeneration").is_none() {
        return Health::progressing("not observed yet");
    }
    if text(object, "/spec/updateStrategy/type") == "OnDelete" {
        return Health::healthy();
    }
    let wanted = number(object, "/status/desiredNumberScheduled");
    for (field, what) in [
        ("/status/currentNumberScheduled", "scheduled"),
        ("/status/updatedNumberScheduled", "updated"),
        ("/status/numberAvailable", "available"),
        ("/status/numberReady", "ready"),
    ] {
        let count = number(object, field);
        if count < wanted {
            return Health::progressing(format!("{count} of {wanted} pods are {what}"));
        }
    }
    Health::healthy()
}

pub(super) fn replica_set(object: &Value) -> Health {
    if let Some(failure) = condition(object, "ReplicaFailure")
        && failure.is_true()
    {
        return Health::degraded(failure.text());
    }
    let wanted = wanted(object);
    for (field, what) in [
        ("/status/replicas", "exist"),
        ("/status/readyReplicas", "are ready"),
        ("/status/availableReplicas", "are available"),
    ] {
        let count = number(object, field);
        if count < wanted {
            return Health::progressing(format!("{count} of {wanted} replicas {what}"));
        }
    }
    let extra = number(object, "/status/replicas") - wanted;
    if extra > 0 {
        return Health::progressing(format!("{extra} replicas too many"));
    }
    Health::healthy()
}

/// A Job is healthy when it is complete; while it runs, whatever waits for it has to wait.
pub(super) fn job(object: &Value) -> Health {
    for failed in ["Failed", "FailureTarget"] {
        if let Some(condition) = condition(object, failed).filter(|condition| condition.is_true()) {
            return Health::degraded(condition.text());
        }
    }
    if condition(object, "Complete").is_some_and(|condition| condition.is_true()) {
        return Health::healthy();
    }
    let suspended = object.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true);
    if suspended || condition(object, "Suspended").is_some_and(|condition| condition.is_true()) {
        return Health::new(Status::Suspended, "suspended");
    }
    let wanted = object
        .pointer("/spec/completions")
        .and_then(Value::as_i64)
        .unwrap_or(1);
    let (done, failed) = (
        number(object, "/status/succeeded"),
        number(object, "/status/failed"),
    );
    let tries = if failed > 0 {
        format!(", {failed} failed")
    } else {
        String::new()
    };
    Health::progressing(format!("{done} of {wanted} pods are done{tries}"))
}

pub(super) fn cron_job(object: &Value) -> Health {
    if object.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true) {
        return Health::new(Status::Suspended, "suspended");
    }
    Health::healthy()
}
