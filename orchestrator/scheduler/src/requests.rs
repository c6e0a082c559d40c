//! What a pod asks of a node. Kubernetes `component-helpers/resource/helpers.go`.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Container, Pod, PodSpec},
    apimachinery::pkg::api::resource::Quantity,
};

use ordain_orchestrator_api as api;

/// CPU that a container without a request counts for when nodes are compared.
/// Kubernetes `pkg/scheduler/util/pod_resources.go`.
const SCORED_CPU_DEFAULT: i64 = 100;
/// Memory that a container without a request counts for when nodes are compared: 200 MB.
const SCORED_MEMORY_DEFAULT: i64 = 200 * 1024 * 1024;

/// Amounts by resource name: CPU in millicores, everything else in its own unit, rounded up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests(pub BTreeMap<String, i64>);

impl Requests {
    /// Returns what the pod needs, with its init containers, sidecars and overhead.
    pub fn of(pod: &Pod) -> Requests {
        pod.spec
            .as_ref()
            .map_or_else(Requests::default, |spec| total(spec, container_requests))
    }

    /// Returns what the pod counts for when nodes are compared: as [`Requests::of`], but a
    /// container without requests is not free.
    pub(crate) fn scored(pod: &Pod) -> Requests {
        pod.spec.as_ref().map_or_else(Requests::default, |spec| {
            total(spec, |container| {
                let mut requests = container_requests(container);
                requests.0.entry("cpu".into()).or_insert(SCORED_CPU_DEFAULT);
                requests
                    .0
                    .entry("memory".into())
                    .or_insert(SCORED_MEMORY_DEFAULT);
                requests
            })
        })
    }

    /// Returns the amount of a resource; nothing if it is not named.
    pub fn get(&self, resource: &str) -> i64 {
        self.0.get(resource).copied().unwrap_or_default()
    }

    pub(crate) fn from_list(list: Option<&BTreeMap<String, Quantity>>) -> Requests {
        // A quantity that cannot be read does not pass the API server's validation.
        let amounts = list
            .into_iter()
            .flatten()
            .filter_map(|(resource, quantity)| {
                Some((resource.clone(), amount(resource, quantity)?))
            });
        Requests(amounts.collect())
    }

    pub(crate) fn add(&mut self, other: &Requests) {
        for (resource, amount) in &other.0 {
            let mine = self.0.entry(resource.clone()).or_default();
            *mine = mine.saturating_add(*amount);
        }
    }

    fn raise_to(&mut self, other: &Requests) {
        for (resource, amount) in &other.0 {
            let mine = self.0.entry(resource.clone()).or_default();
            *mine = (*mine).max(*amount);
        }
    }
}

fn amount(resource: &str, quantity: &Quantity) -> Option<i64> {
    let quantity: api::Quantity = quantity.0.parse().ok()?;
    Some(if resource == "cpu" {
        quantity.milli_value()
    } else {
        quantity.value()
    })
}

fn total(spec: &PodSpec, of: impl Fn(&Container) -> Requests) -> Requests {
    let mut running = Requests::default();
    for container in &spec.containers {
        running.add(&of(container));
    }
    // Init containers run one after the other, beside the sidecars that were started before.
    let mut sidecars = Requests::default();
    let mut starting = Requests::default();
    for container in spec.init_containers.iter().flatten() {
        let mut at_once = of(container);
        if container.restart_policy.as_deref() == Some("Always") {
            sidecars.add(&at_once);
            at_once = sidecars.clone();
        } else {
            at_once.add(&sidecars);
        }
        starting.raise_to(&at_once);
    }
    running.add(&sidecars);
    running.raise_to(&starting);
    if let Some(resources) = &spec.resources {
        // What is said for the pod as a whole replaces the sum.
        running
            .0
            .extend(Requests::from_list(resources.requests.as_ref()).0);
    }
    running.add(&Requests::from_list(spec.overhead.as_ref()));
    running
}

/// Requests of a container; a limit stands in for a request that is missing.
fn container_requests(container: &Container) -> Requests {
    let Some(resources) = &container.resources else {
        return Requests::default();
    };
    let mut requests = Requests::from_list(resources.limits.as_ref());
    requests
        .0
        .extend(Requests::from_list(resources.requests.as_ref()).0);
    requests
}
