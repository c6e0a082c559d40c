//! What the node agent is told when it starts. It does not know where the values come from.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ordain_orchestrator_net::ipam::Cidr;

/// Which driver runs the containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RuntimeChoice {
    /// `Oci` for root, else `Process`.
    #[default]
    Auto,
    /// Real containers by libcontainer; needs root.
    Oci,
    /// Supervised child processes with a loopback address per pod; needs nothing.
    Process,
    /// Nothing runs: containers count as running at once. For tests of what is above.
    Fake,
}

/// The certificates of the kubelet-style HTTPS server, as PEM texts.
#[derive(Clone)]
pub struct ServingTls {
    /// The serving certificate with its chain.
    pub certificate_pem: String,
    /// Its private key.
    pub key_pem: String,
    /// The authority whose client certificates may call (the cluster CA).
    pub client_ca_pem: String,
}

impl std::fmt::Debug for ServingTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServingTls").finish_non_exhaustive()
    }
}

/// Where the images of a registry really come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// `host:port` to ask instead of the name in the image reference.
    pub address: String,
    /// Whether to speak plain HTTP.
    pub insecure: bool,
}

/// How images are found.
#[derive(Debug, Clone, Default)]
pub struct ImageConfig {
    /// Registry name as written in a reference (`registry.local`) to its real place.
    pub mirrors: BTreeMap<String, Mirror>,
    /// Registries spoken to over plain HTTP, as `host:port`. Loopback addresses always are.
    pub insecure_registries: Vec<String>,
    /// Further folders whose `*.tar` archives are imported, beside `<data-dir>/images`.
    pub archive_dirs: Vec<PathBuf>,
}

/// Everything the node agent needs.
#[derive(Clone)]
pub struct NodeConfig {
    /// The name of the Node object.
    pub name: String,
    /// Where images, container state, volumes and logs live. One agent at a time per folder.
    pub data_dir: PathBuf,
    /// How the API server is spoken to.
    pub client: kube::Client,
    /// Which driver to use.
    pub runtime: RuntimeChoice,
    /// The range of pod addresses with the `oci` driver; `None` is 10.42.0.0/16.
    pub pod_cidr: Option<Cidr>,
    /// The range of pod addresses with the `process` driver; `None` is 127.42.0.0/16.
    pub process_pod_cidr: Option<Cidr>,
    /// The bridge's name; `None` derives one from the data directory.
    pub bridge: Option<String>,
    /// Where the kubelet-style server listens; port 0 picks a free one.
    pub kubelet_listen: SocketAddr,
    /// The address the API server reaches this node at (status.addresses); `None` takes the
    /// address of `kubelet_listen`, or loopback when that is unspecified.
    pub node_address: Option<IpAddr>,
    /// Certificates of the kubelet-style server.
    pub tls: ServingTls,
    /// How images are found.
    pub images: ImageConfig,
    /// The DNS server named in pods' resolv.conf; `None` copies the host's.
    pub cluster_dns: Option<Ipv4Addr>,
    /// The cluster's DNS domain.
    pub cluster_domain: String,
    /// The API server's address as pods see it (KUBERNETES_SERVICE_HOST and _PORT); `None` leaves
    /// both to the `kubernetes` Service.
    pub api_server: Option<(String, u16)>,
    /// The program that is re-executed as the shim, with `__shim` as its first argument; `None` is
    /// the running program itself.
    pub shim: Option<PathBuf>,
    /// Labels to put on the Node object.
    pub labels: BTreeMap<String, String>,
}

impl NodeConfig {
    /// Returns a configuration with defaults for everything that has one.
    pub fn new(
        name: impl Into<String>,
        data_dir: impl Into<PathBuf>,
        client: kube::Client,
        tls: ServingTls,
    ) -> Self {
        Self {
            name: name.into(),
            data_dir: data_dir.into(),
            client,
            runtime: RuntimeChoice::Auto,
            pod_cidr: None,
            process_pod_cidr: None,
            bridge: None,
            kubelet_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            node_address: None,
            tls,
            images: ImageConfig::default(),
            cluster_dns: None,
            cluster_domain: "cluster.local".to_owned(),
            api_server: None,
            shim: None,
            labels: BTreeMap::new(),
        }
    }
}
