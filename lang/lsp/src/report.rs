//! The compiler's diagnostics as the protocol's: by document, with related places, pages and tags.

use std::collections::BTreeMap;

use lsp_types::{
    CodeDescription, DiagnosticRelatedInformation, DiagnosticSeverity, DiagnosticTag,
    NumberOrString, Position, Range, Uri,
};
use ordain_lang_syntax::{Diagnostic, Severity, Span};

use crate::places::Places;
use crate::provided::Provided;
use crate::workspace::Key;

/// Codes about something that can be taken away.
const UNNECESSARY: &[&str] = &["W0101", "W0102", "W0201", "W0511", "W0690"];
/// Codes about something that has a successor.
const DEPRECATED: &[&str] = &["W0601", "W0851"];

/// What the editor can show.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Shown {
    /// Places beside the main one.
    pub(crate) related: bool,
    /// Links from codes to pages.
    pub(crate) pages: bool,
    /// Faded and struck-out text.
    pub(crate) tags: bool,
}

/// Returns the protocol's diagnostics by document.
pub(crate) fn by_document(
    diagnostics: &[Diagnostic],
    places: &Places<'_>,
    provided: &Provided,
    key: &Key,
    shown: Shown,
) -> BTreeMap<String, (Uri, Vec<lsp_types::Diagnostic>)> {
    let mut found: BTreeMap<String, (Uri, Vec<lsp_types::Diagnostic>)> = BTreeMap::new();
    for diagnostic in diagnostics {
        let main = main(diagnostic, places);
        let uri = match main {
            Some(at) => places.uri(diagnostic.labels[at].span.file),
            None => fallback(key),
        };
        let Some(uri) = uri else { continue };
        let made = one(diagnostic, main, places, provided, shown);
        found
            .entry(uri.as_str().to_owned())
            .or_insert_with(|| (uri, Vec::new()))
            .1
            .push(made);
    }
    found
}

/// The label that stands for the whole: the first in the project's own files, else the first of all.
fn main(diagnostic: &Diagnostic, places: &Places<'_>) -> Option<usize> {
    let is_shown = |span: Span| places.uri(span.file).is_some();
    let is_own = |span: Span| {
        let mut modules = places.project().modules.iter();
        modules.all(|module| module.is_own || module.file != span.file)
    };
    let labels = &diagnostic.labels;
    labels
        .iter()
        .position(|label| is_shown(label.span) && is_own(label.span))
        .or_else(|| labels.iter().position(|label| is_shown(label.span)))
}

/// Where a diagnostic without a place is shown.
fn fallback(key: &Key) -> Option<Uri> {
    match key {
        Key::Folder(root) => Some(crate::uri::of(&root.join(ordain_lang_project::MANIFEST))),
        Key::Document(document) => document.parse().ok(),
    }
}

fn one(
    diagnostic: &Diagnostic,
    main: Option<usize>,
    places: &Places<'_>,
    provided: &Provided,
    shown: Shown,
) -> lsp_types::Diagnostic {
    let start = Position::default();
    let label = main.map(|at| &diagnostic.labels[at]);
    let range = label.map_or(Range { start, end: start }, |label| {
        places.range(label.span)
    });
    let mut message = diagnostic.message.clone();
    if let Some(label) = label.filter(|label| !label.text.is_empty()) {
        message.push_str(&format!("\n{}", label.text));
    }
    let others = diagnostic.labels.iter().enumerate();
    let others = others
        .filter(|(at, _)| Some(*at) != main)
        .map(|(_, label)| label);
    let mut related: Vec<DiagnosticRelatedInformation> = Vec::new();
    for label in others {
        let Some(location) = places.location(label.span) else {
            continue;
        };
        if shown.related {
            related.push(DiagnosticRelatedInformation {
                location,
                message: label.text.clone(),
            });
        } else {
            let at = places.project().sources.place(label.span);
            message.push_str(&format!("\n{} ({at})", label.text));
        }
    }
    for note in &diagnostic.notes {
        message.push_str(&format!("\nnote: {note}"));
    }
    if let Some(help) = &diagnostic.help {
        message.push_str(&format!("\nhelp: {help}"));
    }
    let about = [
        diagnostic
            .object
            .as_ref()
            .map(|object| format!("in {object}")),
        diagnostic
            .env
            .as_ref()
            .map(|env| format!("in environment {env}")),
    ];
    let about: Vec<String> = about.into_iter().flatten().collect();
    if !about.is_empty() {
        message.push_str(&format!("\n{}", about.join(", ")));
    }
    let mut tags = Vec::new();
    if UNNECESSARY.contains(&diagnostic.code) {
        tags.push(DiagnosticTag::UNNECESSARY);
    }
    if DEPRECATED.contains(&diagnostic.code) {
        tags.push(DiagnosticTag::DEPRECATED);
    }
    let page = if shown.pages {
        provided.page(diagnostic.code)
    } else {
        None
    };
    lsp_types::Diagnostic {
        range,
        severity: Some(match diagnostic.severity {
            Severity::Error => DiagnosticSeverity::ERROR,
            Severity::Warning => DiagnosticSeverity::WARNING,
            Severity::Advice => DiagnosticSeverity::INFORMATION,
        }),
        code: Some(NumberOrString::String(diagnostic.code.to_owned())),
        code_description: page.map(|href| CodeDescription { href }),
        source: Some("ordain".to_owned()),
        message,
        related_information: (!related.is_empty()).then_some(related),
        tags: (shown.tags && !tags.is_empty()).then_some(tags),
        data: None,
    }
}
