//! What runs containers: the trait between the pod logic and its drivers, and what they exchange.
//!
//! A driver knows containers and sandboxes; it knows no pod phases, no probes and no API server.

pub mod cgroup;
pub mod exec;
pub mod fake;
pub mod host;
pub mod oci;
pub mod process;
pub mod shims;
pub mod spec;
pub mod user;

use std::io;
use std::path::PathBuf;

use futures::future::BoxFuture;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use exec::{ExecRequest, ExecSession};
pub use spec::{ContainerSpec, Limits, Mount, PodRef, Sandbox, SandboxSpec, Security};

use crate::images::{Image, ImageError};

/// Why a driver could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// A file could not be read or written.
    #[error("failed to {action} `{path}`")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The image could not be prepared.
    #[error("failed to prepare the image")]
    Image(#[from] ImageError),
    /// The shim refused or failed; its words.
    #[error("{0}")]
    Shim(String),
    /// The pod's network could not be set up.
    #[error("failed to set up the pod's network")]
    Network(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There is no such container.
    #[error("container `{id}` is not running")]
    NotRunning {
        /// Its ID.
        id: String,
    },
    /// The driver cannot do this at all.
    #[error("the {driver} driver cannot {what}")]
    Unsupported {
        /// The driver.
        driver: &'static str,
        /// What was asked.
        what: String,
    },
}

impl RuntimeError {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

/// Where a container is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum ContainerState {
    /// Being made; becomes `Running` or `Exited`.
    Starting,
    /// Runs; becomes `Exited`.
    Running {
        /// The process in the host's numbering.
        pid: i32,
        /// Since when.
        started_at: Timestamp,
    },
    /// Ended; stays so until removed.
    Exited(Exit),
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The exit code; 128 plus the signal's number for a killed process.
    pub code: i32,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// `Completed`, `Error`, `OOMKilled`, `StartError` or `ContainerStatusUnknown`, as upstream.
    pub reason: String,
    /// The runtime's words, when it never started.
    pub message: Option<String>,
    /// Since when it ran, if it ever did.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Timestamp,
}

/// A container as the driver sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerRecord {
    /// Its ID, unique on the node.
    pub id: String,
    /// The pod it belongs to.
    pub pod: PodRef,
    /// Its name within the pod.
    pub name: String,
    /// How often a container of this name was started before in this pod.
    pub attempt: u32,
    /// The image as the pod names it.
    pub image: String,
    /// The image's digest.
    pub image_id: String,
    /// Its log file.
    pub log: PathBuf,
    /// Where it is in its life.
    pub state: ContainerState,
}

impl ContainerRecord {
    /// Returns whether it runs or is about to.
    pub fn is_live(&self) -> bool {
        !matches!(self.state, ContainerState::Exited(_))
    }
}

/// A signal that ends a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// Ask: the image's stop signal, or SIGTERM.
    Ask,
    /// Do not ask: SIGKILL to everything in it.
    Kill,
}

/// What one container uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time since it started, in nanoseconds.
    pub cpu_nanoseconds: u64,
    /// Memory in bytes, page cache that can be dropped left out.
    pub memory_bytes: u64,
}

/// Runs containers. All methods may be called for things that are gone.
pub trait Runtime: Send + Sync + 'static {
    /// Returns the driver's name: `oci`, `process` or `fake`.
    fn name(&self) -> &'static str;

    /// Returns, for each wish of a pod that this driver cannot grant, a sentence for the user.
    fn refusals(&self, pod: &k8s_openapi::api::core::v1::Pod) -> Vec<String>;

    /// Makes the pod's sandbox (address, namespaces), or returns the one that is there.
    fn sandbox<'a>(&'a self, spec: &'a SandboxSpec)
    -> BoxFuture<'a, Result<Sandbox, RuntimeError>>;

    /// Returns the pod's sandbox, if there is one.
    fn find_sandbox(&self, pod_uid: &str) -> Option<Sandbox>;

    /// Returns all sandboxes, those of earlier runs included.
    fn sandboxes(&self) -> Vec<Sandbox>;

    /// Removes the sandbox of a pod whose containers are gone.
    fn remove_sandbox<'a>(&'a self, pod_uid: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>>;

    /// Makes and starts a container. When it ends, the pod's UID is sent on the channel that the
    /// driver was made with. A container that could not start is kept as exited with `StartError`.
    fn start<'a>(
        &'a self,
        spec: ContainerSpec,
        image: &'a Image,
    ) -> BoxFuture<'a, Result<(), RuntimeError>>;

    /// Returns all containers that were not removed, those of earlier runs included.
    fn containers(&self) -> Vec<ContainerRecord>;

    /// Sends a signal; the container being gone is fine.
    ///
    /// # Errors
    /// When the system refuses.
    fn stop(&self, id: &str, signal: StopSignal) -> Result<(), RuntimeError>;

    /// Removes what is left of an exited container, but not its log.
    fn remove<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>>;

    /// Runs a further program in a container.
    fn exec<'a>(
        &'a self,
        id: &'a str,
        request: ExecRequest,
    ) -> BoxFuture<'a, Result<ExecSession, RuntimeError>>;

    /// Returns what a running container uses, where the driver can tell.
    fn usage(&self, id: &str) -> Option<Usage>;

    /// Takes down what the driver itself set up, after all sandboxes are gone.
    fn shutdown(&self) -> BoxFuture<'_, ()>;
}
