//! The audit: every hash, signature and blob of a journal, without changing anything.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use crate::{
    Digest, Error, Event, Journal, Record,
    about::{self, About},
    files::{numbered, read_sealed},
    format,
    head::{self, Found},
    key,
    line::{genesis, scan},
    log::{FOLDER, OLD_LOG, Segments, active_path, follows, read_segment, sealed_path, state_path},
    packs::{self, Packs},
    set,
};

/// How often a journal is looked at that somebody writes meanwhile.
const TRIES: usize = 5;

/// The pause between two looks; a batch is written in less.
const PAUSE: Duration = Duration::from_millis(100);

/// What a clean check of a journal found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The first record that is still there.
    pub first: u64,
    /// Number of records.
    pub records: u64,
    /// The last record's number.
    pub last: u64,
    /// The hash of the last one: kept elsewhere, it also proves that nothing was cut off the end.
    pub head: Digest,
    /// Blobs that were checked.
    pub blobs: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

/// Checks every hash, signature and blob of the journal in a folder, and gives each record and its hash to `each`.
/// Changes nothing. While another process writes the journal, what looks wrong is looked at again: then `each` is
/// called again from the first record on.
///
/// # Errors
/// At the first thing that was changed, removed, added or put elsewhere, or when a file cannot be read.
pub fn verify(folder: &Path, mut each: impl FnMut(&Record, &Digest)) -> Result<Verified, Error> {
    for _ in 1..TRIES {
        match once(folder, &mut each, true) {
            Err(_) if is_written(folder) => std::thread::sleep(PAUSE),
            result => return result,
        }
    }
    once(folder, &mut each, true)
}

/// Checks every hash and signature of the records in a folder that has the files of [`Journal::chain`]; blobs are not
/// looked at, and none need be there.
///
/// # Errors
/// The same as those of [`verify`].
pub fn verify_chain(
    folder: &Path,
    mut each: impl FnMut(&Record, &Digest),
) -> Result<Verified, Error> {
    once(folder, &mut each, false)
}

/// True when a process has the journal open for writing.
fn is_written(folder: &Path) -> bool {
    let lock = fs::File::open(folder.join("lock"));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
}

fn once(
    folder: &Path,
    each: &mut impl FnMut(&Record, &Digest),
    with_blobs: bool,
) -> Result<Verified, Error> {
    format::check(folder)?;
    let key = key::checked_public(folder)?;
    let segments_folder = folder.join(FOLDER);
    let segments = Segments::list(&segments_folder)?;
    // Read first: whatever is written meanwhile, the log is never behind it.
    let mut check = Check {
        found: Some(head::read(folder, Some(&key))?),
        ..Check::default()
    };
    let (mut seq, mut head) = beginning(folder, &segments_folder, &segments, &key)?;
    check.first = seq + 1;
    let start = (seq, head);
    // A compaction that was interrupted leaves segments that its record says are gone.
    for first in segments.sealed.iter().filter(|first| **first > start.0) {
        let path = sealed_path(&segments_folder, *first);
        let (header, records) = read_segment(&path, Some(&key), |_| true)?;
        follows(&path, &header, seq, head)?;
        check_about(&segments_folder, *first, &key, &records)?;
        for (record, hash) in &records {
            check.take(record, hash);
            each(record, hash);
        }
        (seq, head) = (header.last, header.head);
    }
    let old = folder.join(OLD_LOG);
    let active = match segments.active {
        Some(first) => active_path(&segments_folder, first),
        None => old,
    };
    if let Ok(bytes) = fs::read(&active) {
        let scanned = scan(&bytes, seq + 1, head, Some(&key), |_| true);
        if let Some(what) = scanned.rest {
            return Err(Error::Corrupt {
                path: active,
                seq: seq + 1 + scanned.records.len() as u64,
                what,
            });
        }
        for (record, hash) in scanned.records.iter().zip(&scanned.hashes) {
            check.take(record, hash);
            each(record, hash);
        }
        seq += scanned.records.len() as u64;
        head = scanned.head;
    }
    // A log that does not begin with the first record must itself say so.
    if start.0 > 0 && !check.cuts.contains(&start) {
        return Err(Error::Corrupt {
            path: segments_folder,
            seq: start.0,
            what: "records before it were removed, and no record says so".to_owned(),
        });
    }
    let pack = check.head(folder, seq)?;
    for state in numbered(&segments_folder, ".state").unwrap_or_default() {
        read_sealed(&state_path(&segments_folder, state), Some(&key))?;
    }
    let blobs = match with_blobs {
        true => check_blobs(folder, &key, &check, pack)?,
        false => 0,
    };
    Ok(Verified {
        first: check.first,
        records: seq - start.0,
        last: seq,
        head,
        blobs,
        bytes: size(folder),
    })
}

#[derive(Default)]
struct Check {
    first: u64,
    /// Where compactions cut the log.
    cuts: Vec<(u64, Digest)>,
    /// Blobs that records name: sets, and others.
    sets: BTreeSet<Digest>,
    blobs: BTreeSet<Digest>,
    found: Option<Found>,
    /// The hash of the record that the head names.
    at_head: Option<Digest>,
}

