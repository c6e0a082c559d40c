//! The node agent: makes the pods that are bound to this machine real.
//!
//! Decisions are pure (`pod`), drivers are behind a trait (`runtime`), and the loop between them is
//! thin (`agent`). It speaks to the cluster through the Kubernetes API only, and answers the API
//! server's calls for logs and exec (`server`).
//!
//! ```no_run
//! # async fn example(client: kube::Client, tls: ordain_orchestrator_node::ServingTls)
//! # -> Result<(), ordain_orchestrator_node::NodeError> {
//! use ordain_orchestrator_node::{NodeConfig, start};
//!
//! let shutdown = tokio_util::sync::CancellationToken::new();
//! let node = start(NodeConfig::new("node-1", "/var/lib/ordain", client, tls), shutdown.clone());
//! let node = node.await?;
//! shutdown.cancel();
//! node.stopped().await;
//! # Ok(())
//! # }
//! ```
//!
//! The program that calls [`start`] must call [`shim_main`] first thing in `main` when its first
//! argument is [`SHIM_ARGUMENT`].

pub mod config;
pub mod images;
pub mod logs;
pub mod pod;
pub mod runtime;

mod agent;
mod files;
mod probes;
mod server;
mod shim;
mod volumes;

pub use agent::{NodeError, Running, start};
pub use config::{ImageConfig, Mirror, NodeConfig, RuntimeChoice, ServingTls};
pub use server::tls::TlsError;
pub use shim::{SHIM_ARGUMENT, shim_main};
