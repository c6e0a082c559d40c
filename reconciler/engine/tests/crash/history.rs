//! One history: commits, rollbacks and kills, then a run to the end, and the questions.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use ordain_reconciler_engine::{
    Sync,
    control::{self, Request, Response},
};
use ordain_reconciler_journal::{Journal, verify};
use ordain_reconciler_plan::Inventory;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    random::Random,
    repository::{Declared, Repo, VALUE, change, key},
    server::{Kill, Server},
};

/// Requests of a whole run, about; a point beyond the last one is one at rest.
const REQUESTS: u64 = 110;

/// Steps of the journal of a whole run, about.
const STEPS: u64 = 60;

/// The longest a child runs before it is killed at a moment, in milliseconds.
const MOMENT: u64 = 150;

/// A child that was silent for so long is at rest, or has no time: both are points like others.
const SILENCE: Duration = Duration::from_millis(250);

/// Only a broken test waits that long.
const PATIENCE: Duration = Duration::from_secs(120);

/// The namespace that nobody declares.
pub(crate) const SHOP: &str = "v1/namespaces//shop";

/// The apps of every history.
const APPS: [&str; 2] = ["left", "right"];

pub(crate) struct History {
    number: u64,
    random: Random,
    repo: Repo,
    server: Server,
    apps: BTreeMap<String, Declared>,
    commits: u64,
    /// Kills: before a request, after one, at a step, at a moment.
    killed: [u64; 4],
    _dir: TempDir,
}

/// Killed processes need no disk that survives a power cut, and a folder in memory is fast.
pub(crate) fn folder() -> TempDir {
    let memory = PathBuf::from("/dev/shm");
    let made = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    made.or_else(|_| tempfile::tempdir()).expect("a folder")
}

