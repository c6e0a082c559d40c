//! What can go wrong with a journal, and what was put right while opening it.

use std::{io, path::PathBuf};

use crate::Digest;

/// A failed operation on the journal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be used.
    #[error("cannot {action} `{path}`")]
    Io {
        /// What was tried, as a verb: `read`, `write`, `create`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Another process has the journal open.
    #[error("the journal `{path}` is in use by another process")]
    InUse {
        /// The journal's folder.
        path: PathBuf,
    },
    /// A record in the middle of the log was changed, removed or added.
    #[error("record {seq} of `{path}` was changed: {what}")]
    Corrupt {
        /// The log.
        path: PathBuf,
        /// The record's number, from 1.
        seq: u64,
        /// What does not fit.
        what: String,
    },
    /// A sealed file was changed.
    #[error("`{path}` was changed: {what}")]
    Changed {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// Records that were acknowledged are gone from the end.
    #[error("the log in `{path}` ends with record {seq}, but record {wanted} was written")]
    CutOff {
        /// The journal's folder.
        path: PathBuf,
        /// The last record there is.
        seq: u64,
        /// The last record that was written.
        wanted: u64,
    },
    /// A newer version wrote the journal in a way that this one does not know.
    #[error("the journal `{path}` was written by a newer version (format {format})")]
    Newer {
        /// The journal's folder.
        path: PathBuf,
        /// What its format file says.
        format: String,
    },
    /// Nothing can be written by who only reads.
    #[error("the journal `{path}` was opened for reading")]
    ReadOnly {
        /// The journal's folder.
        path: PathBuf,
    },
    /// The blob is there and is no set of objects.
    #[error("blob {digest} of the journal is not a set of objects")]
    NotASet {
        /// Its digest.
        digest: Digest,
    },
    /// What was to be written together with others was not written.
    #[error("{0}")]
    Batch(#[source] std::sync::Arc<Error>),
    /// No such blob.
    #[error("the journal holds no blob {digest}")]
    NoBlob {
        /// Its digest.
        digest: Digest,
    },
    /// A blob's bytes no longer match its name.
    #[error("blob {digest} of the journal was changed")]
    BlobChanged {
        /// Its digest.
        digest: Digest,
    },
    /// The text is not a digest.
    #[error("`{text}` is not a digest (64 hexadecimal digits)")]
    NotADigest {
        /// As it was given.
        text: String,
    },
    /// The signing key's file does not hold a key.
    #[error("`{path}` does not hold an ed25519 key")]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// The system gave no randomness for a new key.
    #[error("cannot make a signing key: {reason}")]
    Entropy {
        /// In the system's words.
        reason: String,
    },
}

impl Error {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

/// Something that opening the journal put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// The last record was torn by a crash. It was cut off and kept beside the log.
    TornRecord {
        /// The number it would have had.
        seq: u64,
        /// Bytes cut off.
        bytes: u64,
        /// Where they are now.
        kept: PathBuf,
    },
}

impl std::fmt::Display for Warning {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::TornRecord { seq, bytes, kept } = self;
        write!(
            out,
            "journal record {seq} was torn by a crash; its {bytes} bytes were moved to `{}`",
            kept.display()
        )
    }
}
