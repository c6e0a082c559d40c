//! Asks for something that must not be seen: what is typed shows as stars, and no history keeps it.

use miette::{IntoDiagnostic, Result, WrapErr};
use rustyline::completion::Completer;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Editor, Helper};
use std::borrow::Cow;

/// Shows every character as a star.
struct Stars;

impl Completer for Stars {
    type Candidate = String;
}

impl Hinter for Stars {
    type Hint = String;
}

impl Validator for Stars {}

impl Helper for Stars {}

impl Highlighter for Stars {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        "*".repeat(line.chars().count()).into()
    }

    fn highlight_char(&self, _: &str, _: usize, _: CmdKind) -> bool {
        true
    }
}

/// Reads one line from the terminal.
///
/// # Errors
/// When the terminal cannot be used, or the person gave up.
pub(crate) fn hidden(prompt: &str) -> Result<String> {
    let config = Config::builder().auto_add_history(false).build();
    let mut editor: Editor<Stars, MemHistory> = Editor::with_history(config, MemHistory::new())
        .into_diagnostic()
        .wrap_err("cannot use the terminal")?;
    editor.set_helper(Some(Stars));
    editor
        .readline(prompt)
        .into_diagnostic()
        .wrap_err("no value was given")
}
