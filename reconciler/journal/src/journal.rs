//! The journal of one data directory: one writer at a time, every batch durable when it is committed.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use crate::{
    AppRef, Batch, Deploy, Digest, Error, Event, ObjectSet, Quarantined, Record, Suspension,
    Warning,
    deploy::Index,
    files::{create_private, write_durably},
    format,
    head::{self, Found, Head, HeadFile},
    key::{self, Key},
    log::{self, Log},
    packs::{self, Active, Packs, Staged},
    set, steps,
};

/// Blobs of the first format, one file each. They are still read.
pub(crate) const OLD_BLOBS: &str = "blobs";

/// When files are sealed. For tests and measurements; everybody else takes the default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sizes {
    /// Bytes after which a segment of the log is sealed.
    pub segment_bytes: Option<u64>,
    /// Bytes after which a pack of blobs is sealed.
    pub pack_bytes: Option<u64>,
}

/// The writing half.
pub(crate) struct Writer {
    pub(crate) log: Log,
    pack: Active,
    head: HeadFile,
    pub(crate) key: Key,
    _lock: File,
}

/// An open journal; may be used from several threads. Dropping it lets another process open it.
pub struct Journal {
    folder: PathBuf,
    pub(crate) packs: RwLock<Packs>,
    index: RwLock<Index>,
    /// None when it was opened for reading.
    writer: Option<Mutex<Writer>>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Journal")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens or creates the journal in `folder`.
    ///
    /// What was sealed is not read: a state file says what came of it. A batch that a crash tore is cut off.
    ///
    /// # Errors
    /// When another process has it open, a record in the middle was changed, a newer version wrote it, or a
    /// file cannot be used.
    pub fn open(folder: &Path) -> Result<(Self, Vec<Warning>), Error> {
        Self::open_with(folder, Sizes::default())
    }

    /// Opens it like [`Journal::open`], with other limits for its files.
    ///
    /// # Errors
    /// The same.
    pub fn open_with(folder: &Path, sizes: Sizes) -> Result<(Self, Vec<Warning>), Error> {
        for part in ["", log::FOLDER, packs::FOLDER] {
            let part = folder.join(part);
            create_private(&part).map_err(Error::io("create", &part))?;
        }
        let lock = lock(folder)?;
        format::check_or_write(folder)?;
        let key = Key::open_or_create(folder)?;
        let public = key.public();
        let (log, index, warnings) = Log::open(folder, &key, sizes.segment_bytes)?;
        if index.compacted > 0 {
            // A compaction that was interrupted is brought to its end.
            log.remove_through(index.compacted)?;
        }
        // The head is evidence for an audit; a start only learns from it up to where the pack is whole.
        let durable = match head::read(folder, Some(&public))? {
            Found::Head(head) => Some((head.pack, head.bytes)),
            Found::None | Found::Broken => None,
        };
        let (packs, bytes) = Packs::open(folder, durable, Some(&public))?;
        let pack = Active::open(&packs, bytes, sizes.pack_bytes)?;
        let writer = Writer {
            log,
            pack,
            head: HeadFile::open(folder)?,
            key,
            _lock: lock,
        };
        let journal = Self {
            folder: folder.to_owned(),
            packs: RwLock::new(packs),
            index: RwLock::new(index),
            writer: Some(Mutex::new(writer)),
        };
        Ok((journal, warnings))
    }

