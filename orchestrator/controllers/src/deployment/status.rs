//! The status of a Deployment, as `kubectl rollout status` reads it.
//! Kubernetes `pkg/controller/deployment/progress.go`.

use std::time::Duration;

use k8s_openapi::{
    api::apps::v1::{DeploymentCondition, DeploymentStatus, ReplicaSet},
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::{SignedDuration, Timestamp},
};

use super::rollout::{Progress, Rollout, available, replicas};

const PROGRESSING: &str = "Progressing";
const AVAILABLE: &str = "Available";
const COMPLETE: &str = "NewReplicaSetAvailable";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";
/// Upstream's default for `progressDeadlineSeconds`.
const PROGRESS_DEADLINE_SECONDS_DEFAULT: i32 = 600;

/// Returns the status and, if the deadline will change it, when to look again.
pub(super) fn status(
    rollout: &Rollout<'_>,
    progress: &Progress,
    now: Timestamp,
) -> (DeploymentStatus, Option<Duration>) {
    let before = rollout.deployment.status.clone().unwrap_or_default();
    let status_sum = |of: fn(&ReplicaSet) -> i32| -> i32 { rollout.all().map(of).sum() };
    let actual = |set: &ReplicaSet| set.status.as_ref().map_or(0, |status| status.replicas);
    let available = status_sum(available);
    let mut status = DeploymentStatus {
        observed_generation: rollout.deployment.metadata.generation,
        replicas: Some(status_sum(actual)),
        updated_replicas: Some(rollout.new.map_or(0, actual)),
        ready_replicas: Some(status_sum(|set| {
            set.status
                .as_ref()
                .and_then(|status| status.ready_replicas)
                .unwrap_or(0)
        })),
        available_replicas: Some(available),
        unavailable_replicas: Some((status_sum(replicas) - available).max(0)),
        terminating_replicas: Some(status_sum(|set| {
            set.status
                .as_ref()
                .and_then(|status| status.terminating_replicas)
                .unwrap_or(0)
        })),
        collision_count: before.collision_count,
        conditions: before.conditions.clone(),
    };
    let minimum = available >= rollout.replicas - rollout.max_unavailable;
    let (value, reason, message) = if minimum {
        (
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        )
    } else {
        (
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    };
    set(
        &mut status,
        AVAILABLE,
        value,
        reason,
        message.to_owned(),
        now,
    );
    let again = update_progress(rollout, progress, &before, &mut status, now);
    (status, again)
}

/// Whether every replica is of the newest template and available.
pub(super) fn is_complete(rollout: &Rollout<'_>, status: &DeploymentStatus) -> bool {
    rollout.new.is_some()
        && status.updated_replicas == Some(rollout.replicas)
        && status.replicas == Some(rollout.replicas)
        && status.available_replicas == Some(rollout.replicas)
}

fn update_progress(
    rollout: &Rollout<'_>,
    progress: &Progress,
    before: &DeploymentStatus,
    status: &mut DeploymentStatus,
    now: Timestamp,
) -> Option<Duration> {
    let deadline = rollout
        .spec
        .progress_deadline_seconds
        .unwrap_or(PROGRESS_DEADLINE_SECONDS_DEFAULT);
    if deadline == i32::MAX {
        // No deadline, and so no condition.
        status
            .conditions
            .iter_mut()
            .for_each(|list| list.retain(|c| c.type_ != PROGRESSING));
        return None;
    }
    let current = find(before, PROGRESSING).cloned();
    let reason_now = current
        .as_ref()
        .and_then(|condition| condition.reason.clone());
    let reason_now = reason_now.as_deref().unwrap_or_default();
    match progress {
        Progress::Paused(true) => {
            if reason_now != "DeploymentPaused" {
                let message = "Deployment is paused".to_owned();
                set(
                    status,
                    PROGRESSING,
                    "Unknown",
                    "DeploymentPaused",
                    message,
                    now,
                );
            }
            return None;
        }
        Progress::Paused(false) if reason_now == "DeploymentPaused" => {
            let message = "Deployment is resumed".to_owned();
            set(
                status,
                PROGRESSING,
                "Unknown",
                "DeploymentResumed",
                message,
                now,
            );
            return Some(Duration::from_secs(1));
        }
        Progress::Created(name) => {
            let message = format!("Created new replica set \"{name}\"");
            set(
                status,
                PROGRESSING,
                "True",
                "NewReplicaSetCreated",
                message,
                now,
            );
            return None;
        }
        Progress::Paused(false) | Progress::Unchanged => {}
    }
    if status.replicas == status.updated_replicas && reason_now == COMPLETE {
        // Done before; that pods come and go is not a rollout.
        return None;
    }
    let subject = match rollout.new.and_then(|new| new.metadata.name.as_deref()) {
        Some(name) => format!("ReplicaSet \"{name}\""),
        None => {
            let name = rollout
                .deployment
                .metadata
                .name
                .as_deref()
                .unwrap_or_default();
            format!("Deployment \"{name}\"")
        }
    };
    if is_complete(rollout, status) {
        let message = format!("{subject} has successfully progressed.");
        set(status, PROGRESSING, "True", COMPLETE, message, now);
        return None;
    }
    if current.is_none() || has_moved(before, status) {
        let message = format!("{subject} is progressing.");
        let since = current.filter(|condition| condition.status == "True");
        let since = since.and_then(|condition| condition.last_transition_time);
        status
            .conditions
            .iter_mut()
            .for_each(|list| list.retain(|c| c.type_ != PROGRESSING));
        set(
            status,
            PROGRESSING,
            "True",
            "ReplicaSetUpdated",
            message,
            now,
        );
        if let (Some(since), Some(condition)) = (since, find_mut(status, PROGRESSING)) {
            condition.last_transition_time = Some(since);
        }
        return Some(Duration::from_secs(
            u64::try_from(deadline).unwrap_or(0) + 1,
        ));
    }
    if reason_now == COMPLETE {
        // The last rollout was done; this one has not begun to move. Its time runs from then.
        return None;
    }
    let started = current
        .and_then(|condition| condition.last_update_time)
        .map(|time| time.0);
    let limit = SignedDuration::from_secs(i64::from(deadline));
    let left = limit.saturating_sub(now.duration_since(started.unwrap_or(now)));
    if reason_now == TIMED_OUT || left.is_negative() {
        let message = format!("{subject} has timed out progressing.");
        set(status, PROGRESSING, "False", TIMED_OUT, message, now);
        return None;
    }
    // A second later it is over for certain.
    Some(Duration::try_from(left).unwrap_or_default() + Duration::from_secs(1))
}

/// Whether more of the new or fewer of the old are there than before.
fn has_moved(before: &DeploymentStatus, after: &DeploymentStatus) -> bool {
    let number = |count: Option<i32>| count.unwrap_or(0);
    let old = |status: &DeploymentStatus| number(status.replicas) - number(status.updated_replicas);
    number(after.updated_replicas) > number(before.updated_replicas)
        || old(after) < old(before)
        || number(after.ready_replicas) > number(before.ready_replicas)
        || number(after.available_replicas) > number(before.available_replicas)
}

fn find<'a>(status: &'a DeploymentStatus, type_: &str) -> Option<&'a DeploymentCondition> {
    status
        .conditions
        .as_ref()?
        .iter()
        .find(|condition| condition.type_ == type_)
}

fn find_mut<'a>(
    status: &'a mut DeploymentStatus,
    type_: &str,
) -> Option<&'a mut DeploymentCondition> {
    status
        .conditions
        .as_mut()?
        .iter_mut()
        .find(|condition| condition.type_ == type_)
}

/// Sets a condition; its times change only with its status and reason.
fn set(
    status: &mut DeploymentStatus,
    type_: &str,
    value: &str,
    reason: &str,
    message: String,
    now: Timestamp,
) {
    let before = find(status, type_);
    if before.is_some_and(|c| c.status == value && c.reason.as_deref() == Some(reason)) {
        return;
    }
    let since = before.filter(|condition| condition.status == value);
    let since = since.and_then(|condition| condition.last_transition_time.clone());
    let condition = DeploymentCondition {
        type_: type_.to_owned(),
        status: value.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_update_time: Some(Time(now)),
        last_transition_time: Some(since.unwrap_or(Time(now))),
    };
    let conditions = status.conditions.get_or_insert_default();
    conditions.retain(|condition| condition.type_ != type_);
    conditions.push(condition);
}
