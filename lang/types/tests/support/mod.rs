//! Snippets in Markdown: reading them, checking them, comparing what is told with what is expected.
#![allow(dead_code)]

use std::fmt::Write as _;

use ordain_lang_syntax::{Diagnostic, Sources, parse};
use ordain_lang_types::{Checked, Input, ModuleInput, check};
use ordain_schemas::KubeVersion;

/// A heading with its snippets.
pub(crate) struct Section {
    /// The heading.
    pub(crate) title: String,
    /// File names and texts.
    pub(crate) files: Vec<(String, String)>,
}

/// The sections of a chapter which have snippets.
pub(crate) fn sections(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = vec![Section {
        title: String::new(),
        files: Vec::new(),
    }];
    let mut snippet: Option<String> = None;
    for line in text.lines() {
        match &mut snippet {
            Some(body) if line.trim_end() == "```" => {
                let section = sections.last_mut().expect("there is one");
                let name = body
                    .lines()
                    .next()
                    .and_then(|l| l.strip_prefix("// file: "))
                    .map_or_else(
                        || format!("main{}.ord", section.files.len()),
                        |n| n.trim().to_owned(),
                    );
                section.files.push((name, std::mem::take(body)));
                snippet = None;
            }
            Some(body) => {
                body.push_str(line);
                body.push('\n');
            }
            None if line.starts_with("```ord") => snippet = Some(String::new()),
            None if line.starts_with('#') => sections.push(Section {
                title: line.trim_start_matches('#').trim().to_owned(),
                files: Vec::new(),
            }),
            None => {}
        }
    }
    sections.retain(|s| !s.files.is_empty());
    sections
}

/// A checked section.
pub(crate) struct Run {
    /// Its texts.
    pub(crate) sources: Sources,
    /// Syntax diagnostics, then the checker's.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// What the checker made.
    #[allow(dead_code)]
    pub(crate) checked: Checked,
}

/// Parses and checks files as one project.
pub(crate) fn run(files: &[(String, String)]) -> Run {
    let mut sources = Sources::new();
    let mut diagnostics = Vec::new();
    let mut parsed = Vec::new();
    for (name, text) in files {
        let id = sources.add(name.as_str(), text.as_str());
        let mut file = parse(id, text);
        diagnostics.append(&mut file.diagnostics);
        parsed.push((name.trim_end_matches(".ord").replace('/', "."), file));
    }
    let modules = parsed
        .iter()
        .map(|(path, parsed)| ModuleInput {
            path,
            file: &parsed.file,
        })
        .collect();
    // A comment may choose the Kubernetes version.
    let kubernetes = files
        .iter()
        .flat_map(|(_, text)| text.lines())
        .find_map(|line| line.strip_prefix("// kubernetes: ")?.trim().parse().ok())
        .unwrap_or(KubeVersion::DEFAULT);
    let checked = check(&Input {
        modules,
        kubernetes,
        secrets: Vec::new(),
        texts: Vec::new(),
        crds: ordain_lang_types::Crds::new(),
    });
    diagnostics.extend(checked.diagnostics.iter().cloned());
    Run {
        sources,
        diagnostics,
        checked,
    }
}

/// A mistake which a comment expects.
struct Expected {
    file: String,
    line: u32,
    severity: &'static str,
    code: String,
    message: String,
    more: Vec<(String, String)>,
}