impl Check {
    fn take(&mut self, record: &Record, hash: &Digest) {
        if let Some(Found::Head(head)) = &self.found
            && head.seq == record.seq
        {
            self.at_head = Some(*hash);
        }
        match &record.event {
            Event::Compacted { through, head, .. } => self.cuts.push((*through, *head)),
            Event::Intent(intent) => {
                self.sets.insert(intent.set);
                self.blobs.insert(intent.inventory);
            }
            Event::Outcome { inventory, .. } => self.blobs.extend(inventory),
            _ => {}
        }
    }

    /// The head may be older than the log, never newer. Returns the length of the active pack that it
    /// vouches for.
    fn head(&self, folder: &Path, seq: u64) -> Result<Option<(u64, u64)>, Error> {
        let changed = |what: &str| Error::Changed {
            path: folder.join("head"),
            what: what.to_owned(),
        };
        match &self.found {
            None | Some(Found::None) if seq == 0 => Ok(None),
            // A journal of the first format has none until it is written to.
            None | Some(Found::None) if folder.join(OLD_LOG).exists() => Ok(None),
            None | Some(Found::None) => Err(changed("it is missing")),
            Some(Found::Broken) => Err(changed("it was not written by this journal")),
            Some(Found::Head(found)) if found.seq > seq => Err(Error::CutOff {
                path: folder.to_owned(),
                seq,
                wanted: found.seq,
            }),
            Some(Found::Head(found)) if found.seq >= self.first => match self.at_head {
                Some(hash) if hash == found.hash => Ok(Some((found.pack, found.bytes))),
                _ => Err(changed("it names another record")),
            },
            // Of a log without records, or of one that was compacted since.
            Some(Found::Head(found)) => Ok(Some((found.pack, found.bytes))),
        }
    }
}

/// The record and hash before the first one that is there.
fn beginning(
    folder: &Path,
    segments_folder: &Path,
    segments: &Segments,
    key: &ed25519_dalek::VerifyingKey,
) -> Result<(u64, Digest), Error> {
    let first = segments.sealed.first().or(segments.active.as_ref());
    match first {
        None if !folder.join(OLD_LOG).exists() => Ok((0, genesis())),
        None | Some(1) => Ok((0, genesis())),
        Some(first) => {
            let states = numbered(segments_folder, ".state")?;
            let at = states.into_iter().find(|through| *through + 1 >= *first);
            let at = at.unwrap_or(first - 1);
            let (_, head) = crate::reading::state_at(segments_folder, at, key)?;
            Ok((at, head))
        }
    }
}

/// What lies beside a segment must say what the segment says.
fn check_about(
    folder: &Path,
    first: u64,
    key: &ed25519_dalek::VerifyingKey,
    records: &[(Record, Digest)],
) -> Result<(), Error> {
    let path = about::path(folder, first);
    if !path.exists() {
        return Ok(());
    }
    if about::read(folder, first, key)? == About::of(records.iter().map(|(record, _)| record)) {
        return Ok(());
    }
    Err(Error::Changed {
        path,
        what: "it does not say what its segment says".to_owned(),
    })
}

fn check_blobs(
    folder: &Path,
    key: &ed25519_dalek::VerifyingKey,
    check: &Check,
    head: Option<(u64, u64)>,
) -> Result<u64, Error> {
    let (packs, _) = Packs::open(folder, None, Some(key))?;
    let (mut known, mut seen, mut members) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for pack in &packs.sealed {
        let path = packs::sealed_path(&packs.folder, pack.number);
        read_sealed(&path, Some(key))?;
        for (digest, bytes) in packs.blobs_of(pack)? {
            // Read in the order of the packs: looked up later, each set would unpack a block of its own.
            if check.sets.contains(&digest) {
                members.extend(set::digests(&digest, &bytes)?);
                seen.insert(digest);
            }
            known.insert(digest);
        }
    }
    let appended = numbered(&packs.folder, ".pack").unwrap_or_default();
    if let Some((number, 1..)) = head
        && !appended.contains(&number)
        && packs.sealed.iter().all(|pack| pack.number != number)
    {
        return Err(Error::Changed {
            path: packs::active_path(&packs.folder, number),
            what: "it is missing".to_owned(),
        });
    }
    for number in appended {
        if packs.sealed.iter().any(|pack| pack.number == number) {
            continue;
        }
        let path = packs::active_path(&packs.folder, number);
        let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
        let (_, broken) = packs::scan(&bytes, 0, |digest, _, _| {
            known.insert(digest);
        });
        if let Some(what) = broken {
            return Err(Error::Changed { path, what });
        }
        if head.is_some_and(|(of, length)| of == number && (bytes.len() as u64) < length) {
            let what = "its end was cut off".to_owned();
            return Err(Error::Changed { path, what });
        }
    }
    let journal = Journal::read(folder)?;
    for set in check.sets.difference(&seen) {
        members.extend(set::digests(set, &journal.get(set)?)?);
    }
    for digest in members.iter().chain(&check.blobs) {
        if !known.contains(digest) {
            journal.get(digest)?;
        }
    }
    Ok(known.len() as u64)
}

fn size(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
