//! The dashboard's port.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use ordain_reconciler_engine::port::Port;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Ask,
    door::Door,
    now::Now,
    routes::{Rooms, answer},
};

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
    let port = Port {
        listener,
        connections_max: CONNECTIONS_MAX,
        tasks: TaskTracker::new(),
        shutdown,
    };
    port.serve(move |request| answer(Arc::clone(&rooms), request));
    Ok(Dashboard { address, url })
}