impl History {
    pub(crate) fn run(number: u64, random: Random, points: u64) -> [u64; 4] {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let dir = folder();
            let repo = Repo::create(&dir.path().join("data"));
            let server = Server::start(repo.clone()).await;
            let apps = APPS.map(|app| (app.to_owned(), Declared::new()));
            let mut history = Self {
                number,
                random,
                repo,
                server,
                apps: apps.into(),
                commits: 0,
                killed: [0; 4],
                _dir: dir,
            };
            history.commit();
            for _ in 0..points {
                history.point().await;
            }
            history.end().await;
            history.killed
        })
    }

    /// A commit that changes one app or both.
    fn commit(&mut self) {
        self.commits += 1;
        // A rollback may have changed what is there.
        for (app, objects) in self.repo.declared() {
            let declared = objects.iter().filter_map(|object| {
                let name = object["metadata"]["name"].as_str()?;
                let name = name.strip_prefix(&format!("{app}-"))?.to_owned();
                let value = object["metadata"]["annotations"][VALUE].as_str()?;
                Some((name, value.parse().ok()?))
            });
            let declared = declared.collect();
            self.apps.insert(app, declared);
        }
        for declared in self.apps.values_mut() {
            if declared.is_empty() || self.random.percent(60) {
                change(declared, &mut self.random);
            }
        }
        self.repo.commit(self.commits, &self.apps);
    }

    fn spawn(&self, step: u64, kill: Option<(u64, Kill)>) {
        let wanted = self.repo.wanted();
        let child = Command::new(std::env::current_exe().expect("a path"))
            .arg("__child")
            .arg(self.repo.data_dir())
            .arg(format!("http://{}", self.server.address))
            .arg(step.to_string())
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        self.server.watch(child, kill, wanted);
    }

    /// Changes something, perhaps; runs the engine, and kills it.
    async fn point(&mut self) {
        if self.random.percent(60) {
            self.commit();
        }
        let kind = self.random.below(10);
        let request = 1 + self.random.below(REQUESTS);
        let step = 1 + self.random.below(STEPS);
        let moment = Duration::from_millis(self.random.below(MOMENT));
        let kind = match kind {
            0..=2 => 0,
            3..=5 => 1,
            6..=8 => 2,
            _ => 3,
        };
        match kind {
            0 => self.spawn(0, Some((request, Kill::Before))),
            1 => self.spawn(0, Some((request, Kill::After))),
            2 => self.spawn(step, None),
            _ => self.spawn(0, None),
        }
        let asked = self.random.percent(35).then(|| self.roll_back());
        if kind == 3 {
            tokio::time::sleep(moment).await;
        } else {
            self.silence().await;
        }
        self.server.kill();
        self.killed[kind] += 1;
        if let Some(Some(asked)) = asked {
            asked.join().expect("no panic");
        }
    }

    /// Waits until the child is gone, or at rest.
    async fn silence(&self) {
        let mut last = (0, tokio::time::Instant::now());
        while !self.server.is_gone() {
            let news = self.server.news.notified();
            let _ = tokio::time::timeout(Duration::from_millis(10), news).await;
            let now = self.server.requests();
            if now != last.0 {
                last = (now, tokio::time::Instant::now());
            }
            // Before its first request it is still starting.
            if now > 0 && last.1.elapsed() > SILENCE {
                return;
            }
        }
    }

    /// Asks for a rollback as soon as somebody listens.
    fn roll_back(&mut self) -> Option<std::thread::JoinHandle<()>> {
        let commits = self.repo.commits();
        let at = 1 + self.random.below(4) as usize;
        let to = commits.get(at)?.clone();
        let request = rollback(APPS[self.random.below(2) as usize], &to);
        let (data_dir, server) = (self.repo.data_dir().to_owned(), self.server.clone());
        Some(std::thread::spawn(move || {
            while !server.is_gone() {
                match control::call(&data_dir, &request, |_| {}) {
                    Err(ordain_reconciler_engine::Error::NotRunning { .. }) => {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                    // Done, refused because there is nothing to restore, or cut short.
                    _ => return,
                }
            }
        }))
    }

    /// Runs the engine to the end, and compares everything.
    async fn end(&mut self) {
        self.commit();
        self.spawn(0, None);
        let told = self.settled(&self.repo.clone()).await;
        self.server.kill();
        let at = format!("history {}: {told}", self.number);
        assert_eq!(
            self.server.wrong(),
            Vec::<String>::new(),
            "{at}: what was wanted was deleted"
        );
        let state = state(&self.server);
        self.check_journal(&state, &at);

        let dir = folder();
        let repo = self.repo.copy(&dir.path().join("data"));
        let clean = Server::start(repo.clone()).await;
        let dirty = std::mem::replace(&mut self.server, clean);
        let history = std::mem::replace(&mut self.repo, repo);
        self.spawn(0, None);
        let told = self.settled(&self.repo.clone()).await;
        self.server.kill();
        assert_eq!(
            state,
            crate::history::state(&self.server),
            "{at}: not what a clean apply makes ({told})"
        );
        (self.server, self.repo) = (dirty, history);
    }

    /// Waits until every app has what the tip declares, and says how it came to that.
    async fn settled(&self, repo: &Repo) -> String {
        let wanted = repo.wanted();
        let tip = repo.tip().unwrap_or_default();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let data_dir = repo.data_dir().to_owned();
            let asked = tokio::task::spawn_blocking(move || {
                control::call(&data_dir, &Request::Status, |_| {})
            });
            let answers = asked.await.expect("no panic").unwrap_or_default();
            let status = answers.into_iter().find_map(|answer| match answer {
                Response::Status { status } => Some(status),
                _ => None,
            });
            for app in status.iter().flat_map(|status| &status.apps) {
                if app.sync == Sync::Blocked {
                    approve(repo.data_dir(), &app.name).await;
                }
            }
            let settled = status.as_ref().is_some_and(|status| {
                let done = status.apps.iter().filter(|app| {
                    app.commit == tip && app.sync == Sync::Synced && app.health == "healthy"
                });
                done.count() == APPS.len()
            });
            let keys = self.server.fake.keys();
            let objects = keys.iter().filter(|key| *key != SHOP);
            // What was pruned leaves the inventory a moment after it left the cluster.
            if settled
                && objects.clone().count() == wanted.len()
                && listed(repo).is_some_and(|listed| listed.len() == wanted.len())
            {
                return format!("tip {tip}");
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "history {}: it does not settle; wanted {wanted:#?}, there is {keys:#?}, status {status:#?}",
                self.number
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The journal is whole, and lists exactly the objects that carry our mark.
    fn check_journal(&self, state: &BTreeMap<String, Value>, at: &str) {
        let folder = self.repo.data_dir().join("journal");
        let verified = verify(&folder, |_, _| {});
        assert!(verified.is_ok(), "{at}: {verified:?}");
        let listed = listed(&self.repo).expect("it reads");
        let mut ours: Vec<_> = state
            .values()
            .filter(|object| {
                object["metadata"]["annotations"]
                    .get("ordain.dev/app")
                    .is_some()
            })
            .map(|object| {
                object["metadata"]["name"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect();
        ours.sort();
        assert_eq!(listed, ours, "{at}: the inventory is not what is there");
    }
}

/// The names of all objects in the journal's inventories, sorted.
fn listed(repo: &Repo) -> Option<Vec<String>> {
    let journal = Journal::read(&repo.data_dir().join("journal")).ok()?;
    let mut listed = Vec::new();
    for app in journal.apps() {
        let bytes = journal.get(&journal.inventory(&app)?).ok()?;
        let inventory = Inventory::from_bytes(&bytes).ok()?;
        listed.extend(inventory.iter().map(|(key, _)| key.name.clone()));
    }
    listed.sort();
    Some(listed)
}

/// Every object as a clean apply would make it: without what counts and names anew each time.
fn state(server: &Server) -> BTreeMap<String, Value> {
    let objects = server.fake.keys().into_iter().filter_map(|at| {
        let mut object = server.fake.get(&at)?;
        let metadata = object["metadata"].as_object_mut()?;
        for field in ["uid", "resourceVersion", "generation"] {
            metadata.remove(field);
        }
        if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
            status.remove("observedGeneration");
        }
        debug_assert!(at == SHOP || at == key(&object), "{at}");
        Some((at, object))
    });
    objects.collect()
}

/// Allows what the last plan of an app wants to delete.
async fn approve(data_dir: &std::path::Path, app: &str) {
    let (data_dir, app) = (data_dir.to_owned(), app.to_owned());
    let asked = tokio::task::spawn_blocking(move || {
        let last = Request::History {
            app,
            env: None,
            limit: Some(1),
        };
        let answers = control::call(&data_dir, &last, |_| {}).ok()?;
        let plan = answers.into_iter().find_map(|answer| match answer {
            Response::History { deploys } => Some(deploys.last()?.plan.clone()),
            _ => None,
        })?;
        let author = "Grace <grace@example.com>".to_owned();
        control::call(&data_dir, &Request::Approve { plan, author }, |_| {}).ok()
    });
    asked.await.expect("no panic");
}

pub(crate) fn rollback(app: &str, to: &str) -> Request {
    Request::Rollback {
        app: app.to_owned(),
        env: None,
        to: to.to_owned(),
        reason: "to be killed".to_owned(),
        author: "Grace <grace@example.com>".to_owned(),
        sign: false,
        wait: true,
    }
}
