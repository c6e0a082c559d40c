//! Whether an object does what it was made for, judged by its status alone.
//!
//! The rules are kstatus's (sigs.k8s.io/cli-utils `pkg/kstatus/status`), and Argo CD's
//! (`gitops-engine/pkg/health`) where those are better: a Job is not healthy while it runs, a failed pod
//! is not fine. Nothing is judged by an older generation's status. Kinds of Kubernetes itself are judged by
//! code, the kinds of well-known controllers by rules that are data ([`HealthRules`]), all others by the
//! conditions that most controllers agree on. `docs/health.md` tells a user all of it.

mod common;
mod condition;
mod custom;
mod judge;
mod pods;
mod rules;
mod shipped;
mod workloads;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use condition::condition;
pub use pods::{Trouble, trouble};
pub use rules::{HealthRules, RuleError};

/// How an object is, from good to bad: the worst one counts for a group (Argo CD's order).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It does what it was made for.
    Healthy,
    /// Somebody paused it.
    Suspended,
    /// It is on its way.
    Progressing,
    /// It does not exist.
    Missing,
    /// It failed, or will not get any further by itself.
    Degraded,
    /// It says nothing that we understand.
    Unknown,
}

impl Status {
    /// The lower-case word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Suspended => "suspended",
            Self::Progressing => "progressing",
            Self::Missing => "missing",
            Self::Degraded => "degraded",
            Self::Unknown => "unknown",
        }
    }

    /// True when a rollout need not wait for it any longer.
    #[must_use]
    pub fn is_done(self) -> bool {
        matches!(self, Self::Healthy | Self::Suspended)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// How an object is, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// How it is.
    pub status: Status,
    /// Why, for people; may be empty when it is healthy.
    pub message: String,
}

impl Health {
    /// A message stands in one line, whatever a controller wrote.
    pub(crate) fn new(status: Status, message: impl Into<String>) -> Self {
        let message = message.into();
        let message = if message.contains('\n') {
            message.split_whitespace().collect::<Vec<_>>().join(" ")
        } else {
            message
        };
        Self { status, message }
    }

    pub(crate) fn healthy() -> Self {
        Self::new(Status::Healthy, "")
    }

    pub(crate) fn progressing(message: impl Into<String>) -> Self {
        Self::new(Status::Progressing, message)
    }

    pub(crate) fn degraded(message: impl Into<String>) -> Self {
        Self::new(Status::Degraded, message)
    }
}

/// Judges an object by itself. Pods that belong to it are judged by [`trouble`].
#[must_use]
pub fn of(object: &Value) -> Health {
    HealthRules::default().of(object)
}

/// Judges an object that was written and is no longer there.
///
/// A Job that deletes itself when it is done (`ttlSecondsAfterFinished`) was done; a failed one goes the same way, so
/// whoever has seen it fail has to remember that.
#[must_use]
pub fn gone(desired: &Value) -> Health {
    let job = desired.get("kind").is_some_and(|kind| kind == "Job");
    let ttl = desired.pointer("/spec/ttlSecondsAfterFinished");
    if job && ttl.is_some_and(|ttl| !ttl.is_null()) {
        return Health::new(Status::Healthy, "done, and deleted after its time");
    }
    Health::new(Status::Missing, "does not exist")
}

/// The worst of several, as Argo CD orders them; nothing at all is healthy.
#[must_use]
pub fn worst(statuses: impl IntoIterator<Item = Status>) -> Status {
    statuses.into_iter().max().unwrap_or(Status::Healthy)
}

