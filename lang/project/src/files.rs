//! Where sources come from: a folder, memory, or whatever else implements [`Files`].

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};

/// The files of a project. Paths are relative to its root and separated by `/`.
pub trait Files: Sync {
    /// Lists all files, in any order. Hidden folders (`.git`) may be left out.
    ///
    /// # Errors
    /// When a folder cannot be read.
    fn list(&self) -> Result<Vec<String>, FilesError>;

    /// Reads a file.
    ///
    /// # Errors
    /// [`FilesError::NotFound`] when there is none with this path, [`FilesError::Read`] when it
    /// cannot be read.
    fn read(&self, path: &str) -> Result<Vec<u8>, FilesError>;

    /// Lists what stands in one folder (empty for the root), sorted by name. Hidden entries may be left out.
    ///
    /// # Errors
    /// When the folder cannot be read; one that is not there may be empty instead.
    fn entries(&self, folder: &str) -> Result<Vec<Entry>, FilesError> {
        Ok(entries_of(&self.list()?, folder))
    }
}

/// What stands in a folder.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Entry {
    /// Its name in the folder.
    pub name: String,
    /// Whether it is a folder itself.
    pub is_folder: bool,
}

/// What stands in a folder of these paths.
pub(crate) fn entries_of(paths: &[String], folder: &str) -> Vec<Entry> {
    let below = |path: &str| match folder {
        "" => Some(path.to_owned()),
        folder => Some(path.strip_prefix(folder)?.strip_prefix('/')?.to_owned()),
    };
    let mut found: BTreeSet<Entry> = BTreeSet::new();
    for path in paths.iter().filter_map(|path| below(path)) {
        found.insert(match path.split_once('/') {
            Some((folder, _)) => Entry {
                name: folder.to_owned(),
                is_folder: true,
            },
            None => Entry {
                name: path,
                is_folder: false,
            },
        });
    }
    found.into_iter().collect()
}

/// Why files could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// There is no file with this path.
    #[error("there is no file `{0}`")]
    NotFound(String),
    /// A file or folder cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file or folder.
        path: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl FilesError {
    fn io(path: &str, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::NotFound {
            return FilesError::NotFound(path.to_owned());
        }
        FilesError::Read {
            path: path.to_owned(),
            source: Box::new(source),
        }
    }
}

/// A folder on disk. Hidden entries and symbolic links to folders are left out.
#[derive(Clone, Debug)]
pub struct Disk {
    root: PathBuf,
}

/// How deep folders may nest below a project's root: enough for people, and an end for loops.
const MAX_FOLDER_DEPTH: usize = 32;

impl Disk {
    /// Takes the folder as a project's root.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Disk { root: root.into() }
    }

    /// Finds the project that a file or folder belongs to: the nearest folder upwards that holds
    /// an `ordain.toml`.
    pub fn find(start: &Path) -> Option<Self> {
        // Only the file system knows what `..` leads to, where links are about.
        let climbs = start.components().any(|part| part == Component::ParentDir);
        let start = match climbs {
            true => start.canonicalize().ok()?,
            false => std::path::absolute(start).ok()?,
        };
        start
            .ancestors()
            .find(|folder| folder.join(crate::MANIFEST).is_file())
            .map(Disk::new)
    }

    /// Returns the root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn walk(&self, folder: &str, depth: usize, out: &mut Vec<String>) -> Result<(), FilesError> {
        let shown = if folder.is_empty() { "." } else { folder };
        let entries = std::fs::read_dir(self.root.join(folder))
            .map_err(|source| FilesError::io(shown, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| FilesError::io(shown, source))?;
            let name = entry.file_name();
            // A name that is not UTF-8 cannot be a module.
            let Some(name) = name.to_str() else { continue };
            if name.starts_with('.') {
                continue;
            }
            let path = if folder.is_empty() {
                name.to_owned()
            } else {
                format!("{folder}/{name}")
            };
            let kind = entry
                .file_type()
                .map_err(|source| FilesError::io(&path, source))?;
            if kind.is_dir() {
                if depth < MAX_FOLDER_DEPTH {
                    self.walk(&path, depth + 1, out)?;
                }
            } else if kind.is_file() || entry.path().is_file() {
                out.push(path);
            } else if kind.is_symlink() && name.ends_with(".ord") && !entry.path().exists() {
                // A link that leads nowhere is listed, so that reading it says so.
                out.push(path);
            }
        }
        Ok(())
    }
}

impl Files for Disk {
    fn list(&self) -> Result<Vec<String>, FilesError> {
        let mut out = Vec::new();
        self.walk("", 0, &mut out)?;
        Ok(out)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, FilesError> {
        std::fs::read(self.root.join(path)).map_err(|source| FilesError::io(path, source))
    }

    fn entries(&self, folder: &str) -> Result<Vec<Entry>, FilesError> {
        let path = self.root.join(folder);
        let listed = std::fs::read_dir(path).map_err(|source| FilesError::io(folder, source))?;
        let entry = |entry: std::fs::DirEntry| {
            let name = entry.file_name().to_str()?.to_owned();
            let kind = entry.file_type().ok()?;
            let is_file = kind.is_file() || kind.is_symlink() && entry.path().is_file();
            let is_shown = !name.starts_with('.') && (kind.is_dir() || is_file);
            is_shown.then_some(Entry {
                name,
                is_folder: kind.is_dir(),
            })
        };
        let mut found: Vec<Entry> = listed.flatten().filter_map(entry).collect();
        found.sort();
        Ok(found)
    }
}

/// Files in memory, by path.
#[derive(Clone, Default, Debug)]
pub struct Memory {
    files: BTreeMap<String, Vec<u8>>,
}

impl Memory {
    /// Makes an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a file.
    pub fn insert(&mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.files.insert(path.into(), content.into());
    }

    /// Adds a file; for building a set in one expression.
    #[must_use]
    pub fn with(mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.insert(path, content);
        self
    }
}

impl Files for Memory {
    fn list(&self) -> Result<Vec<String>, FilesError> {
        Ok(self.files.keys().cloned().collect())
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, FilesError> {
        self.files
            .get(path)
            .cloned()
            .ok_or_else(|| FilesError::NotFound(path.to_owned()))
    }
}

/// The files below a folder of other files: a project in a corner of a repository.
pub struct Below<'a> {
    files: &'a dyn Files,
    prefix: String,
}

impl<'a> Below<'a> {
    /// Takes `folder` (such as `deploy/shop`; empty for all) as the root.
    pub fn new(files: &'a dyn Files, folder: &str) -> Self {
        let folder = folder.trim_matches('/');
        let prefix = if folder.is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        };
        Below { files, prefix }
    }
}

impl Files for Below<'_> {
    fn list(&self) -> Result<Vec<String>, FilesError> {
        let all = self.files.list()?;
        Ok(all
            .iter()
            .filter_map(|path| path.strip_prefix(&self.prefix))
            .map(str::to_owned)
            .collect())
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, FilesError> {
        self.files.read(&format!("{}{path}", self.prefix))
    }
}
