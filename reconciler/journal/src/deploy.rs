//! The log read as history: one row per deploy, with its last outcome. A pure fold over records.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    AppRef, CLUSTER_FACT, Counts, Digest, Event, Intent, Outcome, Record, Rollback, holds::Holds,
};

/// Where a deploy stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// The intent was written; nothing is known about the writes. After a crash this is what is left.
    Started,
    /// Every write was accepted; health is awaited.
    Applied,
    /// Every object was healthy.
    Healthy,
    /// Something was refused, or did not become healthy.
    Failed {
        /// One line per object or cause.
        reasons: Vec<String>,
    },
    /// A newer commit took over.
    Superseded {
        /// The newer commit.
        by: String,
    },
    /// A part of the plan waits for an approval.
    Blocked {
        /// One line per reason.
        reasons: Vec<String>,
    },
    /// A later rollback undid it.
    RolledBack {
        /// The rollback commit.
        by: String,
    },
}

impl From<Outcome> for State {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Applied => Self::Applied,
            Outcome::Healthy => Self::Healthy,
            Outcome::Failed { reasons } => Self::Failed { reasons },
            Outcome::Superseded { by } => Self::Superseded { by },
            Outcome::Blocked { reasons } => Self::Blocked { reasons },
        }
    }
}

/// One deploy of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deploy {
    /// Number of its intent in the log.
    pub id: u64,
    /// Which deploy of this app it is, from 1 without gaps.
    pub number: u64,
    /// Which app.
    #[serde(flatten)]
    pub app: AppRef,
    /// The commit.
    pub commit: String,
    /// Its author.
    pub author: String,
    /// The first line of its message.
    pub subject: String,
    /// When it started, in milliseconds since 1970-01-01 UTC.
    pub started_ms: i64,
    /// When its state last changed.
    pub changed_ms: i64,
    /// The compiled objects.
    pub set: Digest,
    /// The plan's hash; empty when it was refused before anything was planned.
    pub plan: String,
    /// What the plan did.
    pub counts: Counts,
    /// Why it was deployed, when that is more than a commit.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Who asked for it, when that is not the author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Set when the commit is a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// True when it was healthy at some time: a place to roll back to.
    pub was_healthy: bool,
    /// True when every write of it was accepted at some time: what it declares is what was applied, healthy or not.
    #[serde(default)]
    pub was_applied: bool,
    /// Where it stands.
    #[serde(flatten)]
    pub state: State,
}

impl Deploy {
    fn new(record: &Record, intent: &Intent, number: u64) -> Self {
        Self {
            id: record.seq,
            number,
            app: intent.app.clone(),
            commit: intent.commit.clone(),
            author: intent.author.clone(),
            subject: intent.subject.clone(),
            started_ms: record.time_ms,
            changed_ms: record.time_ms,
            set: intent.set,
            plan: intent.plan.clone(),
            counts: intent.counts,
            reason: intent.reason.clone(),
            actor: intent.actor.clone(),
            rollback: intent.rollback.clone(),
            was_healthy: false,
            was_applied: false,
            state: State::Started,
        }
    }

    /// True when something was planned: a commit that was refused as a whole never reached the cluster.
    #[must_use]
    pub fn was_planned(&self) -> bool {
        !self.plan.is_empty()
    }
}

/// Returns the deploy to go back to: the last that was healthy, has other objects than the one that
/// stands, and was not undone already.
#[must_use]
pub fn last_healthy(rows: &[Deploy]) -> Option<&Deploy> {
    let (current, before) = rows.split_last()?;
    before.iter().rev().find(|row| {
        row.was_healthy && row.set != current.set && !matches!(row.state, State::RolledBack { .. })
    })
}

/// What the log says about one app.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct AppLog {
    /// Oldest first. All of them while a history is read; at rest the few that are asked for often.
    pub(crate) deploys: Vec<Deploy>,
    /// How many there were.
    pub(crate) count: u64,
    pub(crate) inventory: Option<Digest>,
    /// The cluster that the inventory is about.
    #[serde(default)]
    pub(crate) cluster: Option<Box<str>>,
}

impl AppLog {
    pub(crate) fn add(&mut self, record: &Record) {
        match &record.event {
            Event::Intent(intent) => self.begin(record, intent),
            Event::Outcome {
                deploy,
                outcome,
                inventory,
                ..
            } => {
                if inventory.is_some() {
                    self.inventory = *inventory;
                }
                let row = self.deploys.iter_mut().rev().find(|row| row.id == *deploy);
                if let Some(row) = row {
                    row.state = outcome.clone().into();
                    row.was_healthy |= *outcome == Outcome::Healthy;
                    row.was_applied |= matches!(
                        outcome,
                        Outcome::Applied | Outcome::Healthy | Outcome::Blocked { .. }
                    );
                    row.changed_ms = record.time_ms;
                }
            }
            _ => {}
        }
    }

