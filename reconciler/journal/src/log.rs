//! The log in segments: one is appended to, the others are sealed, and a state file lets a start skip them.

use std::{
    fs::{self, File, OpenOptions},
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use ed25519_dalek::VerifyingKey;

use crate::{
    Digest, Error, Event, Record, Warning,
    about::{self, About},
    deploy::Index,
    files::{Header, numbered, read_header, read_sealed, sync_folder, write_beside, write_sealed},
    key::Key,
    line::{self, genesis, is_torn, link, render, scan},
    steps,
};

/// The folder of the segments.
pub(crate) const FOLDER: &str = "segments";

/// The one file of journals of the first format.
pub(crate) const OLD_LOG: &str = "log";

/// A segment is sealed when it is this long. Some 8,000 records, which are read in some 50 ms.
const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;

/// Of older state files one in so many is kept: a look into the past replays at most that many segments.
const STATE_EVERY: usize = 16;

/// How many times longer than the state a segment is: with ten thousand apps the state has its size too.
const STATE_SHARE: u64 = 2;

/// State files of the newest segments, all of which are kept.
const STATES_KEPT: usize = 2;

/// How hard sealed segments are compressed. Higher levels save little: hashes do not compress.
const LEVEL: i32 = 6;

pub(crate) fn active_path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:016}.log"))
}

pub(crate) fn sealed_path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:016}.sealed"))
}

/// What the log says when record `through` was the last one.
pub(crate) fn state_path(folder: &Path, through: u64) -> PathBuf {
    folder.join(format!("{through:016}.state"))
}

/// The segments of a journal, oldest first, as they lie on disk.
#[derive(Debug)]
pub(crate) struct Segments {
    pub(crate) sealed: Vec<u64>,
    /// The one that is appended to; none before the first record.
    pub(crate) active: Option<u64>,
}

impl Segments {
    pub(crate) fn list(folder: &Path) -> Result<Self, Error> {
        let sealed = numbered(folder, ".sealed")?;
        // What is sealed already is left by a crash between sealing and deleting; what is empty by a crash or a full disk
        // before the sealing that it was made for.
        let mut open = numbered(folder, ".log")?;
        open.retain(|first| sealed.binary_search(first).is_err());
        let with_records = open.iter().find(|first| has_records(folder, **first));
        let active = with_records.or(open.last()).copied();
        Ok(Self { sealed, active })
    }
}

/// True when something was appended to a segment that is not sealed.
fn has_records(folder: &Path, first: u64) -> bool {
    fs::metadata(active_path(folder, first)).is_ok_and(|file| file.len() > 0)
}

/// The log, open for appending.
pub(crate) struct Log {
    folder: PathBuf,
    /// The segment that is appended to, and its first record.
    file: File,
    first: u64,
    before: Digest,
    from_ms: i64,
    /// What the segment is about.
    about: About,
    pub(crate) head: Digest,
    pub(crate) seq: u64,
    /// Length of the file up to the last good record; what is behind it is from a failed append.
    bytes: u64,
    segment_bytes: u64,
    /// Length of the last state: a segment is longer, so that states never take more room than records.
    state_bytes: u64,
    /// The state that a compaction is about to make the beginning: it stays.
    pinned: u64,
}

/// Reads the newest state file that fits, or an empty state, and says up to where it reaches.
pub(crate) fn newest_state(
    folder: &Path,
    key: &VerifyingKey,
    until_ms: i64,
    until_seq: u64,
) -> Result<(Index, u64, Digest), Error> {
    let mut states = numbered(folder, ".state")?;
    states.truncate(states.partition_point(|through| *through <= until_seq));
    if until_ms < i64::MAX {
        // The time in a state is the latest up to there, so it never goes back.
        let before = |through: &u64| {
            let header = read_header(&state_path(folder, *through), None);
            header.is_ok_and(|(header, _)| header.to_ms <= until_ms)
        };
        states.truncate(states.partition_point(before));
    }
    for through in states.into_iter().rev() {
        let path = state_path(folder, through);
        // A state that cannot be read costs time, nothing else: it is made from the segments again.
        let Ok((header, _)) = read_header(&path, Some(key)) else {
            continue;
        };
        if header.last != through || header.kind != "state" || header.to_ms > until_ms {
            continue;
        }
        if let Ok((header, index)) = read_state(&path, Some(key)) {
            return Ok((index, header.last, header.head));
        }
    }
    Ok((Index::default(), 0, genesis()))
}

