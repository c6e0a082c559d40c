//! `ordain fmt`: writes sources the one way they are written.

use crate::Outcome;
use crate::args::{Format, SourceArg};
use crate::usage::usage;
use crate::{report, terminal};
use miette::{IntoDiagnostic, Result, WrapErr};
use ordain_lang_project::{Disk, Files};
use ordain_lang_syntax::{Diagnostic, Sources};
use std::fs;
use std::path::{Path, PathBuf};

/// Format sources
///
/// Rewrites every `.ord` file below a folder, or one file, in the one canonical form; comments stay. `-` formats stdin to stdout.
/// A file with syntax errors is left as it is.
#[derive(clap::Args)]
pub(crate) struct FmtArgs {
    #[command(flatten)]
    source: SourceArg,

    /// Only list what would change; exit code 1 when something would
    #[arg(long)]
    check: bool,

    /// Show what would change, and change nothing; exit code 1 when something would
    #[arg(long, conflicts_with = "check")]
    diff: bool,
}

pub(crate) fn run(args: &FmtArgs, format: Format) -> Result<Outcome> {
    if args.source.path == Path::new("-") {
        let text = std::io::read_to_string(std::io::stdin())
            .into_diagnostic()
            .wrap_err("cannot read stdin")?;
        return match ordain_lang_fmt::format(&text) {
            Ok(formatted) if args.check || args.diff => {
                let is_same = formatted == text;
                if args.diff {
                    terminal::data(&difference(&text, &formatted, "stdin.ord"))?;
                }
                Ok(if is_same {
                    Outcome::Done
                } else {
                    Outcome::Findings
                })
            }
            Ok(formatted) => terminal::data(&formatted).map(|()| Outcome::Done),
            Err(diagnostics) => {
                show(&diagnostics, "stdin.ord", &text);
                Ok(Outcome::Findings)
            }
        };
    }
    let (mut changed, mut unreadable) = (Vec::new(), false);
    let mut differences = String::new();
    for path in files(&args.source.path)? {
        let shown = path.display().to_string();
        let bytes = fs::read(&path)
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot read {shown}"))?;
        let Ok(text) = String::from_utf8(bytes) else {
            terminal::say(&format!("{shown} is not UTF-8 text; it stays as it is"));
            unreadable = true;
            continue;
        };
        match ordain_lang_fmt::format(&text) {
            Ok(formatted) if formatted == text => {}
            Ok(formatted) => {
                if args.diff {
                    differences.push_str(&difference(&text, &formatted, &shown));
                } else if !args.check {
                    write(&path, &formatted)
                        .into_diagnostic()
                        .wrap_err_with(|| format!("cannot write {shown}"))?;
                }
                changed.push(shown);
            }
            Err(diagnostics) => {
                unreadable = true;
                show(&diagnostics, &shown, &text);
            }
        }
    }
    match format {
        Format::Json => terminal::json(&serde_json::json!({ "changed": changed }))?,
        Format::Text if args.diff => terminal::data(&differences)?,
        Format::Text => {
            terminal::data(&changed.iter().map(|p| format!("{p}\n")).collect::<String>())?
        }
    }
    let findings = unreadable || ((args.check || args.diff) && !changed.is_empty());
    Ok(if findings {
        Outcome::Findings
    } else {
        Outcome::Done
    })
}

/// Returns what formatting changes, as a patch.
fn difference(before: &str, after: &str, path: &str) -> String {
    similar::TextDiff::from_lines(before, after)
        .unified_diff()
        .header(path, path)
        .to_string()
}

/// Returns the files that a path means.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    if !path.is_dir() {
        return Err(usage(
            format!("there is no `{}`", path.display()),
            "name a folder or a file that ends in .ord",
        ));
    }
    let names = Disk::new(path).list().map_err(|e| super::report(e, None))?;
    let mut files: Vec<PathBuf> = names
        .into_iter()
        .filter(|n| n.ends_with(".ord"))
        .map(|n| {
            if path == Path::new(".") {
                n.into()
            } else {
                path.join(n)
            }
        })
        .collect();
    files.sort();
    Ok(files)
}

/// Replaces a file whole or not at all.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    // A link stays a link: what it leads to is replaced.
    let path = &path.canonicalize()?;
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(folder)?;
    fs::write(file.path(), text)?;
    fs::set_permissions(file.path(), fs::metadata(path)?.permissions())?;
    file.persist(path).map(drop).map_err(|e| e.error)
}

fn show(diagnostics: &[Diagnostic], path: &str, text: &str) {
    let mut sources = Sources::new();
    sources.add(path, text);
    terminal::say(report::render(diagnostics, &sources, super::check::WIDTH, false).trim_end());
}
