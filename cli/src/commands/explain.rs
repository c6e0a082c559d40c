//! `ordain explain`: the page of a diagnostic, or the lines that set a field of an object.

use crate::args::Format;
use crate::usage::{did_you_mean, usage};
use crate::{Outcome, disk, envs, terminal};
use miette::Result;
use ordain_lang_project::{BuildOptions, Explained, How, Project};
use std::path::PathBuf;

/// Show the page of a diagnostic, or which lines set a field
///
/// With a CODE as `check` prints it: what it means, a program that fails and the same program mended.
///
/// With an OBJECT and a FIELD: the field's value and every line that had a say in it, the winner first, each with its layer: the
/// default of a type, the app's value, or an environment. Elements of lists are named by their key, as in
/// `ordain explain deployment/web 'spec.template.spec.containers["main"].image' --env prod`.
#[derive(clap::Args)]
pub(crate) struct ExplainArgs {
    /// A code such as `E0203`, or an object such as `deployment/web`
    #[arg(value_name = "CODE|OBJECT")]
    what: String,

    /// The field of the object, such as `spec.replicas`
    #[arg(value_name = "FIELD")]
    field: Option<String>,

    /// The environment, when there are several
    #[arg(long, value_name = "ENV")]
    env: Option<String>,

    /// Project folder, or one `.ord` file
    #[arg(long, value_name = "PATH", default_value = ".")]
    path: PathBuf,
}

pub(crate) fn run(args: &ExplainArgs, format: Format) -> Result<Outcome> {
    match &args.field {
        None => explain_without_field(&args.what, format),
        Some(field) => {
            let project = disk::load(&args.path)?;
            explain_field(&project, args.env.as_deref(), &args.what, field, format)
        }
    }
}

/// Explains a code, or a field of an object of a project that is there already.
///
/// # Errors
/// As the command.
pub(crate) fn explain(
    project: &Project,
    env: Option<&str>,
    what: &str,
    field: Option<&str>,
    format: Format,
) -> Result<Outcome> {
    match field {
        None => explain_without_field(what, format),
        Some(field) => explain_field(project, env, what, field, format),
    }
}

fn explain_without_field(what: &str, format: Format) -> Result<Outcome> {
    if what.contains('/') {
        return Err(usage(
            "a field is missing",
            format!("name one: `ordain explain {what} metadata.name`"),
        ));
    }
    explain_code(what, format)
}

fn explain_code(word: &str, format: Format) -> Result<Outcome> {
    let Some((code, page)) = page(word) else {
        let codes: Vec<&str> = ordain_lang_types::codes().collect();
        let near = codes
            .iter()
            .min_by_key(|c| distance(c, &word.to_uppercase()));
        let help = match near {
            Some(near) if word.chars().any(|c| c.is_ascii_digit()) => {
                format!("did you mean `{near}`?")
            }
            _ => "codes look like `E0203`; for a field name an object and the field, as in `deployment/web spec.replicas`"
                .to_owned(),
        };
        return Err(usage(format!("no diagnostic has the code `{word}`"), help));
    };
    match format {
        Format::Text => terminal::data(page)?,
        Format::Json => terminal::json(&serde_json::json!({ "code": code, "page": page }))?,
    }
    Ok(Outcome::Done)
}

/// Finds a page by its code, however it is written: `E0203`, `e0203`, `e203`, `0203`.
fn page(word: &str) -> Option<(&'static str, &'static str)> {
    let word = word.to_uppercase();
    let digits = word.trim_start_matches(['E', 'W']);
    let letter = &word[..word.len() - digits.len()];
    let number: u32 = digits.parse().ok()?;
    let letters = match letter {
        "" => &["E", "W"][..],
        "E" => &["E"],
        "W" => &["W"],
        _ => return None,
    };
    letters.iter().find_map(|letter| {
        let code = format!("{letter}{number:04}");
        let code = ordain_lang_types::codes().find(|known| *known == code)?;
        Some((code, ordain_lang_types::page(code)?))
    })
}

/// Returns in how many places two codes differ.
fn distance(one: &str, other: &str) -> usize {
    one.chars()
        .zip(other.chars())
        .filter(|(a, b)| a != b)
        .count()
        + one.len().abs_diff(other.len())
}

fn explain_field(
    project: &Project,
    env: Option<&str>,
    object: &str,
    field: &str,
    format: Format,
) -> Result<Outcome> {
    let env = envs::choose(project, env, "")?;
    let found = ordain_lang_project::explain(project, env.as_deref(), object, field);
    let found = match found {
        Ok(found) => found,
        Err(diagnostics) => {
            super::check::show(&diagnostics, project);
            return Ok(Outcome::Findings);
        }
    };
    if found.is_empty() {
        return Err(nothing(project, env.as_deref(), object, field));
    }
    match format {
        Format::Json => {
            let found: Vec<_> = found
                .iter()
                .map(|f| json(f, env.as_deref(), field, project))
                .collect();
            terminal::json(&serde_json::json!({ "found": found }))?;
        }
        Format::Text => {
            let texts: Vec<String> = found
                .iter()
                .map(|f| text(f, env.as_deref(), field, project))
                .collect();
            terminal::data(&texts.join("\n"))?;
        }
    }
    Ok(Outcome::Done)
}

