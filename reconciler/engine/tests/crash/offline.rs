//! A rollback while the remote cannot be reached, killed at a step of it; then the remote is back, and what puts the
//! commit there is killed as well. Whatever was durable is on the branch in the end, once, and in the cluster.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use ordain_reconciler_engine::{
    HoldKind, Status, Sync,
    control::{self, Request, Response},
};
use ordain_reconciler_journal::verify;

use crate::{
    history::{SHOP, folder, rollback},
    random::Random,
    repository::{Declared, Repo},
    server::Server,
};

/// Steps of the journal while a rollback is made, about.
const STEPS: u64 = 30;

/// Only a broken test waits that long.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long a child that is not killed may take to put the commit on the branch.
const PUBLISH: Duration = Duration::from_secs(5);

struct World {
    repo: Repo,
    server: Server,
    /// What the child takes for the remote: a link that comes and goes.
    remote: PathBuf,
    data_dir: PathBuf,
}

impl World {
    fn away(&self, is_away: bool) {
        if is_away {
            std::fs::remove_file(&self.remote).expect("it is there");
        } else {
            std::os::unix::fs::symlink(self.repo.path(), &self.remote).expect("linked");
        }
    }

    fn spawn(&self, step: u64) {
        let child = Command::new(std::env::current_exe().expect("a path"))
            .arg("__child")
            .arg(&self.data_dir)
            .arg(format!("http://{}", self.server.address))
            .arg(step.to_string())
            .arg(&self.remote)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        self.server.watch(child, None, self.repo.wanted());
    }

    async fn call(&self, request: Request) -> Option<Vec<Response>> {
        let data_dir = self.data_dir.clone();
        let asked = tokio::task::spawn_blocking(move || control::call(&data_dir, &request, |_| {}));
        asked.await.expect("no panic").ok()
    }

    /// True when the cluster, the branch and what the engine says of both are one.
    async fn is_settled(&self) -> Result<(), Option<Status>> {
        let answers = self.call(Request::Status).await.unwrap_or_default();
        let status = answers.into_iter().find_map(|answer| match answer {
            Response::Status { status } => Some(status),
            _ => None,
        });
        let Some(status) = status else {
            return Err(None);
        };
        let tip = self.repo.tip().unwrap_or_default();
        let synced = |app: &&ordain_reconciler_engine::AppStatus| {
            app.commit == tip && app.sync == Sync::Synced && app.health == "healthy"
        };
        let pending = |kind: &HoldKind| matches!(kind, HoldKind::Pending | HoldKind::Conflict);
        let waits = status.holds.iter().any(|hold| pending(&hold.kind));
        let keys = self
            .server
            .fake
            .keys()
            .into_iter()
            .filter(|key| key != SHOP);
        let done = status.apps.iter().filter(synced).count() == 2
            && !waits
            && keys.collect::<std::collections::BTreeSet<_>>() == self.repo.wanted();
        if done { Ok(()) } else { Err(Some(status)) }
    }

    async fn settle(&self, at: u64) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while let Err(status) = self.is_settled().await {
            assert!(
                tokio::time::Instant::now() < deadline,
                "offline rollback {at}: it does not settle: {status:#?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks for a rollback until it is answered or the child is gone.
    async fn roll_back(&self, to: &str) {
        while !self.server.is_gone() {
            if self.call(rollback("left", to)).await.is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the child is gone, or has nothing left to do.
    async fn publish(&self) {
        let done = async {
            while !self.server.is_gone() && self.is_settled().await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        // A child that was not told where to die may be killed at any moment.
        let _ = tokio::time::timeout(PUBLISH, done).await;
    }
}

fn bare(path: &Path) -> PathBuf {
    let made = Command::new("git")
        .args(["init", "--quiet", "--bare", "--initial-branch=main"])
        .arg(path)
        .status();
    assert!(made.expect("git is there").success());
    path.to_owned()
}

/// Kills at so many points; returns how many of the rollbacks are on the branch.
pub(crate) fn run(random: &mut Random, points: u64) -> u64 {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let steps = (0..points).map(|at| (at, 1 + random.below(STEPS), 1 + random.below(STEPS)));
    let steps: Vec<_> = steps.collect();
    let done = steps
        .into_iter()
        .map(|(at, first, second)| runtime.block_on(one(at, first, second)));
    done.filter(|is_there| *is_there).count() as u64
}

async fn one(at: u64, first: u64, second: u64) -> bool {
    let dir = folder();
    let repo = Repo::at(&bare(&dir.path().join("origin.git")), dir.path());
    let world = World {
        server: Server::start(repo.clone()).await,
        repo,
        remote: dir.path().join("remote"),
        data_dir: dir.path().join("data"),
    };
    let app = |names: &[&str], value: u64| -> Declared {
        names
            .iter()
            .map(|name| ((*name).to_owned(), value))
            .collect()
    };
    let right = ("right".to_owned(), app(&["one", "service"], 0));
    let left = |declared| [("left".to_owned(), declared), right.clone()].into();
    world.repo.commit(1, &left(app(&["one", "web", "job"], 0)));
    let to = world.repo.tip().expect("a commit");
    world.away(false);
    world.spawn(0);
    world.settle(at).await;
    world
        .repo
        .commit(2, &left(app(&["one", "two", "web", "job"], 1)));
    world.settle(at).await;
    world.server.kill();

    world.away(true);
    world.spawn(first);
    world.roll_back(&to).await;
    world.server.kill();
    world.away(false);
    world.repo.unlock();
    world.spawn(second);
    world.publish().await;
    world.server.kill();
    world.repo.unlock();
    world.spawn(0);
    world.settle(at).await;
    world.server.kill();

    let verified = verify(&world.data_dir.join("journal"), |_, _| {});
    assert!(verified.is_ok(), "offline rollback {at}: {verified:?}");
    let commits = world.repo.commits().len();
    assert!(
        commits <= 3,
        "offline rollback {at}: it is on the branch {} times",
        commits - 2
    );
    commits == 3
}
