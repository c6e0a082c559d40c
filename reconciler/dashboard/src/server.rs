//! The dashboard's port.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    Ask,
    door::Door,
    now::Now,
    routes::{Rooms, answer},
};

/// How long somebody may take to send the head of a request.
const HEAD_WAIT: Duration = Duration::from_secs(10);

/// Connections at the same time; more wait to be accepted. A browser opens six.
const CONNECTIONS_MAX: usize = 128;

/// How a dashboard is served.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens; port 0 picks a free one.
    pub listen: SocketAddr,
    /// How old what it shows may be. One that is asked through an API server should not be asked each second.
    pub each: Duration,
    /// What commands need to reach the same reconciler, such as `--data-dir` and its path; shown with each command.
    pub arguments: Vec<String>,
}

/// A dashboard that is served until its token is cancelled.
#[derive(Debug, Clone)]
pub struct Dashboard {
    /// Where it listens, with a real port.
    pub address: SocketAddr,
    /// The address to open, with the key to it.
    pub url: String,
}

/// Serves a dashboard in the background until `shutdown`.
///
/// # Errors
/// When the address cannot be listened at.
pub async fn serve(
    options: Options,
    ask: Arc<dyn Ask>,
    shutdown: CancellationToken,
) -> io::Result<Dashboard> {
    let listener = TcpListener::bind(options.listen).await?;
    let address = listener.local_addr()?;
    let door = Door::new(address.port())?;
    let url = format!("http://{address}/?{}", door.query());
    let rooms = Arc::new(Rooms {
        door,
        now: Now::new(ask, options.each),
        arguments: options.arguments,
        shutdown: shutdown.clone(),
    });
    tokio::spawn(async move {
        let free = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
        loop {
            // It is never closed.
            let permit = Arc::clone(&free).acquire_owned().await.ok();
            let stream = tokio::select! {
                () = shutdown.cancelled() => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        // Out of file descriptors, as a rule; it passes.
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            let (rooms, shutdown) = (Arc::clone(&rooms), shutdown.clone());
            tokio::spawn(async move {
                let service = service_fn(|request| {
                    let rooms = Arc::clone(&rooms);
                    async move { Ok::<_, Infallible>(answer(rooms, request).await) }
                });
                let mut server = hyper::server::conn::http1::Builder::new();
                server
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_WAIT);
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    // Whoever leaves in the middle is nobody's trouble.
                    _ = server.serve_connection(TokioIo::new(stream), service) => {}
                }
                drop(permit);
            });
        }
    });
    Ok(Dashboard { address, url })
}