/// Returns what the winner and those before it did, as columns.
fn text(found: &Explained, env: Option<&str>, field: &str, project: &Project) -> String {
    let place = env.map_or(String::new(), |env| format!(", env {env}"));
    let mut out = format!(
        "{}  {field} = {}  (app {}{place})\n",
        found.object, found.value, found.app
    );
    for copy in &found.copies {
        out.push_str(&format!(
            "  also declared by {copy}, which gives way (E0511)\n"
        ));
    }
    let hidden = found.value.contains(HIDDEN);
    let rows: Vec<[String; 4]> = found
        .origins
        .iter()
        .enumerate()
        .map(|(at, origin)| {
            let did = match (&origin.how, at) {
                (How::Set, 0) => "sets it",
                (How::Set, _) => "overridden",
                (How::Changed, _) => "changes a part",
                (How::From, _) => "copied from",
                (How::Deleted, _) => "deletes it",
            };
            let line = if hidden {
                String::new()
            } else {
                line(project, origin.span)
            };
            [
                origin.at.clone(),
                origin.layer.clone(),
                did.to_owned(),
                line,
            ]
        })
        .collect();
    for line in super::table(["", "", "", ""], rows).lines().skip(1) {
        out.push_str(&format!("  {line}\n"));
    }
    out
}

/// How a secret's value is shown; its source line would say more.
const HIDDEN: &str = "***";

/// Columns of a source line beside its place.
const LINE_COLUMNS: usize = 60;

/// The source line of a place, cut to what fits.
fn line(project: &Project, span: ordain_lang_syntax::Span) -> String {
    let text = project.sources.text(span.file);
    let number = project.sources.line_col(span).line as usize;
    let line = text.lines().nth(number - 1).unwrap_or("").trim();
    match line.char_indices().nth(LINE_COLUMNS) {
        None => line.to_owned(),
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}

fn json(found: &Explained, env: Option<&str>, field: &str, project: &Project) -> serde_json::Value {
    let chain: Vec<_> = found
        .origins
        .iter()
        .map(|origin| {
            let place = project.sources.line_col(origin.span);
            serde_json::json!({
                "file": project.sources.path(origin.span.file),
                "line": place.line,
                "column": place.column,
                "layer": origin.layer,
                "did": match origin.how {
                    How::Set => "set",
                    How::Changed => "changed",
                    How::From => "from",
                    How::Deleted => "deleted",
                },
            })
        })
        .collect();
    let mut told = serde_json::json!({
        "app": found.app,
        "env": env,
        "object": found.object,
        "field": field,
        "value": found.value,
        "chain": chain,
    });
    if !found.copies.is_empty() {
        told["copies"] = serde_json::json!(found.copies);
    }
    told
}

/// Why nothing was found: another object, or another field of it.
fn nothing(project: &Project, env: Option<&str>, object: &str, field: &str) -> miette::Report {
    let options = BuildOptions {
        env: env.map(str::to_owned),
        cluster: None,
    };
    let built = ordain_lang_project::build(project, &options);
    let objects: Vec<&serde_json::Value> = built
        .apps
        .iter()
        .flat_map(|app| app.objects.iter().map(|o| &o.json))
        .collect();
    let name = |o: &serde_json::Value| {
        let kind = o["kind"].as_str().unwrap_or_default().to_lowercase();
        format!(
            "{kind}/{}",
            o["metadata"]["name"].as_str().unwrap_or_default()
        )
    };
    let names: Vec<String> = objects.iter().map(|o| name(o)).collect();
    let wanted = object.to_lowercase();
    let meant = objects.iter().zip(&names).find(|(o, name)| {
        **name == wanted
            || o["kind"]
                .as_str()
                .is_some_and(|k| k.to_lowercase() == wanted)
    });
    let Some((meant, _)) = meant else {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        return usage(
            format!("no app builds an object `{object}`"),
            did_you_mean(&wanted, &names, "objects"),
        );
    };
    // The part of the path that is there, and what could follow it.
    let mut at = *meant;
    let mut way = String::new();
    for step in field.split('.') {
        let Some(next) = at.get(step) else {
            let known: Vec<&str> = match at.as_object() {
                Some(fields) => fields.keys().map(String::as_str).collect(),
                None => Vec::new(),
            };
            let whole = if way.is_empty() { object } else { &way };
            let help = match at.is_array() {
                true => format!("name an element of `{way}` by its key: `{way}[\"main\"]`"),
                false => did_you_mean(step, &known, "its fields"),
            };
            return usage(
                format!("`{whole}` has no field `{step}` that the sources set"),
                help,
            );
        };
        if !way.is_empty() {
            way.push('.');
        }
        way.push_str(step);
        at = next;
    }
    usage(
        format!("no line of the sources sets `{field}` of `{object}`"),
        "it is filled in by the build: `ordain build` shows its value",
    )
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn a_code_may_be_written_carelessly() {
        for word in ["E0203", "e0203", "e203", "0203", "203"] {
            assert_eq!(page(word).map(|(code, _)| code), Some("E0203"), "{word}");
        }
        assert_eq!(page("w101").map(|(code, _)| code), Some("W0101"));
        assert_eq!(page("E9999"), None);
        assert_eq!(page("shop"), None);
        assert_eq!(page("ä"), None);
    }
}