pub(crate) fn read_state(
    path: &Path,
    key: Option<&VerifyingKey>,
) -> Result<(Header, Index), Error> {
    let (header, payload) = read_sealed(path, key)?;
    let broken = |error: &dyn std::fmt::Display| Error::Changed {
        path: path.to_owned(),
        what: error.to_string(),
    };
    let text = zstd::decode_all(&payload[..]).map_err(|error| broken(&error))?;
    let mut index: Index = serde_json::from_slice(&text).map_err(|error| broken(&error))?;
    index.shrink();
    Ok((header, index))
}

/// Reads a sealed segment's records. `key` checks its signature, and every hash with it; without one the
/// hashes returned mean nothing.
pub(crate) fn read_segment(
    path: &Path,
    key: Option<&VerifyingKey>,
    wanted: impl Fn(&str) -> bool,
) -> Result<(Header, Vec<(Record, Digest)>), Error> {
    let (header, payload) = read_sealed(path, key)?;
    let text = zstd::decode_all(&payload[..]).map_err(Error::io("read", path))?;
    let mut records = Vec::new();
    let (mut head, mut seq) = (header.before, header.first);
    for body in text.split_inclusive(|byte| *byte == b'\n') {
        let corrupt = |what: String| Error::Corrupt {
            path: path.to_owned(),
            seq,
            what,
        };
        let body = body.strip_suffix(b"\n").unwrap_or(body);
        let body = std::str::from_utf8(body).map_err(|error| corrupt(error.to_string()))?;
        if key.is_some() {
            head = link(&head, body.as_bytes());
        }
        if key.is_some() || wanted(body) {
            records.push((line::record(body, seq).map_err(corrupt)?, head));
        }
        seq += 1;
    }
    if key.is_some() && (head != header.head || seq != header.last + 1) {
        return Err(Error::Corrupt {
            path: path.to_owned(),
            seq: seq - 1,
            what: "the hash of its segment does not fit".to_owned(),
        });
    }
    Ok((header, records))
}

impl Log {
    /// Opens or creates the log and reads what no state file knows yet.
    pub(crate) fn open(
        journal: &Path,
        key: &Key,
        segment_bytes: Option<u64>,
    ) -> Result<(Self, Index, Vec<Warning>), Error> {
        let folder = journal.join(FOLDER);
        adopt_old(journal, &folder)?;
        let segments = Segments::list(&folder)?;
        let active = segments.active.filter(|first| has_records(&folder, *first));
        if let Some(active) = active {
            premature_states(&folder, active)?;
        }
        let (mut index, mut seq, mut head) =
            newest_state(&folder, &key.public(), i64::MAX, u64::MAX)?;
        for first in &segments.sealed {
            if *first <= seq {
                continue;
            }
            let path = sealed_path(&folder, *first);
            let (header, records) = read_segment(&path, None, |_| true)?;
            follows(&path, &header, seq, head)?;
            records.iter().for_each(|(record, _)| index.add(record));
            (seq, head) = (header.last, header.head);
        }
        let first = seq + 1;
        let path = active_path(&folder, first);
        if let Some(active) = active.filter(|active| *active != first) {
            return Err(Error::Corrupt {
                path: active_path(&folder, active),
                seq: first,
                what: "records before it are missing".to_owned(),
            });
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        sync_folder(&folder).map_err(Error::io("sync", &folder))?;
        let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
        let scanned = scan(&bytes, first, head, None, |_| true);
        let mut warnings = Vec::new();
        if let Some(what) = scanned.rest {
            let torn = first + scanned.records.len() as u64;
            let rest = &bytes[scanned.bytes..];
            if !is_torn(rest) {
                return Err(Error::Corrupt {
                    path,
                    seq: torn,
                    what,
                });
            }
            warnings.push(cut_off(journal, &path, &file, scanned.bytes, rest, torn)?);
        }
        scanned.records.iter().for_each(|record| index.add(record));
        file.seek(SeekFrom::End(0))
            .map_err(Error::io("read", &path))?;
        for left in numbered(&folder, ".log")? {
            if left < first || (left > first && !has_records(&folder, left)) {
                let left = active_path(&folder, left);
                fs::remove_file(&left).map_err(Error::io("remove", &left))?;
            }
        }
        let from_ms = scanned.records.first().map_or(0, |record| record.time_ms);
        let log = Self {
            file,
            first,
            before: head,
            from_ms,
            about: About::of(&scanned.records),
            head: scanned.head,
            seq: seq + scanned.records.len() as u64,
            bytes: scanned.bytes as u64,
            segment_bytes: segment_bytes.unwrap_or(SEGMENT_BYTES),
            state_bytes: 0,
            pinned: 0,
            folder,
        };
        Ok((log, index, warnings))
    }

    fn path(&self) -> PathBuf {
        active_path(&self.folder, self.first)
    }

    /// The number that the record after `staged` others gets.
    pub(crate) fn next(&self, staged: usize) -> u64 {
        self.seq + 1 + staged as u64
    }

    /// Appends a batch of records and syncs once. On an error nothing was appended.
    pub(crate) fn append(&mut self, key: &Key, records: &[Record]) -> Result<(), Error> {
        let Some((last, _)) = records.split_last() else {
            return Ok(());
        };
        let mut head = self.head;
        let mut text = String::new();
        for record in records {
            let body = serde_json::to_string(record).expect("records are plain JSON");
            head = link(&head, body.as_bytes());
            let signature = (record.seq == last.seq).then(|| key.sign(head.as_bytes()));
            text.push_str(&render(&head, signature.as_ref(), &body));
        }
        steps::at("log-write");
        // A failed append may have left a part behind; start where the last good record ends.
        let path = self.path();
        self.file
            .set_len(self.bytes)
            .and_then(|()| self.file.seek(SeekFrom::Start(self.bytes)))
            .map_err(Error::io("write", &path))?;
        steps::fail(&path)?;
        let half = text.len() / 2;
        let (one, two) = text.as_bytes().split_at(half);
        self.file
            .write_all(one)
            .and_then(|()| {
                steps::at("log-half");
                self.file.write_all(two)
            })
            .map_err(Error::io("write", &path))?;
        steps::at("log-sync");
        self.file.sync_data().map_err(Error::io("write", &path))?;
        steps::at("log-done");
        if self.bytes == 0 {
            self.from_ms = records.first().map_or(0, |record| record.time_ms);
        }
        self.bytes += text.len() as u64;
        records.iter().for_each(|record| self.about.add(record));
        (self.head, self.seq) = (head, last.seq);
        Ok(())
    }

    /// True when the segment has no record yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// True when the segment is long enough to be sealed.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= self.segment_bytes && self.bytes >= self.state_bytes * STATE_SHARE
    }

