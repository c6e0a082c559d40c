//! What the proxy should listen on: Services and EndpointSlices to a set of frontends. Pure.
//!
//! It knows no socket and no clock. An address without ready endpoints yields no frontend, so that a
//! connection is refused at once, as kube-proxy rejects it, instead of hanging.

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The label that ties an EndpointSlice to its Service.
pub const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

/// How long a client sticks to its endpoint when the Service does not say.
/// 10,800 s, as `DefaultClientIPServiceAffinitySeconds` of the core API.
const AFFINITY: Duration = Duration::from_secs(10_800);

/// A transport that a Service port can name. SCTP is not carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Streams.
    Tcp,
    /// Datagrams.
    Udp,
}

/// One address and port on which a Service is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frontend {
    /// The cluster address, or the unspecified address for a node port.
    pub address: SocketAddr,
    /// Its transport.
    pub protocol: Protocol,
}

/// Where connections to a frontend go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backends {
    /// `namespace/name:port` of the Service, for logs and events.
    pub service: String,
    /// Ready endpoints, sorted; never empty.
    pub endpoints: Vec<SocketAddr>,
    /// How long a client address keeps its endpoint (`sessionAffinity: ClientIP`).
    pub affinity: Option<Duration>,
}

/// Returns every frontend that should be open, with the endpoints behind it.
///
/// `node_port_address` is where node ports listen; `None` leaves them closed.
#[must_use]
pub fn desired<'a>(
    services: impl IntoIterator<Item = &'a Service>,
    slices: impl IntoIterator<Item = &'a EndpointSlice>,
    node_port_address: Option<IpAddr>,
) -> BTreeMap<Frontend, Backends> {
    let slices = by_service(slices);
    let mut frontends = BTreeMap::new();
    for service in services {
        let name = service.metadata.name.clone().unwrap_or_default();
        let namespace = service.metadata.namespace.clone().unwrap_or_default();
        let Some(spec) = &service.spec else { continue };
        let addresses = cluster_addresses(spec.cluster_ips.as_deref(), spec.cluster_ip.as_deref());
        let own = slices
            .get(&(namespace.clone(), name.clone()))
            .map(Vec::as_slice)
            .unwrap_or_default();
        let affinity = (spec.session_affinity.as_deref() == Some("ClientIP")).then(|| {
            let seconds = spec
                .session_affinity_config
                .as_ref()
                .and_then(|c| c.client_ip.as_ref()?.timeout_seconds);
            seconds
                .and_then(|s| u64::try_from(s).ok())
                .map_or(AFFINITY, Duration::from_secs)
        });
        for port in spec.ports.iter().flatten() {
            let Some(protocol) = protocol(port.protocol.as_deref()) else {
                continue;
            };
            let endpoints = endpoints(own, port, protocol);
            if endpoints.is_empty() {
                continue;
            }
            let service = match &port.name {
                Some(port) => format!("{namespace}/{name}:{port}"),
                None => format!("{namespace}/{name}:{}", port.port),
            };
            let backends = Backends {
                service,
                endpoints,
                affinity,
            };
            let mut open = |ip: IpAddr, port: i32| {
                if let Ok(port) = u16::try_from(port) {
                    let frontend = Frontend {
                        address: SocketAddr::new(ip, port),
                        protocol,
                    };
                    frontends
                        .entry(frontend)
                        .or_insert_with(|| backends.clone());
                }
            };
            for ip in &addresses {
                open(*ip, port.port);
            }
            for ip in spec
                .external_ips
                .iter()
                .flatten()
                .filter_map(|ip| ip.parse().ok())
            {
                open(ip, port.port);
            }
            if let (Some(ip), Some(node_port)) = (node_port_address, port.node_port) {
                open(ip, node_port);
            }
        }
    }
    frontends
}

/// Returns the IPv4 addresses of a Service; a headless one has none.
fn cluster_addresses(all: Option<&[String]>, first: Option<&str>) -> Vec<IpAddr> {
    let listed: BTreeSet<&str> = all
        .unwrap_or_default()
        .iter()
        .map(String::as_str)
        .chain(first)
        .collect();
    listed
        .into_iter()
        .filter_map(|ip| ip.parse::<Ipv4Addr>().ok())
        .map(IpAddr::V4)
        .collect()
}

type Slices<'a> = BTreeMap<(String, String), Vec<&'a EndpointSlice>>;

