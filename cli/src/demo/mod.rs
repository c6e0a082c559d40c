//! The demo: a shop of several services, told as a story on a cluster of its own.

pub(crate) mod http;
pub(crate) mod server;
