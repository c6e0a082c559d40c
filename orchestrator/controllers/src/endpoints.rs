//! Endpoints and EndpointSlices: which pods stand behind a Service.
//! Kubernetes `pkg/controller/endpoint` and `endpointslice`.
//!
//! The names of the slices follow from the Service, so that a second look, or a second
//! controller, comes to the same objects.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use k8s_openapi::{
    api::{
        core::v1::{
            EndpointAddress, EndpointPort as CorePort, EndpointSubset, Endpoints, Pod, Service,
            ServicePort,
        },
        discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice},
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::api::ObjectMeta;
use ordain_orchestrator_client::{
    Change, Failure, Informer, Informers, Key, Next, WorkConfig, controller_of, object_reference,
    owner_reference, queue, run_controller,
};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    Action,
    executor::Executor,
    pods::{is_finished, is_ready},
};

/// Endpoints in one slice; more go to further slices. Kubernetes `--max-endpoints-per-slice`.
const SLICE_ENDPOINTS_MAX: usize = 100;
/// Addresses in an Endpoints object; the rest is left out. Kubernetes `maxCapacity`.
const ENDPOINTS_ADDRESSES_MAX: usize = 1000;
const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";
const MANAGED_BY_LABEL: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGED_BY: &str = "endpointslice-controller.k8s.io";

/// What is there for one Service.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The pods of the Service's namespace.
    pub pods: Vec<Arc<Pod>>,
    /// The Endpoints object of the Service's name.
    pub endpoints: Option<Arc<Endpoints>>,
    /// The slices that this controller made for the Service.
    pub slices: Vec<Arc<EndpointSlice>>,
}

/// A pod behind a Service, with one of its addresses.
struct Backend<'a> {
    pod: &'a Pod,
    address: IpAddr,
    serving: bool,
    terminating: bool,
    /// Whether it gets traffic: serving, or wanted even if not ready.
    ready: bool,
}

/// The resolved ports of a backend, sorted.
type Ports = Vec<EndpointPort>;

/// Decides for one Service.
pub fn step(service: &Service, observed: &Observed) -> Vec<Action> {
    let Some(spec) = &service.spec else {
        return Vec::new();
    };
    let selector = spec
        .selector
        .as_ref()
        .filter(|selector| !selector.is_empty());
    let (Some(selector), None) = (selector, service.metadata.deletion_timestamp.as_ref()) else {
        // Without a selector the endpoints are somebody else's.
        return observed
            .slices
            .iter()
            .map(|slice| Action::delete(&**slice))
            .collect();
    };
    if spec.type_.as_deref() == Some("ExternalName") {
        return observed
            .slices
            .iter()
            .map(|slice| Action::delete(&**slice))
            .collect();
    }
    let selected = observed.pods.iter().map(|pod| &**pod).filter(|pod| {
        let labels = pod.metadata.labels.as_ref();
        selector
            .iter()
            .all(|(label, value)| labels.is_some_and(|labels| labels.get(label) == Some(value)))
    });
    let publish = spec.publish_not_ready_addresses.unwrap_or(false);
    let backends: Vec<_> = selected.flat_map(|pod| backends(pod, publish)).collect();
    let mut actions = slices(service, &backends, &observed.slices);
    actions.extend(endpoints(service, &backends, observed.endpoints.as_deref()));
    actions
}

fn backends(pod: &Pod, publish_not_ready: bool) -> Vec<Backend<'_>> {
    let Some(status) = &pod.status else {
        return Vec::new();
    };
    if is_finished(pod) {
        return Vec::new();
    }
    let ips: BTreeSet<IpAddr> = status
        .pod_ips
        .iter()
        .flatten()
        .map(|ip| &ip.ip)
        .chain(&status.pod_ip)
        .filter_map(|ip| ip.parse().ok())
        .collect();
    let terminating = pod.metadata.deletion_timestamp.is_some();
    let serving = is_ready(pod);
    let ready = publish_not_ready || serving && !terminating;
    ips.into_iter()
        .map(|address| Backend {
            pod,
            address,
            serving,
            terminating,
            ready,
        })
        .collect()
}

/// Returns the ports of the Service as this pod has them; a name that the pod does not know is
/// left out.
fn ports(service: &Service, pod: &Pod) -> Ports {
    let spec = service.spec.as_ref();
    let ports = spec
        .and_then(|spec| spec.ports.as_deref())
        .unwrap_or_default();
    let mut found: Ports = ports
        .iter()
        .filter_map(|port| {
            Some(EndpointPort {
                name: Some(port.name.clone().unwrap_or_default()),
                port: Some(target_port(port, pod)?),
                protocol: Some(protocol(port.protocol.as_deref())),
                app_protocol: port.app_protocol.clone(),
            })
        })
        .collect();
    found.sort_by(|a, b| (&a.name, a.port, &a.protocol).cmp(&(&b.name, b.port, &b.protocol)));
    found
}

