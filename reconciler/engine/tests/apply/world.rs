//! A repository of apps, an API server, and the engine between them.

use std::{path::Path, process::Command, sync::Arc, time::Duration};

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use ordain_orchestrator_apiserver::{Config as ServerConfig, Pki, Server, User};
use ordain_orchestrator_store::Memory;
use ordain_reconciler_engine::{
    App, AppStatus, CompileError, Compiled, CompiledObject, Compiler, Config, HistoryRow, Running,
    SecretFiles, Source, SourceStatus, Status, Wanted,
    control::{self, Request as Ask, Response as Answer},
    start,
};
use ordain_reconciler_source::{Remote, TreeFiles};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::tap::{Tap, tapped};

/// Only a broken test waits that long.
const PATIENCE: Duration = Duration::from_secs(120);

/// Each file `apps/NAME.json` is an app of the environment `dev` in the namespace `shop`; object number N is on
/// line N.
struct Files;

impl Compiler for Files {
    fn compile(&self, files: &Arc<TreeFiles>, _: &Wanted) -> Result<Compiled, CompileError> {
        let error = |error: &dyn std::fmt::Display| CompileError::new(error.to_string());
        let mut apps = Vec::new();
        for path in files.list().filter(|path| path.starts_with("apps/")) {
            let bytes = files.read(path).map_err(|cause| error(&cause))?;
            let objects: Vec<Value> =
                serde_json::from_slice(&bytes).map_err(|cause| error(&cause))?;
            let objects = objects.into_iter().zip(1..).map(|(object, line)| {
                let at = Some(format!("{path}:{line}"));
                CompiledObject { object, at }
            });
            let name = path.trim_start_matches("apps/").trim_end_matches(".json");
            apps.push(Arc::new(App::new(
                name.to_owned(),
                "dev".to_owned(),
                "shop".to_owned(),
                objects.collect(),
                SecretFiles::default(),
            )));
        }
        Ok(Compiled {
            apps,
            ..Compiled::default()
        })
    }
}

