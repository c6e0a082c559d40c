//! Watchers: cursors over the one history, and who is woken when it grows.
//!
//! There is no queue per watcher. A sleeping watcher is moved along by the publisher while the
//! writes do not concern it, so that only a watcher that does not read can fall behind.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use crate::{Error, Event, Key, Revision, Watch, Watcher, state::State};

/// Events that a watcher takes at once; it bounds how long it holds the lock.
const EVENTS_PER_READ: usize = 128;

/// The published state and those who wait for it to grow.
pub(crate) struct Shared {
    state: RwLock<State>,
    seats: Mutex<Seats>,
    ids: AtomicU64,
}

#[derive(Default)]
struct Seats {
    by_id: HashMap<u64, Seat>,
    closed: bool,
}

/// The place of one watcher.
struct Seat {
    prefix: Key,
    /// Every matching event up to here has been taken by the watcher.
    position: Revision,
    /// Set while the watcher sleeps: then the publisher moves `position`.
    waker: Option<Waker>,
}

impl Shared {
    pub(crate) fn new(state: State) -> Arc<Shared> {
        Arc::new(Shared {
            state: RwLock::new(state),
            seats: Mutex::default(),
            ids: AtomicU64::new(0),
        })
    }

    // Nothing panics while it holds one of these locks, and a poisoned state is still the last
    // one that was published.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies durable writes and wakes the watchers they concern. Calls must not overlap.
    /// Returns the revisions that fell out of the history.
    pub(crate) fn publish(&self, events: &[Arc<Event>]) -> Vec<Revision> {
        let Some(last) = events.last().map(|event| event.revision) else {
            return Vec::new();
        };
        let garbage = {
            let mut state = self.write();
            for event in events {
                state.apply(event.clone());
            }
            state.trim()
        };
        let mut woken = Vec::new();
        for seat in self
            .seats()
            .by_id
            .values_mut()
            .filter(|seat| seat.waker.is_some())
        {
            let concerned = events.iter().any(|event| {
                event.revision > seat.position && event.key().starts_with(&*seat.prefix)
            });
            if concerned {
                woken.extend(seat.waker.take());
            } else {
                seat.position = seat.position.max(last);
            }
        }
        // Not under the lock: the last waker of a task may drop the task, and with it a cursor.
        woken.into_iter().for_each(Waker::wake);
        garbage
    }

    /// Ends all watches.
    pub(crate) fn close(&self) {
        let woken: Vec<_> = {
            let mut seats = self.seats();
            seats.closed = true;
            seats
                .by_id
                .values_mut()
                .filter_map(|seat| seat.waker.take())
                .collect()
        };
        woken.into_iter().for_each(Waker::wake);
    }

    /// Opens a watch of the writes after `after`.
    pub(crate) fn watch(
        self: &Arc<Shared>,
        prefix: &str,
        after: Option<Revision>,
    ) -> Result<Watch, Error> {
        let state = self.read();
        let position = after.unwrap_or(state.revision());
        state.check_not_compacted(position)?;
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let prefix: Key = prefix.into();
        let seat = Seat {
            prefix: prefix.clone(),
            position,
            waker: None,
        };
        self.seats().by_id.insert(id, seat);
        Ok(Watch::new(Cursor {
            shared: self.clone(),
            id,
            prefix,
            taken: VecDeque::new(),
        }))
    }
}

/// One watcher's side of its seat.
struct Cursor {
    shared: Arc<Shared>,
    id: u64,
    prefix: Key,
    /// Read from the history, not handed out yet.
    taken: VecDeque<Arc<Event>>,
}

impl Watcher for Cursor {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Arc<Event>, Error>>> {
        if let Some(event) = self.taken.pop_front() {
            return Poll::Ready(Some(Ok(event)));
        }
        // Dropped after the locks, see `publish`.
        let _old_waker;
        // The state stays locked until the waker is set: a write that is published later finds it.
        let state = self.shared.read();
        let mut seats = self.shared.seats();
        let closed = seats.closed;
        let seat = seats
            .by_id
            .get_mut(&self.id)
            .expect("the seat lives as long as its cursor");
        _old_waker = seat.waker.take();
        let found_max = EVENTS_PER_READ;
        match state.events_after(seat.position, &self.prefix, found_max, &mut self.taken) {
            Ok(reached) => seat.position = reached,
            Err(error) => return Poll::Ready(Some(Err(error))),
        }
        match self.taken.pop_front() {
            Some(event) => Poll::Ready(Some(Ok(event))),
            None if closed => Poll::Ready(None),
            None => {
                seat.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn progress(&self) -> Revision {
        match self.taken.front() {
            Some(event) => Revision(event.revision.0 - 1),
            None => self.shared.seats().by_id[&self.id].position,
        }
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        // Named, so that the lock is released before the waker in it is dropped.
        let _seat = self.shared.seats().by_id.remove(&self.id);
    }
}
