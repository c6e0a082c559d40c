//! Histories of some apps, read from the newest records back: a year of them is gigabytes, and who looks for the last
//! healthy deploy needs the last day.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::VerifyingKey;

use crate::{
    AppRef, Deploy, Error, Event, Journal,
    deploy::{AppLog, Index},
    files::numbered,
    key,
    parts::{Part, Parts, steadily},
    reading::state_at,
};

/// Sealed segments that are read first. State files of older segments are kept for one in so many.
const SEGMENTS_FIRST: usize = 16;

/// How many times more are read when that was not enough.
const MORE: usize = 4;

/// Names that are looked for in a record's text before it is parsed; with more apps nearly every record is wanted.
const NAMES_MAX: usize = 8;

impl Journal {
    /// The deploys of some apps, oldest first, from some time on: as far back as `is_enough` asks, or all of them. What is
    /// returned of an app is what the end of its whole history is.
    ///
    /// # Errors
    /// When a part of the log cannot be read.
    pub fn histories(
        &self,
        apps: &BTreeSet<AppRef>,
        is_enough: impl Fn(&BTreeMap<AppRef, Vec<Deploy>>) -> bool,
    ) -> Result<BTreeMap<AppRef, Vec<Deploy>>, Error> {
        let key = key::public(self.folder())?;
        steadily(|| {
            let parts = Parts::list(self.folder())?;
            let reading = Reading { parts, apps, key };
            // A compacted log begins with what it said there.
            let compacted = self.index().compacted;
            let mut segments = SEGMENTS_FIRST;
            while let Some(through) = reading.state_behind(segments, compacted)? {
                // A state that cannot be read costs time, nothing else.
                let Ok((index, _)) = state_at(&reading.parts.folder, through, &reading.key) else {
                    break;
                };
                if let Some(found) = reading.fold(index, through, false)?
                    && is_enough(&found)
                {
                    return Ok(found);
                }
                segments *= MORE;
            }
            let begin = match compacted {
                0 => Index::default(),
                _ => state_at(&reading.parts.folder, compacted, &reading.key)?.0,
            };
            Ok(reading.fold(begin, compacted, true)?.unwrap_or_default())
        })
    }

    /// The deploys of an app, oldest first, read from the whole log.
    ///
    /// # Errors
    /// When a part of the log cannot be read.
    pub fn history(&self, app: &AppRef) -> Result<Vec<Deploy>, Error> {
        self.history_until(app, |_| false)
    }

    /// The deploys of an app, oldest first, from some time on: see [`Journal::histories`].
    ///
    /// # Errors
    /// When a part of the log cannot be read.
    pub fn history_until(
        &self,
        app: &AppRef,
        is_enough: impl Fn(&[Deploy]) -> bool,
    ) -> Result<Vec<Deploy>, Error> {
        let apps = BTreeSet::from([app.clone()]);
        let is_enough =
            |all: &BTreeMap<AppRef, Vec<Deploy>>| all.get(app).is_some_and(|rows| is_enough(rows));
        let mut found = self.histories(&apps, is_enough)?;
        Ok(found.remove(app).unwrap_or_default())
    }
}

struct Reading<'a> {
    parts: Parts,
    apps: &'a BTreeSet<AppRef>,
    key: VerifyingKey,
}

impl Reading<'_> {
    /// The newest state with so many sealed segments behind it.
    fn state_behind(&self, segments: usize, compacted: u64) -> Result<Option<u64>, Error> {
        if !self.parts.folder.is_dir() {
            return Ok(None);
        }
        let sealed = &self.parts.segments.sealed;
        let behind =
            |through: &u64| sealed.len() - sealed.partition_point(|first| first <= through);
        let states = numbered(&self.parts.folder, ".state")?.into_iter().rev();
        let mut fitting =
            states.filter(|through| *through > compacted && behind(through) >= segments);
        Ok(fitting.next())
    }

    /// Reads what comes behind record `through`, when the log said `index`. Unless it is the beginning, rows of that time
    /// are left out, for it has some of them only; and nothing is returned when a rollback went back to a deploy of that
    /// time which it does not have: what else was undone is not known then.
    fn fold(
        &self,
        mut index: Index,
        through: u64,
        is_beginning: bool,
    ) -> Result<Option<BTreeMap<AppRef, Vec<Deploy>>>, Error> {
        let mut logs: BTreeMap<&AppRef, AppLog> = (self.apps.iter())
            .map(|app| (app, index.apps.remove(app).unwrap_or_default()))
            .collect();
        drop(index);
        let names = self.apps.iter().take(NAMES_MAX + 1);
        let names: Vec<String> = names
            .map(|app| serde_json::to_string(&app.name).expect("plain text"))
            .collect();
        let wanted = |body: &str| {
            names.len() > NAMES_MAX || names.iter().any(|name| body.contains(name.as_str()))
        };
        for part in self.parts.all() {
            if matches!(part, Part::Sealed(first) if first <= through) {
                continue;
            }
            let about = self.parts.about(&part, &self.key);
            if about.is_some_and(|about| !self.apps.iter().any(|app| about.has(app))) {
                continue;
            }
            for record in self.parts.read(&part, wanted)? {
                let log = record.event.app().and_then(|app| logs.get_mut(app));
                let Some(log) = log.filter(|_| record.seq > through) else {
                    continue;
                };
                if !is_beginning && goes_further_back(&record.event, log) {
                    return Ok(None);
                }
                log.add(&record);
            }
        }
        let rows = |log: AppLog| {
            let mut rows = log.deploys;
            rows.retain(|row| is_beginning || row.id > through);
            rows
        };
        let found = logs.into_iter().map(|(app, log)| (app.clone(), rows(log)));
        Ok(Some(found.collect()))
    }
}

/// True for a rollback to a deploy which a history does not have.
fn goes_further_back(event: &Event, log: &AppLog) -> bool {
    let Event::Intent(intent) = event else {
        return false;
    };
    let to = intent.rollback.as_ref().map(|rollback| &rollback.to);
    to.is_some_and(|to| !log.deploys.iter().any(|row| row.commit == *to))
}
