//! What can go wrong with a repository, said with its subject and a remedy where there is one.

use std::{io, path::PathBuf};

/// A failed operation on a repository.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The path or URL is not a repository that can be opened.
    #[error("cannot open the git repository `{path}`")]
    Open {
        /// What was opened.
        path: String,
        /// Why it failed.
        #[source]
        source: git2::Error,
    },
    /// The hosted repository could not be created.
    #[error("cannot create the hosted repository `{path}`")]
    Create {
        /// Where it should have been.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: git2::Error,
    },
    /// A folder could not be made a repository.
    #[error("cannot make `{path}` a git repository")]
    Init {
        /// The folder.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: git2::Error,
    },
    /// What a killed process left locked could not be freed.
    #[error("cannot remove the locks that a killed process left in `{path}`")]
    Unlock {
        /// The repository.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A hook script could not be written.
    #[error("cannot write the hook `{path}`")]
    WriteHook {
        /// The script.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The revision names nothing in this repository.
    #[error("`{revision}` names no commit in `{repository}`")]
    UnknownRevision {
        /// As it was given.
        revision: String,
        /// Where it was looked up.
        repository: String,
    },
    /// The branch exists in name only: nothing was committed to it yet.
    #[error("branch `{branch}` of `{repository}` has no commit yet")]
    Unborn {
        /// The branch.
        branch: String,
        /// Its repository.
        repository: String,
    },
    /// The remote has no such branch.
    #[error("`{url}` has no branch `{branch}`{}", .known.hint())]
    NoBranch {
        /// The branch that was asked for.
        branch: String,
        /// The remote.
        url: String,
        /// What it has instead.
        known: Branches,
    },
    /// The text is not a commit id.
    #[error("`{text}` is not a commit id (40 hexadecimal digits)")]
    NotAnId {
        /// As it was given.
        text: String,
    },
    /// An object could not be read.
    #[error("cannot read {what}")]
    Read {
        /// The object, in words.
        what: String,
        /// Why it failed.
        #[source]
        source: git2::Error,
    },
    /// An object or reference could not be written.
    #[error("cannot write {what}")]
    Write {
        /// The object, in words.
        what: String,
        /// Why it failed.
        #[source]
        source: git2::Error,
    },
    /// No such file in the tree.
    #[error("`{path}` is not in commit {commit}")]
    NoFile {
        /// The path.
        path: String,
        /// The commit, shortened.
        commit: String,
    },
    /// Links could lead outside of the repository, so none is followed.
    #[error("`{path}` is a symbolic link; links are not followed in a project")]
    Link {
        /// The path.
        path: String,
    },
    /// A path which would leave the tree.
    #[error("`{path}` is not a path inside the repository")]
    Escape {
        /// The path.
        path: String,
    },
    /// A file over the limit.
    #[error("`{path}` has {bytes} bytes; a source file may have at most {max}")]
    TooLarge {
        /// The path.
        path: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// A tree over the limit.
    #[error("commit {commit} has more than {max} files")]
    TooManyFiles {
        /// The commit, shortened.
        commit: String,
        /// The limit.
        max: usize,
    },
    /// The installed git is needed and is not there.
    #[error(
        "`{url}` needs the program `git`, which cannot be run; install it, or use a path or http://"
    )]
    NoGit {
        /// The remote.
        url: String,
        /// Why it cannot be run.
        #[source]
        source: io::Error,
    },
    /// The installed git failed.
    #[error("git cannot {action} `{url}`: {said}")]
    Git {
        /// `fetch` or `push to`.
        action: &'static str,
        /// The remote.
        url: String,
        /// The last lines that git said.
        said: String,
    },
    /// The remote did not answer, or refused.
    #[error("cannot fetch `{url}`")]
    Fetch {
        /// The remote.
        url: String,
        /// Why it failed.
        #[source]
        source: git2::Error,
    },
    /// The remote did not take our commit.
    #[error("cannot push to branch `{branch}` of `{url}`")]
    Push {
        /// The branch.
        branch: String,
        /// The remote.
        url: String,
        /// Why it failed.
        #[source]
        source: git2::Error,
    },
    /// The remote took the connection and refused the reference.
    #[error("`{url}` refused the push to `{branch}`: {reason}")]
    Refused {
        /// The branch.
        branch: String,
        /// The remote.
        url: String,
        /// In the remote's words.
        reason: String,
    },
    /// A tag or a commit takes no commits of ours.
    #[error(
        "{followed} of `{url}` is followed, and a commit can be pushed to a branch only; follow a branch to roll back"
    )]
    NotABranch {
        /// What is followed.
        followed: String,
        /// The remote.
        url: String,
    },
    /// A submodule could not be brought in.
    #[error("cannot bring in the submodule `{path}` of commit {commit}")]
    Submodule {
        /// Its folder.
        path: String,
        /// The commit that names it, shortened.
        commit: String,
        /// Why it failed.
        #[source]
        source: Box<Error>,
    },
    /// A submodule whose address cannot be followed.
    #[error("`.gitmodules` gives no address for it that can be used: {reason}")]
    ModuleAddress {
        /// In words.
        reason: String,
    },
    /// The file lies in Git LFS, and the commit has only its address.
    #[error(
        "`{path}` is a Git LFS pointer, and files in LFS are not fetched; keep sources and data of a project in git itself (`git lfs untrack`)"
    )]
    Lfs {
        /// The path.
        path: String,
    },
    /// A signature could not be looked at.
    #[error("cannot check the signature of commit {commit} with the program `{program}`")]
    Verify {
        /// The commit, shortened.
        commit: String,
        /// What was run.
        program: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A signer's keys could not be read.
    #[error("cannot read the keys of those who may sign from `{path}`{}", .said.as_deref().map(|said| format!(": {said}")).unwrap_or_default())]
    Keys {
        /// The file.
        path: PathBuf,
        /// What the program said.
        said: Option<String>,
    },
    /// A commit that nobody who may has signed.
    #[error("commit {commit} is not trusted: {reason}")]
    Untrusted {
        /// The commit, shortened.
        commit: String,
        /// What is wrong with its signature.
        reason: String,
    },
    /// Somebody else moved the branch in the meantime.
    #[error("branch `{branch}` moved to {found} while a commit on top of {expected} was written")]
    Moved {
        /// The branch.
        branch: String,
        /// The tip we built on, shortened.
        expected: String,
        /// The tip now, shortened.
        found: String,
    },
    /// Restoring would change nothing.
    #[error(
        "{paths} are the same at {to} and at the tip of `{branch}`: there is nothing to restore"
    )]
    NothingToRestore {
        /// The branch.
        branch: String,
        /// The commit to go back to, shortened.
        to: String,
        /// In words.
        paths: String,
    },
    /// A line which git did not write.
    #[error("`{line}` is not a reference update (`<old> <new> <reference>`)")]
    HookLine {
        /// The line.
        line: String,
    },
}

