//! What a driver is told about a sandbox and a container: plain data, also written to disk for the
//! shim and for the next run of the agent.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Which pod something belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PodRef {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID; another pod of the same name has another one.
    pub uid: String,
}

/// What a pod's containers share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxSpec {
    /// The pod.
    pub pod: PodRef,
    /// The host name its containers see.
    pub hostname: String,
    /// Whether it lives in the host's network.
    pub host_network: bool,
}

/// A sandbox that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// The pod.
    pub pod: PodRef,
    /// The pod's address.
    pub address: Ipv4Addr,
    /// Whether it lives in the host's network.
    pub host_network: bool,
    /// The folder with the namespace files `net`, `ipc` and `uts`, where the driver has such.
    pub namespaces: Option<PathBuf>,
    /// The host's end of the veth pair, where there is one.
    pub host_interface: Option<String>,
}

/// A file or folder of the host that a container sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Path on the host.
    pub source: PathBuf,
    /// Absolute path in the container.
    pub destination: String,
    /// Whether the container may only read.
    pub read_only: bool,
}

/// What a container may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Weight in the processor's scheduling, as upstream: 1024 per requested core, at least 2.
    pub cpu_shares: u64,
    /// Microseconds of processor time per 100 ms.
    pub cpu_quota_us: Option<i64>,
    /// Bytes of memory.
    pub memory_bytes: Option<i64>,
    /// How readily the kernel kills it when the host is out of memory, -1000 to 1000.
    pub oom_score_adj: i32,
}

/// What a container may do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Security {
    /// All devices and capabilities.
    pub privileged: bool,
    /// Capabilities beyond the default set, without `CAP_`; `ALL` is all.
    pub add: Vec<String>,
    /// Capabilities taken away; `ALL` is all.
    pub drop: Vec<String>,
    /// Whether set-uid programs have no effect.
    pub no_new_privileges: bool,
    /// Whether the image's files are read-only.
    pub read_only_root: bool,
    /// The user to run as, over the image's.
    pub run_as_user: Option<u32>,
    /// The group to run as, over the image's.
    pub run_as_group: Option<u32>,
    /// Further groups.
    pub groups: Vec<u32>,
    /// Refuse to start as user 0.
    pub run_as_non_root: bool,
}

/// Everything a driver needs to start a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Unique on the node: lowercase hex.
    pub id: String,
    /// The pod.
    pub pod: PodRef,
    /// Its name within the pod.
    pub name: String,
    /// How often a container of this name was started before in this pod.
    pub attempt: u32,
    /// The image as the pod names it.
    pub image: String,
    /// The image's digest.
    pub image_id: String,
    /// Program and arguments, the image's defaults applied.
    pub args: Vec<String>,
    /// Names and values, the image's applied, later ones winning.
    pub env: Vec<(String, String)>,
    /// Absolute working directory.
    pub cwd: String,
    /// The image's user, as text.
    pub image_user: String,
    /// The image's stop signal, as text; empty is SIGTERM.
    pub stop_signal: String,
    /// The host name it sees.
    pub hostname: String,
    /// Volumes and the generated files.
    pub mounts: Vec<Mount>,
    /// What it may use.
    pub limits: Limits,
    /// What it may do.
    pub security: Security,
    /// Whether its standard streams are one terminal.
    pub tty: bool,
    /// Whether its input stays open for `attach`.
    pub stdin: bool,
    /// The log file, in CRI format.
    pub log: PathBuf,
    /// The sandbox it joins.
    pub sandbox: Sandbox,
}

/// Returns the ID of a container: the same for the same pod, name and attempt, so that an agent
/// that lost its memory between deciding and starting cannot start one twice.
pub fn container_id(pod_uid: &str, name: &str, attempt: u32) -> String {
    let text = format!("{pod_uid}/{name}/{attempt}");
    crate::images::model::digest_of(text.as_bytes()).split_off("sha256:".len())
}
