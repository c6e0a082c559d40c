//! `ordain build`: the objects of a project as YAML or JSON.

use crate::args::{Output, SourceArg, formats};
use crate::watch::{WatchArg, watch};
use crate::{Outcome, disk, envs, output, report, terminal};
use miette::Result;
use ordain_lang_project::{App, BuildOptions, Format as TextFormat, Project, Session};
use ordain_lang_syntax::Diagnostic;
use std::borrow::Borrow;
use std::path::{Path, PathBuf};

/// Print the Kubernetes objects of a project or file
///
/// Objects go to stdout as a YAML stream, or with `--format json` as one JSON list; mistakes go to stderr, and then nothing is
/// printed at all. `-` reads one file from stdin. A project with several environments needs `--env`, unless `--output` gives
/// each its own folder.
///
/// `--output DIR` writes `DIR/ENV/APP/KIND-NAME.yaml`, one file per object. The folder remembers what was written in
/// `.ordain-files.json`: files of objects that are gone are removed by the next build, files of others stay untouched.
#[derive(clap::Args)]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    source: SourceArg,

    /// Build this environment only
    #[arg(long, value_name = "ENV")]
    env: Option<String>,

    /// Write one file per object into this folder, below a folder per environment and app
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,

    /// How objects are written
    #[arg(long, value_name = "FORMAT", default_value = "yaml", value_parser = formats(&[Output::Yaml, Output::Json]))]
    format: Output,

    #[command(flatten)]
    watch: WatchArg,
}

pub(crate) fn run(args: &BuildArgs) -> Result<Outcome> {
    if args.watch.watch {
        return watch(&args.source.path, args.output.as_deref(), |round| {
            again(args, round.session)
        });
    }
    let project = disk::load(&args.source.path)?;
    let format = text_format(args);
    let mut options = BuildOptions {
        env: args.env.clone(),
        cluster: None,
    };
    if let Some(dir) = &args.output {
        envs::known(&project, args.env.as_deref())?;
        let build = ordain_lang_project::build(&project, &options);
        if !talk(&build.diagnostics, &project, format)? {
            return Ok(Outcome::Findings);
        }
        return write(&build.apps, &options, dir, format);
    }
    options.env = envs::choose(&project, args.env.as_deref(), OTHERWISE)?;
    let mut stdout = Stdout {
        project: &project,
        format,
        has_secrets: false,
    };
    if !ordain_lang_project::build_to(&project, &options, format, &mut stdout)? {
        return Ok(Outcome::Findings);
    }
    if stdout.has_secrets {
        terminal::say(
            "note: secrets are references here; `ordain up` exchanges them for their values when it applies",
        );
    }
    Ok(Outcome::Done)
}

/// Mistakes to stderr, objects to stdout.
struct Stdout<'p> {
    project: &'p Project,
    format: TextFormat,
    has_secrets: bool,
}

impl ordain_lang_project::Out for Stdout<'_> {
    type Error = miette::Report;

    fn found(&mut self, diagnostics: &[Diagnostic]) -> Result<()> {
        talk(diagnostics, self.project, self.format).map(drop)
    }

    fn text(&mut self, text: &str) -> Result<()> {
        self.has_secrets |= text.contains(ordain_lang_secrets::MARK);
        terminal::data(text)
    }
}

/// What helps beside `--env`.
const OTHERWISE: &str = ", or give each its own folder with `--output DIR`";

/// A round of `--watch`.
fn again(args: &BuildArgs, session: &mut Session) -> Result<Outcome> {
    let format = text_format(args);
    let mut options = BuildOptions {
        env: args.env.clone(),
        cluster: None,
    };
    if let Some(dir) = &args.output {
        envs::known(session.project(), args.env.as_deref())?;
        let build = session.build(&options);
        if !talk(&build.diagnostics, session.project(), format)? {
            return Ok(Outcome::Findings);
        }
        return write(&build.apps, &options, dir, format);
    }
    options.env = envs::choose(session.project(), args.env.as_deref(), OTHERWISE)?;
    let build = session.build_text(&options, format);
    if !talk(&build.diagnostics, session.project(), format)? {
        return Ok(Outcome::Findings);
    }
    terminal::data(&build.joined(format))?;
    Ok(Outcome::Done)
}

fn text_format(args: &BuildArgs) -> TextFormat {
    match args.format {
        Output::Json => TextFormat::Json,
        _ => TextFormat::Yaml,
    }
}

/// Says what was found, and returns whether the objects can be used.
fn talk(diagnostics: &[Diagnostic], project: &Project, format: TextFormat) -> Result<bool> {
    let fine = !diagnostics.iter().any(Diagnostic::is_error);
    if format == TextFormat::Json && !fine {
        terminal::json(
            &serde_json::json!({ "diagnostics": report::json(diagnostics, &project.sources) }),
        )?;
    } else {
        super::check::show(diagnostics, project);
    }
    Ok(fine)
}

fn write<A: Borrow<App>>(
    apps: &[A],
    options: &BuildOptions,
    dir: &Path,
    format: TextFormat,
) -> Result<Outcome> {
    let files = output::files(apps, format);
    let written = output::write(dir, &files, options.env.as_deref())
        .map_err(|e| super::report(e, Some(output::REMEDY.to_owned())))?;
    terminal::say(&written.summary(dir));
    Ok(Outcome::Done)
}
