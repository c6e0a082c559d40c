//! The agent: starts the driver, the server and the watch, and gives every pod a worker.

mod launch;
mod mailbox;
mod pull;
mod register;
mod worker;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::runtime::watcher;
use ordain_orchestrator_client::{Change, Informer, Recorder};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{NodeConfig, RuntimeChoice};
use crate::images::{ImageError, ImageStore};
use crate::runtime::fake::FakeRuntime;
use crate::runtime::oci::OciRuntime;
use crate::runtime::process::ProcessRuntime;
use crate::runtime::{ContainerRecord, Runtime, RuntimeError, StopSignal, host};
use crate::server;
use mailbox::Mailbox;

/// The range of pod addresses with the `oci` driver, as in k3s.
const OCI_RANGE: &str = "10.42.0.0/16";

/// The range of pod addresses with the `process` driver: every address of 127/8 is local.
const PROCESS_RANGE: &str = "127.42.0.0/16";

/// How long a node that goes down waits for all of its pods, whatever they ask for.
const STOP_SECONDS_MAX: u64 = 20;

/// Why the agent could not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The data directory cannot be used.
    #[error("failed to prepare the data directory `{path}`")]
    DataDir {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another agent uses the data directory.
    #[error("another node agent uses `{path}`")]
    Locked {
        /// Which.
        path: PathBuf,
    },
    /// The image store cannot be opened.
    #[error("failed to open the image store")]
    Images(#[source] ImageError),
    /// The driver cannot be started.
    #[error("failed to start the {driver} runtime")]
    Runtime {
        /// Which.
        driver: &'static str,
        /// Why.
        #[source]
        source: RuntimeError,
    },
    /// Real containers were asked for by a user who may not make them.
    #[error("the oci runtime needs root; run as root or choose the process runtime")]
    NeedsRoot,
    /// The kubelet-style server cannot listen.
    #[error("failed to listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The certificates cannot be used.
    #[error("failed to set up the node's server")]
    Tls(#[source] server::tls::TlsError),
}

/// What all workers share.
pub(crate) struct Agent {
    pub(crate) config: NodeConfig,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) store: ImageStore,
    pub(crate) recorder: Recorder,
    pub(crate) node_ip: IpAddr,
    pub(crate) capacity: register::Capacity,
    pub(crate) puller: pull::Puller,
    workers: Mutex<BTreeMap<String, Worker>>,
    stopping: CancellationToken,
}

struct Worker {
    mailbox: Arc<Mailbox>,
    task: JoinHandle<()>,
}

/// A running agent.
pub struct Running {
    /// The node's name.
    pub name: String,
    /// Where the kubelet-style server listens.
    pub kubelet: SocketAddr,
    /// The driver: `oci`, `process` or `fake`.
    pub runtime: &'static str,
    /// The bridge's address, where the `oci` driver has one: pods find this host there.
    pub gateway: Option<Ipv4Addr>,
    task: JoinHandle<()>,
}

impl Running {
    /// Waits until the agent has stopped everything that it started, after its shutdown token was
    /// cancelled.
    pub async fn stopped(self) {
        let _ = self.task.await;
    }
}

/// Starts the agent. It registers its Node, runs the pods bound to it, and stops all of them, with
/// everything that it made on the host, once `shutdown` is cancelled ([`Running::stopped`]).
///
/// # Errors
/// When the data directory, the driver or the server cannot be used. The API server need not answer
/// yet: the agent waits for it.
pub async fn start(config: NodeConfig, shutdown: CancellationToken) -> Result<Running, NodeError> {
    let lock = prepare(&config)?;
    let store = ImageStore::open(config.data_dir.join("image-store")).map_err(NodeError::Images)?;
    let (exits, exited) = mpsc::unbounded_channel();
    let acceptor = server::tls::acceptor(&config.tls).map_err(NodeError::Tls)?;
    let address = config.kubelet_listen;
    let listening = server::listen(address).await;
    let (listener, kubelet) = listening.map_err(|source| NodeError::Listen { address, source })?;
    let node_ip = config.node_address.unwrap_or(match kubelet.ip() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    });
    let (runtime, gateway) = open_runtime(&config, &store, node_ip, exits).await?;
    let driver = runtime.name();
    let name = config.name.clone();
    let agent = Arc::new(Agent {
        recorder: Recorder::new(config.client.clone(), "kubelet"),
        capacity: register::Capacity::of_this_host(),
        puller: pull::Puller::new(
            store.clone(),
            config.images.clone(),
            config.data_dir.clone(),
        ),
        config,
        runtime,
        store,
        node_ip,
        workers: Mutex::default(),
        stopping: CancellationToken::new(),
    });
    tracing::info!(node = name, driver, address = %kubelet, "node agent started");
    let task = tokio::spawn(async move {
        let serving = CancellationToken::new();
        tokio::spawn(server::serve(
            listener,
            acceptor,
            agent.clone(),
            serving.clone(),
        ));
        agent.clone().run(exited, kubelet.port(), shutdown).await;
        serving.cancel();
        // Held to the end, so that the next agent finds a clean folder.
        drop(lock);
    });
    Ok(Running {
        name,
        kubelet,
        runtime: driver,
        gateway,
        task,
    })
}

