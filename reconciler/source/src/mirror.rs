//! A foreign repository, fetched into a bare copy of our own. Its history may be rewritten under us.

use std::path::Path;

use crate::{
    CommitId, Error, FILE_BYTES_MAX, Follow, Remote, Repository, Revision, error::Branches,
    fetch_revision, locks, modules::Modules, program, remote::Transport,
};

/// How a branch moved between two looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Movement {
    /// The first look.
    First,
    /// The same commit as before.
    Unchanged,
    /// New commits on top of the old tip.
    Forward {
        /// The tip before.
        from: CommitId,
    },
    /// The old tip is not in the new history: somebody forced a push or rewrote the branch.
    Rewritten {
        /// The tip before.
        from: CommitId,
    },
}

/// The outcome of one look at a branch.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The tip now.
    pub tip: CommitId,
    /// How it got there.
    pub movement: Movement,
}

/// A bare copy of a foreign repository.
#[derive(Debug, Clone)]
pub struct Mirror {
    repository: Repository,
    remote: Remote,
}

impl Mirror {
    /// Opens (or creates) the copy of a branch of `url` in `path`. Nothing is fetched yet.
    ///
    /// `url` is a path, `file://`, `http://`, `https://` or ssh; the last three need git to be installed.
    ///
    /// # Errors
    /// When the copy cannot be created.
    pub fn open(path: &Path, url: &str, branch: &str) -> Result<Self, Error> {
        Self::of(path, Remote::branch(url, branch))
    }

    /// Opens (or creates) the copy of a remote in `path`. Nothing is fetched yet.
    ///
    /// # Errors
    /// When the copy cannot be created, or its settings cannot be written.
    pub fn of(path: &Path, remote: Remote) -> Result<Self, Error> {
        let create = |source| Error::Create {
            path: path.to_owned(),
            source,
        };
        let inner = if path.join("HEAD").exists() {
            let unlock = |source| Error::Unlock {
                path: path.to_owned(),
                source,
            };
            locks::release(path).map_err(unlock)?;
            let name = path.display().to_string();
            git2::Repository::open_bare(path)
                .map_err(|source| Error::Open { path: name, source })?
        } else {
            git2::Repository::init_bare(path).map_err(create)?
        };
        let mut config = inner.config().map_err(create)?;
        // A commit that was deployed is wanted as long as the journal names it, also when nothing leads to it.
        for key in ["gc.auto", "maintenance.auto"] {
            config.set_str(key, "0").map_err(create)?;
        }
        if Transport::of(&remote.url) == Transport::Program {
            // Files that are never read are never fetched, where the server can leave them out. Git would
            // otherwise make this a repository of a form that the library does not open.
            config
                .set_str("remote.origin.url", &remote.url)
                .and_then(|()| config.set_bool("remote.origin.promisor", true))
                .and_then(|()| config.set_str("remote.origin.partialclonefilter", &filter()))
                .map_err(create)?;
        }
        let modules = Modules::beside(path, &remote);
        let repository = Repository::wrap(inner).with_modules(modules);
        Ok(Self { repository, remote })
    }

    /// Our copy.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The branch that is followed, or the name of the tag or commit.
    #[must_use]
    pub fn branch(&self) -> &str {
        self.remote.follow.name()
    }

    /// What is followed.
    #[must_use]
    pub fn follow(&self) -> &Follow {
        &self.remote.follow
    }

