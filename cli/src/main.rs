//! The binary `ordain`: reads the arguments, runs one command, turns its outcome into an exit code.

mod args;
mod blame;
mod cluster;
mod commands;
mod demo;
mod diffing;
mod disk;
mod envs;
mod excerpt;
mod git_host;
mod hidden;
mod journal;
mod keys;
mod lines;
mod memory;
mod output;
mod policies;
mod prompt;
mod report;
mod sarif;
mod source;
mod terminal;
mod trailers;
mod usage;
mod watch;
mod when;

use clap::Parser;
use std::process::ExitCode;

/// What a command that ran to its end has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Nothing is wrong: exit code 0.
    Done,
    /// It found mistakes or differences: exit code 1.
    Findings,
}

fn main() -> ExitCode {
    // The container shim must run before any thread exists.
    if let Some(code) = hidden::dispatch() {
        return code;
    }
    let args = args::Args::parse();
    terminal::set_up(&args);
    match commands::run(&args) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Findings) => ExitCode::from(1),
        Err(error) if terminal::is_broken_pipe(error.as_ref()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::fail(&error);
            ExitCode::from(match args.command {
                // As git and diff: 0 the same, 1 different, 2 trouble.
                args::Command::Diff(_) => 2,
                _ if usage::is_usage(&error) => 2,
                _ => 3,
            })
        }
    }
}