impl HealthRules {
    /// Judges an object by itself: by these rules, and where they have none for its kind as [`of`] does.
    #[must_use]
    pub fn of(&self, object: &Value) -> Health {
        let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
        let group = text("apiVersion")
            .split_once('/')
            .map_or("", |(group, _)| group);
        let kind = text("kind");
        if let Some(health) = deleting(object, kind) {
            return health;
        }
        // A status of an older generation says nothing about this one.
        if let Some(health) = outdated(object) {
            return health;
        }
        if let Some(health) = self.find(group, kind).and_then(|rule| rule.judge(object)) {
            return health;
        }
        match rule(group, kind) {
            Some(rule) => rule(object),
            None if built_in(group) => Health::healthy(),
            None => {
                let rule = shipped::rules().find(group, kind);
                let health = rule.and_then(|rule| rule.judge(object));
                health.unwrap_or_else(|| custom::by_conditions(object))
            }
        }
    }
}

/// Ordain's own rules for kinds that are not Kubernetes' own, as `group/Kind`.
pub fn shipped_rules() -> impl Iterator<Item = String> {
    shipped::rules().names()
}

type Rule = fn(&Value) -> Health;

fn rule(group: &str, kind: &str) -> Option<Rule> {
    Some(match (group, kind) {
        ("apps", "Deployment") => workloads::deployment,
        ("apps", "StatefulSet") => workloads::stateful_set,
        ("apps", "DaemonSet") => workloads::daemon_set,
        ("apps", "ReplicaSet") | ("", "ReplicationController") => workloads::replica_set,
        ("", "Pod") => pods::pod,
        ("batch", "Job") => workloads::job,
        ("batch", "CronJob") => workloads::cron_job,
        ("", "PersistentVolumeClaim") => common::claim,
        ("", "PersistentVolume") => common::volume,
        ("", "Service") => common::service,
        ("", "Namespace") => common::namespace,
        ("autoscaling", "HorizontalPodAutoscaler") => common::autoscaler,
        ("apiregistration.k8s.io", "APIService") => common::api_service,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => common::definition,
        ("policy", "PodDisruptionBudget") => common::disruption_budget,
        _ => return None,
    })
}

/// Groups whose kinds are all known: without a rule, existing is all they do.
fn built_in(group: &str) -> bool {
    const GROUPS: [&str; 9] = [
        "",
        "apps",
        "batch",
        "autoscaling",
        "policy",
        "extensions",
        "events",
        "resource",
        "node",
    ];
    // Groups of custom kinds may end in `.k8s.io` too (`gateway.networking.k8s.io`).
    const K8S_IO: [&str; 14] = [
        "admissionregistration",
        "apiextensions",
        "apiregistration",
        "authentication",
        "authorization",
        "certificates",
        "coordination",
        "discovery",
        "events",
        "flowcontrol.apiserver",
        "networking",
        "rbac.authorization",
        "scheduling",
        "storage",
    ];
    GROUPS.contains(&group)
        || group
            .strip_suffix(".k8s.io")
            .is_some_and(|name| K8S_IO.contains(&name) || GROUPS.contains(&name))
}

fn deleting(object: &Value, kind: &str) -> Option<Health> {
    let at = object
        .pointer("/metadata/deletionTimestamp")
        .filter(|at| !at.is_null());
    at.map(|_| {
        let finalizers = object
            .pointer("/metadata/finalizers")
            .and_then(Value::as_array);
        let names: Vec<_> = finalizers
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        Health::progressing(match names[..] {
            [] => format!("{kind} is being deleted"),
            _ => format!("{kind} is being deleted, held by {}", names.join(", ")),
        })
    })
}

fn outdated(object: &Value) -> Option<Health> {
    let generation = object
        .pointer("/metadata/generation")
        .and_then(Value::as_i64)?;
    let observed = match object.pointer("/status/observedGeneration")? {
        // Argo Rollouts writes it as a string; its old versions wrote a hash there.
        Value::String(text) => text.parse().ok()?,
        number => number.as_i64()?,
    };
    (observed < generation).then(|| {
        Health::progressing(format!(
            "generation {generation} is not observed yet ({observed} is)"
        ))
    })
}

/// An integer at a JSON pointer, or zero.
pub(crate) fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// A string at a JSON pointer, or the empty one.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