/// Makes the data directory and locks it.
fn prepare(config: &NodeConfig) -> Result<nix::fcntl::Flock<std::fs::File>, NodeError> {
    use nix::fcntl::{Flock, FlockArg};
    let path = &config.data_dir;
    let failed = |source| NodeError::DataDir {
        path: path.clone(),
        source,
    };
    std::fs::create_dir_all(path).map_err(failed)?;
    let file = std::fs::File::create(path.join("node.lock")).map_err(failed)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|_| NodeError::Locked { path: path.clone() })
}

async fn open_runtime(
    config: &NodeConfig,
    store: &ImageStore,
    node_ip: IpAddr,
    exits: mpsc::UnboundedSender<String>,
) -> Result<(Arc<dyn Runtime>, Option<Ipv4Addr>), NodeError> {
    // The very program that runs, also when its file was replaced meanwhile.
    let program = config.shim.clone();
    let program = program.unwrap_or_else(|| PathBuf::from("/proc/self/exe"));
    let known = "the range is written correctly here";
    let host_ip = match node_ip {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(_) => Ipv4Addr::LOCALHOST,
    };
    let choice = match config.runtime {
        RuntimeChoice::Auto if host::is_root() => RuntimeChoice::Oci,
        RuntimeChoice::Auto => RuntimeChoice::Process,
        other => other,
    };
    let process_range = || {
        config
            .process_pod_cidr
            .unwrap_or_else(|| PROCESS_RANGE.parse().expect(known))
    };
    match choice {
        RuntimeChoice::Oci | RuntimeChoice::Auto => {
            if !host::is_root() {
                return Err(NodeError::NeedsRoot);
            }
            let range = config
                .pod_cidr
                .unwrap_or_else(|| OCI_RANGE.parse().expect(known));
            let opened = OciRuntime::open(
                &config.data_dir,
                program,
                store.clone(),
                range,
                config.bridge.clone(),
                host_ip,
                exits,
            );
            let runtime = opened.await.map_err(|source| NodeError::Runtime {
                driver: "oci",
                source,
            })?;
            let gateway = runtime.gateway();
            Ok((Arc::new(runtime), Some(gateway)))
        }
        RuntimeChoice::Process => {
            let opened = ProcessRuntime::open(
                &config.data_dir,
                program,
                store.clone(),
                process_range(),
                exits,
            );
            let runtime = opened.map_err(|source| NodeError::Runtime {
                driver: "process",
                source,
            })?;
            Ok((Arc::new(runtime), None))
        }
        RuntimeChoice::Fake => Ok((Arc::new(FakeRuntime::new(process_range(), exits)), None)),
    }
}

