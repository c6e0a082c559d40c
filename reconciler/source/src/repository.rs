//! One local repository: revisions, commits and their trees. Never touches a working tree.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{Error, Quarantine, TreeFiles, modules::Modules};

/// A commit's full name: 40 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId(String);

impl CommitId {
    /// The full name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first ten digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..10]
    }

    pub(crate) fn oid(&self) -> git2::Oid {
        git2::Oid::from_str(&self.0).expect("checked when the id was made")
    }
}

impl From<git2::Oid> for CommitId {
    fn from(oid: git2::Oid) -> Self {
        Self(oid.to_string())
    }
}

impl FromStr for CommitId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let hex = text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if hex {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(Error::NotAnId {
                text: text.to_owned(),
            })
        }
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Who wrote a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name, or `unknown`.
    pub name: String,
    /// The address, possibly empty.
    pub email: String,
}

impl fmt::Display for Person {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.email.is_empty() {
            out.write_str(&self.name)
        } else {
            write!(out, "{} <{}>", self.name, self.email)
        }
    }
}

impl FromStr for Person {
    type Err = std::convert::Infallible;

    /// Reads `Name <address>`; without an address the whole text is the name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let parts = text.strip_suffix('>').and_then(|rest| rest.split_once('<'));
        Ok(match parts {
            Some((name, email)) => Self {
                name: name.trim().to_owned(),
                email: email.trim().to_owned(),
            },
            None => Self {
                name: text.to_owned(),
                email: String::new(),
            },
        })
    }
}

/// What a commit says about itself.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Its name.
    pub id: CommitId,
    /// Its parents, the mainline first.
    pub parents: Vec<CommitId>,
    /// Who wrote the change.
    pub author: Person,
    /// Who committed it.
    pub committer: Person,
    /// The whole message.
    pub message: String,
    /// When it was committed, in seconds since 1970-01-01 UTC.
    pub time: i64,
    /// The name of its tree: equal trees have equal files.
    pub tree: String,
}

impl Commit {
    /// The first line of the message.
    #[must_use]
    pub fn summary(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }

    /// The message between the first line and the trailers.
    #[must_use]
    pub fn body(&self) -> &str {
        let rest = self.message.split_once('\n').map_or("", |(_, rest)| rest);
        let rest = rest.trim();
        // The last paragraph is one of trailers when each of its lines is.
        let (body, last) = rest.rsplit_once("\n\n").unwrap_or(("", rest));
        let is_trailer = |line: &str| {
            line.split_once(": ")
                .is_some_and(|(key, _)| !key.is_empty() && !key.contains(char::is_whitespace))
        };
        match !last.is_empty() && last.lines().all(is_trailer) {
            true => body.trim(),
            false => rest,
        }
    }
}

/// A local repository, bare or with a working tree. Cheap to clone; may be used from several threads.
#[derive(Clone)]
pub struct Repository {
    inner: Arc<Mutex<git2::Repository>>,
    path: PathBuf,
    /// Where its submodules are kept, when they are brought in.
    modules: Option<Arc<Modules>>,
}

