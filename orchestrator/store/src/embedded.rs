//! The durable store: one thread gathers waiting writes into one commit.
//!
//! The sequencer decides every write against the published state and the writes before it in the
//! same batch, commits the batch to disk, publishes it, and only then answers. So a reader never
//! sees what a crash could take back, and the cost of a sync is shared by all who wait for it.

use std::{
    collections::{HashMap, VecDeque},
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::{
    mpsc::{self, error::TryRecvError},
    oneshot,
};

use crate::{
    BoxFuture, Deleted, Entry, Error, Event, Expect, History, Key, Kv, Page, Range, Revision,
    Watch,
    cursor::Shared,
    disk::{Disk, Loaded},
    state::{self, Op},
};

/// Writes that wait for the sequencer; a writer beyond them waits for its turn to ask.
const WAITING_MAX: usize = 1024;
/// Writes in one commit; it bounds how long the first of them waits for the last.
const BATCH_WRITES_MAX: usize = 1024;
/// Bytes of values in one commit, for the same reason.
const BATCH_BYTES_MAX: usize = 16 << 20;
/// Rows that a commit removes besides its own work. Each write makes at most two obsolete, so
/// removal keeps up with any load.
const GARBAGE_PER_WRITE: usize = 4;
/// Rows removed in one commit of their own while nobody writes.
const GARBAGE_SLICE: usize = 1000;
/// How long after a failed commit, or a failed attempt to go on, the next attempt is made at the
/// earliest. The attempt needs a writer: an idle store stays as it is.
const RECOVERY_PAUSE: Duration = Duration::from_millis(500);

/// A store in a directory, kept by this process alone.
pub struct Embedded {
    shared: Arc<Shared>,
    requests: Option<mpsc::Sender<Request>>,
    sequencer: Option<JoinHandle<()>>,
    path: PathBuf,
}

/// Opens the file, for the first time and after a failure.
type OpenDisk = Box<dyn Fn() -> Result<Disk, Error> + Send>;

/// Where the result of a write goes.
type Reply = oneshot::Sender<Result<Arc<Event>, Error>>;

/// What is asked of the sequencer.
enum Request {
    Write {
        op: Op,
        reply: oneshot::Sender<Result<Arc<Event>, Error>>,
    },
    Compact {
        revision: Revision,
        reply: oneshot::Sender<Result<(), Error>>,
    },
}

impl Embedded {
    /// Opens the store in `directory`, which is made if missing. Blocks while the log is read.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process has it open, [`Error::Open`] and
    /// [`Error::Damaged`] when it cannot be read.
    pub fn open(directory: impl AsRef<Path>) -> Result<Embedded, Error> {
        Embedded::open_with(directory, History::default())
    }

    /// Opens the store like [`Embedded::open`] and keeps as much history as `history` says.
    ///
    /// # Errors
    /// As [`Embedded::open`].
    pub fn open_with(directory: impl AsRef<Path>, history: History) -> Result<Embedded, Error> {
        let path = directory.as_ref().join("store.redb");
        let file = path.clone();
        Embedded::start(Box::new(move || Disk::open(&file)), path, history)
    }

    fn start(open: OpenDisk, path: PathBuf, history: History) -> Result<Embedded, Error> {
        let disk = open()?;
        let Loaded { state, garbage } = disk.load(&path, history)?;
        tracing::debug!(path = %path.display(), revision = %state.revision(), "store opened");
        let shared = Shared::new(state);
        let (sender, requests) = mpsc::channel(WAITING_MAX);
        let sequencer = Sequencer {
            open,
            disk: Some(disk),
            shared: shared.clone(),
            requests,
            garbage: garbage.into(),
            failed: None,
        };
        let thread = thread::Builder::new()
            .name("store".into())
            .spawn(move || sequencer.run())
            .map_err(|error| Error::Open {
                path: path.clone(),
                source: Arc::new(error),
            })?;
        Ok(Embedded {
            shared,
            requests: Some(sender),
            sequencer: Some(thread),
            path,
        })
    }

    /// Returns the file that holds the store.
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Request,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let requests = self.requests.as_ref().ok_or(Error::Closed)?;
        requests
            .send(request(reply))
            .await
            .map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }
}

