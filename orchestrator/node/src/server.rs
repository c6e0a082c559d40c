//! The kubelet-style HTTPS server: logs, exec and a few facts, for the API server alone.
//!
//! Every connection must show a client certificate of the cluster CA; whether a user may read a log
//! or run a program was decided by the API server before it calls here.

mod exec;
mod query;
pub(crate) mod tls;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::agent::Agent;
use crate::logs::{self, LogOptions};
use crate::runtime::{ContainerRecord, ContainerState};
use query::Query;

/// How long a client may take for its TLS handshake, in seconds.
const HANDSHAKE_SECONDS_MAX: u64 = 10;

type Body = BoxBody<Bytes, std::io::Error>;

/// Serves until the token is cancelled.
pub(crate) async fn serve(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    agent: Arc<Agent>,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of descriptors, most likely: a pause lets some go.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let (acceptor, agent, stop) = (acceptor.clone(), agent.clone(), stop.clone());
        tokio::spawn(async move {
            let limit = std::time::Duration::from_secs(HANDSHAKE_SECONDS_MAX);
            let stream = match tokio::time::timeout(limit, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return tracing::debug!(%peer, %error, "handshake refused"),
                Err(_) => return tracing::debug!(%peer, "handshake took too long"),
            };
            let inner = stop.clone();
            let service = service_fn(move |request| {
                let (agent, stop) = (agent.clone(), inner.clone());
                async move { Ok::<_, Infallible>(answer(agent, request, stop).await) }
            });
            let builder = auto::Builder::new(TokioExecutor::new());
            let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
            tokio::select! {
                () = stop.cancelled() => {}
                _ = connection => {}
            }
        });
    }
}

async fn answer(
    agent: Arc<Agent>,
    request: Request<Incoming>,
    stop: CancellationToken,
) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        ["healthz"] => text(StatusCode::OK, "ok"),
        ["pods" | "runningpods"] => json(&agent.pods()),
        ["stats", "summary"] => json(&agent.summary()),
        ["containerLogs", namespace, pod, container] if *request.method() == Method::GET => {
            let query = Query::of(&request);
            container_logs(&agent, namespace, pod, container, &query)
        }
        ["exec", namespace, pod, container] => {
            let found = agent.find(namespace, pod, container);
            match running(found) {
                Ok(record) => exec::exec(agent, request, record, stop),
                Err(response) => *response,
            }
        }
        // With the pod's UID in between, as old clients ask.
        ["exec", namespace, pod, _, container] => {
            match running(agent.find(namespace, pod, container)) {
                Ok(record) => exec::exec(agent, request, record, stop),
                Err(response) => *response,
            }
        }
        ["attach", namespace, pod, container] => {
            match running(agent.find(namespace, pod, container)) {
                Ok(record) => exec::attach(agent, request, record, stop),
                Err(response) => *response,
            }
        }
        _ => text(StatusCode::NOT_FOUND, "404 page not found"),
    }
}

fn running(found: Vec<ContainerRecord>) -> Result<ContainerRecord, Box<Response<Body>>> {
    let live = found
        .into_iter()
        .find(|r| matches!(r.state, ContainerState::Running { .. }));
    live.ok_or_else(|| {
        Box::new(refusal(
            StatusCode::NOT_FOUND,
            "container not found or not running",
        ))
    })
}

fn container_logs(
    agent: &Arc<Agent>,
    namespace: &str,
    pod: &str,
    container: &str,
    query: &Query,
) -> Response<Body> {
    // Newest first.
    let mut found = agent.find(namespace, pod, container);
    if query.flag("previous") {
        if found.len() < 2 {
            let words =
                format!("previous terminated container \"{container}\" in pod \"{pod}\" not found");
            return refusal(StatusCode::BAD_REQUEST, &words);
        }
        found.remove(0);
    }
    let Some(record) = found.into_iter().next() else {
        let known = agent.knows(namespace, pod);
        let status = if known {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::NOT_FOUND
        };
        let why = agent.waiting_for(namespace, pod, container);
        let words =
            format!("container \"{container}\" in pod \"{pod}\" is waiting to start: {why}");
        return refusal(status, &words);
    };
    let since = query.number("sinceSeconds").and_then(|seconds| {
        let back = jiff::SignedDuration::from_secs(i64::try_from(seconds).ok()?);
        jiff::Timestamp::now().checked_sub(back).ok()
    });
    let stream = query
        .get("stream")
        .map(str::to_lowercase)
        .filter(|name| name != "all");
    let options = LogOptions {
        follow: query.flag("follow"),
        tail: query.number("tailLines").map(|lines| lines as usize),
        since: since.or_else(|| query.get("sinceTime").and_then(|time| time.parse().ok())),
        timestamps: query.flag("timestamps"),
        limit_bytes: query.number("limitBytes"),
        stream,
    };
    let id = record.id.clone();
    let watched = agent.clone();
    let ended = move || !watched.is_live(&id);
    let pieces = logs::read(record.log, options, ended);
    let stream = tokio_stream(pieces).map(|piece| piece.map(Frame::data));
    let mut response = Response::new(http_body_util::BodyExt::boxed(StreamBody::new(stream)));
    let headers = response.headers_mut();
    headers.insert("content-type", http::HeaderValue::from_static("text/plain"));
    response
}

fn tokio_stream<T: Send + 'static>(
    from: tokio::sync::mpsc::Receiver<T>,
) -> impl futures::Stream<Item = T> + Send + Sync {
    sync_stream(futures::stream::unfold(from, |mut from| async move {
        let next = from.recv().await?;
        Some((next, from))
    }))
}

/// A body must be `Sync`, which a receiver's future is not by itself.
fn sync_stream<S: futures::Stream + Send>(
    stream: S,
) -> impl futures::Stream<Item = S::Item> + Send + Sync {
    let mut stream = Box::pin(std::sync::Mutex::new(Box::pin(stream)));
    futures::stream::poll_fn(move |context| {
        let inner = stream.as_mut().get_mut();
        let inner = inner
            .get_mut()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        inner.as_mut().poll_next(context)
    })
}

pub(crate) fn text(status: StatusCode, words: &str) -> Response<Body> {
    let body = Full::new(Bytes::from(words.to_owned()))
        .map_err(|never| match never {})
        .boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

/// Returns a refusal as a Kubernetes Status, which the API server hands on as it is.
fn refusal(status: StatusCode, words: &str) -> Response<Body> {
    let reason = if status == StatusCode::NOT_FOUND {
        "NotFound"
    } else {
        "BadRequest"
    };
    let mut response = json(&serde_json::json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": words,
        "reason": reason,
        "code": status.as_u16(),
    }));
    *response.status_mut() = status;
    response
}

fn json<T: serde::Serialize>(value: &T) -> Response<Body> {
    let body = serde_json::to_vec(value).unwrap_or_default();
    let mut response = Response::new(
        Full::new(Bytes::from(body))
            .map_err(|never| match never {})
            .boxed(),
    );
    let headers = response.headers_mut();
    headers.insert(
        "content-type",
        http::HeaderValue::from_static("application/json"),
    );
    response
}

/// Opens the listener.
///
/// # Errors
/// When the address cannot be had.
pub(crate) async fn listen(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