impl fmt::Debug for Repository {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Repository")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Repository {
    /// Opens the repository at `path` itself.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let open = |source| Error::Open {
            path: path.display().to_string(),
            source,
        };
        Ok(Self::wrap(git2::Repository::open(path).map_err(open)?))
    }

    /// Opens the repository which holds `path`, like git does from a subdirectory.
    ///
    /// # Errors
    /// When neither the path nor a parent is a repository.
    pub fn discover(path: &Path) -> Result<Self, Error> {
        let open = |source| Error::Open {
            path: path.display().to_string(),
            source,
        };
        Ok(Self::wrap(git2::Repository::discover(path).map_err(open)?))
    }

    pub(crate) fn wrap(inner: git2::Repository) -> Self {
        let path = inner.path().to_owned();
        Self {
            inner: Arc::new(Mutex::new(inner)),
            path,
            modules: None,
        }
    }

    /// Brings in submodules from now on.
    pub(crate) fn with_modules(mut self, modules: Modules) -> Self {
        self.modules = Some(Arc::new(modules));
        self
    }

    /// Opens the repository anew for all who share it.
    pub(crate) fn reopen(&self) -> Result<(), Error> {
        let fresh = git2::Repository::open(&self.path).map_err(|source| Error::Open {
            path: self.name(),
            source,
        })?;
        *self.lock() = fresh;
        Ok(())
    }

    pub(crate) fn modules(&self) -> Option<&Modules> {
        self.modules.as_deref()
    }

    /// Lets a reference of ours point at a commit, wherever it pointed before.
    pub(crate) fn keep(&self, reference: &str, commit: &CommitId) -> Result<(), Error> {
        let written = self
            .lock()
            .reference(reference, commit.oid(), true, "followed")
            .map(drop);
        written.map_err(|source| Error::Write {
            what: format!("reference `{reference}`"),
            source,
        })
    }

    /// A git call that panicked would leave no broken state behind: libgit2 keeps its own locks.
    pub(crate) fn lock(&self) -> MutexGuard<'_, git2::Repository> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The git directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The working tree, unless the repository is bare.
    #[must_use]
    pub fn workdir(&self) -> Option<PathBuf> {
        self.lock().workdir().map(Path::to_owned)
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Makes the objects of a push readable which git still holds back.
    ///
    /// The alternate stays for the life of this handle: open a fresh one for each push.
    ///
    /// # Errors
    /// When the directory cannot be used as an object store.
    pub fn with_quarantine(&self, quarantine: &Quarantine) -> Result<Self, Error> {
        let mut fresh = Self::open(&self.path)?;
        fresh.modules.clone_from(&self.modules);
        let path = quarantine.0.display().to_string();
        let added = {
            let guard = fresh.lock();
            guard.odb().and_then(|odb| odb.add_disk_alternate(&path))
        };
        added.map_err(|source| Error::Read {
            what: format!("pushed objects in `{path}`"),
            source,
        })?;
        Ok(fresh)
    }

    /// The commit a branch points at.
    ///
    /// # Errors
    /// [`Error::Unborn`] when nothing was committed to it, or it does not exist.
    pub fn branch(&self, branch: &str) -> Result<CommitId, Error> {
        self.reference(&format!("refs/heads/{branch}"))?
            .ok_or_else(|| Error::Unborn {
                branch: branch.to_owned(),
                repository: self.name(),
            })
    }

    /// The commit a full reference name points at, or `None` when there is no such reference.
    ///
    /// # Errors
    /// When the reference exists and leads nowhere.
    pub fn reference(&self, name: &str) -> Result<Option<CommitId>, Error> {
        let guard = self.lock();
        let read = |source| Error::Read {
            what: format!("reference `{name}`"),
            source,
        };
        match guard.find_reference(name) {
            Ok(found) => {
                let commit = found.peel_to_commit().map_err(read)?;
                Ok(Some(commit.id().into()))
            }
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(error) if error.code() == git2::ErrorCode::InvalidSpec => {
                Err(Error::UnknownRevision {
                    revision: name.to_owned(),
                    repository: self.name(),
                })
            }
            Err(error) => Err(read(error)),
        }
    }

    /// Resolves a branch, tag, shortened id, `HEAD~2` or anything else git calls a revision.
    ///
    /// # Errors
    /// [`Error::UnknownRevision`] when it names no commit.
    pub fn resolve(&self, revision: &str) -> Result<CommitId, Error> {
        let guard = self.lock();
        let found = guard
            .revparse_single(revision)
            .and_then(|object| object.peel_to_commit());
        match found {
            Ok(commit) => Ok(commit.id().into()),
            Err(error) if error.code() == git2::ErrorCode::UnbornBranch => Err(Error::Unborn {
                branch: revision.to_owned(),
                repository: self.name(),
            }),
            Err(_) => {
                let repository = self.name();
                Err(Error::UnknownRevision {
                    revision: revision.to_owned(),
                    repository,
                })
            }
        }
    }

    /// What a commit says about itself.
    ///
    /// # Errors
    /// When the commit is not (or no longer) in the repository.
    pub fn commit(&self, id: &CommitId) -> Result<Commit, Error> {
        let guard = self.lock();
        let commit = guard.find_commit(id.oid()).map_err(|source| Error::Read {
            what: format!("commit {}", id.short()),
            source,
        })?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let person = |signature: git2::Signature<'_>| {
            let name = text(signature.name_bytes());
            Person {
                name: if name.is_empty() {
                    "unknown".to_owned()
                } else {
                    name
                },
                email: text(signature.email_bytes()),
            }
        };
        Ok(Commit {
            id: id.clone(),
            parents: commit.parent_ids().map(CommitId::from).collect(),
            author: person(commit.author()),
            committer: person(commit.committer()),
            message: text(commit.message_bytes()),
            time: commit.time().seconds(),
            tree: commit.tree_id().to_string(),
        })
    }

    /// True when `ancestor` is `commit` itself or can be reached from it.
    /// A commit which is gone is nobody's ancestor.
    #[must_use]
    pub fn is_ancestor(&self, ancestor: &CommitId, commit: &CommitId) -> bool {
        ancestor == commit
            || self
                .lock()
                .graph_descendant_of(commit.oid(), ancestor.oid())
                .unwrap_or(false)
    }

    /// The files of a commit, read straight from the object store.
    ///
    /// # Errors
    /// When the commit or its tree cannot be read, or it is over the limits.
    pub fn files(&self, id: &CommitId) -> Result<TreeFiles, Error> {
        TreeFiles::open(self.clone(), id)
    }
}
