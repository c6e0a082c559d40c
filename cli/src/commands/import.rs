//! `ordain import`: YAML and JSON to typed sources.

use crate::args::Format;
use crate::usage::usage;
use crate::{Outcome, report, terminal};
use miette::{IntoDiagnostic, Result, WrapErr};
use ordain_lang_import::{Imported, Input, Options, Summary};
use std::fs;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

/// Write typed sources from YAML or JSON
///
/// Reads files, folders and stdin (`-`): manifests, the output of `helm template` and `kubectl kustomize`, lists. What is
/// written builds back to equal objects; that is tried before anything is printed. An object that its type refuses is kept as
/// data, and told with its place. Without `--output` one file goes to stdout.
#[derive(clap::Args)]
pub(crate) struct ImportArgs {
    /// Files, folders, or `-` for stdin
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// The copy of one environment; given for each, what they share becomes the base and the rest what each changes
    #[arg(long, value_name = "NAME=PATH", value_parser = copy, conflicts_with = "paths")]
    env: Vec<(String, PathBuf)>,

    /// Write a project into this folder
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,

    /// Files with CustomResourceDefinitions that are not imported themselves, for the types of custom objects
    #[arg(long, value_name = "PATH", requires = "output")]
    crd: Vec<PathBuf>,

    /// Write over files that are there and differ
    #[arg(long, requires = "output")]
    force: bool,

    /// The project's name, and the app's of objects that have no label of one [default: the folder's name]
    #[arg(long)]
    name: Option<String>,

    /// The version of Kubernetes whose types are meant
    #[arg(long, value_name = "VERSION")]
    kubernetes: Option<String>,
}

/// Endings of files that a folder is searched for.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];
/// How deep folders are searched: enough for people, and an end for loops.
const MAX_DEPTH: usize = 32;

fn copy(text: &str) -> std::result::Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if is_name(name) && !path.is_empty() => {
            Ok((name.to_owned(), path.into()))
        }
        Some((name, _)) if !is_name(name) => Err(format!(
            "`{name}` is no name of an environment: letters, digits and `_` are meant"
        )),
        _ => Err("write it as NAME=PATH".to_owned()),
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

pub(crate) fn run(args: &ImportArgs, format: Format) -> Result<Outcome> {
    if args.paths.is_empty() && args.env.is_empty() && std::io::stdin().is_terminal() {
        return Err(usage(
            "nothing to import was named",
            "name files or folders, or `-` for stdin: `helm template … | ordain import -`",
        ));
    }
    if !args.env.is_empty() && args.output.is_none() && format == Format::Text {
        return Err(usage(
            "several environments make several files",
            "add `--output DIR` for the project to write",
        ));
    }
    let inputs = inputs(args)?;
    let version = match &args.kubernetes {
        None => ordain_schemas::KubeVersion::DEFAULT,
        Some(version) => kubernetes(version)?,
    };
    let mut crds = Vec::new();
    for path in &args.crd {
        crds.extend(read(path)?);
    }
    let options = Options {
        name: name(args),
        kubernetes: version,
        is_single: args.output.is_none() && args.env.is_empty(),
        crds,
    };
    let imported = ordain_lang_import::import(&inputs, &options);
    if let Some(folder) = &args.output {
        write(&imported, folder, args.force)?;
    }
    match format {
        Format::Json => {
            let files: Vec<_> = imported
                .files
                .iter()
                .map(|file| serde_json::json!({ "path": file.path, "text": file.text }))
                .collect();
            terminal::json(&serde_json::json!({
                "files": files,
                "diagnostics": report::json(&imported.diagnostics, &imported.sources),
                "objects": imported.summary.objects,
                "typed": imported.summary.typed,
                "data": imported.summary.data,
                "proven": imported.summary.is_proven,
                "bytesRead": imported.summary.bytes_read,
                "bytesWritten": imported.summary.bytes_written,
            }))?;
        }
        Format::Text => {
            if args.output.is_none() {
                let text: String = imported
                    .files
                    .iter()
                    .map(|file| file.text.as_str())
                    .collect();
                terminal::data(&text)?;
            }
            show(&imported, args);
        }
    }
    let has_errors = imported.diagnostics.iter().any(|d| d.is_error());
    Ok(if has_errors || !imported.summary.is_proven {
        Outcome::Findings
    } else {
        Outcome::Done
    })
}

/// Reads the version of Kubernetes that an option names.
pub(crate) fn kubernetes(version: &str) -> Result<ordain_schemas::KubeVersion> {
    version.parse().map_err(|_| {
        let known: Vec<String> = ordain_schemas::KubeVersion::ALL
            .iter()
            .map(ToString::to_string)
            .collect();
        usage(
            format!("Kubernetes {version} is not known"),
            format!("known are {}", crate::usage::list(&known)),
        )
    })
}

