//! `ordain new`: a project to start from.

use crate::Outcome;
use crate::args::Format;
use crate::terminal;
use crate::usage::usage;
use miette::{IntoDiagnostic, Result, WrapErr};
use std::fs;
use std::path::PathBuf;

/// Create a project to start from
///
/// Makes a folder with a small app and two environments that `ordain check` accepts, and a git repository around it unless
/// the folder is already in one.
#[derive(clap::Args)]
pub(crate) struct NewArgs {
    /// Folder to create; its last part is the project's name
    #[arg(value_name = "NAME")]
    path: PathBuf,
}

pub(crate) fn run(args: &NewArgs, format: Format) -> Result<Outcome> {
    let path = &args.path;
    let name = path
        .file_name()
        .and_then(|n| n.to_str())
        .unwrap_or_default();
    let files = ordain_lang_project::new_project(name).map_err(|e| usage(e.to_string(), ""))?;
    let used = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
    if used || path.is_file() {
        return Err(usage(
            format!("`{}` is already there", path.display()),
            "choose another name, or empty the folder first",
        ));
    }
    for (file, text) in &files {
        let file = path.join(file);
        let parent = file.parent().expect("it lies in the project");
        fs::create_dir_all(parent)
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot create {}", parent.display()))?;
        fs::write(&file, text)
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot write {}", file.display()))?;
    }
    let new_repository =
        ordain_reconciler_source::init_if_outside(path).map_err(|e| super::report(e, None))?;
    if format == Format::Json {
        let names: Vec<&str> = files.iter().map(|(f, _)| f.as_str()).collect();
        terminal::json(
            &serde_json::json!({ "project": name, "path": path, "files": names, "git": new_repository }),
        )?;
        return Ok(Outcome::Done);
    }
    let shown = path.display();
    terminal::say(&format!(
        "created {shown}; next:\n  cd {shown}\n  ordain check\n  ordain build --env dev"
    ));
    Ok(Outcome::Done)
}
