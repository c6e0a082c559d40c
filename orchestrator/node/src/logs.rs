//! Reads container logs back: the CRI format that the shim writes, with the options of
//! `GET …/log` (kubelet, kuberuntime/logs). Knows no pods, only files.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, SeekFrom};
use tokio::sync::mpsc;

use crate::shim::log::rotated;

/// How often a followed log is looked at.
const FOLLOW_PERIOD: Duration = Duration::from_millis(100);

/// Bytes read at once; also the largest piece that a reader gets.
const CHUNK_BYTES: usize = 64 << 10;

/// Which lines are wanted, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Go on until the container ends.
    pub follow: bool,
    /// Only so many of the last lines.
    pub tail: Option<usize>,
    /// Only lines from then on.
    pub since: Option<Timestamp>,
    /// Each line with its time.
    pub timestamps: bool,
    /// End after so many bytes.
    pub limit_bytes: Option<u64>,
    /// Only one stream: `stdout` or `stderr`.
    pub stream: Option<String>,
}

/// One line of a log file, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    time: &'a [u8],
    stream: &'a [u8],
    partial: bool,
    body: &'a [u8],
}

fn parse(line: &[u8]) -> Option<Line<'_>> {
    let mut words = line.splitn(4, |byte| *byte == b' ');
    let (time, stream, tag) = (words.next()?, words.next()?, words.next()?);
    Some(Line {
        time,
        stream,
        partial: tag == b"P",
        body: words.next().unwrap_or_default(),
    })
}

/// Turns lines of the file into what the reader asked for.
struct Filter {
    options: LogOptions,
    since: Option<String>,
    /// Whether the last line written was only a part, so that the next continues it.
    within: bool,
    left: Option<u64>,
}

impl Filter {
    fn new(options: &LogOptions) -> Self {
        Self {
            since: options.since.map(|since| format!("{since:.9}")),
            left: options.limit_bytes,
            options: options.clone(),
            within: false,
        }
    }

    fn keeps(&self, line: &Line<'_>) -> bool {
        let stream = self.options.stream.as_ref();
        stream.is_none_or(|stream| stream.as_bytes() == line.stream)
            && self
                .since
                .as_ref()
                .is_none_or(|since| line.time >= since.as_bytes())
    }

    /// Appends a line; returns false once the limit is reached.
    fn push(&mut self, raw: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(line) = parse(raw) else { return true };
        if !self.keeps(&line) {
            return true;
        }
        let start = out.len();
        if self.options.timestamps && !self.within {
            out.extend_from_slice(line.time);
            out.push(b' ');
        }
        out.extend_from_slice(line.body);
        if !line.partial {
            out.push(b'\n');
        }
        self.within = line.partial;
        if let Some(left) = &mut self.left {
            let added = (out.len() - start) as u64;
            if added >= *left {
                out.truncate(start + *left as usize);
                *left = 0;
                return false;
            }
            *left -= added;
        }
        true
    }
}

/// Reads a log. Pieces arrive on the channel until the end of the log, or, when following, until
/// `ended` says that the container is over and everything was read. The reader going away ends it.
pub fn read(
    path: PathBuf,
    options: LogOptions,
    ended: impl Fn() -> bool + Send + 'static,
) -> mpsc::Receiver<io::Result<Bytes>> {
    let (send, receive) = mpsc::channel(4);
    tokio::spawn(async move {
        if let Err(error) = pour(&path, &options, &send, ended).await {
            let _ = send.send(Err(error)).await;
        }
    });
    receive
}

async fn pour(
    path: &Path,
    options: &LogOptions,
    send: &mpsc::Sender<io::Result<Bytes>>,
    ended: impl Fn() -> bool,
) -> io::Result<()> {
    let mut filter = Filter::new(options);
    let mut out = Vec::new();
    // The current file is opened first: if it is rotated meanwhile, the older name still has it.
    let mut current = open(path).await?;
    let mut rest = Vec::new();
    let mut going = true;
    if let Some(wanted) = options.tail {
        let mut last: VecDeque<Vec<u8>> = VecDeque::new();
        let older = open(&rotated(path)).await?;
        for file in [older, current.as_mut().map(Handle::take)]
            .into_iter()
            .flatten()
        {
            let mut file = file;
            while let Some(chunk) = file.next().await? {
                rest.extend_from_slice(&chunk);
                lines(&mut rest, |line| {
                    if parse(line).is_some_and(|line| filter.keeps(&line)) {
                        last.push_back(line.to_vec());
                    }
                    // Parts of one line count as one; the extra room is for them.
                    while whole_lines(&last) > wanted {
                        last.pop_front();
                    }
                    true
                });
            }
            current = Some(file);
        }
        for line in last {
            going = going && filter.push(&line, &mut out);
        }
        if !flush(&mut out, send).await || !going {
            return Ok(());
        }
    } else if let Some(mut older) = open(&rotated(path)).await? {
        while let Some(chunk) = older.next().await? {
            rest.extend_from_slice(&chunk);
            lines(&mut rest, |line| {
                going = going && filter.push(line, &mut out);
                going
            });
            if !flush(&mut out, send).await || !going {
                return Ok(());
            }
        }
    }
    loop {
        let over = ended();
        if let Some(file) = &mut current {
            while let Some(chunk) = file.next().await? {
                rest.extend_from_slice(&chunk);
                lines(&mut rest, |line| {
                    going = going && filter.push(line, &mut out);
                    going
                });
                if !flush(&mut out, send).await || !going {
                    return Ok(());
                }
            }
        }
        if !options.follow || over || send.is_closed() {
            return Ok(());
        }
        tokio::time::sleep(FOLLOW_PERIOD).await;
        let replaced = match (&current, tokio::fs::metadata(path).await) {
            (Some(file), Ok(meta)) => !file.is(&meta),
            (None, Ok(_)) => true,
            (_, Err(_)) => false,
        };
        if replaced {
            // What was written to the old file before it was replaced comes first.
            if let Some(file) = &mut current {
                while let Some(chunk) = file.next().await? {
                    rest.extend_from_slice(&chunk);
                }
            }
            current = open(path).await?;
        }
    }
}

