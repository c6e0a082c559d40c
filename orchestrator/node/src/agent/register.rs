//! The node's own objects: its Node, and the Lease that says it is alive.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Node};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Agent;

/// How often the lease is renewed (kubelet: a quarter of nodeLeaseDurationSeconds).
const LEASE_PERIOD: Duration = Duration::from_secs(10);

/// How long a lease lasts, in seconds (kubelet: nodeLeaseDurationSeconds).
const LEASE_SECONDS: i32 = 40;

/// How often the node's status is written when nothing changed (kubelet:
/// nodeStatusReportFrequency).
const STATUS_PERIOD: Duration = Duration::from_secs(300);

/// How long to wait before trying again to reach the API server.
const RETRY: Duration = Duration::from_millis(250);

/// The namespace of node leases.
const LEASE_NAMESPACE: &str = "kube-node-lease";

/// How many pods a node takes (kubelet: maxPods).
const PODS_MAX: u32 = 110;

/// What the host has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    pub(crate) cpus: usize,
    pub(crate) memory_bytes: i64,
    pub(crate) disk_bytes: i64,
}

impl Capacity {
    pub(crate) fn of_this_host() -> Self {
        let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<i64>().ok());
        let disk = nix::sys::statvfs::statvfs("/");
        Self {
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: kib.unwrap_or(0) * 1024,
            disk_bytes: disk.map_or(0, |disk| {
                (disk.blocks() as i64).saturating_mul(disk.fragment_size() as i64)
            }),
        }
    }
}

