//! One file per subcommand: its arguments, whose doc comments are its help, and what it does.

pub(crate) mod adopt;
pub(crate) mod approve;
pub(crate) mod at;
pub(crate) mod audit;
pub(crate) mod blame;
pub(crate) mod build;
pub(crate) mod check;
pub(crate) mod dashboard;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod doc;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod fmt;
mod follow;
pub(crate) mod history;
pub(crate) mod hook;
pub(crate) mod image;
pub(crate) mod import;
pub(crate) mod log;
pub(crate) mod lsp;
pub(crate) mod new;
pub(crate) mod plan;
pub(crate) mod repl;
pub(crate) mod rollback;
pub(crate) mod run;
pub(crate) mod secret;
pub(crate) mod snapshot;
pub(crate) mod status;
pub(crate) mod suspend;
pub(crate) mod sync;
pub(crate) mod test;
pub(crate) mod up;
pub(crate) mod vendor;
pub(crate) mod why;

use crate::Outcome;
use crate::args::{Args, Command};

/// Runs the command that was typed.
///
/// # Errors
/// Returns why it could not finish; mistakes and differences that it found are an outcome, not an error.
pub(crate) fn run(args: &Args) -> miette::Result<Outcome> {
    let format = args.format.plain();
    match &args.command {
        Command::New(own) => new::run(own, format),
        Command::Check(own) => check::run(own),
        Command::Build(own) => build::run(own),
        Command::Test(own) => test::run(own, format),
        Command::Export(own) => export::run(own),
        Command::Import(own) => import::run(own, format),
        Command::Fmt(own) => fmt::run(own, format),
        Command::Diff(own) => diff::run(own),
        Command::Plan(own) => plan::run(own),
        Command::Snapshot(own) => snapshot::run(own, format),
        Command::Up(own) => up::run(own, format),
        Command::Run(own) => run::run(own, format),
        Command::Demo(own) => demo::run(own),
        Command::Dashboard(own) => dashboard::run(own, format),
        Command::Status(own) => status::run(own, format),
        Command::History(own) => history::run(own, format),
        Command::Why(own) => why::run(own, format),
        Command::Log(own) => log::run(own, format),
        Command::At(own) => at::run(own, args.format),
        Command::Blame(own) => blame::run(own, format),
        Command::Audit(own) => audit::run(own, format),
        Command::Rollback(own) => rollback::run(own, format),
        Command::Sync(own) => sync::run(own, format),
        Command::Adopt(own) => adopt::run(own, format),
        Command::Approve(own) => approve::run(own, format),
        Command::Suspend(own) => suspend::suspend(own, format),
        Command::Resume(own) => suspend::resume(own, format),
        Command::Secret(own) => secret::run(own, format),
        Command::Vendor(own) => vendor::run(own, format),
        Command::Explain(own) => explain::run(own, format),
        Command::Repl(own) => repl::run(own, format),
        Command::Doc(own) => doc::run(own, format),
        Command::Lsp(own) => lsp::run(own),
        Command::Image(own) => image::run(own, format),
    }
}

/// Turns the engine's error into a report, with the remedy where there is one.
pub(crate) fn engine_error(error: ordain_reconciler_engine::Error) -> miette::Report {
    use ordain_reconciler_engine::Error;
    let help = match &error {
        Error::NotRunning { data_dir } => Some(format!(
            "start one with `ordain up --data-dir {}`, or name the directory of a running one",
            data_dir.display()
        )),
        Error::NoMailbox { .. } => Some(
            "`ordain run` or `ordain up` defines what is missing when it may; otherwise apply the files of \
             reconciler/engine/crds"
                .to_owned(),
        ),
        Error::NotAnswered { .. } => Some(
            "name the namespace of its objects with --system-namespace, or ask it by its --data-dir".to_owned(),
        ),
        _ => None,
    };
    report(error, help)
}

/// Wraps an error of a lower crate as a report that shows its causes.
pub(crate) fn report(
    error: impl std::error::Error + Send + Sync + 'static,
    help: Option<String>,
) -> miette::Report {
    miette::Report::new(Failure {
        error: Box::new(error),
        help,
    })
}

#[derive(Debug)]
struct Failure {
    error: Box<dyn std::error::Error + Send + Sync>,
    help: Option<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl miette::Diagnostic for Failure {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|h| Box::new(h) as Box<dyn std::fmt::Display>)
    }
}

/// Returns rows as columns as wide as their widest cell.
fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = std::iter::once(head.map(str::to_owned))
        .chain(rows)
        .collect();
    let widths: [usize; N] = std::array::from_fn(|at| {
        rows.iter()
            .map(|r| r[at].chars().count())
            .max()
            .unwrap_or(0)
    });
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}
