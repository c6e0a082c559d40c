//! The userspace Service proxy: keeps the listening sockets equal to what Services and EndpointSlices ask for.
//!
//! It works without netfilter and without root (on loopback addresses), and costs a copy per byte. It knows
//! the Kubernetes API and sockets; which addresses there should be is decided in `services`.

use crate::balance::Balancer;
use crate::informers::Informers;
use crate::services::{self, Backends, Frontend, Protocol};
use crate::{Cidr, LocalAddresses, transport};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often a frontend that could not be opened is tried again, and how long changes are gathered.
const RETRY: Duration = Duration::from_secs(5);
const GATHER: Duration = Duration::from_millis(10);

/// What the proxy needs to know.
#[derive(Clone)]
pub struct ProxyConfig {
    /// The Services and their endpoints.
    pub informers: Informers,
    /// An address of the range that something else on this machine answers on: the name server's.
    pub also_hold: Option<Ipv4Addr>,
    /// The range that cluster addresses come from. Addresses outside 127.0.0.0/8 are put on the loopback device.
    pub service_range: Cidr,
    /// Where node ports listen, if they should.
    pub node_port_address: Option<IpAddr>,
}

/// Keeps Services reachable until `shutdown`, then closes every socket and takes its addresses back.
///
/// # Errors
/// Returns an error when this process may not change the machine's addresses and the range is not loopback.
pub async fn run(
    config: ProxyConfig,
    shutdown: CancellationToken,
) -> Result<(), crate::LocalError> {
    let mut local = if config.service_range.network().is_loopback() {
        None
    } else {
        let mut local = LocalAddresses::open().await?;
        local.sweep(config.service_range).await?;
        Some(local)
    };
    let Informers {
        services,
        slices,
        changed,
    } = config.informers.clone();
    let mut open: BTreeMap<Frontend, Open> = BTreeMap::new();
    let mut told = BTreeSet::new();
    changed.notify_one();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = changed.notified() => tokio::time::sleep(GATHER).await,
            () = tokio::time::sleep(RETRY) => {}
        }
        let wanted = services::desired(
            services.state().iter().map(AsRef::as_ref),
            slices.state().iter().map(AsRef::as_ref),
            config.node_port_address,
        );
        reconcile(&mut open, wanted, local.as_mut(), &config, &mut told).await;
    }
    open.clear();
    if let Some(local) = &mut local {
        local.hold(&BTreeSet::new()).await?;
    }
    Ok(())
}

/// An open frontend. Dropping it closes the socket; connections that are under way go on.
struct Open {
    balancer: Arc<Mutex<Balancer>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn reconcile(
    open: &mut BTreeMap<Frontend, Open>,
    wanted: BTreeMap<Frontend, Backends>,
    local: Option<&mut LocalAddresses>,
    config: &ProxyConfig,
    told: &mut BTreeSet<Frontend>,
) {
    told.retain(|frontend| wanted.contains_key(frontend));
    open.retain(|frontend, _| wanted.contains_key(frontend));
    if let Some(local) = local {
        let addresses: BTreeSet<Ipv4Addr> = wanted
            .keys()
            .filter_map(|f| match f.address.ip() {
                IpAddr::V4(ip) if config.service_range.contains(ip) => Some(ip),
                _ => None,
            })
            .chain(config.also_hold)
            .collect();
        if let Err(error) = local.hold(&addresses).await {
            tracing::warn!(error = %crate::chain(&error), "a cluster address cannot be held");
        }
    }
    for (frontend, backends) in wanted {
        if let Some(open) = open.get(&frontend).filter(|o| !o.task.is_finished()) {
            open.balancer
                .lock()
                .expect("nobody panics with the balancer")
                .update(backends);
            continue;
        }
        let balancer = Arc::new(Mutex::new(Balancer::new(backends)));
        let task = match frontend.protocol {
            Protocol::Tcp => transport::tcp(frontend.address, balancer.clone()).await,
            Protocol::Udp => transport::udp(frontend.address, balancer.clone()).await,
        };
        match task {
            Ok(task) => {
                told.remove(&frontend);
                open.insert(frontend, Open { balancer, task });
            }
            // It is tried again and again, but a log that repeats itself is not read.
            Err(error) if told.insert(frontend) => {
                let service = balancer
                    .lock()
                    .expect("nobody panics with the balancer")
                    .service()
                    .to_owned();
                tracing::warn!(%service, address = %frontend.address, %error, "a Service address cannot be opened");
            }
            Err(_) => {}
        }
    }
}
