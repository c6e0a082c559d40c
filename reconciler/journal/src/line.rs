//! One line of the log: bound to the line before it by a hash, and a batch of lines signed by its last.
//!
//! A line is `<hash> <signature> <body>`; the hash covers the previous hash and the body. The lines of
//! one batch are synced together; the last of them carries a signature of its hash, the others `-`.
//! So a signature speaks for every line before it.

use ed25519_dalek::{Signature, VerifyingKey};

use crate::{
    Digest, Error, Record,
    digest::{from_hex, to_hex},
};

/// Stands for a signature in lines that are not the last of their batch.
const UNSIGNED: &str = "-";

/// The hash before the first record.
pub(crate) fn genesis() -> Digest {
    Digest::of(b"ordain journal 1")
}

pub(crate) fn link(previous: &Digest, body: &[u8]) -> Digest {
    let mut bytes = previous.as_bytes().to_vec();
    bytes.extend_from_slice(body);
    Digest::of(&bytes)
}

pub(crate) fn render(hash: &Digest, signature: Option<&[u8; 64]>, body: &str) -> String {
    match signature {
        Some(signature) => format!("{hash} {} {body}\n", to_hex(signature)),
        None => format!("{hash} {UNSIGNED} {body}\n"),
    }
}

/// A line that fits to the one before it.
pub(crate) struct Line<'a> {
    pub(crate) hash: Digest,
    pub(crate) body: &'a str,
    /// True for the last one of a batch.
    pub(crate) signed: bool,
}

/// Reads a line without its end.
///
/// # Errors
/// What does not fit, in words.
pub(crate) fn read<'a>(
    line: &'a [u8],
    previous: &Digest,
    key: Option<&VerifyingKey>,
) -> Result<Line<'a>, String> {
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
    let signed = signature != UNSIGNED;
    if signed {
        let signature = from_hex::<64>(signature).ok_or("its signature is unreadable")?;
        if let Some(key) = key {
            key.verify_strict(hash.as_bytes(), &Signature::from_bytes(&signature))
                .map_err(|_| "its signature does not fit")?;
        }
    }
    Ok(Line { hash, body, signed })
}

/// Reads the body of record `seq`.
///
/// # Errors
/// What is wrong with it, in words.
pub(crate) fn record(body: &str, seq: u64) -> Result<Record, String> {
    let record: Record = serde_json::from_str(body).map_err(|error| error.to_string())?;
    if record.seq != seq {
        return Err(format!("it says that it is record {}", record.seq));
    }
    Ok(record)
}

/// The whole batches at the beginning of `bytes`.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) records: Vec<Record>,
    /// The hash of each, when every record is read.
    pub(crate) hashes: Vec<Digest>,
    /// The hash of the last record.
    pub(crate) head: Digest,
    /// Length of what was read.
    pub(crate) bytes: usize,
    /// What is wrong behind it, if anything is there.
    pub(crate) rest: Option<String>,
}

/// Reads whole batches, up to the first thing that does not fit. `first` is the number of the first record.
pub(crate) fn scan(
    bytes: &[u8],
    first: u64,
    before: Digest,
    key: Option<&VerifyingKey>,
    wanted: impl Fn(&str) -> bool,
) -> Scan {
    let mut scan = Scan {
        records: Vec::new(),
        hashes: Vec::new(),
        head: before,
        bytes: 0,
        rest: None,
    };
    let (mut at, mut head, mut seq) = (0, before, first);
    // Lines of a batch count when its last one was read.
    let mut open = Vec::new();
    while at < bytes.len() {
        let Some(end) = bytes[at..].iter().position(|byte| *byte == b'\n') else {
            scan.rest = Some("it has no end".to_owned());
            return scan;
        };
        let read = read(&bytes[at..at + end], &head, key).and_then(|line| {
            // A record is read even when it is not wanted while its signature is checked.
            let record = (key.is_some() || wanted(line.body)).then(|| record(line.body, seq));
            let record = record.transpose()?;
            Ok((line.hash, line.signed, record))
        });
        match read {
            Ok((hash, signed, record)) => {
                open.extend(record.map(|record| (record, hash)));
                (head, seq, at) = (hash, seq + 1, at + end + 1);
                if signed {
                    for (record, hash) in open.drain(..) {
                        scan.records.push(record);
                        scan.hashes.push(hash);
                    }
                    (scan.head, scan.bytes) = (head, at);
                }
            }
            Err(what) => {
                scan.rest = Some(what);
                return scan;
            }
        }
    }
    if scan.bytes < bytes.len() {
        scan.rest = Some("its batch has no signed end".to_owned());
    }
    scan
}

/// True when what follows the last whole batch may be one that a crash tore: it holds at most one signed
/// line, and that at its very end. Anything else was written by nobody.
pub(crate) fn is_torn(rest: &[u8]) -> bool {
    let is_signed = |line: &[u8]| {
        let mut parts = line.splitn(3, |byte| *byte == b' ');
        let signature = parts.nth(1).unwrap_or_default();
        signature.len() == 128 && signature.iter().all(u8::is_ascii_hexdigit)
    };
    let body = rest.strip_suffix(b"\n").unwrap_or(rest);
    let last = body
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let before = &body[..last];
    !before.split(|byte| *byte == b'\n').any(is_signed)
}
