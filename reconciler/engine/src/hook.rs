//! What the hidden command `ordain __hook` does: asks the running engine about a push.
//!
//! Its output is what the user sees behind `remote: ` in `git push`. It decides nothing itself.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use ordain_reconciler_source::{HookStage, RefUpdate, parse_updates};

use crate::{
    Error,
    control::{Client, HookUpdate, Request, Response},
};

/// Runs a hook: `updates` is git's standard input, `quarantine` the variable `GIT_QUARANTINE_PATH`.
///
/// Returns true when the push may go on. Lines for the user go to `out`.
///
/// # Errors
/// When git's input cannot be read or `out` cannot be written. An engine that is not running is no
/// error but a refusal with a remedy.
pub fn run(
    data_dir: &Path,
    stage: HookStage,
    mut updates: impl Read,
    quarantine: Option<PathBuf>,
    out: &mut dyn Write,
) -> Result<bool, io::Error> {
    let mut input = String::new();
    updates.read_to_string(&mut input)?;
    let updates = parse_updates(&input).map_err(io::Error::other)?;
    let request = Request::Hook {
        stage: stage.name().to_owned(),
        updates: updates.into_iter().map(HookUpdate::from).collect(),
        quarantine,
    };
    match stream(data_dir, &request, out)? {
        Ok(ok) => Ok(ok),
        Err(error @ Error::NotRunning { .. }) => {
            writeln!(out, "{error}; start it and push again")?;
            Ok(false)
        }
        Err(error) => {
            writeln!(out, "{}", error.chain())?;
            Ok(false)
        }
    }
}

fn stream(
    data_dir: &Path,
    request: &Request,
    out: &mut dyn Write,
) -> Result<Result<bool, Error>, io::Error> {
    let answers = match Client::send(data_dir, request) {
        Ok(answers) => answers,
        Err(error) => return Ok(Err(error)),
    };
    for answer in answers {
        match answer {
            Ok(Response::Line { text }) => {
                writeln!(out, "{text}")?;
                // Git passes lines on as they come; a rollout takes a while.
                out.flush()?;
            }
            Ok(Response::Done { ok }) => return Ok(Ok(ok)),
            Ok(_) => {}
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(false))
}

impl From<RefUpdate> for HookUpdate {
    fn from(update: RefUpdate) -> Self {
        Self {
            old: update.old.map(|id| id.to_string()),
            new: update.new.map(|id| id.to_string()),
            reference: update.reference,
        }
    }
}
