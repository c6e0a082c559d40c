//! Blobs by digest: written once, durable before their name is used, checked at each read.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{Digest, Error};

/// A folder of blobs, spread over 256 subfolders so that none grows too large to list.
#[derive(Debug, Clone)]
pub(crate) struct Blobs {
    folder: PathBuf,
}

impl Blobs {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.folder.join(&name[..2]).join(name)
    }

    pub(crate) fn put(&self, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::of(bytes);
        let path = self.path(&digest);
        // A file of the right length was renamed into place whole; its content is checked at each read.
        let there = fs::metadata(&path).is_ok_and(|meta| meta.len() == bytes.len() as u64);
        if !there {
            write_durably(&path, bytes).map_err(Error::io("write", &path))?;
        }
        Ok(digest)
    }

    pub(crate) fn get(&self, digest: &Digest) -> Result<Vec<u8>, Error> {
        let path = self.path(digest);
        match fs::read(&path) {
            Ok(bytes) if Digest::of(&bytes) == *digest => Ok(bytes),
            Ok(_) => Err(Error::BlobChanged { digest: *digest }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Error::NoBlob { digest: *digest })
            }
            Err(error) => Err(Error::io("read", &path)(error)),
        }
    }
}

/// Writes beside `path`, syncs, renames and syncs the folder: after this returns, a power cut loses nothing.
fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let fresh = !folder.exists();
    fs::create_dir_all(folder)?;
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    sync_folder(folder)?;
    if fresh && let Some(parent) = folder.parent() {
        sync_folder(parent)?;
    }
    Ok(())
}

/// A renamed file survives a power cut only when its folder is synced too. Windows offers no such call.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}
