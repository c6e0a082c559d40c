//! The `oci` driver: real containers by libcontainer in shims, an address per pod on a bridge.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Pod;
use ordain_orchestrator_net::bridge::{self, Bridge, BridgeConfig};
use ordain_orchestrator_net::ipam::{Cidr, Ipam};
use tokio::sync::mpsc::UnboundedSender;

use super::exec::{ExecRequest, ExecSession};
use super::process::{read_sandbox, read_sandboxes, write_sandbox};
use super::shims::{Shims, answer};
use super::{
    ContainerRecord, ContainerSpec, Runtime, RuntimeError, Sandbox, SandboxSpec, StopSignal, Usage,
    cgroup, host, user,
};
use crate::images::model::digest_of;
use crate::images::{Image, ImageStore, unpack};
use crate::shim::Report;
use crate::shim::sandbox::SandboxTask;
use crate::shim::task::{How, Task};

mod config;

/// The driver.
pub struct OciRuntime {
    shims: Shims,
    store: ImageStore,
    data_dir: PathBuf,
    folder: PathBuf,
    pool: Arc<Mutex<Ipam>>,
    bridge: Mutex<Option<Bridge>>,
    bridge_name: String,
    gateway: Ipv4Addr,
    host_address: Ipv4Addr,
    group: String,
}

/// Returns the few letters that tell one data directory's things on a host from another's.
pub fn mark(data_dir: &Path) -> String {
    let full = fs::canonicalize(data_dir).unwrap_or_else(|_| data_dir.to_owned());
    digest_of(full.as_os_str().as_encoded_bytes())["sha256:".len()..][..8].to_owned()
}

impl OciRuntime {
    /// Opens the driver in `data_dir`: cleans up what a killed run left, makes the bridge, takes
    /// over containers that still run.
    ///
    /// # Errors
    /// When the network cannot be set up or the folders cannot be made.
    pub async fn open(
        data_dir: &Path,
        program: PathBuf,
        store: ImageStore,
        range: Cidr,
        bridge_name: Option<String>,
        host_address: Ipv4Addr,
        exits: UnboundedSender<String>,
    ) -> Result<Self, RuntimeError> {
        let data_dir = fs::canonicalize(data_dir).map_err(RuntimeError::io("find", data_dir))?;
        let folder = data_dir.join("sandboxes");
        fs::create_dir_all(&folder).map_err(RuntimeError::io("create", &folder))?;
        let mark = mark(&data_dir);
        let bridge_name = bridge_name.unwrap_or_else(|| format!("ord-{mark}"));
        let network = |error| RuntimeError::Network(Box::new(error));
        let config = BridgeConfig {
            name: bridge_name.clone(),
            range,
        };
        let bridge = Bridge::ensure(config).await.map_err(network)?;
        let shims = Shims::open(data_dir.join("containers"), program, exits)?;
        let mut pool = Ipam::new(range);
        for sandbox in read_sandboxes(&folder) {
            let pinned = sandbox.namespaces.as_ref().is_none_or(|place| {
                host::mounts_below(place)
                    .iter()
                    .any(|point| point.ends_with("net"))
            });
            if pinned {
                pool.reserve(sandbox.address);
                continue;
            }
            // After a reboot the folder is there but the namespaces are not; a container that does
            // live on without them has an address that nobody would find.
            let uid = &sandbox.pod.uid;
            for record in shims
                .containers()
                .iter()
                .filter(|record| record.pod.uid == *uid)
            {
                shims.stop(&record.id, StopSignal::Kill)?;
            }
            host::unmount_below(&folder.join(uid));
            unpack::clear(&folder.join(uid));
        }
        let known: Vec<_> = read_sandboxes(&folder)
            .into_iter()
            .filter_map(|sandbox| sandbox.host_interface)
            .collect();
        for port in bridge::ports(&bridge_name).await.map_err(network)? {
            if !known.contains(&port) {
                bridge::remove_link(&port).await.map_err(network)?;
            }
        }
        let gateway = bridge.gateway();
        Ok(Self {
            shims,
            store,
            folder,
            pool: Arc::new(Mutex::new(pool)),
            bridge: Mutex::new(Some(bridge)),
            bridge_name,
            gateway,
            host_address,
            group: format!("/ordain-{mark}"),
            data_dir,
        })
    }

    /// Returns the bridge's address: where pods find this host.
    pub fn gateway(&self) -> Ipv4Addr {
        self.gateway
    }

