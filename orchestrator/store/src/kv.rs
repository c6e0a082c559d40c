//! The contract of the store: [`Kv`] and the values it speaks in.
//!
//! It is what Kubernetes asks of etcd and no more (etcd `client/v3/kubernetes/interface.go`).
//! Nothing here knows a backend.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;

use crate::{Error, Watch};

/// A future that can be named in a dyn-compatible trait.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A key. Keys order by their bytes; the API server separates parts with `/`.
pub type Key = Arc<str>;

/// Longest key: a group, a resource, a namespace and a name of 253 bytes each, and room to spare.
pub const KEY_BYTES_MAX: usize = 2048;

/// Largest value: 1.5 MiB, the limit of etcd (`--max-request-bytes`) that clients know.
pub const VALUE_BYTES_MAX: usize = 3 << 19;

/// A point in the one history of the store. Every write has its own; they only grow, by one,
/// and are never used again, also over restarts and failed writes that were acknowledged as such.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

impl Revision {
    /// The state of a store before its first write.
    pub const ZERO: Revision = Revision(0);

    /// Returns the revision of the write after this one.
    #[must_use]
    pub fn next(self) -> Revision {
        Revision(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

/// A stored key with its value. Shared by the state, the history and every reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// The value; the store never looks inside.
    pub value: Bytes,
    /// The write that made the key (again, after a delete).
    pub create_revision: Revision,
    /// The last write of the key.
    pub mod_revision: Revision,
    /// How often the key was written since it was made; 1 for a new key.
    pub version: u64,
}

/// What a writer expects to find under the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Anything, also nothing.
    Any,
    /// No such key.
    Absent,
    /// The key with exactly this `mod_revision`.
    Exactly(Revision),
}

/// One write, as watchers see it.
#[derive(Debug)]
pub struct Event {
    /// The revision of the write.
    pub revision: Revision,
    /// What is stored from now on; `None` for a delete.
    pub new: Option<Arc<Entry>>,
    /// What was stored before; `None` for a new key.
    pub old: Option<Arc<Entry>>,
    encoded: OnceLock<Bytes>,
}

impl Event {
    pub(crate) fn new(
        revision: Revision,
        new: Option<Arc<Entry>>,
        old: Option<Arc<Entry>>,
    ) -> Event {
        assert!(new.is_some() || old.is_some(), "an event is about an entry");
        Event {
            revision,
            new,
            old,
            encoded: OnceLock::new(),
        }
    }

    /// Returns the key that was written.
    pub fn key(&self) -> &Key {
        let entry = self.new.as_ref().or(self.old.as_ref());
        &entry.expect("an event has a new or an old entry").key
    }

    /// Returns the encoded form of this event, made by the first caller and shared by all
    /// watchers, so that an event is encoded once however many watch.
    pub fn encoded_once(&self, encode: impl FnOnce() -> Bytes) -> Bytes {
        self.encoded.get_or_init(encode).clone()
    }
}

/// Which entries to list.
#[derive(Clone, Debug, Default)]
pub struct Range {
    /// Only keys that start with this; empty for all.
    pub prefix: String,
    /// The state at this revision instead of the newest one.
    pub at: Option<Revision>,
    /// At most this many entries; 0 for no limit.
    pub limit: usize,
    /// Only keys greater than this one, to continue a page.
    pub after: Option<String>,
}

impl Range {
    /// Returns the range of all keys that start with `prefix`, at the newest revision.
    pub fn prefix(prefix: impl Into<String>) -> Range {
        Range {
            prefix: prefix.into(),
            ..Range::default()
        }
    }
}

/// A part of a list. To continue, ask again `at: Some(page.revision)` and
/// `after: Some(last key)`.
#[derive(Clone, Debug)]
pub struct Page {
    /// The entries, in the order of their keys.
    pub entries: Vec<Arc<Entry>>,
    /// How many entries of the range follow behind this page.
    pub remaining: usize,
    /// The revision of the state that was listed.
    pub revision: Revision,
}

/// A key that was deleted.
#[derive(Clone, Debug)]
pub struct Deleted {
    /// The revision of the delete.
    pub revision: Revision,
    /// What was stored last.
    pub entry: Arc<Entry>,
}

/// A linearizable key-value store with one history.
///
/// A write is acknowledged when it is durable, and no reader or watcher sees it earlier.
/// A write whose future is dropped may still happen.
pub trait Kv: Send + Sync + 'static {
    /// Returns the newest durable revision.
    fn revision(&self) -> BoxFuture<'_, Result<Revision, Error>>;

    /// Returns the oldest revision that can still be listed at or watched from.
    fn compacted(&self) -> BoxFuture<'_, Result<Revision, Error>>;

    /// Returns the newest state of `key`.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Arc<Entry>>, Error>>;

    /// Returns the entries of a range.
    ///
    /// # Errors
    /// [`Error::Compacted`] and [`Error::Future`] for a revision that is not kept.
    fn list(&self, range: Range) -> BoxFuture<'_, Result<Page, Error>>;

    /// Returns how many keys start with `prefix`.
    fn count<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<usize, Error>>;

    /// Stores `value` under `key` and returns the new entry, once it is durable.
    ///
    /// # Errors
    /// [`Error::Conflict`] with what is stored when it is not as expected.
    fn put<'a>(
        &'a self,
        key: &'a str,
        value: Bytes,
        expect: Expect,
    ) -> BoxFuture<'a, Result<Arc<Entry>, Error>>;

    /// Deletes `key` and returns what was stored, once the delete is durable.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such key and any was expected;
    /// [`Error::Conflict`] when it is not as expected.
    fn delete<'a>(&'a self, key: &'a str, expect: Expect) -> BoxFuture<'a, Result<Deleted, Error>>;

    /// Follows all writes **after** the revision `after` (`None`: after the newest one) to keys
    /// that start with `prefix`, in order, none missing, none twice.
    ///
    /// The watch ends with [`Error::Compacted`] when its reader was slower than the history that
    /// is kept; the reader then lists again.
    ///
    /// # Errors
    /// [`Error::Compacted`] when the writes after `after` are no longer kept. A revision in the
    /// future is no error: the watch is silent until the store has passed it.
    fn watch<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<Revision>,
    ) -> BoxFuture<'a, Result<Watch, Error>>;

    /// Forgets the history up to `revision`: states before it can no longer be listed. Asking for
    /// what is already forgotten does nothing.
    ///
    /// # Errors
    /// [`Error::Future`] for a revision that has not been written.
    fn compact(&self, revision: Revision) -> BoxFuture<'_, Result<(), Error>>;
}