/// Everything that is running.
pub(crate) struct World {
    dir: TempDir,
    /// Somebody else's way to the server.
    pub(crate) client: Client,
    pub(crate) tap: Tap,
    /// Where the engine shows its state.
    shown: Option<String>,
    set: fn(&mut Config),
    server: ordain_orchestrator_apiserver::Running,
    engine: Running,
    shutdown: CancellationToken,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::begin(None, |_| {}).await
    }

    /// A world whose engine shows its state as objects, in this namespace.
    pub(crate) async fn showing(namespace: &str) -> Self {
        Self::begin(Some(namespace.to_owned()), |_| {}).await
    }

    /// A world whose engine is set up in another way.
    pub(crate) async fn start_with(set: fn(&mut Config)) -> Self {
        Self::begin(None, set).await
    }

    async fn begin(shown: Option<String>, set: fn(&mut Config)) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        git(
            dir.path(),
            &["init", "--quiet", "--initial-branch=main", "origin"],
        );
        let server = serve(dir.path()).await;
        let tap = Tap::default();
        let shutdown = CancellationToken::new();
        let engine = run(dir.path(), tapped(&server, &tap), &shown, set, &shutdown).await;
        Self {
            shown,
            set,
            client: Client::new(server.in_process(User::admin()), "default"),
            dir,
            tap,
            server,
            engine,
            shutdown,
        }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.engine.stopped().await;
        self.server.shutdown().await;
    }

    /// Stops the engine, lets somebody touch its data directory, and starts it again.
    pub(crate) async fn restart(mut self, between: impl FnOnce(&Path)) -> Self {
        self.shutdown.cancel();
        self.engine.stopped().await;
        between(&self.dir.path().join("data"));
        self.shutdown = CancellationToken::new();
        let client = tapped(&self.server, &self.tap);
        self.engine = run(
            self.dir.path(),
            client,
            &self.shown,
            self.set,
            &self.shutdown,
        )
        .await;
        self
    }

    /// Makes the repository unreachable, or reachable again.
    pub(crate) fn away(&self, away: bool) {
        let (here, there) = (self.origin(), self.dir.path().join("away"));
        let moved = match away {
            true => std::fs::rename(&here, &there),
            false => std::fs::rename(&there, &here),
        };
        moved.expect("moved");
    }

    fn origin(&self) -> std::path::PathBuf {
        self.dir.path().join("origin")
    }

    /// Lets the repository take rollback commits, although its branch is checked out.
    pub(crate) fn accept_pushes(&self) {
        let accept = ["config", "receive.denyCurrentBranch", "updateInstead"];
        git(&self.origin(), &accept);
    }

    /// Writes an app's file; [`World::commit`] commits it.
    pub(crate) fn app(&self, name: &str, objects: &[Value]) {
        let file = self.origin().join("apps").join(format!("{name}.json"));
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("created");
        std::fs::write(file, Value::Array(objects.to_vec()).to_string()).expect("written");
    }

    /// Takes an app out; [`World::commit`] commits it.
    pub(crate) fn remove_app(&self, name: &str) {
        let file = self.origin().join("apps").join(format!("{name}.json"));
        std::fs::remove_file(file).expect("it was there");
    }

    /// Commits what was written and tells the engine; returns the commit.
    pub(crate) fn commit(&self) -> String {
        let tip = self.commit_unheard();
        self.call(&Ask::Sync);
        tip
    }

    /// Commits what was written; the engine hears of it when it looks by itself.
    pub(crate) fn commit_unheard(&self) -> String {
        let origin = self.origin();
        git(&origin, &["add", "-A"]);
        git(
            &origin,
            &["commit", "--quiet", "--allow-empty", "-m", "change"],
        );
        let tip = git(&origin, &["rev-parse", "HEAD"]);
        tip.trim().to_owned()
    }

    /// Commits one app and waits until it is as declared and healthy.
    pub(crate) async fn deploy(&self, name: &str, objects: &[Value]) -> AppStatus {
        self.app(name, objects);
        let commit = self.commit();
        self.until_app(name, |app| app.commit == commit && sync(app) == "synced")
            .await
    }

    /// Commits one app and waits until it is partly applied.
    pub(crate) async fn deploy_in_part(&self, name: &str, objects: &[Value]) -> AppStatus {
        self.app(name, objects);
        let commit = self.commit();
        self.until_app(name, |app| {
            app.commit == commit && sync(app) == "out-of-sync"
        })
        .await
    }

    pub(crate) fn call(&self, request: &Ask) -> Vec<Answer> {
        let data_dir = self.dir.path().join("data");
        control::call(&data_dir, request, |_| {}).unwrap_or_default()
    }

    /// The deploys of an app, oldest first.
    pub(crate) fn history(&self, app: &str) -> Vec<HistoryRow> {
        let asked = Ask::History {
            app: app.to_owned(),
            env: None,
            limit: None,
        };
        match self.call(&asked).into_iter().next() {
            Some(Answer::History { deploys }) => deploys,
            _ => Vec::new(),
        }
    }

    /// Waits until an app's last deploy is recorded as healthy.
    pub(crate) async fn until_recorded(&self, app: &str) {
        let is_healthy = async |world: &Self| {
            let last = world.history(app).pop();
            last.is_some_and(|row| row.was_healthy)
        };
        self.until("it is recorded", is_healthy).await;
    }

    /// Takes an app back to what was healthy before, and does not wait.
    pub(crate) fn roll_back(&self, app: &str) {
        self.call(&Ask::Rollback {
            app: app.to_owned(),
            env: None,
            to: "last-healthy".to_owned(),
            reason: "too new".to_owned(),
            author: "Ada <ada@example.com>".to_owned(),
            sign: false,
            wait: false,
        });
    }

    fn all(&self) -> Status {
        match self.call(&Ask::Status).into_iter().next() {
            Some(Answer::Status { status }) => status,
            other => panic!("{other:?} is no status"),
        }
    }

    /// How an app stands.
    pub(crate) fn status(&self, name: &str) -> Option<AppStatus> {
        let mut apps = self.all().apps.into_iter();
        apps.find(|app| app.name == name)
    }

    /// How the repository stands.
    pub(crate) fn source(&self) -> SourceStatus {
        self.all().source
    }

    /// Waits until an app's status fits, and returns it.
    pub(crate) async fn until_app(
        &self,
        name: &str,
        fits: impl Fn(&AppStatus) -> bool,
    ) -> AppStatus {
        let mut last = None;
        let waited = async {
            loop {
                last = self.status(name);
                if let Some(app) = last.as_ref().filter(|app| fits(app)) {
                    return app.clone();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, waited).await {
            Ok(app) => app,
            Err(_) => panic!(
                "it does not become true; status: {last:#?}\nhistory: {:#?}",
                self.history(name)
            ),
        }
    }

    /// Waits until something is true of the cluster.
    pub(crate) async fn until(&self, what: &str, is_true: impl AsyncFn(&Self) -> bool) {
        let waited = async {
            while !is_true(self).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waited).await.is_err() {
            panic!("{what} does not become true");
        }
    }

    pub(crate) fn api(&self, api_version: &str, kind: &str) -> Api<DynamicObject> {
        self.api_in("shop", api_version, kind)
    }

    pub(crate) fn api_in(
        &self,
        namespace: &str,
        api_version: &str,
        kind: &str,
    ) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), namespace, &resource)
    }

    pub(crate) async fn get(
        &self,
        api_version: &str,
        kind: &str,
        name: &str,
    ) -> Option<DynamicObject> {
        let api = self.api(api_version, kind);
        api.get_opt(name).await.expect("an answer")
    }

    /// A ConfigMap's data, when it exists.
    pub(crate) async fn data(&self, name: &str) -> Option<Value> {
        let object = self.get("v1", "ConfigMap", name).await?;
        Some(object.data["data"].clone())
    }

    /// What somebody else does: merges something into an object.
    pub(crate) async fn edit(&self, kind: &str, name: &str, manager: &str, patch: &Value) {
        let params = PatchParams {
            field_manager: Some(manager.to_owned()),
            ..PatchParams::default()
        };
        self.api("v1", kind)
            .patch(name, &params, &Patch::Merge(patch))
            .await
            .expect("patched");
    }

    /// What a Deployment's controller would say when its pods are ready.
    pub(crate) async fn rolled_out(&self, name: &str) {
        let api = self.api("apps/v1", "Deployment");
        let object = api.get(name).await.expect("it exists");
        let status = json!({"status": {
            "observedGeneration": object.metadata.generation, "replicas": 1, "updatedReplicas": 1,
            "readyReplicas": 1, "availableReplicas": 1}});
        api.patch_status(name, &PatchParams::default(), &Patch::Merge(&status))
            .await
            .expect("patched");
    }

    /// Makes the namespace that apps go to.
    pub(crate) async fn namespace(&self) {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace"));
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
        let namespace = serde_json::from_value(namespace).expect("a namespace");
        api.create(&kube::api::PostParams::default(), &namespace)
            .await
            .expect("created");
    }
}

