//! How an app is: its objects' health, and for those that run pods the reason from the pods.

use std::{collections::HashMap, fmt, time::Duration};

use ordain_reconciler_plan::{
    ObjectKey,
    health::{Health, Status, trouble},
};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    ObjectStatus,
    cluster::Cluster,
    live::Live,
    member::{Care, Member},
};

/// How long a pod may be stuck before its workload counts as degraded: an image that a registry gives
/// at the second try, or a container that waits for its database, is no failure.
const STUCK_GRACE: Duration = Duration::from_secs(10);

/// One object and how it is.
#[derive(Debug, Clone)]
pub(crate) struct ObjectHealth {
    pub(crate) key: ObjectKey,
    pub(crate) health: Health,
}

impl ObjectHealth {
    pub(crate) fn to_status(&self) -> ObjectStatus {
        ObjectStatus {
            group: self.key.group.clone(),
            kind: self.key.kind.clone(),
            namespace: self.key.namespace.clone(),
            name: self.key.name.clone(),
            health: self.health.status.to_string(),
            message: self.health.message.clone(),
        }
    }
}

impl fmt::Display for ObjectHealth {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.health.message.as_str() {
            "" => write!(out, "{} is {}", self.key, self.health.status),
            message => write!(out, "{}: {message}", self.key),
        }
    }
}

/// Remembers since when pods are stuck, from one look to the next.
#[derive(Debug, Default)]
pub(crate) struct HealthView {
    stuck_since: HashMap<ObjectKey, Instant>,
}

impl HealthView {
    /// Judges every object. A state older than what was written says nothing.
    pub(crate) async fn look(
        &mut self,
        cluster: &Cluster,
        live: &Live,
        members: &[Member],
    ) -> Vec<ObjectHealth> {
        let mut result = Vec::with_capacity(members.len());
        for member in members {
            let (mut health, observed) = match &member.care {
                Care::None(by) => (left_alone(live, &member.key, by), false),
                Care::Elsewhere(by) => (elsewhere(by), false),
                Care::Full | Care::Existence(_) => current(live, member),
            };
            // Before its controller looked at it, its pods are those of an older one.
            if health.status == Status::Progressing && observed {
                health = self.with_pods(cluster, member, health).await;
            } else {
                self.stuck_since.remove(&member.key);
            }
            result.push(ObjectHealth {
                key: member.key.clone(),
                health,
            });
        }
        result
    }

    async fn with_pods(&mut self, cluster: &Cluster, member: &Member, health: Health) -> Health {
        let Some((namespace, labels)) = &member.pods else {
            return health;
        };
        // Without the pods the object's own words have to do.
        let Ok(pods) = cluster.pods(namespace, labels).await else {
            return health;
        };
        let is_job = member.key.kind == "Job";
        let mut troubles: Vec<_> = newest(&pods)
            .filter(|pod| {
                !is_job
                    || pod
                        .pointer("/status/phase")
                        .is_none_or(|phase| phase != "Failed")
            })
            .filter_map(|pod| Some((pod, trouble(pod)?)))
            .collect();
        troubles.sort_by_key(|(_, trouble)| !trouble.stuck);
        let Some((pod, mut worst)) = troubles.into_iter().next() else {
            self.stuck_since.remove(&member.key);
            return health;
        };
        if let Some(words) = failed_probe(cluster, namespace, pod, &worst.message).await {
            worst.message = format!("{}: {words}", worst.message);
        }
        // A Job counts its pods' failures itself, but an image that is not there never becomes one.
        let judged = worst.stuck && !(is_job && worst.message.starts_with("CrashLoopBackOff"));
        if !judged {
            self.stuck_since.remove(&member.key);
            let message = format!("{} ({})", health.message, worst.message);
            return Health {
                status: Status::Progressing,
                message,
            };
        }
        let since = *self
            .stuck_since
            .entry(member.key.clone())
            .or_insert_with(Instant::now);
        let stuck = since.elapsed() >= STUCK_GRACE;
        let status = if stuck {
            Status::Degraded
        } else {
            Status::Progressing
        };
        Health {
            status,
            message: worst.message,
        }
    }
}

