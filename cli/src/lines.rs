//! Reading entries: with editing, history and completion where a person types, plainly from stdin where a program does.
//! It knows what an unfinished entry is, and no command.

use miette::{IntoDiagnostic, Result, WrapErr};
use ordain_lang_syntax::{FileId, parse};
use rustyline::completion::Completer;
use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Editor, Helper};
use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;

/// Entries that the history keeps.
const HISTORY_MAX: usize = 1000;

/// What can follow the beginning of a line: where the word begins, and the words.
pub(crate) type Complete<'a> = dyn Fn(&str) -> (usize, Vec<String>) + 'a;

/// Where entries come from.
pub(crate) enum Lines<'a> {
    /// A person at a terminal.
    Terminal(Box<Editor<Editing<'a>, FileHistory>>),
    /// A file or a pipe.
    Plain(io::StdinLock<'static>),
}

impl<'a> Lines<'a> {
    /// Opens stdin.
    ///
    /// # Errors
    /// When the terminal cannot be used.
    pub(crate) fn open(complete: Box<Complete<'a>>) -> Result<Self> {
        if !io::stdin().is_terminal() {
            return Ok(Lines::Plain(io::stdin().lock()));
        }
        let mut editor = Editor::new()
            .into_diagnostic()
            .wrap_err("cannot use the terminal")?;
        editor.set_helper(Some(Editing { complete }));
        let _ = editor.set_max_history_size(HISTORY_MAX);
        editor.set_auto_add_history(true);
        if let Some(path) = history() {
            // The first time there is none.
            let _ = editor.load_history(&path);
        }
        Ok(Lines::Terminal(Box::new(editor)))
    }

    /// Reads the next entry; none at the end.
    ///
    /// # Errors
    /// When stdin cannot be read.
    pub(crate) fn next(&mut self, prompt: &str) -> Result<Option<String>> {
        match self {
            Lines::Terminal(editor) => loop {
                match editor.readline(prompt) {
                    Ok(entry) => return Ok(Some(entry)),
                    // Ctrl-C takes back what was begun; ctrl-D leaves.
                    Err(ReadlineError::Interrupted) => {}
                    Err(ReadlineError::Eof) => return Ok(None),
                    Err(error) => {
                        return Err(error)
                            .into_diagnostic()
                            .wrap_err("cannot read the terminal");
                    }
                }
            },
            Lines::Plain(stdin) => {
                let mut entry = String::new();
                loop {
                    let start = entry.len();
                    let read = stdin
                        .read_line(&mut entry)
                        .into_diagnostic()
                        .wrap_err("cannot read stdin")?;
                    if read == 0 {
                        return Ok(Some(entry).filter(|e| !e.trim().is_empty()));
                    }
                    let ended = entry[start..].trim().is_empty();
                    if ended || !is_unfinished(&entry) {
                        return Ok(Some(entry));
                    }
                }
            }
        }
    }

    /// Whether a person reads along.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self, Lines::Terminal(_))
    }

    /// Keeps the history for the next time.
    pub(crate) fn close(self) {
        if let (Lines::Terminal(mut editor), Some(path)) = (self, history()) {
            // A home that cannot be written is no reason to fail at the end.
            if let Some(folder) = path.parent() {
                let _ = std::fs::create_dir_all(folder);
            }
            let _ = editor.save_history(&path);
        }
    }
}

/// The history's file: state, as the XDG base directory specification calls it.
fn history() -> Option<PathBuf> {
    let of = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
    };
    let folder = of("XDG_STATE_HOME")
        .or_else(|| of("LOCALAPPDATA"))
        .or_else(|| Some(of("HOME")?.join(".local/state")))?;
    Some(folder.join("ordain").join("repl-history"))
}

/// Returns whether more lines must follow: a bracket or a text block is open. An empty line always ends an entry.
pub(crate) fn is_unfinished(entry: &str) -> bool {
    if entry.trim_start().starts_with(':') {
        return false;
    }
    let first = entry.split_whitespace().next().unwrap_or("");
    let text = match first {
        "use" | "type" | "fn" | "let" => entry.to_owned(),
        _ => format!("let entry = {entry}"),
    };
    entry.matches("\"\"\"").count() % 2 == 1
        || parse(FileId(0), text.as_str())
            .diagnostics
            .iter()
            .any(|d| d.code == "E0003")
}

/// What the line editor asks back.
pub(crate) struct Editing<'a> {
    complete: Box<Complete<'a>>,
}

impl Helper for Editing<'_> {}
impl Highlighter for Editing<'_> {}

impl Hinter for Editing<'_> {
    type Hint = String;
}

impl Validator for Editing<'_> {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let entry = context.input();
        let ended = entry.ends_with('\n');
        Ok(match is_unfinished(entry) && !ended {
            true => ValidationResult::Incomplete,
            false => ValidationResult::Valid(None),
        })
    }
}

impl Completer for Editing<'_> {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok((self.complete)(&line[..at]))
    }
}

#[cfg(test)]
mod tests {
    use super::is_unfinished;

    #[test]
    fn open_brackets_and_text_blocks_want_more() {
        for entry in [
            "{ a = 1",
            "web.service(\"a\",",
            "fn f(n: Int) -> Int = [",
            "\"\"\"\n  a",
        ] {
            assert!(is_unfinished(entry), "{entry}");
        }
        for entry in [
            "1 + 2",
            "{ a = 1 }",
            ")",
            ":env dev",
            "\"open",
            "let a = [1]",
            "\"\"\"\n  a\n  \"\"\"",
            "",
        ] {
            assert!(!is_unfinished(entry), "{entry}");
        }
    }
}
