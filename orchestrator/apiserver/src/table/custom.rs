//! Rows of custom resources, from the columns of their definition.
//!
//! The paths of `additionalPrinterColumns` are simple JSONPath: fields, indexes, and a filter on one
//! field. What is more than that shows nothing.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cells;
use crate::{
    custom::Custom,
    json::{int_at, str_at},
};

/// Returns the column definitions.
pub(super) fn columns(definition: &Custom) -> Vec<Value> {
    let mut list = vec![json!({
        "name": "Name", "type": "string", "format": "name", "priority": 0,
        "description": super::describe("Name"),
    })];
    for column in &definition.columns {
        list.push(json!({
            "name": str_at(column, &["name"]),
            "type": str_at(column, &["type"]),
            "format": str_at(column, &["format"]),
            "description": str_at(column, &["description"]),
            "priority": int_at(column, &["priority"]).unwrap_or(0),
        }));
    }
    if definition.columns.is_empty() {
        list.push(json!({
            "name": "Age", "type": "date", "format": "", "priority": 0,
            "description": super::describe("Age"),
        }));
    }
    list
}

/// Returns the cells of an object.
pub(super) fn cells(definition: &Custom, object: &Value, now: Timestamp) -> Vec<Value> {
    let mut row = vec![cells::name(object)];
    for column in &definition.columns {
        let found = lookup(object, str_at(column, &["jsonPath"]));
        row.push(match (str_at(column, &["type"]), found) {
            (_, None) => Value::Null,
            ("date", Some(value)) => cells::since(value.as_str().unwrap_or(""), now).into(),
            ("integer" | "number" | "boolean", Some(value)) => value.clone(),
            (_, Some(Value::String(text))) => text.as_str().into(),
            (_, Some(other)) => other.to_string().into(),
        });
    }
    if definition.columns.is_empty() {
        row.push(cells::age(object, now));
    }
    row
}

/// Returns the first value at a path such as `.status.conditions[?(@.type=="Ready")].status`.
pub(crate) fn lookup<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let mut value = object;
    let mut rest = path.trim_matches(['{', '}']).trim_start_matches('$');
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('[') {
            let (inside, tail) = tail.split_once(']')?;
            rest = tail;
            value = if let Some(filter) = inside.strip_prefix("?(@.") {
                let (field, wanted) = filter.strip_suffix(')')?.split_once("==")?;
                let wanted = wanted.trim().trim_matches(['"', '\'']);
                let fits = |v: &&Value| str_at(v, &[field.trim()]) == wanted;
                value.as_array()?.iter().find(fits)?
            } else if inside == "*" {
                value.as_array()?.first()?
            } else if let Ok(index) = inside.parse::<usize>() {
                value.get(index)?
            } else {
                value.get(inside.trim_matches(['"', '\'']))?
            };
        } else {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            // A dot inside a name is written `\.`.
            let mut name = String::new();
            let mut chars = rest.char_indices();
            let mut end = rest.len();
            while let Some((at, c)) = chars.next() {
                match c {
                    '\\' => name.extend(chars.next().map(|(_, c)| c)),
                    '.' | '[' => {
                        end = at;
                        break;
                    }
                    _ => name.push(c),
                }
            }
            rest = &rest[end..];
            value = value.get(&name)?;
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simple_paths_are_followed() {
        let object = json!({"a": {"b.c": [{"type": "Ready", "status": "True"}, {"type": "X"}]}});
        for (path, expected) in [
            (r".a.b\.c[0].status", Some("True")),
            (r#".a.b\.c[?(@.type=="Ready")].status"#, Some("True")),
            (r".a.b\.c[1].status", None),
            (".x.y", None),
            (".a[", None),
        ] {
            assert_eq!(
                lookup(&object, path).and_then(Value::as_str),
                expected,
                "{path}"
            );
        }
    }
}