    async fn make(&self, spec: &SandboxSpec) -> Result<Sandbox, RuntimeError> {
        let uid = &spec.pod.uid;
        if let Some(found) = read_sandbox(&self.folder, uid) {
            return Ok(found);
        }
        let mut sandbox = Sandbox {
            pod: spec.pod.clone(),
            address: self.host_address,
            host_network: spec.host_network,
            namespaces: None,
            host_interface: None,
        };
        if spec.host_network {
            write_sandbox(&self.folder, &sandbox)?;
            return Ok(sandbox);
        }
        let (address, prefix) = {
            let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
            let address = pool.allocate();
            (
                address.map_err(|error| RuntimeError::Network(Box::new(error)))?,
                pool.range().prefix(),
            )
        };
        let place = self.folder.join(uid).join("ns");
        let interface = format!("veth{}", &digest_of(uid.as_bytes())["sha256:".len()..][..8]);
        sandbox.address = address;
        sandbox.namespaces = Some(place.clone());
        sandbox.host_interface = Some(interface.clone());
        let made = self
            .namespaces(spec, &place, interface, address, prefix)
            .await;
        // Only a whole sandbox is written down: a half one is cleaned up and made again.
        match made.and_then(|()| write_sandbox(&self.folder, &sandbox)) {
            Ok(()) => Ok(sandbox),
            Err(error) => {
                self.clear(uid, &sandbox).await;
                Err(error)
            }
        }
    }

    async fn namespaces(
        &self,
        spec: &SandboxSpec,
        place: &Path,
        host_interface: String,
        address: Ipv4Addr,
        prefix: u8,
    ) -> Result<(), RuntimeError> {
        host::unmount_below(place);
        fs::create_dir_all(place).map_err(RuntimeError::io("create", place))?;
        let task = SandboxTask {
            folder: place.to_owned(),
            hostname: spec.hostname.clone(),
            bridge: self.bridge_name.clone(),
            host_interface,
            address,
            prefix,
            gateway: self.gateway,
        };
        let request = place.join("request.json");
        let text = serde_json::to_vec(&task).expect("a task is always JSON");
        fs::write(&request, text).map_err(RuntimeError::io("write", &request))?;
        let mut command = self.shims.command("sandbox");
        command.arg(&request).stdout(std::process::Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(RuntimeError::io("run the shim for", place))?;
        let report = answer(&mut child).await;
        let _ = child.wait().await;
        match report {
            Report::Ok => Ok(()),
            Report::Error(words) => Err(RuntimeError::Network(words.into())),
        }
    }

    /// Takes a sandbox down: the namespaces, and with them both ends of the pair, then the files.
    async fn clear(&self, uid: &str, sandbox: &Sandbox) {
        let place = self.folder.join(uid);
        if let Some(interface) = &sandbox.host_interface {
            // The namespace lives on while a process in it does; the link need not.
            if let Err(error) = bridge::remove_link(interface).await {
                tracing::warn!(%error, interface, "network interface could not be removed");
            }
        }
        let group = format!("{}/{uid}", self.group);
        let done = tokio::task::spawn_blocking(move || {
            host::unmount_below(&place);
            unpack::clear(&place);
            cgroup::kill_all(&group);
            cgroup::remove(&group);
        });
        let _ = done.await;
        if !sandbox.host_network {
            let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
            pool.release(sandbox.address);
        }
    }

    async fn prepare(&self, spec: ContainerSpec, image: &Image) -> Result<Task, RuntimeError> {
        let (store, image) = (self.store.clone(), image.clone());
        let layers = tokio::task::spawn_blocking(move || store.layers(&image)).await;
        let layers = layers.map_err(|error| RuntimeError::Shim(error.to_string()))??;
        let file = |name: &str| {
            // The topmost layer that has the file is what the container will see.
            let found = layers.iter().rev().find_map(|layer| {
                let path = unpack::scoped(layer, Path::new(name)).ok()?;
                fs::read_to_string(path).ok()
            });
            found.unwrap_or_default()
        };
        let texts = (file("etc/passwd"), file("etc/group"));
        let user = user::resolve(&spec.security, &spec.image_user, &texts.0, &texts.1)
            .map_err(|error| RuntimeError::Shim(error.to_string()))?;
        let group = format!("{}/{}/{}", self.group, spec.pod.uid, spec.id);
        let folder = self.shims.folder(&spec.id);
        let bundle = folder.join("bundle");
        fs::create_dir_all(&bundle).map_err(RuntimeError::io("create", &bundle))?;
        let text = config::config(&spec, &user, &folder.join("rootfs"), &group).to_string();
        let path = bundle.join("config.json");
        fs::write(&path, text).map_err(RuntimeError::io("write", path))?;
        let data_dir = self.data_dir.clone();
        Ok(Task {
            container: spec,
            how: How::Oci {
                layers,
                cgroup: group,
                data_dir,
            },
        })
    }
}

impl Runtime for OciRuntime {
    fn name(&self) -> &'static str {
        "oci"
    }

