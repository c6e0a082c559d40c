//! What can go wrong in the store, one variant per operation and subject.

use std::{path::PathBuf, sync::Arc};

use crate::{Entry, Key, Revision};

/// An operation of the store that did not happen.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The key is not in the state that the caller expected; nothing was written.
    #[error("key `{key}` is not at the expected revision")]
    Conflict {
        /// The key that was to be changed.
        key: Key,
        /// What is stored there now; `None` when the key is absent.
        actual: Option<Arc<Entry>>,
    },
    /// A delete of a key that is not there.
    #[error("key `{key}` is not stored")]
    NotFound {
        /// The key that was to be deleted.
        key: Key,
    },
    /// The history before `compacted` is gone; the caller lists again.
    #[error("revision {asked} has been compacted, the oldest one kept is {compacted}")]
    Compacted {
        /// The revision that was asked for.
        asked: Revision,
        /// The oldest revision that can still be read or watched from.
        compacted: Revision,
    },
    /// A revision that has not been written yet.
    #[error("revision {asked} is in the future, the store is at {current}")]
    Future {
        /// The revision that was asked for.
        asked: Revision,
        /// The newest revision.
        current: Revision,
    },
    /// The key or the value is longer than the store takes.
    #[error("{what} of `{key}` has {bytes} bytes, the limit is {bytes_max}")]
    TooLarge {
        /// `key` or `value`.
        what: &'static str,
        /// The key, cut to a readable length.
        key: Key,
        /// The length that was offered.
        bytes: usize,
        /// The length that is accepted.
        bytes_max: usize,
    },
    /// A commit failed: whether it is on disk is in doubt, so nothing is acknowledged until the file
    /// could be opened again. Reads still answer with what was acknowledged.
    #[error("the store takes no writes while its disk fails: {reason}")]
    Failed {
        /// The failure of the commit.
        reason: Arc<str>,
    },
    /// The store was closed while the operation waited; whether it happened is unknown.
    #[error("the store is closed")]
    Closed,
    /// Another process has the store open.
    #[error("the store at `{}` is in use by another process", path.display())]
    InUse {
        /// The file that is locked.
        path: PathBuf,
    },
    /// The store cannot be opened.
    #[error("cannot open the store at `{}`", path.display())]
    Open {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// A stored row contradicts the format or its neighbours.
    #[error("the store at `{}` is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
}
