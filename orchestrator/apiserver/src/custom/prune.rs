//! Takes away what a structural schema does not know, and fills in its defaults.
//!
//! Facts: `apiextensions-apiserver/pkg/apiserver/schema/{pruning,defaulting}`.

use ordain_schemas::Table;
use serde_json::{Map, Value};

use super::{Custom, conform_metadata};
use crate::json::bool_at;

/// Fields that every object has, whatever its schema says.
const ALWAYS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Removes what the schema does not know and returns the paths of it.
///
/// # Errors
/// When the metadata is of the wrong type.
pub(crate) fn conform(
    table: &Table,
    custom: &Custom,
    object: &mut Value,
) -> Result<Vec<String>, String> {
    let mut unknown = conform_metadata(table, object)?;
    prune(
        &custom.schema,
        object,
        &mut String::new(),
        true,
        &mut unknown,
    );
    Ok(unknown)
}

fn within(path: &mut String, part: &str, act: impl FnOnce(&mut String)) {
    let length = path.len();
    if !path.is_empty() && !part.starts_with('[') {
        path.push('.');
    }
    path.push_str(part);
    act(path);
    path.truncate(length);
}

fn prune(
    schema: &Value,
    value: &mut Value,
    path: &mut String,
    root: bool,
    unknown: &mut Vec<String>,
) {
    let keeps = bool_at(schema, &["x-kubernetes-preserve-unknown-fields"]);
    let embedded = root || bool_at(schema, &["x-kubernetes-embedded-resource"]);
    match value {
        Value::Array(items) => {
            let Some(schema) = schema.get("items") else {
                return;
            };
            for (index, item) in items.iter_mut().enumerate() {
                within(path, &format!("[{index}]"), |path| {
                    prune(schema, item, path, false, unknown)
                });
            }
        }
        Value::Object(map) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let additional = schema.get("additionalProperties");
            let mut dropped = Vec::new();
            for (field, inner) in map.iter_mut() {
                if embedded && ALWAYS.contains(&field.as_str()) {
                    continue;
                }
                let known = properties.and_then(|p| p.get(field));
                let other = additional.filter(|a| **a != Value::Bool(false));
                match known.or(other) {
                    Some(schema) => {
                        within(path, field, |path| {
                            prune(schema, inner, path, false, unknown)
                        });
                    }
                    None if keeps => {}
                    None => {
                        within(path, field, |path| unknown.push(path.clone()));
                        dropped.push(field.clone());
                    }
                }
            }
            for field in dropped {
                map.shift_remove(&field);
            }
        }
        _ => {}
    }
}

/// Fills in the defaults of the schema.
pub(crate) fn defaults(custom: &Custom, object: &mut Value) {
    fill(&custom.schema, object);
}

fn fill(schema: &Value, value: &mut Value) {
    match value {
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items.iter_mut().for_each(|item| fill(schema, item));
            }
        }
        Value::Object(map) => {
            let empty = Map::new();
            let properties = schema
                .get("properties")
                .and_then(Value::as_object)
                .unwrap_or(&empty);
            for (field, schema) in properties {
                // A null where null is not allowed counts as absent when there is a default.
                let absent = match map.get(field) {
                    None => true,
                    Some(value) => value.is_null() && !bool_at(schema, &["nullable"]),
                };
                if let Some(default) = schema.get("default").filter(|_| absent) {
                    map.insert(field.clone(), default.clone());
                }
                if let Some(inner) = map.get_mut(field) {
                    fill(schema, inner);
                }
            }
            if let Some(schema) = schema.get("additionalProperties").filter(|s| s.is_object()) {
                let others = map
                    .iter_mut()
                    .filter(|(field, _)| !properties.contains_key(*field));
                others.for_each(|(_, inner)| fill(schema, inner));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ordain_schemas::{KubeVersion, table};
    use serde_json::json;

    #[test]
    fn objects_are_pruned_and_filled_in() {
        let custom = Custom {
            schema: json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
                "size": {"type": "integer", "default": 3},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"a": {"type": "string"}}}},
                "list": {"type": "array", "items": {"type": "object", "properties": {"b": {"type": "string", "default": "x"}}}},
            }}}}),
            ..Custom::default()
        };
        let mut object = json!({"apiVersion": "e/v1", "kind": "E", "metadata": {"name": "n"}, "extra": 1,
            "spec": {"size": null, "free": {"any": {"thing": 1}}, "map": {"k": {"a": "1", "c": 2}}, "list": [{"z": 1}]}});
        let unknown =
            conform(table(KubeVersion::DEFAULT), &custom, &mut object).expect("metadata is right");
        assert_eq!(unknown, ["extra", "spec.map.k.c", "spec.list[0].z"]);
        defaults(&custom, &mut object);
        assert_eq!(
            object["spec"],
            json!({"size": 3, "free": {"any": {"thing": 1}}, "map": {"k": {"a": "1"}}, "list": [{"b": "x"}]})
        );
    }
}
