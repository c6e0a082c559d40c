//! What is written to the log. Names and shapes here are a file format: fields may be added, not renamed.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::Digest;

/// One app in one environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AppRef {
    /// The environment's name.
    pub env: String,
    /// The app's name.
    pub name: String,
}

impl fmt::Display for AppRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.env, self.name)
    }
}

/// How many objects a plan touches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Objects to create.
    pub create: usize,
    /// Objects to change.
    pub update: usize,
    /// Objects to delete.
    pub delete: usize,
    /// Objects that stay as they are.
    pub unchanged: usize,
}

/// Says that a deploy goes back to an earlier commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// The commit that is undone.
    pub of: String,
    /// The commit whose state comes back.
    pub to: String,
}

/// How a deploy went on. A deploy has several outcomes over time; the last one counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Outcome {
    /// Every write was accepted; health is awaited.
    Applied,
    /// Every object is healthy.
    Healthy,
    /// Something was refused, or did not become healthy in time.
    Failed {
        /// One line per object or cause.
        reasons: Vec<String>,
    },
    /// A newer commit took over before this one was done.
    Superseded {
        /// The newer commit.
        by: String,
    },
    /// A part of the plan waits for an approval.
    Blocked {
        /// One line per reason.
        reasons: Vec<String>,
    },
}

/// What a check of a commit's signature came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureVerdict {
    /// `good`; `bad: ` and why; `unsigned`; or `unchecked` when there is a signature and no policy that asks for one.
    pub verdict: String,
    /// Who signed, or the key's fingerprint, when that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// `ssh` or `pgp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
}

/// The key of [`Intent::facts`] for the uid of the cluster that the inventory is about.
pub const CLUSTER_FACT: &str = "cluster";

/// Written durably before the first write of a deploy. Its record's number names the deploy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Which app.
    #[serde(flatten)]
    pub app: AppRef,
    /// The commit.
    pub commit: String,
    /// Its author.
    pub author: String,
    /// The first line of its message.
    pub subject: String,
    /// The compiled objects: a set stored by [`crate::Batch::put_set`].
    pub set: Digest,
    /// Everything that may exist in the cluster from here on: old objects and new ones.
    pub inventory: Digest,
    /// The plan's hash; empty when the commit was refused before anything was planned.
    pub plan: String,
    /// What the plan does.
    pub counts: Counts,
    /// Set when the commit is a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// Why this deploy: `commit`, or what the person who asked for it said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Who brought the commit here, as far as the way it came by tells: the local user who pushed it or asked for it, a
    /// user of the API server by its own word, or the reconciler itself. None when it was fetched from elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Who committed it, when that is not the author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committer: Option<String>,
    /// Whether the commit is signed, and by whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureVerdict>,
    /// Which compiler made the objects.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub compiler: String,
    /// What it was given: `git-tree:` and the name of the commit's tree.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub inputs: String,
    /// Who approved the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<String>,
    /// Facts for later readers; unknown keys are kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
}

