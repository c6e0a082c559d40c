//! The store of tests: the same contract without a disk. Everything is lost with the process.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::{
    BoxFuture, Deleted, Entry, Error, Event, Expect, History, Kv, Page, Range, Revision, Watch,
    cursor::Shared,
    state::{self, Op, State},
};

/// A store in memory.
pub struct Memory {
    shared: Arc<Shared>,
    /// Held from the decision to the publication, so that writes are published in order.
    writing: Mutex<()>,
}

impl Memory {
    /// Returns an empty store with the default history.
    #[must_use]
    pub fn new() -> Memory {
        Memory::with_history(History::default())
    }

    /// Returns an empty store that keeps as much history as `history` says.
    #[must_use]
    pub fn with_history(history: History) -> Memory {
        let shared = Shared::new(State::new(history, Revision::ZERO));
        Memory {
            shared,
            writing: Mutex::new(()),
        }
    }

    fn write(&self, op: Op) -> Result<Arc<Event>, Error> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let event = {
            let state = self.shared.read();
            let current = state.get(op.key()).cloned();
            Arc::new(op.decide(current.as_ref(), state.revision().next())?)
        };
        self.shared.publish(std::slice::from_ref(&event));
        Ok(event)
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Kv for Memory {
    fn revision(&self) -> BoxFuture<'_, Result<Revision, Error>> {
        Box::pin(async { Ok(self.shared.read().revision()) })
    }

    fn compacted(&self) -> BoxFuture<'_, Result<Revision, Error>> {
        Box::pin(async { Ok(self.shared.read().compacted()) })
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Arc<Entry>>, Error>> {
        Box::pin(async move { Ok(self.shared.read().get(key).cloned()) })
    }

    fn list(&self, range: Range) -> BoxFuture<'_, Result<Page, Error>> {
        Box::pin(async move { self.shared.read().list(&range) })
    }

    fn count<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<usize, Error>> {
        Box::pin(async move { Ok(self.shared.read().count(prefix)) })
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        value: Bytes,
        expect: Expect,
    ) -> BoxFuture<'a, Result<Arc<Entry>, Error>> {
        Box::pin(async move {
            let event = self.write(Op::put(key, value, expect)?)?;
            Ok(state::put_result(&event).expect("a put has a new entry"))
        })
    }

    fn delete<'a>(&'a self, key: &'a str, expect: Expect) -> BoxFuture<'a, Result<Deleted, Error>> {
        Box::pin(async move {
            let event = self.write(Op::delete(key, expect)?)?;
            Ok(state::delete_result(&event).expect("a delete has an old entry"))
        })
    }

    fn watch<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<Revision>,
    ) -> BoxFuture<'a, Result<Watch, Error>> {
        Box::pin(async move { self.shared.watch(prefix, after) })
    }

    fn compact(&self, revision: Revision) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move { self.shared.write().compact(revision).map(drop) })
    }
}
