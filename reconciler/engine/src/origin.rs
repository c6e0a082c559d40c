//! Where commits come from, hosted or foreign, and their compiled form. Everything here may block.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use ordain_reconciler_journal::AppRef;
use ordain_reconciler_source::{CommitId, Error, Hosted, Mirror, Repository, TreeFiles};

use crate::{CompileError, Compiled, Compiler, Config, Source, Wanted};

/// The repository that is followed.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// Ours: people push to it.
    Hosted { hosted: Hosted, branch: String },
    /// Somebody else's.
    Foreign(Mirror),
}

impl Origin {
    pub(crate) fn open(config: &Config) -> Result<Self, Error> {
        match &config.source {
            Source::Hosted { program, branch } => {
                let hosted = Hosted::open_or_create(&config.data_dir, program, branch)?;
                Ok(Self::Hosted {
                    hosted,
                    branch: branch.clone(),
                })
            }
            Source::Foreign(remote) => {
                let copy = config.data_dir.join("git").join("mirror.git");
                Ok(Self::Foreign(Mirror::of(&copy, remote.clone())?))
            }
        }
    }

    /// What to give to `git remote add`.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Hosted { hosted, .. } => hosted.path().display().to_string(),
            Self::Foreign(mirror) => mirror.url().to_owned(),
        }
    }

    pub(crate) fn branch(&self) -> &str {
        match self {
            Self::Hosted { branch, .. } => branch,
            Self::Foreign(mirror) => mirror.branch(),
        }
    }

    pub(crate) fn repository(&self) -> &Repository {
        match self {
            Self::Hosted { hosted, .. } => hosted.repository(),
            Self::Foreign(mirror) => mirror.repository(),
        }
    }

    /// True when a commit that does not compile may move the branch.
    pub(crate) fn receives_broken(&self) -> bool {
        match self {
            Self::Hosted { hosted, .. } => hosted.receives_broken(),
            Self::Foreign(_) => true,
        }
    }

    /// Looks at the branch now; `None` when nobody pushed anything yet.
    pub(crate) fn look(&self) -> Result<Option<CommitId>, Error> {
        match self {
            Self::Hosted { hosted, branch } => hosted
                .repository()
                .reference(&format!("refs/heads/{branch}")),
            Self::Foreign(mirror) => mirror.fetch().map(|fetched| Some(fetched.tip)),
        }
    }

    /// Where the branch was at the last look, without asking anybody.
    pub(crate) fn here(&self) -> Result<Option<CommitId>, Error> {
        match self {
            Self::Hosted { .. } => self.look(),
            Self::Foreign(mirror) => mirror.last(),
        }
    }

    /// Puts a commit of ours on the branch, unless the branch moved from `onto` in the meantime.
    pub(crate) fn publish(&self, onto: &CommitId, commit: &CommitId) -> Result<(), Error> {
        match self {
            Self::Hosted { hosted, branch } => {
                let reference = format!("refs/heads/{branch}");
                hosted
                    .repository()
                    .move_reference(&reference, onto, commit, "ordain rollback")
            }
            Self::Foreign(mirror) => mirror.push(commit),
        }
    }
}

impl Origin {
    /// Puts a commit of ours on a branch of its own at the remote, for somebody to merge it.
    pub(crate) fn propose(&self, branch: &str, commit: &CommitId) -> Result<(), Error> {
        match self {
            // Ours takes what we write.
            Self::Hosted { .. } => Ok(()),
            Self::Foreign(mirror) => mirror.propose(branch, commit),
        }
    }
}

type Outcome = Result<Arc<Compiled>, CompileError>;

/// Compiles commits, and remembers the last ones: a push is compiled before and after it is received.
#[derive(Clone)]
pub(crate) struct Compile {
    compiler: Arc<dyn Compiler>,
    wanted: Wanted,
    last: Arc<Mutex<Vec<(CommitId, Outcome)>>>,
}

impl Compile {
    /// Compiled commits that are kept.
    const KEPT: usize = 3;

    pub(crate) fn new(config: &Config) -> Self {
        // Of several clusters everything is compiled, and then chosen from.
        let one = config.env.is_none() && config.clusters.is_empty();
        let cluster = one.then(|| config.cluster.clone());
        let wanted = Wanted {
            env: config.env.clone(),
            cluster,
        };
        Self {
            compiler: Arc::clone(&config.compiler),
            wanted,
            last: Arc::default(),
        }
    }

    /// Who compiles.
    pub(crate) fn compiler(&self) -> &Arc<dyn Compiler> {
        &self.compiler
    }

    /// The files that an app is made from, when the compiler knows.
    pub(crate) fn inputs(&self, files: &Arc<TreeFiles>, app: &AppRef) -> Option<BTreeSet<String>> {
        self.compiler.inputs(files, &self.wanted, app)
    }

    /// Compiles a commit of a repository.
    pub(crate) fn commit(&self, repository: &Repository, id: &CommitId) -> Outcome {
        if let Some(known) = self.known(id) {
            return known;
        }
        let files = repository.files(id).map_err(|error| CompileError {
            may_pass: error.may_pass(),
            ..CompileError::new(format!("error: {}", crate::error::chain(&error)))
        })?;
        let outcome = self.files(&Arc::new(files));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == Self::KEPT {
            drop(last.remove(0));
        }
        last.push((id.clone(), outcome.clone()));
        outcome
    }

    fn known(&self, id: &CommitId) -> Option<Outcome> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter()
            .find(|(known, _)| known == id)
            .map(|(_, outcome)| outcome.clone())
    }

    fn files(&self, files: &Arc<TreeFiles>) -> Outcome {
        self.compiler.compile(files, &self.wanted).map(Arc::new)
    }

    /// Lets go of what was compiled, as nobody asked for a while.
    pub(crate) fn rest(&self) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.clear();
        self.compiler.rest();
    }

    /// The environments that are deployed, in words.
    pub(crate) fn wanted(&self) -> String {
        match (&self.wanted.env, &self.wanted.cluster) {
            (Some(env), _) => format!("environment `{env}`"),
            (None, Some(cluster)) => format!("an environment of cluster `{cluster}`"),
            (None, None) => "any environment".to_owned(),
        }
    }
}