fn expectations(files: &[(String, String)]) -> Vec<Expected> {
    let mut expected = Vec::new();
    for (file, text) in files {
        for (at, line) in text.lines().enumerate() {
            let mut parts = line.split("// ");
            parts.next();
            for part in parts {
                let (severity, rest) = if let Some(rest) = part.strip_prefix("error: ") {
                    ("error", rest)
                } else if let Some(rest) = part.strip_prefix("warning: ") {
                    ("warning", rest)
                } else {
                    continue;
                };
                let (code, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                let mut words = Vec::new();
                let mut rest = rest.trim();
                let mut name = String::new();
                while !rest.is_empty() {
                    if let Some(quoted) = rest.strip_prefix('"') {
                        let closing = |(at, _): &(usize, &str)| !quoted[..*at].ends_with('\\');
                        let end = quoted
                            .match_indices('"')
                            .find(closing)
                            .map_or(quoted.len(), |(at, _)| at);
                        words.push((
                            std::mem::take(&mut name),
                            quoted[..end].replace("\\\"", "\""),
                        ));
                        rest = quoted.get(end + 1..).unwrap_or("").trim_start();
                    } else {
                        let end = rest.find(' ').unwrap_or(rest.len());
                        name = rest[..end].to_owned();
                        rest = rest[end..].trim_start();
                    }
                }
                let message = words
                    .iter()
                    .find(|(name, _)| name.is_empty())
                    .map(|(_, text)| text.clone())
                    .unwrap_or_default();
                words.retain(|(name, _)| !name.is_empty());
                expected.push(Expected {
                    file: file.clone(),
                    line: at as u32 + 1,
                    severity,
                    code: code.to_owned(),
                    message,
                    more: words,
                });
            }
        }
    }
    expected
}

/// Checks a section against its comments.
pub(crate) fn check_section(section: &Section) -> Result<(), String> {
    let run = run(&section.files);
    let mut expected = expectations(&section.files);
    let mut failures = String::new();
    for diagnostic in &run.diagnostics {
        let place = diagnostic.span();
        let (file, line) = place.map_or((String::new(), 0), |span| {
            (
                run.sources.path(span.file).to_owned(),
                run.sources.line_col(span).line,
            )
        });
        let severity = if diagnostic.is_error() {
            "error"
        } else {
            "warning"
        };
        let at = expected.iter().position(|e| {
            e.file == file
                && e.line == line
                && e.code == diagnostic.code
                && e.severity == severity
                && diagnostic.message.contains(&e.message)
        });
        match at {
            None => {
                let _ = writeln!(
                    failures,
                    "  not expected: {}",
                    render(&run.sources, diagnostic)
                );
            }
            Some(at) => {
                let expected = expected.remove(at);
                for (what, wanted) in expected.more {
                    let found = match what.as_str() {
                        "help" => diagnostic
                            .help
                            .as_deref()
                            .is_some_and(|h| h.contains(&wanted)),
                        "note" => diagnostic.notes.iter().any(|n| n.contains(&wanted)),
                        "env" => diagnostic.env.as_deref() == Some(wanted.as_str()),
                        "object" => diagnostic.object.as_deref() == Some(wanted.as_str()),
                        "rule" => diagnostic.labels.iter().skip(1).any(|l| {
                            let place = run.sources.place(l.span);
                            place.ends_with(&format!(":{wanted}")) || place == wanted
                        }),
                        _ => false,
                    };
                    if !found {
                        let _ = writeln!(
                            failures,
                            "  without {what} {wanted:?}: {}",
                            render(&run.sources, diagnostic)
                        );
                    }
                }
            }
        }
    }
    for expected in expected {
        let _ = writeln!(
            failures,
            "  not told: {}:{} {} {} {:?}",
            expected.file, expected.line, expected.severity, expected.code, expected.message
        );
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures)
    }
}

/// A diagnostic in plain lines.
pub(crate) fn render(sources: &Sources, diagnostic: &Diagnostic) -> String {
    let place = diagnostic.span().map_or_else(String::new, |s| {
        let at = sources.line_col(s);
        format!("{}:{}:{}", sources.path(s.file), at.line, at.column)
    });
    let severity = if diagnostic.is_error() {
        "error"
    } else {
        "warning"
    };
    let mut out = format!(
        "{place}: {severity} {}: {}",
        diagnostic.code, diagnostic.message
    );
    for label in &diagnostic.labels {
        let _ = write!(
            out,
            "\n      at {} `{}`: {}",
            sources.place(label.span),
            sources.slice(label.span).lines().next().unwrap_or(""),
            label.text
        );
    }
    for note in &diagnostic.notes {
        let _ = write!(out, "\n      note: {note}");
    }
    if let Some(help) = &diagnostic.help {
        let _ = write!(out, "\n      help: {help}");
    }
    if let Some(object) = &diagnostic.object {
        let _ = write!(out, "\n      object: {object}");
    }
    out
}
