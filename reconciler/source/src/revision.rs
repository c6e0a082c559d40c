//! One state of a foreign repository, fetched once: a tag or a commit.

use std::path::Path;

use crate::{Access, CommitId, Error, Repository, program, remote::Transport};

/// Which state is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revision<'a> {
    /// What a tag points to now.
    Tag(&'a str),
    /// A commit by its whole name, on any branch or tag.
    Commit(&'a str),
}

/// Fetches one state of `url` into a bare repository at `folder`, which is made when it is not there.
///
/// # Errors
/// When the remote does not answer, or does not have it.
pub fn fetch_revision(
    folder: &Path,
    url: &str,
    revision: Revision<'_>,
) -> Result<(Repository, CommitId), Error> {
    fetch_revision_as(folder, url, revision, &Access::default())
}

/// Fetches one state of `url` as [`fetch_revision`] does, with given credentials.
pub(crate) fn fetch_revision_as(
    folder: &Path,
    url: &str,
    revision: Revision<'_>,
    access: &Access,
) -> Result<(Repository, CommitId), Error> {
    let create = |source| Error::Create {
        path: folder.to_owned(),
        source,
    };
    let inner = match folder.join("HEAD").exists() {
        true => git2::Repository::open_bare(folder).map_err(|source| Error::Open {
            path: folder.display().to_string(),
            source,
        })?,
        false => git2::Repository::init_bare(folder).map_err(create)?,
    };
    let repository = Repository::wrap(inner);
    let (refspecs, wanted) = match revision {
        Revision::Tag(tag) => (
            vec![format!("+refs/tags/{tag}:refs/tags/{tag}")],
            format!("refs/tags/{tag}"),
        ),
        // Servers need not give a commit by its name, so everything that may lead to it is fetched.
        Revision::Commit(commit) => (
            vec![
                "+refs/heads/*:refs/remotes/origin/*".to_owned(),
                "+refs/tags/*:refs/tags/*".to_owned(),
            ],
            commit.to_owned(),
        ),
    };
    if Transport::of(url) == Transport::Program {
        let mut args = vec!["fetch", "--quiet", "--no-tags", "--", url];
        args.extend(refspecs.iter().map(String::as_str));
        program::run(repository.path(), access, &args)
            .map_err(|failure| failure.into_error("fetch", url))?;
    } else {
        let guard = repository.lock();
        let failed = |source| Error::Fetch {
            url: url.to_owned(),
            source,
        };
        let mut remote = guard.remote_anonymous(url).map_err(failed)?;
        let mut options = git2::FetchOptions::new();
        options.download_tags(git2::AutotagOption::None);
        remote
            .fetch(&refspecs, Some(&mut options), None)
            .map_err(failed)?;
    }
    let unknown = || Error::UnknownRevision {
        revision: match revision {
            Revision::Tag(tag) => format!("tag {tag}"),
            Revision::Commit(commit) => commit.to_owned(),
        },
        repository: url.to_owned(),
    };
    let id = repository.resolve(&wanted).map_err(|_| unknown())?;
    Ok((repository, id))
}
