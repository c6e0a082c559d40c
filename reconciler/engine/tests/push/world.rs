//! A running engine with a hosted repository, a working copy beside it, and a fake cluster.

use std::{path::PathBuf, process::Command, sync::Arc, time::Duration};

use ordain_reconciler_engine::{
    App, CompileError, Compiled, CompiledObject, Compiler, Config, HistoryRow, Running,
    SecretFiles, Source, Status, Wanted,
    control::{self, Request, Response},
    start,
};
use ordain_reconciler_source::{Commit, Repository, TreeFiles};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fake::Fake;

/// How long a test waits for what has to come; only a broken test waits that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Each `apps/NAME.json` is an app with a list of objects; `prefix` goes before all their names.
struct JsonCompiler;

impl Compiler for JsonCompiler {
    fn compile(&self, files: &Arc<TreeFiles>, _: &Wanted) -> Result<Compiled, CompileError> {
        let prefix = files
            .read("prefix")
            .ok()
            .and_then(|text| String::from_utf8(text).ok());
        let prefix = prefix.unwrap_or_default();
        let mut apps = Vec::new();
        for path in files.list().filter(|path| path.starts_with("apps/")) {
            let error =
                |error: &dyn std::fmt::Display| CompileError::new(format!("{path}: {error}"));
            let bytes = files.read(path).map_err(|cause| error(&cause))?;
            let objects: Vec<Value> =
                serde_json::from_slice(&bytes).map_err(|cause| error(&cause))?;
            let objects = objects.into_iter().map(|mut object| {
                if let Some(name) = object["metadata"]["name"].as_str() {
                    object["metadata"]["name"] = format!("{prefix}{name}").into();
                }
                object
            });
            let at = Some(format!("{path}:1"));
            let name = path.trim_start_matches("apps/").trim_end_matches(".json");
            let objects = objects.map(|object| CompiledObject {
                object,
                at: at.clone(),
            });
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

/// What `git push` came to.
pub(crate) struct Push {
    pub(crate) ok: bool,
    pub(crate) text: String,
}

pub(crate) struct World {
    pub(crate) api: Fake,
    dir: TempDir,
    shutdown: CancellationToken,
    engine: Running,
}

impl World {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let api = Fake::new();
        let world = Self::run(dir, api).await;
        world.git(&["init", "--quiet", "--initial-branch=main", "."]);
        world.git(&["remote", "add", "ordain", world.engine.repository()]);
        world
    }

    async fn run(dir: TempDir, api: Fake) -> Self {
        let shutdown = CancellationToken::new();
        std::fs::create_dir_all(dir.path().join("work")).expect("a folder");
        let data_dir = dir.path().join("data");
        let source = Source::Hosted {
            program: std::env::current_exe().expect("a path"),
            branch: "main".to_owned(),
        };
        let config = Config::new(api.client(), data_dir, source, Arc::new(JsonCompiler));
        let engine = start(config, shutdown.clone()).await.expect("it starts");
        Self {
            api,
            dir,
            shutdown,
            engine,
        }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.engine.stopped().await;
    }

    /// Stops the engine and starts another one on the same data.
    pub(crate) async fn restart(self) -> Self {
        self.shutdown.cancel();
        self.engine.stopped().await;
        Self::run(self.dir, self.api).await
    }

    fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.work().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        std::fs::write(path, text).expect("written");
    }

    pub(crate) fn remove(&self, path: &str) {
        std::fs::remove_file(self.work().join(path)).expect("removed");
    }

    pub(crate) fn app(&self, name: &str, objects: &[Value]) {
        let text = serde_json::to_string_pretty(objects).expect("plain JSON");
        self.write(&format!("apps/{name}.json"), &text);
    }

    pub(crate) fn git(&self, args: &[&str]) -> Push {
        git(&self.work(), args)
    }

    pub(crate) async fn push(&self, subject: &str) -> Push {
        self.push_to(subject, "main").await
    }

    pub(crate) async fn push_to(&self, subject: &str, branch: &str) -> Push {
        self.spawn_push(subject, branch).await.expect("no panic")
    }

    pub(crate) fn push_in_background(&self, subject: &str) -> JoinHandle<Push> {
        self.spawn_push(subject, "main")
    }

    fn spawn_push(&self, subject: &str, branch: &str) -> JoinHandle<Push> {
        self.git(&["add", "-A"]);
        self.git(&["commit", "--quiet", "-m", subject]);
        let (work, target) = (self.work(), format!("HEAD:refs/heads/{branch}"));
        tokio::task::spawn_blocking(move || git(&work, &["push", "--force", "ordain", &target]))
    }

    /// The hosted repository.
    pub(crate) fn hosted(&self) -> PathBuf {
        self.engine.repository().into()
    }

    /// The journal's folder.
    pub(crate) fn journal(&self) -> PathBuf {
        self.data_dir().join("journal")
    }

    /// Asks the engine to look at the branch now.
    pub(crate) fn sync(&self) {
        self.call(&Request::Sync);
    }

    fn repository(&self) -> Repository {
        Repository::open(self.engine.repository().as_ref()).expect("it exists")
    }

    /// The deployed branch's commit.
    pub(crate) fn tip(&self) -> String {
        self.repository()
            .branch("main")
            .expect("somebody pushed")
            .to_string()
    }

    pub(crate) fn commit(&self, id: &str) -> Commit {
        self.repository()
            .commit(&id.parse().expect("an id"))
            .expect("it exists")
    }

    fn call(&self, request: &Request) -> (Vec<Response>, String) {
        let mut lines = String::new();
        let answers = control::call(&self.data_dir(), request, |line| {
            lines.push_str(line);
            lines.push('\n');
        });
        (
            answers.unwrap_or_else(|error| panic!("{}", error.chain())),
            lines,
        )
    }

    pub(crate) fn status(&self) -> Status {
        let (answers, _) = self.call(&Request::Status);
        match answers.into_iter().next() {
            Some(Response::Status { status }) => status,
            other => panic!("{other:?} is no status"),
        }
    }

    /// Empty for an app that is not known yet.
    pub(crate) fn history(&self, app: &str) -> Vec<HistoryRow> {
        let request = Request::History {
            app: app.to_owned(),
            env: None,
        };
        let answers = control::call(&self.data_dir(), &request, |_| {}).unwrap_or_default();
        match answers.into_iter().next() {
            Some(Response::History { deploys }) => deploys,
            _ => Vec::new(),
        }
    }

    pub(crate) async fn rollback(&self, app: &str, to: &str, reason: &str) -> (String, String) {
        let request = Request::Rollback {
            app: app.to_owned(),
            env: None,
            to: to.to_owned(),
            reason: reason.to_owned(),
            author: "Grace <grace@example.com>".to_owned(),
            wait: true,
        };
        let data_dir = self.data_dir();
        let (answers, lines) = tokio::task::spawn_blocking(move || {
            let mut lines = String::new();
            let answers = control::call(&data_dir, &request, |line| {
                lines.push_str(line);
                lines.push('\n');
            });
            (
                answers.unwrap_or_else(|error| panic!("{}", error.chain())),
                lines,
            )
        })
        .await
        .expect("no panic");
        match answers.into_iter().next() {
            Some(Response::Commit { commit }) => (commit, lines),
            other => panic!("{other:?} is no commit"),
        }
    }

    pub(crate) fn approve(&self, plan: &str) {
        let (plan, author) = (plan.to_owned(), "Grace".to_owned());
        self.call(&Request::Approve { plan, author });
    }

    /// Waits until something is true.
    pub(crate) async fn until(&self, mut is_true: impl FnMut(&Self) -> bool) {
        let waited = async {
            while !is_true(self) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waited)
            .await
            .expect("it becomes true");
    }

    /// Gives the engine time to do what it should not do.
    pub(crate) async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn git(work: &std::path::Path, args: &[&str]) -> Push {
    let output = Command::new("git")
        .current_dir(work)
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
        .args(args)
        .output()
        .expect("git is there");
    let text = [output.stdout, output.stderr].concat();
    Push {
        ok: output.status.success(),
        text: String::from_utf8_lossy(&text).into_owned(),
    }
}

pub(crate) fn config(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": value}})
}

pub(crate) fn deployment(image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": image}]},
            },
        },
    })
}

/// Where a deploy stands, in one word.
pub(crate) fn state(row: &HistoryRow) -> String {
    let state = serde_json::to_value(&row.state).expect("plain JSON");
    state["state"].as_str().unwrap_or_default().to_owned()
}
