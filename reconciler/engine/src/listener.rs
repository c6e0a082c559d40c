//! What is answered to everybody who can reach the port: metrics, health, and the calls of git hosts.
//!
//! Nothing here changes what is deployed. A webhook makes the engine look at its repository, which it does
//! by itself as well; commands come in by the control socket.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use ordain_reconciler_source::{HOOK_BYTES_MAX, HookSecret, read_hook};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{metrics::Metrics, port::Port};

/// How long a payload may take. Hosts give up after ten seconds themselves (GitHub docs, "Best practices for webhooks").
const BODY_WAIT: Duration = Duration::from_secs(20);

/// Connections at the same time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 256;

/// What the answers come from.
pub(crate) struct Doors {
    pub(crate) metrics: Arc<Metrics>,
    /// Without one no webhook is taken.
    pub(crate) secret: Option<HookSecret>,
    /// Lets the engine look at its repository.
    pub(crate) look: Box<dyn Fn() + Send + Sync>,
    /// Why the engine is not ready to work, if it is not.
    pub(crate) unready: Box<dyn Fn() -> Option<String> + Send + Sync>,
}

/// Listens until `shutdown`; returns the address, which has a real port also when port 0 was asked for.
///
/// # Errors
/// When the address cannot be listened at.
pub(crate) async fn serve(
    address: SocketAddr,
    doors: Doors,
    tasks: &TaskTracker,
    shutdown: CancellationToken,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let port = Port {
        listener,
        connections_max: CONNECTIONS_MAX,
        tasks: tasks.clone(),
        shutdown,
    };
    let doors = Arc::new(doors);
    port.serve(move |request| answer(Arc::clone(&doors), request));
    Ok(bound)
}

async fn answer(doors: Arc<Doors>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let doors = &*doors;
    let path = request.uri().path();
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    match (path, is_read) {
        ("/metrics", true) => {
            let mut response = text(StatusCode::OK, doors.metrics.text());
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            let kind = header::HeaderValue::from_static(kind);
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
        ("/healthz", true) => text(StatusCode::OK, "ok\n".to_owned()),
        ("/readyz", true) => match (doors.unready)() {
            None => text(StatusCode::OK, "ok\n".to_owned()),
            Some(reason) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
        },
        ("/hooks/git", _) if *request.method() == Method::POST => hook(doors, request).await,
        ("/metrics" | "/healthz" | "/readyz" | "/hooks/git", _) => text(
            StatusCode::METHOD_NOT_ALLOWED,
            "webhooks are posted to /hooks/git, everything else is read\n".to_owned(),
        ),
        _ => text(
            StatusCode::NOT_FOUND,
            "there is /metrics, /healthz, /readyz and /hooks/git\n".to_owned(),
        ),
    }
}

async fn hook(doors: &Doors, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let Some(secret) = &doors.secret else {
        doors.metrics.called("unknown", "refused");
        let said = "webhooks are off: start with --webhook-secret-file\n";
        return text(StatusCode::NOT_FOUND, said.to_owned());
    };
    let (head, body) = request.into_parts();
    let body = tokio::time::timeout(BODY_WAIT, Limited::new(body, HOOK_BYTES_MAX).collect()).await;
    let Ok(Ok(body)) = body else {
        doors.metrics.called("unknown", "refused");
        let said = "the payload is too large, or did not come\n";
        return text(StatusCode::PAYLOAD_TOO_LARGE, said.to_owned());
    };
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    match read_hook(header, &body.to_bytes(), secret) {
        Ok(hint) => {
            doors.metrics.called(hint.host, "accepted");
            tracing::info!(
                host = hint.host,
                event = hint.event,
                reference = hint.reference,
                "a git host called"
            );
            if hint.is_push() {
                (doors.look)();
            }
            text(
                StatusCode::ACCEPTED,
                "the repository is looked at\n".to_owned(),
            )
        }
        Err(refused) => {
            doors.metrics.called("unknown", "refused");
            tracing::warn!(%refused, "a call to /hooks/git is refused");
            text(StatusCode::UNAUTHORIZED, format!("{refused}\n"))
        }
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
