//! The shim: the same program, re-executed as a small single-threaded process.
//!
//! libcontainer forks in ways after which even allocating memory is unsafe when other threads run,
//! and entering namespaces affects the whole process; so nothing of that happens in the agent. A
//! shim also outlives the agent: it holds a container's output, waits for its end and writes down
//! how it ended, so that an agent that comes back finds everything on disk.
//!
//! Roles: `run FOLDER`, `exec FOLDER REQUEST`, `sandbox REQUEST`. A shim gets its orders from a
//! file, answers with one JSON line on its standard output, and knows neither pods nor the API.

mod container;
mod exec;
pub(crate) mod log;
mod run;
pub(crate) mod sandbox;
mod seal;
pub(crate) mod task;
mod tty;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

/// The first argument that makes the program a shim.
pub const SHIM_ARGUMENT: &str = "__shim";

/// What a shim says once it has started, or could not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Report {
    /// It is done or running.
    Ok,
    /// It failed, for this reason.
    Error(String),
}

/// Why a shim could not do its work: a chain of words for the agent's event.
pub(crate) type ShimResult<T> = Result<T, String>;

/// Runs the shim; the program's `main` calls this first when its first argument is
/// [`SHIM_ARGUMENT`], before any thread is started.
pub fn shim_main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(2).map(PathBuf::from).collect();
    let words: Vec<&Path> = arguments.iter().map(PathBuf::as_path).collect();
    let done = match words.as_slice() {
        [role, folder] if role.as_os_str() == "run" => run::run(folder),
        [role, folder, request] if role.as_os_str() == "exec" => {
            return exec::exec(folder, request);
        }
        [role, request] if role.as_os_str() == "sandbox" => sandbox::sandbox(request),
        _ => Err("the shim was called with arguments that it does not know".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&Report::Error(error));
            ExitCode::FAILURE
        }
    }
}

/// Tells the agent how it went. An agent that is gone reads the files instead.
pub(crate) fn report(report: &Report) {
    let line = serde_json::to_string(report).expect("a report is always JSON");
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Returns a function that puts what was tried before an error's own words and its causes.
pub(crate) fn said<E: std::error::Error>(what: &str) -> impl FnOnce(E) -> String + '_ {
    move |error| format!("{what}: {}", chain(&error))
}

/// Returns an error's words followed by those of its causes, each once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = next.source();
    }
    text
}
