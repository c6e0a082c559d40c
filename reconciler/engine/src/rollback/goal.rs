//! Where a rollback goes: a commit, a time, or the last deploy that was healthy.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use ordain_reconciler_journal::{AppRef, Deploy, Digest, Journal, State, last_healthy};
use ordain_reconciler_source::CommitId;

use crate::{Error, engine::blocking, requests::Requests, shared::now_ms};

/// What `--to` may say instead of a commit or time.
const LAST_HEALTHY: &str = "last-healthy";

/// Digits of a commit that are enough to find it in the journal.
const DIGITS_MIN: usize = 7;

/// Where to go.
#[derive(Debug, Clone)]
pub(super) struct Goal {
    /// The commit, by its full name.
    pub(super) name: String,
    /// The same, when the repository still has it.
    pub(super) commit: Option<CommitId>,
    /// The objects that it had, when it was deployed.
    pub(super) set: Option<Digest>,
}

impl Requests {
    /// Finds out what `--to` means for an app.
    pub(super) async fn goal(&self, app: &AppRef, to: &str) -> Result<Goal, Error> {
        if to == LAST_HEALTHY {
            let rows = self.rows(app, |rows| last_healthy(rows).is_some()).await?;
            let row = last_healthy(&rows).ok_or_else(|| Error::NeverHealthy {
                app: app.to_string(),
            })?;
            return Ok(self.deployed(row).await);
        }
        if let Some(time) = past(to, now_ms()) {
            let rows = self.rows(app, move |rows| in_force(rows, time).is_some());
            let rows = rows.await?;
            let row = in_force(&rows, time).ok_or_else(|| Error::NotThen {
                app: app.to_string(),
                time: to.to_owned(),
            })?;
            return Ok(self.deployed(row).await);
        }
        let (origin, revision) = (self.origin.clone(), to.to_owned());
        match blocking(move || origin.repository().resolve(&revision)).await {
            Ok(commit) => {
                let name = commit.to_string();
                let is_it = move |row: &Deploy| row.commit == name;
                let rows = self.rows(app, {
                    let is_it = is_it.clone();
                    move |rows| rows.iter().any(&is_it)
                });
                let rows = rows.await?;
                let set = rows.iter().rev().find(|row| is_it(row));
                Ok(Goal {
                    name: commit.to_string(),
                    set: set.map(|row| row.set),
                    commit: Some(commit),
                })
            }
            // Gone from the repository, by a rewritten branch or a collection; the journal remembers.
            Err(error) => {
                let digits = to.to_owned();
                let is_it = move |row: &Deploy| {
                    digits.len() >= DIGITS_MIN && row.commit.starts_with(&digits)
                };
                let rows = self.rows(app, {
                    let is_it = is_it.clone();
                    move |rows| rows.iter().any(&is_it)
                });
                let rows = rows.await?;
                let row = rows.iter().rev().find(|row| is_it(row));
                let row = row.ok_or(error)?;
                Ok(self.deployed(row).await)
            }
        }
    }

    /// The deploys of an app, as far back as `is_enough` asks.
    async fn rows(
        &self,
        app: &AppRef,
        is_enough: impl Fn(&[Deploy]) -> bool + Send + 'static,
    ) -> Result<Vec<Deploy>, Error> {
        let app = app.clone();
        let read = move |journal: &Journal| journal.history_until(&app, is_enough);
        Ok(self.shared.journal(read).await?)
    }