    fn begin(&mut self, record: &Record, intent: &Intent) {
        self.inventory = Some(intent.inventory);
        if let Some(uid) = intent.facts.get(CLUSTER_FACT) {
            self.cluster = Some(uid.as_str().into());
        }
        if let Some(rollback) = &intent.rollback {
            // The undone commit and everything between it and the one that comes back; when that one
            // was never deployed here, the undone commit alone.
            let last = |commit: &str| self.deploys.iter().rposition(|row| row.commit == commit);
            let from = last(&rollback.to)
                .map(|at| at + 1)
                .or_else(|| last(&rollback.of));
            for deploy in self.deploys.iter_mut().skip(from.unwrap_or(usize::MAX)) {
                deploy.state = State::RolledBack {
                    by: intent.commit.clone(),
                };
                deploy.changed_ms = record.time_ms;
            }
        }
        self.count += 1;
        self.deploys.push(Deploy::new(record, intent, self.count));
    }

    /// Forgets all rows but the last one, the last that reached the cluster and the last healthy one: the
    /// others are read when asked for.
    fn trim(&mut self) {
        let last = self.deploys.len().saturating_sub(1);
        let healthy = self.deploys.iter().rposition(|row| row.was_healthy);
        let planned = self.deploys.iter().rposition(Deploy::was_planned);
        let mut at = 0;
        self.deploys.retain(|_| {
            at += 1;
            at - 1 == last || Some(at - 1) == healthy || Some(at - 1) == planned
        });
        self.deploys.shrink_to_fit();
    }
}

/// What is kept of a log in memory, and in its state files.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Index {
    #[serde(with = "by_app")]
    pub(crate) apps: BTreeMap<AppRef, AppLog>,
    #[serde(default)]
    tips: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    pub(crate) approvals: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) holds: Holds,
    /// Records up to this one are gone on purpose.
    #[serde(default)]
    pub(crate) compacted: u64,
    /// When the last record was written.
    #[serde(default)]
    pub(crate) time_ms: i64,
}

/// JSON knows text keys only, so a map by app is a list of pairs.
pub(crate) mod by_app {
    use super::{AppRef, BTreeMap};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<T: Serialize, S: Serializer>(
        apps: &BTreeMap<AppRef, T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(apps)
    }

    pub(crate) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<AppRef, T>, D::Error> {
        let pairs = Vec::<(AppRef, T)>::deserialize(deserializer)?;
        Ok(pairs.into_iter().collect())
    }
}

impl Index {
    pub(crate) fn tip(&self, repository: &str, branch: &str) -> Option<&str> {
        self.tips.get(repository)?.get(branch).map(String::as_str)
    }

    /// Gives back the room that reading left in lists: a list of one row was made for four, a kilobyte for each app.
    pub(crate) fn shrink(&mut self) {
        let logs = self.apps.values_mut();
        logs.for_each(|log| log.deploys.shrink_to_fit());
    }

    pub(crate) fn add(&mut self, record: &Record) {
        self.time_ms = self.time_ms.max(record.time_ms);
        match &record.event {
            Event::Commit {
                repository,
                branch,
                commit,
                ..
            } => {
                let branches = self.tips.entry(repository.clone()).or_default();
                branches.insert(branch.clone(), commit.clone());
            }
            Event::Approval { plan, by } => {
                self.approvals.insert(plan.clone(), by.clone());
            }
            Event::Compacted { through, .. } => self.compacted = self.compacted.max(*through),
            Event::Intent(intent) => {
                let log = self.apps.entry(intent.app.clone()).or_default();
                log.add(record);
                log.trim();
            }
            Event::Outcome { app, .. } => {
                if let Some(log) = self.apps.get_mut(app) {
                    log.add(record);
                    log.trim();
                }
            }
            Event::Suspend { .. }
            | Event::Resume { .. }
            | Event::Quarantine { .. }
            | Event::Lifted { .. } => self.holds.add(record),
            Event::Rejected { .. }
            | Event::Drift { .. }
            | Event::Waiting { .. }
            | Event::Adopted { .. }
            | Event::Note { .. }
            | Event::Unknown => {}
        }
    }
}
