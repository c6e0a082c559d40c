//! Diagnostics as SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format"), which code scanning services read.
//! A pure function of what `check` found.

use ordain_lang_syntax::{Diagnostic, Label, Severity, Sources, Span};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Where the schema of the format lies; it names the version that is meant.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json";

/// The folder that relative paths are meant from; services put the root of the repository here.
const ROOT: &str = "%SRCROOT%";

/// Returns the log of one run.
pub(crate) fn log(diagnostics: &[Diagnostic], sources: &Sources) -> Value {
    let codes: BTreeSet<&str> = diagnostics.iter().map(|d| d.code).collect();
    let codes: Vec<&str> = codes.into_iter().collect();
    let mut seen = BTreeMap::new();
    let results: Vec<Value> = diagnostics
        .iter()
        .map(|d| {
            let rule = codes.iter().position(|code| *code == d.code);
            result(d, rule.unwrap_or(0), sources, &mut seen)
        })
        .collect();
    let failed = diagnostics.iter().any(Diagnostic::is_error);
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "ordain",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": codes.iter().map(|code| rule(code)).collect::<Vec<_>>(),
            } },
            "invocations": [{ "executionSuccessful": true, "exitCode": i32::from(failed) }],
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": { ROOT: { "description": { "text": "the folder that `ordain check` was run for" } } },
            "results": results,
        }],
    })
}

/// A code with its page.
fn rule(code: &str) -> Value {
    let page = ordain_lang_types::page(code).unwrap_or("");
    let (heading, text) = page.split_once('\n').unwrap_or((page, ""));
    let title = heading
        .trim_start_matches('#')
        .trim()
        .trim_start_matches(code)
        .trim_start_matches(':')
        .trim();
    let title = if title.is_empty() { code } else { title };
    let body = text.trim();
    let first = body.split("\n\n").next().unwrap_or("").replace('\n', " ");
    let level = if code.starts_with('W') {
        "warning"
    } else {
        "error"
    };
    let mut rule = json!({
        "id": code,
        "shortDescription": { "text": title },
        "defaultConfiguration": { "level": level },
    });
    if !first.is_empty() {
        rule["fullDescription"] = json!({ "text": first });
    }
    if !body.is_empty() {
        rule["help"] = json!({ "text": body, "markdown": body });
    }
    rule
}

fn result(
    diagnostic: &Diagnostic,
    rule: usize,
    sources: &Sources,
    seen: &mut BTreeMap<String, u32>,
) -> Value {
    let mut result = json!({
        "ruleId": diagnostic.code,
        "ruleIndex": rule,
        "level": level(diagnostic.severity),
        "message": { "text": message(diagnostic) },
        "partialFingerprints": { "ordain/v1": fingerprint(diagnostic, sources, seen) },
    });
    let mut labels = diagnostic.labels.iter();
    if let Some(main) = labels.next() {
        let mut location = json!({ "physicalLocation": place(main.span, sources) });
        if !main.text.is_empty() {
            location["message"] = json!({ "text": main.text });
        }
        if let Some(object) = &diagnostic.object {
            location["logicalLocations"] =
                json!([{ "fullyQualifiedName": object, "kind": "resource" }]);
        }
        result["locations"] = json!([location]);
    }
    let related: Vec<Value> = labels
        .enumerate()
        .map(|(at, label)| related(at, label, sources))
        .collect();
    if !related.is_empty() {
        result["relatedLocations"] = related.into();
    }
    if let Some(fix) = fix(diagnostic, sources) {
        result["fixes"] = json!([fix]);
    }
    let mut properties = Map::new();
    for (name, value) in [
        ("object", &diagnostic.object),
        ("environment", &diagnostic.env),
    ] {
        if let Some(value) = value {
            properties.insert(name.to_owned(), json!(value));
        }
    }
    if !properties.is_empty() {
        result["properties"] = properties.into();
    }
    result
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Advice => "note",
    }
}

/// The message must do alone: many viewers show nothing else.
fn message(diagnostic: &Diagnostic) -> String {
    let mut text = diagnostic.message.clone();
    if let Some(object) = &diagnostic.object {
        text.push_str(&format!(" ({object}"));
        if let Some(env) = &diagnostic.env {
            text.push_str(&format!(" in {env}"));
        }
        text.push(')');
    }
    if let Some(help) = &diagnostic.help {
        text.push_str(&format!("\nhelp: {help}"));
    }
    for note in &diagnostic.notes {
        text.push_str(&format!("\nnote: {note}"));
    }
    text
}

fn related(at: usize, label: &Label, sources: &Sources) -> Value {
    let text = match &*label.text {
        "" => "see also",
        text => text,
    };
    json!({
        "id": at,
        "physicalLocation": place(label.span, sources),
        "message": { "text": text },
    })
}

fn place(span: Span, sources: &Sources) -> Value {
    json!({ "artifactLocation": artifact(span, sources), "region": region(span, sources) })
}

