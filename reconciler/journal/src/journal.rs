//! The journal of one data directory: one writer at a time, every append durable when it returns.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
};

use crate::{
    AppRef, Deploy, Digest, Error, Event, Quarantined, Record, Suspension, Warning, blobs::Blobs,
    deploy::Index, key::Key, log::Log,
};

/// An open journal. Dropping it lets another process open it.
pub struct Journal {
    folder: PathBuf,
    blobs: Blobs,
    log: Log,
    key: Key,
    index: Index,
    _lock: File,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Journal")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens or creates the journal in `folder`, and reads all of it.
    ///
    /// # Errors
    /// When another process has it open, a record in the middle was changed, or a file cannot be used.
    pub fn open(folder: &Path) -> Result<(Self, Vec<Warning>), Error> {
        create_private(folder).map_err(Error::io("create", folder))?;
        let path = folder.join("lock");
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::InUse {
                    path: folder.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error)),
        }
        let key = Key::open_or_create(folder)?;
        let (log, records, warnings) = Log::open(folder)?;
        let mut index = Index::default();
        records.iter().for_each(|record| index.add(record));
        let blobs = Blobs::new(folder.join("blobs"));
        let folder = folder.to_owned();
        Ok((
            Self {
                folder,
                blobs,
                log,
                key,
                index,
                _lock: lock,
            },
            warnings,
        ))
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Stores bytes under their digest; storing them again costs a look at the folder.
    ///
    /// # Errors
    /// When they cannot be made durable.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, Error> {
        self.blobs.put(bytes)
    }

    /// Reads a blob and checks it.
    ///
    /// # Errors
    /// When it is missing or was changed.
    pub fn get(&self, digest: &Digest) -> Result<Vec<u8>, Error> {
        self.blobs.get(digest)
    }

    /// Appends one event; it is durable when this returns.
    ///
    /// # Errors
    /// When it cannot be made durable; then nothing was appended.
    pub fn append(&mut self, time_ms: i64, event: Event) -> Result<Record, Error> {
        let mut records = self.append_all(time_ms, vec![event])?;
        Ok(records.pop().expect("one event makes one record"))
    }

    /// Appends several events with one sync.
    ///
    /// # Errors
    /// When they cannot be made durable; then none was appended.
    pub fn append_all(&mut self, time_ms: i64, events: Vec<Event>) -> Result<Vec<Record>, Error> {
        let records = self.log.append(&self.key, time_ms, events)?;
        records.iter().for_each(|record| self.index.add(record));
        Ok(records)
    }

    /// The deploys of an app, oldest first.
    #[must_use]
    pub fn history(&self, app: &AppRef) -> &[Deploy] {
        self.index.app(app).map_or(&[], |log| &log.deploys)
    }

    /// Every app that was ever deployed.
    pub fn apps(&self) -> impl Iterator<Item = &AppRef> {
        self.index.apps().map(|(app, _)| app)
    }

    /// The blob that lists what may exist in the cluster for an app.
    #[must_use]
    pub fn inventory(&self, app: &AppRef) -> Option<Digest> {
        self.index.app(app).and_then(|log| log.inventory)
    }

    /// Hashes of plans that were approved.
    #[must_use]
    pub fn approvals(&self) -> &std::collections::BTreeSet<String> {
        self.index.approvals()
    }

    /// What keeps an app from being written to at `now_ms`: its own suspension, or that of all apps.
    #[must_use]
    pub fn suspension(&self, app: &AppRef, now_ms: i64) -> Option<&Suspension> {
        self.index.holds.suspension(app, now_ms)
    }

    /// Every suspension that is in force at `now_ms`; the one without an app is that of all apps.
    pub fn suspensions(&self, now_ms: i64) -> impl Iterator<Item = (Option<&AppRef>, &Suspension)> {
        self.index.holds.suspensions(now_ms)
    }

    /// The commit that is held back from an app.
    #[must_use]
    pub fn quarantine(&self, app: &AppRef) -> Option<&Quarantined> {
        self.index.holds.quarantine(app)
    }

    /// Every commit that is held back from an app.
    pub fn quarantines(&self) -> impl Iterator<Item = (&AppRef, &Quarantined)> {
        self.index.holds.quarantines()
    }

    /// Signs bytes with the journal's key, for commits which it writes.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message)
    }

    /// The public half of the journal's ed25519 key.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.key.public()
    }

    /// The last tip of a branch that was recorded.
    #[must_use]
    pub fn tip(&self, repository: &str, branch: &str) -> Option<&str> {
        self.index.tip(repository, branch)
    }
}

/// Compiled objects may hold Secrets: the folder is its owner's alone.
fn create_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder)
}
