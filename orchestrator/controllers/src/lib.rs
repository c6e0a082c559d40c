//! The controllers: they make the cluster become what its objects say.
//!
//! One module per controller. Each has a pure `step(desired, observed, now) -> Vec<Action>` and a
//! thin loop that feeds it from shared informers, one key at a time, and carries its actions out.
//! They know the Kubernetes API alone, so they also run against a real kube-apiserver.

mod action;
mod deployment;
mod endpoints;
mod executor;
mod garbage;
mod job;
mod namespace;
mod node_lifecycle;
mod numbers;
mod pod_garbage;
mod pods;
mod replica_set;
mod resources;
mod run;
mod service_account;

pub use action::Action;
pub use run::{run, run_shared};

/// The pure decisions, one function per controller.
pub mod steps {
    pub use crate::{
        deployment::step as deployment,
        endpoints::{Observed as EndpointsObserved, step as endpoints},
        job::step as job,
        replica_set::step as replica_set,
    };
}