    /// Seals the segment, keeps what the log says now beside it, and begins a new one.
    ///
    /// In an order in which a start finds every record, wherever this one ends: a state is believed to be about sealed
    /// segments, so it comes after the one that it is about.
    pub(crate) fn seal(&mut self, key: &Key, index: &Index) -> Result<(), Error> {
        let path = self.path();
        let text = fs::read(&path).map_err(Error::io("read", &path))?;
        let mut bodies = Vec::with_capacity(text.len());
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let body = line.splitn(3, |byte| *byte == b' ').nth(2);
            bodies.extend_from_slice(body.unwrap_or_default());
        }
        let header = |kind: &str, raw: &[u8], payload: &[u8]| Header {
            kind: kind.to_owned(),
            first: self.first,
            last: self.seq,
            before: self.before,
            head: self.head,
            from_ms: self.from_ms,
            to_ms: index.time_ms,
            blocks: 0,
            raw: raw.len() as u64,
            bytes: payload.len() as u64,
            payload: Digest::of(payload),
        };
        let pack =
            |bytes: &[u8]| zstd::encode_all(bytes, LEVEL).map_err(Error::io("compress", &path));
        let state = serde_json::to_vec(index).expect("plain JSON");
        let packed = pack(&state)?;
        let state_header = header("state", &state, &packed);
        let state_path = state_path(&self.folder, self.seq);
        // Whatever fails until it is sealed, the segment that is appended to stays the one that a start would open.
        let next = active_path(&self.folder, self.seq + 1);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&next)
            .map_err(Error::io("create", &next))?;
        steps::at("seal-next");
        let payload = pack(&bodies)?;
        let to = sealed_path(&self.folder, self.first);
        let segment = header("segment", &bodies, &payload);
        if let Err(error) = write_sealed(&to, &segment, &payload, key) {
            let _ = fs::remove_file(&next);
            return Err(error);
        }
        steps::at("seal-segment");
        // Without it readings take longer, and the next sealing makes up for it.
        let _ = std::mem::take(&mut self.about).write(&self.folder, &segment, key);
        self.file = file;
        self.state_bytes = state.len() as u64;
        (self.first, self.before, self.bytes) = (self.seq + 1, self.head, 0);
        write_sealed(&state_path, &state_header, &packed, key)?;
        steps::at("seal-state");
        fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        sync_folder(&self.folder).map_err(Error::io("sync", &self.folder))?;
        let _ = about::fill(&self.folder, &Segments::list(&self.folder)?.sealed, key);
        self.thin_states(index.compacted)
    }

    /// Deletes state files that only cost space. The one a compacted log begins with stays.
    fn thin_states(&self, compacted: u64) -> Result<(), Error> {
        let states = numbered(&self.folder, ".state")?;
        let kept_from = states.len().saturating_sub(STATES_KEPT);
        let sealed = Segments::list(&self.folder)?.sealed;
        for through in &states[..kept_from] {
            // Counted by segments, so that the same ones stay each time.
            let number = sealed.partition_point(|first| first <= through);
            let begins = [compacted, self.pinned].contains(through);
            if number % STATE_EVERY != 0 && !begins {
                let path = state_path(&self.folder, *through);
                fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            }
        }
        Ok(())
    }

    /// The newest sealed segment that ended before a time. `None` when there is none.
    pub(crate) fn cut_before(&self, key: &Key, time_ms: i64) -> Result<Option<Header>, Error> {
        let mut found = None;
        for first in Segments::list(&self.folder)?.sealed {
            let path = sealed_path(&self.folder, first);
            let (header, _) = read_header(&path, Some(&key.public()))?;
            if header.to_ms < time_ms {
                found = Some(header);
            }
        }
        Ok(found)
    }

    /// Keeps what the log said at the end of a segment, unless that is kept already. Sealing does not thin it out any more.
    pub(crate) fn keep_state(
        &mut self,
        key: &Key,
        segment: &Header,
        index: &Index,
    ) -> Result<(), Error> {
        self.pinned = segment.last;
        let path = state_path(&self.folder, segment.last);
        if path.exists() {
            return Ok(());
        }
        write_beside(&path, "state", index, LEVEL, (segment, key))
    }

    /// Deletes sealed segments up to a record, the oldest first, and the states before it.
    pub(crate) fn remove_through(&self, through: u64) -> Result<usize, Error> {
        let mut removed = 0;
        for first in Segments::list(&self.folder)?.sealed {
            if first > through {
                break;
            }
            let path = sealed_path(&self.folder, first);
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            steps::at("compact-segment");
            removed += 1;
        }
        for first in about::list(&self.folder)? {
            if first <= through {
                let path = about::path(&self.folder, first);
                fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            }
        }
        for state in numbered(&self.folder, ".state")? {
            if state < through {
                let path = state_path(&self.folder, state);
                fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            }
        }
        sync_folder(&self.folder).map_err(Error::io("sync", &self.folder))?;
        Ok(removed)
    }
}

