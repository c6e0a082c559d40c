//! The demo: a shop of several services, told as a story on a cluster of its own.

pub(crate) mod http;
#[cfg(target_os = "linux")]
pub(crate) mod images;
pub(crate) mod server;
#[cfg(target_os = "linux")]
pub(crate) mod story;
