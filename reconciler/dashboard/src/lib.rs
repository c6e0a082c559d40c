//! The dashboard: what a reconciler does, in a browser. It only looks; what can be done is shown as the command that does it.
//!
//! It knows a reconciler by the questions that every command asks, so it may run beside one or far away behind an API server,
//! with the rights of whoever started it. It keeps nothing and decides nothing.

mod ask;
mod assets;
mod door;
mod now;
mod routes;
mod server;
mod views;

pub use ask::Ask;
pub use server::{Dashboard, Options, serve};
