//! Who asks, and what they may do.

pub(crate) mod bootstrap;
pub(crate) mod rbac;
pub(crate) mod token;
pub(crate) mod user;