fn show(imported: &Imported, args: &ImportArgs) {
    if !imported.diagnostics.is_empty() {
        let color = terminal::has_color(&std::io::stderr());
        let text = report::render(
            &imported.diagnostics,
            &imported.sources,
            super::check::WIDTH,
            color,
        );
        terminal::say(text.trim_end());
        terminal::say(&format!("\n{}", report::summary(&imported.diagnostics)));
    }
    let Summary {
        objects,
        data,
        is_proven,
        bytes_read,
        bytes_written,
        ..
    } = imported.summary;
    let what = if objects == 1 {
        "1 object"
    } else {
        &format!("{objects} objects")
    };
    let unchecked = match data {
        0 => String::new(),
        1 => ", 1 of them as data that nothing checks".to_owned(),
        n => format!(", {n} of them as data that nothing checks"),
    };
    if objects == 0 {
        terminal::say("there was no object to import");
        return;
    }
    let proof = if is_proven {
        "what was written builds back to equal objects"
    } else {
        "what was written does not build yet"
    };
    terminal::say(&format!(
        "{what}{unchecked}; {proof} ({bytes_read} bytes read, {bytes_written} written)"
    ));
    if let Some(folder) = &args.output {
        for file in &imported.files {
            terminal::say(&format!("  {}", folder.join(&file.path).display()));
        }
    }
}

/// The project's name: what was said, else the folder's.
fn name(args: &ImportArgs) -> String {
    let folder = match (&args.output, &args.paths[..]) {
        (Some(output), _) => Some(output.as_path()),
        (None, [only]) if only != Path::new("-") => Some(only.as_path()),
        _ => None,
    };
    let of_folder = || {
        let folder = std::path::absolute(folder?).ok()?;
        Some(folder.file_stem()?.to_string_lossy().into_owned())
    };
    let name = args.name.clone().or_else(of_folder);
    name.unwrap_or_else(|| Options::default().name)
}

fn inputs(args: &ImportArgs) -> Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for (env, path) in &args.env {
        for input in read(path)? {
            inputs.push(input.env(env.clone()));
        }
    }
    if args.env.is_empty() && args.paths.is_empty() {
        inputs.extend(read(Path::new("-"))?);
    }
    for path in &args.paths {
        inputs.extend(read(path)?);
    }
    Ok(inputs)
}

fn read(path: &Path) -> Result<Vec<Input>> {
    if path == Path::new("-") {
        let mut content = Vec::new();
        std::io::stdin()
            .read_to_end(&mut content)
            .into_diagnostic()
            .wrap_err("cannot read stdin")?;
        return Ok(vec![Input::new("stdin", content)]);
    }
    let mut files = Vec::new();
    if path.is_dir() {
        walk(path, 0, &mut files)?;
        files.sort();
        if files.is_empty() {
            return Err(usage(
                format!("`{}` holds no YAML and no JSON", path.display()),
                "files end in .yaml, .yml or .json",
            ));
        }
    } else if path.is_file() {
        files.push(path.to_owned());
    } else {
        return Err(usage(
            format!("there is no `{}`", path.display()),
            "name a file, a folder, or `-` for stdin",
        ));
    }
    files
        .into_iter()
        .map(|file| {
            let content = fs::read(&file)
                .into_diagnostic()
                .wrap_err_with(|| format!("cannot read {}", file.display()))?;
            Ok(Input::new(file.display().to_string(), content))
        })
        .collect()
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot read {}", folder.display()))?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            if depth < MAX_DEPTH && !path.is_symlink() {
                walk(&path, depth + 1, files)?;
            }
        } else if path
            .extension()
            .is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
        {
            files.push(path);
        }
    }
    Ok(())
}

/// Writes all files, or none when one of them would replace another text.
fn write(imported: &Imported, folder: &Path, force: bool) -> Result<()> {
    let paths: Vec<PathBuf> = imported
        .files
        .iter()
        .map(|file| folder.join(&file.path))
        .collect();
    if !force {
        for (path, file) in paths.iter().zip(&imported.files) {
            let differs =
                path.exists() && fs::read(path).map_or(true, |old| old != file.text.as_bytes());
            if differs {
                return Err(usage(
                    format!("`{}` is already there", path.display()),
                    "choose another folder, or write over it with `--force`",
                ));
            }
        }
    }
    for (path, file) in paths.iter().zip(&imported.files) {
        let parent = path.parent().expect("it lies in the folder");
        fs::create_dir_all(parent)
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot create {}", parent.display()))?;
        fs::write(path, &file.text)
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
