//! The reconciler's loop: a new commit is compiled, planned, applied and watched until it is healthy.
//!
//! Knows git through `reconciler-source` and clusters through the Kubernetes API alone, so it works on
//! any API server that a kubeconfig reaches. Decisions live in `reconciler-plan`, memory in
//! `reconciler-journal`; here are the loops, and the socket by which commands and git hooks reach them.

mod adopting;
mod askers;
mod cluster;
mod compile;
mod config;
pub mod control;
mod crowd;
mod election;
mod engine;
mod error;
mod execute;
mod facts;
mod fighting;
mod follower;
mod gate;
mod gather;
mod handing;
mod health_view;
mod holding;
mod holds;
pub mod hook;
mod hooks;
mod hosts;
mod ledger;
mod listener;
mod live;
mod look;
mod member;
mod metrics;
mod observe;
mod origin;
mod owned;
mod pace;
mod packed;
mod pass;
mod past;
pub mod policy;
pub mod port;
mod post;
mod prepared;
mod preview;
mod preview_rules;
mod progress;
mod readings;
mod remove;
mod requests;
mod resources;
mod resume;
mod rollback;
mod rules;
mod scribe;
mod settle;
mod shared;
mod site;
mod standby;
mod status;
mod stuck;
mod taken;
mod target;
mod why;
mod wire;
mod words;
mod worker;
mod write;

pub use compile::{
    App, CompileError, Compiled, CompiledObject, Compiler, FieldEdit, Revealed, Rewritten, Scrub,
    SecretFiles, Wanted,
};
pub use config::{Config, Ownership, Source, Trust};
pub use election::Election;
pub use engine::{Running, start};
pub use error::Error;
pub use holds::{Hold, HoldKind};
pub use hosts::{Host, HostKind};
pub use owned::{Owned, owned};
pub use past::{Deployed, Lookup, is_kind, look_back};
pub use policy::{Policy, PolicyError};
pub use preview::{Applied, Ask, Preview, applied_in, preview};
pub use preview_rules::{OwnRules, Standing};
pub use readings::{export_each, is_finding};
pub use rules::{AppRules, OnFailure, Rules};
pub use status::{AppStatus, HistoryRow, ObjectStatus, SourceStatus, Status, Sync};
pub use why::WhyNode;
