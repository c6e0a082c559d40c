//! A foreign repository, fetched into a bare copy of our own. Its history may be rewritten under us.

use std::path::Path;

use crate::{CommitId, Error, Repository, error::Branches, program};

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
    url: String,
    branch: String,
}

impl Mirror {
    /// Opens (or creates) the copy of `url` in `path`. Nothing is fetched yet.
    ///
    /// `url` is a path, `file://`, `http://`, `https://` or ssh; the last three need git to be installed.
    ///
    /// # Errors
    /// When the copy cannot be created.
    pub fn open(path: &Path, url: &str, branch: &str) -> Result<Self, Error> {
        let create = |source| Error::Create {
            path: path.to_owned(),
            source,
        };
        let inner = if path.join("HEAD").exists() {
            let name = path.display().to_string();
            git2::Repository::open_bare(path)
                .map_err(|source| Error::Open { path: name, source })?
        } else {
            git2::Repository::init_bare(path).map_err(create)?
        };
        let repository = Repository::wrap(inner);
        Ok(Self {
            repository,
            url: url.to_owned(),
            branch: branch.to_owned(),
        })
    }

    /// Our copy.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The branch that is followed.
    #[must_use]
    pub fn branch(&self) -> &str {
        &self.branch
    }

    /// Where it comes from.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The reference of ours that follows the foreign branch.
    fn tracking(&self) -> String {
        format!("refs/remotes/origin/{}", self.branch)
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
        self.download()?;
        let tip = self.last()?.ok_or_else(|| Error::NoBranch {
            branch: self.branch.clone(),
            url: self.url.clone(),
            known: Branches::unknown(),
        })?;
        let movement = match before {
            None => Movement::First,
            Some(from) if from == tip => Movement::Unchanged,
            Some(from) if self.repository.is_ancestor(&from, &tip) => Movement::Forward { from },
            Some(from) => Movement::Rewritten { from },
        };
        Ok(Fetched { tip, movement })
    }

    fn download(&self) -> Result<(), Error> {
        if Transport::of(&self.url) == Transport::Program {
            let refspec = format!("+refs/heads/{}:{}", self.branch, self.tracking());
            let run = program::run(
                self.repository.path(),
                &["fetch", "--quiet", "--no-tags", "--", &self.url, &refspec],
            );
            return run.map_err(|failure| failure.fetching(&self.url, &self.branch));
        }
        let guard = self.repository.lock();
        let failed = |source| Error::Fetch {
            url: self.url.clone(),
            source,
        };
        let mut remote = guard.remote_anonymous(&self.url).map_err(failed)?;
        let wanted = format!("refs/heads/{}", self.branch);
        {
            let connection = remote
                .connect_auth(git2::Direction::Fetch, None, None)
                .map_err(failed)?;
            let heads = connection.list().map_err(failed)?;
            if !heads.iter().any(|head| head.name() == wanted) {
                let names = heads
                    .iter()
                    .filter_map(|head| head.name().strip_prefix("refs/heads/"));
                let known = Branches(Some(names.map(str::to_owned).collect()));
                let branch = self.branch.clone();
                return Err(Error::NoBranch {
                    branch,
                    url: self.url.clone(),
                    known,
                });
            }
        }
        let refspec = format!("+{wanted}:{}", self.tracking());
        let mut options = git2::FetchOptions::new();
        options.download_tags(git2::AutotagOption::None);
        remote
            .fetch(&[refspec], Some(&mut options), None)
            .map_err(failed)
    }

    /// Pushes a commit of ours to the branch it came from. Never forces.
    ///
    /// # Errors
    /// When the remote moved on, refused, or did not answer.
    pub fn push(&self, commit: &CommitId) -> Result<(), Error> {
        let guard = self.repository.lock();
        let failed = |source| Error::Push {
            branch: self.branch.clone(),
            url: self.url.clone(),
            source,
        };
        // Push needs a reference to push from.
        let outgoing = format!("refs/ordain/outgoing/{}", self.branch);
        guard
            .reference(&outgoing, commit.oid(), true, "outgoing")
            .map_err(failed)?;
        let refspec = format!("{outgoing}:refs/heads/{}", self.branch);
        if Transport::of(&self.url) == Transport::Program {
            drop(guard);
            let run = program::run(
                self.repository.path(),
                &["push", "--quiet", "--", &self.url, &refspec],
            );
            return run.map_err(|failure| failure.pushing(&self.url, &self.branch));
        }
        let mut refusal = None;
        let mut remote = guard.remote_anonymous(&self.url).map_err(failed)?;
        {
            let mut callbacks = git2::RemoteCallbacks::new();
            callbacks.push_update_reference(|_, status| {
                refusal = status.map(str::to_owned);
                Ok(())
            });
            let mut options = git2::PushOptions::new();
            options.remote_callbacks(callbacks);
            let refspec = format!("{outgoing}:refs/heads/{}", self.branch);
            remote
                .push(&[refspec], Some(&mut options))
                .map_err(failed)?;
        }
        match refusal {
            None => Ok(()),
            Some(reason) => {
                let branch = self.branch.clone();
                Err(Error::Refused {
                    branch,
                    url: self.url.clone(),
                    reason,
                })
            }
        }
    }
}

/// How a remote is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// By libgit2: paths, `file://`, `git://`.
    Library,
    /// By the installed git: `http://`, `https://` and ssh. libgit2 would need OpenSSL and libssh2 for the last two, it
    /// reads nothing from some HTTP/1.0 servers (seen with a CGI one that the installed git reads), and the
    /// installed git knows the user's keys, agents, credential helpers and proxies besides.
    Program,
}

impl Transport {
    pub(crate) fn of(url: &str) -> Self {
        // `host:path` is git's short form of ssh, but `C:\repo` is a path.
        let short = url.split_once(':').is_some_and(|(host, rest)| {
            host.len() > 1
                && !host.contains('/')
                && !rest.starts_with("//")
                && !Path::new(url).exists()
        });
        let remote = ["http://", "https://", "ssh://"]
            .iter()
            .any(|scheme| url.starts_with(scheme));
        if short || remote {
            Self::Program
        } else {
            Self::Library
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Transport;

    #[test]
    fn the_installed_git_is_asked_only_where_the_library_cannot() {
        for (url, by) in [
            ("/srv/shop.git", Transport::Library),
            ("file:///srv/shop.git", Transport::Library),
            ("http://git.example.com/shop.git", Transport::Program),
            ("https://git.example.com/shop.git", Transport::Program),
            ("git@git.example.com:shop.git", Transport::Program),
            ("ssh://git@git.example.com/shop.git", Transport::Program),
            (r"C:\repos\shop", Transport::Library),
        ] {
            assert_eq!(Transport::of(url), by, "{url}");
        }
    }
}
