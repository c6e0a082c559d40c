//! A commit's tree as files, without a checkout. Links are refused, sizes bounded.

use std::{cmp::Ordering, collections::BTreeMap};

use crate::{CommitId, Error, Repository};

/// Files in one commit; a tree with more is refused before it is held in memory.
pub const TREE_FILES_MAX: usize = 500_000;

/// Bytes in one file that is read; a larger one is an error at the read, not at the listing.
pub const FILE_BYTES_MAX: u64 = 16 << 20;

/// Mode of a symbolic link in a git tree (git's `cache.h`, `S_IFLNK`).
const MODE_LINK: i32 = 0o120_000;

/// One file of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeEntry {
    id: git2::Oid,
    link: bool,
}

/// The files of one commit. Reading needs the repository, listing does not.
#[derive(Debug)]
pub struct TreeFiles {
    repository: Repository,
    commit: CommitId,
    entries: BTreeMap<String, TreeEntry>,
}

impl TreeFiles {
    pub(crate) fn open(repository: Repository, id: &CommitId) -> Result<Self, Error> {
        let entries = list(&repository, id)?;
        Ok(Self {
            repository,
            commit: id.clone(),
            entries,
        })
    }

    /// The commit whose files these are.
    #[must_use]
    pub fn commit(&self) -> &CommitId {
        &self.commit
    }

    /// All paths in byte order, with `/` between their parts. Links are not listed.
    pub fn list(&self) -> impl Iterator<Item = &str> {
        self.entries
            .iter()
            .filter(|(_, entry)| !entry.link)
            .map(|(path, _)| path.as_str())
    }

    /// All symbolic links in byte order: they are neither listed nor read.
    pub fn links(&self) -> impl Iterator<Item = &str> {
        self.entries
            .iter()
            .filter(|(_, entry)| entry.link)
            .map(|(path, _)| path.as_str())
    }

    /// The paths of files which one of the two commits has otherwise than the other, or not at all, in byte
    /// order. Nothing is read: git's names of contents tell.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<String> {
        let (mut ours, mut theirs) = (
            self.entries.iter().peekable(),
            other.entries.iter().peekable(),
        );
        let mut paths = Vec::new();
        loop {
            let order = match (ours.peek(), theirs.peek()) {
                (None, None) => return paths,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((a, _)), Some((b, _))) => a.cmp(b),
            };
            let (a, b) = match order {
                Ordering::Less => (ours.next(), None),
                Ordering::Greater => (None, theirs.next()),
                Ordering::Equal => (ours.next(), theirs.next()),
            };
            if a.map(|(_, entry)| entry) != b.map(|(_, entry)| entry) {
                paths.extend(a.or(b).map(|(path, _)| path.clone()));
            }
        }
    }

    /// True when the path is a regular file of this commit.
    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        self.entries.get(path).is_some_and(|entry| !entry.link)
    }

    /// A file's content.
    ///
    /// # Errors
    /// When the path leaves the tree, names nothing or a link, or the file is over [`FILE_BYTES_MAX`].
    pub fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        let path = normalize(path).ok_or_else(|| Error::Escape {
            path: path.to_owned(),
        })?;
        let Some(entry) = self.entries.get(&path) else {
            return Err(Error::NoFile {
                path,
                commit: self.commit.short().to_owned(),
            });
        };
        if entry.link {
            return Err(Error::Link { path });
        }
        let guard = self.repository.lock();
        let read = |source| Error::Read {
            what: format!("file `{path}`"),
            source,
        };
        // The header gives the size before the content is inflated.
        let odb = guard.odb().map_err(read)?;
        let (size, _) = odb.read_header(entry.id).map_err(read)?;
        if size as u64 > FILE_BYTES_MAX {
            let max = FILE_BYTES_MAX;
            return Err(Error::TooLarge {
                path,
                bytes: size as u64,
                max,
            });
        }
        Ok(odb.read(entry.id).map_err(read)?.data().to_vec())
    }
}

/// Resolves `.` and `..` inside the tree; `None` when the path leaves it or is absolute.
fn normalize(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" if parts.is_empty() && path.starts_with('/') => return None,
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn list(repository: &Repository, id: &CommitId) -> Result<BTreeMap<String, TreeEntry>, Error> {
    let guard = repository.lock();
    let read = |source| Error::Read {
        what: format!("tree of commit {}", id.short()),
        source,
    };
    let tree = guard
        .find_commit(id.oid())
        .and_then(|commit| commit.tree())
        .map_err(read)?;
    let mut entries = BTreeMap::new();
    let mut over = false;
    let walked = tree.walk(git2::TreeWalkMode::PreOrder, |folder, entry| {
        // A name which is no UTF-8 cannot be written in a source file either, so nothing refers to it.
        let (Some(git2::ObjectType::Blob), Ok(name)) = (entry.kind(), entry.name()) else {
            return git2::TreeWalkResult::Ok;
        };
        if entries.len() >= TREE_FILES_MAX {
            over = true;
            return git2::TreeWalkResult::Abort;
        }
        let entry = TreeEntry {
            id: entry.id(),
            link: entry.filemode() == MODE_LINK,
        };
        entries.insert(format!("{folder}{name}"), entry);
        git2::TreeWalkResult::Ok
    });
    if over {
        let commit = id.short().to_owned();
        return Err(Error::TooManyFiles {
            commit,
            max: TREE_FILES_MAX,
        });
    }
    walked.map_err(read)?;
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::normalize;

    #[test]
    fn paths_stay_inside_the_tree() {
        for (given, wanted) in [
            ("a/b", Some("a/b")),
            ("./a//b", Some("a/b")),
            ("a/../b", Some("b")),
            ("../b", None),
            ("a/../../b", None),
            ("/etc/passwd", None),
        ] {
            assert_eq!(normalize(given).as_deref(), wanted, "{given}");
        }
    }
}
