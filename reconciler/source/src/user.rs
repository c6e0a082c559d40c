//! What the person at this machine has set up: who they are, and whether a folder is under git.

use std::path::Path;

use git2::{Config, ErrorCode, Repository, RepositoryInitOptions};

use crate::Error;

/// Returns who git says is working in the current folder, as `Name <address>`.
#[must_use]
pub fn configured_author() -> Option<String> {
    let config = Repository::discover(".")
        .and_then(|repository| repository.config())
        .or_else(|_| Config::open_default())
        .ok()?;
    let name = config.get_string("user.name").ok()?;
    let email = config.get_string("user.email").unwrap_or_default();
    Some(format!("{name} <{email}>"))
}

/// Makes a folder a git repository with the branch `main`, unless it lies in one already.
///
/// Returns whether it made one.
///
/// # Errors
/// When the file system refuses.
pub fn init_if_outside(path: &Path) -> Result<bool, Error> {
    match Repository::discover(path) {
        Ok(_) => return Ok(false),
        Err(error) if error.code() == ErrorCode::NotFound => {}
        Err(_) => return Ok(false),
    }
    let mut options = RepositoryInitOptions::new();
    options.initial_head("main");
    Repository::init_opts(path, &options)
        .map(|_| true)
        .map_err(|source| Error::Init {
            path: path.to_owned(),
            source,
        })
}