impl Agent {
    async fn run(
        self: Arc<Self>,
        mut exited: mpsc::UnboundedReceiver<String>,
        port: u16,
        shutdown: CancellationToken,
    ) {
        self.puller.import_archives().await;
        let registering = tokio::spawn(register::keep(self.clone(), port, shutdown.clone()));
        let api = Api::<Pod>::all(self.config.client.clone());
        let mine =
            watcher::Config::default().fields(&format!("spec.nodeName={}", self.config.name));
        let pods = Informer::start(api, mine, shutdown.clone());
        let agent = self.clone();
        pods.on_change(move |change| match change {
            Change::Deleted(pod) => agent.forget(pod),
            other => agent.dispatch(other.object()),
        });
        let ready = async {
            pods.ready().await;
            self.remove_strangers(&pods);
            std::future::pending::<()>().await;
        };
        let kicks = async {
            while let Some(uid) = exited.recv().await {
                self.kick(&uid);
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = async { tokio::join!(ready, kicks); } => {}
        }
        registering.abort();
        self.stop_all(&mut exited).await;
    }

    /// Stops all pods and takes the driver down.
    async fn stop_all(&self, exited: &mut mpsc::UnboundedReceiver<String>) {
        self.stopping.cancel();
        let workers = std::mem::take(&mut *self.workers());
        for worker in workers.values() {
            worker.mailbox.kick();
        }
        let all = async {
            for (_, worker) in workers {
                let Worker { mailbox, mut task } = worker;
                loop {
                    tokio::select! {
                        _ = &mut task => break,
                        Some(_) = exited.recv() => mailbox.kick(),
                        () = tokio::time::sleep(Duration::from_millis(100)) => mailbox.kick(),
                    }
                }
            }
        };
        let limit = Duration::from_secs(STOP_SECONDS_MAX);
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!("pods did not stop in time; they are killed");
        }
        // Whatever has no worker, and what did not stop in time.
        for record in self.runtime.containers() {
            self.destroy(&record).await;
        }
        for sandbox in self.runtime.sandboxes() {
            let _ = self.runtime.remove_sandbox(&sandbox.pod.uid).await;
        }
        let volumes = self.pods_dir();
        let cleaned = tokio::task::spawn_blocking(move || {
            host::unmount_below(&volumes);
            crate::images::unpack::clear(&volumes);
        });
        let _ = cleaned.await;
        self.runtime.shutdown().await;
        tracing::info!("node agent stopped");
    }

