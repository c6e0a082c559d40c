//! Which engine a command speaks to: one on this machine, or one behind an API server.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// The namespace of the reconciler's own objects when nobody chose one.
pub const NAMESPACE: &str = "ordain-system";

/// Where an engine is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// By its data directory, over the local socket.
    DataDir(PathBuf),
    /// Through the API server that it keeps its objects in, as a `Request` object.
    Cluster {
        /// The kubeconfig; `$KUBECONFIG` or `~/.kube/config` when it is left out.
        kubeconfig: Option<PathBuf>,
        /// One of its contexts; the current one when it is left out.
        context: Option<String>,
        /// Where the reconciler keeps its objects.
        namespace: String,
    },
}

impl From<PathBuf> for Target {
    fn from(data_dir: PathBuf) -> Self {
        Self::DataDir(data_dir)
    }
}

impl From<&PathBuf> for Target {
    fn from(data_dir: &PathBuf) -> Self {
        Self::DataDir(data_dir.clone())
    }
}

impl From<&Path> for Target {
    fn from(data_dir: &Path) -> Self {
        Self::DataDir(data_dir.to_owned())
    }
}

impl From<&Target> for Target {
    fn from(target: &Target) -> Self {
        target.clone()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataDir(path) => write!(out, "`{}`", path.display()),
            Self::Cluster {
                kubeconfig,
                context,
                namespace,
            } => {
                write!(out, "namespace `{namespace}`")?;
                if let Some(context) = context {
                    write!(out, " of context `{context}`")?;
                }
                match kubeconfig {
                    Some(path) => write!(out, " by `{}`", path.display()),
                    None => write!(out, " by the usual kubeconfig"),
                }
            }
        }
    }
}