/// Deletes states of a segment that is not sealed. Earlier versions wrote a state before its segment was sealed, and could
/// be killed in between.
fn premature_states(folder: &Path, active: u64) -> Result<(), Error> {
    let mut states = numbered(folder, ".state")?;
    states.retain(|through| *through >= active);
    for through in states {
        let path = state_path(folder, through);
        fs::remove_file(&path).map_err(Error::io("remove", &path))?;
    }
    Ok(())
}

/// A segment must begin where the one before it ended.
pub(crate) fn follows(path: &Path, header: &Header, seq: u64, head: Digest) -> Result<(), Error> {
    if header.first == seq + 1 && header.before == head {
        return Ok(());
    }
    Err(Error::Corrupt {
        path: path.to_owned(),
        seq: seq + 1,
        what: "it does not follow the record before it".to_owned(),
    })
}

fn cut_off(
    journal: &Path,
    path: &Path,
    file: &File,
    length: usize,
    rest: &[u8],
    seq: u64,
) -> Result<Warning, Error> {
    let kept = journal.join(format!("torn-{seq}"));
    fs::write(&kept, rest).map_err(Error::io("write", &kept))?;
    file.set_len(length as u64)
        .and_then(|()| file.sync_all())
        .map_err(Error::io("write", path))?;
    Ok(Warning::TornRecord {
        seq,
        bytes: rest.len() as u64,
        kept,
    })
}

/// A log of the first format is a first segment.
fn adopt_old(journal: &Path, folder: &Path) -> Result<(), Error> {
    let old = journal.join(OLD_LOG);
    if old.is_file() {
        let new = active_path(folder, 1);
        fs::rename(&old, &new).map_err(Error::io("move", &old))?;
        sync_folder(folder).map_err(Error::io("sync", folder))?;
    }
    Ok(())
}

/// Makes records of events, numbered from `seq`.
pub(crate) fn number(seq: u64, time_ms: i64, event: Event) -> Record {
    Record {
        seq,
        time_ms,
        event,
    }
}
