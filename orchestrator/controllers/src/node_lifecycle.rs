//! Node lifecycle: notices that a node has gone silent, keeps pods away from it, and gives up the
//! pods that run there. Kubernetes `pkg/controller/nodelifecycle` and `tainteviction`.
//!
//! A node is judged by its Lease; one that never had a Lease is left alone.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::{
    api::{
        coordination::v1::Lease,
        core::v1::{Node, NodeCondition, Pod, Taint, Toleration},
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, Time},
    jiff::{SignedDuration, Timestamp},
};
use ordain_orchestrator_client::{
    Change, Failure, Informer, Informers, Key, Next, WorkConfig, object_reference, queue,
    run_controller,
};
use serde_json::json;

use crate::{Action, executor::Executor, pods::is_finished};

/// Silence after which a node counts as lost. Kubernetes `--node-monitor-grace-period`.
const SILENCE_SECONDS: i64 = 50;
/// How often a node is looked at. Kubernetes `--node-monitor-period` is 5 s.
const PERIOD: Duration = Duration::from_secs(10);
/// How long pods stay on a node that is not ready or not reachable if they do not say.
/// Kubernetes admission `DefaultTolerationSeconds`.
const TOLERATION_SECONDS_DEFAULT: i64 = 300;
const LEASE_NAMESPACE: &str = "kube-node-lease";

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// Taints that follow a condition of the node: the condition, its bad value, the taint.
const PRESSURES: [(&str, &str); 4] = [
    ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "node.kubernetes.io/pid-pressure"),
    (
        "NetworkUnavailable",
        "node.kubernetes.io/network-unavailable",
    ),
];
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// The last renewal that was seen and when, by this machine's clock: the node's may be wrong.
#[derive(Clone, Debug, PartialEq)]
struct Heartbeat {
    renewed: Option<MicroTime>,
    seen: Timestamp,
}

/// Decides for one node with the pods that are bound to it.
fn step(
    node: &Node,
    heartbeat: Option<&Heartbeat>,
    pods: &[Arc<Pod>],
    now: Timestamp,
) -> Vec<Action> {
    let mut actions = Vec::new();
    let silent = heartbeat.is_some_and(|heartbeat| {
        now.duration_since(heartbeat.seen) > SignedDuration::from_secs(SILENCE_SECONDS)
    });
    let conditions = node
        .status
        .as_ref()
        .and_then(|status| status.conditions.clone());
    let mut conditions = conditions.unwrap_or_default();
    if silent && mark_unknown(&mut conditions, now) {
        let body = json!({ "status": { "conditions": conditions } });
        let target = crate::action::Target::of(node);
        actions.push(Action::Patch {
            target,
            subresource: Some("status"),
            body,
        });
        let name = node.metadata.name.as_deref().unwrap_or_default();
        let message = format!("Node {name} status is now: NodeNotReady");
        actions.push(Action::note("NodeNotReady", message));
    }
    let before = node
        .spec
        .as_ref()
        .and_then(|spec| spec.taints.clone())
        .unwrap_or_default();
    let wanted = taints(node, &conditions, &before, now);
    if wanted != before {
        actions.push(Action::patch(node, json!({ "spec": { "taints": wanted } })));
    }
    actions.extend(evictions(&wanted, pods, now));
    actions
}

/// Sets every condition that only the node can know to unknown; returns whether that is new.
fn mark_unknown(conditions: &mut Vec<NodeCondition>, now: Timestamp) -> bool {
    let mut changed = false;
    for type_ in ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"] {
        let found = conditions
            .iter_mut()
            .find(|condition| condition.type_ == type_);
        let condition = match found {
            Some(condition) if condition.status == "Unknown" => continue,
            Some(condition) => condition,
            None => {
                conditions.push(NodeCondition {
                    type_: type_.to_owned(),
                    ..NodeCondition::default()
                });
                conditions.last_mut().expect("just pushed")
            }
        };
        changed = true;
        condition.status = "Unknown".to_owned();
        condition.reason = Some("NodeStatusUnknown".to_owned());
        condition.message = Some("Kubelet stopped posting node status.".to_owned());
        condition.last_transition_time = Some(Time(now));
    }
    changed
}

