//! The network of one node: pod addresses, Services on their cluster addresses, and DNS.
//!
//! `ipam` and `bridge` give a pod its address, and know nothing of the Kubernetes API; the node agent calls them.
//! `services` decides what should be reachable, `proxy` makes it so; `dns` answers names. None of them knows what
//! a container is.

mod balance;
pub mod bridge;
pub mod dns;
mod informers;
pub mod ipam;
mod local;
mod proxy;
pub mod services;
mod transport;

pub use informers::Informers;
pub use ipam::Cidr;
pub use local::{LocalAddresses, LocalError};
pub use proxy::{ProxyConfig, run};

/// Returns an error and its causes in one line, outermost first.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
