//! `ordain build`: the objects of a project as YAML or JSON.

use crate::Outcome;
use crate::args::{Format, SourceArg};
use crate::{disk, report, terminal};
use miette::{IntoDiagnostic, Result, WrapErr};
use ordain_lang_project::{AppText, BuildOptions, Format as TextFormat, Texts};
use std::path::{Path, PathBuf};

/// Print the Kubernetes objects of a project or file
///
/// Objects go to stdout as a YAML stream, or with `--format json` as one JSON list; mistakes go to stderr, and then nothing is
/// printed at all. A project with several environments needs `--env`, unless `--output` gives each its own folder.
#[derive(clap::Args)]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    source: SourceArg,

    /// Build this environment only
    #[arg(long, value_name = "ENV")]
    env: Option<String>,

    /// Write one file per app into this folder, below a folder per environment
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &BuildArgs, format: Format) -> Result<Outcome> {
    let project = disk::load(&args.source.path)?;
    if args.env.is_none() && args.output.is_none() {
        let environments = project.environments();
        let names: Vec<&str> = environments
            .iter()
            .filter(|e| !e.is_base)
            .map(|e| e.name.as_str())
            .collect();
        if names.len() > 1 {
            let help = format!(
                "choose one with `--env {}`, or give each its own folder with `--output DIR`",
                names[0]
            );
            return Err(miette::miette!(
                help = help,
                "the project has several environments: {}",
                names.join(", ")
            ));
        }
    }
    let options = BuildOptions {
        env: args.env.clone(),
        cluster: None,
    };
    let text = match format {
        Format::Text => TextFormat::Yaml,
        Format::Json => TextFormat::Json,
    };
    let build = ordain_lang_project::build_text(&project, &options, text);
    match format {
        Format::Text => super::check::show(&build.diagnostics, &project),
        Format::Json if build.is_ok() => super::check::show(&build.diagnostics, &project),
        Format::Json => {
            terminal::json(
                &serde_json::json!({ "diagnostics": report::json(&build.diagnostics, &project.sources) }),
            )?;
        }
    }
    if !build.is_ok() {
        return Ok(Outcome::Findings);
    }
    match &args.output {
        None => terminal::data(&build.joined(text))?,
        Some(dir) => write(&build, dir, format)?,
    }
    Ok(Outcome::Done)
}

fn write(build: &Texts, dir: &Path, format: Format) -> Result<()> {
    for app in &build.apps {
        let folder = dir.join(&app.env);
        std::fs::create_dir_all(&folder)
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot create {}", folder.display()))?;
        let ending = match format {
            Format::Text => "yaml",
            Format::Json => "json",
        };
        let path = folder.join(format!("{}.{ending}", file_name(app)));
        std::fs::write(&path, &app.text)
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot write {}", path.display()))?;
        terminal::say(&format!("{} objects in {}", app.objects, path.display()));
    }
    Ok(())
}

/// An app's name is an identifier or a file's name, so it cannot leave the folder.
fn file_name(app: &AppText) -> String {
    app.name.replace(['/', '\\'], "-")
}
