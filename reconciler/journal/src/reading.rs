//! Reading the log without writing it: histories, records, and what stood at a time.

use std::path::Path;

use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};

use crate::{
    AppRef, Deploy, Digest, Error, Journal, Record,
    deploy::{Index, last_healthy},
    files::read_header,
    key,
    line::genesis,
    log::{newest_state, sealed_path, state_path},
    parts::{Part, Parts, steadily},
};

/// Which deploy of an app is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At<'a> {
    /// The last one.
    Now,
    /// The one that stood at this time, in milliseconds since 1970-01-01 UTC.
    Time(i64),
    /// The last one of a commit; the beginning of its name is enough.
    Commit(&'a str),
    /// By its number within the app.
    Number(u64),
    /// The last healthy one with other objects than now ([`last_healthy`]).
    LastHealthy,
}

/// A deploy and its objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployedSet {
    /// The deploy, in the state it was in at that time.
    pub deploy: Deploy,
    /// Its objects as canonical JSON, without secrets: where one belongs, what stands for it.
    pub objects: Vec<String>,
}

/// Which records are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Query {
    /// Only those about apps of this name.
    pub app: Option<String>,
    /// Only those about apps of this environment.
    pub env: Option<String>,
    /// Only those of this time or later, in milliseconds since 1970-01-01 UTC.
    pub since_ms: Option<i64>,
    /// Only those before this time.
    pub until_ms: Option<i64>,
    /// Only those before this record: how a next page is asked for.
    pub before_seq: Option<u64>,
    /// At most so many.
    pub limit: Option<usize>,
}

impl Query {
    fn takes(&self, record: &Record) -> bool {
        let app = record.event.app();
        let is = |wanted: &Option<String>, found: Option<&String>| {
            wanted.is_none() || wanted.as_ref() == found
        };
        is(&self.app, app.map(|app| &app.name))
            && is(&self.env, app.map(|app| &app.env))
            && self.since_ms.is_none_or(|since| record.time_ms >= since)
            && self.until_ms.is_none_or(|until| record.time_ms < until)
            && self.before_seq.is_none_or(|before| record.seq < before)
    }

    /// A quick look at a record's text that keeps more than [`Query::takes`].
    fn may_take(&self, body: &str) -> bool {
        let has = |wanted: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| {
                serde_json::to_string(wanted).is_ok_and(|text| body.contains(&text))
            })
        };
        has(&self.app) && has(&self.env)
    }
}

/// What the log says now.
pub(crate) fn index(journal: &Path, key: &VerifyingKey) -> Result<Index, Error> {
    steadily(|| replay(journal, key, i64::MAX, u64::MAX))
}

/// What the log said when `until_ms` was over, and record `until_seq` was the last one.
pub(crate) fn replay(
    journal: &Path,
    key: &VerifyingKey,
    until_ms: i64,
    until_seq: u64,
) -> Result<Index, Error> {
    let parts = Parts::list(journal)?;
    let (mut index, through, _) = match parts.folder.is_dir() {
        true => newest_state(&parts.folder, key, until_ms, until_seq)?,
        false => (Index::default(), 0, genesis()),
    };
    for part in parts.all() {
        if matches!(part, Part::Sealed(first) if first <= through) {
            continue;
        }
        let records = parts.read(&part, |_| true)?;
        let records = records.iter().skip_while(|record| record.seq <= through);
        let past = |record: &&Record| record.time_ms <= until_ms && record.seq <= until_seq;
        let mut ended = false;
        for record in records {
            if !past(&record) {
                ended = true;
                break;
            }
            index.add(record);
        }
        if ended {
            break;
        }
    }
    Ok(index)
}

impl Journal {
    /// Records, newest first.
    ///
    /// # Errors
    /// When a part of the log cannot be read.
    pub fn records(&self, query: &Query) -> Result<Vec<Record>, Error> {
        let limit = query.limit.unwrap_or(usize::MAX);
        let key = key::public(self.folder())?;
        steadily(|| {
            let parts = Parts::list(self.folder())?;
            let mut found = Vec::new();
            for part in parts.all().iter().rev() {
                if let Part::Sealed(first) = part {
                    if query.before_seq.is_some_and(|before| *first >= before) {
                        continue;
                    }
                    if let Some(since) = query.since_ms {
                        let path = sealed_path(&parts.folder, *first);
                        if read_header(&path, None)?.0.to_ms < since {
                            break;
                        }
                    }
                    if parts
                        .about(part, &key)
                        .is_some_and(|about| !about.may_have(query))
                    {
                        continue;
                    }
                }
                let records = parts.read(part, |body| query.may_take(body))?;
                let wanted = records
                    .into_iter()
                    .rev()
                    .filter(|record| query.takes(record));
                found.extend(wanted.take(limit - found.len()));
                if found.len() == limit {
                    break;
                }
            }
            Ok(found)
        })
    }