fn artifact(span: Span, sources: &Sources) -> Value {
    let path = sources.path(span.file).replace('\\', "/");
    let path = path.trim_start_matches("./");
    match path.starts_with('/') {
        true => json!({ "uri": format!("file://{}", percent(path)) }),
        false => json!({ "uri": percent(path), "uriBaseId": ROOT }),
    }
}

fn region(span: Span, sources: &Sources) -> Value {
    let (start, end) = (sources.line_col(span), sources.line_col(span.after()));
    json!({
        "startLine": start.line,
        "startColumn": start.column,
        "endLine": end.line,
        "endColumn": end.column,
    })
}

/// RFC 3986, section 2: what a path of a URI may hold as it is.
fn percent(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Stays the same when lines above are added or removed: code, file, what the line says, and its number among equals.
fn fingerprint(
    diagnostic: &Diagnostic,
    sources: &Sources,
    seen: &mut BTreeMap<String, u32>,
) -> String {
    let mut hash = Sha256::new();
    hash.update(diagnostic.code);
    hash.update([0]);
    hash.update(&diagnostic.message);
    if let Some(span) = diagnostic.span() {
        let number = sources.line_col(span).line as usize;
        let line = sources
            .text(span.file)
            .lines()
            .nth(number - 1)
            .unwrap_or("");
        hash.update([0]);
        hash.update(sources.path(span.file));
        hash.update([0]);
        hash.update(line.trim());
    }
    let hex: String = hash
        .finalize()
        .iter()
        .take(16)
        .map(|b| format!("{b:02x}"))
        .collect();
    let number = seen.entry(hex.clone()).or_default();
    *number += 1;
    format!("{hex}:{number}")
}

/// The edit that a suggestion means, when it is one name for another.
fn fix(diagnostic: &Diagnostic, sources: &Sources) -> Option<Value> {
    let (span, text) = edit(diagnostic, sources)?;
    Some(json!({
        "description": { "text": diagnostic.help },
        "artifactChanges": [{
            "artifactLocation": artifact(span, sources),
            "replacements": [{
                "deletedRegion": region(span, sources),
                "insertedContent": { "text": text },
            }],
        }],
    }))
}

/// Reads ``did you mean `name`?``: the marked word is replaced, keeping its quotes.
fn edit(diagnostic: &Diagnostic, sources: &Sources) -> Option<(Span, String)> {
    let near = diagnostic
        .help
        .as_deref()?
        .strip_prefix("did you mean `")?
        .strip_suffix("`?")?;
    let span = diagnostic.span()?;
    let word = sources.slice(span);
    let is_word = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'))
    };
    let quoted = word.strip_prefix('"').and_then(|w| w.strip_suffix('"'));
    match quoted {
        Some(inner) if is_word(inner) => {
            let near = near.trim_matches('"');
            is_word(near).then(|| (span, format!("\"{near}\"")))
        }
        Some(_) => None,
        None if is_word(word) && is_word(near) => Some((span, near.to_owned())),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ordain_lang_syntax::FileId;

    fn sources() -> (Sources, FileId) {
        let mut sources = Sources::new();
        let file = sources.add("my apps/shop.ord", "let a = 1\nmetadata.nmae = 5\n");
        (sources, file)
    }

    #[test]
    fn a_suggestion_becomes_an_edit() {
        let (sources, file) = sources();
        let found = Diagnostic::error("E0201", "no field `nmae`")
            .label(Span::new(file, 19, 23), "unknown field")
            .help("did you mean `name`?");
        let log = log(&[found], &sources);
        let result = &log["runs"][0]["results"][0];
        let change = &result["fixes"][0]["artifactChanges"][0];
        assert_eq!(change["artifactLocation"]["uri"], "my%20apps/shop.ord");
        assert_eq!(change["replacements"][0]["insertedContent"]["text"], "name");
        assert_eq!(change["replacements"][0]["deletedRegion"]["startLine"], 2);
    }

    #[test]
    fn fingerprints_tell_equals_apart_and_survive_new_lines_above() {
        let (sources, file) = sources();
        let found = Diagnostic::error("E0201", "no").label(Span::new(file, 19, 23), "");
        let prints = |log: Value| -> Vec<String> {
            let results = log["runs"][0]["results"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let print = |r: &Value| r["partialFingerprints"]["ordain/v1"].to_string();
            results.iter().map(print).collect()
        };
        let both = prints(log(&[found.clone(), found], &sources));
        assert_ne!(both[0], both[1]);
        let mut moved = Sources::new();
        let file = moved.add("my apps/shop.ord", "\n\nlet a = 1\n  metadata.nmae = 5\n");
        let found = Diagnostic::error("E0201", "no").label(Span::new(file, 23, 27), "");
        assert_eq!(prints(log(&[found], &moved))[0], both[0]);
    }
}
