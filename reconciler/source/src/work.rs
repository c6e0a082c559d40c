//! The user's side of git: who they are, and a repository for a new project.

use std::path::Path;

use crate::{DEFAULT_BRANCH, Error};

/// Makes `path` a repository, unless it lies in one already. Returns true when it made one.
///
/// # Errors
/// When it cannot be created.
pub fn init_if_outside(path: &Path) -> Result<bool, Error> {
    if git2::Repository::discover(path).is_ok() {
        return Ok(false);
    }
    let create = |source| Error::Create {
        path: path.to_owned(),
        source,
    };
    let mut options = git2::RepositoryInitOptions::new();
    options
        .initial_head(DEFAULT_BRANCH)
        .external_template(false);
    git2::Repository::init_opts(path, &options).map_err(create)?;
    Ok(true)
}

/// Who works here by git's configuration, as `Name <address>`.
#[must_use]
pub fn configured_author() -> Option<String> {
    let config = match git2::Repository::discover(".") {
        Ok(repository) => repository.config(),
        Err(_) => git2::Config::open_default(),
    };
    let config = config.ok()?;
    let name = config.get_string("user.name").ok()?;
    let email = config.get_string("user.email").unwrap_or_default();
    Some(format!("{name} <{email}>"))
}
