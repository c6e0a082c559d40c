//! What the cluster's names mean, by the Kubernetes DNS specification 1.1. Pure: Services, slices and a question
//! give an answer.

use crate::services::{SERVICE_NAME_LABEL, protocol};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use std::net::Ipv4Addr;

/// The cluster's own domain, as kubelet writes it into `resolv.conf`.
pub const CLUSTER_DOMAIN: &str = "cluster.local";

/// A record that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An IPv4 address.
    A,
    /// A port and the name of its host.
    Srv,
    /// The name of an address.
    Ptr,
    /// Any other type: known names exist, but have no such record.
    Other,
}

/// One record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// An address.
    A(Ipv4Addr),
    /// A port at a host.
    Srv {
        /// The port.
        port: u16,
        /// The host's name, with the cluster domain.
        target: String,
        /// The host's address, for the additional section.
        address: Ipv4Addr,
    },
    /// A name.
    Ptr(String),
}

/// What a question is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The name is ours and exists; the list may be empty (no record of that type).
    Records(Vec<Data>),
    /// The name is ours and does not exist (NXDOMAIN).
    Missing,
    /// The name is not ours: ask another server.
    Foreign,
}

/// Answers one question. `name` is lower case without the final dot.
#[must_use]
pub fn answer(
    name: &str,
    kind: Kind,
    services: &[impl AsRef<Service>],
    slices: &[impl AsRef<EndpointSlice>],
) -> Answer {
    if let Some(address) = name.strip_suffix(".in-addr.arpa").and_then(reversed) {
        return pointer(address, kind, services, slices);
    }
    let Some(inner) = name
        .strip_suffix(CLUSTER_DOMAIN)
        .and_then(|n| n.strip_suffix('.').or(n.is_empty().then_some(n)))
    else {
        return Answer::Foreign;
    };
    let labels: Vec<&str> = inner.split('.').filter(|l| !l.is_empty()).collect();
    let [before @ .., service, namespace, "svc"] = labels.as_slice() else {
        // `svc.cluster.local`, `ns.svc.cluster.local` and the domain exist as empty nodes of the tree.
        return if labels.len() < 3 {
            Answer::Records(Vec::new())
        } else {
            Answer::Missing
        };
    };
    let found = services.iter().map(AsRef::as_ref).find(|s| {
        s.metadata.name.as_deref() == Some(service)
            && s.metadata.namespace.as_deref() == Some(namespace)
    });
    let Some(found) = found else {
        return Answer::Missing;
    };
    let view = View {
        service: found,
        base: format!("{service}.{namespace}.svc.{CLUSTER_DOMAIN}"),
        slices: own(found, slices),
    };
    let records = match before {
        [] => view.service_records(),
        [port, transport] if port.starts_with('_') && transport.starts_with('_') => {
            view.port_records(&port[1..], &transport[1..])
        }
        [host] => view.host_records(host),
        _ => None,
    };
    let Some(records) = records else {
        return Answer::Missing;
    };
    Answer::Records(
        records
            .into_iter()
            .filter(|r| {
                matches!(
                    (r, kind),
                    (Data::A(_), Kind::A) | (Data::Srv { .. }, Kind::Srv)
                )
            })
            .collect(),
    )
}

struct View<'a> {
    service: &'a Service,
    base: String,
    slices: Vec<&'a EndpointSlice>,
}

