//! The log file: one line per record, each bound to the line before it and signed.
//!
//! A line is `<hash> <signature> <body>`; the hash covers the previous hash and the body, the
//! signature covers the hash. A crash can tear the last line only, because a line is synced before
//! the next one is written; so a bad last line is cut off, and any other bad line is an error.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use ed25519_dalek::{Signature, VerifyingKey};

use crate::{
    Digest, Error, Event, Record, Warning,
    blobs::sync_folder,
    digest::{from_hex, to_hex},
    key::{self, Key},
};

/// The file in the journal's folder.
pub(crate) const FILE: &str = "log";

/// The log, open for appending.
pub(crate) struct Log {
    path: PathBuf,
    file: File,
    head: Digest,
    seq: u64,
    /// Length of the file up to the last good record; what is behind it is from a failed append.
    bytes: u64,
}

/// The result of reading a log to its end.
struct Scan {
    records: Vec<Record>,
    head: Digest,
    bytes: u64,
    /// What is wrong with the bytes behind `bytes`, if there are any.
    rest: Option<String>,
}

/// The hash before the first record.
fn genesis() -> Digest {
    Digest::of(b"ordain journal 1")
}

fn link(previous: &Digest, body: &[u8]) -> Digest {
    let mut bytes = previous.as_bytes().to_vec();
    bytes.extend_from_slice(body);
    Digest::of(&bytes)
}

fn render(hash: &Digest, signature: &[u8; 64], body: &str) -> String {
    format!("{hash} {} {body}\n", to_hex(signature))
}

/// Reads records up to the first line that does not fit.
fn scan(bytes: &[u8], key: Option<&VerifyingKey>) -> Scan {
    let mut scan = Scan {
        records: Vec::new(),
        head: genesis(),
        bytes: 0,
        rest: None,
    };
    let mut rest = bytes;
    while !rest.is_empty() {
        let seq = scan.records.len() as u64 + 1;
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            scan.rest = Some("it has no end".to_owned());
            break;
        };
        match read_line(&rest[..end], &scan.head, seq, key) {
            Ok((hash, record)) => {
                scan.records.push(record);
                scan.head = hash;
                scan.bytes += end as u64 + 1;
                rest = &rest[end + 1..];
            }
            Err(what) => {
                scan.rest = Some(what);
                break;
            }
        }
    }
    scan
}

fn read_line(
    line: &[u8],
    previous: &Digest,
    seq: u64,
    key: Option<&VerifyingKey>,
) -> Result<(Digest, Record), String> {
    let line = std::str::from_utf8(line).map_err(|_| "it is not text")?;
    let mut parts = line.splitn(3, ' ');
    let (Some(hash), Some(signature), Some(body)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err("it is not `<hash> <signature> <body>`".to_owned());
    };
    let hash: Digest = hash.parse().map_err(|error: Error| error.to_string())?;
    if hash != link(previous, body.as_bytes()) {
        return Err("its hash does not fit".to_owned());
    }
    if let Some(key) = key {
        let signature = from_hex::<64>(signature).ok_or("its signature is unreadable")?;
        key.verify_strict(hash.as_bytes(), &Signature::from_bytes(&signature))
            .map_err(|_| "its signature does not fit")?;
    }
    let record: Record =
        serde_json::from_str(body).map_err(|error| format!("its body is unreadable: {error}"))?;
    if record.seq != seq {
        return Err(format!("it says that it is number {}", record.seq));
    }
    Ok((hash, record))
}

impl Log {
    /// Opens the log and reads every record. A torn last record is cut off.
    pub(crate) fn open(folder: &Path) -> Result<(Self, Vec<Record>, Vec<Warning>), Error> {
        let path = folder.join(FILE);
        let fresh = !path.exists();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        if fresh {
            sync_folder(folder).map_err(Error::io("write", folder))?;
        }
        let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
        let scan = scan(&bytes, None);
        let seq = scan.records.len() as u64;
        let mut warnings = Vec::new();
        if let Some(what) = scan.rest {
            let rest = &bytes[usize::try_from(scan.bytes).unwrap_or(usize::MAX)..];
            let lines = rest.iter().filter(|byte| **byte == b'\n').count();
            let more = lines > 1 || (lines == 1 && !rest.ends_with(b"\n"));
            if more {
                return Err(Error::Corrupt {
                    path,
                    seq: seq + 1,
                    what,
                });
            }
            let kept = folder.join(format!("log.torn-{}", seq + 1));
            fs::write(&kept, rest).map_err(Error::io("write", &kept))?;
            file.set_len(scan.bytes)
                .and_then(|()| file.sync_all())
                .map_err(Error::io("write", &path))?;
            let bytes = rest.len() as u64;
            warnings.push(Warning::TornRecord {
                seq: seq + 1,
                bytes,
                kept,
            });
        }
        file.seek(SeekFrom::End(0))
            .map_err(Error::io("read", &path))?;
        let log = Self {
            path,
            file,
            head: scan.head,
            seq,
            bytes: scan.bytes,
        };
        Ok((log, scan.records, warnings))
    }

    /// Appends records and syncs once. On an error nothing was appended.
    pub(crate) fn append(
        &mut self,
        key: &Key,
        time_ms: i64,
        events: Vec<Event>,
    ) -> Result<Vec<Record>, Error> {
        let (mut head, mut seq) = (self.head, self.seq);
        let mut text = String::new();
        let mut records = Vec::with_capacity(events.len());
        for event in events {
            seq += 1;
            let record = Record {
                seq,
                time_ms,
                event,
            };
            let body = serde_json::to_string(&record)
                .map_err(|error| Error::io("write", &self.path)(io::Error::other(error)))?;
            head = link(&head, body.as_bytes());
            text.push_str(&render(&head, &key.sign(head.as_bytes()), &body));
            records.push(record);
        }
        // A failed append may have left a part behind; start where the last good record ends.
        self.file
            .set_len(self.bytes)
            .and_then(|()| self.file.seek(SeekFrom::Start(self.bytes)))
            .and_then(|_| self.file.write_all(text.as_bytes()))
            .and_then(|()| self.file.sync_data())
            .map_err(Error::io("write", &self.path))?;
        self.bytes += text.len() as u64;
        (self.head, self.seq) = (head, seq);
        Ok(records)
    }
}

/// What a clean check of a log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Number of records.
    pub records: u64,
    /// The hash of the last one: kept elsewhere, it also proves that nothing was cut off the end.
    pub head: Digest,
}

/// Checks every hash and signature of the log in a journal's folder. Changes nothing.
///
/// # Errors
/// At the first record that was changed, or when a file cannot be read.
pub fn verify(folder: &Path) -> Result<Verified, Error> {
    let path = folder.join(FILE);
    let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
    let key = key::public(folder)?;
    let scan = scan(&bytes, Some(&key));
    let records = scan.records.len() as u64;
    match scan.rest {
        None => Ok(Verified {
            records,
            head: scan.head,
        }),
        Some(what) => Err(Error::Corrupt {
            path,
            seq: records + 1,
            what,
        }),
    }
}
