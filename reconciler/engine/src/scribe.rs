//! Writes to the journal on behalf of every worker: what arrives together is made durable together.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ordain_reconciler_journal::{Batch, Error as JournalError, Journal};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use crate::{Error, engine::result_of};

/// Tells its caller how the commit of its batch went.
type Told = Box<dyn FnOnce(Result<(), Arc<JournalError>>) + Send>;

/// Adds something to a batch.
type Act = Box<dyn FnOnce(&mut Batch<'_>) -> Told + Send>;

/// The engine's only way to its journal.
#[derive(Clone)]
pub(crate) struct Scribe {
    journal: Arc<Journal>,
    queue: Arc<Mutex<Queue>>,
    /// Work on the journal is waited for at the end: the next start needs its lock.
    tasks: TaskTracker,
}

#[derive(Default)]
struct Queue {
    acts: Vec<Act>,
    /// True while somebody empties the queue.
    busy: bool,
}

impl Scribe {
    pub(crate) fn new(journal: Journal, tasks: TaskTracker) -> Self {
        Self {
            journal: Arc::new(journal),
            queue: Arc::default(),
            tasks,
        }
    }

    /// What is kept in memory can be asked without waiting: [`Journal::last`], [`Journal::healthy`],
    /// [`Journal::inventory`], [`Journal::apps`], suspensions and quarantines.
    pub(crate) fn known(&self) -> &Journal {
        &self.journal
    }

    /// Reads something, where it may wait for the disk.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Journal) -> T + Send + 'static,
    ) -> T {
        let journal = Arc::clone(&self.journal);
        result_of(self.tasks.spawn_blocking(move || act(&journal))).await
    }

    /// Adds something to the next batch and waits until that is durable. While one batch is synced the
    /// next one gathers, so a thousand apps that record at once wait for a few syncs.
    ///
    /// It is written even when the caller is dropped meanwhile. When `act` fails, nothing of it is.
    ///
    /// # Errors
    /// What `act` returns, or why the batch could not be made durable; then nothing was written.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Batch<'_>) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, Error> {
        let (sender, receiver) = oneshot::channel();
        let act: Act = Box::new(move |batch| {
            let mark = batch.mark();
            let result = act(batch);
            if result.is_err() {
                batch.undo(mark);
            }
            Box::new(move |committed| {
                let result = committed.map_err(JournalError::Batch).and(result);
                // Nobody waits any more when the caller was dropped.
                let _ = sender.send(result);
            })
        });
        let begin = {
            let mut queue = self.queue();
            queue.acts.push(act);
            !mem::replace(&mut queue.busy, true)
        };
        if begin {
            let scribe = self.clone();
            self.tasks.spawn_blocking(move || scribe.empty());
        }
        let result = receiver.await.map_err(|_| Error::Lost)?;
        Ok(result?)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes batch after batch until nothing is left.
    fn empty(&self) {
        loop {
            let acts = {
                let mut queue = self.queue();
                if queue.acts.is_empty() {
                    queue.busy = false;
                    return;
                }
                mem::take(&mut queue.acts)
            };
            let mut told = Vec::with_capacity(acts.len());
            let committed = self.journal.batch().and_then(|mut batch| {
                told.extend(acts.into_iter().map(|act| act(&mut batch)));
                batch.commit()
            });
            let committed = committed.map_err(Arc::new);
            for tell in told {
                tell(committed.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use ordain_reconciler_journal::{Event, Query, steps};

    use super::*;

    fn note(number: usize) -> Event {
        Event::Note {
            only: None,
            topic: "test".to_owned(),
            text: number.to_string(),
            facts: Default::default(),
        }
    }

    #[tokio::test]
    async fn what_arrives_while_one_batch_is_written_is_the_next_one() {
        static SYNCS: AtomicUsize = AtomicUsize::new(0);
        steps::observe(|step| {
            if step == "log-sync" {
                SYNCS.fetch_add(1, Ordering::SeqCst);
            }
        });
        let dir = tempfile::tempdir().expect("a folder");
        let (journal, _) = Journal::open(dir.path()).expect("it opens");
        let scribe = Scribe::new(journal, TaskTracker::new());
        let (release, held) = mpsc::channel();
        let mut first = Box::pin(scribe.write(move |batch| {
            held.recv().expect("it is released");
            Ok(batch.append(0, note(0)))
        }));
        assert!(futures::poll!(&mut first).is_pending());
        let mut others: Vec<_> = (1..=1000)
            .map(|number| Box::pin(scribe.write(move |batch| Ok(batch.append(0, note(number))))))
            .collect();
        for other in &mut others {
            assert!(futures::poll!(other).is_pending());
        }
        let mut failing = Box::pin(scribe.write(|batch| {
            batch.append(0, note(0));
            Err::<(), _>(JournalError::ReadOnly {
                path: "refused".into(),
            })
        }));
        assert!(futures::poll!(&mut failing).is_pending());
        release.send(()).expect("somebody waits");
        assert_eq!(first.await.expect("written").seq, 1);
        for (number, other) in others.into_iter().enumerate() {
            assert_eq!(other.await.expect("written").seq, number as u64 + 2);
        }
        assert!(failing.await.is_err());
        assert_eq!(
            scribe
                .known()
                .records(&Query::default())
                .expect("it reads")
                .len(),
            1001
        );
        // The first batch may have taken some of the others along.
        assert!(SYNCS.load(Ordering::SeqCst) <= 2);
    }
}
