//! A batch: blobs and events that become durable together, with one sync of each file.

use std::sync::MutexGuard;

use crate::{
    AppRef, Digest, Error, Event, Journal, Record, journal::Writer, log::number, packs::Staged,
    set::ObjectSet,
};

/// Blobs and events on their way into a journal. Nothing of it is seen by readers before
/// [`Batch::commit`] returned; dropping it drops all of it.
///
/// While a batch is open no other one can be: gather first, then open it.
pub struct Batch<'a> {
    pub(crate) journal: &'a Journal,
    pub(crate) writer: MutexGuard<'a, Writer>,
    pub(crate) blobs: Staged,
    pub(crate) records: Vec<Record>,
}

/// A place in a batch to return to.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    blobs: (usize, usize),
    records: usize,
}

impl Batch<'_> {
    /// Stores bytes under their digest, unless they are stored already.
    pub fn put(&mut self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        self.put_as(digest, bytes);
        digest
    }

    fn put_as(&mut self, digest: Digest, bytes: &[u8]) {
        if !self.blobs.has(&digest) && !self.journal.has(&digest) {
            self.blobs.add(digest, bytes);
        }
    }

    /// Stores a set of objects: each object by itself, and the list of their digests. Objects that an
    /// earlier set has too are not stored again.
    pub fn put_set(&mut self, set: &ObjectSet) -> Digest {
        for (digest, text) in &set.objects {
            self.put_as(*digest, text.as_bytes());
        }
        self.put(set.list().as_bytes())
    }

    /// Adds an event; the record's number is final when the batch is committed.
    pub fn append(&mut self, time_ms: i64, event: Event) -> Record {
        let seq = self.writer.log.next(self.records.len());
        let record = number(seq, time_ms, event);
        self.records.push(record.clone());
        record
    }

    /// What may exist in the cluster for an app, as of the last batch.
    #[must_use]
    pub fn inventory(&self, app: &AppRef) -> Option<Digest> {
        self.journal.inventory(app)
    }

    /// The place that the batch has reached.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark {
            blobs: self.blobs.len(),
            records: self.records.len(),
        }
    }

    /// Drops everything that was added after a mark.
    pub fn undo(&mut self, mark: Mark) {
        self.blobs.truncate(mark.blobs);
        self.records.truncate(mark.records);
    }

    /// Makes everything durable; then it can be read.
    ///
    /// # Errors
    /// When it cannot be made durable; then nothing of the batch was written, and the journal is as before.
    pub fn commit(self) -> Result<(), Error> {
        self.journal.commit(self)
    }
}
