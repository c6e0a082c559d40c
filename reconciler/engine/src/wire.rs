//! One request to the API server and its answer. Knows paths and bytes, no kinds and no plans.
//!
//! A server that says it is busy (429, or 503 with `Retry-After`) is asked again when it said so, and every
//! other request waits as long: a herd of retries is what keeps a busy server busy.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderValue, Method, Request, Response, StatusCode, header::RETRY_AFTER};
use http_body_util::BodyExt as _;
use kube::client::Body;
use ordain_reconciler_plan::{Cause, Refusal, immutable_fields};
use serde_json::Value;
use tokio::time::Instant;

use crate::{election::Lead, gate::Gate, metrics::Metrics, pace::Class};

/// How long one answer may take; a kube-apiserver gives up by itself after the same time
/// (`--request-timeout`).
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Tries of one request while the server says that it is busy. Whoever asked tries again later.
const BUSY_TRIES: u32 = 6;

/// The pause for a server that is busy and does not say for how long; doubles with each try.
const BUSY_PAUSE: Duration = Duration::from_millis(500);

/// The longest that is waited because a server said so.
const BUSY_MAX: Duration = Duration::from_secs(60);

/// The way to one API server. Clones share the slots and the pauses.
#[derive(Clone)]
pub(crate) struct Wire {
    client: kube::Client,
    metrics: Arc<Metrics>,
    lead: Lead,
    /// Whom requests are made as (`Impersonate-User`); nobody else means ourselves.
    user: Option<HeaderValue>,
    /// Watches do not pass it.
    gate: Gate,
    /// Nothing is sent before this moment.
    quiet_until: Arc<Mutex<Option<Instant>>>,
}

impl Wire {
    pub(crate) fn new(client: kube::Client, metrics: Arc<Metrics>, lead: Lead) -> Self {
        Self {
            client,
            metrics,
            lead,
            user: None,
            gate: Gate::default(),
            quiet_until: Arc::default(),
        }
    }

    /// The same way for requests of somebody else.
    pub(crate) fn acting_as(&self, user: &str) -> Self {
        // A name that no header can carry is nobody's: the server refuses it.
        let name = HeaderValue::from_str(user);
        let user = Some(name.unwrap_or_else(|_| HeaderValue::from_static("system:anonymous")));
        Self {
            user,
            ..self.clone()
        }
    }

    pub(crate) fn client(&self) -> &kube::Client {
        &self.client
    }

    /// Sends a request; `None` when what it names is not there.
    ///
    /// # Errors
    /// What the server said, or that it did not answer.
    pub(crate) async fn find(&self, request: Request<Vec<u8>>) -> Result<Option<Value>, Refusal> {
        match self.answer(request).await? {
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, body) => read(status, &body).map(Some),
        }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// What the server said, or that it did not answer.
    pub(crate) async fn send(&self, request: Request<Vec<u8>>) -> Result<Value, Refusal> {
        let (status, body) = self.answer(request).await?;
        read(status, &body)
    }

    async fn answer(&self, request: Request<Vec<u8>>) -> Result<(StatusCode, Vec<u8>), Refusal> {
        let mut tries = 0;
        loop {
            self.quiet().await;
            let answer = {
                let _permit = self.gate.enter().await;
                if is_write(&request) && !self.lead.holds() {
                    let message = "another reconciler leads; nothing is written here";
                    return Err(transient(message.to_owned()));
                }
                let start = Instant::now();
                let answer = tokio::time::timeout(ANSWER_MAX, self.once(request.clone())).await;
                match &answer {
                    Ok(_) => self.gate.answered(class(&request), start.elapsed()),
                    Err(_) => self.gate.busy(),
                }
                answer
            };
            let code = match &answer {
                Ok(Ok((status, ..))) => status.as_u16(),
                _ => 0,
            };
            self.metrics.asked(request.method(), code);
            let (status, wait, body) = match answer {
                Ok(Ok(answer)) => answer,
                Ok(Err(error)) => return Err(unreachable_server(&error)),
                Err(_) => {
                    let seconds = ANSWER_MAX.as_secs();
                    return Err(transient(format!(
                        "the API server did not answer within {seconds} s"
                    )));
                }
            };
            let busy = status == StatusCode::TOO_MANY_REQUESTS
                || (status == StatusCode::SERVICE_UNAVAILABLE && wait.is_some());
            if busy {
                self.gate.busy();
            }
            tries += 1;
            if !busy || tries >= BUSY_TRIES {
                return Ok((status, body));
            }
            let pause = wait.unwrap_or(BUSY_PAUSE * 2_u32.pow(tries - 1));
            self.be_quiet(jittered(pause.min(BUSY_MAX)));
        }
    }

