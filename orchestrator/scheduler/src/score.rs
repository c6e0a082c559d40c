//! How well a node suits a pod, among those it fits on: upstream's default score plugins with
//! their weights, each from 0 to 100.

use k8s_openapi::api::core::v1::Pod;

use crate::{
    Requests,
    filter::{tolerates, tolerations},
    labels::term_matches,
    node::NodeState,
};

const SCORE_MAX: f64 = 100.0;
/// `NodeResourcesFit`, least allocated.
const WEIGHT_FREE: f64 = 1.0;
/// `NodeResourcesBalancedAllocation`.
const WEIGHT_BALANCE: f64 = 1.0;
/// `NodeAffinity`.
const WEIGHT_AFFINITY: f64 = 2.0;
/// `PodTopologySpread` with its default constraint on the host.
const WEIGHT_SPREAD: f64 = 2.0;
/// `TaintToleration`.
const WEIGHT_TAINTS: f64 = 3.0;

/// Returns the index of the best node; the first by name among equals.
pub(crate) fn best(pod: &Pod, nodes: &[&NodeState<'_>]) -> Option<usize> {
    let requests = Requests::scored(pod);
    let affinity: Vec<_> = nodes
        .iter()
        .map(|node| preferred_weight(pod, node))
        .collect();
    let taints: Vec<_> = nodes
        .iter()
        .map(|node| disliked_taints(pod, node))
        .collect();
    let siblings: Vec<_> = nodes.iter().map(|node| node.siblings(pod) as f64).collect();
    let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    let (affinity_most, taints_most, siblings_most) =
        (most(&affinity), most(&taints), most(&siblings));
    let part = |value: f64, most: f64| {
        if most > 0.0 {
            SCORE_MAX * value / most
        } else {
            0.0
        }
    };
    let total = |index: usize| {
        let (free, balance) = resources(&requests, nodes[index]);
        WEIGHT_FREE * free
            + WEIGHT_BALANCE * balance
            + WEIGHT_AFFINITY * part(affinity[index], affinity_most)
            + WEIGHT_SPREAD * (SCORE_MAX - part(siblings[index], siblings_most))
            + WEIGHT_TAINTS * (SCORE_MAX - part(taints[index], taints_most))
    };
    let better = |a: &usize, b: &usize| {
        let order = total(*a).total_cmp(&total(*b));
        order.then_with(|| nodes[*b].name.cmp(nodes[*a].name))
    };
    (0..nodes.len()).max_by(better)
}

/// Returns the scores for free and for balanced CPU and memory.
fn resources(requests: &Requests, node: &NodeState<'_>) -> (f64, f64) {
    let share = |resource: &str| {
        let offered = node.allocatable.get(resource) as f64;
        let used = (node.used_scored.get(resource) + requests.get(resource)) as f64;
        if offered > 0.0 {
            (used / offered).min(1.0)
        } else {
            1.0
        }
    };
    let (cpu, memory) = (share("cpu"), share("memory"));
    let free = SCORE_MAX * (2.0 - cpu - memory) / 2.0;
    // The standard deviation of two shares is half their distance.
    let balance = SCORE_MAX * (1.0 - (cpu - memory).abs() / 2.0);
    (free, balance)
}

fn preferred_weight(pod: &Pod, node: &NodeState<'_>) -> f64 {
    let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref());
    let preferred = affinity
        .and_then(|affinity| affinity.node_affinity.as_ref())
        .and_then(|affinity| {
            affinity
                .preferred_during_scheduling_ignored_during_execution
                .as_ref()
        });
    let weights = preferred.into_iter().flatten().filter_map(|term| {
        term_matches(&term.preference, node.name, node.labels).then_some(f64::from(term.weight))
    });
    weights.sum()
}

fn disliked_taints(pod: &Pod, node: &NodeState<'_>) -> f64 {
    let avoided = node
        .taints
        .iter()
        .filter(|taint| taint.effect == "PreferNoSchedule");
    avoided
        .filter(|taint| !tolerates(tolerations(pod), taint))
        .count() as f64
}
