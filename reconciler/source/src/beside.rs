//! Pushing into a repository on this machine that people work in: its branch is checked out.
//!
//! Git refuses such a push, because the working tree would no longer be that of its commit. Here the
//! working tree goes along when nothing in it would be lost, as with `receive.denyCurrentBranch =
//! updateInstead` (git-config(1)).

use std::path::{Path, PathBuf};

use crate::{CommitId, Error};

/// Uncommitted files that are named at most.
const NAMED_MAX: usize = 5;

/// The folder of a repository with a working tree, when the URL names one on this machine.
pub(crate) fn folder(url: &str) -> Option<PathBuf> {
    let path = Path::new(url.strip_prefix("file://").unwrap_or(url));
    let repository = git2::Repository::open(path).ok()?;
    (!repository.is_bare()).then(|| path.to_owned())
}

/// Moves a branch of the repository in `folder` from `onto` to `commit`, which lies in `from`.
///
/// # Errors
/// When the branch is checked out with uncommitted changes, or moved in the meantime.
pub(crate) fn push(
    folder: &Path,
    branch: &str,
    from: &Path,
    reference: &str,
    commit: &CommitId,
) -> Result<(), Error> {
    let url = folder.display().to_string();
    let failed = |source| Error::Push {
        branch: branch.to_owned(),
        url: url.clone(),
        source,
    };
    let target = git2::Repository::open(folder).map_err(failed)?;
    // Only what is missing is copied; the reference keeps it until the branch has it.
    let incoming = "refs/ordain/incoming";
    let refspec = format!("+{reference}:{incoming}");
    target
        .remote_anonymous(&from.display().to_string())
        .and_then(|mut remote| remote.fetch(&[refspec], None, None))
        .map_err(failed)?;
    let moved = advance(&target, &url, branch, commit);
    if let Ok(mut incoming) = target.find_reference(incoming) {
        let _ = incoming.delete();
    }
    moved
}

fn advance(
    target: &git2::Repository,
    url: &str,
    branch: &str,
    commit: &CommitId,
) -> Result<(), Error> {
    let failed = |source| Error::Push {
        branch: branch.to_owned(),
        url: url.to_owned(),
        source,
    };
    let refused = |reason: String| Error::Refused {
        branch: branch.to_owned(),
        url: url.to_owned(),
        reason,
    };
    let name = format!("refs/heads/{branch}");
    let tip = target
        .find_reference(&name)
        .and_then(|found| found.peel_to_commit())
        .map_err(failed)?
        .id();
    if tip == commit.oid() {
        return Ok(());
    }
    if !target
        .graph_descendant_of(commit.oid(), tip)
        .map_err(failed)?
    {
        return Err(refused("the branch moved in the meantime".to_owned()));
    }
    let is_current = target
        .find_reference("HEAD")
        .is_ok_and(|head| head.symbolic_target().ok().flatten() == Some(name.as_str()));
    if is_current {
        let denied = target
            .config()
            .and_then(|config| config.get_string("receive.denyCurrentBranch"));
        if denied.is_ok_and(|word| word == "refuse") {
            return Err(refused(format!(
                "the branch is checked out there, and `receive.denyCurrentBranch` is `refuse`; \
                 check out another branch with `git -C {url} switch --detach`"
            )));
        }
        let changed = uncommitted(target).map_err(failed)?;
        if !changed.is_empty() {
            return Err(refused(format!(
                "the branch is checked out there with uncommitted changes ({}); commit or stash them",
                changed.join(", ")
            )));
        }
        let object = target.find_object(commit.oid(), None).map_err(failed)?;
        let mut checkout = git2::build::CheckoutBuilder::new();
        // Safe: an untracked file that is in the way stops it before anything is written.
        checkout.safe();
        target
            .checkout_tree(&object, Some(&mut checkout))
            .map_err(failed)?;
    }
    target
        .reference_matching(&name, commit.oid(), true, tip, "push by ordain")
        .map(drop)
        .map_err(failed)
}

/// Tracked files that differ from the last commit.
fn uncommitted(target: &git2::Repository) -> Result<Vec<String>, git2::Error> {
    let mut options = git2::StatusOptions::new();
    options.include_untracked(false).include_ignored(false);
    let statuses = target.statuses(Some(&mut options))?;
    let paths = statuses
        .iter()
        .filter_map(|entry| entry.path().ok().map(str::to_owned));
    let mut paths: Vec<String> = paths.take(NAMED_MAX + 1).collect();
    if paths.len() > NAMED_MAX {
        paths[NAMED_MAX] = "…".to_owned();
    }
    Ok(paths)
}
