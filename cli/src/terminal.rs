//! stderr and stdout: logs, colors, and how an error looks. It knows no command.

use crate::args::{Args, Command, Format};
use std::io::{self, IsTerminal, Write};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Sets up logs and error reports for this process.
pub(crate) fn set_up(args: &Args) {
    let level = match (args.verbose, &args.command) {
        (0, Command::Up(_)) => "warn,ordain=info",
        (0, _) => "error",
        (1, _) => "info",
        (2, _) => {
            "info,ordain=debug,ordain_orchestrator_apiserver=debug,ordain_orchestrator_node=debug,ordain_reconciler_engine=debug"
        }
        _ => "debug",
    };
    // `Targets` and not `EnvFilter`: that one reads its text with regular expressions, which each start would pay for.
    let own = std::env::var("ORDAIN_LOG").ok();
    let chosen = own.as_deref().map(str::parse::<Targets>).transpose();
    let filter = match &chosen {
        Ok(Some(filter)) => filter.clone(),
        Ok(None) | Err(_) => level.parse().unwrap_or_default(),
    };
    let log = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(has_color(&io::stderr()))
        .with_target(args.verbose > 1)
        .compact();
    // A second subscriber can only come from a test in the same process, which keeps its own.
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(log)
        .try_init();
    if let Err(error) = chosen {
        tracing::error!(
            "ORDAIN_LOG is no filter such as `warn,ordain=debug`, and is left out: {error}"
        );
    }
    let _ = miette::set_hook(Box::new(|_| {
        Box::new(
            miette::MietteHandlerOpts::new()
                .terminal_links(false)
                .color(has_color(&io::stderr()))
                .context_lines(1)
                .build(),
        )
    }));
}

/// Prints why a command could not finish.
pub(crate) fn fail(error: &miette::Report) {
    let mut text = format!("{error:?}");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Writes data to stdout.
///
/// # Errors
/// Returns what the writer says; a broken pipe is told from other errors by [`is_broken_pipe`].
pub(crate) fn data(text: &str) -> miette::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(Output)
        .map_err(miette::Report::new)
}

/// Writes one JSON document and a line end to stdout.
///
/// # Errors
/// As [`data`].
pub(crate) fn json(value: &impl serde::Serialize) -> miette::Result<()> {
    let text = serde_json::to_string(value).expect("our own records have string keys");
    data(&(text + "\n"))
}

/// Writes talk to stderr; nobody minds if nobody reads it.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Returns whether a stream is to be written with colors (<https://no-color.org>).
pub(crate) fn has_color(stream: &impl IsTerminal) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !refused && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Returns whether a person watches stderr.
pub(crate) fn is_watched(format: Format) -> bool {
    format == Format::Text && io::stderr().is_terminal()
}

/// Lines of something that takes a while. On a terminal a line that says `waiting` gives way to the next one; without a
/// terminal every line stays, so that a log is complete.
pub(crate) struct Progress {
    watched: bool,
    waiting: bool,
    /// Whether what is shown are bars, which mean nothing afterwards.
    has_bars: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        // A terminal that cannot take a line back is written to as a file is.
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            watched: io::stderr().is_terminal() && !is_dumb,
            waiting: false,
            has_bars: false,
        }
    }

    /// Shows a line.
    pub(crate) fn line(&mut self, text: &str) {
        let text = text.trim_end();
        let mut stderr = io::stderr().lock();
        // "\r" and "erase line" (ECMA-48, EL) take the last line back.
        let back = if self.waiting { "\r\x1b[2K" } else { "" };
        self.waiting = self.watched && text.contains(": waiting: ");
        self.has_bars = false;
        let _ = if self.waiting {
            // A line that wraps could not be taken back.
            let short: String = text.chars().take(COLUMNS).collect();
            write!(stderr, "{back}{short}").and_then(|()| stderr.flush())
        } else {
            writeln!(stderr, "{back}{text}")
        };
    }
}

impl Progress {
    /// Returns whether a person watches.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched
    }

    /// Shows bars, which give way to the next line; nothing without a terminal.
    pub(crate) fn bars(&mut self, text: &str) {
        if !self.watched || (text.is_empty() && !self.waiting) {
            return;
        }
        let mut stderr = io::stderr().lock();
        let short: String = text.chars().take(COLUMNS).collect();
        self.waiting = !short.is_empty();
        self.has_bars = self.waiting;
        let _ = write!(stderr, "\r\x1b[2K{short}").and_then(|()| stderr.flush());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        match (self.has_bars, self.waiting) {
            (true, _) => {
                let mut stderr = io::stderr().lock();
                let _ = write!(stderr, "\r\x1b[2K").and_then(|()| stderr.flush());
            }
            (false, true) => say(""),
            (false, false) => {}
        }
    }
}

/// Columns that every terminal has.
const COLUMNS: usize = 79;

#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("cannot write to stdout")]
struct Output(#[source] io::Error);

/// Returns whether the reader of stdout went away, as `| head` does. That is no failure.
pub(crate) fn is_broken_pipe(error: &(dyn miette::Diagnostic + 'static)) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(inner) = cause {
        if inner
            .downcast_ref::<io::Error>()
            .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
        {
            return true;
        }
        cause = inner.source();
    }
    false
}
