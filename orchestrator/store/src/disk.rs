//! The file of the embedded store: a log with one row per write, in redb.
//!
//! A row is kept while somebody may ask for it: as the newest state of its key, or as history
//! after the compacted revision. The state is rebuilt from the rows when the store is opened.
//! This module knows rows and transactions, not who writes or watches.

use std::{collections::HashMap, fs, io, path::Path, sync::Arc};

use bytes::Bytes;
use redb::{
    Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, StorageBackend,
    TableDefinition, backends::FileBackend,
};

use crate::{Entry, Error, Event, History, Key, Revision, state::State};

/// Revision of the write -> row.
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
/// Facts about the log, by name.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const META_FORMAT: &str = "format";
const META_COMPACTED: &str = "compacted";

/// The layout of rows and tables; a store with another number is refused.
const FORMAT: u64 = 1;
/// Pages that redb keeps in memory. All reads are served from our own state, so this only has to
/// hold the path to the end of the log.
const CACHE_BYTES: usize = 4 << 20;

const ROW_DELETE: u8 = 0;
const ROW_PUT: u8 = 1;
/// Kind, create revision, version, length of the key.
const ROW_HEADER_BYTES: usize = 1 + 8 + 8 + 2;

/// The open file.
pub(crate) struct Disk {
    database: Database,
}

/// What [`Disk::load`] found.
pub(crate) struct Loaded {
    pub(crate) state: State,
    /// Rows that nobody can ask for and that an interrupted compaction left behind.
    pub(crate) garbage: Vec<Revision>,
}

/// The cause of a commit that did not happen, or of which that is unknown.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct CommitFailed(Box<redb::Error>);

impl<E: Into<redb::Error>> From<E> for CommitFailed {
    fn from(error: E) -> CommitFailed {
        CommitFailed(Box::new(error.into()))
    }
}

impl Disk {
    /// Opens the file at `path`, made if missing, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Disk, Error> {
        let failed = |error: io::Error| open_error(path, error);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        {
            // Secrets are in here.
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        let file = options.open(path).map_err(failed)?;
        let backend = FileBackend::new(file).map_err(|error| database_error(path, error))?;
        Disk::open_backend(path, backend)
    }

    /// Opens a store on anything that stores bytes; tests give it faulty ones.
    pub(crate) fn open_backend(path: &Path, backend: impl StorageBackend) -> Result<Disk, Error> {
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(backend)
            .map_err(|error| database_error(path, error))?;
        Ok(Disk { database })
    }

    /// Reads the whole log.
    pub(crate) fn load(&self, path: &Path, history: History) -> Result<Loaded, Error> {
        self.prepare(path)?;
        let read = || -> Result<Result<Loaded, String>, redb::Error> {
            let transaction = self.database.begin_read()?;
            let meta = transaction.open_table(META)?;
            let compacted = meta.get(META_COMPACTED)?.map_or(0, |row| row.value());
            let mut loader = Loader::new(Revision(compacted), history);
            for row in transaction.open_table(LOG)?.iter()? {
                let (revision, row) = row?;
                if let Err(reason) = loader.add(Revision(revision.value()), row.value()) {
                    return Ok(Err(reason));
                }
            }
            Ok(Ok(loader.finish()))
        };
        read()
            .map_err(|error| open_error(path, error))?
            .map_err(|reason| Error::Damaged {
                path: path.to_owned(),
                reason,
            })
    }

    /// Makes the tables, and refuses a file of another format.
    fn prepare(&self, path: &Path) -> Result<(), Error> {
        let prepare = || -> Result<u64, redb::Error> {
            let transaction = self.database.begin_write()?;
            let format = {
                transaction.open_table(LOG)?;
                let mut meta = transaction.open_table(META)?;
                let stored = meta.get(META_FORMAT)?.map(|row| row.value());
                match stored {
                    Some(FORMAT) => return Ok(FORMAT),
                    Some(other) => return Ok(other),
                    None => meta.insert(META_FORMAT, FORMAT)?,
                };
                FORMAT
            };
            transaction.commit()?;
            Ok(format)
        };
        match prepare().map_err(|error| open_error(path, error))? {
            FORMAT => Ok(()),
            other => Err(Error::Damaged {
                path: path.to_owned(),
                reason: format!("its format is {other}, this program reads format {FORMAT}"),
            }),
        }
    }

    /// Returns the writes after `state` that a failed commit has left on disk after all.
    pub(crate) fn written_after(&self, state: &State) -> Result<Vec<Arc<Event>>, CommitFailed> {
        let transaction = self.database.begin_read()?;
        let mut events = Vec::new();
        let mut newest: HashMap<Key, Option<Arc<Entry>>> = HashMap::new();
        let mut revision = state.revision();
        for row in transaction.open_table(LOG)?.range(revision.next().0..)? {
            let (_, row) = row?;
            revision = revision.next();
            let Some(row) = decode(row.value()) else {
                break;
            };
            let old = match newest.get(row.key) {
                Some(entry) => entry.clone(),
                None => state.get(row.key).cloned(),
            };
            let new = row.entry(revision, old.as_deref());
            let key = new.as_ref().or(old.as_ref()).map(|entry| entry.key.clone());
            newest.extend(key.map(|key| (key, new.clone())));
            events.push(Arc::new(Event::new(revision, new, old)));
        }
        Ok(events)
    }