    /// Gives records to `take`, oldest first, from the one behind `after` on; ends when it returns false. One segment
    /// of the log is in memory at a time.
    ///
    /// # Errors
    /// When a part of the log cannot be read, also because it was cut off meanwhile.
    pub fn each(&self, after: u64, mut take: impl FnMut(Record) -> bool) -> Result<(), Error> {
        let mut seen = after;
        let mut go_on = true;
        // A segment that is sealed meanwhile is found under its new name.
        steadily(|| {
            let parts = Parts::list(self.folder())?;
            let all = parts.all();
            for (at, part) in all.iter().enumerate() {
                // A segment ends where the next one begins.
                let next = match all.get(at + 1) {
                    Some(Part::Sealed(next)) => Some(*next),
                    Some(Part::Active(_)) => parts.segments.active,
                    None => None,
                };
                if next.is_some_and(|next| next <= seen + 1) {
                    continue;
                }
                for record in parts.read(part, |_| true)? {
                    if record.seq <= seen {
                        continue;
                    }
                    seen = record.seq;
                    go_on = go_on && take(record);
                    if !go_on {
                        return Ok(());
                    }
                }
            }
            Ok(())
        })
    }

    /// The deploys that stood at a time, one for each app.
    ///
    /// # Errors
    /// When a part of the log cannot be read.
    pub fn deploys_at(&self, time_ms: i64) -> Result<Vec<Deploy>, Error> {
        let key = key::public(self.folder())?;
        let index = steadily(|| replay(self.folder(), &key, time_ms, u64::MAX))?;
        let standing = index
            .apps
            .into_values()
            .filter_map(|log| standing(log.deploys));
        Ok(standing.collect())
    }

    /// A deploy of an app with its objects: for snapshots, rollbacks and looks into the past. `None` when
    /// there is no such deploy.
    ///
    /// # Errors
    /// When the log or an object cannot be read.
    pub fn object_set(&self, app: &AppRef, at: At<'_>) -> Result<Option<DeployedSet>, Error> {
        let deploy = match at {
            At::Now => self.last(app),
            At::Time(time_ms) => {
                let standing = self.deploys_at(time_ms)?;
                standing.into_iter().find(|deploy| deploy.app == *app)
            }
            At::Commit(commit) => {
                let is_it = |row: &Deploy| row.commit.starts_with(commit);
                let rows = self.history_until(app, |rows| rows.iter().any(is_it))?;
                let found = rows.into_iter().rev();
                found.into_iter().find(|row| row.commit.starts_with(commit))
            }
            At::Number(number) => {
                let is_it = |row: &Deploy| row.number == number;
                let rows = self.history_until(app, |rows| rows.iter().any(is_it))?;
                rows.into_iter().find(is_it)
            }
            At::LastHealthy => {
                let rows = self.history_until(app, |rows| last_healthy(rows).is_some())?;
                last_healthy(&rows).cloned()
            }
        };
        let Some(deploy) = deploy else {
            return Ok(None);
        };
        let objects = self.objects(&deploy.set)?;
        Ok(Some(DeployedSet { deploy, objects }))
    }
}

/// Of the last deploy and the last healthy one: the last that reached the cluster.
fn standing(mut rows: Vec<Deploy>) -> Option<Deploy> {
    let at = rows.iter().rposition(Deploy::was_planned)?;
    Some(rows.swap_remove(at))
}

/// What the log said when `through` was its last record.
pub(crate) fn state_at(
    folder: &Path,
    through: u64,
    key: &VerifyingKey,
) -> Result<(Index, Digest), Error> {
    let path = state_path(folder, through);
    let (header, index) = crate::log::read_state(&path, Some(key))?;
    Ok((index, header.head))
}
