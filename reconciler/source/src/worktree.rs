//! What a working tree has that its last commit has not.

use crate::{Error, Repository};

impl Repository {
    /// Returns the files that were changed, added or removed since the last commit, as paths from the working tree's root;
    /// none for a bare repository. Ignored files are left out.
    ///
    /// # Errors
    /// When the working tree cannot be read.
    pub fn uncommitted(&self) -> Result<Vec<String>, Error> {
        let guard = self.lock();
        if guard.is_bare() {
            return Ok(Vec::new());
        }
        let mut options = git2::StatusOptions::new();
        options.include_untracked(true).recurse_untracked_dirs(true);
        let statuses = guard
            .statuses(Some(&mut options))
            .map_err(|source| Error::Read {
                what: "the state of the working tree".to_owned(),
                source,
            })?;
        // A path that is not UTF-8 is no source of ours.
        let paths = statuses
            .iter()
            .filter_map(|entry| Some(entry.path().ok()?.to_owned()));
        Ok(paths.collect())
    }
}