    /// Finds out what `--to` means for the whole repository.
    pub(super) async fn goal_of_all(&self, to: &str) -> Result<CommitId, Error> {
        let time = past(to, now_ms());
        if to != LAST_HEALTHY && time.is_none() {
            let (origin, to) = (self.origin.clone(), to.to_owned());
            return Ok(blocking(move || origin.repository().resolve(&to)).await?);
        }
        let rows = self.shared.journal(|journal| {
            // All of them at once: the log is gone through once, not once for each app.
            let apps = journal.apps().into_iter().collect();
            journal.histories(&apps, |_| false)
        });
        let rows: Vec<Deploy> = rows.await?.into_values().flatten().collect();
        let found = match time {
            Some(time) => {
                let before = rows.iter().filter(|row| row.started_ms <= time);
                before
                    .max_by_key(|row| row.id)
                    .map(|row| row.commit.clone())
            }
            None => last_healthy_of_all(&rows),
        };
        let found = found.ok_or_else(|| match time {
            Some(_) => Error::NotThen {
                app: "the repository".to_owned(),
                time: to.to_owned(),
            },
            None => Error::NeverHealthy {
                app: "all apps".to_owned(),
            },
        })?;
        Ok(found.parse()?)
    }

    async fn deployed(&self, row: &Deploy) -> Goal {
        let (origin, name) = (self.origin.clone(), row.commit.clone());
        let commit = blocking(move || {
            let id: CommitId = name.parse().ok()?;
            origin.repository().commit(&id).is_ok().then_some(id)
        });
        Goal {
            name: row.commit.clone(),
            commit: commit.await,
            set: Some(row.set),
        }
    }
}

/// The deploy that was in force at a time: the last one begun before it that became healthy.
fn in_force(rows: &[Deploy], time_ms: i64) -> Option<&Deploy> {
    let mut before = rows.iter().rev().filter(|row| row.started_ms <= time_ms);
    before.find(|row| row.was_healthy)
}

/// The last commit before the newest one of which every deploy was healthy.
fn last_healthy_of_all(rows: &[Deploy]) -> Option<String> {
    let mut rows: Vec<&Deploy> = rows.iter().collect();
    rows.sort_by_key(|row| row.id);
    let newest = rows.last()?.commit.clone();
    let mut bad = HashSet::new();
    for row in &rows {
        if !row.was_healthy || matches!(row.state, State::RolledBack { .. }) {
            bad.insert(&row.commit);
        }
    }
    let mut commits = rows.iter().rev().map(|row| &row.commit);
    let found = commits.find(|commit| **commit != newest && !bad.contains(commit));
    found.cloned()
}

/// A time in the past, in milliseconds since 1970-01-01 UTC: `2026-08-01T14:03Z`, `2026-08-01 14:03` and
/// `2026-08-01` in the machine's time zone, `2h30m ago`. None when the text is no time.
pub(super) fn past(text: &str, now_ms: i64) -> Option<i64> {
    let text = text.trim();
    if let Some(span) = text.strip_suffix("ago") {
        let span: SignedDuration = span.trim().parse().ok()?;
        let ms = i64::try_from(span.as_millis()).ok().filter(|ms| *ms >= 0)?;
        return now_ms.checked_sub(ms);
    }
    let looks_like_a_date = text.len() >= 10
        && text
            .bytes()
            .take(10)
            .enumerate()
            .all(|(at, byte)| match at {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
    if !looks_like_a_date {
        return None;
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_millisecond());
    }
    let (local, zone) = match text.strip_suffix('Z') {
        Some(utc) => (utc, TimeZone::UTC),
        None => (text, TimeZone::system()),
    };
    let local: DateTime = local.parse().ok()?;
    Some(zone.to_timestamp(local).ok()?.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::past;

    #[test]
    fn times_are_told_from_names() {
        let utc = |text: &str| past(text, 10_000_000);
        assert_eq!(utc("1970-01-01T01:00Z"), Some(3_600_000));
        assert_eq!(utc("1970-01-01T01:00:00Z"), Some(3_600_000));
        assert_eq!(utc("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(utc("30m ago"), Some(10_000_000 - 1_800_000));
        assert_eq!(utc("1h30m ago"), Some(10_000_000 - 5_400_000));
        for name in [
            "main",
            "v1.2.3",
            "2026",
            "0123456789",
            "HEAD~2",
            "a while ago",
            "-1h ago",
        ] {
            assert_eq!(utc(name), None, "{name}");
        }
    }
}
