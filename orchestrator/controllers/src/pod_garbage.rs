//! Pod garbage: pods whose node is gone, and pods that nobody will confirm as deleted.
//! Kubernetes `pkg/controller/podgc`.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::{
    api::core::v1::{Node, ObjectReference, Pod},
    jiff::{SignedDuration, Timestamp},
};
use kube::api::ApiResource;
use ordain_orchestrator_client::{
    Change, Failure, Informers, Next, WorkConfig, queue, run_controller,
};

use crate::{Action, action::Target, executor::Executor};

/// How long a node must be missing before its pods are given up: it may be registered again.
/// Kubernetes `quarantineTime`.
const MISSING_SECONDS: i64 = 40;
/// How often all pods are looked at. Kubernetes `gcCheckPeriod`.
const PERIOD: Duration = Duration::from_secs(20);

/// All pods are looked at together.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Everything;

impl fmt::Display for Everything {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all pods")
    }
}

/// When each node was first found missing.
type Missing = HashMap<String, Timestamp>;

/// Decides which pods are given up, and updates what is known about missing nodes.
fn step(
    pods: &[Arc<Pod>],
    nodes: &HashSet<String>,
    missing: &mut Missing,
    now: Timestamp,
) -> Vec<Action> {
    let mut needed = HashSet::new();
    let mut actions = Vec::new();
    for pod in pods {
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        let given_up = match node.filter(|node| !node.is_empty()) {
            // Nobody runs it, so nobody will say that it has stopped.
            None => pod.metadata.deletion_timestamp.is_some(),
            Some(node) if nodes.contains(node) => false,
            Some(node) => {
                needed.insert(node.to_owned());
                let since = *missing.entry(node.to_owned()).or_insert(now);
                now.duration_since(since) >= SignedDuration::from_secs(MISSING_SECONDS)
            }
        };
        if given_up {
            actions.push(Action::Delete {
                target: Target {
                    resource: ApiResource::erase::<Pod>(&()),
                    ..Target::of(&**pod)
                },
                propagation: None,
                grace_seconds: Some(0),
            });
        }
    }
    missing.retain(|node, _| needed.contains(node));
    actions
}

/// Runs the controller until the informers' shutdown.
pub(crate) async fn run(informers: Informers) {
    let (queue, work) = queue();
    let pods = informers.of::<Pod>();
    let nodes = informers.of::<Node>();
    let executor = Executor::new(informers.client().clone(), "pod-garbage-collector");
    pods.ready().await;
    nodes.ready().await;
    nodes.on_change(move |change| {
        if let Change::Deleted(_) = change {
            queue.add(Everything);
        }
    });
    let missing = Mutex::new(Missing::new());
    let shutdown = informers.shutdown().clone();
    let config = WorkConfig {
        concurrency: 1,
        period: PERIOD,
    };
    let reconcile = |Everything| {
        let known = nodes
            .keys()
            .into_iter()
            .map(|key| key.name.to_string())
            .collect();
        let mut missing = missing.lock().unwrap_or_else(PoisonError::into_inner);
        let actions = step(&pods.list(), &known, &mut missing, Timestamp::now());
        let executor = &executor;
        async move {
            let about = ObjectReference::default();
            Ok::<Next, Failure>(executor.run(&about, actions).await?.next)
        }
    };
    run_controller(
        "podgc",
        config,
        work,
        shutdown,
        || vec![Everything],
        reconcile,
    )
    .await;
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, sync::Arc};

    use k8s_openapi::{
        api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp,
    };

    use super::{Missing, step};

    fn pod(name: &str, node: Option<&str>, leaving: bool) -> Arc<Pod> {
        let mut pod = Pod::default();
        pod.metadata.name = Some(name.into());
        pod.metadata.deletion_timestamp = leaving.then_some(Time(Timestamp::UNIX_EPOCH));
        pod.spec.get_or_insert_default().node_name = node.map(Into::into);
        Arc::new(pod)
    }

    #[test]
    fn pods_of_a_node_that_stays_missing_are_given_up() {
        let pods = [
            pod("fine", Some("a"), false),
            pod("lost", Some("b"), false),
            pod("leaving", Some("a"), true),
            pod("nowhere", None, true),
            pod("waiting", None, false),
        ];
        let nodes = HashSet::from(["a".to_owned()]);
        let mut missing = Missing::new();
        let mut at = |seconds: i64| -> Vec<String> {
            let now = Timestamp::from_second(seconds).unwrap();
            step(&pods, &nodes, &mut missing, now)
                .iter()
                .map(ToString::to_string)
                .collect()
        };
        let nowhere = "delete Pod nowhere grace=0s";
        assert_eq!(at(100), [nowhere]);
        assert_eq!(at(139), [nowhere]);
        assert_eq!(at(140), ["delete Pod lost grace=0s", nowhere]);
    }
}
