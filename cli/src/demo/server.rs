//! The server inside the demo's container images: one small HTTP service that plays every part of the shop.
//!
//! It exists so that the demo needs nothing from outside: its images are made of this binary. What a part is called
//! and whom it asks comes from the environment, as it would in a real service.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// What the environment says.
struct Part {
    name: String,
    version: String,
    greeting: String,
    /// Other services that the front page asks, with their addresses.
    asks: Vec<(String, String)>,
}

/// How long another part may take to answer.
const ASK: Duration = Duration::from_secs(2);

/// Runs the service until it is asked to stop, or the migration Job and returns.
pub(crate) fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return ExitCode::FAILURE;
    };
    runtime.block_on(async {
        if std::env::args().any(|a| a == "migrate") {
            crate::terminal::say("migrated: orders, customers, stock");
            return ExitCode::SUCCESS;
        }
        match serve().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                crate::terminal::say(&format!("cannot serve: {error}"));
                ExitCode::FAILURE
            }
        }
    })
}

fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// Returns where a service is: what Kubernetes puts into the environment of pods that start after it, else its name.
fn address(service: &str) -> String {
    let prefix = service.to_uppercase().replace('-', "_");
    let host = var(&format!("{prefix}_SERVICE_HOST")).unwrap_or_else(|| service.to_owned());
    let port = var(&format!("{prefix}_SERVICE_PORT")).unwrap_or_else(|| "8080".to_owned());
    format!("http://{host}:{port}/")
}

async fn serve() -> std::io::Result<()> {
    let port = var("PORT").and_then(|p| p.parse().ok()).unwrap_or(8080);
    // A plain process shares the machine's addresses, so it is told which one is its own.
    let ip = var("BIND_ADDRESS")
        .and_then(|a| a.parse().ok())
        .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let asks = var("ASKS").unwrap_or_default();
    let part = Arc::new(Part {
        name: var("SERVICE").unwrap_or_else(|| "shop".to_owned()),
        version: var("VERSION").unwrap_or_else(|| "unknown".to_owned()),
        greeting: var("GREETING").unwrap_or_else(|| "Welcome".to_owned()),
        asks: asks
            .split(',')
            .filter(|a| !a.is_empty())
            .map(|a| (a.to_owned(), address(a)))
            .collect(),
    });
    let listener = TcpListener::bind(SocketAddr::new(ip, port)).await?;
    crate::terminal::say(&format!(
        "{} {} listens on {ip}:{port}",
        part.name, part.version
    ));
    let stop = stopped();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => {
                crate::terminal::say(&format!("{} stops", part.name));
                return Ok(());
            }
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                let part = part.clone();
                let service = service_fn(move |request| answer(part.clone(), request));
                tokio::spawn(async move {
                    // A client that hangs up is no failure of the service.
                    let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        }
    }
}

/// Returns when the process is asked to stop. The first process of a container gets no default action for SIGTERM.
async fn stopped() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

async fn answer(
    part: Arc<Part>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, text) = match request.uri().path() {
        "/healthz" => (StatusCode::OK, "ok\n".to_owned()),
        "/" => {
            let mut text = format!("{} {}: {}\n", part.name, part.version, part.greeting);
            for (name, url) in &part.asks {
                let line = match tokio::time::timeout(ASK, super::http::get(url)).await {
                    Ok(Ok(body)) => body.lines().next().unwrap_or_default().to_owned(),
                    Ok(Err(error)) => format!("{name} does not answer: {error}"),
                    Err(_) => format!("{name} is silent"),
                };
                text.push_str(&format!("  {line}\n"));
            }
            (StatusCode::OK, text)
        }
        _ => (StatusCode::NOT_FOUND, "not found\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    Ok(response)
}
