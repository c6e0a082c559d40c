//! The journal: content-addressed blobs, and an append-only log that is hash-chained and signed.
//!
//! Everything the reconciler did, and was about to do, is here: crash safety, history, rollback
//! without git, and audit are readings of the same log. It does not know what is in a blob, what
//! a cluster is, or what time it is. The format on disk is described in `docs/audit.md`.

mod about;
mod batch;
mod chain;
mod compact;
mod deploy;
mod digest;
mod entries;
mod error;
mod export;
mod files;
mod format;
mod head;
mod holds;
mod journal;
mod key;
mod line;
mod log;
mod packs;
mod parts;
mod reading;
mod recent;
mod record;
mod set;
#[doc(hidden)]
pub mod steps;
mod verify;
mod words;

pub use batch::{Batch, Mark};
pub use chain::{Part, is_of_chain};
pub use compact::Compacted;
pub use deploy::{Deploy, State, last_healthy};
pub use digest::Digest;
pub use error::{Error, Warning};
pub use export::{Exporter, PREDICATE_TYPE, time};
pub use holds::{Quarantined, Suspension};
pub use journal::{Journal, Sizes};
pub use reading::{At, DeployedSet, Query};
pub use record::{
    AppRef, CLUSTER_FACT, Counts, DriftedObject, Event, Intent, ObjectWrite, Outcome, Record,
    Rollback, SignatureVerdict,
};
pub use set::ObjectSet;
pub use verify::{Verified, verify, verify_chain};
pub use words::sentence;
