//! A running engine with a hosted repository, a working copy beside it, and a fake cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use ordain_reconciler_engine::{
    App, AppRules, CompileError, Compiled, CompiledObject, Compiler, Config, FieldEdit, HistoryRow,
    Hold, HoldKind, OnFailure, Rewritten, Rules, Running, SecretFiles, Source, Status, Wanted,
    control::{self, Request, Response},
    start,
};
use ordain_reconciler_journal::AppRef;
use ordain_reconciler_source::{Commit, Remote, Repository, TreeFiles};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fake::Fake;

/// How long a test waits for what has to come; only a broken test waits that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Each `apps/NAME.json` is an app with a list of objects; `prefix` goes before all their names, and
/// `rules.json` has the settings.
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
        let rules = files
            .read("rules.json")
            .map(|bytes| rules(&bytes))
            .unwrap_or_default();
        Ok(Compiled {
            apps,
            rules: Arc::new(rules),
            ..Compiled::default()
        })
    }

    fn rewrite(&self, files: &Arc<TreeFiles>, edits: &[FieldEdit]) -> Result<Rewritten, String> {
        let mut texts = BTreeMap::new();
        for edit in edits {
            let path = format!("apps/{}.json", edit.app);
            let bytes = files.read(&path).map_err(|error| error.to_string())?;
            let mut objects: Vec<Value> =
                serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
            let mut wanted = objects
                .iter_mut()
                .filter(|object| object["metadata"]["name"] == edit.name.as_str());
            let object = wanted.next().ok_or("no such object")?;
            let (parent, field) = edit.path.rsplit_once('.').ok_or("no such field")?;
            let pointer = format!("/{}", parent.replace('.', "/"));
            let map = object.pointer_mut(&pointer).and_then(Value::as_object_mut);
            let map = map.ok_or("no such field")?;
            match &edit.to {
                Some(to) => drop(map.insert(field.to_owned(), to.clone())),
                None => drop(map.shift_remove(field)),
            }
            let text = serde_json::to_string_pretty(&objects).expect("plain JSON");
            texts.insert(path, text);
        }
        let notes = Vec::new();
        Ok(Rewritten {
            files: texts,
            notes,
        })
    }

    fn inputs(&self, _: &Arc<TreeFiles>, _: &Wanted, app: &AppRef) -> Option<BTreeSet<String>> {
        let own = format!("apps/{}.json", app.name);
        Some(BTreeSet::from([own, "prefix".to_owned()]))
    }
}

/// Reads `{"deadline": SECONDS, "rollback": BOOL, "windows": [WINDOW]}`.
fn rules(bytes: &[u8]) -> Rules {
    let json: Value = serde_json::from_slice(bytes).expect("settings are JSON");
    let windows = json.get("windows").cloned().unwrap_or_else(|| json!([]));
    let on_failure = match json["rollback"] == true {
        true => OnFailure::RollBack,
        false => OnFailure::Stay,
    };
    Rules {
        all: AppRules {
            deadline: json["deadline"].as_u64().map(Duration::from_secs),
            on_failure: Some(on_failure),
        },
        windows: serde_json::from_value(windows).expect("windows"),
        ..Rules::default()
    }
}