impl Drop for Embedded {
    /// Waits for the commit that is under way, so that the next open finds the file unlocked.
    fn drop(&mut self) {
        self.requests.take();
        if let Some(sequencer) = self.sequencer.take()
            && sequencer.join().is_err()
        {
            tracing::error!(path = %self.path.display(), "the store's thread panicked");
        }
        self.shared.close();
    }
}

impl Kv for Embedded {
    fn revision(&self) -> BoxFuture<'_, Result<Revision, Error>> {
        Box::pin(async { Ok(self.shared.read().revision()) })
    }

    fn compacted(&self) -> BoxFuture<'_, Result<Revision, Error>> {
        Box::pin(async { Ok(self.shared.read().compacted()) })
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Arc<Entry>>, Error>> {
        Box::pin(async move { Ok(self.shared.read().get(key).cloned()) })
    }

    fn list(&self, range: Range) -> BoxFuture<'_, Result<Page, Error>> {
        Box::pin(async move { self.shared.read().list(&range) })
    }

    fn count<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<usize, Error>> {
        Box::pin(async move { Ok(self.shared.read().count(prefix)) })
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        value: Bytes,
        expect: Expect,
    ) -> BoxFuture<'a, Result<Arc<Entry>, Error>> {
        Box::pin(async move {
            let op = Op::put(key, value, expect)?;
            let event = self.ask(|reply| Request::Write { op, reply }).await?;
            Ok(state::put_result(&event).expect("a put has a new entry"))
        })
    }

    fn delete<'a>(&'a self, key: &'a str, expect: Expect) -> BoxFuture<'a, Result<Deleted, Error>> {
        Box::pin(async move {
            let op = Op::delete(key, expect)?;
            let event = self.ask(|reply| Request::Write { op, reply }).await?;
            Ok(state::delete_result(&event).expect("a delete has an old entry"))
        })
    }

    fn watch<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<Revision>,
    ) -> BoxFuture<'a, Result<Watch, Error>> {
        Box::pin(async move { self.shared.watch(prefix, after) })
    }

    fn compact(&self, revision: Revision) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.ask(move |reply| Request::Compact { revision, reply }))
    }
}

/// The thread that owns the file.
struct Sequencer {
    open: OpenDisk,
    /// `None` after a failed commit, until the file could be opened again.
    disk: Option<Disk>,
    shared: Arc<Shared>,
    requests: mpsc::Receiver<Request>,
    /// Rows that nobody can ask for any more, oldest first.
    garbage: VecDeque<Revision>,
    failed: Option<Failed>,
}

/// Why nothing is written at the moment.
struct Failed {
    reason: Arc<str>,
    /// When it was last tried to go on.
    tried: Instant,
}

/// The writes of one commit.
#[derive(Default)]
struct Batch {
    events: Vec<Arc<Event>>,
    /// What the keys of `events` will hold.
    overlay: HashMap<Key, Option<Arc<Entry>>>,
    answers: Vec<(Reply, Result<Arc<Event>, Error>)>,
    bytes: usize,
}

impl Sequencer {
    fn run(mut self) {
        while let Some(request) = self.next() {
            self.recover();
            let mut batch = Batch::default();
            let mut compactions = Vec::new();
            let mut next = Some(request);
            while let Some(request) = next {
                match request {
                    Request::Write { op, reply } => self.add(&mut batch, op, reply),
                    Request::Compact { revision, reply } => compactions.push((revision, reply)),
                }
                let full =
                    batch.answers.len() >= BATCH_WRITES_MAX || batch.bytes >= BATCH_BYTES_MAX;
                next = if full {
                    None
                } else {
                    self.requests.try_recv().ok()
                };
            }
            self.commit(batch);
            for (revision, reply) in compactions {
                // Nobody may listen any more.
                let _ = reply.send(self.compact(revision));
            }
        }
    }

