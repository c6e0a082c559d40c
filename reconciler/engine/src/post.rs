//! One place for the newest thing that somebody should have: what was there before is overwritten, whether it was read
//! or not. There is one for each app, so it is small; a watch channel of tokio takes five times the room for readers
//! that nobody has here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

#[derive(Debug)]
struct Place<T> {
    newest: Mutex<Newest<T>>,
    changed: Notify,
}

#[derive(Debug)]
struct Newest<T> {
    thing: Arc<T>,
    /// True when the reader has it.
    is_read: bool,
    /// True when nothing more will come.
    is_over: bool,
}

impl<T> Place<T> {
    fn lock(&self) -> MutexGuard<'_, Newest<T>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The side that puts things there. When it is dropped, nothing more will come.
#[derive(Debug)]
pub(crate) struct Sender<T>(Arc<Place<T>>);

/// The one reader.
#[derive(Debug)]
pub(crate) struct Reader<T>(Arc<Place<T>>);

/// Nothing more will come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Over;

/// Makes a place with a first thing, which the reader has not read yet.
pub(crate) fn post<T>(thing: Arc<T>) -> (Sender<T>, Reader<T>) {
    let newest = Newest {
        thing,
        is_read: false,
        is_over: false,
    };
    let place = Arc::new(Place {
        newest: Mutex::new(newest),
        changed: Notify::new(),
    });
    (Sender(Arc::clone(&place)), Reader(place))
}

impl<T> Sender<T> {
    /// Overwrites what is there.
    pub(crate) fn send(&self, thing: Arc<T>) {
        let mut newest = self.0.lock();
        (newest.thing, newest.is_read) = (thing, false);
        drop(newest);
        self.0.changed.notify_one();
    }

    /// What was sent last.
    pub(crate) fn last(&self) -> Arc<T> {
        Arc::clone(&self.0.lock().thing)
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.lock().is_over = true;
        self.0.changed.notify_one();
    }
}

impl<T> Reader<T> {
    /// The newest thing, which is read with this.
    pub(crate) fn read(&mut self) -> Arc<T> {
        let mut newest = self.0.lock();
        newest.is_read = true;
        Arc::clone(&newest.thing)
    }

    /// Resolves when there is something that was not read, or nothing more will come.
    pub(crate) async fn changed(&mut self) -> Result<(), Over> {
        loop {
            {
                let newest = self.0.lock();
                match (newest.is_over, newest.is_read) {
                    (true, _) => return Err(Over),
                    (false, false) => return Ok(()),
                    (false, true) => {}
                }
            }
            // Whoever sends meanwhile leaves a permit, so nothing is missed.
            self.0.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn the_newest_is_read_once() {
        let (sender, mut reader) = post(Arc::new(1));
        assert_eq!(reader.changed().now_or_never(), Some(Ok(())));
        assert_eq!(*reader.read(), 1);
        assert_eq!(reader.changed().now_or_never(), None, "it was read");
        sender.send(Arc::new(2));
        sender.send(Arc::new(3));
        assert_eq!(*sender.last(), 3);
        assert_eq!(reader.changed().await, Ok(()));
        assert_eq!(reader.changed().await, Ok(()), "until it is read");
        assert_eq!(*reader.read(), 3);
        assert_eq!(reader.changed().now_or_never(), None);
        drop(sender);
        assert_eq!(reader.changed().await, Err(Over));
        assert_eq!(*reader.read(), 3, "what was last is still there");
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let (sender, mut reader) = post(Arc::new(1));
        reader.read();
        let waiting = tokio::spawn(async move {
            let changed = reader.changed().await;
            (changed, *reader.read())
        });
        tokio::task::yield_now().await;
        sender.send(Arc::new(2));
        assert_eq!(waiting.await.expect("it ends"), (Ok(()), 2));
    }
}
