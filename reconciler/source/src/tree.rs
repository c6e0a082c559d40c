//! A commit's tree as files, without a checkout. Links are refused, sizes bounded, submodules brought in.

use std::{cmp::Ordering, collections::BTreeMap};

use crate::{CommitId, Error, Repository, modules};

/// Files in one commit; a tree with more is refused before it is held in memory.
pub const TREE_FILES_MAX: usize = 500_000;

/// Bytes in one file that is read; a larger one is an error at the read, not at the listing.
pub const FILE_BYTES_MAX: u64 = 16 << 20;

/// Mode of a symbolic link in a git tree (git's `cache.h`, `S_IFLNK`).
const MODE_LINK: i32 = 0o120_000;

/// How a file begins that lies in Git LFS (git-lfs `docs/spec.md`).
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/";

/// One file of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeEntry {
    id: git2::Oid,
    link: bool,
    /// Which of the repositories has it: 0 for the commit's own.
    within: usize,
}

/// The files of one commit. Reading needs the repository, listing does not.
#[derive(Debug)]
pub struct TreeFiles {
    /// The commit's own, then those of its submodules.
    repositories: Vec<Repository>,
    commit: CommitId,
    entries: BTreeMap<String, TreeEntry>,
}

impl TreeFiles {
    pub(crate) fn open(repository: Repository, id: &CommitId) -> Result<Self, Error> {
        let mut files = Self {
            repositories: Vec::new(),
            commit: id.clone(),
            entries: BTreeMap::new(),
        };
        files.add(repository, id, "", 0)?;
        Ok(files)
    }

    /// Adds the files of a commit below `folder`, and those of its submodules.
    fn add(
        &mut self,
        repository: Repository,
        id: &CommitId,
        folder: &str,
        depth: usize,
    ) -> Result<(), Error> {
        let within = self.repositories.len();
        let links = list(&repository, id, folder, within, &mut self.entries)?;
        self.repositories.push(repository.clone());
        let Some(modules) = repository.modules() else {
            return Ok(());
        };
        if links.is_empty() {
            return Ok(());
        }
        let text = match self.entries.get(&format!("{folder}.gitmodules")) {
            Some(entry) => self.content(entry, ".gitmodules")?,
            None => Vec::new(),
        };
        let addresses = modules::addresses(&String::from_utf8_lossy(&text));
        for (path, commit) in links {
            let failed = |source| Error::Submodule {
                path: format!("{folder}{path}"),
                commit: id.short().to_owned(),
                source: Box::new(source),
            };
            if depth == modules::DEPTH_MAX || self.repositories.len() > modules::COUNT_MAX {
                let reason = format!(
                    "submodules lie more than {} deep, or there are more than {}",
                    modules::DEPTH_MAX,
                    modules::COUNT_MAX
                );
                return Err(failed(Error::ModuleAddress { reason }));
            }
            // Git itself leaves a folder empty which `.gitmodules` does not name.
            let Some(address) = addresses.get(&path) else {
                continue;
            };
            let module = modules.fetch(address, &commit).map_err(failed)?;
            self.add(module, &commit, &format!("{folder}{path}/"), depth + 1)
                .map_err(failed)?;
        }
        Ok(())
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
            // In which repository a file lies is no difference: a submodule may have been added before it.
            let what = |entry: Option<(&String, &TreeEntry)>| entry.map(|(_, it)| (it.id, it.link));
            if what(a) != what(b) {
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
        let content = self.content(entry, &path)?;
        if content.starts_with(LFS) {
            return Err(Error::Lfs { path });
        }
        Ok(content)
    }

    fn content(&self, entry: &TreeEntry, path: &str) -> Result<Vec<u8>, Error> {
        let guard = self.repositories[entry.within].lock();
        let read = |source| Error::Read {
            what: format!("file `{path}`"),
            source,
        };
        let too_large = |bytes| Error::TooLarge {
            path: path.to_owned(),
            bytes,
            max: FILE_BYTES_MAX,
        };
        // The header gives the size before the content is inflated.
        let odb = guard.odb().map_err(read)?;
        let (size, _) = odb
            .read_header(entry.id)
            .map_err(|source| match source.code() {
                // The server left it out when it was asked for what can be read.
                git2::ErrorCode::NotFound if left_out(&guard) => too_large(FILE_BYTES_MAX + 1),
                _ => read(source),
            })?;
        if size as u64 > FILE_BYTES_MAX {
            return Err(too_large(size as u64));
        }
        Ok(odb.read(entry.id).map_err(read)?.data().to_vec())
    }
}

/// True when large files of a repository were not fetched.
fn left_out(repository: &git2::Repository) -> bool {
    let config = repository.config();
    config.is_ok_and(|config| {
        config
            .get_string("remote.origin.partialclonefilter")
            .is_ok()
    })
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

/// Adds the files of one commit below `prefix`; returns the submodules it has, by folder.
fn list(
    repository: &Repository,
    id: &CommitId,
    prefix: &str,
    within: usize,
    entries: &mut BTreeMap<String, TreeEntry>,
) -> Result<Vec<(String, CommitId)>, Error> {
    let guard = repository.lock();
    let read = |source| Error::Read {
        what: format!("tree of commit {}", id.short()),
        source,
    };
    let tree = guard
        .find_commit(id.oid())
        .and_then(|commit| commit.tree())
        .map_err(read)?;
    let mut modules = Vec::new();
    let mut over = false;
    let walked = tree.walk(git2::TreeWalkMode::PreOrder, |folder, entry| {
        // A name which is no UTF-8 cannot be written in a source file either, so nothing refers to it.
        let Ok(name) = entry.name() else {
            return git2::TreeWalkResult::Ok;
        };
        match entry.kind() {
            Some(git2::ObjectType::Blob) => {}
            Some(git2::ObjectType::Commit) => {
                modules.push((format!("{folder}{name}"), entry.id().into()));
                return git2::TreeWalkResult::Ok;
            }
            _ => return git2::TreeWalkResult::Ok,
        }
        if entries.len() >= TREE_FILES_MAX {
            over = true;
            return git2::TreeWalkResult::Abort;
        }
        let entry = TreeEntry {
            id: entry.id(),
            link: entry.filemode() == MODE_LINK,
            within,
        };
        entries.insert(format!("{prefix}{folder}{name}"), entry);
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
    Ok(modules)
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
