//! Turns the language's diagnostics into what a person or a program reads. It decides nothing about them.

use crate::excerpt::Excerpt;
use miette::{LabeledSpan, MietteDiagnostic, Report};
use ordain_lang_syntax::{Diagnostic, FileId, Label, Severity, Sources, Span};
use serde::Serialize;

/// Renders diagnostics for a person, worst first within the order of the sources.
pub(crate) fn render(
    diagnostics: &[Diagnostic],
    sources: &Sources,
    width: usize,
    color: bool,
) -> String {
    let theme = if color {
        miette::GraphicalTheme::unicode()
    } else {
        miette::GraphicalTheme::unicode_nocolor()
    };
    let secrets = clear_secrets(diagnostics);
    let mut text = String::new();
    for diagnostic in diagnostics {
        let mut handler = miette::GraphicalReportHandler::new_themed(theme.clone())
            .with_width(width)
            .with_context_lines(1)
            .with_links(false)
            .with_show_related_as_nested(false);
        if let Some(facts) = facts(diagnostic) {
            handler = handler.with_footer(facts);
        }
        let report = Shown::new(diagnostic, sources, &secrets);
        // Writing to a String does not fail.
        let _ = handler.render_report(&mut text, &report);
        text.push('\n');
    }
    text
}

/// The code of a secret that stands in a source as it is.
const CLEAR_SECRET: &str = "E0803";

/// The places of secrets in the clear. A report goes to logs that more people read than the source.
fn clear_secrets(diagnostics: &[Diagnostic]) -> Vec<Span> {
    let found = diagnostics.iter().filter(|d| d.code == CLEAR_SECRET);
    found.filter_map(Diagnostic::span).collect()
}

/// Returns what else is known, a line each: notes, the object, the environment.
fn facts(diagnostic: &Diagnostic) -> Option<String> {
    let notes = diagnostic.notes.iter().map(|note| format!("note: {note}"));
    let context = [
        ("object", &diagnostic.object),
        ("environment", &diagnostic.env),
    ];
    let context = context
        .into_iter()
        .filter_map(|(word, value)| Some(format!("{word}: {}", value.as_ref()?)));
    let lines: Vec<String> = notes.chain(context).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Returns `2 errors, 1 warning`, or nothing for none.
pub(crate) fn summary(diagnostics: &[Diagnostic]) -> String {
    let count = |severity| {
        diagnostics
            .iter()
            .filter(|d| d.severity == severity)
            .count()
    };
    let words = [(Severity::Error, "error"), (Severity::Warning, "warning")];
    let parts = words
        .into_iter()
        .filter_map(|(severity, word)| match count(severity) {
            0 => None,
            1 => Some(format!("1 {word}")),
            n => Some(format!("{n} {word}s")),
        });
    parts.collect::<Vec<_>>().join(", ")
}

/// One diagnostic as JSON: places as people count them.
#[derive(Serialize)]
pub(crate) struct JsonDiagnostic<'a> {
    code: &'a str,
    severity: Severity,
    message: &'a str,
    labels: Vec<JsonLabel<'a>>,
    help: Option<&'a str>,
    notes: &'a [String],
    object: Option<&'a str>,
    env: Option<&'a str>,
}

#[derive(Serialize)]
struct JsonLabel<'a> {
    file: &'a str,
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
    text: &'a str,
}

/// Returns the form that `--format json` prints.
pub(crate) fn json<'a>(
    diagnostics: &'a [Diagnostic],
    sources: &'a Sources,
) -> Vec<JsonDiagnostic<'a>> {
    let label = |label: &'a ordain_lang_syntax::Label| {
        let (start, end) = (
            sources.line_col(label.span),
            sources.line_col(label.span.after()),
        );
        JsonLabel {
            file: sources.path(label.span.file),
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
            text: &label.text,
        }
    };
    let one = |d: &'a Diagnostic| JsonDiagnostic {
        code: d.code,
        severity: d.severity,
        message: &d.message,
        labels: d.labels.iter().map(label).collect(),
        help: d.help.as_deref(),
        notes: &d.notes,
        object: d.object.as_deref(),
        env: d.env.as_deref(),
    };
    diagnostics.iter().map(one).collect()
}

/// A diagnostic with its source, as miette wants it. miette shows one source per report, so places in other files
/// become related advice, and so do places too far away in the same line.
#[derive(Debug)]
struct Shown {
    own: MietteDiagnostic,
    source: Excerpt,
    related: Vec<Report>,
}

