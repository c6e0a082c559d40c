//! What is written to the log. Names and shapes here are a file format: fields may be added, not renamed.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::Digest;

/// One app in one environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// Written durably before the first write of a deploy. The record's number names the deploy.
    Intent {
        /// Which app.
        #[serde(flatten)]
        app: AppRef,
        /// The commit.
        commit: String,
        /// Its author.
        author: String,
        /// The first line of its message.
        subject: String,
        /// The compiled objects.
        set: Digest,
        /// Everything that may exist in the cluster from here on: old objects and new ones.
        inventory: Digest,
        /// The plan's hash.
        plan: String,
        /// What the plan does.
        counts: Counts,
        /// Set when the commit is a rollback.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rollback: Option<Rollback>,
        /// Facts for later readers; unknown keys are kept.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        facts: BTreeMap<String, String>,
    },
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
    },
    /// The cluster differed from what was applied, and was put right.
    Drift {
        /// Which app.
        #[serde(flatten)]
        app: AppRef,
        /// One line per object: what differed, and which manager wrote it.
        objects: Vec<String>,
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
