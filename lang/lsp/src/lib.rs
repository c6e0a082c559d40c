//! What an editor asks: plain functions over a project, and the protocol around them.
//!
//! [`serve_stdio`] is the whole server. Inside, every feature is a function of a view (a checked part of
//! a project and the file that is asked about) in a file of its own, which knows nothing of the protocol;
//! `answer` alone turns them into messages. The server reads files through the project's own door and never
//! shows the value of a secret.

mod answer;
mod capabilities;
mod far;
mod features;
mod nodes;
mod objects;
mod places;
mod position;
mod provided;
mod report;
mod server;
mod trial;
mod uri;
mod view;
mod workspace;

pub use server::{ServeError, serve, serve_stdio};
