//! The API server's door in the parent: counts requests, kills the child at one of them, and watches deletions.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    process::Child,
    sync::{Arc, Mutex, PoisonError},
};

use http::{Method, Request};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use kube::client::Body;
use tokio::{net::TcpListener, sync::Notify};

use crate::{
    fake::Fake,
    repository::{Repo, image},
};

/// Where a request kills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kill {
    /// Before it takes effect.
    Before,
    /// When it took effect, and nobody was told.
    After,
}

/// What the door knows.
#[derive(Default)]
struct State {
    child: Option<Child>,
    requests: u64,
    kill: Option<(u64, Kill)>,
    /// What was wanted when the child was started.
    wanted: BTreeSet<String>,
    /// The images of Jobs then.
    jobs: BTreeMap<String, String>,
    /// Deletions of what was wanted, then and now.
    wrong: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct Server {
    state: Arc<Mutex<State>>,
    pub(crate) fake: Fake,
    pub(crate) address: SocketAddr,
    repo: Repo,
    /// Told at each request and when the child was killed.
    pub(crate) news: Arc<Notify>,
}

impl Server {
    pub(crate) async fn start(repo: Repo) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = Self {
            state: Arc::default(),
            fake: Fake::new(),
            address: listener.local_addr().expect("an address"),
            repo,
            news: Arc::default(),
        };
        let door = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Small answers back and forth: waiting to fill packets would take most of the time.
                let _ = stream.set_nodelay(true);
                let door = door.clone();
                let service = service_fn(move |request| door.clone().handle(request));
                let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move {
                    // A connection of a killed child breaks.
                    let _ = served.await;
                });
            }
        });
        server
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a child that was just started, and says where it is to be killed.
    pub(crate) fn watch(&self, child: Child, kill: Option<(u64, Kill)>, wanted: BTreeSet<String>) {
        let jobs = self.repo.jobs();
        let mut state = self.state();
        state.child = Some(child);
        state.requests = 0;
        state.kill = kill;
        state.wanted = wanted;
        state.jobs = jobs;
    }

    pub(crate) fn requests(&self) -> u64 {
        self.state().requests
    }

    /// True when the child is gone, by us or by itself.
    pub(crate) fn is_gone(&self) -> bool {
        let mut state = self.state();
        match &mut state.child {
            None => true,
            Some(child) => child.try_wait().expect("it is ours").is_some(),
        }
    }

    /// Kills the child if it still runs.
    pub(crate) fn kill(&self) {
        if let Some(mut child) = self.state().child.take() {
            let _ = child.kill();
            child.wait().expect("it is ours");
        }
    }

    pub(crate) fn wrong(&self) -> Vec<String> {
        self.state().wrong.clone()
    }

    async fn handle(
        self,
        request: Request<Incoming>,
    ) -> Result<http::Response<Body>, std::io::Error> {
        let (parts, body) = request.into_parts();
        let gone = |_| std::io::Error::other("the child is gone");
        let body = body.collect().await.map_err(gone)?.to_bytes();
        let query = parts.uri.query().unwrap_or_default();
        let is_watch = query.contains("watch=");
        let kill = {
            let mut state = self.state();
            // Nothing that a killed child sent last may take effect.
            if state.child.is_none() {
                return Err(std::io::Error::other("the child is gone"));
            }
            state.requests += u64::from(!is_watch);
            let number = state.requests;
            state.kill.filter(|(at, _)| *at == number && !is_watch)
        };
        self.news.notify_one();
        if let Some((_, Kill::Before)) = kill {
            self.kill();
            return Err(std::io::Error::other("the child is gone"));
        }
        if parts.method == Method::DELETE && !query.contains("dryRun") {
            self.deletion(parts.uri.path());
        }
        let request = Request::from_parts(parts, Body::from(body.to_vec()));
        let answer = self.fake.client().send(request).await;
        if let Some((_, Kill::After)) = kill {
            self.kill();
            return Err(std::io::Error::other("the child is gone"));
        }
        answer.map_err(std::io::Error::other)
    }

    /// A deletion is wrong when the object was wanted when the child was started, and is now. A Job makes room for
    /// another one, so it is wrong for one that is as it should be.
    fn deletion(&self, path: &str) {
        let key = key_of(path);
        let (now, jobs) = (self.repo.wanted(), self.repo.jobs());
        let live = self.fake.get(&key).as_ref().map(image);
        let mut state = self.state();
        let makes_room = state.jobs.contains_key(&key)
            && (state.jobs.get(&key) != live.as_ref() || jobs.get(&key) != live.as_ref());
        if state.wanted.contains(&key) && now.contains(&key) && !makes_room {
            state.wrong.push(key);
        }
    }
}

/// `/apis/apps/v1/namespaces/shop/deployments/web` as the fake server's key `apps/v1/deployments/shop/web`.
fn key_of(path: &str) -> String {
    let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
    match parts[..] {
        ["api", version, "namespaces", namespace, plural, name] => {
            format!("{version}/{plural}/{namespace}/{name}")
        }
        ["api", version, plural, name] => format!("{version}/{plural}//{name}"),
        ["apis", group, version, plural, name] => format!("{group}/{version}/{plural}//{name}"),
        [
            "apis",
            group,
            version,
            "namespaces",
            namespace,
            plural,
            name,
        ] => {
            format!("{group}/{version}/{plural}/{namespace}/{name}")
        }
        _ => path.to_owned(),
    }
}
