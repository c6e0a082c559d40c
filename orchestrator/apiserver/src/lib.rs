//! The API server: Kubernetes' HTTP API over a key-value store.
//!
//! Every kind goes one generic way (authenticate, authorize, decode, admit, default, validate,
//! store); the type table says what a kind is made of, and a small strategy what is special about
//! it. Objects stay bytes. Nothing here knows what pods, nodes or controllers do.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use ordain_orchestrator_apiserver::{Config, Pki, Server, User};
//! use ordain_orchestrator_store::Memory;
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let pki = Arc::new(Pki::open("data/pki".as_ref())?);
//! let server = Server::start(Config::new(Arc::new(Memory::new()), pki)).await?;
//! std::fs::write("admin.kubeconfig", server.kubeconfig())?;
//! let service = server.in_process(User::admin()); // kube::Client::new(service, "default")
//! # drop(service);
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod admission;
mod auth;
mod body;
mod bootstrap;
mod change;
mod convert;
mod core;
mod crd;
mod custom;
mod decode;
mod delete;
mod discovery;
mod events;
mod json;
mod kinds;
mod managed;
mod negotiate;
mod object;
mod openapi;
mod pipeline;
mod pki;
mod proxy;
mod read;
mod registry;
mod reviews;
mod route;
mod server;
mod services;
mod status;
mod subresources;
mod table;
mod watch;
mod write;

pub use self::{
    auth::user::User,
    body::{Body, BodyError},
    pki::{Pair, Pki, PkiError, kubeconfig},
    server::{Config, InProcess, Running, Server, StartError},
};
