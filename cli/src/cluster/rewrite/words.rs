//! Values and paths as the language writes them. Knows nothing of where they go.

use super::target::{Step, get, position};
use serde_json::Value;

/// Whether a text may stand without quotes where a quantity or a duration is expected.
pub(super) fn is_bare(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_digit());
    starts && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
}

/// Whether a text is a word: a field without quotes.
fn is_word(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A string with its quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' | '{' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A text of several lines between triple quotes, indented; none for one that must be written in one line.
fn block(text: &str, indent: usize) -> Option<String> {
    let lines: Vec<&str> = text.strip_suffix('\n')?.split('\n').collect();
    let is_plain = |line: &&str| {
        let odd = line.contains(['\t', '\r', '\\', '{']) || line.contains("\"\"\"");
        !odd && line.trim_end() == *line
    };
    // The indentation that all lines have in common is not part of the text.
    let has_edge = lines
        .iter()
        .any(|line| !line.is_empty() && !line.starts_with(' '));
    if lines.len() < 2 || !has_edge || !lines.iter().all(is_plain) {
        return None;
    }
    let pad = " ".repeat(indent);
    let mut out = String::from("\"\"\"\n");
    for line in lines {
        match line {
            "" => out.push('\n'),
            line => out.push_str(&format!("{pad}{line}\n")),
        }
    }
    out.push_str(&pad);
    out.push_str("\"\"\"");
    Some(out)
}

/// A value as a literal, in one line.
pub(super) fn literal(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(list) => {
            let items: Vec<String> = list.iter().map(literal).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) if map.is_empty() => "{}".to_owned(),
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| {
                let key = match is_word(key) {
                    true => key.clone(),
                    false => quoted(key),
                };
                format!("{key} = {}", literal(value))
            });
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

/// The ways in which a value may be written, the nicest first.
pub(super) fn literals(value: &Value, indent: usize) -> Vec<String> {
    let mut all = Vec::new();
    if let Value::String(text) = value {
        all.extend(block(text, indent));
        all.push(quoted(text));
        if is_bare(text) {
            all.push(text.clone());
        }
    } else {
        all.push(literal(value));
    }
    all
}

/// The ways in which a path may be written. `object` has what the path leads to, or led to.
pub(super) fn paths(object: &Value, steps: &[Step]) -> Vec<String> {
    let mut all = vec![String::new()];
    for (at, step) in steps.iter().enumerate() {
        let parent = get(object, &steps[..at]);
        let forms: Vec<String> = match parent {
            Some(Value::Array(list)) => element(list, &step.text),
            _ if is_word(&step.text) && !step.is_bracket => {
                let field = format!(".{}", step.text);
                match at + 1 == steps.len() && at > 0 {
                    true => vec![field, format!("[{}]", quoted(&step.text))],
                    false => vec![field],
                }
            }
            _ => vec![format!("[{}]", quoted(&step.text))],
        };
        all = (all.iter())
            .flat_map(|head| forms.iter().map(move |form| format!("{head}{form}")))
            .collect();
    }
    (all.into_iter())
        .map(|path| path.strip_prefix('.').map(str::to_owned).unwrap_or(path))
        .collect()
}

/// How an element of a list may be named.
fn element(list: &[Value], name: &str) -> Vec<String> {
    let (at, key) = position(list, name);
    let Some(key) = key else {
        return vec![format!("[{name}]")];
    };
    let item = at.map(|at| &list[at]);
    let is_text = item.is_some_and(|item| item[key].is_string());
    let one = match is_text {
        true => quoted(name),
        false => name.to_owned(),
    };
    let mut forms = vec![format!("[{one}]")];
    if let ("containerPort" | "port" | "name", Some(item)) = (key, item) {
        // Ports are told apart by their number and protocol (`x-kubernetes-list-map-keys`).
        let protocol = item["protocol"].as_str().unwrap_or("TCP");
        let number = item.get("containerPort").or_else(|| item.get("port"));
        if let Some(number) = number {
            forms.insert(0, format!("[{number}, {}]", quoted(protocol)));
            forms.push(format!("[{number}]"));
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::super::target::steps;
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_written_as_literals() {
        let value = json!({"a": [1, true, null], "b.c/d": {"x": "a {b} \"c\"\n"}, "e": {}});
        assert_eq!(
            literal(&value),
            r#"{ a = [1, true, null], "b.c/d" = { x = "a \{b} \"c\"\n" }, e = {} }"#
        );
        assert_eq!(
            literals(&json!("a\n  b\n\nc\n"), 4)[0],
            "\"\"\"\n    a\n      b\n\n    c\n    \"\"\""
        );
        assert_eq!(literals(&json!("256Mi"), 0), ["\"256Mi\"", "256Mi"]);
        assert_eq!(literals(&json!("a {b}\nc\n"), 0).len(), 1);
    }

    #[test]
    fn paths_name_fields_keys_and_elements() {
        let object = json!({"metadata": {"labels": {"a.b/c": "1"}}, "spec": {"containers": [
            {"name": "web", "ports": [{"containerPort": 80}], "args": ["a"]}]}});
        let first = |path: &str| paths(&object, &steps(path)).swap_remove(0);
        assert_eq!(
            first("metadata.labels[a.b/c]"),
            "metadata.labels[\"a.b/c\"]"
        );
        assert_eq!(
            first("spec.containers[web].args[0]"),
            "spec.containers[\"web\"].args[0]"
        );
        assert_eq!(
            paths(&object, &steps("spec.containers[web].ports[80]")),
            [
                "spec.containers[\"web\"].ports[80, \"TCP\"]",
                "spec.containers[\"web\"].ports[80]",
                "spec.containers[\"web\"].ports[80]",
            ]
        );
    }
}