    async fn once(
        &self,
        mut request: Request<Vec<u8>>,
    ) -> Result<(StatusCode, Option<Duration>, Vec<u8>), kube::Error> {
        if let Some(user) = &self.user {
            request
                .headers_mut()
                .insert("impersonate-user", user.clone());
        }
        let response = self.client.send(request.map(Body::from)).await?;
        let (status, wait) = (response.status(), retry_after(&response));
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, wait, body.to_vec()))
    }

    /// Waits while the server wants to be left alone.
    async fn quiet(&self) {
        loop {
            let until = *self.lock();
            match until {
                Some(until) if until > Instant::now() => tokio::time::sleep_until(until).await,
                _ => return,
            }
        }
    }

    fn be_quiet(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut quiet = self.lock();
        *quiet = Some(quiet.map_or(until, |known| known.max(until)));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.quiet_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// True for a request that changes something.
fn is_write(request: &Request<Vec<u8>>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    let dry = query.split('&').any(|pair| pair.starts_with("dryRun="));
    *request.method() != Method::GET && !dry
}

/// What a request asks of the server.
fn class(request: &Request<Vec<u8>>) -> Class {
    match is_write(request) {
        true => Class::Write,
        false => Class::Look,
    }
}

/// `Retry-After` in seconds, the only form that Kubernetes sends (RFC 9110, section 10.2.3).
fn retry_after<T>(response: &Response<T>) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// Up to a quarter longer, so that those who failed together do not come back together.
pub(crate) fn jittered(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness there is only less of a spread.
    let _ = getrandom::fill(&mut byte);
    pause + pause.mul_f64(f64::from(byte[0]) / 1024.0)
}

fn read(status: StatusCode, body: &[u8]) -> Result<Value, Refusal> {
    if !status.is_success() {
        return Err(refusal(status, body));
    }
    serde_json::from_slice(body)
        .map_err(|error| transient(format!("the answer is no JSON: {error}")))
}

/// Reads what the server said. Only a field error that speaks of immutability counts as one: any other
/// 422 may be a typo, and must not make anybody delete a live object.
fn refusal(code: StatusCode, body: &[u8]) -> Refusal {
    let status: Option<Value> = serde_json::from_slice(body).ok();
    let message = status
        .as_ref()
        .and_then(|status| status.get("message")?.as_str())
        .map_or_else(
            || format!("{code}: {}", String::from_utf8_lossy(body).trim()),
            str::to_owned,
        );
    let causes = status
        .as_ref()
        .and_then(|status| status.pointer("/details/causes")?.as_array());
    let text = |cause: &Value, key: &str| {
        let text = cause.get(key).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let causes: Vec<_> = causes
        .into_iter()
        .flatten()
        .map(|cause| Cause {
            reason: text(cause, "reason"),
            field: text(cause, "field"),
            message: text(cause, "message"),
        })
        .collect();
    let immutable = immutable_fields(&causes);
    Refusal {
        message,
        immutable,
        transient: matches!(code.as_u16(), 409 | 429 | 500..),
    }
}

fn unreachable_server(error: &kube::Error) -> Refusal {
    transient(crate::error::chain(error))
}

/// A refusal that may go away by itself.
pub(crate) fn transient(message: String) -> Refusal {
    Refusal {
        message,
        immutable: Vec::new(),
        transient: true,
    }
}

/// A refusal that stays until somebody changes something.
pub(crate) fn lasting(message: String) -> Refusal {
    Refusal {
        message,
        immutable: Vec::new(),
        transient: false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use serde_json::json;

    use super::*;

    fn wire(answers: impl Fn(u32) -> Response<Body> + Clone + Send + Sync + 'static) -> Wire {
        let count = Arc::new(AtomicU32::new(0));
        let service = tower::service_fn(move |_: Request<Body>| {
            let answer = answers(count.fetch_add(1, Ordering::SeqCst));
            async move { Ok::<_, std::convert::Infallible>(answer) }
        });
        Wire::new(
            kube::Client::new(service, "default"),
            Arc::default(),
            Lead::new(false),
        )
    }

    fn answer(code: u16, wait: Option<&str>, body: &Value) -> Response<Body> {
        let mut response = Response::builder().status(code);
        if let Some(wait) = wait {
            response = response.header(RETRY_AFTER, wait);
        }
        response
            .body(Body::from(body.to_string().into_bytes()))
            .expect("a response")
    }

    fn request() -> Request<Vec<u8>> {
        Request::get("/x").body(Vec::new()).expect("a request")
    }

    #[tokio::test]
    async fn a_busy_server_is_asked_again_when_it_said_so() {
        let wire = wire(|number| match number {
            0 => answer(429, Some("1"), &json!("slow down")),
            1 => answer(503, Some("0"), &json!("not yet")),
            _ => answer(200, None, &json!({"ok": true})),
        });
        let start = Instant::now();
        assert_eq!(wire.send(request()).await, Ok(json!({"ok": true})));
        assert!(start.elapsed() >= Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_server_that_stays_busy_is_given_up_for_now() {
        let wire = wire(|_| answer(429, Some("0"), &json!({"message": "too many"})));
        let refusal = wire.send(request()).await.expect_err("busy");
        assert_eq!(
            (refusal.message.as_str(), refusal.transient),
            ("too many", true)
        );
    }

    #[tokio::test]
    async fn only_field_errors_about_immutability_count_as_immutable() {
        let check = async |code: u16, body: Value| {
            let wire = wire(move |_| answer(code, None, &body));
            wire.send(request()).await.expect_err("refused")
        };
        let cause = |message: &str| json!({"message": "no", "details": {"causes": [{"field": "spec.x", "message": message}]}});
        let typo = check(422, cause("must be a number")).await;
        assert_eq!(
            (typo.immutable, typo.transient),
            (Vec::<String>::new(), false)
        );
        let fixed = check(422, cause("field is immutable")).await;
        assert_eq!(fixed.immutable, ["spec.x"]);
        assert!(check(500, json!({"message": "etcd"})).await.transient);
    }
}
