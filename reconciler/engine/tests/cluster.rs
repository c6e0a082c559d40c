//! The engine against the bundled API server, in one process: a foreign repository is followed, and the
//! rules of server-side apply are the server's own.

use std::{path::Path, process::Command, sync::Arc, time::Duration};

use kube::{
    Api, Client, ResourceExt as _,
    api::{
        ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams,
    },
};
use ordain_orchestrator_apiserver::{Config as ServerConfig, Pki, Server, User};
use ordain_orchestrator_store::Memory;
use ordain_reconciler_engine::{
    App, CompileError, Compiled, CompiledObject, Compiler, Config, HistoryRow, Running,
    SecretFiles, Source, Status, Wanted,
    control::{self, Request, Response},
    start,
};
use ordain_reconciler_source::{Remote, TreeFiles};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Only a broken test waits that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// The file `objects.json` is the app `shop`.
struct OneFile;

impl Compiler for OneFile {
    fn compile(&self, files: &Arc<TreeFiles>, _: &Wanted) -> Result<Compiled, CompileError> {
        let error = |error: &dyn std::fmt::Display| CompileError::new(error.to_string());
        let bytes = files.read("objects.json").map_err(|cause| error(&cause))?;
        let objects: Vec<Value> = serde_json::from_slice(&bytes).map_err(|cause| error(&cause))?;
        let at = Some("objects.json:1".to_owned());
        let objects = objects.into_iter().map(|object| CompiledObject {
            object,
            at: at.clone(),
        });
        let (name, env, namespace) = ("shop".to_owned(), "dev".to_owned(), "shop".to_owned());
        let objects = objects.collect();
        let apps = vec![Arc::new(App::new(
            name,
            env,
            namespace,
            objects,
            SecretFiles::default(),
        ))];
        Ok(Compiled {
            apps,
            ..Compiled::default()
        })
    }
}

struct World {
    dir: TempDir,
    client: Client,
    server: ordain_orchestrator_apiserver::Running,
    engine: Running,
    shutdown: CancellationToken,
}

impl World {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let pki = Arc::new(Pki::open(&dir.path().join("pki")).expect("keys"));
        let server = Server::start(ServerConfig::new(Arc::new(Memory::new()), pki)).await;
        let server = server.expect("a server");
        let client = Client::new(server.in_process(User::admin()), "default");
        git(
            dir.path(),
            &["init", "--quiet", "--initial-branch=main", "origin"],
        );
        let shutdown = CancellationToken::new();
        let engine = run(dir.path(), &client, &shutdown).await;
        Self {
            dir,
            client,
            server,
            engine,
            shutdown,
        }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.engine.stopped().await;
        self.server.shutdown().await;
    }

    async fn restart(mut self) -> Self {
        self.shutdown.cancel();
        self.engine.stopped().await;
        self.shutdown = CancellationToken::new();
        self.engine = run(self.dir.path(), &self.client, &self.shutdown).await;
        self
    }

    /// Commits the objects, and waits until the engine is done with them.
    async fn commit(&self, objects: &[Value]) -> HistoryRow {
        let origin = self.dir.path().join("origin");
        let text = serde_json::to_string_pretty(objects).expect("plain JSON");
        std::fs::write(origin.join("objects.json"), text).expect("written");
        git(&origin, &["add", "-A"]);
        git(&origin, &["commit", "--quiet", "-m", "change"]);
        let tip = git(&origin, &["rev-parse", "HEAD"]);
        self.call(&Request::Sync);
        self.until(|world| {
            let last = world.history().pop();
            last.is_some_and(|row| row.commit == tip.trim() && is_final(&row))
        })
        .await;
        self.history().pop().expect("a deploy")
    }

    fn call(&self, request: &Request) -> Vec<Response> {
        let data_dir = self.dir.path().join("data");
        control::call(&data_dir, request, |_| {}).unwrap_or_default()
    }

    fn history(&self) -> Vec<HistoryRow> {
        match self
            .call(&Request::History {
                app: "shop".to_owned(),
                env: None,
                limit: None,
            })
            .into_iter()
            .next()
        {
            Some(Response::History { deploys }) => deploys,
            _ => Vec::new(),
        }
    }

    fn status(&self) -> Status {
        match self.call(&Request::Status).into_iter().next() {
            Some(Response::Status { status }) => status,
            other => panic!("{other:?} is no status"),
        }
    }

    async fn until(&self, mut is_true: impl FnMut(&Self) -> bool) {
        let waited = async {
            while !is_true(self) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waited).await.is_err() {
            panic!(
                "it does not become true; status: {:#?}\nhistory: {:#?}",
                self.status(),
                self.history()
            );
        }
    }

    fn api(&self, api_version: &str, kind: &str) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), "shop", &resource)
    }

    async fn get(&self, kind: &str, name: &str) -> Option<DynamicObject> {
        self.api("v1", kind).get_opt(name).await.expect("an answer")
    }
}

async fn run(dir: &Path, client: &Client, shutdown: &CancellationToken) -> Running {
    let origin = dir.join("origin").display().to_string();
    let source = Source::Foreign(Remote::branch(&origin, "main"));
    let config = Config::new(client.clone(), dir.join("data"), source, Arc::new(OneFile));
    start(config, shutdown.clone()).await.expect("it starts")
}

