//! A port that answers HTTP: accepts connections up to a limit, and ends them when it is told to.
//!
//! Does not know what is asked there: the engine's open port and the dashboard each bring their own answers.

use std::{convert::Infallible, error::Error, sync::Arc, time::Duration};

use http::{Request, Response};
use hyper::{
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long somebody may take to send the head of a request.
const HEAD_WAIT: Duration = Duration::from_secs(10);

/// The pause after a connection that could not be accepted: out of file descriptors, as a rule, which passes.
const PAUSE: Duration = Duration::from_millis(100);

/// A port that is bound, and its limits.
#[derive(Debug)]
pub struct Port {
    /// What is listened at.
    pub listener: TcpListener,
    /// Connections at the same time; more wait to be accepted.
    pub connections_max: usize,
    /// Has the port and each of its connections as a task.
    pub tasks: TaskTracker,
    /// Ends the port and what is open there.
    pub shutdown: CancellationToken,
}

impl Port {
    /// Answers in the background, until the shutdown.
    pub fn serve<A, F, B>(self, answer: A)
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        self.tasks.clone().spawn(async move {
            let free = Arc::new(Semaphore::new(self.connections_max));
            loop {
                // Before a connection is accepted, so that those beyond the limit wait outside. It is never closed.
                let permit = Arc::clone(&free).acquire_owned().await.ok();
                let Some(stream) = self.accept().await else {
                    return;
                };
                let (answer, shutdown) = (answer.clone(), self.shutdown.clone());
                self.tasks.spawn(async move {
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        () = converse(stream, answer) => {}
                    }
                    drop(permit);
                });
            }
        });
    }

    /// The next connection; none after the shutdown.
    async fn accept(&self) -> Option<TcpStream> {
        loop {
            let accepted = tokio::select! {
                () = self.shutdown.cancelled() => return None,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => return Some(stream),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Answers the requests of one connection, until it is closed.
async fn converse<A, F, B>(stream: TcpStream, answer: A)
where
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
{
    let service = service_fn(|request| {
        let answered = answer(request);
        async { Ok::<_, Infallible>(answered.await) }
    });
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT);
    // Whoever leaves in the middle is nobody's trouble.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}
