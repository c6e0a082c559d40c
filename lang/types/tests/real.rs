//! Real objects through the checker: every built-in kind fully filled, and a large install manifest.
//!
//! They lie in the folder `shared` beside the checkout; without it this suite says that it was left out.

#![allow(clippy::print_stdout)]

#[path = "support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};

use serde_json::Value;

fn shared(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(folder);
    if !path.is_dir() {
        println!("left out: there is no {}", path.display());
        return None;
    }
    Some(path)
}

/// Checks an object where any object is expected: the codes told, with their texts.
fn told(object: &Value) -> Vec<(&'static str, String)> {
    let json = serde_json::to_string_pretty(object).expect("it was read from JSON");
    // Braces in JSON strings are text, in `.ord` strings they would be expressions.
    let text = format!(
        "let objects: List<k8s.Object> = [{}]\n",
        json_as_ord(object, &json)
    );
    let run = support::run(&[("main.ord".to_owned(), text)]);
    run.diagnostics
        .iter()
        .map(|d| (d.code, support::render(&run.sources, d)))
        .collect()
}

/// JSON with the braces in its strings escaped.
fn json_as_ord(object: &Value, pretty: &str) -> String {
    if !has_brace(object) {
        return pretty.to_owned();
    }
    let mut out = String::with_capacity(pretty.len());
    let mut inside = false;
    let mut chars = pretty.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if inside => {
                out.push(c);
                out.extend(chars.next());
                continue;
            }
            '"' => inside = !inside,
            '{' if inside => out.push('\\'),
            _ => {}
        }
        out.push(c);
    }
    out
}

fn has_brace(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('{'),
        Value::Array(items) => items.iter().any(has_brace),
        Value::Object(fields) => fields
            .iter()
            .any(|(key, v)| key.contains('{') || has_brace(v)),
        _ => false,
    }
}

#[test]
fn every_kind_has_the_fields_that_the_api_has() {
    let Some(folder) = shared("api-vectors") else {
        return;
    };
    let table = ordain_schemas::table(ordain_schemas::KubeVersion::DEFAULT);
    let (mut ran, mut left) = (0, 0);
    let mut failures = Vec::new();
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("readable")
        .map(|e| e.expect("readable").path())
        .filter(|p| p.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    for path in files {
        let text = std::fs::read_to_string(&path).expect("readable");
        let object: Value = serde_json::from_str(&text).expect("JSON");
        let text_of = |key: &str| object[key].as_str().unwrap_or("").to_owned();
        let known = table.kind_of(&text_of("apiVersion"), &text_of("kind"));
        if known.is_none_or(|k| !k.is_resource()) {
            left += 1;
            continue;
        }
        ran += 1;
        // The values are fillers ("nameValue") in every field, also in those which exclude each other: they break enums,
        // formats and relations, but not fields and types.
        for (code, text) in told(&object) {
            if !code.starts_with("E07")
                && !matches!(code, "E0203" | "E0205" | "E0206" | "E0211" | "E0213")
            {
                failures.push(format!("{}: {text}", path.display()));
            }
        }
    }
    println!("{ran} kinds checked, {left} files are no kind of this version");
    assert!(ran > 50);
    assert!(
        failures.is_empty(),
        "{} of {ran}:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn a_large_manifest_has_no_mistakes() {
    let Some(folder) = shared("manifests") else {
        return;
    };
    let mut ran = 0;
    let mut failures = Vec::new();
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        let text = std::fs::read_to_string(&path).expect("readable");
        for document in serde_yaml::Deserializer::from_str(&text) {
            let object = <Value as serde::Deserialize>::deserialize(document).expect("YAML");
            if object.is_null() {
                continue;
            }
            ran += 1;
            for (_, text) in told(&object) {
                failures.push(format!(
                    "{} {}: {text}",
                    object["kind"], object["metadata"]["name"]
                ));
            }
        }
    }
    println!("{ran} objects checked");
    assert!(
        failures.is_empty(),
        "{} of {ran}:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