    /// Opens the journal for reading, beside a process that writes it or without one. It shows what was
    /// written up to now.
    ///
    /// # Errors
    /// When there is none, a record in the middle was changed, or a newer version wrote it.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        format::check(folder)?;
        let key = key::public(folder)?;
        let index = crate::reading::index(folder, &key)?;
        let (packs, _) = Packs::open(folder, None, Some(&key))?;
        Ok(Self {
            folder: folder.to_owned(),
            packs: RwLock::new(packs),
            index: RwLock::new(index),
            writer: None,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn packs(&self) -> RwLockReadGuard<'_, Packs> {
        self.packs.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn writer(&self) -> Result<MutexGuard<'_, Writer>, Error> {
        let writer = self.writer.as_ref().ok_or_else(|| Error::ReadOnly {
            path: self.folder.clone(),
        })?;
        // A panic while it was held left the files as they were before or after an append.
        Ok(writer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Opens a batch; waits while another one is open.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] when it was opened by [`Journal::read`].
    pub fn batch(&self) -> Result<Batch<'_>, Error> {
        Ok(Batch {
            journal: self,
            writer: self.writer()?,
            blobs: Staged::default(),
            records: Vec::new(),
        })
    }

    pub(crate) fn commit(&self, batch: Batch<'_>) -> Result<(), Error> {
        let Batch {
            mut writer,
            blobs,
            records,
            ..
        } = batch;
        let Writer {
            log,
            pack,
            head,
            key,
            ..
        } = &mut *writer;
        // Blobs first: a record must never name one that a power cut took.
        let at = pack.append(&blobs)?;
        {
            let mut packs = self.packs.write().unwrap_or_else(PoisonError::into_inner);
            packs.publish(blobs, at);
        }
        log.append(key, &records)?;
        let mut index = self.index_mut();
        records.iter().for_each(|record| index.add(record));
        drop(index);
        steps::at("acknowledged");
        let now = Head {
            seq: log.seq,
            hash: log.head,
            pack: pack.number,
            bytes: pack.bytes,
        };
        // The batch is durable whatever comes of the rest, and the rest is tried again after the next one.
        let _ = head.write(&now, key);
        if log.is_full() {
            let _ = log.seal(key, &self.index());
        }
        if pack.is_full() {
            let mut packs = self.packs.write().unwrap_or_else(PoisonError::into_inner);
            let _ = pack.seal(&mut packs, key);
        }
        Ok(())
    }

    /// Seals what is appended to, whatever its size.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn seal(&self) -> Result<(), Error> {
        let mut writer = self.writer()?;
        let Writer { log, pack, key, .. } = &mut *writer;
        if !log.is_empty() {
            log.seal(key, &self.index())?;
        }
        if pack.bytes > 0 {
            let mut packs = self.packs.write().unwrap_or_else(PoisonError::into_inner);
            pack.seal(&mut packs, key)?;
        }
        Ok(())
    }

