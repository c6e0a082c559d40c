//! A cluster in one process: API server on a store in memory, scheduler, controllers, and a task
//! that plays the node's agent.

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{Node, Pod},
};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use ordain_orchestrator_apiserver::{Config, InProcess, Pki, Running, Server, User};
use ordain_orchestrator_client::{Change, Informers};
use ordain_orchestrator_store::Memory;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long something may take before a test gives up; far more than it does.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) client: Client,
    server: Running,
    tasks: JoinSet<()>,
    shutdown: CancellationToken,
    _dir: tempfile::TempDir,
}

impl World {
    pub(crate) async fn start() -> World {
        World::start_with(|service| Client::new(service, "default")).await
    }

    /// Starts a cluster whose components reach the API server through what `connect` makes.
    pub(crate) async fn start_with(connect: impl Fn(InProcess) -> Client) -> World {
        let dir = tempfile::tempdir().unwrap();
        let pki = Arc::new(Pki::open(dir.path()).unwrap());
        let server = Server::start(Config::new(Arc::new(Memory::new()), pki))
            .await
            .unwrap();
        let client = Client::new(server.in_process(User::admin()), "default");
        let node: Node = serde_json::from_value(json!({ "metadata": { "name": "node" } })).unwrap();
        let nodes = Api::<Node>::all(client.clone());
        nodes.create(&PostParams::default(), &node).await.unwrap();
        let status = Patch::Merge(json!({ "status": {
            "allocatable": { "cpu": "8", "memory": "16Gi", "pods": "110" },
            "conditions": [{ "type": "Ready", "status": "True" }],
        } }));
        nodes
            .patch_status("node", &PatchParams::default(), &status)
            .await
            .unwrap();

        let shutdown = CancellationToken::new();
        let theirs = connect(server.in_process(User::admin()));
        let informers = Informers::new(theirs, shutdown.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(ordain_orchestrator_controllers::run_shared(
            informers.clone(),
        ));
        tasks.spawn(ordain_orchestrator_scheduler::run_shared(informers.clone()));
        // The agent is no part of what is tested: its own requests never fail.
        tasks.spawn(play_agent(Informers::new(client.clone(), shutdown.clone())));
        World {
            client,
            server,
            tasks,
            shutdown,
            _dir: dir,
        }
    }

    /// The API of a kind in the namespace `default`.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), "default")
    }

    pub(crate) async fn eventually(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let wait = async {
            while !is_so().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("waited in vain: {what}");
        }
    }

    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.server.shutdown().await;
    }
}

/// Makes bound pods run, those with the image `job` succeed, and those that are deleted go. The
/// image `bad` never becomes ready.
async fn play_agent(informers: Informers) {
    let (sender, mut changed) = tokio::sync::mpsc::unbounded_channel();
    informers.of::<Pod>().on_change(move |change| {
        if !matches!(change, Change::Deleted(_)) {
            let _ = sender.send(change.object().clone());
        }
    });
    let mut addresses = 0_u8;
    let shutdown = informers.shutdown().clone();
    while let Some(Some(pod)) = shutdown.run_until_cancelled(changed.recv()).await {
        let namespace = pod.metadata.namespace.as_deref().unwrap();
        let name = pod.metadata.name.as_deref().unwrap();
        let api = Api::<Pod>::namespaced(informers.client().clone(), namespace);
        let spec = pod.spec.as_ref().unwrap();
        if spec.node_name.is_none() {
            continue;
        }
        if pod.metadata.deletion_timestamp.is_some() {
            let at_once = DeleteParams::default().grace_period(0);
            // Several changes of a leaving pod delete it several times.
            let _ = api.delete(name, &at_once).await;
            continue;
        }
        let status = pod.status.clone().unwrap_or_default();
        if status.pod_ip.is_some() {
            continue;
        }
        addresses += 1;
        let address = format!("10.42.0.{addresses}");
        let (phase, ready) = match spec.containers[0].image.as_deref() {
            Some("job") => ("Succeeded", "False"),
            Some("bad") => ("Running", "False"),
            _ => ("Running", "True"),
        };
        let status = Patch::Strategic(json!({ "status": {
            "phase": phase,
            "podIP": address,
            "podIPs": [{ "ip": address }],
            "conditions": [{ "type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T00:00:00Z" }],
        } }));
        // It may have been deleted meanwhile.
        let _ = api
            .patch_status(name, &PatchParams::default(), &status)
            .await;
    }
}