/// Returns the taints the node should have; those of others stay as they are.
fn taints(
    node: &Node,
    conditions: &[NodeCondition],
    before: &[Taint],
    now: Timestamp,
) -> Vec<Taint> {
    let value = |type_: &str| {
        let condition = conditions.iter().find(|condition| condition.type_ == type_);
        condition.map_or("", |condition| condition.status.as_str())
    };
    let mut wanted: Vec<(&str, &str)> = Vec::new();
    match value("Ready") {
        "True" => {}
        "Unknown" => wanted.extend([(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")]),
        _ => wanted.extend([(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")]),
    }
    let bad = PRESSURES
        .iter()
        .filter(|(condition, _)| value(condition) == "True");
    wanted.extend(bad.map(|(_, taint)| (*taint, "NoSchedule")));
    if node
        .spec
        .as_ref()
        .and_then(|spec| spec.unschedulable)
        .unwrap_or(false)
    {
        wanted.push((UNSCHEDULABLE, "NoSchedule"));
    }
    let ours = |key: &str| {
        [NOT_READY, UNREACHABLE, UNSCHEDULABLE].contains(&key)
            || PRESSURES.iter().any(|(_, taint)| *taint == key)
    };
    let is =
        |taint: &Taint, (key, effect): (&str, &str)| taint.key == key && taint.effect == effect;
    let kept = before
        .iter()
        .filter(|taint| !ours(&taint.key) || wanted.iter().any(|wanted| is(taint, *wanted)));
    let mut taints: Vec<_> = kept.cloned().collect();
    for (key, effect) in wanted {
        if !taints.iter().any(|taint| is(taint, (key, effect))) {
            taints.push(Taint {
                key: key.to_owned(),
                effect: effect.to_owned(),
                time_added: Some(Time(now)),
                value: None,
            });
        }
    }
    taints
}

/// Deletes pods that do not, or no longer, tolerate a `NoExecute` taint.
fn evictions(taints: &[Taint], pods: &[Arc<Pod>], now: Timestamp) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut next: Option<Duration> = None;
    let evicting: Vec<_> = taints
        .iter()
        .filter(|taint| taint.effect == "NoExecute")
        .collect();
    for pod in pods {
        if is_finished(pod) || pod.metadata.deletion_timestamp.is_some() {
            continue;
        }
        let stays = evicting
            .iter()
            .filter_map(|taint| stays_for(pod, taint, now))
            .min();
        match stays {
            None => {}
            Some(Duration::ZERO) => actions.push(Action::delete(&**pod)),
            Some(left) => next = Some(next.map_or(left, |next| next.min(left))),
        }
    }
    actions.extend(next.map(Action::After));
    actions
}

/// How long a pod still tolerates a taint; `None` for ever.
fn stays_for(pod: &Pod, taint: &Taint, now: Timestamp) -> Option<Duration> {
    let tolerations = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.tolerations.as_deref());
    let matching: Vec<_> = tolerations
        .unwrap_or_default()
        .iter()
        .filter(|t| tolerates(t, taint))
        .collect();
    let seconds = if matching.is_empty() {
        match taint.key.as_str() {
            NOT_READY | UNREACHABLE => TOLERATION_SECONDS_DEFAULT,
            _ => return Some(Duration::ZERO),
        }
    } else {
        // One that sets no limit is for ever only if no other sets one.
        matching
            .iter()
            .filter_map(|toleration| toleration.toleration_seconds)
            .min()?
    };
    let since = taint.time_added.as_ref().map_or(now, |time| time.0);
    let left = SignedDuration::from_secs(seconds.max(0)) - now.duration_since(since);
    Some(Duration::try_from(left).unwrap_or_default())
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let any = |wanted: &Option<String>, value: &str| {
        wanted
            .as_deref()
            .is_none_or(|wanted| wanted.is_empty() || wanted == value)
    };
    any(&toleration.effect, &taint.effect)
        && any(&toleration.key, &taint.key)
        && (toleration.operator.as_deref() == Some("Exists")
            || toleration.value.as_deref().unwrap_or_default()
                == taint.value.as_deref().unwrap_or_default())
}

struct Controller {
    nodes: Informer<Node>,
    leases: Informer<Lease>,
    pods: Informer<Pod>,
    heartbeats: Mutex<HashMap<String, Heartbeat>>,
    executor: Executor,
}

/// Runs the controller until the informers' shutdown.
pub(crate) async fn run(informers: Informers) {
    let (queue, work) = queue();
    let controller = Controller {
        nodes: informers.of(),
        leases: informers.of(),
        pods: informers.of(),
        heartbeats: Mutex::default(),
        executor: Executor::new(informers.client().clone(), "node-controller"),
    };
    controller.nodes.ready().await;
    controller.leases.ready().await;
    controller.pods.ready().await;
    controller.nodes.on_change(move |change| {
        let relevant = match change {
            Change::Updated { old, new } => {
                let statuses = |node: &Node| -> Vec<_> {
                    let conditions = node.status.as_ref().and_then(|s| s.conditions.as_ref());
                    let conditions = conditions.into_iter().flatten();
                    conditions
                        .map(|c| (c.type_.clone(), c.status.clone()))
                        .collect()
                };
                old.spec != new.spec || statuses(old) != statuses(new)
            }
            _ => true,
        };
        if relevant {
            queue.add(Key::of(&change.object().metadata));
        }
    });
    let shutdown = informers.shutdown().clone();
    let config = WorkConfig {
        concurrency: 1,
        period: PERIOD,
    };
    let keys = || controller.nodes.keys();
    let reconcile = |key| controller.reconcile(key);
    run_controller("node-lifecycle", config, work, shutdown, keys, reconcile).await;
}

impl Controller {
    async fn reconcile(&self, key: Key) -> Result<Next, Failure> {
        let Some(node) = self.nodes.get("", &key.name) else {
            self.heartbeats
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&*key.name);
            return Ok(Next::Signal);
        };
        let now = Timestamp::now();
        let heartbeat = self.heartbeat(&key, now);
        let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
        let evicts = taints
            .into_iter()
            .flatten()
            .any(|taint| taint.effect == "NoExecute");
        let mut here = if evicts { self.pods.list() } else { Vec::new() };
        here.retain(|pod| {
            let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
            node == Some(&key.name)
        });
        let actions = step(&node, heartbeat.as_ref(), &here, now);
        let done = self
            .executor
            .run(&object_reference(&*node), actions)
            .await?;
        for (kind, meta) in &done.written {
            match kind.as_str() {
                "Node" => self.nodes.caught_up(meta).await,
                _ => self.pods.caught_up(meta).await,
            }
        }
        Ok(done.next)
    }

    /// Compares the node's Lease with what was seen last.
    fn heartbeat(&self, key: &Key, now: Timestamp) -> Option<Heartbeat> {
        let lease = self.leases.get(LEASE_NAMESPACE, &key.name)?;
        let renewed = lease.spec.as_ref().and_then(|spec| spec.renew_time.clone());
        let mut known = self
            .heartbeats
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let heartbeat = known
            .entry(key.name.to_string())
            .or_insert_with(|| Heartbeat {
                renewed: renewed.clone(),
                seen: now,
            });
        if heartbeat.renewed != renewed {
            *heartbeat = Heartbeat { renewed, seen: now };
        }
        Some(heartbeat.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use k8s_openapi::{
        api::core::v1::{Node, Pod},
        jiff::{SignedDuration, Timestamp},
    };
    use serde_json::json;

    use super::{Heartbeat, step};

    /// What is decided about a node that was heard `silence` seconds ago, as lines.
    fn check(node: &Node, silence: i64, pods: &[Arc<Pod>]) -> Vec<String> {
        let now: Timestamp = "2026-01-01T00:10:00Z".parse().unwrap();
        let seen = now - SignedDuration::from_secs(silence);
        let heartbeat = Heartbeat {
            renewed: None,
            seen,
        };
        let actions = step(node, Some(&heartbeat), pods, now);
        actions.iter().map(ToString::to_string).collect()
    }

    fn node(ready: &str, spec: serde_json::Value) -> Node {
        serde_json::from_value(json!({
            "metadata": { "name": "a" },
            "spec": spec,
            "status": { "conditions": [{ "type": "Ready", "status": ready }] },
        }))
        .unwrap()
    }

    fn pod(name: &str, tolerations: serde_json::Value) -> Arc<Pod> {
        let spec = json!({ "containers": [], "tolerations": tolerations });
        Arc::new(
            serde_json::from_value(json!({ "metadata": { "name": name }, "spec": spec })).unwrap(),
        )
    }

    #[test]
    fn a_node_that_is_heard_is_left_alone() {
        assert_eq!(check(&node("True", json!({})), 49, &[]), [""; 0]);
    }

    #[test]
    fn a_silent_node_is_marked_and_tainted() {
        let actions = check(&node("True", json!({})), 51, &[]);
        assert_eq!(actions.len(), 3);
        assert!(
            actions[0]
                .contains(r#""reason":"NodeStatusUnknown","status":"Unknown","type":"Ready""#)
        );
        assert_eq!(
            actions[1],
            "event Normal NodeNotReady: Node a status is now: NodeNotReady"
        );
        let unreachable = |effect: &str| {
            let key = "node.kubernetes.io/unreachable";
            format!(r#"{{"effect":"{effect}","key":"{key}","timeAdded":"2026-01-01T00:10:00Z"}}"#)
        };
        let taints = format!(
            "[{},{}]",
            unreachable("NoSchedule"),
            unreachable("NoExecute")
        );
        assert_eq!(
            actions[2],
            format!(r#"patch Node a {{"spec":{{"taints":{taints}}}}}"#)
        );
    }

    #[test]
    fn taints_follow_the_conditions_and_those_of_others_stay() {
        let gpu = json!({ "key": "gpu", "effect": "NoSchedule" });
        let stale = json!({ "key": "node.kubernetes.io/not-ready", "effect": "NoExecute" });
        let spec = json!({ "unschedulable": true, "taints": [gpu, stale] });
        let actions = check(&node("True", spec), 0, &[]);
        assert_eq!(actions.len(), 1);
        assert!(actions[0].contains(r#""key":"gpu""#), "{actions:?}");
        assert!(
            actions[0].contains(r#""key":"node.kubernetes.io/unschedulable""#),
            "{actions:?}"
        );
        assert!(!actions[0].contains("not-ready"), "{actions:?}");
    }

    #[test]
    fn pods_leave_when_their_patience_ends() {
        let taint = |key: &str, since: &str| {
            json!({ "taints": [
                { "key": key, "effect": "NoSchedule" },
                { "key": key, "effect": "NoExecute", "timeAdded": since },
            ] })
        };
        let key = "node.kubernetes.io/not-ready";
        let pods = [
            pod("silent", json!([])),
            pod(
                "patient",
                json!([{ "key": key, "operator": "Exists", "tolerationSeconds": 600 }]),
            ),
            pod(
                "hasty",
                json!([{ "key": key, "operator": "Exists", "tolerationSeconds": 60 }]),
            ),
            pod("daemon", json!([{ "operator": "Exists" }])),
        ];
        let early = node("False", taint(key, "2026-01-01T00:08:00Z"));
        assert_eq!(
            check(&early, 0, &pods),
            ["delete Pod hasty", "again after 180000 ms"]
        );
        let late = node("False", taint(key, "2026-01-01T00:05:00Z"));
        let expected = [
            "delete Pod silent",
            "delete Pod hasty",
            "again after 300000 ms",
        ];
        assert_eq!(check(&late, 0, &pods), expected);
        let drained = node("True", taint("drain", "2026-01-01T00:10:00Z"));
        let expected = [
            "delete Pod silent",
            "delete Pod patient",
            "delete Pod hasty",
        ];
        assert_eq!(check(&drained, 0, &pods), expected);
    }
}