    /// Stores bytes under their digest, durably. Several blobs, or a blob and a record, belong in a
    /// [`Batch`]: it syncs once.
    ///
    /// # Errors
    /// When they cannot be made durable.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, Error> {
        let mut batch = self.batch()?;
        let digest = batch.put(bytes);
        batch.commit()?;
        Ok(digest)
    }

    /// Stores a set of objects durably.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub fn put_set(&self, set: &ObjectSet) -> Result<Digest, Error> {
        let mut batch = self.batch()?;
        let digest = batch.put_set(set);
        batch.commit()?;
        Ok(digest)
    }

    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.packs().has(digest)
    }

    /// Reads a blob and checks it.
    ///
    /// # Errors
    /// When it is missing or was changed.
    pub fn get(&self, digest: &Digest) -> Result<Vec<u8>, Error> {
        if let Some(bytes) = self.packs().get(digest)? {
            return Ok(bytes);
        }
        let name = digest.to_string();
        let old = self.folder.join(OLD_BLOBS).join(&name[..2]).join(&name);
        match fs::read(&old) {
            Ok(bytes) if Digest::of(&bytes) == *digest => Ok(bytes),
            Ok(_) => Err(Error::BlobChanged { digest: *digest }),
            Err(_) => Err(Error::NoBlob { digest: *digest }),
        }
    }

    /// Reads the texts of a set's objects, in the set's order.
    ///
    /// # Errors
    /// When it is not a set, or a part of it is missing or was changed.
    pub fn objects(&self, set: &Digest) -> Result<Vec<String>, Error> {
        let list = set::digests(set, &self.get(set)?)?;
        let texts = list.iter().map(|digest| {
            let bytes = self.get(digest)?;
            String::from_utf8(bytes).map_err(|_| Error::BlobChanged { digest: *digest })
        });
        texts.collect()
    }

    /// Appends one event; it is durable when this returns.
    ///
    /// # Errors
    /// When it cannot be made durable; then nothing was appended.
    pub fn append(&self, time_ms: i64, event: Event) -> Result<Record, Error> {
        let mut batch = self.batch()?;
        let record = batch.append(time_ms, event);
        batch.commit()?;
        Ok(record)
    }

    /// The last deploy of an app. Kept in memory.
    #[must_use]
    pub fn last(&self, app: &AppRef) -> Option<Deploy> {
        self.index().apps.get(app)?.deploys.last().cloned()
    }

    /// The last deploys of those apps for which `wanted` takes it. Kept in memory.
    #[must_use]
    pub fn last_where(&self, wanted: impl Fn(&Deploy) -> bool) -> Vec<Deploy> {
        let index = self.index();
        let last = index.apps.values().filter_map(|log| log.deploys.last());
        last.filter(|last| wanted(last)).cloned().collect()
    }

    /// The last deploy of an app that was healthy at some time. Kept in memory.
    #[must_use]
    pub fn healthy(&self, app: &AppRef) -> Option<Deploy> {
        let index = self.index();
        let rows = &index.apps.get(app)?.deploys;
        rows.iter().rev().find(|row| row.was_healthy).cloned()
    }

    /// Every app that was ever deployed.
    #[must_use]
    pub fn apps(&self) -> Vec<AppRef> {
        self.index().apps.keys().cloned().collect()
    }

    /// The blob that lists what may exist in the cluster for an app.
    #[must_use]
    pub fn inventory(&self, app: &AppRef) -> Option<Digest> {
        self.index().apps.get(app)?.inventory
    }

    /// The uid of the cluster that an app's inventory is about, as its last intent says by [`CLUSTER_FACT`].
    ///
    /// [`CLUSTER_FACT`]: crate::CLUSTER_FACT
    #[must_use]
    pub fn cluster(&self, app: &AppRef) -> Option<String> {
        let index = self.index();
        index.apps.get(app)?.cluster.as_deref().map(str::to_owned)
    }

    /// Hashes of plans that were approved.
    #[must_use]
    pub fn approvals(&self) -> std::collections::BTreeSet<String> {
        self.index().approvals.keys().cloned().collect()
    }

    /// Who approved a plan.
    #[must_use]
    pub fn approver(&self, plan: &str) -> Option<String> {
        self.index().approvals.get(plan).cloned()
    }

    /// What keeps an app from being written to at `now_ms`: its own suspension, or that of all apps.
    #[must_use]
    pub fn suspension(&self, app: &AppRef, now_ms: i64) -> Option<Suspension> {
        self.index().holds.suspension(app, now_ms).cloned()
    }

    /// Every suspension that is in force at `now_ms`; the one without an app is that of all apps.
    #[must_use]
    pub fn suspensions(&self, now_ms: i64) -> Vec<(Option<AppRef>, Suspension)> {
        let index = self.index();
        let found = index.holds.suspensions(now_ms);
        found
            .map(|(app, one)| (app.cloned(), one.clone()))
            .collect()
    }

    /// The commit that is held back from an app.
    #[must_use]
    pub fn quarantine(&self, app: &AppRef) -> Option<Quarantined> {
        self.index().holds.quarantine(app).cloned()
    }

    /// Every commit that is held back from an app.
    #[must_use]
    pub fn quarantines(&self) -> Vec<(AppRef, Quarantined)> {
        let index = self.index();
        let found = index.holds.quarantines();
        found.map(|(app, one)| (app.clone(), one.clone())).collect()
    }

    /// Signs bytes with the journal's key, for commits and exports which it writes.
    ///
    /// # Errors
    /// When the key's file cannot be read.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; 64], Error> {
        Ok(Key::open(&self.folder)?.sign(message))
    }

    /// The public half of the journal's ed25519 key.
    ///
    /// # Errors
    /// When the key's file cannot be read.
    pub fn public_key(&self) -> Result<[u8; 32], Error> {
        Ok(key::public(&self.folder)?.to_bytes())
    }

    /// The last tip of a branch that was recorded.
    #[must_use]
    pub fn tip(&self, repository: &str, branch: &str) -> Option<String> {
        self.index().tip(repository, branch).map(str::to_owned)
    }
}

fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join("lock");
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(Error::io("open", &path))?;
    let mut tries = 0;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            // A child that was just made holds what we had open until it runs its program.
            Err(TryLockError::WouldBlock) if tries < LOCK_TRIES => {
                tries += 1;
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(Error::InUse {
                    path: folder.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error)),
        }
    }
}

/// How often a lock that somebody holds is tried again.
const LOCK_TRIES: u32 = 50;

/// The pause between two tries: a second in all, which is long for a child to start and short for a person.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Writes a small file once.
pub(crate) fn write_once(path: &Path, text: &str) -> Result<(), Error> {
    write_durably(path, text.as_bytes()).map_err(Error::io("write", path))
}