/// Keeps the node registered until the token is cancelled.
pub(super) async fn keep(agent: Arc<Agent>, port: u16, stop: CancellationToken) {
    let work = async {
        let mut status_due = tokio::time::Instant::now();
        loop {
            if status_due <= tokio::time::Instant::now() {
                match register(&agent, port).await {
                    Ok(()) => status_due = tokio::time::Instant::now() + STATUS_PERIOD,
                    Err(error) => {
                        tracing::debug!(%error, "node is not registered yet");
                        tokio::time::sleep(RETRY).await;
                        continue;
                    }
                }
            }
            match renew(&agent).await {
                Ok(()) => tokio::time::sleep(LEASE_PERIOD).await,
                Err(error) => {
                    tracing::warn!(%error, "node lease could not be renewed");
                    tokio::time::sleep(RETRY * 4).await;
                    // The node may have been deleted meanwhile.
                    status_due = tokio::time::Instant::now();
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

async fn register(agent: &Agent, port: u16) -> Result<(), kube::Error> {
    let nodes = Api::<Node>::all(agent.config.client.clone());
    let name = &agent.config.name;
    let meta = json!({"metadata": {"labels": labels(agent)}});
    match nodes.get_opt(name).await? {
        Some(_) => {
            nodes
                .patch(name, &PatchParams::default(), &Patch::Merge(meta))
                .await?;
        }
        None => {
            let mut node = meta;
            node["apiVersion"] = "v1".into();
            node["kind"] = "Node".into();
            node["metadata"]["name"] = name.clone().into();
            node["status"] = status(agent, port, None);
            let node: Node = serde_json::from_value(node).map_err(kube::Error::SerdeError)?;
            nodes.create(&PostParams::default(), &node).await?;
        }
    }
    let known = nodes.get_opt(name).await?;
    let status = json!({"status": status(agent, port, known.as_ref())});
    nodes
        .patch_status(name, &PatchParams::default(), &Patch::Merge(status))
        .await?;
    Ok(())
}

fn labels(agent: &Agent) -> Value {
    let mut labels = json!({
        "kubernetes.io/arch": crate::images::model::architecture(),
        "kubernetes.io/os": "linux",
        "kubernetes.io/hostname": agent.config.name,
        "ordain.dev/runtime": agent.runtime.name(),
    });
    for (key, value) in &agent.config.labels {
        labels[key] = value.clone().into();
    }
    labels
}

fn status(agent: &Agent, port: u16, known: Option<&Node>) -> Value {
    let capacity = agent.capacity;
    let resources = json!({
        "cpu": capacity.cpus.to_string(),
        "memory": format!("{}Ki", capacity.memory_bytes / 1024),
        "ephemeral-storage": format!("{}Ki", capacity.disk_bytes / 1024),
        "pods": PODS_MAX.to_string(),
    });
    let images: Vec<_> = agent
        .store
        .list()
        .into_iter()
        .map(|(name, image)| json!({"names": [name], "sizeBytes": image.size}))
        .collect();
    json!({
        "capacity": resources,
        "allocatable": resources,
        "addresses": [
            {"type": "InternalIP", "address": agent.node_ip.to_string()},
            {"type": "Hostname", "address": agent.config.name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "nodeInfo": info(agent),
        "conditions": conditions(known),
        "images": images,
    })
}

fn info(agent: &Agent) -> Value {
    let read = |path: &str| {
        fs::read_to_string(path)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let release = read("/etc/os-release");
    let os = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    json!({
        "architecture": crate::images::model::architecture(),
        "operatingSystem": "linux",
        "kernelVersion": read("/proc/sys/kernel/osrelease"),
        "osImage": os.map_or("Linux", |name| name.trim_matches('"')),
        "machineID": read("/etc/machine-id"),
        "systemUUID": read("/etc/machine-id"),
        "bootID": read("/proc/sys/kernel/random/boot_id"),
        "containerRuntimeVersion": format!("ordain-{}://{}", agent.runtime.name(), env!("CARGO_PKG_VERSION")),
        "kubeletVersion": "v1.36.0",
        "kubeProxyVersion": "",
    })
}

fn conditions(known: Option<&Node>) -> Value {
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let old = known.and_then(|node| node.status.as_ref()?.conditions.as_ref());
    let one = |kind: &str, status: &str, reason: &str, message: &str| {
        let same = old.and_then(|list| {
            list.iter()
                .find(|one| one.type_ == kind && one.status == status)
        });
        let since = same.and_then(|one| one.last_transition_time.as_ref());
        let since = since.and_then(|time| serde_json::to_value(time).ok());
        json!({
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "lastHeartbeatTime": now,
            "lastTransitionTime": since.unwrap_or_else(|| now.clone().into()),
        })
    };
    json!([
        one(
            "MemoryPressure",
            "False",
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available"
        ),
        one(
            "DiskPressure",
            "False",
            "KubeletHasNoDiskPressure",
            "kubelet has no disk pressure"
        ),
        one(
            "PIDPressure",
            "False",
            "KubeletHasSufficientPID",
            "kubelet has sufficient PID available"
        ),
        one(
            "Ready",
            "True",
            "KubeletReady",
            "kubelet is posting ready status"
        ),
    ])
}

async fn renew(agent: &Agent) -> Result<(), kube::Error> {
    let name = &agent.config.name;
    let client = agent.config.client.clone();
    let leases = Api::<Lease>::namespaced(client.clone(), LEASE_NAMESPACE);
    let now = Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
        .to_string();
    let spec = json!({
        "spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": now,
        },
    });
    match leases
        .patch(name, &PatchParams::default(), &Patch::Merge(&spec))
        .await
    {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => {
            let mut lease = spec;
            lease["metadata"] = json!({"name": name, "namespace": LEASE_NAMESPACE});
            let lease: Lease = serde_json::from_value(lease).map_err(kube::Error::SerdeError)?;
            match leases.create(&PostParams::default(), &lease).await {
                Ok(_) => Ok(()),
                Err(kube::Error::Api(status)) if status.code == 404 => {
                    make_namespace(client).await?;
                    leases
                        .create(&PostParams::default(), &lease)
                        .await
                        .map(drop)
                }
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

async fn make_namespace(client: Client) -> Result<(), kube::Error> {
    let namespace = json!({"metadata": {"name": LEASE_NAMESPACE}});
    let namespace: Namespace =
        serde_json::from_value(namespace).map_err(kube::Error::SerdeError)?;
    Api::<Namespace>::all(client)
        .create(&PostParams::default(), &namespace)
        .await
        .map(drop)
}
