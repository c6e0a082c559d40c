//! Two reconcilers of one cluster. The one that leads is killed in the middle of a change, or stopped for so long that
//! the other takes over, and then goes on.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use kube::client::Body;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use ordain_orchestrator_apiserver::{Config, Pki, Running, Server, User};
use ordain_orchestrator_store::Memory;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

use crate::child::WHO;

/// Only a broken test waits that long.
const PATIENCE: Duration = Duration::from_secs(120);

/// Objects of the app: far more than are written at the same time in the beginning.
const OBJECTS: usize = 60;

/// The write of the change at which the leader is killed or stopped.
const NUMBER: usize = 5;

const LEASE: &str = "/leases/";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Kill,
    Stop,
}

/// One request that was no look and no dry run.
#[derive(Debug, Clone)]
struct Seen {
    who: String,
    method: Method,
    path: String,
}

#[derive(Default)]
struct State {
    seen: Vec<Seen>,
    children: BTreeMap<String, Child>,
    /// What happens at which write of objects by the leader from now on.
    armed: Option<(Act, usize)>,
}

/// The API server's door: it knows who writes.
#[derive(Clone)]
struct Door {
    state: Arc<Mutex<State>>,
    server: Arc<Running>,
    address: SocketAddr,
}

type AnyBody = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

impl Door {
    async fn open(dir: &Path) -> Self {
        let pki = Arc::new(Pki::open(&dir.join("pki")).expect("keys"));
        let server = Server::start(Config::new(Arc::new(Memory::new()), pki)).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let door = Self {
            state: Arc::default(),
            server: Arc::new(server.expect("a server")),
            address: listener.local_addr().expect("an address"),
        };
        let opened = door.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let door = opened.clone();
                let service = service_fn(move |request| door.clone().handle(request));
                let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move {
                    // A connection of a killed child breaks.
                    let _ = served.await;
                });
            }
        });
        door
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    async fn handle(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<AnyBody>, Box<dyn std::error::Error + Send + Sync>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let who = parts.headers.get(WHO).and_then(|who| who.to_str().ok());
        let who = who.unwrap_or_default().to_owned();
        let dry = parts.uri.query().unwrap_or_default().contains("dryRun");
        let path = parts.uri.path().to_owned();
        let act = {
            let mut state = self.lock();
            // Nothing that a killed child sent last may take effect.
            if !state.children.contains_key(&who) {
                return Err("the child is gone".into());
            }
            let is_write = parts.method != Method::GET && !dry;
            let is_object = is_write && path.contains("/configmaps/");
            if is_write || path.contains(LEASE) {
                let method = parts.method.clone();
                state.seen.push(Seen {
                    who: who.clone(),
                    method,
                    path,
                });
            }
            match &mut state.armed {
                Some((act, left)) if is_object && who == "a" => {
                    *left = left.saturating_sub(1);
                    let act = (*left == 0).then_some(*act);
                    if act.is_some() {
                        state.armed = None;
                    }
                    act
                }
                _ => None,
            }
        };
        let request = Request::from_parts(parts, Body::from(body.to_vec()));
        let answer = self
            .server
            .in_process(User::admin())
            .oneshot(request)
            .await?;
        match act {
            Some(Act::Kill) => {
                self.kill(&who);
                return Err("the child is gone".into());
            }
            Some(Act::Stop) => self.signal(&who, Signal::SIGSTOP),
            None => {}
        }
        Ok(answer.map(|body| -> AnyBody { body.map_err(Into::into).boxed_unsync() }))
    }

    fn spawn(&self, who: &str, dir: &Path) {
        let child = Command::new(std::env::current_exe().expect("a path"))
            .arg("__child")
            .arg(dir.join(who))
            .arg(format!("http://{}", self.address))
            .arg("0")
            .arg(dir.join("origin"))
            .arg(who)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        self.lock().children.insert(who.to_owned(), child);
    }

    fn signal(&self, who: &str, signal: Signal) {
        let state = self.lock();
        let child = state.children.get(who).expect("it runs");
        let id = i32::try_from(child.id()).expect("a process id");
        kill(Pid::from_raw(id), signal).expect("it is ours");
    }

    fn kill(&self, who: &str) {
        let child = self.lock().children.remove(who);
        if let Some(mut child) = child {
            let _ = child.kill();
            child.wait().expect("it is ours");
        }
    }

    /// The values of the app's objects.
    async fn values(&self) -> BTreeMap<String, String> {
        let request = Request::get("/api/v1/namespaces/shop/configmaps");
        let request = request.body(Body::empty()).expect("a request");
        let answer = self.server.in_process(User::admin()).oneshot(request).await;
        let body = answer.expect("an answer").into_body().collect().await;
        let list: Value = serde_json::from_slice(&body.expect("a body").to_bytes()).expect("JSON");
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let ours = |item: &&Value| {
            item["metadata"]["annotations"]
                .get("ordain.dev/app")
                .is_some()
        };
        let values = items.iter().filter(ours).map(|item| {
            let text = |pointer| item.pointer(pointer).and_then(Value::as_str);
            let value = text("/data/value").unwrap_or_default().to_owned();
            (text("/metadata/name").unwrap_or_default().to_owned(), value)
        });
        values.collect()
    }

    /// The Lease.
    async fn lease(&self) -> Value {
        let request =
            Request::get("/apis/coordination.k8s.io/v1/namespaces/ordain-system/leases/ordain");
        let request = request.body(Body::empty()).expect("a request");
        let answer = self.server.in_process(User::admin()).oneshot(request).await;
        let body = answer.expect("an answer").into_body().collect().await;
        serde_json::from_slice(&body.expect("a body").to_bytes()).expect("JSON")
    }
}