impl Error {
    /// True when the remote answered and the branch takes no push of ours, however often it is tried: it is protected, or
    /// a hook declined.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        let Self::Refused { reason, .. } = self else {
            return false;
        };
        let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
        has(&[
            "hook declined",
            "rotected",
            "remote rejected",
            "not allowed",
            "denied",
        ]) && !has(&["fetch first", "non-fast-forward", "currently checked out"])
    }

    /// True when the same may succeed another time, without a new commit: somebody else's repository did not answer or does
    /// not have a commit yet, or this machine could not read something.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Submodule { source, .. } => source.may_pass(),
            Self::Open { .. }
            | Self::Create { .. }
            | Self::Read { .. }
            | Self::NoGit { .. }
            | Self::Git { .. }
            | Self::Fetch { .. }
            | Self::UnknownRevision { .. } => true,
            _ => false,
        }
    }

    /// True when it is not known, or not true, that somebody who may has signed.
    #[must_use]
    pub fn is_about_trust(&self) -> bool {
        matches!(
            self,
            Self::Untrusted { .. } | Self::Keys { .. } | Self::Verify { .. }
        )
    }
}

/// The branches a remote has, for an error message.
#[derive(Debug, Clone, Default)]
pub struct Branches(pub Option<Vec<String>>);

impl Branches {
    /// Names shown at most; a repository can have thousands.
    const SHOWN: usize = 5;

    /// The remote was not asked which ones it has.
    pub(crate) fn unknown() -> Self {
        Self(None)
    }

    fn hint(&self) -> String {
        let Some(names) = &self.0 else {
            return String::new();
        };
        match names.len() {
            0 => "; it has no commit yet".to_owned(),
            count => {
                let shown = names
                    .iter()
                    .take(Self::SHOWN)
                    .map(|name| format!("`{name}`"));
                let more = if count > Self::SHOWN { ", …" } else { "" };
                format!("; it has {}{more}", shown.collect::<Vec<_>>().join(", "))
            }
        }
    }
}
