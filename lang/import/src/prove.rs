//! Proves an import: builds what was written and compares it with what was read.

use std::collections::{BTreeMap, HashMap};

use ordain_lang_project::{Build, BuildOptions, Memory, Project, build};
use ordain_lang_syntax::{Diagnostic, Severity, Span};
use ordain_schemas::WATCH_EVENT;
use serde_json::Value as Json;

use crate::Options;
use crate::draft::{Draft, definitions};
use crate::object::{Identity, Object};
use crate::project::{Place, Set, Written};
use crate::write::text;
use crate::write::value::{Changes, Writer};

/// What a proof finds.
pub(crate) enum Verdict {
    /// Every object is built as it was read; warnings of the build come along.
    Equal(Vec<Diagnostic>),
    /// These objects cannot be written as they are; with what to say when their types are given up.
    Refused(Vec<(usize, Option<Diagnostic>)>),
    /// These objects break rules over the whole set; with the line of the app that says it is meant.
    Exempt(Vec<(usize, String, Diagnostic)>),
    /// The project does not build, for what no object can be blamed.
    Stuck(Vec<Diagnostic>),
}

/// Builds the drafts.
pub(crate) fn prove(
    drafts: &[Draft],
    set: &Set,
    writer: &Writer<'_>,
    options: &Options,
) -> Verdict {
    let project = load(drafts, set, options);
    let built = build(&project, &BuildOptions::default());
    let mut refused: BTreeMap<usize, Option<Diagnostic>> = BTreeMap::new();
    let mut exempt: Vec<(usize, String, Diagnostic)> = Vec::new();
    let mut others = Vec::new();
    for diagnostic in &built.diagnostics {
        let place = diagnostic
            .labels
            .iter()
            .find_map(|label| place(drafts, &project, label.span))
            .or_else(|| Some((named(diagnostic, set)?, None)));
        let Some((at, origin)) = place else {
            others.push(without_places(diagnostic));
            continue;
        };
        let one = &set.written[at];
        let span = origin.unwrap_or(one.object().span);
        let hidden = hidden(diagnostic, one.object());
        let diagnostic = hidden.as_ref().unwrap_or(diagnostic);
        if let Some(line) = exemption(diagnostic, one, writer)
            .filter(|line| !set.exemptions.contains(&(at, line.clone())))
        {
            let told = moved(diagnostic, span);
            exempt.push((at, line, told));
            continue;
        }
        let can_yield = !is_of_the_set(diagnostic) && !one.is_data()
            || (one.place == Place::Base && set.envs.len() > 1);
        if diagnostic.severity != Severity::Error || !can_yield {
            others.push(moved(diagnostic, span));
            continue;
        }
        let told = refused.entry(at).or_insert_with(|| {
            let message = format!(
                "`{}` is imported as data, because its type refuses it",
                one.object().shown()
            );
            Some(
                Diagnostic::warning("W0952", message)
                    .object(one.object().shown())
                    .help("mend the input and import again, or write the object with its type"),
            )
        });
        let text = format!("{} ({})", diagnostic.message, diagnostic.code);
        if let Some(told) = told
            && !told
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
    if !exempt.is_empty() {
        return Verdict::Exempt(exempt);
    }
    if !built.is_ok() {
        return Verdict::Stuck(others);
    }
    compare(&built, set, writer, others)
}

/// Compares what was built with what was read.
fn compare(built: &Build, set: &Set, writer: &Writer<'_>, mut others: Vec<Diagnostic>) -> Verdict {
    let env_of = |name: &str| set.envs.iter().position(|env| env == name).unwrap_or(0);
    let mut objects: HashMap<(usize, Identity), Vec<&Json>> = HashMap::new();
    for app in &built.apps {
        for object in &app.objects {
            let key = (env_of(&app.env), identity(&object.json));
            objects.entry(key).or_default().push(&object.json);
        }
    }
    let mut count: usize = objects.values().map(Vec::len).sum();
    let mut refused: Vec<(usize, Option<Diagnostic>)> = Vec::new();
    let mut lost = Vec::new();
    for (at, one) in set.written.iter().enumerate() {
        let writer = Writer {
            table: writer.table,
        };
        for (env, copy) in &one.copies {
            let wanted = writer.built(&copy.node, one.kind(), &mut Changes::default());
            let candidates = objects
                .get(&(*env, copy.identity()))
                .map_or(&[][..], Vec::as_slice);
            let why = candidates
                .iter()
                .map(|found| difference(&wanted, found, &mut String::new()))
                .min_by_key(Option::is_some)
                .unwrap_or(Some("it is not built at all".to_owned()));
            let Some(mut why) = why else {
                count = count.saturating_sub(1);
                continue;
            };
            if copy.kind == "Secret"
                && let Some((place, _)) = why.split_once(WOULD_BE)
            {
                why = format!("{place}{WOULD_BE}another value");
            }
            let message = format!(
                "`{}` is imported as data, because its type would change it",
                copy.shown()
            );
            let diagnostic = Diagnostic::warning("W0952", message)
                .label(copy.span, why)
                .object(copy.shown());
            if one.is_data() && (one.place == Place::Copies || set.envs.len() < 2) {
                lost.push(diagnostic);
            } else if refused.last().is_none_or(|(last, _)| *last != at) {
                refused.push((at, Some(diagnostic)));
            }
        }
    }
    if !refused.is_empty() {
        return Verdict::Refused(refused);
    }
    if !lost.is_empty() {
        others.append(&mut lost);
        return Verdict::Stuck(others);
    }
    if count > 0 {
        others.push(Diagnostic::error(
            "E0955",
            format!("{count} objects are built that were not read"),
        ));
        return Verdict::Stuck(others);
    }
    Verdict::Equal(others)
}

/// A diagnostic about a Secret without what it may show of its values. None for other kinds, and for rules over the whole
/// set, which know no values.
fn hidden(diagnostic: &Diagnostic, object: &Object) -> Option<Diagnostic> {
    if object.kind != "Secret" || is_of_the_set(diagnostic) {
        return None;
    }
    let mut hidden = diagnostic.clone();
    hidden.message = "this is not as its type wants it; a Secret's values are not shown".to_owned();
    hidden.notes.clear();
    hidden.help = None;
    Some(hidden)
}

/// What stands between a place and the values there, which of a Secret nobody is shown.
const WOULD_BE: &str = " would be ";

/// How the line begins that a diagnostic offers for what others make.
const EXTERNAL: &str = "external k8s.";

/// Whether a diagnostic is about the whole set of objects, so that no other form of one object would help.
fn is_of_the_set(diagnostic: &Diagnostic) -> bool {
    diagnostic.code.starts_with("E06")
}

/// The line of an app that exempts an object from a rule over the whole set: what others make is declared, what is
/// meant is allowed.
fn exemption(diagnostic: &Diagnostic, one: &Written, writer: &Writer<'_>) -> Option<String> {
    if !is_of_the_set(diagnostic) || matches!(diagnostic.code, "E0612" | "E0690") {
        return None;
    }
    let help = diagnostic.help.as_deref().unwrap_or_default();
    let line = help.split('`').find(|part| part.starts_with(EXTERNAL));
    let is_known = |line: &&str| {
        let kind = line[EXTERNAL.len()..].split(' ').next().unwrap_or_default();
        let kind = kind.rsplit('.').next().unwrap_or_default();
        writer.table.kinds().iter().any(|known| known.kind == kind)
    };
    if let Some(line) = line.filter(is_known) {
        return Some(line.to_owned());
    }
    // A kind that the version does not have has no name: then all objects of the app are meant.
    let Some(kind) = &one.known else {
        return Some(format!("allow {}, \"it was imported so\"", diagnostic.code));
    };
    Some(format!(
        "allow {} for {kind} {}, {}",
        diagnostic.code,
        text::quoted(&one.object().name),
        text::quoted(&diagnostic.message)
    ))
}

fn load(drafts: &[Draft], set: &Set, options: &Options) -> Project {
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
    for file in definitions(set.written.iter(), &set.customs) {
        files.insert(file.path.clone(), file.text.clone());
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

/// The object that a diagnostic names, when it points at nothing that was written.
fn named(diagnostic: &Diagnostic, set: &Set) -> Option<usize> {
    let title = diagnostic.object.as_deref()?;
    // Damaged kinds and names may have blanks and strokes in them, so the title is not taken apart.
    let is_meant = |object: &Object| {
        let name = title.strip_prefix(&*object.kind)?;
        if object.name.is_empty() {
            return name.is_empty().then_some(());
        }
        let name = name.strip_prefix(' ')?;
        let namespace = name.strip_suffix(&*object.name)?;
        (namespace.is_empty() || namespace.ends_with('/')).then_some(())
    };
    (set.written.iter()).position(|one| is_meant(one.object()).is_some())
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
    // What a watch sends says nothing of itself.
    let kind = text(json, "kind").unwrap_or_else(|| WATCH_EVENT.to_owned());
    (
        api_version
            .rsplit_once('/')
            .map_or("", |(group, _)| group)
            .to_owned(),
        kind,
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
