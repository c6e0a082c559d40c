//! The decision for all waiting pods at once. Pure: no clock, no client.

use std::{cmp::Reverse, collections::BTreeMap};

use k8s_openapi::api::core::v1::{Node, Pod};
use ordain_orchestrator_client::Key;

use crate::{Requests, filter::rejections, labels::Labels, node::NodeState, score};

/// What is to happen to a waiting pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is bound to a node.
    Bind {
        /// The pod.
        pod: Key,
        /// The node.
        node: String,
    },
    /// It fits nowhere.
    Unschedulable {
        /// The pod.
        pod: Key,
        /// How many nodes reject it for what, in upstream's words.
        message: String,
    },
}

/// Returns whether the pod waits for this scheduler.
pub fn is_pending(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let scheduler = spec
        .scheduler_name
        .as_deref()
        .unwrap_or("default-scheduler");
    let gated = spec
        .scheduling_gates
        .as_ref()
        .is_some_and(|gates| !gates.is_empty());
    spec.node_name.as_deref().unwrap_or_default().is_empty()
        && scheduler == "default-scheduler"
        && !gated
        && pod.metadata.deletion_timestamp.is_none()
        && !is_finished(pod)
}

/// Returns whether the pod's containers are done, so that it takes nothing from its node.
fn is_finished(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Decides where the waiting pods among `pods` go. Pods with a higher priority come first, then
/// older ones; each sees those that were placed before it. `assumed` names the node of pods whose
/// binding is under way.
pub fn decide(
    pods: &[impl AsRef<Pod>],
    nodes: &[impl AsRef<Node>],
    assumed: impl Fn(&Pod) -> Option<String>,
) -> Vec<Verdict> {
    let no_labels = Labels::new();
    let mut states: Vec<_> = nodes
        .iter()
        .map(|node| NodeState::new(node.as_ref(), &no_labels))
        .collect();
    states.sort_by_key(|node| node.name);
    let mut pending = Vec::new();
    for pod in pods.iter().map(AsRef::as_ref) {
        let bound = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
        let node = bound
            .filter(|node| !node.is_empty())
            .or_else(|| assumed(pod));
        match node {
            Some(node) if !is_finished(pod) => {
                if let Ok(index) = states.binary_search_by_key(&&*node, |node| node.name) {
                    states[index].add(pod);
                }
            }
            None if is_pending(pod) => pending.push(pod),
            _ => {}
        }
    }
    pending.sort_by_key(|pod| {
        let priority = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.priority)
            .unwrap_or(0);
        let meta = &pod.metadata;
        let created = meta.creation_timestamp.as_ref().map(|time| time.0);
        (
            Reverse(priority),
            created,
            meta.namespace.as_deref(),
            meta.name.as_deref(),
        )
    });
    pending
        .into_iter()
        .map(|pod| place(pod, &mut states))
        .collect()
}

fn place(pod: &Pod, nodes: &mut [NodeState<'_>]) -> Verdict {
    let requests = Requests::of(pod);
    let key = Key::of(&pod.metadata);
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut feasible = Vec::new();
    for node in nodes.iter() {
        let rejected = rejections(pod, &requests, node);
        if rejected.is_empty() {
            feasible.push(node);
        }
        for reason in rejected {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    let Some(best) = score::best(pod, &feasible).map(|index| feasible[index].name.to_owned())
    else {
        return Verdict::Unschedulable {
            pod: key,
            message: message(nodes.len(), &reasons),
        };
    };
    let index = nodes.binary_search_by_key(&&*best, |node| node.name);
    nodes[index.expect("the best node is one of the nodes")].add(pod);
    Verdict::Bind {
        pod: key,
        node: best,
    }
}

/// Kubernetes `pkg/scheduler/framework/types.go`, `FitError.Error`.
fn message(nodes: usize, reasons: &BTreeMap<String, usize>) -> String {
    if nodes == 0 {
        return "no nodes available to schedule pods".to_owned();
    }
    let mut counted: Vec<_> = reasons
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    counted.sort();
    format!("0/{nodes} nodes are available: {}.", counted.join(", "))
}
