//! `ordain lsp`: the language server, for editors.

use crate::Outcome;
use miette::Result;
use ordain_lang_lsp::ServeError;

/// Serve an editor over stdin and stdout
///
/// Speaks the Language Server Protocol until the editor says `exit`: diagnostics as you type, completion, hover, navigation,
/// renaming, formatting, hints with the value that a field has in each environment. Editors start it themselves.
#[derive(clap::Args)]
pub(crate) struct LspArgs {
    /// Talk over stdin and stdout, as it always does; some editors insist on saying so
    #[arg(long, hide = true)]
    stdio: bool,
}

pub(crate) fn run(args: &LspArgs) -> Result<Outcome> {
    let LspArgs { stdio: _ } = args;
    match ordain_lang_lsp::serve_stdio() {
        Ok(()) => Ok(Outcome::Done),
        // The protocol wants exit code 1 for an editor that leaves without a word.
        Err(ServeError::Left) => Ok(Outcome::Findings),
        Err(error) => Err(super::report(error, None)),
    }
}
