//! The node agent: makes the pods that are bound to this machine real.
//!
//! Decisions are pure (`pod`), drivers are behind a trait (`runtime`), and the loop between them is
//! thin (`agent`). It speaks to the cluster through the Kubernetes API only.

pub mod config;
pub mod images;
pub mod pod;
pub mod runtime;
mod shim;

pub use shim::{SHIM_ARGUMENT, shim_main};