impl View<'_> {
    fn cluster_address(&self) -> Option<Ipv4Addr> {
        self.service
            .spec
            .as_ref()?
            .cluster_ip
            .as_ref()?
            .parse()
            .ok()
    }

    /// Addresses of endpoints with the name each has below the Service: its hostname, or the dashed address.
    fn hosts(&self) -> Vec<(String, Ipv4Addr, &EndpointSlice)> {
        let publish = self
            .service
            .spec
            .as_ref()
            .and_then(|s| s.publish_not_ready_addresses)
            .unwrap_or(false);
        let mut hosts = Vec::new();
        for slice in &self.slices {
            for endpoint in slice.endpoints.iter().flatten() {
                let ready = endpoint
                    .conditions
                    .as_ref()
                    .and_then(|c| c.ready)
                    .unwrap_or(true);
                for address in endpoint
                    .addresses
                    .iter()
                    .filter(|_| ready || publish)
                    .filter_map(|a| a.parse().ok())
                {
                    let address: Ipv4Addr = address;
                    let dashed = address.to_string().replace('.', "-");
                    hosts.push((endpoint.hostname.clone().unwrap_or(dashed), address, *slice));
                }
            }
        }
        hosts
    }

    /// Returns the records of the Service's own name: addresses, and the ports for SRV questions.
    fn service_records(&self) -> Option<Vec<Data>> {
        let addresses: Vec<Data> = match self.cluster_address() {
            Some(address) => vec![Data::A(address)],
            None => self
                .hosts()
                .into_iter()
                .map(|(_, address, _)| Data::A(address))
                .collect(),
        };
        // A headless Service without a ready endpoint has no address: the specification leaves NXDOMAIN or empty
        // open; CoreDNS answers NXDOMAIN, which resolvers do not confuse with "IPv6 only".
        if addresses.is_empty() {
            return None;
        }
        let ports = self
            .service
            .spec
            .iter()
            .flat_map(|s| s.ports.iter().flatten());
        let srv = ports.filter(|p| p.name.is_some()).flat_map(|p| {
            let transport = p.protocol.as_deref().unwrap_or("TCP").to_lowercase();
            self.port_records(p.name.as_deref().unwrap_or_default(), &transport)
                .unwrap_or_default()
        });
        Some(addresses.into_iter().chain(srv).collect())
    }

    fn port_records(&self, name: &str, transport: &str) -> Option<Vec<Data>> {
        let same = |p: Option<&str>| {
            protocol(p).is_some_and(|p| format!("{p:?}").eq_ignore_ascii_case(transport))
        };
        if let Some(address) = self.cluster_address() {
            let ports = self.service.spec.as_ref()?.ports.as_ref()?;
            let port = ports
                .iter()
                .find(|p| p.name.as_deref() == Some(name) && same(p.protocol.as_deref()))?;
            return Some(vec![Data::Srv {
                port: u16::try_from(port.port).ok()?,
                target: self.base.clone(),
                address,
            }]);
        }
        let records: Vec<Data> = self
            .hosts()
            .into_iter()
            .filter_map(|(host, address, slice)| {
                let ports = slice.ports.as_ref()?;
                let port = ports
                    .iter()
                    .find(|p| p.name.as_deref() == Some(name) && same(p.protocol.as_deref()))?;
                let port = u16::try_from(port.port?).ok()?;
                Some(Data::Srv {
                    port,
                    target: format!("{host}.{}", self.base),
                    address,
                })
            })
            .collect();
        (!records.is_empty()).then_some(records)
    }

    fn host_records(&self, host: &str) -> Option<Vec<Data>> {
        // Endpoint names exist below headless Services only.
        if self.cluster_address().is_some() {
            return None;
        }
        let records: Vec<Data> = self
            .hosts()
            .into_iter()
            .filter(|(name, ..)| name == host)
            .map(|(_, address, _)| Data::A(address))
            .collect();
        (!records.is_empty()).then_some(records)
    }
}

fn own<'a>(service: &Service, slices: &'a [impl AsRef<EndpointSlice>]) -> Vec<&'a EndpointSlice> {
    let mine = slices.iter().map(AsRef::as_ref).filter(|s| {
        s.metadata.namespace == service.metadata.namespace
            && s.metadata
                .labels
                .as_ref()
                .and_then(|l| l.get(SERVICE_NAME_LABEL))
                == service.metadata.name.as_ref()
    });
    mine.collect()
}

fn reversed(name: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u8> = name
        .split('.')
        .map(|p| p.parse().ok())
        .collect::<Option<_>>()?;
    let [d, c, b, a]: [u8; 4] = parts.try_into().ok()?;
    Some(Ipv4Addr::new(a, b, c, d))
}