    /// Kills and removes one container.
    async fn destroy(&self, record: &ContainerRecord) {
        if record.is_live() {
            let _ = self.runtime.stop(&record.id, StopSignal::Kill);
            for _ in 0..100 {
                if !self.is_live(&record.id) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        if let Err(error) = self.runtime.remove(&record.id).await {
            tracing::warn!(%error, container = record.name, "container could not be removed");
        }
    }

    /// Removes what earlier runs left of pods that are no longer bound here.
    fn remove_strangers(self: &Arc<Self>, pods: &Informer<Pod>) {
        let known: Vec<String> = pods
            .list()
            .iter()
            .filter_map(|pod| pod.metadata.uid.clone())
            .collect();
        let agent = self.clone();
        tokio::spawn(async move {
            for record in agent.runtime.containers() {
                if !known.contains(&record.pod.uid) {
                    tracing::info!(pod = record.pod.name, "container of a deleted pod removed");
                    agent.destroy(&record).await;
                }
            }
            for sandbox in agent.runtime.sandboxes() {
                if !known.contains(&sandbox.pod.uid) {
                    let _ = agent.runtime.remove_sandbox(&sandbox.pod.uid).await;
                    agent.clear_pod_folder(&sandbox.pod.uid).await;
                }
            }
        });
    }

    fn dispatch(self: &Arc<Self>, pod: &Arc<Pod>) {
        let Some(uid) = pod.metadata.uid.clone() else {
            return;
        };
        if self.stopping.is_cancelled() {
            return;
        }
        let mut workers = self.workers();
        if let Some(worker) = workers.get(&uid) {
            worker.mailbox.deliver(pod.clone());
            return;
        }
        let mailbox = Arc::new(Mailbox::new(pod.clone()));
        let task = tokio::spawn(worker::run(self.clone(), uid.clone(), mailbox.clone()));
        workers.insert(uid, Worker { mailbox, task });
    }

    fn forget(&self, pod: &Pod) {
        let Some(uid) = &pod.metadata.uid else { return };
        if let Some(worker) = self.workers().get(uid) {
            worker.mailbox.gone();
        }
    }

    fn kick(&self, uid: &str) {
        if let Some(worker) = self.workers().get(uid) {
            worker.mailbox.kick();
        }
    }

    /// Called by a worker that is done.
    fn retire(&self, uid: &str) {
        self.workers().remove(uid);
    }

    fn workers(&self) -> MutexGuard<'_, BTreeMap<String, Worker>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns where pods' volumes and generated files are.
    pub(crate) fn pods_dir(&self) -> PathBuf {
        self.config.data_dir.join("pods")
    }

    async fn clear_pod_folder(&self, uid: &str) {
        let folder = self.pods_dir().join(uid);
        let cleared = tokio::task::spawn_blocking(move || {
            host::unmount_below(&folder);
            crate::images::unpack::clear(&folder);
        });
        let _ = cleared.await;
    }

    /// Returns the containers of a name in a pod, newest first; those of the pod that was made last
    /// when several of the name have left something.
    pub(crate) fn find(&self, namespace: &str, pod: &str, name: &str) -> Vec<ContainerRecord> {
        let current = self.uid_of(namespace, pod);
        let mut found: Vec<_> = self
            .runtime
            .containers()
            .into_iter()
            .filter(|r| r.pod.namespace == namespace && r.pod.name == pod && r.name == name)
            .filter(|r| current.as_ref().is_none_or(|uid| *uid == r.pod.uid))
            .collect();
        found.sort_by_key(|record| std::cmp::Reverse(record.attempt));
        found
    }

    fn uid_of(&self, namespace: &str, name: &str) -> Option<String> {
        let workers = self.workers();
        let mut pods = workers
            .iter()
            .map(|(uid, worker)| (uid, worker.mailbox.pod()));
        let found = pods.find(|(_, pod)| {
            pod.metadata.namespace.as_deref() == Some(namespace)
                && pod.metadata.name.as_deref() == Some(name)
        });
        found.map(|(uid, _)| uid.clone())
    }

    /// Returns what a container waits for, as its pod's status says.
    pub(crate) fn waiting_for(&self, namespace: &str, name: &str, container: &str) -> String {
        let uid = self.uid_of(namespace, name);
        let pod = uid.and_then(|uid| self.workers().get(&uid).map(|worker| worker.mailbox.pod()));
        let statuses = pod.and_then(|pod| pod.status.clone()).map(|status| {
            let lists = [status.container_statuses, status.init_container_statuses];
            lists.into_iter().flatten().flatten().collect::<Vec<_>>()
        });
        let own = statuses
            .unwrap_or_default()
            .into_iter()
            .find(|one| one.name == container);
        let waiting = own.and_then(|one| one.state?.waiting);
        waiting
            .and_then(|state| state.reason)
            .unwrap_or_else(|| "ContainerCreating".to_owned())
    }

    /// Returns whether a pod is bound here.
    pub(crate) fn knows(&self, namespace: &str, name: &str) -> bool {
        self.uid_of(namespace, name).is_some()
    }

    /// Returns whether a container runs or is about to.
    pub(crate) fn is_live(&self, id: &str) -> bool {
        self.runtime
            .containers()
            .iter()
            .any(|record| record.id == id && record.is_live())
    }

    /// Returns the pods bound here, as a list object.
    pub(crate) fn pods(&self) -> serde_json::Value {
        let items: Vec<_> = self
            .workers()
            .values()
            .map(|worker| worker.mailbox.pod().as_ref().clone())
            .collect();
        serde_json::json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})
    }

    /// Returns what containers use, in the shape of kubelet's /stats/summary (pkg/kubelet/apis/stats).
    pub(crate) fn summary(&self) -> serde_json::Value {
        let now = jiff::Timestamp::now().to_string();
        let mut pods: BTreeMap<String, (ContainerRecord, Vec<serde_json::Value>)> = BTreeMap::new();
        for record in self
            .runtime
            .containers()
            .into_iter()
            .filter(ContainerRecord::is_live)
        {
            let Some(usage) = self.runtime.usage(&record.id) else {
                continue;
            };
            let stats = serde_json::json!({
                "name": record.name,
                "cpu": {"time": now, "usageCoreNanoSeconds": usage.cpu_nanoseconds},
                "memory": {"time": now, "workingSetBytes": usage.memory_bytes},
            });
            let entry = pods.entry(record.pod.uid.clone());
            entry.or_insert_with(|| (record, Vec::new())).1.push(stats);
        }
        let pods: Vec<_> = pods
            .into_values()
            .map(|(record, containers)| {
                let pod = record.pod;
                serde_json::json!({
                    "podRef": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
                    "containers": containers,
                })
            })
            .collect();
        serde_json::json!({"node": {"nodeName": self.config.name}, "pods": pods})
    }
}
