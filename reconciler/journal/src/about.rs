//! What a sealed segment is about: its apps and its times, so that a reading opens only the segments that can have
//! what it looks for.
//!
//! It lies beside the segment and says nothing that the segment does not. A missing one costs time and nothing else.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};

use crate::{
    AppRef, Error, Query, Record,
    files::{Header, numbered, read_header, read_sealed, write_beside},
    key::Key,
    log::{read_segment, sealed_path},
};

/// The ending of its file.
const ENDING: &str = ".about";

/// How hard it is compressed.
const LEVEL: i32 = 6;

/// Segments of a version that wrote none which get one at each sealing.
const FILLED_AT_ONCE: usize = 2;

pub(crate) fn path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:016}{ENDING}"))
}

/// The apps and times of some records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    /// The earliest time of a record; clocks are set back now and then, so it may not be the first one's.
    min_ms: i64,
    max_ms: i64,
    records: u64,
    apps: BTreeSet<AppRef>,
}

impl About {
    pub(crate) fn add(&mut self, record: &Record) {
        let time = record.time_ms;
        self.min_ms = if self.records == 0 {
            time
        } else {
            self.min_ms.min(time)
        };
        self.max_ms = if self.records == 0 {
            time
        } else {
            self.max_ms.max(time)
        };
        self.records += 1;
        if let Some(app) = record.event.app()
            && !self.apps.contains(app)
        {
            self.apps.insert(app.clone());
        }
    }

    pub(crate) fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut about = Self::default();
        records.into_iter().for_each(|record| about.add(record));
        about
    }

    /// False when no record of the segment is asked for.
    pub(crate) fn may_have(&self, query: &Query) -> bool {
        let is = |wanted: &Option<String>, found: &String| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        let names_app = query.app.is_some() || query.env.is_some();
        query.since_ms.is_none_or(|since| self.max_ms >= since)
            && query.until_ms.is_none_or(|until| self.min_ms < until)
            && (!names_app
                || self
                    .apps
                    .iter()
                    .any(|app| is(&query.app, &app.name) && is(&query.env, &app.env)))
    }

    /// True when an app has records in the segment.
    pub(crate) fn has(&self, app: &AppRef) -> bool {
        self.apps.contains(app)
    }

    /// Writes it beside its segment.
    pub(crate) fn write(&self, folder: &Path, segment: &Header, key: &Key) -> Result<(), Error> {
        let path = path(folder, segment.first);
        write_beside(&path, "about", self, LEVEL, (segment, key))
    }
}

/// Reads what a segment is about.
pub(crate) fn read(folder: &Path, first: u64, key: &VerifyingKey) -> Result<About, Error> {
    let path = path(folder, first);
    let (header, payload) = read_sealed(&path, Some(key))?;
    let broken = |what: String| Error::Changed {
        path: path.clone(),
        what,
    };
    if header.kind != "about" || header.first != first {
        return Err(broken("it is of another segment".to_owned()));
    }
    let text = zstd::decode_all(&payload[..]).map_err(|error| broken(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| broken(error.to_string()))
}

/// The segments that have one.
pub(crate) fn list(folder: &Path) -> Result<Vec<u64>, Error> {
    numbered(folder, ENDING)
}

/// Writes it for a few sealed segments that have none: those of an earlier version.
pub(crate) fn fill(folder: &Path, sealed: &[u64], key: &Key) -> Result<(), Error> {
    let known = list(folder)?;
    let missing = sealed.iter().rev();
    let missing = missing.filter(|first| known.binary_search(first).is_err());
    for first in missing.take(FILLED_AT_ONCE) {
        let segment = sealed_path(folder, *first);
        let (header, _) = read_header(&segment, Some(&key.public()))?;
        let (_, records) = read_segment(&segment, None, |_| true)?;
        About::of(records.iter().map(|(record, _)| record)).write(folder, &header, key)?;
    }
    Ok(())
}
