//! Who wrote a line: the commit that brought it, seen from a commit.

use std::path::Path;

use crate::{CommitId, Error, Person, Repository};

/// The commit that a line comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineOrigin {
    /// The commit.
    pub commit: CommitId,
    /// Its author.
    pub author: Person,
    /// When it was committed, in seconds since 1970-01-01 UTC.
    pub time: i64,
    /// The first line of its message.
    pub subject: String,
    /// The line's number in that commit, from 1.
    pub line: usize,
}

impl Repository {
    /// Finds the commit that brought line `line` (from 1) of a file, as the file is at commit `at`. Returns
    /// nothing when the file has no such line.
    ///
    /// # Errors
    /// When the file is not in the commit, or its history cannot be read.
    pub fn line_origin(
        &self,
        at: &CommitId,
        path: &str,
        line: usize,
    ) -> Result<Option<LineOrigin>, Error> {
        let found = {
            let guard = self.lock();
            let mut options = git2::BlameOptions::new();
            // One line alone: the walk ends as soon as its commit is found.
            options
                .newest_commit(at.oid())
                .min_line(line)
                .max_line(line);
            let blame = guard.blame_file(Path::new(path), Some(&mut options));
            let blame = blame.map_err(|source| Error::Read {
                what: format!("the history of `{path}`"),
                source,
            })?;
            blame.get_line(line).map(|hunk| {
                let within = line.saturating_sub(hunk.final_start_line());
                (
                    CommitId::from(hunk.final_commit_id()),
                    hunk.orig_start_line() + within,
                )
            })
        };
        let Some((id, line)) = found else {
            return Ok(None);
        };
        let commit = self.commit(&id)?;
        Ok(Some(LineOrigin {
            subject: commit.summary().to_owned(),
            commit: id,
            author: commit.author,
            time: commit.time,
            line,
        }))
    }
}
