//! `ordain check`: every mistake of a project, before anything is built.

use crate::args::{Output, SourceArg, formats};
use crate::watch::{Round, WatchArg, watch};
use crate::{Outcome, disk, report, sarif, terminal};
use miette::Result;
use ordain_lang_project::{BuildOptions, Format as TextFormat, Project};
use ordain_lang_syntax::Diagnostic;

/// Find every mistake in a project or file
///
/// Checks names, types and constraints of all environments, then builds them without printing, so that what only shows when
/// values are made is found as well. Nothing is written; `-` reads one file from stdin. Exit code 1 when there is an error;
/// warnings alone are 0.
#[derive(clap::Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    source: SourceArg,

    /// How mistakes are printed: as text on stderr, or as data on stdout
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = formats(&[Output::Text, Output::Json, Output::Sarif]))]
    format: Output,

    #[command(flatten)]
    watch: WatchArg,
}

pub(crate) fn run(args: &CheckArgs) -> Result<Outcome> {
    let all = BuildOptions::default();
    if args.watch.watch {
        return watch(&args.source.path, None, |Round { session, .. }| {
            let found = session.build_text(&all, TextFormat::Yaml).diagnostics;
            tell(args, session.project(), &found)
        });
    }
    let project = disk::load(&args.source.path)?;
    let diagnostics = ordain_lang_project::mistakes(&project, &all);
    tell(args, &project, &diagnostics)
}

/// Says what was found, in the form that is asked for.
fn tell(args: &CheckArgs, project: &Project, diagnostics: &[Diagnostic]) -> Result<Outcome> {
    match args.format {
        Output::Sarif => terminal::json(&sarif::log(diagnostics, &project.sources))?,
        Output::Json => terminal::json(
            &serde_json::json!({ "diagnostics": report::json(diagnostics, &project.sources) }),
        )?,
        _ => show(diagnostics, project),
    }
    if diagnostics.is_empty() && args.format == Output::Text {
        let files = project.modules.iter().filter(|m| m.is_own).count();
        let environments = project.environments().iter().filter(|e| !e.is_base).count();
        let files = if files == 1 {
            "1 file".to_owned()
        } else {
            format!("{files} files")
        };
        let environments = match environments {
            0 => String::new(),
            1 => ", 1 environment".to_owned(),
            n => format!(", {n} environments"),
        };
        terminal::say(&format!("no mistakes in {files}{environments}"));
    }
    Ok(outcome(diagnostics))
}

/// Returns whether diagnostics stop a build.
pub(crate) fn outcome(diagnostics: &[Diagnostic]) -> Outcome {
    if diagnostics.iter().any(Diagnostic::is_error) {
        Outcome::Findings
    } else {
        Outcome::Done
    }
}

/// Prints diagnostics for a person, with a count at the end.
pub(crate) fn show(diagnostics: &[Diagnostic], project: &Project) {
    if diagnostics.is_empty() {
        return;
    }
    let color = terminal::has_color(&std::io::stderr());
    let shown = &diagnostics[..diagnostics.len().min(SHOWN_MAX)];
    let text = report::render(shown, &project.sources, WIDTH, color);
    terminal::say(text.trim_end());
    if shown.len() < diagnostics.len() {
        let more = diagnostics.len() - shown.len();
        terminal::say(&format!("\n… and {more} more; `--format json` has all"));
    }
    terminal::say(&format!("\n{}", report::summary(diagnostics)));
}

/// Reports that are shown to a person; a binary file renamed to `.ord` has thousands.
const SHOWN_MAX: usize = 50;

/// Columns of a rendered report.
pub(crate) const WIDTH: usize = 100;