fn whole_lines(lines: &VecDeque<Vec<u8>>) -> usize {
    lines
        .iter()
        .filter(|line| parse(line).is_some_and(|line| !line.partial))
        .count()
}

/// Calls `each` for every whole line in `pending`, and keeps the rest.
fn lines(pending: &mut Vec<u8>, mut each: impl FnMut(&[u8]) -> bool) {
    let mut at = 0;
    while let Some(end) = pending[at..].iter().position(|byte| *byte == b'\n') {
        let more = each(&pending[at..at + end]);
        at += end + 1;
        if !more {
            break;
        }
    }
    pending.drain(..at);
}

async fn flush(out: &mut Vec<u8>, send: &mpsc::Sender<io::Result<Bytes>>) -> bool {
    if out.is_empty() {
        return true;
    }
    send.send(Ok(Bytes::from(std::mem::take(out))))
        .await
        .is_ok()
}

/// An open file that knows whether a path still names it.
struct Handle {
    file: Option<File>,
    device: u64,
    inode: u64,
}

async fn open(path: &Path) -> io::Result<Option<Handle>> {
    use std::os::unix::fs::MetadataExt as _;
    match File::open(path).await {
        Ok(mut file) => {
            let meta = file.metadata().await?;
            file.seek(SeekFrom::Start(0)).await?;
            Ok(Some(Handle {
                file: Some(file),
                device: meta.dev(),
                inode: meta.ino(),
            }))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Handle {
    fn take(&mut self) -> Self {
        Self {
            file: self.file.take(),
            device: self.device,
            inode: self.inode,
        }
    }

    fn is(&self, meta: &std::fs::Metadata) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        (self.device, self.inode) == (meta.dev(), meta.ino())
    }

    async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = &mut self.file else {
            return Ok(None);
        };
        let mut buffer = vec![0; CHUNK_BYTES];
        let n = file.read(&mut buffer).await?;
        buffer.truncate(n);
        Ok((n > 0).then_some(buffer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
2026-01-01T00:00:00.000000000Z stdout F one
2026-01-01T00:00:01.000000000Z stderr F two
2026-01-01T00:00:02.000000000Z stdout P thr
2026-01-01T00:00:02.500000000Z stdout F ee
2026-01-01T00:00:03.000000000Z stdout F four
";

    async fn collect(mut from: mpsc::Receiver<io::Result<Bytes>>) -> String {
        let mut out = Vec::new();
        while let Some(piece) = from.recv().await {
            out.extend_from_slice(&piece.expect("readable"));
        }
        String::from_utf8(out).expect("text")
    }

    async fn check(change: impl FnOnce(&mut LogOptions), expect: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("0.log");
        std::fs::write(&path, LOG).expect("written");
        let mut options = LogOptions::default();
        change(&mut options);
        assert_eq!(collect(read(path, options, || true)).await, expect);
    }

    #[tokio::test]
    async fn lines_are_chosen_and_joined() {
        check(|_| {}, "one\ntwo\nthree\nfour\n").await;
        check(|o| o.tail = Some(2), "three\nfour\n").await;
        check(|o| o.tail = Some(0), "").await;
        check(|o| o.tail = Some(99), "one\ntwo\nthree\nfour\n").await;
        check(
            |o| o.since = Some("2026-01-01T00:00:03Z".parse().expect("a time")),
            "four\n",
        )
        .await;
        check(|o| o.limit_bytes = Some(6), "one\ntw").await;
        check(|o| o.stream = Some("stderr".into()), "two\n").await;
        let timed = "2026-01-01T00:00:02.000000000Z three\n2026-01-01T00:00:03.000000000Z four\n";
        check(
            |o| {
                o.timestamps = true;
                o.tail = Some(2);
            },
            timed,
        )
        .await;
    }

    #[tokio::test]
    async fn a_missing_log_is_empty() {
        let none = read("/no/such/log".into(), LogOptions::default(), || true);
        assert_eq!(collect(none).await, "");
    }

    #[tokio::test]
    async fn following_crosses_a_rotation() {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicBool, Ordering};
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("0.log");
        std::fs::write(&path, LOG).expect("written");
        let over = Arc::new(AtomicBool::new(false));
        let ended = over.clone();
        let options = LogOptions {
            follow: true,
            tail: Some(1),
            ..LogOptions::default()
        };
        let mut from = read(path.clone(), options, move || ended.load(Ordering::SeqCst));
        let first = from.recv().await.expect("a piece").expect("readable");
        assert_eq!(&first[..], b"four\n");
        std::fs::rename(&path, rotated(&path)).expect("renamed");
        std::fs::write(&path, "2026-01-01T00:00:04.000000000Z stdout F five\n").expect("written");
        let next = from.recv().await.expect("a piece").expect("readable");
        assert_eq!(&next[..], b"five\n");
        over.store(true, Ordering::SeqCst);
        assert_eq!(collect(from).await, "");
    }
}
