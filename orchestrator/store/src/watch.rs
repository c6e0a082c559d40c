//! The stream of events that [`Kv::watch`](crate::Kv::watch) returns.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::Stream;

use crate::{Error, Event, Revision};

/// The backend's side of a watch.
pub trait Watcher: Send {
    /// Returns the next event, or registers to be woken. `None` when the store was closed.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Arc<Event>, Error>>>;

    /// Returns the revision up to which every matching event has been handed out.
    fn progress(&self) -> Revision;
}

/// A stream of [`Event`]s in the order of their revisions. It ends after an error.
pub struct Watch {
    watcher: Box<dyn Watcher>,
    ended: bool,
}

impl Watch {
    /// Wraps the backend's side.
    pub fn new(watcher: impl Watcher + 'static) -> Watch {
        Watch {
            watcher: Box::new(watcher),
            ended: false,
        }
    }

    /// Returns the revision up to which the reader has seen every matching event, also when the
    /// last writes did not match. It is what a bookmark may say after `poll_next` was pending.
    pub fn progress(&self) -> Revision {
        self.watcher.progress()
    }

    /// Returns the next event; `None` when the store was closed or after an error.
    pub async fn next(&mut self) -> Option<Result<Arc<Event>, Error>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Watch {
    type Item = Result<Arc<Event>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let polled = self.watcher.poll_event(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.ended = true;
        }
        polled
    }
}
