//! The state in memory that both backends read from: the newest entries and a bounded history.
//!
//! Pure data: it knows neither disks nor tasks. Whoever owns it decides when a write is durable
//! and applies it only then.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    sync::Arc,
};

use bytes::Bytes;

use crate::{
    Deleted, Entry, Error, Event, Expect, KEY_BYTES_MAX, Key, Page, Range, Revision,
    VALUE_BYTES_MAX,
};

/// How much history is kept for watches that resume and for lists at an earlier revision. The
/// oldest events are forgotten as soon as either bound is passed.
#[derive(Clone, Copy, Debug)]
pub struct History {
    /// Most events kept.
    pub events_max: usize,
    /// Most bytes of values that are kept only because the history refers to them.
    pub bytes_max: usize,
}

impl Default for History {
    /// 8192 events and 8 MiB: many minutes of a small cluster, and little of its memory.
    fn default() -> History {
        History {
            events_max: 8192,
            bytes_max: 8 << 20,
        }
    }
}

/// A write that somebody asks for.
#[derive(Debug)]
pub(crate) enum Op {
    Put {
        key: Key,
        value: Bytes,
        expect: Expect,
    },
    Delete {
        key: Key,
        expect: Expect,
    },
}

impl Op {
    /// Checks the sizes of a put.
    pub(crate) fn put(key: &str, value: Bytes, expect: Expect) -> Result<Op, Error> {
        check_size("key", key, key.len(), KEY_BYTES_MAX)?;
        check_size("value", key, value.len(), VALUE_BYTES_MAX)?;
        Ok(Op::Put {
            key: key.into(),
            value,
            expect,
        })
    }

    pub(crate) fn delete(key: &str, expect: Expect) -> Result<Op, Error> {
        check_size("key", key, key.len(), KEY_BYTES_MAX)?;
        Ok(Op::Delete {
            key: key.into(),
            expect,
        })
    }

    pub(crate) fn key(&self) -> &Key {
        match self {
            Op::Put { key, .. } | Op::Delete { key, .. } => key,
        }
    }

    /// Decides what the write does to a key that holds `current`, if it is the write `revision`.
    pub(crate) fn decide(
        self,
        current: Option<&Arc<Entry>>,
        revision: Revision,
    ) -> Result<Event, Error> {
        let (key, expect) = match &self {
            Op::Put { key, expect, .. } | Op::Delete { key, expect } => (key, *expect),
        };
        let as_expected = match expect {
            Expect::Any => true,
            Expect::Absent => current.is_none(),
            Expect::Exactly(asked) => current.is_some_and(|entry| entry.mod_revision == asked),
        };
        if !as_expected {
            return Err(Error::Conflict {
                key: key.clone(),
                actual: current.cloned(),
            });
        }
        match (self, current) {
            (Op::Put { value, .. }, Some(old)) => {
                let new = Entry {
                    key: old.key.clone(),
                    value,
                    create_revision: old.create_revision,
                    mod_revision: revision,
                    version: old.version + 1,
                };
                Ok(Event::new(revision, Some(Arc::new(new)), Some(old.clone())))
            }
            (Op::Put { key, value, .. }, None) => {
                let new = Entry {
                    key,
                    value,
                    create_revision: revision,
                    mod_revision: revision,
                    version: 1,
                };
                Ok(Event::new(revision, Some(Arc::new(new)), None))
            }
            (Op::Delete { .. }, Some(old)) => Ok(Event::new(revision, None, Some(old.clone()))),
            (Op::Delete { key, .. }, None) => Err(Error::NotFound { key }),
        }
    }
}

fn check_size(what: &'static str, key: &str, bytes: usize, bytes_max: usize) -> Result<(), Error> {
    if bytes <= bytes_max {
        return Ok(());
    }
    let readable: String = key.chars().take(100).collect();
    Err(Error::TooLarge {
        what,
        key: readable.into(),
        bytes,
        bytes_max,
    })
}

/// What a writer is told about a write that happened.
pub(crate) fn put_result(event: &Event) -> Option<Arc<Entry>> {
    event.new.clone()
}

/// What a deleter is told about a delete that happened.
pub(crate) fn delete_result(event: &Event) -> Option<Deleted> {
    event.old.clone().map(|entry| Deleted {
        revision: event.revision,
        entry,
    })
}

/// The newest entries and the events since `compacted`.
#[derive(Debug)]
pub(crate) struct State {
    entries: BTreeMap<Key, Arc<Entry>>,
    /// The events of the revisions `compacted + 1 ..= revision`, without gaps.
    events: VecDeque<Arc<Event>>,
    /// Bytes of the old values in `events`.
    events_bytes: usize,
    revision: Revision,
    compacted: Revision,
    history: History,
}

impl State {
    /// Returns an empty state whose first write will be the one after `revision`.
    pub(crate) fn new(history: History, revision: Revision) -> State {
        State {
            entries: BTreeMap::new(),
            events: VecDeque::new(),
            events_bytes: 0,
            revision,
            compacted: revision,
            history,
        }
    }

    pub(crate) fn revision(&self) -> Revision {
        self.revision
    }