    /// Where it comes from.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.remote.url
    }

    /// The reference of ours that follows the foreign one.
    fn tracking(&self) -> String {
        self.remote.follow.tracking()
    }

    /// The last tip that was fetched.
    ///
    /// # Errors
    /// When our reference is broken.
    pub fn last(&self) -> Result<Option<CommitId>, Error> {
        self.repository.reference(&self.tracking())
    }

    /// Fetches the branch.
    ///
    /// # Errors
    /// When the remote does not answer or has no such branch. What was fetched before stays.
    pub fn fetch(&self) -> Result<Fetched, Error> {
        let before = self.last()?;
        if before.is_none() || before != self.peek() {
            self.download()?;
        }
        let tip = self.last()?.ok_or_else(|| Error::UnknownRevision {
            revision: self.remote.follow.to_string(),
            repository: self.remote.url.clone(),
        })?;
        let movement = match before {
            None => Movement::First,
            Some(from) if from == tip => Movement::Unchanged,
            Some(from) if self.repository.is_ancestor(&from, &tip) => Movement::Forward { from },
            Some(from) => Movement::Rewritten { from },
        };
        Ok(Fetched { tip, movement })
    }

    /// Where the followed reference of a repository on this machine is now, for next to nothing; `None` when that
    /// is not so easily told.
    fn peek(&self) -> Option<CommitId> {
        if !self.is_local() || matches!(self.remote.follow, Follow::Commit(_)) {
            return None;
        }
        let theirs = Repository::open(Path::new(&self.remote.url)).ok()?;
        theirs.reference(&self.remote.follow.wanted()).ok()?
    }

    /// True when the remote is a folder of this machine.
    fn is_local(&self) -> bool {
        Transport::of(&self.remote.url) == Transport::Library
            && Path::new(&self.remote.url).is_dir()
    }

    fn download(&self) -> Result<(), Error> {
        let Remote {
            url,
            follow,
            access,
            depth,
        } = &self.remote;
        let refspec = format!("+{}:{}", follow.wanted(), self.tracking());
        let first = depth.filter(|_| matches!(self.last(), Ok(None)));
        if let Follow::Commit(commit) = follow
            && self.repository.commit(commit).is_ok()
        {
            // A commit does not change.
            return self.repository.keep(&self.tracking(), commit);
        }
        if Transport::of(url) == Transport::Program {
            let filter = format!("--filter={}", filter());
            let mut args = vec!["fetch", "--quiet", "--no-tags", filter.as_str()];
            let depth = first.map(|depth| format!("--depth={depth}"));
            args.extend(depth.as_deref());
            args.extend(["origin", refspec.as_str()]);
            program::run(self.repository.path(), access, &args)
                .map_err(|failure| failure.fetching(url, follow))?;
            return match first {
                // The library looks for the edge of a shallow history when it opens it.
                Some(_) => self.repository.reopen(),
                None => Ok(()),
            };
        }
        if let Follow::Commit(commit) = follow {
            // The library asks for references alone, so everything that may lead to the commit is fetched.
            fetch_revision(
                self.repository.path(),
                url,
                Revision::Commit(commit.as_str()),
            )?;
            return self.repository.keep(&self.tracking(), commit);
        }
        let guard = self.repository.lock();
        let failed = |source| Error::Fetch {
            url: url.clone(),
            source,
        };
        let mut remote = guard.remote_anonymous(url).map_err(failed)?;
        let wanted = follow.wanted();
        {
            let connection = remote
                .connect_auth(git2::Direction::Fetch, None, None)
                .map_err(failed)?;
            let heads = connection.list().map_err(failed)?;
            if !heads.iter().any(|head| head.name() == wanted) {
                if let Follow::Tag(_) = follow {
                    return Err(Error::UnknownRevision {
                        revision: follow.to_string(),
                        repository: url.clone(),
                    });
                }
                let names = heads
                    .iter()
                    .filter_map(|head| head.name().strip_prefix("refs/heads/"));
                let known = Branches(Some(names.map(str::to_owned).collect()));
                let branch = follow.name().to_owned();
                return Err(Error::NoBranch {
                    branch,
                    url: url.clone(),
                    known,
                });
            }
        }
        let mut options = git2::FetchOptions::new();
        options.download_tags(git2::AutotagOption::None);
        if let Some(depth) = first {
            options.depth(i32::try_from(depth).unwrap_or(i32::MAX));
        }
        remote
            .fetch(&[refspec], Some(&mut options), None)
            .map_err(failed)
    }

    /// Pushes a commit of ours to the branch it came from. Never forces.
    ///
    /// # Errors
    /// When the remote moved on, refused, or did not answer.
    pub fn push(&self, commit: &CommitId) -> Result<(), Error> {
        let Remote { url, follow, .. } = &self.remote;
        match follow {
            Follow::Branch(branch) => self.push_to(branch, commit),
            _ => Err(Error::NotABranch {
                followed: follow.to_string(),
                url: url.clone(),
            }),
        }
    }

    /// Pushes a commit of ours to a branch of its own, for somebody to merge it. Never forces; a branch that has the
    /// commit is left as it is.
    ///
    /// # Errors
    /// When the remote refused, or did not answer.
    pub fn propose(&self, branch: &str, commit: &CommitId) -> Result<(), Error> {
        self.push_to(branch, commit)
    }

    fn push_to(&self, branch: &str, commit: &CommitId) -> Result<(), Error> {
        let Remote { url, access, .. } = &self.remote;
        let guard = self.repository.lock();
        let failed = |source| Error::Push {
            branch: branch.to_owned(),
            url: url.clone(),
            source,
        };
        // Push needs a reference to push from.
        let outgoing = format!("refs/ordain/outgoing/{branch}");
        guard
            .reference(&outgoing, commit.oid(), true, "outgoing")
            .map_err(failed)?;
        if let Some(folder) = crate::beside::folder(url) {
            drop(guard);
            let from = self.repository.path();
            return crate::beside::push(&folder, branch, from, &outgoing, commit);
        }
        let refspec = format!("{outgoing}:refs/heads/{branch}");
        if Transport::of(url) == Transport::Program {
            drop(guard);
            let args = ["push", "--quiet", "--", url.as_str(), &refspec];
            let run = program::run(self.repository.path(), access, &args);
            return run.map_err(|failure| failure.pushing(url, branch));
        }
        let mut refusal = None;
        let mut remote = guard.remote_anonymous(url).map_err(failed)?;
        {
            let mut callbacks = git2::RemoteCallbacks::new();
            callbacks.push_update_reference(|_, status| {
                refusal = status.map(str::to_owned);
                Ok(())
            });
            let mut options = git2::PushOptions::new();
            options.remote_callbacks(callbacks);
            let refspec = format!("{outgoing}:refs/heads/{branch}");
            remote
                .push(&[refspec], Some(&mut options))
                .map_err(failed)?;
        }
        match refusal {
            None => Ok(()),
            Some(reason) => {
                let (branch, url) = (branch.to_owned(), url.clone());
                Err(Error::Refused {
                    branch,
                    url,
                    reason,
                })
            }
        }
    }
}

/// What a server may leave out (git-rev-list(1), `--filter`): exactly what [`crate::TreeFiles`] would refuse to read.
fn filter() -> String {
    format!("blob:limit={}", FILE_BYTES_MAX + 1)
}
