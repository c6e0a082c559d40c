//! A node as the scheduler sees it: what it offers and what its pods already take.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::{Node, Pod, Taint};
use ordain_orchestrator_client::controller_of;

use crate::{Requests, labels::Labels};

/// Upstream gives every node room for this many pods if it does not say.
const PODS_DEFAULT: i64 = 110;

/// A host port that a pod takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPort {
    address: String,
    protocol: String,
    port: i32,
}

impl HostPort {
    pub(crate) fn of(pod: &Pod) -> Vec<HostPort> {
        let containers = pod.spec.iter().flat_map(|spec| {
            let sidecars = spec.init_containers.iter().flatten();
            spec.containers.iter().chain(
                sidecars.filter(|container| container.restart_policy.as_deref() == Some("Always")),
            )
        });
        let ports = containers.flat_map(|container| container.ports.iter().flatten());
        ports
            .filter_map(|port| {
                Some(HostPort {
                    address: port
                        .host_ip
                        .clone()
                        .filter(|ip| ip != "0.0.0.0")
                        .unwrap_or_default(),
                    protocol: port.protocol.clone().unwrap_or_else(|| "TCP".into()),
                    port: port.host_port.filter(|port| *port > 0)?,
                })
            })
            .collect()
    }

    fn conflicts(&self, other: &HostPort) -> bool {
        self.port == other.port
            && self.protocol == other.protocol
            && (self.address == other.address
                || self.address.is_empty()
                || other.address.is_empty())
    }
}

/// One node with the pods that are bound to it.
pub(crate) struct NodeState<'a> {
    pub(crate) name: &'a str,
    pub(crate) labels: &'a Labels,
    pub(crate) taints: Vec<Taint>,
    pub(crate) unschedulable: bool,
    pub(crate) allocatable: Requests,
    /// Requests of the pods, and their number as `pods`.
    pub(crate) used: Requests,
    /// As `used`, with defaults for containers that request nothing.
    pub(crate) used_scored: Requests,
    ports: Vec<HostPort>,
    /// How many pods of each controller run here, by the controller's uid.
    owners: HashMap<String, usize>,
}

impl<'a> NodeState<'a> {
    pub(crate) fn new(node: &'a Node, no_labels: &'a Labels) -> NodeState<'a> {
        let spec = node.spec.as_ref();
        let status = node.status.as_ref();
        let mut taints = spec
            .and_then(|spec| spec.taints.clone())
            .unwrap_or_default();
        let conditions = status.and_then(|status| status.conditions.as_ref());
        let ready = conditions
            .into_iter()
            .flatten()
            .any(|c| c.type_ == "Ready" && c.status == "True");
        let not_ready = "node.kubernetes.io/not-ready";
        if !ready && !taints.iter().any(|taint| taint.key == not_ready) {
            // The node lifecycle controller is about to add it.
            let effect = "NoSchedule".to_owned();
            taints.push(Taint {
                key: not_ready.to_owned(),
                effect,
                ..Taint::default()
            });
        }
        let offered =
            status.and_then(|status| status.allocatable.as_ref().or(status.capacity.as_ref()));
        let mut allocatable = Requests::from_list(offered);
        allocatable.0.entry("pods".into()).or_insert(PODS_DEFAULT);
        NodeState {
            name: node.metadata.name.as_deref().unwrap_or_default(),
            labels: node.metadata.labels.as_ref().unwrap_or(no_labels),
            taints,
            unschedulable: spec.and_then(|spec| spec.unschedulable).unwrap_or(false),
            allocatable,
            used: Requests::default(),
            used_scored: Requests::default(),
            ports: Vec::new(),
            owners: HashMap::new(),
        }
    }

    /// Counts a pod that runs here or was just placed here.
    pub(crate) fn add(&mut self, pod: &Pod) {
        let mut requests = Requests::of(pod);
        requests.0.insert("pods".into(), 1);
        self.used.add(&requests);
        self.used_scored.add(&Requests::scored(pod));
        self.ports.extend(HostPort::of(pod));
        if let Some(owner) = controller_of(&pod.metadata) {
            *self.owners.entry(owner.uid.clone()).or_default() += 1;
        }
    }

    pub(crate) fn has_free(&self, wanted: &[HostPort]) -> bool {
        !wanted
            .iter()
            .any(|port| self.ports.iter().any(|taken| taken.conflicts(port)))
    }

    /// Returns how many pods of the same controller run here.
    pub(crate) fn siblings(&self, pod: &Pod) -> usize {
        let owner = controller_of(&pod.metadata);
        owner
            .and_then(|owner| self.owners.get(&owner.uid))
            .copied()
            .unwrap_or(0)
    }
}
