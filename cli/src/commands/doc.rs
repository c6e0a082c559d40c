//! `ordain doc`: a static site of a project.

use crate::args::Format;
use crate::output::{self, Files};
use crate::{Outcome, disk, terminal};
use miette::Result;
use std::path::PathBuf;

/// Write a static site of a project's types, functions, apps and environments
///
/// Doc comments are shown as Markdown, names lead to where they are declared, and the standard library and the Kubernetes types
/// that the project names have pages too. The site needs no server and loads nothing from elsewhere: open DIR/index.html.
#[derive(clap::Args)]
pub(crate) struct DocArgs {
    /// Project folder, or one `.ord` file
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,

    /// Folder of the site; pages of what is gone are removed from it
    #[arg(short, long, value_name = "DIR", default_value = "site")]
    output: PathBuf,
}

pub(crate) fn run(args: &DocArgs, format: Format) -> Result<Outcome> {
    let project = disk::load(&args.path)?;
    let broken = project.has_syntax_errors();
    let files: Files = ordain_lang_doc::site(project)
        .into_iter()
        .map(|page| (page.path, page.text))
        .collect();
    let written = output::write(&args.output, &files, None)
        .map_err(|e| super::report(e, Some(output::REMEDY.to_owned())))?;
    if broken {
        terminal::say(
            "the project has syntax errors, so pages may miss something; `ordain check` shows them",
        );
    }
    match format {
        Format::Json => terminal::json(&serde_json::json!({
            "index": args.output.join("index.html"),
        }))?,
        Format::Text => {
            let index = args.output.join("index.html");
            let written = written.summary(&args.output);
            terminal::say(&format!("{written}; open {}", index.display()));
        }
    }
    Ok(Outcome::Done)
}
