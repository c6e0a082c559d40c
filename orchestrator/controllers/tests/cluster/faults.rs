//! A connection to the API server on which requests fail, answers get lost, and watches break.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use futures::StreamExt;
use http::{Request, Response};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use kube::client::Body as RequestBody;
use ordain_orchestrator_apiserver::{Body, InProcess};
use tower::Service;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Parts in a hundred of the requests that never arrive, and of those whose answer is lost.
const LOST_PERCENT: u64 = 8;
/// A watch breaks after fewer events than this.
const WATCH_EVENTS_MAX: u64 = 20;

/// The connection. Its clones share the sequence of faults.
#[derive(Clone)]
pub(crate) struct Faulty {
    inner: InProcess,
    chance: Arc<AtomicU64>,
}

impl Faulty {
    pub(crate) fn new(inner: InProcess, seed: u64) -> Faulty {
        Faulty {
            inner,
            chance: Arc::new(AtomicU64::new(seed)),
        }
    }

    fn below(&self, bound: u64) -> u64 {
        let step = |seed: u64| {
            seed.wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407)
        };
        let before = self
            .chance
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |seed| Some(step(seed)));
        (step(before.unwrap_or_default()) >> 33) % bound
    }
}

impl Service<Request<RequestBody>> for Faulty {
    type Response = Response<Body>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let watch = request
            .uri()
            .query()
            .is_some_and(|query| query.contains("watch="));
        let (request_lost, answer_lost) = (
            self.below(100) < LOST_PERCENT,
            self.below(100) < LOST_PERCENT,
        );
        let events = usize::try_from(self.below(WATCH_EVENTS_MAX)).unwrap();
        let mut inner = self.inner.clone();
        Box::pin(async move {
            if watch {
                let answer = serve(&mut inner, request).await;
                let cut = |body| StreamBody::new(BodyStream::new(body).take(events)).boxed_unsync();
                return Ok(answer.map(cut));
            }
            if request_lost {
                return Err("the request was lost".into());
            }
            let answer = serve(&mut inner, request).await;
            if answer_lost {
                return Err("the answer was lost".into());
            }
            Ok(answer)
        })
    }
}

async fn serve(inner: &mut InProcess, request: Request<RequestBody>) -> Response<Body> {
    match inner.call(request).await {
        Ok(answer) => answer,
        Err(never) => match never as Infallible {},
    }
}
