//! What the engine tells about itself; the JSON of `ordain status` and `ordain history`.

use ordain_reconciler_journal::{Counts, Rollback, State};
use serde::{Deserialize, Serialize};

use crate::Hold;

/// How far an app's objects are from the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sync {
    /// Nothing is known yet.
    Unknown,
    /// Writes are under way, or wait for something.
    Applying,
    /// Every write was accepted; not everything is healthy.
    Applied,
    /// The cluster has what the commit declares, and everything is healthy.
    Synced,
    /// A part could not be applied or deleted; the rest was, and it is tried again.
    OutOfSync,
    /// A part of the plan waits for an approval.
    Blocked,
    /// Somebody suspended it, or its first commit waits: nothing is written.
    Suspended,
    /// Nothing of it could be applied; it is tried again.
    Failed,
}

/// One object of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectStatus {
    /// Its API group, empty for the core group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace, unless it is cluster-wide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// `healthy`, `progressing`, `degraded`, `suspended`, `missing` or `unknown`.
    pub health: String,
    /// Why, unless it is healthy.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// One app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppStatus {
    /// Its name.
    pub name: String,
    /// Its environment.
    pub env: String,
    /// Its namespace.
    pub namespace: String,
    /// The cluster it is deployed to, by the name that environments give it.
    #[serde(default)]
    pub cluster: String,
    /// The commit it is at, or on its way to.
    pub commit: String,
    /// The commit that it was deployed from: an earlier one, when those since then changed nothing of it. Not known
    /// before it was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployed: Option<String>,
    /// How far its objects are from the commit.
    pub sync: Sync,
    /// The worst health of its objects.
    pub health: String,
    /// Why, unless it is healthy and synced.
    pub message: String,
    /// Its objects.
    pub objects: Vec<ObjectStatus>,
    /// What people should know although nothing failed: fields taken from others, fights, pauses, deletions that
    /// take long.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Where commits come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// The path or URL.
    pub repository: String,
    /// The branch.
    pub branch: String,
    /// Its tip, when it has one.
    pub commit: Option<String>,
    /// Why the tip is not deployed, when it is not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// The answer to `ordain status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Every app, by environment and name.
    pub apps: Vec<AppStatus>,
    /// Commits that are held from apps, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
    /// Where they come from.
    pub source: SourceStatus,
}

/// One deploy of one app, for `ordain history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// Number of its intent in the journal.
    pub id: u64,
    /// Which deploy of this app it is, from 1 without gaps.
    #[serde(default)]
    pub number: u64,
    /// Why it was deployed, when that is more than a commit.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Who asked for it, when that is not the author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The app.
    pub app: String,
    /// Its environment.
    pub env: String,
    /// The commit.
    pub commit: String,
    /// Who wrote it.
    pub author: String,
    /// The first line of its message.
    pub subject: String,
    /// When the deploy started, RFC 3339 in UTC.
    pub time: String,
    /// The plan's hash.
    pub plan: String,
    /// The object set's digest.
    pub set: String,
    /// What the plan did.
    pub counts: Counts,
    /// Set when the commit is a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// True when it was healthy at some time.
    pub was_healthy: bool,
    /// Where it stands: `state` and its details.
    #[serde(flatten)]
    pub state: State,
}