    /// Returns the next request; while there is none, clears garbage away.
    fn next(&mut self) -> Option<Request> {
        loop {
            match self.requests.try_recv() {
                Ok(request) => return Some(request),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty)
                    if self.failed.is_none() && self.garbage.len() >= GARBAGE_SLICE =>
                {
                    self.commit_events(&[], GARBAGE_SLICE);
                }
                Err(TryRecvError::Empty) => return self.requests.blocking_recv(),
            }
        }
    }

    fn check(&self) -> Result<(), Error> {
        match &self.failed {
            None => Ok(()),
            Some(Failed { reason, .. }) => Err(Error::Failed {
                reason: reason.clone(),
            }),
        }
    }

    /// After a failure, opens the file again and goes on from what is really there.
    fn recover(&mut self) {
        let Some(failed) = &mut self.failed else {
            return;
        };
        if failed.tried.elapsed() < RECOVERY_PAUSE {
            return;
        }
        failed.tried = Instant::now();
        match self.reopen() {
            Ok(()) => {
                self.failed = None;
                tracing::info!("the store takes writes again");
            }
            Err(error) => {
                let error: &dyn std::error::Error = &*error;
                tracing::debug!(error, "the store's disk still fails");
            }
        }
    }

    fn reopen(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        // The lock of the old handle would refuse the new one.
        self.disk = None;
        let disk = (self.open)()?;
        // The commit that failed may have reached the disk. Its writers were told that it is in
        // doubt; from now on it is not.
        let events = disk.written_after(&self.shared.read())?;
        let garbage = self.shared.publish(&events);
        self.garbage.extend(garbage);
        // Shows that writing works, before anybody is promised that it does.
        disk.commit(&[], &[], self.shared.read().compacted())?;
        self.disk = Some(disk);
        Ok(())
    }

    /// Decides a write as the next one of the batch.
    fn add(&self, batch: &mut Batch, op: Op, reply: Reply) {
        if let Err(failed) = self.check() {
            batch.answers.push((reply, Err(failed)));
            return;
        }
        let decided = {
            let state = self.shared.read();
            let current = match batch.overlay.get(op.key()) {
                Some(entry) => entry.clone(),
                None => state.get(op.key()).cloned(),
            };
            let revision = Revision(state.revision().0 + batch.events.len() as u64).next();
            op.decide(current.as_ref(), revision).map(Arc::new)
        };
        if let Ok(event) = &decided {
            batch.bytes += event.new.as_ref().map_or(0, |new| new.value.len());
            batch.overlay.insert(event.key().clone(), event.new.clone());
            batch.events.push(event.clone());
        }
        batch.answers.push((reply, decided));
    }

    /// Makes the batch durable, publishes it and answers. A conflict is answered no earlier than
    /// the write it conflicts with.
    fn commit(&mut self, batch: Batch) {
        if !batch.events.is_empty() {
            self.commit_events(&batch.events, batch.events.len() * GARBAGE_PER_WRITE);
        }
        for (reply, answer) in batch.answers {
            // Nobody may listen any more.
            let _ = reply.send(self.check().and(answer));
        }
    }

    fn commit_events(&mut self, events: &[Arc<Event>], garbage_max: usize) {
        let Some(disk) = &self.disk else { return };
        let count = garbage_max.min(self.garbage.len());
        let removed: Vec<_> = self.garbage.iter().take(count).copied().collect();
        let compacted = self.shared.read().compacted();
        match disk.commit(events, &removed, compacted) {
            Ok(()) => {
                self.garbage.drain(..count);
                self.garbage.extend(self.shared.publish(events));
            }
            Err(error) => {
                tracing::error!(%error, "commit failed, the store takes no writes");
                let reason = error.to_string().into();
                self.failed = Some(Failed {
                    reason,
                    tried: Instant::now(),
                });
            }
        }
    }

    fn compact(&mut self, revision: Revision) -> Result<(), Error> {
        self.check()?;
        let garbage = self.shared.write().compact(revision)?;
        self.garbage.extend(garbage);
        Ok(())
    }
}

#[cfg(test)]
#[path = "embedded_tests.rs"]
mod tests;