fn by_service<'a>(slices: impl IntoIterator<Item = &'a EndpointSlice>) -> Slices<'a> {
    let mut found = Slices::new();
    for slice in slices {
        let service = slice
            .metadata
            .labels
            .as_ref()
            .and_then(|l| l.get(SERVICE_NAME_LABEL));
        if let (Some(service), Some(namespace)) = (service, &slice.metadata.namespace) {
            found
                .entry((namespace.clone(), service.clone()))
                .or_default()
                .push(slice);
        }
    }
    found
}

/// Returns the ready endpoints of one Service port.
///
/// A slice's port matches by name (both absent counts as equal), which is how a named or numeric
/// `targetPort` that differs between pods stays right.
fn endpoints(
    slices: &[&EndpointSlice],
    port: &ServicePort,
    transport: Protocol,
) -> Vec<SocketAddr> {
    let wanted = port.name.as_deref().unwrap_or_default();
    let mut found = BTreeSet::new();
    for slice in slices {
        let numbers = slice.ports.iter().flatten().filter(|p| {
            p.name.as_deref().unwrap_or_default() == wanted
                && protocol(p.protocol.as_deref()) == Some(transport)
        });
        for number in numbers.filter_map(|p| u16::try_from(p.port?).ok()) {
            for endpoint in slice.endpoints.iter().flatten() {
                // An absent condition means ready (discovery/v1, EndpointConditions.ready).
                let ready = endpoint
                    .conditions
                    .as_ref()
                    .and_then(|c| c.ready)
                    .unwrap_or(true);
                let addresses = endpoint
                    .addresses
                    .iter()
                    .filter(|_| ready)
                    .filter_map(|a| a.parse().ok());
                found.extend(addresses.map(|ip: IpAddr| SocketAddr::new(ip, number)));
            }
        }
    }
    found.into_iter().collect()
}

/// Returns the transport of a port; an absent one is TCP, SCTP is none of ours.
pub(crate) fn protocol(name: Option<&str>) -> Option<Protocol> {
    match name {
        None | Some("TCP") => Some(Protocol::Tcp),
        Some("UDP") => Some(Protocol::Udp),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(services: &str, slices: &str, node_ports: Option<IpAddr>) -> String {
        let services: Vec<Service> = serde_json::from_str(services).expect("services");
        let slices: Vec<EndpointSlice> = serde_json::from_str(slices).expect("slices");
        let lines =
            desired(&services, &slices, node_ports)
                .into_iter()
                .map(|(frontend, backends)| {
                    format!(
                        "{:?} {} -> {} {:?}",
                        frontend.protocol, frontend.address, backends.service, backends.endpoints
                    )
                });
        lines.collect::<Vec<_>>().join("\n")
    }

    const SLICE: &str = r#"[{"metadata":{"name":"web-1","namespace":"shop","labels":{"kubernetes.io/service-name":"web"}},
        "addressType":"IPv4","ports":[{"name":"http","port":8080,"protocol":"TCP"}],
        "endpoints":[{"addresses":["10.42.0.7"],"conditions":{"ready":true}},
                     {"addresses":["10.42.0.9"],"conditions":{"ready":false}},
                     {"addresses":["10.42.0.8"]}]}]"#;

    #[test]
    fn ready_endpoints_stand_behind_the_cluster_address_and_the_node_port() {
        let service = r#"[{"metadata":{"name":"web","namespace":"shop"},"spec":{"clusterIP":"10.43.0.5",
            "ports":[{"name":"http","port":80,"targetPort":"http","nodePort":30080}]}}]"#;
        insta::assert_snapshot!(check(service, SLICE, Some(Ipv4Addr::UNSPECIFIED.into())), @r"
        Tcp 0.0.0.0:30080 -> shop/web:http [10.42.0.7:8080, 10.42.0.8:8080]
        Tcp 10.43.0.5:80 -> shop/web:http [10.42.0.7:8080, 10.42.0.8:8080]
        ");
    }

    #[test]
    fn a_port_of_another_name_has_no_endpoints_and_stays_closed() {
        let service = r#"[{"metadata":{"name":"web","namespace":"shop"},"spec":{"clusterIP":"10.43.0.5",
            "ports":[{"name":"grpc","port":81}]}}]"#;
        assert_eq!(check(service, SLICE, None), "");
    }

    #[test]
    fn a_headless_service_has_no_frontend() {
        let service = r#"[{"metadata":{"name":"web","namespace":"shop"},"spec":{"clusterIP":"None",
            "ports":[{"name":"http","port":80}]}}]"#;
        assert_eq!(check(service, SLICE, None), "");
    }
}