    pub(crate) fn compacted(&self) -> Revision {
        self.compacted
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Arc<Entry>> {
        self.entries.get(key)
    }

    /// Adds an entry that was loaded from before the history.
    pub(crate) fn load(&mut self, entry: Arc<Entry>) {
        self.entries.insert(entry.key.clone(), entry);
    }

    /// Removes an entry that was loaded and deleted before the history.
    pub(crate) fn unload(&mut self, key: &str) {
        self.entries.remove(key);
    }

    /// Applies the next write, which is durable by now.
    pub(crate) fn apply(&mut self, event: Arc<Event>) {
        assert_eq!(
            event.revision,
            self.revision.next(),
            "writes are applied in order"
        );
        match &event.new {
            Some(new) => {
                self.entries.insert(new.key.clone(), new.clone());
            }
            None => {
                self.entries.remove(event.key());
            }
        }
        self.revision = event.revision;
        self.events_bytes += event_bytes(&event);
        self.events.push_back(event);
    }

    /// Forgets history that passes the bounds, and returns the revisions whose rows nobody can
    /// ask for any more.
    pub(crate) fn trim(&mut self) -> Vec<Revision> {
        let mut garbage = Vec::new();
        while self.events.len() > self.history.events_max
            || self.events_bytes > self.history.bytes_max
        {
            if !self.forget_oldest(&mut garbage) {
                break;
            }
        }
        garbage
    }

    /// Forgets the history up to `revision`; returns what [`State::trim`] returns.
    pub(crate) fn compact(&mut self, revision: Revision) -> Result<Vec<Revision>, Error> {
        if revision > self.revision {
            return Err(Error::Future {
                asked: revision,
                current: self.revision,
            });
        }
        let mut garbage = Vec::new();
        while self.compacted < revision && self.forget_oldest(&mut garbage) {}
        Ok(garbage)
    }

    fn forget_oldest(&mut self, garbage: &mut Vec<Revision>) -> bool {
        let Some(event) = self.events.pop_front() else {
            return false;
        };
        self.compacted = event.revision;
        self.events_bytes -= event_bytes(&event);
        garbage.extend(event.old.as_ref().map(|old| old.mod_revision));
        if event.new.is_none() {
            garbage.push(event.revision);
        }
        true
    }

    pub(crate) fn count(&self, prefix: &str) -> usize {
        self.keys(prefix, None).count()
    }

    pub(crate) fn list(&self, range: &Range) -> Result<Page, Error> {
        let at = range.at.unwrap_or(self.revision);
        self.check_kept(at)?;
        let after = range.after.as_deref();
        if at == self.revision {
            return Ok(page(self.keys(&range.prefix, after), range.limit, at));
        }
        let mut past: BTreeMap<&str, &Arc<Entry>> = self
            .keys(&range.prefix, after)
            .map(|entry| (&*entry.key, entry))
            .collect();
        let undone = self
            .events
            .iter()
            .rev()
            .take_while(|event| event.revision > at);
        for event in undone {
            let key: &str = event.key();
            if !key.starts_with(&range.prefix) || after.is_some_and(|after| key <= after) {
                continue;
            }
            match &event.old {
                Some(old) => past.insert(key, old),
                None => past.remove(key),
            };
        }
        Ok(page(past.into_values(), range.limit, at))
    }

    fn check_kept(&self, asked: Revision) -> Result<(), Error> {
        if asked > self.revision {
            return Err(Error::Future {
                asked,
                current: self.revision,
            });
        }
        self.check_not_compacted(asked)
    }

    pub(crate) fn check_not_compacted(&self, asked: Revision) -> Result<(), Error> {
        if asked < self.compacted {
            return Err(Error::Compacted {
                asked,
                compacted: self.compacted,
            });
        }
        Ok(())
    }

    /// Moves the events after `position` whose keys start with `prefix` to `found`, at most
    /// `found_max`, and returns the new position: everything up to it has been looked at.
    pub(crate) fn events_after(
        &self,
        position: Revision,
        prefix: &str,
        found_max: usize,
        found: &mut VecDeque<Arc<Event>>,
    ) -> Result<Revision, Error> {
        self.check_not_compacted(position)?;
        // Lossless: the history never holds more events than fit in memory.
        let seen = (position.0 - self.compacted.0) as usize;
        let mut reached = position.max(self.revision);
        for event in self.events.iter().skip(seen) {
            if event.key().starts_with(prefix) {
                found.push_back(event.clone());
                if found.len() >= found_max {
                    reached = event.revision;
                    break;
                }
            }
        }
        Ok(reached)
    }

    fn keys<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Arc<Entry>> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.entries
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(_, entry)| entry)
    }
}

/// Bytes that stay in memory only because the history holds this event: its old value, and a
/// guess at the structs around it.
fn event_bytes(event: &Event) -> usize {
    const STRUCTS_BYTES: usize = 256;
    STRUCTS_BYTES
        + event
            .old
            .as_ref()
            .map_or(0, |old| old.value.len() + old.key.len())
}

fn page<'a>(
    mut entries: impl Iterator<Item = &'a Arc<Entry>>,
    limit: usize,
    revision: Revision,
) -> Page {
    let taken = if limit == 0 { usize::MAX } else { limit };
    let listed: Vec<_> = entries.by_ref().take(taken).cloned().collect();
    Page {
        entries: listed,
        remaining: entries.count(),
        revision,
    }
}
