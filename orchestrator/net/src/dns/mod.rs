//! The cluster's name server: Kubernetes names answered from the informers, everything else asked upstream.

pub mod records;
mod server;

pub use server::{DnsError, Upstream, serve};
