//! What an app should be: one commit's objects for it, and what is told about that commit.

use std::sync::{Arc, Mutex, PoisonError};

use ordain_reconciler_journal::{AppRef, Digest, ObjectSet, Rollback, SignatureVerdict};
use ordain_reconciler_plan::{Desired, plain};
use ordain_reconciler_source::{Commit, trailer, trailers};

use crate::{App, CompiledObject, SecretFiles, progress::Rollout, words::short};

/// A commit in the words of the journal.
#[derive(Debug, Clone)]
pub(crate) struct CommitInfo {
    pub(crate) id: String,
    pub(crate) author: String,
    pub(crate) subject: String,
    pub(crate) rollback: Option<Rollback>,
    /// Hashes of plans that the commit itself approves, by trailers `Approve-Plan`.
    pub(crate) approves: Vec<String>,
    /// What a rollback's author said about it.
    pub(crate) reason: String,
    /// Whether it is signed, when that was checked.
    pub(crate) signature: Option<SignatureVerdict>,
    /// Who committed it, when that is not the author.
    pub(crate) committer: Option<String>,
    /// What the compiler was given.
    pub(crate) inputs: String,
}

impl From<&Commit> for CommitInfo {
    fn from(commit: &Commit) -> Self {
        let trailer = |key| trailer(&commit.message, key).map(str::to_owned);
        let rollback = trailer("Rollback-Of").zip(trailer("Rollback-To"));
        let reason = match &rollback {
            Some(_) => commit.body().to_owned(),
            None => String::new(),
        };
        Self {
            id: commit.id.to_string(),
            author: commit.author.to_string(),
            subject: commit.summary().to_owned(),
            rollback: rollback.map(|(of, to)| Rollback { of, to }),
            approves: trailers(&commit.message, "Approve-Plan")
                .map(str::to_owned)
                .collect(),
            reason,
            signature: None,
            committer: (commit.committer != commit.author).then(|| commit.committer.to_string()),
            inputs: format!("git-tree:{}", commit.tree),
        }
    }
}

impl CommitInfo {
    /// The first ten digits.
    pub(crate) fn short(&self) -> &str {
        short(&self.id)
    }
}

/// What one app should be.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) app: AppRef,
    pub(crate) namespace: String,
    pub(crate) commit: Arc<CommitInfo>,
    /// Without objects when the commit no longer has the app.
    compiled: Arc<App>,
    pub(crate) rollout: Rollout,
    /// True when the commit no longer has the app.
    pub(crate) is_removed: bool,
    /// The newest commit for which the app is the same as for `commit`, when there is one.
    at: Mutex<Option<Arc<str>>>,
}

impl Target {
    pub(crate) fn new(compiled: Arc<App>, commit: Arc<CommitInfo>, rollout: Rollout) -> Self {
        let app = compiled.reference();
        let namespace = compiled.namespace.clone();
        Self {
            app,
            namespace,
            commit,
            compiled,
            rollout,
            is_removed: false,
            at: Mutex::default(),
        }
    }

    /// Says whether the commit no longer has the app.
    pub(crate) fn removed(self, is_removed: bool) -> Self {
        Self { is_removed, ..self }
    }

    /// The same in a cluster, by its name.
    pub(crate) fn on(self, cluster: &str) -> Self {
        let compiled = App::clone(&self.compiled).on(Some(cluster.to_owned()));
        let compiled = Arc::new(compiled);
        Self { compiled, ..self }
    }

    /// The newest commit for which this is what the app should be.
    pub(crate) fn at(&self) -> String {
        let at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        at.as_deref().unwrap_or(&self.commit.id).to_owned()
    }

    /// Takes note of a newer commit that has the same objects.
    pub(crate) fn moved_on(&self, commit: &Arc<str>) {
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        *at = Some(Arc::clone(commit));
    }

    /// Its objects; none when the commit no longer has the app.
    pub(crate) fn objects(&self) -> Vec<CompiledObject> {
        self.compiled.objects()
    }

    /// True when it has none.
    pub(crate) fn is_empty(&self) -> bool {
        self.compiled.is_empty()
    }

    /// The cluster that its environment names.
    pub(crate) fn cluster(&self) -> Option<&str> {
        self.compiled.cluster.as_deref()
    }

    /// The encrypted files that they name.
    pub(crate) fn secrets(&self) -> &Arc<SecretFiles> {
        &self.compiled.secrets
    }

    /// The digest of what the app should be.
    pub(crate) fn digest(&self) -> Digest {
        self.compiled.digest()
    }

    /// The owner's mark of its objects.
    pub(crate) fn owner(&self) -> String {
        self.app.to_string()
    }
}

/// The set of objects as it is stored: sorted, so that equal sets have one digest.
pub(crate) fn object_set(desired: &[Desired]) -> ObjectSet {
    let mut desired: Vec<_> = desired.iter().collect();
    desired.sort_by(|a, b| a.key.cmp(&b.key));
    let texts = desired
        .into_iter()
        .map(|desired| ordain_reconciler_plan::canonical(&plain(&desired.object)));
    ObjectSet::new(texts)
}

/// The digest of a set of objects.
pub(crate) fn set_digest(desired: &[Desired]) -> Digest {
    object_set(desired).digest()
}
