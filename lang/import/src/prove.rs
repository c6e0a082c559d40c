//! Proves an import: builds what was written and compares it with what was read.

use std::collections::{BTreeMap, HashMap};

use ordain_lang_project::{BuildOptions, Memory, Project, build};
use ordain_lang_syntax::{Diagnostic, Severity, Span};
use serde_json::Value as Json;

use crate::Options;
use crate::object::Identity;
use crate::project::{Draft, Form, Written};
use crate::write::value::{Changes, Kind, Writer};

/// What a proof finds.
pub(crate) enum Verdict {
    /// Every object is built as it was read; warnings of the build come along.
    Equal(Vec<Diagnostic>),
    /// These objects cannot be written with their types.
    Refused(Vec<(usize, Diagnostic)>),
    /// The project does not build, for what no object can be blamed.
    Stuck(Vec<Diagnostic>),
}

/// Builds the drafts.
pub(crate) fn prove(
    drafts: &[Draft],
    written: &[Written],
    writer: &Writer<'_>,
    options: &Options,
) -> Verdict {
    let project = load(drafts, options);
    let built = build(&project, &BuildOptions::default());
    let mut refused: BTreeMap<usize, Diagnostic> = BTreeMap::new();
    let mut others = Vec::new();
    for diagnostic in &built.diagnostics {
        let place = diagnostic
            .labels
            .iter()
            .find_map(|label| Some((label, place(drafts, &project, label.span)?)));
        let Some((_, (at, origin))) = place else {
            others.push(without_places(diagnostic));
            continue;
        };
        let one = &written[at];
        let is_new = matches!(one.form, Form::Typed { .. });
        if diagnostic.severity != Severity::Error || !is_new {
            others.push(moved(diagnostic, origin.unwrap_or(one.object.span)));
            continue;
        }
        let text = format!("{} ({})", diagnostic.message, diagnostic.code);
        let told = refused.entry(at).or_insert_with(|| {
            Diagnostic::warning(
                "W0952",
                format!(
                    "`{}` is imported as data, because its type refuses it",
                    one.object.shown()
                ),
            )
            .object(one.object.shown())
            .help("mend the input and import again, or write the object with its type")
        });
        let span = origin.unwrap_or(one.object.span);
        if !told
            .labels
            .iter()
            .any(|label| label.span == span && label.text == text)
        {
            *told = told.clone().label(span, text);
        }
    }
    if !refused.is_empty() {
        return Verdict::Refused(refused.into_iter().collect());
    }
    if !built.is_ok() {
        return Verdict::Stuck(others);
    }
    let mut objects: HashMap<Identity, Vec<&Json>> = HashMap::new();
    for object in built.apps.iter().flat_map(|app| &app.objects) {
        objects
            .entry(identity(&object.json))
            .or_default()
            .push(&object.json);
    }
    let mut differing = Vec::new();
    for (at, one) in written.iter().enumerate() {
        let kind = match &one.form {
            Form::Typed { shape, .. } => Kind::Of(shape),
            Form::Data => Kind::Any,
        };
        let wanted = writer.built(&one.object.node, kind, &mut Changes::default());
        let candidates = objects
            .get(&one.object.identity())
            .map_or(&[][..], Vec::as_slice);
        let why = candidates
            .iter()
            .map(|found| difference(&wanted, found, &mut String::new()))
            .min_by_key(|difference| difference.is_some())
            .unwrap_or(Some("it is not built at all".to_owned()));
        if let Some(why) = why {
            let message = format!(
                "`{}` is imported as data, because its type would change it",
                one.object.shown()
            );
            differing.push((
                at,
                Diagnostic::warning("W0952", message)
                    .label(one.object.span, why)
                    .object(one.object.shown()),
            ));
        }
    }
    if differing
        .iter()
        .any(|(at, _)| matches!(written[*at].form, Form::Typed { .. }))
    {
        differing.retain(|(at, _)| matches!(written[*at].form, Form::Typed { .. }));
        return Verdict::Refused(differing);
    }
    if differing.is_empty() {
        Verdict::Equal(others)
    } else {
        others.extend(differing.into_iter().map(|(_, diagnostic)| diagnostic));
        Verdict::Stuck(others)
    }
}

