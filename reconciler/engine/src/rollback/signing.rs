//! The journal's key, lent to those who write commits.

use ordain_reconciler_journal::Error as JournalError;
use ordain_reconciler_source::Signer;

use crate::{scribe::Scribe, shared::Shared};

/// Access to the key. Signing may wait for the disk, so it belongs on a thread that may.
#[derive(Clone)]
pub(crate) struct Signing(Scribe);

impl Signing {
    pub(crate) fn of(shared: &Shared) -> Self {
        Self(shared.scribe.clone())
    }

    /// Calls `act` with a signer when one is wanted.
    ///
    /// # Errors
    /// When the key cannot be used.
    pub(crate) fn lend<R>(
        &self,
        wanted: bool,
        act: impl FnOnce(Option<&Signer<'_>>) -> R,
    ) -> Result<R, JournalError> {
        if !wanted {
            return Ok(act(None));
        }
        let journal = self.0.known();
        let public_key = journal.public_key()?;
        // The key was there a moment ago; what it does not sign, nobody will take for signed.
        let sign = |bytes: &[u8]| journal.sign(bytes).unwrap_or([0; 64]);
        let signer = Signer {
            public_key,
            sign: &sign,
        };
        Ok(act(Some(&signer)))
    }
}
