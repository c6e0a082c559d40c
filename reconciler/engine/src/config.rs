//! What the engine has to be told. Nothing here is read from the environment.

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::Compiler;

/// Where commits come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// The bare repository `<data-dir>/git/ordain.git`, created when it is missing.
    Hosted {
        /// The running executable, which the repository's hooks call.
        program: PathBuf,
        /// The branch that is deployed.
        branch: String,
    },
    /// A repository somewhere else.
    Foreign {
        /// A path or URL.
        url: String,
        /// The branch that is deployed.
        branch: String,
    },
}

/// Everything the engine needs.
#[derive(Clone)]
pub struct Config {
    /// The cluster to keep equal to the repository.
    pub client: kube::Client,
    /// Journal, repository and control socket live under it.
    pub data_dir: PathBuf,
    /// Where commits come from.
    pub source: Source,
    /// Turns a commit's files into objects.
    pub compiler: Arc<dyn Compiler>,
    /// Environments with this cluster name are deployed; `local` for the bundled cluster.
    pub cluster: String,
    /// Deploys this environment alone, whatever cluster it names.
    pub env: Option<String>,
    /// How often the repository is looked at without being told.
    pub poll: Duration,
    /// How long an app may take to become healthy before the deploy counts as failed.
    pub health_deadline: Duration,
}

impl Config {
    /// 15 s, as Config Sync polls by default; a hosted repository does not wait for it.
    pub const POLL: Duration = Duration::from_secs(15);
    /// Five minutes, as Flux waits by default. A Deployment gives up by itself after ten.
    pub const HEALTH_DEADLINE: Duration = Duration::from_secs(300);
}