impl Shown {
    fn new(diagnostic: &Diagnostic, sources: &Sources, secrets: &[Span]) -> Self {
        let file = diagnostic.span().map(|s| s.file);
        let (here, mut elsewhere): (Vec<&Label>, Vec<&Label>) = diagnostic
            .labels
            .iter()
            .partition(|l| Some(l.span.file) == file);
        let (source, places) = excerpt(sources, file.unwrap_or(FileId(0)), &here, secrets);
        let mut labels = Vec::new();
        for (label, place) in here.into_iter().zip(places) {
            let Some(range) = place else {
                elsewhere.push(label);
                continue;
            };
            let text = Some(label.text.clone()).filter(|t| !t.is_empty());
            labels.push(match labels.is_empty() {
                true => LabeledSpan::new_primary_with_span(text, (range.start, range.len())),
                false => LabeledSpan::new_with_span(text, (range.start, range.len())),
            });
        }
        let own = MietteDiagnostic {
            message: diagnostic.message.clone(),
            code: Some(diagnostic.code.to_owned()),
            severity: Some(severity(diagnostic.severity)),
            help: diagnostic.help.clone(),
            url: None,
            labels: Some(labels),
        };
        let related = elsewhere
            .into_iter()
            .map(|label| advice(label, sources, secrets));
        Self {
            own,
            source,
            related: related.collect(),
        }
    }
}

/// A place of its own, with what it says as the heading.
fn advice(label: &Label, sources: &Sources, secrets: &[Span]) -> Report {
    let (source, places) = excerpt(sources, label.span.file, &[label], secrets);
    let mark = |range: std::ops::Range<usize>| {
        LabeledSpan::new_primary_with_span(None, (range.start, range.len()))
    };
    let report = MietteDiagnostic {
        message: label.text.clone(),
        code: None,
        severity: Some(miette::Severity::Advice),
        help: None,
        url: None,
        labels: Some(places.into_iter().flatten().map(mark).collect()),
    };
    Report::new(report).with_source_code(source)
}

fn excerpt(
    sources: &Sources,
    file: FileId,
    labels: &[&Label],
    secrets: &[Span],
) -> (Excerpt, Vec<Option<std::ops::Range<usize>>>) {
    let places: Vec<_> = labels.iter().map(|l| l.span.range()).collect();
    let hidden: Vec<_> = secrets
        .iter()
        .filter(|span| span.file == file)
        .map(|span| span.range())
        .collect();
    Excerpt::new(sources.path(file), sources.text(file), &places, &hidden)
}

fn severity(severity: Severity) -> miette::Severity {
    match severity {
        Severity::Error => miette::Severity::Error,
        Severity::Warning => miette::Severity::Warning,
        Severity::Advice => miette::Severity::Advice,
    }
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.own.fmt(f)
    }
}

impl std::error::Error for Shown {}

impl miette::Diagnostic for Shown {
    fn code<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.own.code()
    }
    fn severity(&self) -> Option<miette::Severity> {
        self.own.severity()
    }
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.own.help()
    }
    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        // A diagnostic without a place (no source file at all) has no source to show.
        self.own
            .labels
            .as_ref()
            .filter(|l| !l.is_empty())
            .map(|_| &self.source as &dyn miette::SourceCode)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.own.labels()
    }
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        (!self.related.is_empty()).then(|| {
            Box::new(self.related.iter().map(AsRef::as_ref)) as Box<dyn Iterator<Item = _>>
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_the_clear_is_not_shown() {
        let mut sources = Sources::new();
        let file = sources.add("a.ord", "let a: Secret<String> = \"hunter2\"\nlet b = x\n");
        let secret = Diagnostic::error("E0803", "a secret is written in the clear")
            .label(Span::new(file, 24, 33), "everybody reads this");
        let near = Diagnostic::error("E0101", "there is no `x` here")
            .label(Span::new(file, 42, 43), "not found");
        let shown = render(&[secret, near], &sources, 80, false);
        assert!(
            !shown.contains("hunter2") && shown.contains("*********"),
            "{shown}"
        );
    }

    #[test]
    fn a_diagnostic_shows_the_value_and_the_rule_in_another_file() {
        let mut sources = Sources::new();
        let types = sources.add("shop.ord", "type Shop {\n  port: k8s.Port\n}\n");
        let envs = sources.add(
            "envs.ord",
            "env prod {\n  shop.config { port = 70000 }\n}\n",
        );
        let diagnostic = Diagnostic::error("E0203", "`70000` is not a port")
            .label(Span::new(envs, 33, 38), "above the largest port")
            .label(Span::new(types, 20, 28), "a port is 1..=65535")
            .help("use a number up to 65535")
            .object("Service shop/web");
        insta::assert_snapshot!(render(&[diagnostic], &sources, 80, false));
    }
}