/// What the last probe of a pod said, when its containers run and are not ready, or are killed again and again:
/// only an event tells it (kubelet `pkg/kubelet/prober/prober.go`).
async fn failed_probe(
    cluster: &Cluster,
    namespace: &str,
    pod: &Value,
    trouble: &str,
) -> Option<String> {
    if !trouble.ends_with("is not ready") && !trouble.starts_with("CrashLoopBackOff") {
        return None;
    }
    let name = pod.pointer("/metadata/name")?.as_str()?;
    let (reason, words) = cluster.last_warning(namespace, "Pod", name).await?;
    (reason == "Unhealthy").then_some(words)
}

/// An object's own health, and whether it is about the generation that was written.
fn current(live: &Live, member: &Member) -> (Health, bool) {
    let health = |status, message: &str| Health {
        status,
        message: message.to_owned(),
    };
    let key = &member.key;
    match (live.get(key), &member.written) {
        // A Job may delete itself between two looks.
        (None, _) => (member.gone.clone(), false),
        (Some(seen), Some(applied))
            if seen.uid == applied.uid && seen.generation < applied.generation =>
        {
            (health(Status::Progressing, "not observed yet"), false)
        }
        (Some(seen), _) => (seen.health.clone(), seen.observed),
    }
}

/// An object that somebody asked to leave alone: its health counts, its absence does not.
fn left_alone(live: &Live, key: &ObjectKey, by: &str) -> Health {
    let message = format!("left alone: `{by}`");
    match live.get(key) {
        Some(seen) if !seen.health.status.is_done() => seen.health.clone(),
        _ => Health {
            status: Status::Suspended,
            message,
        },
    }
}

/// A hook of another time: however it is, the rollout is not.
pub(crate) fn elsewhere(by: &str) -> Health {
    Health {
        status: Status::Suspended,
        message: format!("no part of a rollout: `{by}`"),
    }
}

/// The pods of the newest template: while old ones are replaced, what they do says nothing.
fn newest(pods: &[Value]) -> impl Iterator<Item = &Value> {
    let created = |pod: &Value| {
        pod.pointer("/metadata/creationTimestamp")
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    // Set by the controllers of Deployments, and of StatefulSets and DaemonSets.
    let template = |pod: &Value| {
        let labels = pod.pointer("/metadata/labels")?;
        let hash = labels
            .get("pod-template-hash")
            .or_else(|| labels.get("controller-revision-hash"));
        hash.and_then(Value::as_str).map(str::to_owned)
    };
    let alive = |pod: &&Value| pod.pointer("/metadata/deletionTimestamp").is_none();
    // RFC 3339 in UTC sorts as text.
    let latest = pods
        .iter()
        .filter(alive)
        .max_by_key(|pod| created(pod))
        .and_then(template);
    pods.iter()
        .filter(alive)
        .filter(move |pod| latest.is_none() || template(pod) == latest)
}

/// The worst health of all objects, and what to say about it in one line.
pub(crate) fn summary(objects: &[ObjectHealth]) -> (Status, String) {
    let worst = objects
        .iter()
        .map(|object| object.health.status)
        .max()
        .unwrap_or(Status::Healthy);
    if worst.is_done() {
        return (worst, String::new());
    }
    let mut bad = objects
        .iter()
        .filter(|object| object.health.status == worst);
    let first = bad.next().map(ToString::to_string);
    let more = match bad.count() {
        0 => String::new(),
        count => format!(" (and {count} more)"),
    };
    (worst, format!("{}{more}", first.unwrap_or_default()))
}

/// True for a Job that deletes itself when it is done: when it is gone, it is done.
pub(crate) fn expires(object: &Value) -> bool {
    object["kind"] == "Job" && object.pointer("/spec/ttlSecondsAfterFinished").is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_pods_of_the_newest_template_are_asked() {
        let pod = |name: &str, hash: &str, created: &str| {
            let labels = json!({"pod-template-hash": hash});
            json!({"metadata": {"name": name, "labels": labels, "creationTimestamp": created}})
        };
        let mut pods = vec![
            pod("old", "a", "2026-01-01T00:00:00Z"),
            pod("new-1", "b", "2026-01-01T00:00:05Z"),
            pod("new-2", "b", "2026-01-01T00:00:04Z"),
            pod("gone", "c", "2026-01-01T00:00:09Z"),
        ];
        pods[3]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:10Z".into();
        let names: Vec<_> = newest(&pods)
            .map(|pod| pod["metadata"]["name"].clone())
            .collect();
        assert_eq!(names, ["new-1", "new-2"]);
    }
}
