//! Who is asked: the reconciler, or what stands for it in a test.

use ordain_reconciler_engine::control::{self, Request, Response, Target};

/// Somebody who answers what commands ask.
pub trait Ask: Send + Sync + 'static {
    /// Answers a request. Blocks, as the reconciler's own client does.
    ///
    /// # Errors
    /// What the reconciler said, or why it cannot be reached, in a sentence for people.
    fn ask(&self, request: &Request) -> Result<Vec<Response>, String>;
}

impl Ask for Target {
    fn ask(&self, request: &Request) -> Result<Vec<Response>, String> {
        control::call(self, request, |_| {}).map_err(|error| error.chain())
    }
}
