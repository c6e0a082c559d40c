//! What an app should be: one commit's objects for it, and what is told about that commit.

use std::sync::Arc;

use ordain_reconciler_journal::{AppRef, Digest, Rollback};
use ordain_reconciler_plan::Desired;
use ordain_reconciler_source::{Commit, trailer};
use serde_json::Value;

use crate::{App, CompiledObject, SecretFiles, progress::Rollout};

/// A commit in the words of the journal.
#[derive(Debug, Clone)]
pub(crate) struct CommitInfo {
    pub(crate) id: String,
    pub(crate) author: String,
    pub(crate) subject: String,
    pub(crate) rollback: Option<Rollback>,
    /// Hash of a plan that the commit itself approves, by the trailer `Approve-Plan`.
    pub(crate) approves: Option<String>,
}

impl From<&Commit> for CommitInfo {
    fn from(commit: &Commit) -> Self {
        let trailer = |key| trailer(&commit.message, key).map(str::to_owned);
        let rollback = trailer("Rollback-Of").zip(trailer("Rollback-To"));
        Self {
            id: commit.id.to_string(),
            author: commit.author.to_string(),
            subject: commit.summary().to_owned(),
            rollback: rollback.map(|(of, to)| Rollback { of, to }),
            approves: trailer("Approve-Plan"),
        }
    }
}

impl CommitInfo {
    /// The first ten digits.
    pub(crate) fn short(&self) -> &str {
        self.id.get(..10).unwrap_or(&self.id)
    }
}

/// What one app should be.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) app: AppRef,
    pub(crate) namespace: String,
    pub(crate) commit: CommitInfo,
    /// Empty when the commit no longer has the app.
    pub(crate) objects: Vec<CompiledObject>,
    /// The encrypted files that they name.
    pub(crate) secrets: Arc<SecretFiles>,
    pub(crate) rollout: Rollout,
}

impl Target {
    pub(crate) fn new(
        app: App,
        commit: CommitInfo,
        secrets: Arc<SecretFiles>,
        rollout: Rollout,
    ) -> Self {
        let App {
            name,
            env,
            namespace,
            objects,
        } = app;
        Self {
            app: AppRef { env, name },
            namespace,
            commit,
            objects,
            secrets,
            rollout,
        }
    }

    /// The owner's mark of its objects.
    pub(crate) fn owner(&self) -> String {
        self.app.to_string()
    }
}

/// The bytes under which a set of objects is stored: sorted, so that equal sets have one digest.
pub(crate) fn set_bytes(desired: &[Desired]) -> Vec<u8> {
    let mut desired: Vec<_> = desired.iter().collect();
    desired.sort_by(|a, b| a.key.cmp(&b.key));
    let objects = desired
        .into_iter()
        .map(|desired| desired.object.clone())
        .collect();
    ordain_reconciler_plan::canonical(&Value::Array(objects)).into_bytes()
}

/// The digest of a set of objects.
pub(crate) fn set_digest(desired: &[Desired]) -> Digest {
    Digest::of(&set_bytes(desired))
}
