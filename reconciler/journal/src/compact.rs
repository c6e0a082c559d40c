//! Retention: old records are cut off, and blobs that nothing names any more are deleted.
//!
//! The cut is recorded before anything is deleted, so the chain itself says where it begins now, and a state
//! file keeps what the log said there. What may still be needed is never cut: each app's last deploy, its
//! last healthy one, and its inventory live on in that state.

use std::{collections::BTreeSet, sync::PoisonError};

use serde::{Deserialize, Serialize};

use crate::{
    Digest, Error, Event, Journal, Record,
    deploy::Index,
    key,
    log::FOLDER,
    parts::steadily,
    reading::{replay, state_at},
    set, steps,
};

/// What a compaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compacted {
    /// The last record that is gone; 0 when none was ever cut off.
    pub through: u64,
    /// Segments that were deleted.
    pub segments: usize,
    /// Blobs that were deleted.
    pub blobs: usize,
}

impl Journal {
    /// Cuts off segments whose records are all older than `older_than_ms`, and deletes blobs that neither a
    /// record left nor an app's present state names. Blobs of the pack that is appended to stay. Others may read and
    /// write meanwhile. A process that is killed meanwhile leaves a journal that is whole: what its record says is gone
    /// is removed at the next opening.
    ///
    /// # Errors
    /// When something cannot be read or written. Nothing that is named was deleted then.
    pub fn compact(&self, older_than_ms: i64, now_ms: i64, by: &str) -> Result<Compacted, Error> {
        let mut done = Compacted {
            through: self.index().compacted,
            ..Compacted::default()
        };
        let cut = {
            let writer = self.writer()?;
            writer.log.cut_before(&writer.key, older_than_ms)?
        };
        if let Some(segment) = cut.filter(|segment| segment.last > done.through) {
            let (through, head) = (segment.last, segment.head);
            let key = key::public(self.folder())?;
            let index = steadily(|| replay(self.folder(), &key, i64::MAX, through))?;
            {
                let mut writer = self.writer()?;
                let writer = &mut *writer;
                writer.log.keep_state(&writer.key, &segment, &index)?;
            }
            steps::at("compact-state");
            self.append(
                now_ms,
                Event::Compacted {
                    through,
                    head,
                    by: by.to_owned(),
                },
            )?;
            steps::at("compact-recorded");
            done.through = through;
        }
        if done.through > 0 {
            done.segments = self.writer()?.log.remove_through(done.through)?;
        }
        done.blobs = self.sweep()?;
        Ok(done)
    }

    /// Deletes blobs that nothing names. Others go on writing: each pack is gone through by itself, with what was
    /// recorded up to then.
    fn sweep(&self) -> Result<usize, Error> {
        let mut seen = self.writer()?.log.seq;
        let mut live = self.live()?;
        let (mut at, mut gone) = (0, 0);
        loop {
            // Nothing may be added meanwhile that names a blob which is about to go.
            let writer = self.writer()?;
            if writer.log.seq > seen {
                let mut late = Live::default();
                self.each(seen, |record| {
                    late.record(&record);
                    true
                })?;
                live.extend(self.named(late));
                seen = writer.log.seq;
            }
            let mut packs = self.packs.write().unwrap_or_else(PoisonError::into_inner);
            if at >= packs.sealed.len() {
                return Ok(gone);
            }
            gone += packs.sweep(at, &writer.key, |digest| live.contains(digest))?;
            steps::at("compact-pack");
            at += 1;
        }
    }

    /// Every blob that something names.
    fn live(&self) -> Result<BTreeSet<Digest>, Error> {
        let mut live = Live::default();
        live.index(&self.index());
        let compacted = self.index().compacted;
        if compacted > 0 {
            let key = key::public(self.folder())?;
            live.index(&state_at(&self.folder().join(FOLDER), compacted, &key)?.0);
        }
        self.each(0, |record| {
            live.record(&record);
            true
        })?;
        Ok(self.named(live))
    }

    /// With the objects of the sets.
    fn named(&self, live: Live) -> BTreeSet<Digest> {
        let mut all = live.others;
        for set in live.sets {
            // A set that was compacted away before its record was is no reason to stop.
            if let Ok(bytes) = self.get(&set) {
                all.extend(set::digests(&set, &bytes).unwrap_or_default());
                all.insert(set);
            }
        }
        all
    }
}

#[derive(Default)]
struct Live {
    sets: BTreeSet<Digest>,
    others: BTreeSet<Digest>,
}

impl Live {
    fn index(&mut self, index: &Index) {
        for log in index.apps.values() {
            self.sets.extend(log.deploys.iter().map(|row| row.set));
            self.others.extend(log.inventory);
        }
        for (_, held) in index.holds.quarantines() {
            self.sets.insert(held.objects);
            self.sets.extend(held.restores);
        }
    }

    fn record(&mut self, record: &Record) {
        match &record.event {
            Event::Intent(intent) => {
                self.sets.insert(intent.set);
                self.others.insert(intent.inventory);
            }
            Event::Outcome { inventory, .. } => self.others.extend(inventory),
            Event::Quarantine {
                objects, restores, ..
            } => {
                self.sets.insert(*objects);
                self.sets.extend(restores);
            }
            _ => {}
        }
    }
}
