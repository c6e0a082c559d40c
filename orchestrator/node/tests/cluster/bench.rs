//! A cluster in this process: API server in memory, controllers, one node, a registry.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{AttachParams, DeleteParams, ListParams, PostParams};
use kube::{Api, Client};
use ordain_orchestrator_apiserver::{Config, Pki, Server};
use ordain_orchestrator_node::images::build::ImageBuilder;
use ordain_orchestrator_node::images::registry::Registry;
use ordain_orchestrator_node::{
    ImageConfig, Mirror, NodeConfig, Running, RuntimeChoice, ServingTls,
};
use ordain_orchestrator_store::Memory;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

/// The name of the node.
const NODE: &str = "node-1";

/// How long anything may take. Generous: it is only waited for when something is broken.
const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) folder: tempfile::TempDir,
    pki: Arc<Pki>,
    registry: Registry,
    runtime: RuntimeChoice,
    controllers: CancellationToken,
    node: Option<(Running, CancellationToken)>,
    _server: ordain_orchestrator_apiserver::Running,
}

impl Cluster {
    pub(crate) async fn start(runtime: RuntimeChoice) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let pki = Arc::new(Pki::in_memory().expect("an authority"));
        let config = Config::new(Arc::new(Memory::new()), pki.clone());
        let server = Server::start(config).await.expect("a server");
        let text = server.kubeconfig();
        let kubeconfig = kube::config::Kubeconfig::from_yaml(text).expect("a kubeconfig");
        let options = kube::config::KubeConfigOptions::default();
        let access = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
        let client = Client::try_from(access.expect("usable")).expect("a client");
        let controllers = CancellationToken::new();
        let running = ordain_orchestrator_controllers::run(client.clone(), controllers.clone());
        tokio::spawn(running);
        let registry = Registry::start().await.expect("a registry");
        let busybox = ImageBuilder::new().busybox().expect("busybox is installed");
        let image = busybox.folder("/srv", 0o755).cmd(["sh"]).build();
        registry.push("tools/busybox", "1", &image);
        let mut cluster = Self {
            client,
            folder,
            pki,
            registry,
            runtime,
            controllers,
            node: None,
            _server: server,
        };
        cluster.start_node().await;
        cluster
    }

    pub(crate) async fn start_node(&mut self) {
        let names = ["127.0.0.1".to_owned()];
        let pair = self
            .pki
            .server("system:node:node-1", &["system:nodes"], &names);
        let pair = pair.expect("a certificate");
        let tls = ServingTls {
            certificate_pem: pair.cert_pem,
            key_pem: pair.key_pem,
            client_ca_pem: self.pki.ca_pem().to_owned(),
        };
        let folder = self.folder.path().join("node");
        let mut config = NodeConfig::new(NODE, folder, self.client.clone(), tls);
        config.runtime = self.runtime;
        // Not the default range: a cluster of the same user may be running.
        config.process_pod_cidr = Some("127.91.0.0/16".parse().expect("a range"));
        config.images = ImageConfig {
            mirrors: [(
                "registry.local".to_owned(),
                Mirror {
                    address: self.registry.address().to_string(),
                    insecure: true,
                },
            )]
            .into(),
            ..ImageConfig::default()
        };
        let stop = CancellationToken::new();
        let node = ordain_orchestrator_node::start(config, stop.clone()).await;
        self.node = Some((node.expect("a node"), stop));
    }

    pub(crate) async fn stop_node(&mut self) {
        if let Some((node, stop)) = self.node.take() {
            stop.cancel();
            node.stopped().await;
        }
    }

    pub(crate) async fn stop(mut self) {
        self.stop_node().await;
        self.controllers.cancel();
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), "default")
    }

    /// Makes a pod on the node from its spec; `IMAGE` in it is the busybox image.
    pub(crate) async fn pod(&self, name: &str, mut spec: Value) {
        spec["nodeName"] = NODE.into();
        spec["automountServiceAccountToken"] = false.into();
        let text = json!({"metadata": {"name": name}, "spec": spec}).to_string();
        let text = text.replace("IMAGE", "registry.local/tools/busybox:1");
        let pod: Pod = serde_json::from_str(&text).expect("a pod");
        // The service account of the namespace is made by a controller.
        for _ in 0..200 {
            match self.pods().create(&PostParams::default(), &pod).await {
                Ok(_) => return,
                Err(kube::Error::Api(status)) if status.code == 403 => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => panic!("pod refused: {error}"),
            }
        }
        panic!("pod refused for too long");
    }

    /// Waits until a pod looks as wanted.
    pub(crate) async fn until(&self, name: &str, what: &str, look: impl Fn(&Pod) -> bool) -> Pod {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut last = None;
        while tokio::time::Instant::now() < deadline {
            let pod = self.pods().get(name).await.expect("the pod");
            if look(&pod) {
                return pod;
            }
            last = pod.status;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{name} did not become {what}: {last:?}");
    }

    pub(crate) async fn until_ready(&self, name: &str) -> Pod {
        self.until(name, "ready", |pod| {
            let conditions = pod
                .status
                .as_ref()
                .and_then(|status| status.conditions.as_ref());
            conditions.is_some_and(|all| {
                all.iter()
                    .any(|one| one.type_ == "Ready" && one.status == "True")
            })
        })
        .await
    }

    pub(crate) async fn until_phase(&self, name: &str, phase: &str) -> Pod {
        self.until(name, phase, |pod| {
            pod.status
                .as_ref()
                .and_then(|status| status.phase.as_deref())
                == Some(phase)
        })
        .await
    }

    /// Deletes a pod and waits until its object is gone.
    pub(crate) async fn delete(&self, name: &str) {
        self.pods()
            .delete(name, &DeleteParams::default())
            .await
            .expect("deleted");
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self
            .pods()
            .get_opt(name)
            .await
            .expect("an answer")
            .is_some()
        {
            assert!(tokio::time::Instant::now() < deadline, "{name} did not go");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Runs a program through the API server; returns output, error output and the outcome.
    pub(crate) async fn exec(
        &self,
        pod: &str,
        command: &[&str],
        input: Option<&str>,
    ) -> (String, String, Value) {
        let params = AttachParams::default().stdin(input.is_some());
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let mut attached = self
            .pods()
            .exec(pod, command, &params)
            .await
            .expect("a stream");
        if let (Some(mut way), Some(text)) = (attached.stdin(), input) {
            way.write_all(text.as_bytes()).await.expect("written");
            way.shutdown().await.expect("closed");
        }
        let (mut out, mut err) = (String::new(), String::new());
        if let Some(mut stream) = attached.stdout() {
            stream.read_to_string(&mut out).await.expect("text");
        }
        if let Some(mut stream) = attached.stderr() {
            stream.read_to_string(&mut err).await.expect("text");
        }
        let status = attached.take_status().expect("asked once").await;
        let status = serde_json::to_value(status).expect("JSON");
        attached.join().await.expect("ended well");
        (out, err, status)
    }

    /// Returns the reasons of a pod's events, in order of their first appearance.
    pub(crate) async fn reasons(&self, pod: &str) -> Vec<String> {
        let events = Api::<Event>::namespaced(self.client.clone(), "default");
        let own = ListParams::default().fields(&format!("involvedObject.name={pod}"));
        let mut list = events.list(&own).await.expect("events").items;
        list.sort_by_key(|event| {
            event
                .metadata
                .creation_timestamp
                .as_ref()
                .map(|time| time.0)
        });
        list.into_iter().filter_map(|event| event.reason).collect()
    }
}
