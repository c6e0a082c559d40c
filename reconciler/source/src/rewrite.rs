//! Commits of ours that change files, move to another tip, or wait under a reference of their own.

use std::collections::BTreeSet;

use crate::{CommitId, Error, Person, Repository, Signer, restore::mode, sign::NewCommit};

/// A commit that gives files a new content.
#[derive(Debug, Clone)]
pub struct Edit {
    /// The tip it is built on.
    pub onto: CommitId,
    /// Paths with their new content; none removes the file.
    pub files: Vec<(String, Option<Vec<u8>>)>,
    /// Who asked for it.
    pub author: Person,
    /// Seconds since 1970-01-01 UTC.
    pub time: i64,
    /// The whole message, trailers included.
    pub message: String,
}

impl Repository {
    /// Writes a commit that changes files, without moving a reference.
    ///
    /// # Errors
    /// When objects cannot be read or written.
    pub fn write_edit(&self, edit: &Edit, signer: Option<&Signer<'_>>) -> Result<CommitId, Error> {
        let guard = self.lock();
        let write = |source| Error::Write {
            what: "the changed files".to_owned(),
            source,
        };
        let onto = guard.find_commit(edit.onto.oid()).map_err(write)?;
        let tree = onto.tree().map_err(write)?;
        let mut update = git2::build::TreeUpdateBuilder::new();
        for (path, content) in &edit.files {
            match content {
                Some(content) => {
                    let blob = guard.blob(content).map_err(write)?;
                    let known = tree.get_path(path.as_ref()).ok();
                    let mode = known.map_or(git2::FileMode::Blob, |entry| mode(entry.filemode()));
                    update.upsert(path.as_str(), blob, mode);
                }
                None => {
                    update.remove(path.as_str());
                }
            }
        }
        let tree = update.create_updated(&guard, &tree).map_err(write)?;
        let commit = NewCommit {
            author: &edit.author,
            time: edit.time,
            message: &edit.message,
            tree,
            parent: onto.id(),
        };
        commit.write(&guard, signer)
    }

    /// Writes a commit of ours again on another tip: the files that it changed, as it has them, and its words.
    /// Whether that is allowed is not asked here.
    ///
    /// # Errors
    /// When objects cannot be read or written.
    pub fn replay(
        &self,
        commit: &CommitId,
        onto: &CommitId,
        signer: Option<&Signer<'_>>,
    ) -> Result<CommitId, Error> {
        let own = self.commit(commit)?;
        let parent = own.parents.first().cloned().ok_or_else(|| Error::Unborn {
            branch: commit.to_string(),
            repository: self.path().display().to_string(),
        })?;
        let paths = self.changed_paths(&parent, commit)?;
        let guard = self.lock();
        let write = |source| Error::Write {
            what: format!("commit {} on top of {}", commit.short(), onto.short()),
            source,
        };
        let from = guard.find_commit(commit.oid()).map_err(write)?;
        let to = guard.find_commit(onto.oid()).map_err(write)?;
        let (from, base) = (from.tree().map_err(write)?, to.tree().map_err(write)?);
        let mut update = git2::build::TreeUpdateBuilder::new();
        for path in &paths {
            match from.get_path(path.as_ref()) {
                Ok(entry) => {
                    update.upsert(path.as_str(), entry.id(), mode(entry.filemode()));
                }
                Err(_) if base.get_path(path.as_ref()).is_ok() => {
                    update.remove(path.as_str());
                }
                Err(_) => {}
            }
        }
        let tree = update.create_updated(&guard, &base).map_err(write)?;
        let commit = NewCommit {
            author: &own.author,
            time: own.time,
            message: &own.message,
            tree,
            parent: onto.oid(),
        };
        commit.write(&guard, signer)
    }

    /// True when a commit carries a signature, whoever made it.
    #[must_use]
    pub fn is_signed(&self, commit: &CommitId) -> bool {
        self.lock().extract_signature(&commit.oid(), None).is_ok()
    }

    /// The files in which two commits differ.
    ///
    /// # Errors
    /// When a commit cannot be read.
    pub fn changed_paths(&self, from: &CommitId, to: &CommitId) -> Result<BTreeSet<String>, Error> {
        let guard = self.lock();
        let read = |source| Error::Read {
            what: format!("what changed from {} to {}", from.short(), to.short()),
            source,
        };
        let tree = |id: &CommitId| guard.find_commit(id.oid()).and_then(|one| one.tree());
        let (old, new) = (tree(from).map_err(read)?, tree(to).map_err(read)?);
        let mut options = git2::DiffOptions::new();
        options.include_typechange(true).skip_binary_check(true);
        let diff = guard
            .diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options))
            .map_err(read)?;
        let paths = diff.deltas().flat_map(|delta| {
            let path = |file: git2::DiffFile<'_>| Some(file.path()?.to_str()?.to_owned());
            [path(delta.old_file()), path(delta.new_file())]
        });
        Ok(paths.flatten().collect())
    }

    /// Lets a reference of ours name a commit, whatever it named before.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_reference(&self, name: &str, commit: &CommitId) -> Result<(), Error> {
        let guard = self.lock();
        let set = guard
            .reference(name, commit.oid(), true, "ordain")
            .map(drop);
        set.map_err(|source| Error::Write {
            what: format!("reference `{name}`"),
            source,
        })
    }

    /// Removes a reference of ours; one that is not there is no error.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_reference(&self, name: &str) -> Result<(), Error> {
        let guard = self.lock();
        let removed = match guard.find_reference(name) {
            Ok(mut found) => found.delete(),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        removed.map_err(|source| Error::Write {
            what: format!("reference `{name}`"),
            source,
        })
    }

    /// The references whose names begin so, with their commits.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn references(&self, prefix: &str) -> Result<Vec<(String, CommitId)>, Error> {
        let guard = self.lock();
        let read = |source| Error::Read {
            what: format!("references below `{prefix}`"),
            source,
        };
        let found = guard.references_glob(&format!("{prefix}*")).map_err(read)?;
        let mut all = Vec::new();
        for reference in found {
            let reference = reference.map_err(read)?;
            let (Ok(name), Ok(commit)) = (reference.name(), reference.peel_to_commit()) else {
                continue;
            };
            all.push((name.to_owned(), commit.id().into()));
        }
        Ok(all)
    }
}
