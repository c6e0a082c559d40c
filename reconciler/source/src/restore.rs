//! Commits we write: an earlier tree on top of the branch, with trailers that say why.

use std::fmt::Write as _;

use crate::{CommitId, Error, Person, Repository, Signer, sign::NewCommit};

/// What a rollback commit says about itself, as git trailers (git-interpret-trailers(1)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trailers {
    /// The commit that is undone.
    pub rollback_of: CommitId,
    /// The commit whose files come back.
    pub rollback_to: CommitId,
    /// Hashes of the plans that the rollback will carry out, as far as they are known: one for each app.
    pub plan_hashes: Vec<String>,
}

/// A commit to write.
#[derive(Debug, Clone)]
pub struct Restore {
    /// The full reference of the branch it goes on.
    pub reference: String,
    /// The tip it is built on; another tip at the time of writing is an error.
    pub onto: CommitId,
    /// The commit that is undone, when it is not `onto`: the last one that the app was deployed from.
    pub of: Option<CommitId>,
    /// The commit whose files come back.
    pub to: CommitId,
    /// Files or folders to bring back; `None` for the whole tree.
    pub paths: Option<Vec<String>>,
    /// Who asked for it.
    pub author: Person,
    /// Seconds since 1970-01-01 UTC.
    pub time: i64,
    /// The first line of the message.
    pub subject: String,
    /// Why, in the author's words.
    pub reason: String,
}

impl Repository {
    /// Writes the commit without moving a reference, so that it can be compiled and planned first.
    ///
    /// # Errors
    /// [`Error::NothingToRestore`] when the result equals the tip, or when objects cannot be read or written.
    pub fn write_restore(
        &self,
        restore: &Restore,
        plan_hashes: &[String],
        signer: Option<&Signer<'_>>,
    ) -> Result<CommitId, Error> {
        let guard = self.lock();
        let read = |source| Error::Read {
            what: "the commits to restore".to_owned(),
            source,
        };
        let write = |source| Error::Write {
            what: "the rollback commit".to_owned(),
            source,
        };
        let onto = guard.find_commit(restore.onto.oid()).map_err(read)?;
        let to = guard.find_commit(restore.to.oid()).map_err(read)?;
        let (old_tree, new_tree) = (onto.tree().map_err(read)?, to.tree().map_err(read)?);
        let tree = match &restore.paths {
            None => new_tree.id(),
            Some(paths) => {
                let mut update = git2::build::TreeUpdateBuilder::new();
                for path in paths {
                    match new_tree.get_path(path.as_ref()) {
                        Ok(entry) => {
                            update.upsert(path.as_str(), entry.id(), mode(entry.filemode()));
                        }
                        Err(_) if old_tree.get_path(path.as_ref()).is_ok() => {
                            update.remove(path.as_str());
                        }
                        Err(_) => {}
                    }
                }
                update.create_updated(&guard, &old_tree).map_err(write)?
            }
        };
        if tree == old_tree.id() {
            return Err(Error::NothingToRestore {
                branch: restore
                    .reference
                    .trim_start_matches("refs/heads/")
                    .to_owned(),
                to: restore.to.short().to_owned(),
                paths: match &restore.paths {
                    None => "all files".to_owned(),
                    Some(paths) => paths.join(", "),
                },
            });
        }
        let trailers = Trailers {
            rollback_of: restore.of.clone().unwrap_or_else(|| restore.onto.clone()),
            rollback_to: restore.to.clone(),
            plan_hashes: plan_hashes.to_vec(),
        };
        let commit = NewCommit {
            author: &restore.author,
            time: restore.time,
            message: &message(restore, &trailers),
            tree,
            parent: onto.id(),
        };
        commit.write(&guard, signer)
    }

    /// Moves a reference from `from` to `to`, or fails when somebody else moved it.
    ///
    /// # Errors
    /// [`Error::Moved`] when the reference is no longer at `from`.
    pub fn move_reference(
        &self,
        reference: &str,
        from: &CommitId,
        to: &CommitId,
        why: &str,
    ) -> Result<(), Error> {
        let moved = {
            let guard = self.lock();
            guard
                .reference_matching(reference, to.oid(), true, from.oid(), why)
                .map(drop)
        };
        match moved {
            Ok(()) => Ok(()),
            Err(error) if error.code() == git2::ErrorCode::Modified => {
                let found = self.reference(reference)?;
                Err(Error::Moved {
                    branch: reference.trim_start_matches("refs/heads/").to_owned(),
                    expected: from.short().to_owned(),
                    found: found.map_or_else(|| "nothing".to_owned(), |id| id.short().to_owned()),
                })
            }
            Err(source) => Err(Error::Write {
                what: format!("reference `{reference}`"),
                source,
            }),
        }
    }
}

pub(crate) fn mode(raw: i32) -> git2::FileMode {
    match raw {
        0o040_000 => git2::FileMode::Tree,
        0o100_755 => git2::FileMode::BlobExecutable,
        0o120_000 => git2::FileMode::Link,
        0o160_000 => git2::FileMode::Commit,
        _ => git2::FileMode::Blob,
    }
}

fn message(restore: &Restore, trailers: &Trailers) -> String {
    let mut text = format!("{}\n", restore.subject);
    // A reason that looks like a trailer must not become one: it stands in its own paragraph.
    let reason = restore.reason.trim();
    if !reason.is_empty() {
        let _ = write!(text, "\n{reason}\n");
    }
    let _ = write!(
        text,
        "\nRollback-Of: {}\nRollback-To: {}\n",
        trailers.rollback_of, trailers.rollback_to
    );
    for hash in &trailers.plan_hashes {
        let _ = writeln!(text, "Plan-Hash: {hash}");
    }
    let reason: Vec<&str> = reason.split_whitespace().collect();
    if !reason.is_empty() {
        let _ = writeln!(text, "Reason: {}", reason.join(" "));
    }
    text
}

/// Every value of a trailer in the last paragraph of a commit message.
pub fn trailers<'a>(message: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    let last = message.trim_end().rsplit("\n\n").next().unwrap_or_default();
    last.lines().filter_map(move |line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case(key).then(|| value.trim())
    })
}

/// The value of a trailer in the last paragraph of a commit message.
#[must_use]
pub fn trailer<'a>(message: &'a str, key: &str) -> Option<&'a str> {
    let last = message.trim_end().rsplit("\n\n").next()?;
    last.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case(key).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_paragraph_holds_trailers() {
        let text = "subject\n\nRollback-To: in the body\n\nRollback-Of: a\nPlan-Hash: b\n";
        assert_eq!(trailer(text, "rollback-of"), Some("a"));
        assert_eq!(trailer(text, "Plan-Hash"), Some("b"));
        assert_eq!(trailer(text, "Rollback-To"), None);
        assert_eq!(trailer("", "Rollback-To"), None);
    }
}
