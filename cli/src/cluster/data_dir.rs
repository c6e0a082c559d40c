//! The directory of one cluster: where things lie in it, and that one process at a time owns it.

use serde::Serialize;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// A data directory that cannot be used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub(crate) enum DataDirError {
    #[error("cannot create the data directory {}", path.display())]
    #[diagnostic(help("choose a directory you may write to with --data-dir"))]
    Create {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("another `ordain up` or `ordain run` (process {pid}) is using {}", path.display())]
    #[diagnostic(help(
        "stop that one first, or give this one a directory of its own with --data-dir"
    ))]
    Taken { path: PathBuf, pid: String },
    #[error("cannot lock {}", path.display())]
    Lock {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Where a running `ordain up` can be reached; what `--format json` prints when it is ready.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Endpoints {
    /// The API server's URL.
    pub(crate) server: String,
    /// Path of the administrator's kubeconfig.
    pub(crate) kubeconfig: PathBuf,
    /// The git remote to push to.
    pub(crate) git: String,
    /// The dashboard, with the key to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dashboard: Option<String>,
}

/// A data directory that this process owns until the value is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    lock: File,
}

/// Closing the file is not enough: a child that was forked in this moment holds it too, until it starts its program.
impl Drop for DataDir {
    fn drop(&mut self) {
        // Then it is free when the last of these children lets go.
        let _ = self.lock.unlock();
    }
}

impl DataDir {
    /// Creates the directory if it is missing, and takes possession of it.
    ///
    /// # Errors
    /// Returns `Taken` while another process owns it; nothing is written then.
    pub(crate) fn open(path: &Path) -> Result<Self, DataDirError> {
        let create = |source| DataDirError::Create {
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(path).map_err(create)?;
        restrict(path).map_err(create)?;
        let path = path.canonicalize().map_err(create)?;
        let lock_path = path.join("lock");
        let lock = |source| DataDirError::Lock {
            path: lock_path.clone(),
            source,
        };
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(lock)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Whoever holds the lock wrote its process id; an unreadable one only costs detail.
                let _ = file.read_to_string(&mut pid);
                let pid = if pid.trim().is_empty() {
                    "unknown".to_owned()
                } else {
                    pid.trim().to_owned()
                };
                return Err(DataDirError::Taken { path, pid });
            }
            Err(TryLockError::Error(source)) => return Err(lock(source)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()))
            .map_err(lock)?;
        Ok(Self { path, lock: file })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file that only its owner may read, whole or not at all.
    ///
    /// # Errors
    /// Returns an error when the file system refuses.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, DataDirError> {
        let path = self.path.join(name);
        let error = |source| DataDirError::Write {
            path: path.clone(),
            source,
        };
        let mut file = tempfile::NamedTempFile::new_in(&self.path).map_err(error)?;
        file.write_all(text.as_bytes()).map_err(error)?;
        file.persist(&path).map_err(|e| error(e.error))?;
        Ok(path)
    }
}

/// Returns the directory that is used when nobody names one.
pub(crate) fn default_data_dir() -> PathBuf {
    let home = || std::env::home_dir().unwrap_or_else(|| PathBuf::from("."));
    if cfg!(windows) {
        return std::env::var_os("LOCALAPPDATA").map_or_else(
            || home().join("ordain"),
            |d| PathBuf::from(d).join("ordain"),
        );
    }
    if super::is_root() {
        return PathBuf::from("/var/lib/ordain");
    }
    let base = std::env::var_os("XDG_DATA_HOME")
        .map_or_else(|| home().join(".local/share"), PathBuf::from);
    base.join("ordain")
}

#[cfg(unix)]
fn restrict(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn restrict(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_owner() {
        let temp = tempfile::tempdir().expect("a directory");
        let path = temp.path().join("data");
        let owner = DataDir::open(&path).expect("it is free");
        let error = DataDir::open(&path).expect_err("it is taken");
        assert!(
            error.to_string().contains(&std::process::id().to_string()),
            "{error}"
        );
        drop(owner);
        DataDir::open(&path).expect("it is free again");
    }
}