/// One object that was written or deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectWrite {
    /// The object, as `apps/Deployment shop/web`.
    pub object: String,
    /// `create`, `update`, `replace`, `delete`, `adopt`.
    pub verb: String,
    /// Its UID.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// Its resource version before; none when it did not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Its resource version after; none when it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// One object that somebody else changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftedObject {
    /// The object, as `apps/Deployment shop/web`.
    pub object: String,
    /// The fields that differed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// The field managers that wrote them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managers: Vec<String>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A branch moved.
    Commit {
        /// The repository's path or URL.
        repository: String,
        /// The branch.
        branch: String,
        /// Its tip before, if it was known.
        from: Option<String>,
        /// Its tip now.
        commit: String,
        /// True when `from` is not in the history of `commit`.
        rewritten: bool,
    },
    /// A commit did not compile; nothing was done.
    Rejected {
        /// The commit.
        commit: String,
        /// Rendered compile errors.
        errors: String,
    },
    /// A deploy begins.
    Intent(Box<Intent>),
    /// How a deploy went on.
    Outcome {
        /// Number of the intent.
        deploy: u64,
        /// Which app.
        #[serde(flatten)]
        app: AppRef,
        /// How it went.
        outcome: Outcome,
        /// What is in the cluster now, when that changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inventory: Option<Digest>,
        /// The objects that were written or deleted since the record before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        writes: Vec<ObjectWrite>,
    },
    /// The cluster differed from what was applied, and was put right.
    Drift {
        /// Which app.
        #[serde(flatten)]
        app: AppRef,
        /// One line per object: what differed, and which manager wrote it.
        objects: Vec<String>,
        /// The same for programs.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changes: Vec<DriftedObject>,
    },
    /// Nothing is written for an app, or for any, until somebody resumes it or the time is over.
    Suspend {
        /// Which app; none means all of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        app: Option<AppRef>,
        /// Who.
        by: String,
        /// Why, possibly empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
        /// When it ends by itself, in milliseconds since 1970-01-01 UTC.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until_ms: Option<i64>,
    },
    /// A suspension was lifted.
    Resume {
        /// Which app's; none means that of all apps.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        app: Option<AppRef>,
        /// Who.
        by: String,
    },
    /// A commit is not deployed for this app any more, and earlier objects take its place.
    Quarantine {
        /// Which app.
        #[serde(flatten)]
        app: AppRef,
        /// The commit.
        commit: String,
        /// What its objects are, as they were compiled: a later commit with the same ones is held too.
        objects: Digest,
        /// The commit whose objects come back.
        to: String,
        /// Those objects, when the journal has them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        restores: Option<Digest>,
        /// The rollback commit, when one could be written. It may not be on the branch yet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rollback: Option<String>,
        /// Why, one line each.
        reasons: Vec<String>,
        /// Who asked for it.
        by: String,
    },
    /// A quarantine ended, because of a newer commit.
    Lifted {
        /// Which app.
        #[serde(flatten)]
        app: AppRef,
        /// The commit that was held.
        commit: String,
        /// The newer commit.
        by: String,
    },
    /// A commit waits for a sync window.
    Waiting {
        /// Which app.
        #[serde(flatten)]
        app: AppRef,
        /// The commit.
        commit: String,
        /// For what.
        reason: String,
    },
    /// Somebody allowed a blocked plan.
    Approval {
        /// The plan's hash.
        plan: String,
        /// Who.
        by: String,
    },
    /// An object that somebody else made, or a live edit of one, was taken over.
    Adopted {
        /// Which app.
        #[serde(flatten)]
        app: AppRef,
        /// The object, as `apps/Deployment shop/web`.
        object: String,
        /// Whose it was: field managers.
        from: Vec<String>,
        /// The commit that took a live edit into the sources, when it was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commit: Option<String>,
    },
    /// Old records were cut off; the hash says what the first one left is chained to.
    Compacted {
        /// The last record that is gone.
        through: u64,
        /// Its hash.
        head: Digest,
        /// Who or what asked.
        by: String,
    },
    /// A fact of an area that has no event of its own.
    Note {
        /// Which app, when it is about one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        only: Option<AppRef>,
        /// What it is about, in one word.
        topic: String,
        /// What happened, in a sentence.
        text: String,
        /// For programs.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        facts: BTreeMap<String, String>,
    },
    /// Written by a newer version. It is kept, and its bytes are still covered by the chain.
    #[serde(other)]
    Unknown,
}

impl Event {
    /// The app it is about, when it is about one.
    #[must_use]
    pub fn app(&self) -> Option<&AppRef> {
        match self {
            Self::Intent(intent) => Some(&intent.app),
            Self::Outcome { app, .. }
            | Self::Drift { app, .. }
            | Self::Quarantine { app, .. }
            | Self::Lifted { app, .. }
            | Self::Waiting { app, .. }
            | Self::Adopted { app, .. } => Some(app),
            Self::Suspend { app, .. } | Self::Resume { app, .. } => app.as_ref(),
            Self::Note { only, .. } => only.as_ref(),
            Self::Commit { .. }
            | Self::Rejected { .. }
            | Self::Approval { .. }
            | Self::Compacted { .. }
            | Self::Unknown => None,
        }
    }
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number, from 1 without gaps.
    pub seq: u64,
    /// Milliseconds since 1970-01-01 UTC.
    pub time_ms: i64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}
