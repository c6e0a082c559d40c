//! The parts of a log as they lie on disk, read one after the other, by somebody who does not write them.

use std::{fs, path::Path};

use ed25519_dalek::VerifyingKey;

use crate::{
    Digest, Error, Record,
    about::{self, About},
    line::{genesis, scan},
    log::{FOLDER, OLD_LOG, Segments, active_path, read_segment, sealed_path, state_path},
    steps,
};

/// The parts of a log as they lie on disk, read one after the other.
pub(crate) struct Parts {
    pub(crate) folder: std::path::PathBuf,
    pub(crate) segments: Segments,
    /// The only file of a journal of the first format which nobody opened for writing since.
    old: Option<std::path::PathBuf>,
}

/// One of them.
pub(crate) enum Part {
    Sealed(u64),
    Active(std::path::PathBuf),
}

impl Parts {
    pub(crate) fn list(journal: &Path) -> Result<Self, Error> {
        let folder = journal.join(FOLDER);
        let old = Some(journal.join(OLD_LOG)).filter(|old| old.is_file());
        let segments = match folder.is_dir() {
            true => Segments::list(&folder)?,
            false => Segments {
                sealed: Vec::new(),
                active: None,
            },
        };
        Ok(Self {
            folder,
            segments,
            old,
        })
    }

    /// Oldest first.
    pub(crate) fn all(&self) -> Vec<Part> {
        let sealed = self
            .segments
            .sealed
            .iter()
            .map(|first| Part::Sealed(*first));
        let active = self
            .segments
            .active
            .map(|first| active_path(&self.folder, first));
        let active = active.or_else(|| self.old.clone()).map(Part::Active);
        sealed.chain(active).collect()
    }

    pub(crate) fn read(
        &self,
        part: &Part,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<Record>, Error> {
        match part {
            Part::Sealed(first) => {
                steps::at("segment-read");
                let path = sealed_path(&self.folder, *first);
                let (_, records) = read_segment(&path, None, wanted)?;
                Ok(records.into_iter().map(|(record, _)| record).collect())
            }
            Part::Active(path) => {
                let bytes = match fs::read(path) {
                    Ok(bytes) => bytes,
                    Err(error) => return Err(Error::io("read", path)(error)),
                };
                let (first, before) = match self.segments.active {
                    Some(first) => (first, self.before(first)?),
                    None => (1, genesis()),
                };
                let scanned = scan(&bytes, first, before, None, wanted);
                // What is behind the last whole batch is being written now, or was torn.
                if scanned.bytes == 0 && !bytes.is_empty() && bytes.contains(&b'\n') {
                    let what = scanned.rest.unwrap_or_default();
                    return Err(Error::Corrupt {
                        path: path.clone(),
                        seq: first,
                        what,
                    });
                }
                Ok(scanned.records)
            }
        }
    }

    /// What a part is about, when that lies beside it.
    pub(crate) fn about(&self, part: &Part, key: &VerifyingKey) -> Option<About> {
        match part {
            Part::Sealed(first) => about::read(&self.folder, *first, key).ok(),
            Part::Active(_) => None,
        }
    }

    fn before(&self, first: u64) -> Result<Digest, Error> {
        match self.segments.sealed.last() {
            Some(last) => {
                let path = sealed_path(&self.folder, *last);
                Ok(crate::files::read_header(&path, None)?.0.head)
            }
            None if first == 1 => Ok(genesis()),
            None => {
                let path = state_path(&self.folder, first - 1);
                Ok(crate::files::read_header(&path, None)?.0.head)
            }
        }
    }
}

/// Reads a log that another process may be writing: when files move meanwhile, once more.
pub(crate) fn steadily<T>(mut read: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    const TRIES: usize = 5;
    for _ in 1..TRIES {
        match read() {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            result => return result,
        }
    }
    read()
}
