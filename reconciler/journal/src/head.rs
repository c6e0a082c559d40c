//! The head file: where the log and the active pack ended when the last batch was acknowledged, signed.
//!
//! It is written after each batch without a sync, so it may be older than the log after a power cut, and is
//! never ahead of it. A log that ends before it was cut off; a pack is whole up to the length in it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use ed25519_dalek::{Signature, VerifyingKey};

use crate::{
    Digest, Error,
    digest::{from_hex, to_hex},
    key::Key,
};

/// Its name in the journal's folder.
pub(crate) const FILE: &str = "head";

/// Where everything ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    pub(crate) hash: Digest,
    pub(crate) pack: u64,
    pub(crate) bytes: u64,
}

impl Head {
    /// Every number has a fixed width, so that a newer head takes exactly the place of an older one.
    fn text(&self) -> String {
        format!(
            "ordain head 2 {:020} {} {:020} {:020}",
            self.seq, self.hash, self.pack, self.bytes
        )
    }

    fn parse(line: &str, key: Option<&VerifyingKey>) -> Option<Self> {
        let (text, signature) = line.strip_suffix('\n')?.rsplit_once(' ')?;
        let signature = from_hex::<64>(signature)?;
        if let Some(key) = key {
            let signature = Signature::from_bytes(&signature);
            key.verify_strict(text.as_bytes(), &signature).ok()?;
        }
        let mut parts = text.strip_prefix("ordain head 2 ")?.split(' ');
        let head = Self {
            seq: parts.next()?.parse().ok()?,
            hash: parts.next()?.parse().ok()?,
            pack: parts.next()?.parse().ok()?,
            bytes: parts.next()?.parse().ok()?,
        };
        (head.text() == text).then_some(head)
    }
}

/// What reading the head came to.
#[derive(Debug)]
pub(crate) enum Found {
    None,
    Head(Head),
    /// It is there and says nothing.
    Broken,
}

pub(crate) fn read(journal: &Path, key: Option<&VerifyingKey>) -> Result<Found, Error> {
    let path = journal.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Head::parse(&text, key).map_or(Found::Broken, Found::Head)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Found::Broken),
        Err(error) => Err(Error::io("read", &path)(error)),
    }
}

/// The head, open for writing.
pub(crate) struct HeadFile {
    file: File,
    path: PathBuf,
}

impl HeadFile {
    pub(crate) fn open(journal: &Path) -> Result<Self, Error> {
        let path = journal.join(FILE);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        Ok(Self { file, path })
    }

    pub(crate) fn write(&mut self, head: &Head, key: &Key) -> Result<(), Error> {
        let text = head.text();
        let line = format!("{text} {}\n", to_hex(&key.sign(text.as_bytes())));
        self.file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.write_all(line.as_bytes()))
            .and_then(|()| self.file.set_len(line.len() as u64))
            .map_err(Error::io("write", &self.path))
    }
}
