//! The garbage collector: deletes what its owners have left behind.
//! Kubernetes `pkg/controller/garbagecollector`.
//!
//! [`graph`] knows who owns whom, from the metadata of all objects; [`run`] keeps it up to date
//! and acts. The graph is only a hint: before something is deleted, the server is asked.

mod graph;
mod run;

pub(crate) use run::run;