fn load(drafts: &[Draft], options: &Options) -> Project {
    if options.is_single {
        let text = drafts.first().map_or("", |draft| &draft.page.out);
        let mut project = Project::single("imported.ord", text.as_bytes().to_vec());
        project.manifest.kubernetes = options.kubernetes;
        return project;
    }
    let mut files = Memory::new().with(
        ordain_lang_project::MANIFEST,
        format!(
            "name = \"imported\"\nkubernetes = \"{}\"\n",
            options.kubernetes
        ),
    );
    for draft in drafts {
        files.insert(draft.path.clone(), draft.page.out.clone());
    }
    Project::load(&files)
}

/// The object in whose text a place is, and the place of the input that it was made of.
fn place(drafts: &[Draft], project: &Project, span: Span) -> Option<(usize, Option<Span>)> {
    let path = project.sources.path(span.file);
    let draft = match drafts {
        [only] if project.is_single => only,
        _ => drafts.iter().find(|draft| draft.path == path)?,
    };
    let at = span.start as usize;
    let (_, _, object) = draft
        .regions
        .iter()
        .find(|(start, end, _)| (*start..*end).contains(&at))?;
    let origins = &draft.page.origins;
    let before = origins.partition_point(|(offset, _)| *offset <= at);
    let origin = before.checked_sub(1).map(|before| origins[before].1);
    Some((*object, origin))
}

/// A diagnostic about what was written, shown at what was read.
fn moved(diagnostic: &Diagnostic, span: Span) -> Diagnostic {
    let text = diagnostic
        .labels
        .first()
        .map_or("", |label| label.text.as_str());
    without_places(diagnostic).label(span, text)
}

/// The places of a diagnostic are in texts that the caller never saw.
fn without_places(diagnostic: &Diagnostic) -> Diagnostic {
    let mut diagnostic = diagnostic.clone();
    diagnostic.labels.clear();
    diagnostic
}

fn identity(json: &Json) -> Identity {
    let text = |value: &Json, key: &str| value.get(key).and_then(Json::as_str).map(str::to_owned);
    let api_version = text(json, "apiVersion").unwrap_or_default();
    let metadata = json.get("metadata").unwrap_or(&Json::Null);
    (
        api_version
            .rsplit_once('/')
            .map_or("", |(group, _)| group)
            .to_owned(),
        text(json, "kind").unwrap_or_default(),
        text(metadata, "namespace"),
        text(metadata, "name").unwrap_or_default(),
    )
}

/// Where two values differ, as a sentence. Numbers are compared by value, as JSON has only one kind of them.
// Recursion is as deep as the value, which the reader bounds.
fn difference(wanted: &Json, found: &Json, path: &mut String) -> Option<String> {
    let here = |what: String, path: &str| {
        Some(format!(
            "{} {what}",
            if path.is_empty() { "the object" } else { path }
        ))
    };
    let length = path.len();
    match (wanted, found) {
        (Json::Object(one), Json::Object(two)) => {
            for (key, value) in one {
                path.push_str(if length == 0 { "" } else { "." });
                path.push_str(key);
                let difference = match two.get(key) {
                    Some(other) => difference(value, other, path),
                    None => here("would be missing".to_owned(), path),
                };
                if difference.is_some() {
                    return difference;
                }
                path.truncate(length);
            }
            let added = two.keys().find(|key| !one.contains_key(*key))?;
            here(format!("would have `{added}`"), path)
        }
        (Json::Array(one), Json::Array(two)) if one.len() == two.len() => {
            for (at, (value, other)) in one.iter().zip(two).enumerate() {
                path.push_str(&format!("[{at}]"));
                let difference = difference(value, other, path);
                if difference.is_some() {
                    return difference;
                }
                path.truncate(length);
            }
            None
        }
        (Json::Number(one), Json::Number(two)) if one.as_f64() == two.as_f64() => {
            // Integers beyond 2^53 are equal as floats before they are equal.
            let is_equal = one
                .as_i64()
                .zip(two.as_i64())
                .is_none_or(|(one, two)| one == two);
            if is_equal {
                None
            } else {
                here(format!("would be {two} instead of {one}"), path)
            }
        }
        (one, two) if one == two => None,
        (one, two) => here(format!("would be {two} instead of {one}"), path),
    }
}