    /// Adds the rows of `events` and removes `garbage`, durably and all at once.
    pub(crate) fn commit(
        &self,
        events: &[Arc<Event>],
        garbage: &[Revision],
        compacted: Revision,
    ) -> Result<(), CommitFailed> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut log = transaction.open_table(LOG)?;
            for event in events {
                log.insert(event.revision.0, encode(event).as_slice())?;
            }
            for revision in garbage {
                log.remove(revision.0)?;
            }
            if !garbage.is_empty() {
                transaction
                    .open_table(META)?
                    .insert(META_COMPACTED, compacted.0)?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

fn open_error(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Open {
        path: path.to_owned(),
        source: Arc::new(error),
    }
}

fn database_error(path: &Path, error: DatabaseError) -> Error {
    match error {
        DatabaseError::DatabaseAlreadyOpen => Error::InUse {
            path: path.to_owned(),
        },
        other => open_error(path, other),
    }
}

fn encode(event: &Event) -> Vec<u8> {
    let (kind, entry) = match &event.new {
        Some(new) => (ROW_PUT, new),
        None => (
            ROW_DELETE,
            event.old.as_ref().expect("a delete has an old entry"),
        ),
    };
    let value: &[u8] = if kind == ROW_PUT { &entry.value } else { &[] };
    let key_bytes = u16::try_from(entry.key.len()).expect("keys are at most KEY_BYTES_MAX");
    let mut row = Vec::with_capacity(ROW_HEADER_BYTES + entry.key.len() + value.len());
    row.push(kind);
    row.extend(entry.create_revision.0.to_le_bytes());
    row.extend(entry.version.to_le_bytes());
    row.extend(key_bytes.to_le_bytes());
    row.extend(entry.key.as_bytes());
    row.extend(value);
    row
}

/// A decoded row.
struct Row<'a> {
    put: bool,
    create_revision: Revision,
    version: u64,
    key: &'a str,
    value: &'a [u8],
}

impl Row<'_> {
    /// Returns the entry that the row stores; `None` for a delete.
    fn entry(&self, revision: Revision, old: Option<&Entry>) -> Option<Arc<Entry>> {
        self.put.then(|| {
            Arc::new(Entry {
                key: old.map_or_else(|| self.key.into(), |old| old.key.clone()),
                value: Bytes::copy_from_slice(self.value),
                create_revision: self.create_revision,
                mod_revision: revision,
                version: self.version,
            })
        })
    }
}

fn decode(row: &[u8]) -> Option<Row<'_>> {
    let (kind, row) = row.split_first()?;
    let (create, row) = row.split_first_chunk::<8>()?;
    let (version, row) = row.split_first_chunk::<8>()?;
    let (key_bytes, row) = row.split_first_chunk::<2>()?;
    let (key, value) = row.split_at_checked(u16::from_le_bytes(*key_bytes).into())?;
    Some(Row {
        put: match *kind {
            ROW_PUT => true,
            ROW_DELETE => false,
            _ => return None,
        },
        create_revision: Revision(u64::from_le_bytes(*create)),
        version: u64::from_le_bytes(*version),
        key: std::str::from_utf8(key).ok()?,
        value,
    })
}

/// Builds the state from the rows, which come in the order of their revisions.
struct Loader {
    /// Where the kept history begins, as the file says.
    compacted: Revision,
    state: State,
    garbage: Vec<Revision>,
}

impl Loader {
    fn new(compacted: Revision, history: History) -> Loader {
        Loader {
            compacted,
            state: State::new(history, compacted),
            garbage: Vec::new(),
        }
    }

    fn add(&mut self, revision: Revision, row: &[u8]) -> Result<(), String> {
        let row = decode(row).ok_or_else(|| format!("the row of {revision:?} is not readable"))?;
        let old = self.state.get(row.key).cloned();
        let new = row.entry(revision, old.as_deref());
        if revision <= self.compacted {
            // What this row replaced was forgotten with the history before it.
            self.garbage.extend(old.map(|old| old.mod_revision));
            match new {
                Some(new) => self.state.load(new),
                None => {
                    self.state.unload(row.key);
                    self.garbage.push(revision);
                }
            }
            return Ok(());
        }
        let expected = self.state.revision().next();
        if revision != expected {
            return Err(format!(
                "the row of {expected:?} is missing before that of {revision:?}"
            ));
        }
        if new.is_none() && old.is_none() {
            return Err(format!(
                "{revision:?} deletes `{}`, which is not stored",
                row.key
            ));
        }
        self.state.apply(Arc::new(Event::new(revision, new, old)));
        self.garbage.extend(self.state.trim());
        Ok(())
    }

    fn finish(self) -> Loaded {
        Loaded {
            state: self.state,
            garbage: self.garbage,
        }
    }
}