/// Ends every child, whatever happens.
struct Guard(Door);

impl Drop for Guard {
    fn drop(&mut self) {
        for who in ["a", "b"] {
            self.0.kill(who);
        }
    }
}

async fn until(door: &Door, what: &str, is_true: impl AsyncFn() -> bool) {
    let waited = async {
        while !is_true().await {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, waited).await.is_err() {
        let seen = door.seen();
        let (values, last) = (door.values().await, &seen[seen.len().saturating_sub(20)..]);
        panic!("it does not become true: {what}; there is {values:?}, {last:#?} came last");
    }
}

fn git(folder: &Path, args: &[&str]) {
    let done = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
        .args(args)
        .stdout(Stdio::null())
        .status();
    assert!(done.expect("git is there").success(), "git {args:?}");
}

/// Commits an app of so many objects with this value, and some that only one commit has.
fn commit(dir: &Path, value: &str, more: &str) -> BTreeMap<String, String> {
    let origin = dir.join("origin");
    let mut wanted: BTreeMap<_, _> = (0..OBJECTS)
        .map(|number| (format!("c{number:02}"), value.to_owned()))
        .collect();
    wanted.insert(more.to_owned(), value.to_owned());
    let objects = wanted.iter().map(|(name, value)| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": value}})
    });
    let objects: Vec<Value> = objects.collect();
    std::fs::create_dir_all(origin.join("apps")).expect("created");
    let file = origin.join("apps").join("web.json");
    std::fs::write(file, Value::Array(objects).to_string()).expect("written");
    git(&origin, &["add", "-A"]);
    git(&origin, &["commit", "--quiet", "-m", "change"]);
    wanted
}

/// Runs both: the leader is killed, the leader is stopped and goes on later.
pub(crate) fn run() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    for act in [Act::Kill, Act::Stop] {
        runtime.block_on(take_over(act));
    }
}

async fn take_over(act: Act) {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    git(dir, &["init", "--quiet", "--initial-branch=main", "origin"]);
    let door = Door::open(dir).await;
    let guard = Guard(door.clone());
    let first = commit(dir, "1", "old");
    door.spawn("a", dir);
    until(&door, "the first commit is there", async || {
        door.values().await == first
    })
    .await;
    door.spawn("b", dir);
    let leases = |who: &str, from: usize| {
        let seen = door.seen().split_off(from);
        let asked = seen
            .iter()
            .filter(|seen| seen.who == who && seen.path.contains(LEASE));
        asked.count()
    };
    until(&door, "the second one stands by", async || {
        leases("b", 0) >= 2
    })
    .await;
    let begin = door.seen().len();
    door.lock().armed = Some((act, NUMBER));
    let second = commit(dir, "2", "new");
    until(&door, "the change is finished", async || {
        door.values().await == second
    })
    .await;

    let seen = door.seen();
    let objects = |from: usize, to: usize, who: &str| {
        let seen = seen[from..to].iter();
        let objects = seen.filter(|seen| seen.who == who && seen.path.contains("/configmaps/"));
        objects.count()
    };
    let taken = seen.iter().position(|seen| {
        seen.who == "b" && seen.path.contains(LEASE) && seen.method == Method::PUT
    });
    let taken = taken.expect("the second one took the lease");
    assert_eq!(
        objects(0, taken, "b"),
        0,
        "nothing is written before it leads"
    );
    let half = objects(begin, taken, "a");
    assert!(
        (NUMBER..OBJECTS).contains(&half),
        "{half} of {OBJECTS} were written"
    );
    assert!(objects(taken, seen.len(), "b") >= OBJECTS - half);
    assert_eq!(objects(taken, seen.len(), "a"), 0, "one writes");
    let lease = door.lease().await;
    assert_eq!(lease["spec"]["holderIdentity"], "b", "{lease}");
    assert_eq!(lease["spec"]["leaseTransitions"], 1, "{lease}");

    if act == Act::Stop {
        let awake = door.seen().len();
        door.signal("a", Signal::SIGCONT);
        until(&door, "it asks who leads", async || leases("a", awake) >= 3).await;
        let late = door.seen().split_off(awake);
        let late = late
            .iter()
            .filter(|seen| seen.who == "a" && seen.method != Method::GET);
        let late: Vec<_> = late.collect();
        assert!(
            late.is_empty(),
            "it writes although another leads: {late:?}"
        );
        assert_eq!(door.values().await, second);
    }
    drop(guard);
}
