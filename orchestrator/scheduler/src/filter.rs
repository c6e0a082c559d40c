//! Why a pod cannot run on a node: upstream's filter plugins, in their order and words.

use k8s_openapi::api::core::v1::{Pod, Taint, Toleration};

use crate::{
    Requests,
    labels::node_matches,
    node::{HostPort, NodeState},
};

/// Returns the reasons of the first rule that rejects the node; none when the pod fits.
pub(crate) fn rejections(pod: &Pod, requests: &Requests, node: &NodeState<'_>) -> Vec<String> {
    let one = |reason: &str| vec![reason.to_owned()];
    let tolerations = tolerations(pod);
    // NodeUnschedulable
    let unschedulable = Taint {
        key: "node.kubernetes.io/unschedulable".to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    };
    if node.unschedulable && !tolerates(tolerations, &unschedulable) {
        return one("node(s) were unschedulable");
    }
    // TaintToleration
    let forbids = |taint: &&Taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute");
    let taint = node
        .taints
        .iter()
        .filter(forbids)
        .find(|taint| !tolerates(tolerations, taint));
    if let Some(Taint { key, value, .. }) = taint {
        let value = value.as_deref().unwrap_or_default();
        return one(&format!("node(s) had untolerated taint {{{key}: {value}}}"));
    }
    // NodeAffinity
    if !node_matches(pod, node.name, node.labels) {
        return one("node(s) didn't match Pod's node affinity/selector");
    }
    // NodePorts
    if !node.has_free(&HostPort::of(pod)) {
        return one("node(s) didn't have free ports for the requested pod ports");
    }
    // NodeResourcesFit
    insufficient(requests, node)
}

fn insufficient(requests: &Requests, node: &NodeState<'_>) -> Vec<String> {
    let mut reasons = Vec::new();
    if node.used.get("pods") >= node.allocatable.get("pods") {
        reasons.push("Too many pods".to_owned());
    }
    for (resource, wanted) in &requests.0 {
        let free = node.allocatable.get(resource) - node.used.get(resource);
        if *wanted > 0 && *wanted > free {
            reasons.push(format!("Insufficient {resource}"));
        }
    }
    reasons
}

pub(crate) fn tolerations(pod: &Pod) -> &[Toleration] {
    let spec = pod.spec.as_ref();
    spec.and_then(|spec| spec.tolerations.as_deref())
        .unwrap_or_default()
}

/// Returns whether one of the tolerations accepts the taint. Kubernetes
/// `component-helpers/scheduling/corev1/helpers.go`.
pub(crate) fn tolerates(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations.iter().any(|toleration| {
        let any = |wanted: &Option<String>, value: &str| {
            wanted
                .as_deref()
                .is_none_or(|wanted| wanted.is_empty() || wanted == value)
        };
        if !any(&toleration.effect, &taint.effect) || !any(&toleration.key, &taint.key) {
            return false;
        }
        let value = taint.value.as_deref().unwrap_or_default();
        match toleration.operator.as_deref().unwrap_or("Equal") {
            "Exists" => true,
            "Equal" => toleration.value.as_deref().unwrap_or_default() == value,
            _ => false,
        }
    })
}
