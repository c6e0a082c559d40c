//! Writes container output in the CRI log format, one timestamped line each, and rotates the file.
//!
//! Format: kubernetes/design-proposals-archive, node/kubelet-cri-logging.md:
//! `2016-10-06T00:17:09.669794202Z stdout F the line`, with `P` for a part of a longer line.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// Longest part of a line in bytes, as containerd's: longer lines are split into parts.
const PART_BYTES_MAX: usize = 16 << 10;

/// Size at which a log is rotated, as kubelet's containerLogMaxSize. One older file is kept, so a
/// container's logs take twice this at most.
const LOG_BYTES_MAX: u64 = 10 << 20;

/// A log file that several streams write to.
pub(crate) struct LogFile {
    path: PathBuf,
    open: Mutex<(File, u64)>,
}

impl LogFile {
    /// Opens the log for appending, making it and its folder if needed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let size = file.metadata()?.len();
        Ok(Self {
            path: path.to_owned(),
            open: Mutex::new((file, size)),
        })
    }

    /// Copies a stream into the log until it ends. A line without its end is written as a whole
    /// line then. A log that cannot be written (disk full) loses lines, but never blocks the
    /// container.
    pub(crate) fn copy(&self, stream: &str, mut from: impl Read) {
        let mut pending = Vec::new();
        let mut buffer = vec![0; PART_BYTES_MAX];
        loop {
            let n = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // A terminal whose last user is gone answers EIO.
                Err(_) => break,
            };
            pending.extend_from_slice(&buffer[..n]);
            let text = format_lines(stream, &mut pending, Timestamp::now());
            self.append(&text);
        }
        if !pending.is_empty() {
            pending.push(b'\n');
            let text = format_lines(stream, &mut pending, Timestamp::now());
            self.append(&text);
        }
    }

    fn append(&self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.1 > 0 && open.1 + text.len() as u64 > LOG_BYTES_MAX {
            let rotated = std::fs::rename(&self.path, rotated(&self.path)).and_then(|()| {
                OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(&self.path)
            });
            if let Ok(file) = rotated {
                *open = (file, 0);
            }
        }
        if open.0.write_all(text).is_ok() {
            open.1 += text.len() as u64;
        }
    }
}

/// Returns where the older part of a log is.
pub(crate) fn rotated(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// Takes whole lines, and overlong parts, off `pending` and returns them in the log's format.
fn format_lines(stream: &str, pending: &mut Vec<u8>, now: Timestamp) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    // Nine digits always: readers compare times as text.
    let time = format!("{now:.9}");
    loop {
        let rest = &pending[at..];
        let window = &rest[..rest.len().min(PART_BYTES_MAX)];
        let (part, tag, skip) = match window.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&rest[..end], "F", end + 1),
            None if window.len() == PART_BYTES_MAX => (window, "P", PART_BYTES_MAX),
            None => break,
        };
        out.extend_from_slice(format!("{time} {stream} {tag} ").as_bytes());
        out.extend_from_slice(part);
        out.push(b'\n');
        at += skip;
    }
    pending.drain(..at);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expect: &[(&str, usize)], left: usize) {
        let mut pending = input.as_bytes().to_vec();
        let text = format_lines("stdout", &mut pending, Timestamp::UNIX_EPOCH);
        let text = String::from_utf8(text).expect("text");
        let found: Vec<_> = text
            .lines()
            .map(|line| {
                let mut words = line.splitn(4, ' ');
                assert_eq!(words.next(), Some("1970-01-01T00:00:00.000000000Z"));
                assert_eq!(words.next(), Some("stdout"));
                let tag = words.next().expect("a tag");
                (tag, words.next().expect("a body").len())
            })
            .collect();
        assert_eq!(found, expect);
        assert_eq!(pending.len(), left);
    }

    #[test]
    fn lines_are_cut_at_their_ends_and_when_too_long() {
        check("", &[], 0);
        check("a\nbc\nd", &[("F", 1), ("F", 2)], 1);
        check("\n\n", &[("F", 0), ("F", 0)], 0);
        let long = "x".repeat(PART_BYTES_MAX + 5);
        check(&long, &[("P", PART_BYTES_MAX)], 5);
        check(&format!("{long}\n"), &[("P", PART_BYTES_MAX), ("F", 5)], 0);
    }

    #[test]
    fn a_log_is_rotated_before_it_grows_too_large() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("0.log");
        let log = LogFile::open(&path).expect("opened");
        let line = vec![b'x'; 1 << 20];
        for _ in 0..25 {
            log.append(&line);
        }
        let sizes = [&path, &rotated(&path)].map(|p| std::fs::metadata(p).expect("there").len());
        assert!(sizes.iter().all(|size| *size <= LOG_BYTES_MAX), "{sizes:?}");
    }
}