fn protocol(protocol: Option<&str>) -> String {
    protocol.unwrap_or("TCP").to_owned()
}

fn target_port(port: &ServicePort, pod: &Pod) -> Option<i32> {
    match &port.target_port {
        None | Some(IntOrString::Int(0)) => Some(port.port),
        Some(IntOrString::Int(number)) => Some(*number),
        Some(IntOrString::String(name)) => {
            let spec = pod.spec.as_ref()?;
            let sidecars = spec.init_containers.iter().flatten();
            let sidecars = sidecars.filter(|c| c.restart_policy.as_deref() == Some("Always"));
            let containers = spec.containers.iter().chain(sidecars);
            let named = containers
                .flat_map(|container| container.ports.iter().flatten())
                .find(|p| {
                    p.name.as_ref() == Some(name)
                        && protocol(p.protocol.as_deref()) == protocol(port.protocol.as_deref())
                });
            named
                .map(|port| port.container_port)
                .or_else(|| name.parse().ok())
        }
    }
}

fn slices(
    service: &Service,
    backends: &[Backend<'_>],
    observed: &[Arc<EndpointSlice>],
) -> Vec<Action> {
    // Pods that resolve a named port differently need slices of their own.
    let mut groups: BTreeMap<(&'static str, String), (Ports, Vec<&Backend<'_>>)> = BTreeMap::new();
    for backend in backends {
        let ports = ports(service, backend.pod);
        let family = if backend.address.is_ipv4() {
            "IPv4"
        } else {
            "IPv6"
        };
        let key = serde_json::to_string(&ports).expect("ports are plain data");
        groups
            .entry((family, key))
            .or_insert_with(|| (ports, Vec::new()))
            .1
            .push(backend);
    }
    if groups.is_empty() {
        // A Service that nothing stands behind says so with an empty slice.
        groups.insert(("IPv4", String::new()), (Vec::new(), Vec::new()));
    }
    let mut wanted = BTreeMap::new();
    for ((family, key), (ports, mut backends)) in groups {
        backends.sort_by_key(|backend| backend.address);
        let chunks: Vec<_> = match backends.is_empty() {
            true => vec![&backends[..]],
            false => backends.chunks(SLICE_ENDPOINTS_MAX).collect(),
        };
        for (index, chunk) in chunks.into_iter().enumerate() {
            // The group with no name of its own keeps its slice while its ports come and go.
            let slice = slice(service, family, &key, index, &ports, chunk);
            wanted.insert(slice.metadata.name.clone().unwrap_or_default(), slice);
        }
    }
    let mut actions = Vec::new();
    for old in observed {
        let name = old.metadata.name.clone().unwrap_or_default();
        match wanted.remove(&name) {
            None => actions.push(Action::delete(&**old)),
            Some(new) => {
                let labels = |slice: &EndpointSlice| slice.metadata.labels.clone();
                let same = new.endpoints.clone().unwrap_or_default()
                    == old.endpoints.clone().unwrap_or_default()
                    && new.ports.clone().unwrap_or_default()
                        == old.ports.clone().unwrap_or_default()
                    && labels(&new) == labels(old);
                if !same {
                    let body = json!({
                        "metadata": { "labels": new.metadata.labels },
                        "endpoints": new.endpoints,
                        "ports": new.ports,
                    });
                    actions.push(Action::patch(&**old, body));
                }
            }
        }
    }
    // New slices first: an endpoint that moves is for a moment in two slices, not in none.
    let mut all: Vec<_> = wanted.values().map(Action::create).collect();
    all.append(&mut actions);
    all
}

fn slice(
    service: &Service,
    family: &str,
    ports_key: &str,
    index: usize,
    ports: &Ports,
    backends: &[&Backend<'_>],
) -> EndpointSlice {
    let name = service.metadata.name.clone().unwrap_or_default();
    let mut digest = Sha256::new();
    digest.update(service.metadata.uid.as_deref().unwrap_or_default());
    // An empty slice and the first one that fills it are the same object.
    let only_numbers = service
        .spec
        .iter()
        .flat_map(|spec| spec.ports.iter().flatten());
    if only_numbers
        .into_iter()
        .any(|p| matches!(p.target_port, Some(IntOrString::String(_))))
    {
        digest.update(ports_key);
    }
    digest.update(family);
    digest.update(index.to_le_bytes());
    let suffix: String = digest
        .finalize()
        .iter()
        .take(3)
        .map(|b| format!("{b:02x}"))
        .collect();
    let mut labels: BTreeMap<_, _> = service.metadata.labels.clone().unwrap_or_default();
    labels.insert(SERVICE_NAME_LABEL.into(), name.clone());
    labels.insert(MANAGED_BY_LABEL.into(), MANAGED_BY.into());
    if service
        .spec
        .as_ref()
        .and_then(|spec| spec.cluster_ip.as_deref())
        == Some("None")
    {
        labels.insert("service.kubernetes.io/headless".into(), String::new());
    }
    EndpointSlice {
        metadata: ObjectMeta {
            name: Some(format!("{name}-{suffix}")),
            namespace: service.metadata.namespace.clone(),
            labels: Some(labels),
            owner_references: Some(vec![owner_reference(service)]),
            ..ObjectMeta::default()
        },
        address_type: family.to_owned(),
        endpoints: Some(
            backends
                .iter()
                .map(|backend| endpoint(service, backend))
                .collect(),
        ),
        ports: Some(ports.clone()),
    }
}

fn endpoint(service: &Service, backend: &Backend<'_>) -> Endpoint {
    Endpoint {
        addresses: vec![backend.address.to_string()],
        conditions: Some(EndpointConditions {
            ready: Some(backend.ready),
            serving: Some(backend.serving),
            terminating: Some(backend.terminating),
        }),
        hostname: hostname(service, backend.pod),
        node_name: node_name(backend.pod),
        target_ref: Some(pod_reference(backend.pod)),
        ..Endpoint::default()
    }
}

/// A pod that names this Service as its subdomain has a name of its own in DNS.
fn hostname(service: &Service, pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let host = spec.hostname.clone().filter(|host| !host.is_empty())?;
    (spec.subdomain == service.metadata.name).then_some(host)
}

fn node_name(pod: &Pod) -> Option<String> {
    pod.spec.as_ref().and_then(|spec| spec.node_name.clone())
}

fn pod_reference(pod: &Pod) -> k8s_openapi::api::core::v1::ObjectReference {
    k8s_openapi::api::core::v1::ObjectReference {
        kind: Some("Pod".into()),
        namespace: pod.metadata.namespace.clone(),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
        ..Default::default()
    }
}

fn endpoints(
    service: &Service,
    backends: &[Backend<'_>],
    observed: Option<&Endpoints>,
) -> Option<Action> {
    // One address family; pods that are leaving are in the slices only.
    let mut groups: BTreeMap<String, EndpointSubset> = BTreeMap::new();
    let mut staying: Vec<_> = backends
        .iter()
        .filter(|b| b.address.is_ipv4() && !b.terminating)
        .collect();
    staying.sort_by_key(|backend| backend.address);
    for backend in staying.into_iter().take(ENDPOINTS_ADDRESSES_MAX) {
        let ports = ports(service, backend.pod);
        let key = serde_json::to_string(&ports).expect("ports are plain data");
        let subset = groups.entry(key).or_insert_with(|| EndpointSubset {
            ports: (!ports.is_empty()).then(|| ports.into_iter().map(core_port).collect()),
            ..EndpointSubset::default()
        });
        let address = EndpointAddress {
            ip: backend.address.to_string(),
            hostname: hostname(service, backend.pod),
            node_name: node_name(backend.pod),
            target_ref: Some(pod_reference(backend.pod)),
        };
        let list = if backend.ready {
            &mut subset.addresses
        } else {
            &mut subset.not_ready_addresses
        };
        list.get_or_insert_default().push(address);
    }
    let subsets: Vec<_> = groups.into_values().collect();
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.insert(
        "endpoints.kubernetes.io/managed-by".into(),
        "endpoint-controller".into(),
    );
    match observed {
        None => Some(Action::create(&Endpoints {
            metadata: ObjectMeta {
                name: service.metadata.name.clone(),
                namespace: service.metadata.namespace.clone(),
                labels: Some(labels),
                // Upstream leaves this to a clean-up by name; an owner is simpler and as good.
                owner_references: Some(vec![owner_reference(service)]),
                ..ObjectMeta::default()
            },
            subsets: Some(subsets),
        })),
        Some(old) => {
            let same = old.subsets.clone().unwrap_or_default() == subsets
                && old.metadata.labels.as_ref() == Some(&labels);
            let body = json!({ "metadata": { "labels": labels }, "subsets": subsets });
            (!same).then(|| Action::patch(old, body))
        }
    }
}

fn core_port(port: EndpointPort) -> CorePort {
    CorePort {
        name: port.name.filter(|name| !name.is_empty()),
        port: port.port.unwrap_or(0),
        protocol: port.protocol,
        app_protocol: port.app_protocol,
    }
}

struct Controller {
    services: Informer<Service>,
    pods: Informer<Pod>,
    endpoints: Informer<Endpoints>,
    slices: Informer<EndpointSlice>,
    executor: Executor,
}

/// Runs the controller until the informers' shutdown.
pub(crate) async fn run(informers: Informers) {
    let (queue, work) = queue();
    let controller = Controller {
        services: informers.of(),
        pods: informers.of(),
        endpoints: informers.of(),
        slices: informers.of(),
        executor: Executor::new(informers.client().clone(), "endpoint-slice-controller"),
    };
    controller.services.ready().await;
    controller.pods.ready().await;
    controller.endpoints.ready().await;
    controller.slices.ready().await;
    let on_service = queue.clone();
    controller.services.on_change(move |change| {
        on_service.add(Key::of(&change.object().metadata));
    });
    let on_endpoints = queue.clone();
    controller.endpoints.on_change(move |change| {
        on_endpoints.add(Key::of(&change.object().metadata));
    });
    let on_slice = queue.clone();
    controller.slices.on_change(move |change| {
        let meta = &change.object().metadata;
        let owner = controller_of(meta).filter(|owner| owner.kind == "Service");
        if let Some(owner) = owner {
            on_slice.add(Key::new(
                meta.namespace.as_deref().unwrap_or_default(),
                &owner.name,
            ));
        }
    });
    let services = controller.services.clone();
    controller.pods.on_change(move |change| {
        if !concerns_endpoints(change) {
            return;
        }
        let namespace = change
            .object()
            .metadata
            .namespace
            .as_deref()
            .unwrap_or_default();
        let selecting = services.filter(namespace, |service| {
            [change.old(), Some(change.object())]
                .into_iter()
                .flatten()
                .any(|pod| {
                    let selector = service
                        .spec
                        .as_ref()
                        .and_then(|spec| spec.selector.as_ref());
                    let labels = pod.metadata.labels.as_ref();
                    selector.is_some_and(|selector| {
                        !selector.is_empty()
                            && selector.iter().all(|(label, value)| {
                                labels.is_some_and(|labels| labels.get(label) == Some(value))
                            })
                    })
                })
        });
        selecting
            .iter()
            .for_each(|service| queue.add(Key::of(&service.metadata)));
    });
    let (shutdown, config) = (informers.shutdown().clone(), WorkConfig::default());
    let keys = || controller.services.keys();
    let reconcile = |key| controller.reconcile(key);
    run_controller("endpoints", config, work, shutdown, keys, reconcile).await;
}

/// Whether a pod changed in what endpoints say about it.
fn concerns_endpoints(change: &Change<'_, Pod>) -> bool {
    let Change::Updated { old, new } = change else {
        return true;
    };
    let seen = |pod: &Pod| {
        let status = pod.status.as_ref();
        (
            pod.metadata.labels.clone(),
            pod.metadata.deletion_timestamp.is_some(),
            is_ready(pod),
            is_finished(pod),
            status.and_then(|status| status.pod_ip.clone()),
            status.and_then(|status| status.pod_ips.clone()),
            node_name(pod),
        )
    };
    seen(old) != seen(new)
}

impl Controller {
    async fn reconcile(&self, key: Key) -> Result<Next, Failure> {
        // What belonged to a Service that is gone is left to the garbage collector.
        let Some(service) = self.services.get(&key.namespace, &key.name) else {
            return Ok(Next::Signal);
        };
        let observed = Observed {
            pods: self.pods.list_namespace(&key.namespace),
            endpoints: self.endpoints.get(&key.namespace, &key.name),
            slices: self.slices.filter(&key.namespace, |slice| {
                let labels = slice.metadata.labels.as_ref();
                let label = |name| {
                    labels
                        .and_then(|labels| labels.get(name))
                        .map(String::as_str)
                };
                label(SERVICE_NAME_LABEL) == Some(&key.name)
                    && label(MANAGED_BY_LABEL) == Some(MANAGED_BY)
            }),
        };
        let actions = step(&service, &observed);
        let done = self
            .executor
            .run(&object_reference(&*service), actions)
            .await?;
        for (kind, meta) in &done.written {
            match kind.as_str() {
                "Endpoints" => self.endpoints.caught_up(meta).await,
                _ => self.slices.caught_up(meta).await,
            }
        }
        Ok(done.next)
    }
}
