//! `ordain diff A..B`: what a change of the sources changes in the cluster's objects, without a cluster.

use crate::Outcome;
use crate::args::Format;
use crate::cluster::Tree;
use crate::terminal;
use miette::{Result, miette};
use ordain_lang_project::{BuildOptions, MANIFEST, Project, build};
use ordain_reconciler_plan::{SetDiff, SetObject, diff_sets};
use ordain_reconciler_source::Repository;
use std::path::{Path, PathBuf};

/// Show what a change of the sources changes in the cluster's objects
///
/// Compiles two commits and compares every object, field by field, with the source line that made it. It needs no cluster and
/// no credentials, so it runs in CI. Exit code 0 when nothing changes, 1 when something does, 3 when a side does not compile.
#[derive(clap::Args)]
pub(crate) struct DiffArgs {
    /// Two commits, branches or tags, as `A..B`; B is HEAD when it is left out
    #[arg(value_name = "A..B")]
    range: String,

    /// Compare this environment only
    #[arg(long, value_name = "ENV")]
    env: Option<String>,

    /// Folder in the repository
    #[arg(long, value_name = "DIR", default_value = ".")]
    path: PathBuf,
}

pub(crate) fn run(args: &DiffArgs, format: Format) -> Result<Outcome> {
    let (before, after) = range(&args.range)?;
    let diff = sets(&args.path, before, after, args.env.as_deref())?;
    match format {
        Format::Text => terminal::data(&diff.to_string())?,
        Format::Json => terminal::json(&diff)?,
    }
    Ok(if diff.is_empty() {
        Outcome::Done
    } else {
        Outcome::Findings
    })
}

/// Returns the difference of two commits as text, for the demo.
///
/// # Errors
/// As the command.
pub(crate) fn between(path: &Path, before: &str, after: &str, env: Option<&str>) -> Result<String> {
    Ok(sets(path, before, after, env)?.to_string())
}

fn range(text: &str) -> Result<(&str, &str)> {
    let (before, after) = text.split_once("..").unwrap_or((text, "HEAD"));
    if before.is_empty() || after.starts_with('.') {
        return Err(miette!(
            help = "write it like `main..HEAD`, or name one commit to compare HEAD with",
            "`{text}` is no range of commits"
        ));
    }
    Ok((before, if after.is_empty() { "HEAD" } else { after }))
}

fn sets(path: &Path, before: &str, after: &str, env: Option<&str>) -> Result<SetDiff> {
    let repository = Repository::discover(path).map_err(|e| super::report(e, None))?;
    Ok(diff_sets(
        &objects(&repository, before, env)?,
        &objects(&repository, after, env)?,
    ))
}

fn objects(repository: &Repository, revision: &str, env: Option<&str>) -> Result<Vec<SetObject>> {
    let commit = repository
        .resolve(revision)
        .map_err(|e| super::report(e, None))?;
    let files = repository
        .files(&commit)
        .map_err(|e| super::report(e, None))?;
    // The commit that brings the project in has nothing before it to compare with.
    if !files.contains(MANIFEST) {
        return Ok(Vec::new());
    }
    let project = Project::load(&Tree(&files));
    let built = build(
        &project,
        &BuildOptions {
            env: env.map(str::to_owned),
            cluster: None,
        },
    );
    if !built.is_ok() {
        super::check::show(&built.diagnostics, &project);
        return Err(miette!(
            help = "mend it first: there is nothing to compare",
            "`{revision}` does not compile"
        ));
    }
    let apps = built.apps.into_iter().flat_map(|app| {
        let (env, name) = (app.env, app.name);
        app.objects.into_iter().map(move |o| SetObject {
            env: env.clone(),
            app: name.clone(),
            object: o.json,
            at: Some(o.at),
        })
    });
    Ok(apps.collect())
}
