//! Requests and answers. Both ends are always the same program, so the format may change freely.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{JournalAnswer, JournalAsk};
use crate::{Applied, HistoryRow, OwnRules, Preview, Status, WhyNode};

/// One reference that a push moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookUpdate {
    /// Its commit before; `None` when the push creates it.
    pub old: Option<String>,
    /// Its commit after; `None` when the push deletes it.
    pub new: Option<String>,
    /// The full reference name.
    pub reference: String,
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Request {
    /// How every app stands.
    Status,
    /// The deploys of an app.
    History {
        /// The app's name.
        app: String,
        /// Its environment; may be left out when it is in one only.
        env: Option<String>,
        /// At most so many, the newest; none means all of them, for which the whole log is read.
        #[serde(default)]
        limit: Option<usize>,
    },
    /// Restore an app to an earlier commit, by a new commit.
    Rollback {
        /// The app's name.
        app: String,
        /// Its environment; may be left out when it is in one only.
        env: Option<String>,
        /// A commit, branch, tag, time, or `last-healthy`.
        to: String,
        /// Why.
        reason: String,
        /// Who, as `Name <address>`.
        author: String,
        /// Sign the commit with the journal's key.
        #[serde(default)]
        sign: bool,
        /// Answer lines until the rollback is healthy or failed.
        wait: bool,
    },
    /// Restore the whole repository to an earlier commit, by a new commit.
    RollbackAll {
        /// A commit, branch, tag, time, or `last-healthy`.
        to: String,
        /// Why.
        reason: String,
        /// Who, as `Name <address>`.
        author: String,
        /// Sign the commit with the journal's key.
        sign: bool,
        /// Answer lines until the rollback is healthy or failed.
        wait: bool,
    },
    /// Allow the plan of an app that waits.
    ApproveApp {
        /// The app's name, or a plan's hash or the beginning of one.
        plan: String,
        /// Its environment; may be left out when it is in one only.
        env: Option<String>,
        /// Who.
        author: String,
    },
    /// Write nothing of an app any more.
    Suspend {
        /// The app's name; none means all of them.
        app: Option<String>,
        /// Its environment; may be left out when it is in one only.
        env: Option<String>,
        /// Why, possibly empty.
        reason: String,
        /// When it ends by itself, in milliseconds since 1970-01-01 UTC.
        until_ms: Option<i64>,
        /// Who.
        author: String,
    },
    /// End a suspension.
    Resume {
        /// The app's name; none means the suspension of all of them.
        app: Option<String>,
        /// Its environment; may be left out when it is in one only.
        env: Option<String>,
        /// Who.
        author: String,
    },
    /// Look at the repository now, and compare everything of an app.
    SyncApp {
        /// The app's name; none means all of them.
        app: Option<String>,
        /// Its environment; may be left out when it is in one only.
        env: Option<String>,
        /// Answer lines until it is healthy or failed.
        wait: bool,
    },
    /// Make a live edit of an object a change of its source.
    Adopt {
        /// The object, as `kind/name` or `kind/namespace/name`.
        object: String,
        /// The fields; none means every declared field that differs.
        fields: Vec<String>,
        /// The environment; may be left out when the object is in one only.
        env: Option<String>,
        /// Why, possibly empty.
        reason: String,
        /// Who, as `Name <address>`.
        author: String,
        /// Answer the change of the source, and write nothing.
        dry_run: bool,
    },
    /// Allow a blocked plan.
    Approve {
        /// The plan's hash.
        plan: String,
        /// Who.
        author: String,
    },
    /// Why an app is not as it should be.
    Why {
        /// The app's name.
        app: String,
        /// Its environment; may be left out when it is in one only.
        env: Option<String>,
        /// One object of it: `NAME` or `KIND/NAME`.
        object: Option<String>,
    },
    /// What would be done now.
    Plan {
        /// Only this app.
        app: Option<String>,
        /// Only this environment.
        env: Option<String>,
    },
    /// What is applied.
    Applied,
    /// The rules that hold for every app.
    Rules,
    /// A question to the journal.
    Journal {
        /// What is asked.
        question: JournalAsk,
    },
    /// Look at the repository now.
    Sync,
    /// Compare every object of an app with the cluster now, although nothing was heard of a change.
    Compare {
        /// The app's name.
        app: String,
        /// Its environment; may be left out when it is in one only.
        env: Option<String>,
    },
    /// A git hook is running.
    Hook {
        /// `pre-receive` or `post-receive`.
        stage: String,
        /// What the push moves.
        updates: Vec<HookUpdate>,
        /// Where git keeps the pushed objects until the hook agreed.
        quarantine: Option<PathBuf>,
    },
}

impl Request {
    /// True when nothing is changed by answering it: then a reconciler that stands by answers too.
    pub(crate) fn only_reads(&self) -> bool {
        if let Self::Journal { question } = self {
            return question.only_reads();
        }
        matches!(
            self,
            Self::Status
                | Self::History { .. }
                | Self::Why { .. }
                | Self::Plan { .. }
                | Self::Applied
                | Self::Rules
                | Self::Sync
        )
    }
}

/// What can be answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "response", rename_all = "kebab-case")]
pub enum Response {
    /// A line for the user.
    Line {
        /// Without its end.
        text: String,
    },
    /// The answer to [`Request::Status`].
    Status {
        /// How every app stands.
        status: Status,
    },
    /// The answer to [`Request::History`].
    History {
        /// Oldest first.
        deploys: Vec<HistoryRow>,
    },
    /// The answer to [`Request::Why`].
    Why {
        /// The app or object, and below it what stands in its way.
        tree: WhyNode,
    },
    /// The answer to [`Request::Plan`].
    Plans {
        /// By environment and app.
        plans: Vec<Preview>,
    },
    /// The answer to [`Request::Applied`].
    Applied {
        /// By environment and app.
        apps: Vec<Applied>,
    },
    /// The answer to [`Request::Rules`].
    Rules {
        /// The rules.
        rules: OwnRules,
    },
    /// A piece of the answer to [`Request::Journal`].
    Journal {
        /// The piece.
        answer: JournalAnswer,
    },
    /// A commit was written.
    Commit {
        /// Its full name.
        commit: String,
    },
    /// The end.
    Done {
        /// False when a push is refused or a rollout failed.
        ok: bool,
    },
    /// The request failed; the end too.
    Error {
        /// What and why.
        message: String,
    },
}
