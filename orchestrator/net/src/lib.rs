//! The network of the bundled cluster: pod addresses, Services and names.
//!
//! `ipam` hands out pod addresses, `bridge` wires a pod's network namespace to the host. They know
//! nothing of the Kubernetes API; the node agent calls them.

pub mod bridge;
pub mod ipam;
