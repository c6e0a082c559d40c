//! A repository whose files are apps of environments, and clusters whose writes are noted.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Method, Request as HttpRequest};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams},
    client::Body,
};
use ordain_orchestrator_apiserver::{
    Config as ServerConfig, Pki, Running as Server, Server as Start, User,
};
use ordain_orchestrator_store::Memory;
use ordain_reconciler_engine::{
    App, CompileError, Compiled, CompiledObject, Compiler, Config, Running, SecretFiles, Source,
    Status, Wanted,
    control::{self, Request, Response},
};
use ordain_reconciler_source::{Remote, TreeFiles};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Only a broken test waits that long.
const PATIENCE: Duration = Duration::from_secs(90);

/// Each file `CLUSTER.json` is the app `shop` of an environment by the same name; with `ENV@CLUSTER.json` the two differ.
struct Files;

impl Compiler for Files {
    fn compile(&self, files: &Arc<TreeFiles>, _: &Wanted) -> Result<Compiled, CompileError> {
        let error = |error: &dyn std::fmt::Display| CompileError::new(error.to_string());
        let mut apps = Vec::new();
        for path in files.list() {
            let Some(stem) = path.strip_suffix(".json") else {
                continue;
            };
            let (env, cluster) = stem.split_once('@').unwrap_or((stem, stem));
            let bytes = files.read(path).map_err(|cause| error(&cause))?;
            let objects: Vec<Value> =
                serde_json::from_slice(&bytes).map_err(|cause| error(&cause))?;
            let objects = objects.into_iter().map(|object| CompiledObject {
                object,
                at: Some(format!("{path}:1")),
            });
            let (name, namespace) = ("shop".to_owned(), "shop".to_owned());
            let secrets = SecretFiles::default();
            let app = App::new(name, env.to_owned(), namespace, objects.collect(), secrets);
            apps.push(Arc::new(app.on(Some(cluster.to_owned()))));
        }
        Ok(Compiled {
            apps,
            ..Compiled::default()
        })
    }
}

pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) server: Server,
    /// Every write: who, when it came in, what.
    pub(crate) writes: Arc<Mutex<Vec<(String, String)>>>,
}

impl Cluster {
    pub(crate) async fn start(dir: &Path, name: &str) -> Self {
        let pki = Arc::new(Pki::open(&dir.join(format!("pki-{name}"))).expect("keys"));
        let server = Start::start(ServerConfig::new(Arc::new(Memory::new()), pki)).await;
        let server = server.expect("a server");
        let client = Client::new(server.in_process(User::admin()), "default");
        let writes = Arc::default();
        Self {
            client,
            server,
            writes,
        }
    }

    /// A client whose writes of objects are noted.
    pub(crate) fn client_of(&self, who: &str) -> Client {
        let (inner, writes) = (
            self.server.in_process(User::admin()),
            Arc::clone(&self.writes),
        );
        let who = who.to_owned();
        let service = tower::service_fn(move |request: HttpRequest<Body>| {
            let query = request.uri().query().unwrap_or_default();
            let is_own = request.uri().path().contains("/leases");
            if request.method() != Method::GET && !query.contains("dryRun") && !is_own {
                let path = request.uri().path().to_owned();
                writes.lock().expect("no panic").push((who.clone(), path));
            }
            inner.clone().oneshot(request)
        });
        Client::new(service, "default")
    }

    pub(crate) fn api(&self, api_version: &str, kind: &str, namespace: &str) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), namespace, &resource)
    }

    pub(crate) async fn config(&self, name: &str) -> Option<Value> {
        let found = self.api("v1", "ConfigMap", "shop").get_opt(name).await;
        let found = found.expect("an answer")?;
        Some(found.data["data"].clone())
    }

    /// What somebody else does to a ConfigMap.
    pub(crate) async fn edit(&self, name: &str, value: &str) {
        let patch = Patch::Merge(json!({"data": {"value": value}}));
        let api = self.api("v1", "ConfigMap", "shop");
        let edited = api.patch(name, &PatchParams::default(), &patch).await;
        edited.expect("patched");
    }
}

pub(crate) struct World {
    pub(crate) dir: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        git(
            dir.path(),
            &["init", "--quiet", "--initial-branch=main", "origin"],
        );
        Self { dir }
    }

    pub(crate) fn commit(&self, files: &[(&str, Value)]) -> String {
        let origin = self.dir.path().join("origin");
        for (name, objects) in files {
            std::fs::write(origin.join(name), objects.to_string()).expect("written");
        }
        git(&origin, &["add", "-A"]);
        git(&origin, &["commit", "--quiet", "-m", "change"]);
        git(&origin, &["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// Takes a file out of the working copy; [`World::commit`] commits it.
    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.data("origin").join(name)).expect("it was there");
    }

    /// Makes the repository unreachable, or reachable again.
    pub(crate) fn away(&self, away: bool) {
        let (here, there) = (self.data("origin"), self.data("away"));
        let moved = match away {
            true => std::fs::rename(&here, &there),
            false => std::fs::rename(&there, &here),
        };
        moved.expect("moved");
    }

    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn config(&self, client: Client, name: &str) -> Config {
        let origin = self.dir.path().join("origin").display().to_string();
        let source = Source::Foreign(Remote::branch(&origin, "main"));
        let mut config = Config::new(client, self.data(name), source, Arc::new(Files));
        config.cluster = "one".to_owned();
        config.poll = Duration::from_millis(200);
        config
    }
}

pub(crate) fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
        .args(args)
        .output()
        .expect("git is there");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn config(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": value}})
}

pub(crate) fn status(data: &Path) -> Option<Status> {
    match control::call(data, &Request::Status, |_| {})
        .ok()?
        .into_iter()
        .next()
    {
        Some(Response::Status { status }) => Some(status),
        _ => None,
    }
}

/// Waits until something is there.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let waited = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, waited).await {
        Ok(found) => found,
        Err(_) => panic!("it does not become true: {what}"),
    }
}

pub(crate) async fn stop(engine: Running, shutdown: &CancellationToken) {
    shutdown.cancel();
    engine.stopped().await;
}
