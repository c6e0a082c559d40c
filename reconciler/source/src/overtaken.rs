//! The commits between two tips of a branch: those that a newer one took the place of.

use git2::Sort;

use crate::{CommitId, Error, Repository};

impl Repository {
    /// The commits that came with `tip` after `before` and are neither of them, oldest first; at most `max` of the
    /// newest ones. Also for a history that was rewritten.
    ///
    /// # Errors
    /// When the history of `tip` cannot be read. A `before` that is gone hides nothing.
    pub fn overtaken(
        &self,
        before: &CommitId,
        tip: &CommitId,
        max: usize,
    ) -> Result<Vec<CommitId>, Error> {
        let guard = self.lock();
        let read = |source| Error::Read {
            what: format!("history of commit {}", tip.short()),
            source,
        };
        let mut walk = guard.revwalk().map_err(read)?;
        walk.set_sorting(Sort::TOPOLOGICAL).map_err(read)?;
        walk.push(tip.oid()).map_err(read)?;
        if guard.find_commit(before.oid()).is_ok() {
            walk.hide(before.oid()).map_err(read)?;
        }
        let mut found = Vec::new();
        for id in walk.take(max.saturating_add(1)) {
            let id = id.map_err(read)?;
            if id != tip.oid() {
                found.push(CommitId::from(id));
            }
        }
        found.reverse();
        Ok(found)
    }
}
