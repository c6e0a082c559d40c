//! One cluster in one process: which parts there are, in which order they start and stop.
//!
//! It composes and decides nothing else: every part speaks to the API server through the Kubernetes API, over a
//! transport in memory.

mod compiler;
mod data_dir;
#[cfg(target_os = "linux")]
mod machine_linux;
#[cfg(target_os = "linux")]
mod node_linux;
mod parts;
mod ranges;
mod rewrite;
mod rules;

pub(crate) use compiler::{ProjectCompiler, Tree};
pub(crate) use data_dir::{DataDir, Endpoints, default_data_dir};
pub(crate) use parts::{Cluster, engine_error};

use crate::commands::up::{DashboardAt, RuntimeArg};
use crate::source::Sources;
use std::any::Any;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// What a cluster is started with.
pub(crate) struct Options {
    /// Where everything of it lies.
    pub(crate) data_dir: PathBuf,
    /// Where the API server listens.
    pub(crate) listen: SocketAddr,
    /// Where the dashboard listens.
    pub(crate) dashboard: DashboardAt,
    /// How containers are run.
    pub(crate) runtime: RuntimeArg,
    /// Which repository is deployed.
    pub(crate) sources: Sources,
    /// The only environment that is deployed.
    pub(crate) env: Option<String>,
    /// Registry names and where they really are.
    pub(crate) registries: Vec<(String, String)>,
    /// Whatever must live as long as the cluster.
    pub(crate) keep_alive: Vec<Box<dyn Any + Send>>,
}

impl Options {
    pub(crate) fn new(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            dashboard: DashboardAt::Off,
            runtime: RuntimeArg::Auto,
            sources: Sources::default(),
            env: None,
            registries: Vec::new(),
            keep_alive: Vec::new(),
        }
    }
}

/// Returns where the node agent keeps its things in a data directory.
pub(crate) fn node_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("node")
}

/// Runs a future on a runtime of its own and waits for what it leaves behind.
///
/// # Errors
/// Returns the future's error, or that no runtime could be made.
pub(crate) fn block_on<T>(future: impl Future<Output = miette::Result<T>>) -> miette::Result<T> {
    use miette::{Context, IntoDiagnostic};
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .into_diagnostic()
        .wrap_err("cannot start the runtime's threads")?;
    let result = runtime.block_on(future);
    // A thread that waits for a dead disk must not keep the process from ending.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result
}

/// Returns when the user or the service manager asks this process to stop.
pub(crate) async fn interrupted() {
    #[cfg(unix)]
    if let Ok(mut terminate) =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
    {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// Returns whether this process may do everything on this machine.
pub(crate) fn is_root() -> bool {
    #[cfg(target_os = "linux")]
    return machine_linux::is_root();
    #[cfg(not(target_os = "linux"))]
    return false;
}
