//! The key-value store below the API server: keys, bytes and one global revision.
//!
//! The store does not know what a Pod is, and nothing but the API server opens it.
//! [`Kv`] is the contract; [`Embedded`] keeps it on disk with group commit, [`Memory`]
//! keeps it in memory for tests. Both pass the same contract tests.

mod cursor;
mod disk;
mod embedded;
mod error;
mod kv;
mod memory;
mod state;
mod watch;

pub use embedded::Embedded;
pub use error::Error;
pub use kv::{BoxFuture, Deleted, Entry, Event, Expect, Key, Kv, Page, Range, Revision};
pub use kv::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
pub use memory::Memory;
pub use state::History;
pub use watch::{Watch, Watcher};
