//! The log read as history: one row per deploy, with its last outcome. A pure fold over records.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{AppRef, Counts, Digest, Event, Outcome, Record, Rollback, holds::Holds};

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
    /// The plan's hash.
    pub plan: String,
    /// What the plan did.
    pub counts: Counts,
    /// Set when the commit is a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// True when it was healthy at some time: a place to roll back to.
    pub was_healthy: bool,
    /// Where it stands.
    #[serde(flatten)]
    pub state: State,
}

/// What the log says about one app.
#[derive(Debug, Default)]
pub(crate) struct AppLog {
    pub(crate) deploys: Vec<Deploy>,
    pub(crate) inventory: Option<Digest>,
}

/// All apps of a log.
#[derive(Debug, Default)]
pub(crate) struct Index {
    apps: BTreeMap<AppRef, AppLog>,
    tips: BTreeMap<(String, String), String>,
    approvals: BTreeSet<String>,
    pub(crate) holds: Holds,
}

impl Index {
    pub(crate) fn app(&self, app: &AppRef) -> Option<&AppLog> {
        self.apps.get(app)
    }

    pub(crate) fn apps(&self) -> impl Iterator<Item = (&AppRef, &AppLog)> {
        self.apps.iter()
    }

    pub(crate) fn tip(&self, repository: &str, branch: &str) -> Option<&str> {
        self.tips
            .get(&(repository.to_owned(), branch.to_owned()))
            .map(String::as_str)
    }

    pub(crate) fn approvals(&self) -> &BTreeSet<String> {
        &self.approvals
    }

    pub(crate) fn add(&mut self, record: &Record) {
        match &record.event {
            Event::Commit {
                repository,
                branch,
                commit,
                ..
            } => {
                self.tips
                    .insert((repository.clone(), branch.clone()), commit.clone());
            }
            Event::Intent {
                app,
                commit,
                author,
                subject,
                set,
                inventory,
                plan,
                counts,
                rollback,
                ..
            } => {
                let log = self.apps.entry(app.clone()).or_default();
                log.inventory = Some(*inventory);
                if let Some(rollback) = rollback {
                    // The undone commit and everything between it and the one that comes back; when
                    // that one was never deployed here, the undone commit alone.
                    let last =
                        |commit: &str| log.deploys.iter().rposition(|row| row.commit == commit);
                    let from = last(&rollback.to)
                        .map(|at| at + 1)
                        .or_else(|| last(&rollback.of));
                    for deploy in log.deploys.iter_mut().skip(from.unwrap_or(usize::MAX)) {
                        deploy.state = State::RolledBack { by: commit.clone() };
                        deploy.changed_ms = record.time_ms;
                    }
                }
                log.deploys.push(Deploy {
                    id: record.seq,
                    app: app.clone(),
                    commit: commit.clone(),
                    author: author.clone(),
                    subject: subject.clone(),
                    started_ms: record.time_ms,
                    changed_ms: record.time_ms,
                    set: *set,
                    plan: plan.clone(),
                    counts: *counts,
                    rollback: rollback.clone(),
                    was_healthy: false,
                    state: State::Started,
                });
            }
            Event::Outcome {
                deploy,
                app,
                outcome,
                inventory,
            } => {
                let Some(log) = self.apps.get_mut(app) else {
                    return;
                };
                if inventory.is_some() {
                    log.inventory = *inventory;
                }
                let row = log.deploys.iter_mut().rev().find(|row| row.id == *deploy);
                if let Some(row) = row {
                    row.state = outcome.clone().into();
                    row.was_healthy |= *outcome == Outcome::Healthy;
                    row.changed_ms = record.time_ms;
                }
            }
            Event::Approval { plan, .. } => {
                self.approvals.insert(plan.clone());
            }
            Event::Suspend { .. }
            | Event::Resume { .. }
            | Event::Quarantine { .. }
            | Event::Lifted { .. } => self.holds.add(record),
            Event::Rejected { .. } | Event::Drift { .. } | Event::Waiting { .. } => {}
        }
    }
}
