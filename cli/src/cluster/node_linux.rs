//! The parts of a cluster that run pods on this machine: node agent, Service proxy and name server.

use super::data_dir::DataDir;
use super::machine_linux::node_name;
use super::ranges::Ranges;
use super::{Options, node_dir};
use miette::{Context, IntoDiagnostic, Result};
use ordain_orchestrator_apiserver::Pki;
use ordain_orchestrator_net::dns::{Upstream, serve};
use ordain_orchestrator_net::{Cidr, Informers, ProxyConfig};
use ordain_orchestrator_node::config::{Mirror, NodeConfig, RuntimeChoice, ServingTls};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What the parts of this machine are made from.
pub(super) struct Host<'a> {
    pub(super) dir: &'a DataDir,
    pub(super) options: &'a Options,
    pub(super) ranges: &'a Ranges,
    pub(super) containers: bool,
    pub(super) pki: &'a Pki,
}

impl Host<'_> {
    /// Starts them; returns when the Node is registered.
    ///
    /// # Errors
    /// Returns why the node agent did not start. A name server that cannot listen is a warning: pods run without it.
    pub(super) async fn start(
        &self,
        client: &impl Fn(&str, &[&str]) -> kube::Client,
        api_server: SocketAddr,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Result<ordain_orchestrator_node::Running> {
        let parse = |text: String| text.parse::<Cidr>().expect("ranges are written as ranges");
        let (pods, services) = (parse(self.ranges.pods()), parse(self.ranges.services()));
        let masters = ["system:masters", "system:authenticated"];
        let informers = Informers::start(&client("system:kube-proxy", &masters), shutdown);
        let dns = self.ranges.dns();
        let proxy = ProxyConfig {
            informers: informers.clone(),
            also_hold: Some(dns),
            service_range: services,
            node_port_address: Some(IpAddr::V4(if self.containers {
                Ipv4Addr::UNSPECIFIED
            } else {
                Ipv4Addr::LOCALHOST
            })),
        };
        let stop = shutdown.clone();
        tasks.spawn(async move {
            if let Err(error) = ordain_orchestrator_net::run(proxy, stop).await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "Services are not reachable"
                );
            }
        });
        let named = self.name_server(dns, informers, tasks, shutdown);

        let name = node_name();
        let user = format!("system:node:{name}");
        let names = [name.clone(), "127.0.0.1".to_owned(), "localhost".to_owned()];
        let pair = self
            .pki
            .server(&user, &["system:nodes"], &names)
            .into_diagnostic()?;
        let tls = ServingTls {
            certificate_pem: pair.cert_pem,
            key_pem: pair.key_pem,
            client_ca_pem: self.pki.ca_pem().to_owned(),
        };
        let agent = client(
            &user,
            &["system:nodes", "system:masters", "system:authenticated"],
        );
        let mut config = NodeConfig::new(name, node_dir(self.dir.path()), agent, tls);
        config.runtime = if self.containers {
            RuntimeChoice::Oci
        } else {
            RuntimeChoice::Process
        };
        config.pod_cidr = Some(pods);
        config.process_pod_cidr = Some(pods);
        config.cluster_dns = named.then_some(dns);
        // Without containers port 443 of the `kubernetes` Service would need root, so pods get the real address.
        config.api_server =
            (!self.containers).then(|| (api_server.ip().to_string(), api_server.port()));
        config.images.mirrors = self
            .options
            .registries
            .iter()
            .map(|(name, address)| {
                let insecure = address.starts_with("127.") || address.starts_with("localhost:");
                (
                    name.clone(),
                    Mirror {
                        address: address.clone(),
                        insecure,
                    },
                )
            })
            .collect();
        ordain_orchestrator_node::start(config, shutdown.clone())
            .await
            .into_diagnostic()
            .wrap_err("the node agent does not start")
    }

    /// Starts the name server if this process may use its port, and returns whether it may.
    fn name_server(
        &self,
        dns: Ipv4Addr,
        informers: Informers,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> bool {
        if !super::is_root() {
            tracing::info!(
                "names of Services are left out: port 53 needs root; pods get their addresses as variables"
            );
            return false;
        }
        let upstream = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let upstream = Upstream::from_resolv_conf(&upstream, dns.into());
        let stop = shutdown.clone();
        tasks.spawn(async move {
            // The proxy puts the address on the loopback device; until it has, listening fails.
            for attempt in 0_u32.. {
                match serve(
                    SocketAddr::new(dns.into(), 53),
                    informers.clone(),
                    upstream.clone(),
                    stop.clone(),
                )
                .await
                {
                    Ok(()) => return,
                    Err(error) if attempt == ATTEMPTS => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "names of Services do not resolve"
                        );
                    }
                    Err(_) => {}
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(RETRY) => {}
                }
            }
        });
        true
    }
}

/// How often the name server's address is tried before somebody is told.
const ATTEMPTS: u32 = 20;
const RETRY: std::time::Duration = std::time::Duration::from_millis(100);