fn pointer(
    address: Ipv4Addr,
    kind: Kind,
    services: &[impl AsRef<Service>],
    slices: &[impl AsRef<EndpointSlice>],
) -> Answer {
    let named = |s: &Service| {
        Some(format!(
            "{}.{}.svc.{CLUSTER_DOMAIN}",
            s.metadata.name.as_ref()?,
            s.metadata.namespace.as_ref()?
        ))
    };
    let mut names = Vec::new();
    for service in services.iter().map(AsRef::as_ref) {
        let Some(base) = named(service) else { continue };
        let view = View {
            service,
            base,
            slices: own(service, slices),
        };
        match view.cluster_address() {
            Some(own) if own == address => names.push(Data::Ptr(view.base.clone())),
            Some(_) => {}
            None => {
                let hosts = view.hosts().into_iter().filter(|(_, own, slice)| {
                    let named = slice
                        .endpoints
                        .iter()
                        .flatten()
                        .any(|e| e.hostname.is_some());
                    *own == address && named
                });
                names.extend(hosts.map(|(host, ..)| Data::Ptr(format!("{host}.{}", view.base))));
            }
        }
    }
    match (names.is_empty(), kind) {
        (true, _) => Answer::Foreign,
        (false, Kind::Ptr) => Answer::Records(names),
        (false, _) => Answer::Records(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn check(name: &str, kind: Kind) -> String {
        let services: Vec<Service> = serde_json::from_str(
            r#"[{"metadata":{"name":"web","namespace":"shop"},"spec":{"clusterIP":"10.43.0.5","ports":[{"name":"http","port":80}]}},
                {"metadata":{"name":"db","namespace":"shop"},"spec":{"clusterIP":"None","ports":[{"name":"sql","port":5432}]}},
                {"metadata":{"name":"empty","namespace":"shop"},"spec":{"clusterIP":"None"}}]"#,
        )
        .expect("services");
        let slices: Vec<EndpointSlice> = serde_json::from_str(
            r#"[{"metadata":{"name":"db-1","namespace":"shop","labels":{"kubernetes.io/service-name":"db"}},"addressType":"IPv4",
                "ports":[{"name":"sql","port":5432}],
                "endpoints":[{"addresses":["10.42.0.7"],"hostname":"db-0"},{"addresses":["10.42.0.8"]},
                             {"addresses":["10.42.0.9"],"conditions":{"ready":false}}]}]"#,
        )
        .expect("slices");
        let services: Vec<Arc<Service>> = services.into_iter().map(Arc::new).collect();
        let slices: Vec<Arc<EndpointSlice>> = slices.into_iter().map(Arc::new).collect();
        format!("{:?}", answer(name, kind, &services, &slices))
    }

    #[test]
    fn a_service_is_its_cluster_address() {
        insta::assert_snapshot!(check("web.shop.svc.cluster.local", Kind::A), @"Records([A(10.43.0.5)])");
        insta::assert_snapshot!(check("web.shop.svc.cluster.local", Kind::Other), @"Records([])");
    }

    #[test]
    fn a_port_is_a_service_record() {
        insta::assert_snapshot!(check("_http._tcp.web.shop.svc.cluster.local", Kind::Srv), @r#"Records([Srv { port: 80, target: "web.shop.svc.cluster.local", address: 10.43.0.5 }])"#);
        insta::assert_snapshot!(check("_grpc._tcp.web.shop.svc.cluster.local", Kind::Srv), @"Missing");
    }

    #[test]
    fn a_headless_service_is_its_ready_endpoints() {
        insta::assert_snapshot!(check("db.shop.svc.cluster.local", Kind::A), @"Records([A(10.42.0.7), A(10.42.0.8)])");
        insta::assert_snapshot!(check("db-0.db.shop.svc.cluster.local", Kind::A), @"Records([A(10.42.0.7)])");
        insta::assert_snapshot!(check("10-42-0-8.db.shop.svc.cluster.local", Kind::A), @"Records([A(10.42.0.8)])");
        insta::assert_snapshot!(check("empty.shop.svc.cluster.local", Kind::A), @"Missing");
    }

    #[test]
    fn names_of_ours_that_do_not_exist_are_not_asked_elsewhere() {
        insta::assert_snapshot!(check("nope.shop.svc.cluster.local", Kind::A), @"Missing");
        insta::assert_snapshot!(check("shop.svc.cluster.local", Kind::A), @"Records([])");
        insta::assert_snapshot!(check("example.com", Kind::A), @"Foreign");
        insta::assert_snapshot!(check("notcluster.local", Kind::A), @"Foreign");
    }

    #[test]
    fn an_address_has_the_name_of_its_service() {
        insta::assert_snapshot!(check("5.0.43.10.in-addr.arpa", Kind::Ptr), @r#"Records([Ptr("web.shop.svc.cluster.local")])"#);
        insta::assert_snapshot!(check("8.8.8.8.in-addr.arpa", Kind::Ptr), @"Foreign");
    }
}