/// Where a repository seems to be that is reached by the installed git.
const SERVER: &str = "http://git.invalid/team/shop.git";

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
    is_foreign: bool,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_, _| {}).await
    }

    /// Starts with a configuration of which something is set, given the folder of the test.
    pub(crate) async fn start_with(set: impl FnOnce(&Path, &mut Config)) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let api = Fake::new();
        let world = Self::run(dir, api, false, set).await;
        world.git(&["init", "--quiet", "--initial-branch=main", "."]);
        world.git(&["remote", "add", "ordain", world.engine.repository()]);
        world
    }

    /// Follows a bare repository somewhere else, which can be moved away.
    pub(crate) async fn foreign() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let origin = dir.path().join("origin.git");
        std::fs::create_dir_all(&origin).expect("a folder");
        git(
            &origin,
            &["init", "--quiet", "--bare", "--initial-branch=main", "."],
        );
        let world = Self::run(dir, Fake::new(), true, |_, _| {}).await;
        world.git(&["init", "--quiet", "--initial-branch=main", "."]);
        world.git(&["remote", "add", "ordain", world.engine.repository()]);
        world
    }

    /// Follows a repository whose server runs hooks, and takes no push to `main` while it is [protected](Self::protect).
    pub(crate) async fn behind_hooks(set: impl FnOnce(&Path, &mut Config)) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let origin = dir.path().join("origin.git");
        let mirror = dir.path().join("data/git/mirror.git");
        for bare in [&origin, &mirror] {
            std::fs::create_dir_all(bare).expect("a folder");
            git(
                bare,
                &["init", "--quiet", "--bare", "--initial-branch=main", "."],
            );
        }
        let hook = origin.join("hooks/pre-receive");
        let script = "#!/bin/sh\nwhile [ -e slow ]; do sleep 0.05; done\nwhile read old new ref; do\n  \
            [ \"$ref\" = refs/heads/main ] && [ -e protected ] && echo 'main is protected' >&2 && exit 1\ndone\nexit 0\n";
        std::fs::write(&hook, script).expect("written");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(&hook, mode).expect("it may run");
        }
        // The installed git goes to the folder, where it runs hooks; the library would not.
        let path = format!("url.{}.insteadOf", origin.display());
        git(&mirror, &["config", &path, SERVER]);
        let world = Self::run(dir, Fake::new(), true, set).await;
        world.git(&["init", "--quiet", "--initial-branch=main", "."]);
        let origin = origin.display().to_string();
        world.git(&["remote", "add", "ordain", &origin]);
        world
    }

    /// Lets the server refuse pushes to `main`, or take them again.
    pub(crate) fn protect(&self, on: bool) {
        self.mark("protected", on);
    }

    /// Lets the server take its time for each push, until that is over.
    pub(crate) fn slow(&self, on: bool) {
        self.mark("slow", on);
    }

    fn mark(&self, what: &str, on: bool) {
        let mark = self.dir.path().join("origin.git").join(what);
        match on {
            true => std::fs::write(mark, "").expect("written"),
            false => std::fs::remove_file(mark).expect("removed"),
        }
    }

    /// Runs git in the repository that is followed.
    pub(crate) fn git_at_origin(&self, args: &[&str]) -> Push {
        git(&self.dir.path().join("origin.git"), args)
    }

    fn bare(&self) -> PathBuf {
        match self.is_foreign {
            true => self.dir.path().join("origin.git"),
            false => self.engine.repository().into(),
        }
    }

    /// Makes the foreign repository unreachable, or reachable again.
    pub(crate) fn away(&self, away: bool) {
        let (here, there) = (
            self.dir.path().join("origin.git"),
            self.dir.path().join("away.git"),
        );
        let moved = match away {
            true => std::fs::rename(&here, &there),
            false => std::fs::rename(&there, &here),
        };
        moved.expect("moved");
    }

    async fn run(
        dir: TempDir,
        api: Fake,
        is_foreign: bool,
        set: impl FnOnce(&Path, &mut Config),
    ) -> Self {
        let shutdown = CancellationToken::new();
        std::fs::create_dir_all(dir.path().join("work")).expect("a folder");
        let data_dir = dir.path().join("data");
        let source = Source::Hosted {
            program: std::env::current_exe().expect("a path"),
            branch: "main".to_owned(),
        };
        let source = match is_foreign {
            false => source,
            true => {
                let origin = dir.path().join("origin.git");
                let origin = match origin.join("hooks/pre-receive").exists() {
                    true => SERVER.to_owned(),
                    false => origin.display().to_string(),
                };
                Source::Foreign(Remote::branch(&origin, "main"))
            }
        };
        let mut config = Config::new(api.client(), data_dir, source, Arc::new(JsonCompiler));
        if is_foreign {
            config.poll = Duration::from_millis(100);
        }
        set(dir.path(), &mut config);
        let engine = start(config, shutdown.clone()).await.expect("it starts");
        Self {
            api,
            dir,
            shutdown,
            engine,
            is_foreign,
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
        Self::run(self.dir, self.api, self.is_foreign, |_, _| {}).await
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.dir.path()
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
        self.spawn_push_of_tip(branch)
    }

    /// Pushes what was committed last.
    pub(crate) async fn push_tip(&self) -> Push {
        self.spawn_push_of_tip("main").await.expect("no panic")
    }

    fn spawn_push_of_tip(&self, branch: &str) -> JoinHandle<Push> {
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

    /// Pushes a change of one app to the foreign repository while the engine cannot reach it.
    pub(crate) async fn push_away(&self, app: &str, objects: &[Value], subject: &str) -> Push {
        self.app(app, objects);
        self.git(&["add", "-A"]);
        self.git(&["commit", "--quiet", "-m", subject]);
        let away = self.dir.path().join("away.git").display().to_string();
        self.git(&["push", &away, "HEAD:refs/heads/main"])
    }

    /// Lets the repository forget what nothing leads to.
    pub(crate) fn collect(&self) {
        let repository = PathBuf::from(self.engine.repository());
        git(&repository, &["reflog", "expire", "--expire=now", "--all"]);
        let collected = git(&repository, &["gc", "--quiet", "--prune=now"]);
        assert!(collected.ok, "{}", collected.text);
    }

    fn repository(&self) -> Repository {
        Repository::open(&self.bare()).expect("it exists")
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
        let answers = control::call(self.data_dir(), request, |line| {
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
        self.newest(app, None)
    }

    /// At most so many deploys of an app, the newest.
    pub(crate) fn newest(&self, app: &str, limit: Option<usize>) -> Vec<HistoryRow> {
        let request = Request::History {
            app: app.to_owned(),
            env: None,
            limit,
        };
        let answers = control::call(self.data_dir(), &request, |_| {}).unwrap_or_default();
        match answers.into_iter().next() {
            Some(Response::History { deploys }) => deploys,
            _ => Vec::new(),
        }
    }

    /// Returns the commit and what was told, or why not.
    pub(crate) async fn rollback(&self, app: &str, to: &str, reason: &str) -> (String, String) {
        let request = rollback(app, to, reason);
        let (answers, lines) = self
            .ask(request)
            .await
            .unwrap_or_else(|why| panic!("{why}"));
        match answers.into_iter().next() {
            Some(Response::Commit { commit }) => (commit, lines),
            other => panic!("{other:?} is no commit: {lines}"),
        }
    }

    /// Sends a request while the engine goes on; returns the answers and lines, or the refusal.
    pub(crate) async fn ask(&self, request: Request) -> Result<(Vec<Response>, String), String> {
        let data_dir = self.data_dir();
        tokio::task::spawn_blocking(move || {
            let mut lines = String::new();
            let answers = control::call(&data_dir, &request, |line| {
                lines.push_str(line);
                lines.push('\n');
            });
            let answers = answers.map_err(|error| error.chain());
            answers.map(|answers| (answers, lines))
        })
        .await
        .expect("no panic")
    }

    /// What is held of this kind.
    pub(crate) fn held(&self, kind: HoldKind) -> Option<Hold> {
        let holds = self.status().holds;
        holds.into_iter().find(|hold| hold.kind == kind)
    }

    /// The value in a config map of the namespace `shop`.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        let object = self.api.get(&format!("v1/configmaps/shop/{name}"))?;
        object["data"]["value"].as_str().map(str::to_owned)
    }

    /// Waits until a config map of the namespace `shop` has a value.
    pub(crate) async fn until_value(&self, name: &str, value: &str) {
        self.until(|world| world.value(name).as_deref() == Some(value))
            .await;
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

pub(crate) fn rollback(app: &str, to: &str, reason: &str) -> Request {
    Request::Rollback {
        app: app.to_owned(),
        env: None,
        to: to.to_owned(),
        reason: reason.to_owned(),
        author: GRACE.to_owned(),
        sign: false,
        wait: true,
    }
}

pub(crate) const GRACE: &str = "Grace <grace@example.com>";

fn git(work: &Path, args: &[&str]) -> Push {
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

/// Something that holds data.
pub(crate) fn claim() -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"]}, "status": {"phase": "Bound"},
    })
}

/// Where a deploy stands, in one word.
pub(crate) fn state(row: &HistoryRow) -> String {
    let state = serde_json::to_value(&row.state).expect("plain JSON");
    state["state"].as_str().unwrap_or_default().to_owned()
}