async fn serve(dir: &Path) -> ordain_orchestrator_apiserver::Running {
    let pki = Arc::new(Pki::open(&dir.join("pki")).expect("keys"));
    let config = ServerConfig::new(Arc::new(Memory::new()), pki);
    Server::start(config).await.expect("a server")
}

async fn run(
    dir: &Path,
    client: Client,
    shown: &Option<String>,
    set: fn(&mut Config),
    shutdown: &CancellationToken,
) -> Running {
    let origin = dir.join("origin").display().to_string();
    let source = Source::Foreign(Remote::branch(&origin, "main"));
    let mut config = Config::new(client, dir.join("data"), source, Arc::new(Files));
    config.resources.clone_from(shown);
    set(&mut config);
    start(config, shutdown.clone()).await.expect("it starts")
}

fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
        .args(args)
        .output()
        .expect("git is there");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The word for how an app is synced.
pub(crate) fn sync(app: &AppStatus) -> String {
    let word = serde_json::to_value(app.sync).expect("plain JSON");
    word.as_str().unwrap_or_default().to_owned()
}

pub(crate) fn config(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": value}})
}

/// With these annotations.
pub(crate) fn annotated(mut object: Value, annotations: Value) -> Value {
    object["metadata"]["annotations"] = annotations;
    object
}

/// A Service that no server accepts.
pub(crate) fn wrong(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"port": 700_000}]}})
}

pub(crate) fn deployment(name: &str, config: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "containers": [{"name": "web", "image": "web:1"}],
                    "volumes": [{"name": "settings", "configMap": {"name": config}}],
                },
            },
        },
    })
}
