//! The journal: content-addressed blobs, and an append-only log that is hash-chained and signed.
//!
//! Everything the reconciler did, and was about to do, is here: crash safety, history, rollback
//! without git, and audit are readings of the same log. It does not know what is in a blob, what
//! a cluster is, or what time it is.

mod blobs;
mod deploy;
mod digest;
mod error;
mod holds;
mod journal;
mod key;
mod log;
mod record;

pub use deploy::{Deploy, State};
pub use digest::Digest;
pub use error::{Error, Warning};
pub use holds::{Quarantined, Suspension};
pub use journal::Journal;
pub use log::{Verified, verify};
pub use record::{AppRef, Counts, Event, Outcome, Record, Rollback};
