//! Role `sandbox`: makes a pod's namespaces, wires the network, pins them as files, and ends.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use ordain_orchestrator_net::bridge::{HostNet, PodLink};
use serde::{Deserialize, Serialize};

use super::{Report, ShimResult, report, said};

/// The order to make a sandbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SandboxTask {
    pub(crate) folder: PathBuf,
    pub(crate) hostname: String,
    pub(crate) bridge: String,
    pub(crate) host_interface: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) prefix: u8,
    pub(crate) gateway: Ipv4Addr,
}

/// The namespaces of a sandbox: file name and kind.
pub(crate) const NAMESPACES: [&str; 3] = ["net", "ipc", "uts"];

pub(super) fn sandbox(request: &Path) -> ShimResult<()> {
    let text = fs::read(request).map_err(said("failed to read the request"))?;
    let task: SandboxTask =
        serde_json::from_slice(&text).map_err(said("failed to read the request"))?;
    // One thread: the runtime lives on this one, and its blocking pool is never used.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(said("failed to start"))?;
    runtime.block_on(make(&task))?;
    report(&Report::Ok);
    Ok(())
}

async fn make(task: &SandboxTask) -> ShimResult<()> {
    let host = HostNet::open().map_err(said("failed to reach the host's network"))?;
    let host_ns =
        File::open("/proc/self/ns/net").map_err(said("failed to open the host's network"))?;
    let flags = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    unshare(flags).map_err(said("failed to make the pod's namespaces"))?;
    nix::unistd::sethostname(&task.hostname).map_err(said("failed to set the host name"))?;
    let link = PodLink {
        bridge: task.bridge.clone(),
        host_name: task.host_interface.clone(),
        address: task.address,
        prefix: task.prefix,
        gateway: task.gateway,
    };
    host.attach(host_ns.as_fd(), &link)
        .await
        .map_err(said("failed to wire the pod"))?;
    for name in NAMESPACES {
        let to = task.folder.join(name);
        File::create(&to).map_err(said("failed to make a namespace file"))?;
        let from = format!("/proc/self/ns/{name}");
        mount(
            Some(from.as_str()),
            &to,
            None::<&str>,
            MsFlags::MS_BIND,
            None::<&str>,
        )
        .map_err(said("failed to pin a namespace"))?;
    }
    Ok(())
}
