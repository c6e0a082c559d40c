//! A document as text, in the way SOPS itself writes it.

use std::fmt::Write as _;

use crate::document::{Document, Format, Node, spelled};

/// Spaces per level, as SOPS writes YAML.
const INDENT: usize = 4;

/// Writes a document with its metadata last.
pub(crate) fn document(document: &Document) -> String {
    let metadata = document.metadata.to_node();
    match document.format {
        Format::Json => {
            let mut all = document.root.clone();
            all.push(("sops".to_owned(), Node::Map(metadata)));
            let mut text =
                serde_json::to_string_pretty(&to_json(&Node::Map(all))).unwrap_or_default();
            text.push('\n');
            text
        }
        Format::Dotenv => dotenv(&document.root, metadata),
        _ => {
            let mut out = String::new();
            map(&mut out, &document.root, 0);
            out.push_str("sops:\n");
            map(&mut out, &metadata, INDENT);
            out
        }
    }
}

fn to_json(node: &Node) -> serde_json::Value {
    match node {
        Node::Map(map) => map
            .iter()
            .map(|(key, node)| (key.clone(), to_json(node)))
            .collect(),
        Node::List(list) => list.iter().map(to_json).collect(),
        Node::Text(text) => text.as_str().into(),
        Node::Int(n) => (*n).into(),
        Node::Float(f) => (*f).into(),
        Node::Bool(b) => (*b).into(),
        Node::Null => serde_json::Value::Null,
    }
}

pub(crate) fn map(out: &mut String, map: &[(String, Node)], indent: usize) {
    for (key, node) in map {
        let _ = write!(out, "{:indent$}{}:", "", scalar(key));
        value(out, node, indent);
    }
}

/// Writes what stands behind `key:` or `-`.
fn value(out: &mut String, node: &Node, indent: usize) {
    match node {
        Node::Map(inner) if inner.is_empty() => out.push_str(" {}\n"),
        Node::List(list) if list.is_empty() => out.push_str(" []\n"),
        Node::Map(inner) => {
            out.push('\n');
            map(out, inner, indent + INDENT);
        }
        Node::List(list) => {
            out.push('\n');
            for item in list {
                let mut text = String::new();
                match item {
                    Node::Map(inner) if !inner.is_empty() => {
                        map(&mut text, inner, indent + INDENT + 2)
                    }
                    other => {
                        value(&mut text, other, indent + INDENT);
                        text.insert_str(0, &" ".repeat(indent + INDENT + 1));
                    }
                }
                text.replace_range(indent + INDENT..indent + INDENT + 1, "-");
                out.push_str(&text);
            }
        }
        // An armored key: a block of lines.
        Node::Text(text)
            if text.ends_with('\n') && !text.starts_with([' ', '\n']) && is_printable(text) =>
        {
            out.push_str(" |\n");
            for line in text.lines() {
                let _ = writeln!(out, "{:width$}{line}", "", width = indent + INDENT);
            }
        }
        Node::Text(text) => {
            let _ = writeln!(out, " {}", scalar(text));
        }
        Node::Bool(b) => {
            let _ = writeln!(out, " {b}");
        }
        Node::Null => out.push_str(" null\n"),
        other => {
            let _ = writeln!(out, " {}", spelled(other).unwrap_or_default());
        }
    }
}

fn is_printable(text: &str) -> bool {
    text.lines()
        .all(|line| !line.is_empty() && line.bytes().all(|b| (32..127).contains(&b)))
}

/// A scalar on one line: plain where that cannot be misread, else as JSON writes it.
fn scalar(text: &str) -> String {
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "true" | "false" | "yes" | "no" | "on" | "off" | "null" | "y" | "n"
        );
    let sealed = text.starts_with("ENC[") && !text.contains([' ', '\n', '#']);
    match word || sealed {
        true => text.to_owned(),
        false => serde_json::Value::from(text).to_string(),
    }
}

fn dotenv(root: &[(String, Node)], metadata: Vec<(String, Node)>) -> String {
    let mut out = String::new();
    let escaped = |text: &str| text.replace('\n', "\\n");
    for (key, node) in root {
        let _ = writeln!(out, "{key}={}", escaped(&spelled(node).unwrap_or_default()));
    }
    let mut flat = Vec::new();
    for (key, node) in &metadata {
        flatten(key, node, &mut flat);
    }
    flat.sort();
    for (key, text) in flat {
        let _ = writeln!(out, "sops_{key}={}", escaped(&text));
    }
    out
}

fn flatten(path: &str, node: &Node, flat: &mut Vec<(String, String)>) {
    match node {
        Node::Map(map) => {
            for (key, node) in map {
                flatten(&format!("{path}__map_{key}"), node, flat);
            }
        }
        Node::List(list) => {
            for (at, node) in list.iter().enumerate() {
                flatten(&format!("{path}__list_{at}"), node, flat);
            }
        }
        Node::Null => {}
        Node::Bool(b) => flat.push((path.to_owned(), b.to_string())),
        other => flat.push((path.to_owned(), spelled(other).unwrap_or_default())),
    }
}