    fn refusals(&self, pod: &Pod) -> Vec<String> {
        let Some(spec) = &pod.spec else {
            return Vec::new();
        };
        let mut out = Vec::new();
        let of_pod = spec
            .security_context
            .as_ref()
            .and_then(|s| s.seccomp_profile.as_ref());
        let containers = spec
            .containers
            .iter()
            .chain(spec.init_containers.iter().flatten());
        let of_containers = containers.filter_map(|container| {
            container
                .security_context
                .as_ref()?
                .seccomp_profile
                .as_ref()
        });
        if of_pod
            .into_iter()
            .chain(of_containers)
            .any(|profile| profile.type_ != "Unconfined")
        {
            out.push("seccomp profiles are not applied by the oci runtime yet".to_owned());
        }
        if spec.host_pid == Some(true) || spec.share_process_namespace == Some(true) {
            out.push("hostPID and shareProcessNamespace are not applied yet".to_owned());
        }
        if spec.host_ipc == Some(true) {
            out.push("hostIPC is not applied yet".to_owned());
        }
        let ports = spec
            .containers
            .iter()
            .flat_map(|one| one.ports.iter().flatten());
        let host_network = spec.host_network == Some(true);
        if !host_network
            && ports
                .into_iter()
                .any(|port| port.host_port.is_some_and(|p| p != 0))
        {
            out.push("hostPort is not opened yet; use a NodePort Service".to_owned());
        }
        out
    }

    fn sandbox<'a>(
        &'a self,
        spec: &'a SandboxSpec,
    ) -> BoxFuture<'a, Result<Sandbox, RuntimeError>> {
        self.make(spec).boxed()
    }

    fn find_sandbox(&self, pod_uid: &str) -> Option<Sandbox> {
        read_sandbox(&self.folder, pod_uid)
    }

    fn sandboxes(&self) -> Vec<Sandbox> {
        read_sandboxes(&self.folder)
    }

    fn remove_sandbox<'a>(&'a self, pod_uid: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        async move {
            if let Some(sandbox) = read_sandbox(&self.folder, pod_uid) {
                self.clear(pod_uid, &sandbox).await;
            }
            Ok(())
        }
        .boxed()
    }

    fn start<'a>(
        &'a self,
        spec: ContainerSpec,
        image: &'a Image,
    ) -> BoxFuture<'a, Result<(), RuntimeError>> {
        async move {
            let task = self.prepare(spec, image).await?;
            self.shims.start(task).await
        }
        .boxed()
    }

    fn containers(&self) -> Vec<ContainerRecord> {
        self.shims.containers()
    }

    fn stop(&self, id: &str, signal: StopSignal) -> Result<(), RuntimeError> {
        self.shims.stop(id, signal)
    }

    fn remove<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        async move {
            if let Some(group) = self.shims.cgroup(id) {
                let done = tokio::task::spawn_blocking(move || {
                    cgroup::kill_all(&group);
                    cgroup::remove(&group);
                });
                let _ = done.await;
            }
            self.shims.remove(id).await
        }
        .boxed()
    }

    fn exec<'a>(
        &'a self,
        id: &'a str,
        request: ExecRequest,
    ) -> BoxFuture<'a, Result<ExecSession, RuntimeError>> {
        self.shims.exec(id, request).boxed()
    }

    fn usage(&self, id: &str) -> Option<Usage> {
        cgroup::usage(&self.shims.cgroup(id)?)
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        async move {
            let bridge = self
                .bridge
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(bridge) = bridge
                && let Err(error) = bridge.remove().await
            {
                tracing::warn!(%error, "bridge could not be removed");
            }
            let (group, folder) = (self.group.clone(), self.folder.clone());
            let done = tokio::task::spawn_blocking(move || {
                cgroup::remove(&group);
                host::unmount_below(&folder);
            });
            let _ = done.await;
        }
        .boxed()
    }
}
