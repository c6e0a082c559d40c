//! What stands between the engine and the API server: requests are counted, and can be made to fail or to wait.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use kube::{Client, client::Body};
use ordain_orchestrator_apiserver::User;
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// One request that was seen.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) dry_run: bool,
}

impl Seen {
    /// True when it would change something.
    pub(crate) fn writes(&self) -> bool {
        self.method != Method::GET && !self.dry_run
    }
}

/// What stands between the engine and the server: an answer instead of the server's, when there is one.
type Trouble = Box<dyn FnMut(&Seen) -> Option<(u16, Option<u64>, Value)> + Send>;

/// Watches the requests of the engine.
#[derive(Clone, Default)]
pub(crate) struct Tap {
    seen: Arc<Mutex<Vec<Seen>>>,
    trouble: Arc<Mutex<Option<Trouble>>>,
    narrow: Arc<Mutex<Narrow>>,
}

/// A server that takes a while, and only so much at once.
#[derive(Debug, Default)]
pub(crate) struct Narrow {
    /// How long each request about an object takes at least.
    pub(crate) delay: Duration,
    /// Requests at once; more are turned away, to come back after no time. 0 is no limit.
    pub(crate) room: usize,
    /// Requests that are under way.
    pub(crate) under_way: usize,
    /// The most that were.
    pub(crate) most: usize,
    /// Requests that were let in.
    pub(crate) let_in: usize,
    /// Requests that were turned away.
    pub(crate) turned_away: usize,
}

/// A request that is under way.
struct Inside(Option<Tap>);

impl Drop for Inside {
    fn drop(&mut self) {
        if let Some(tap) = &self.0 {
            tap.narrow().under_way -= 1;
        }
    }
}

impl Tap {
    /// What the engine asked so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }

    /// Requests that could change something and were no events.
    pub(crate) fn writes(&self) -> Vec<Seen> {
        let mut seen = self.seen();
        seen.retain(|seen| seen.writes() && !seen.path.contains("/events"));
        seen
    }

    /// Puts an answer before the server's from now on: code, `Retry-After`, and a body.
    pub(crate) fn trouble(
        &self,
        trouble: impl FnMut(&Seen) -> Option<(u16, Option<u64>, Value)> + Send + 'static,
    ) {
        *self.trouble.lock().expect("no panic") = Some(Box::new(trouble));
    }

    /// Lets every request through again.
    pub(crate) fn calm(&self) {
        *self.trouble.lock().expect("no panic") = None;
    }

    /// How wide the way to the server is, and how much is on it.
    pub(crate) fn narrow(&self) -> std::sync::MutexGuard<'_, Narrow> {
        self.narrow.lock().expect("no panic")
    }

    /// Lets a request about an object in, if there is room. Lists, watches and events go beside the gate.
    async fn enter(&self, path: String) -> Option<Inside> {
        let about_an_object = ["/configmaps/", "/services/"];
        if !about_an_object.iter().any(|part| path.contains(part)) {
            return Some(Inside(None));
        }
        let delay = {
            let mut narrow = self.narrow();
            if narrow.room > 0 && narrow.under_way >= narrow.room {
                narrow.turned_away += 1;
                return None;
            }
            narrow.let_in += 1;
            narrow.under_way += 1;
            narrow.most = narrow.most.max(narrow.under_way);
            narrow.delay
        };
        let inside = Inside(Some(self.clone()));
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        Some(inside)
    }

    fn note(&self, request: &Request<Body>) -> Option<(u16, Option<u64>, Value)> {
        let query = request.uri().query().unwrap_or_default();
        let seen = Seen {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            dry_run: query.contains("dryRun"),
        };
        if !query.contains("watch=") {
            self.seen.lock().expect("no panic").push(seen.clone());
        }
        let mut trouble = self.trouble.lock().expect("no panic");
        trouble.as_mut().and_then(|trouble| trouble(&seen))
    }
}

/// The words of a refusal.
pub(crate) fn failure(code: u16, message: &str) -> (u16, Option<u64>, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "message": message, "metadata": {}});
    (code, None, status)
}

type AnyBody = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

pub(crate) fn tapped(server: &ordain_orchestrator_apiserver::Running, tap: &Tap) -> Client {
    let inner = server.in_process(User::admin());
    let tap = tap.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let (inner, tap) = (inner.clone(), tap.clone());
        async move {
            let trouble = tap.note(&request);
            let inside = tap.enter(request.uri().path().to_owned()).await;
            let full = || {
                let (code, _, body) = failure(429, "too many requests");
                (code, Some(0), body)
            };
            let trouble = trouble.or_else(|| inside.is_none().then(full));
            if let Some((code, wait, body)) = trouble {
                let mut response = Response::builder().status(code);
                if let Some(wait) = wait {
                    response = response.header("retry-after", wait.to_string());
                }
                let body = Full::new(Bytes::from(body.to_string()));
                let body: AnyBody = body.map_err(|never| match never {}).boxed_unsync();
                let response = response.body(body).expect("a response");
                return Ok::<_, Box<dyn std::error::Error + Send + Sync>>(response);
            }
            let response = inner.oneshot(request).await?;
            Ok(response.map(|body| -> AnyBody { body.map_err(Into::into).boxed_unsync() }))
        }
    });
    Client::new(service, "default")
}
