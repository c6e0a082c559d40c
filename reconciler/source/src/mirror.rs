//! A foreign repository, fetched into a bare copy of our own. Its history may be rewritten under us.

use std::path::Path;

use crate::{CommitId, Error, Repository, error::Branches};

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
    /// `url` is a path, `file://` or `http://`.
    ///
    /// # Errors
    /// When the transport is not built in, or the copy cannot be created.
    pub fn open(path: &Path, url: &str, branch: &str) -> Result<Self, Error> {
        supported(url)?;
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
            known: Branches::default(),
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
                let known = Branches(names.map(str::to_owned).collect());
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

/// Says early and exactly which transports are missing: libgit2's own message names no remedy.
fn supported(url: &str) -> Result<(), Error> {
    let missing = |scheme, remedy| {
        Err(Error::Transport {
            url: url.to_owned(),
            scheme,
            remedy,
        })
    };
    if url.starts_with("https://") {
        return missing(
            "https",
            "mirror it to a local path with `git clone --mirror` for now",
        );
    }
    // `host:path` is git's short form of ssh, but `C:\repo` is a path.
    let short = url.split_once(':').is_some_and(|(host, rest)| {
        host.len() > 1 && !host.contains('/') && !rest.starts_with("//") && !Path::new(url).exists()
    });
    if url.starts_with("ssh://") || short {
        return missing(
            "ssh",
            "mirror it to a local path with `git clone --mirror` for now",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::supported;

    #[test]
    fn missing_transports_are_named_before_anything_is_tried() {
        for (url, fine) in [
            ("/srv/shop.git", true),
            ("file:///srv/shop.git", true),
            ("http://git.example.com/shop.git", true),
            ("https://git.example.com/shop.git", false),
            ("git@git.example.com:shop.git", false),
            ("ssh://git@git.example.com/shop.git", false),
            (r"C:\repos\shop", true),
        ] {
            assert_eq!(supported(url).is_ok(), fine, "{url}");
        }
    }
}
