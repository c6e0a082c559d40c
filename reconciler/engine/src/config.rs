//! What the engine has to be told. Nothing here is read from the environment.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use ordain_reconciler_plan::{Ignores, OnRemove};
use ordain_reconciler_source::{HookSecret, Remote, Signers, Verify};

use crate::{Compiler, Election, Host, Policy};

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
    Foreign(Remote),
}

/// Whose commits are deployed.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Which commits must be signed.
    pub verify: Verify,
    /// By whom.
    pub signers: Signers,
    /// Holds a branch whose history was rewritten until somebody approves the new tip.
    pub hold_rewrites: bool,
}

/// What holds for every app.
#[derive(Debug, Clone)]
pub struct Ownership {
    /// What happens to the objects of an app that is taken out of the repository.
    pub on_remove: OnRemove,
    /// Owners and other reconcilers which objects may be taken from; see `docs/annotations.md`.
    pub take_from: BTreeSet<String>,
    /// Fields that are left to others.
    pub ignores: Ignores,
}

impl Default for Ownership {
    /// Removed apps wait for an approval, nothing is taken from anybody, and the shipped rules alone hold.
    fn default() -> Self {
        Self {
            on_remove: OnRemove::Prune,
            take_from: BTreeSet::new(),
            ignores: Ignores::default(),
        }
    }
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
    /// Whose commits are deployed.
    pub trust: Trust,
    /// What holds for every app.
    pub ownership: Ownership,
    /// Where `/metrics`, `/healthz`, `/readyz` and `/hooks/git` are answered; nowhere when it is left out.
    pub listen: Option<SocketAddr>,
    /// What webhooks are signed with. Without it none is taken.
    pub hook_secret: Option<HookSecret>,
    /// The namespace of the reconciler's own objects (`App`, `Source`, `Request`); without it there are none.
    pub resources: Option<String>,
    /// How several reconcilers of one cluster agree on the one that writes; without it, this one does.
    pub election: Option<Election>,
    /// Other clusters by the names that environments give them; `cluster` is the name of `client`'s.
    pub clusters: BTreeMap<String, kube::Client>,
    /// The git host of a foreign repository: commit statuses, and requests to merge what a protected branch does not take.
    pub host: Option<Host>,
    /// Who may deploy what, and rules of health for custom kinds. Without it everything is allowed.
    pub policy: Option<Arc<Policy>>,
}

impl Config {
    /// What needs no choice: environments of the cluster `local`, commits of everybody, the usual pauses, no listener.
    #[must_use]
    pub fn new(
        client: kube::Client,
        data_dir: PathBuf,
        source: Source,
        compiler: Arc<dyn Compiler>,
    ) -> Self {
        Self {
            client,
            data_dir,
            source,
            compiler,
            cluster: "local".to_owned(),
            env: None,
            poll: Self::POLL,
            health_deadline: Self::HEALTH_DEADLINE,
            trust: Trust::default(),
            ownership: Ownership::default(),
            listen: None,
            hook_secret: None,
            resources: None,
            election: None,
            clusters: BTreeMap::new(),
            host: None,
            policy: None,
        }
    }

    /// 15 s, as Config Sync polls by default; a hosted repository does not wait for it.
    pub const POLL: Duration = Duration::from_secs(15);
    /// Five minutes, as Flux waits by default. A Deployment gives up by itself after ten.
    pub const HEALTH_DEADLINE: Duration = Duration::from_secs(300);
}
