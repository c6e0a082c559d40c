//! Who brought commits here, from the moment they are known until their deploys are recorded. Kept in memory: after a
//! restart in between, the commit's own author is what is left.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use crate::control::Asker;

/// Commits that are remembered.
const KEPT: usize = 1_000;

/// Who brought which commit.
#[derive(Debug, Default)]
pub(crate) struct Askers(Mutex<VecDeque<(String, Asker)>>);

impl Askers {
    /// Takes note of who brought a commit.
    pub(crate) fn asked(&self, commit: &str, asker: Option<&Asker>) {
        let Some(asker) = asker else { return };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(one, _)| one != commit);
        if known.len() == KEPT {
            known.pop_front();
        }
        known.push_back((commit.to_owned(), asker.clone()));
    }

    /// Who brought a commit, in words.
    pub(crate) fn of(&self, commit: &str) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().find(|(one, _)| one == commit);
        found.map(|(_, asker)| asker.to_string())
    }
}
