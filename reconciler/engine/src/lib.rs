//! The reconciler's loop: a new commit is compiled, planned, applied and watched until it is healthy.
//!
//! Knows git through `reconciler-source` and clusters through the Kubernetes API alone, so it works on
//! any API server that a kubeconfig reaches. Decisions live in `reconciler-plan`, memory in
//! `reconciler-journal`; here are the loops, and the socket by which commands and git hooks reach them.

mod compile;
mod config;
pub mod control;
mod error;
pub mod hook;
mod status;

pub use compile::{App, CompileError, Compiled, CompiledObject, Compiler, Wanted};
pub use config::{Config, Source};
pub use error::Error;
pub use status::{AppStatus, HistoryRow, ObjectStatus, SourceStatus, Status, Sync};