fn is_final(row: &HistoryRow) -> bool {
    let state = serde_json::to_value(&row.state).expect("plain JSON");
    !matches!(state["state"].as_str(), Some("started" | "applied"))
}

fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
        .args(args)
        .output()
        .expect("git is there");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn config(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": value}})
}

fn service(port: u16) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": port}]}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_are_created_changed_pruned_and_otherwise_left_alone() {
    let world = World::start().await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"a": "b"}});
    let first = world
        .commit(&[
            config("a", "1"),
            config("b", "1"),
            service(80),
            secret.clone(),
        ])
        .await;
    assert!(first.was_healthy, "{first:?}");
    assert_eq!(first.counts.create, 4);
    assert!(world.get("Secret", "key").await.is_some());

    let version = async |kind| {
        world
            .get(kind, "web")
            .await
            .expect("it exists")
            .resource_version()
    };
    let before = version("Service").await;
    let second = world
        .commit(&[config("a", "2"), service(80), secret.clone()])
        .await;
    assert!(second.was_healthy, "{second:?}");
    assert_eq!(
        (
            second.counts.update,
            second.counts.delete,
            second.counts.unchanged
        ),
        (1, 1, 2)
    );
    assert!(world.get("ConfigMap", "b").await.is_none());
    assert_eq!(
        version("Service").await,
        before,
        "what is the same is not written"
    );

    // A restart compares everything and writes nothing.
    let a = world
        .get("ConfigMap", "a")
        .await
        .expect("it exists")
        .resource_version();
    let world = world.restart().await;
    world
        .until(|world| {
            world
                .status()
                .apps
                .first()
                .is_some_and(|app| app.health == "healthy")
        })
        .await;
    let now = world
        .get("ConfigMap", "a")
        .await
        .expect("it exists")
        .resource_version();
    assert_eq!(now, a);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_and_its_objects_come_in_one_commit() {
    let world = World::start().await;
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"kind": "Thing", "listKind": "ThingList", "plural": "things", "singular": "thing"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {"type": "object",
                    "properties": {"size": {"type": "integer"}}}}}}}],
        },
    });
    let thing = json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "one"}, "spec": {"size": 3}});
    let row = world.commit(&[thing, definition]).await;
    assert!(row.was_healthy, "{row:?}");
    let thing = world
        .api("example.com/v1", "Thing")
        .get("one")
        .await
        .expect("it exists");
    assert_eq!(thing.data["spec"]["size"], 3);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_object_is_refused_with_the_servers_words() {
    let world = World::start().await;
    let wrong = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"ports": [{"port": 700_000}]}});
    let row = world.commit(&[config("a", "1"), wrong]).await;
    let state = serde_json::to_value(&row.state).expect("plain JSON");
    assert_eq!(state["state"], "failed");
    let reason = state["reasons"][0].as_str().unwrap_or_default();
    assert!(
        reason.starts_with("Service shop/web: ") && reason.contains("port"),
        "{reason}"
    );
    assert!(
        world.get("ConfigMap", "a").await.is_some(),
        "what is right is applied"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_are_put_right_within_a_moment() {
    let world = World::start().await;
    world.commit(&[config("a", "1")]).await;
    let api = world.api("v1", "ConfigMap");
    let patch = json!({"data": {"value": "edited"}});
    api.patch("a", &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .expect("patched");
    let right = async {
        while api.get("a").await.expect("it exists").data["data"]["value"] != "1" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, right)
        .await
        .expect("it is put right");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_kubectl_applied_is_adopted() {
    let world = World::start().await;
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(world.client.clone());
    let namespace =
        serde_json::from_value(json!({"metadata": {"name": "shop"}})).expect("a namespace");
    namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .expect("created");
    let mut object: DynamicObject = serde_json::from_value(config("a", "0")).expect("an object");
    object.data["data"]["old"] = "x".into();
    let kubectl = PostParams {
        field_manager: Some("kubectl-client-side-apply".to_owned()),
        ..PostParams::default()
    };
    world
        .api("v1", "ConfigMap")
        .create(&kubectl, &object)
        .await
        .expect("created");
    let row = world.commit(&[config("a", "1")]).await;
    assert!(row.was_healthy, "{row:?}");
    let object = world.get("ConfigMap", "a").await.expect("it exists");
    assert_eq!(
        object.data["data"],
        json!({"value": "1"}),
        "what kubectl alone had declared is gone"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_repository_is_away_the_last_good_state_is_kept() {
    let world = World::start().await;
    world.commit(&[config("a", "1")]).await;
    let origin = world.dir.path().join("origin");
    std::fs::rename(&origin, world.dir.path().join("away")).expect("moved");
    let world = world.restart().await;
    world
        .until(|world| {
            world
                .status()
                .apps
                .first()
                .is_some_and(|app| app.health == "healthy")
        })
        .await;
    let status = world.status();
    assert!(status.source.message.contains("cannot fetch"), "{status:?}");
    world
        .api("v1", "ConfigMap")
        .delete("a", &DeleteParams::default())
        .await
        .expect("deleted");
    let back = async {
        while world.get("ConfigMap", "a").await.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, back)
        .await
        .expect("it is put right");

    std::fs::rename(world.dir.path().join("away"), &origin).expect("moved");
    let row = world.commit(&[config("a", "2")]).await;
    assert!(row.was_healthy, "{row:?}");
    assert_eq!(world.status().source.message, "");
    world.stop().await;
}
