//! Checks a custom object against its structural schema, in the words of kube-openapi's validator
//! (`kube-openapi/pkg/validation/errors/schema.go`).

use serde_json::Value;

use super::Custom;
use crate::{
    json::{at, bool_at, list_at, str_at},
    status::{Cause, FieldError},
};

/// More causes than this help nobody.
const CAUSES_MAX: usize = 50;

/// Says what is wrong with an object.
pub(crate) fn validate(custom: &Custom, object: &Value, causes: &mut Vec<FieldError>) {
    check(&custom.schema, object, "", causes);
    causes.truncate(CAUSES_MAX);
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() {
        field.to_owned()
    } else {
        format!("{path}.{field}")
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Shows a value as Go's validator does in a type error.
fn shown(value: &Value) -> Value {
    match value {
        Value::Object(_) | Value::Array(_) | Value::Null => Value::from(type_of(value)),
        other => other.clone(),
    }
}

fn check(schema: &Value, value: &Value, path: &str, causes: &mut Vec<FieldError>) {
    if causes.len() > CAUSES_MAX {
        return;
    }
    let wanted = str_at(schema, &["type"]);
    let found = type_of(value);
    if value.is_null() && bool_at(schema, &["nullable"]) {
        return;
    }
    let int_or_string = bool_at(schema, &["x-kubernetes-int-or-string"]);
    let fits = match wanted {
        "" if int_or_string => matches!(found, "integer" | "string"),
        "" => true,
        "number" => matches!(found, "number" | "integer"),
        other => other == found,
    };
    if !fits {
        let wanted = if wanted.is_empty() {
            "integer,string"
        } else {
            wanted
        };
        let why = format!("{path} in body must be of type {wanted}: {:?}", found);
        causes.push(Cause::wrong_type(path, shown(value), &why));
        return;
    }
    let mut refuse = |why: String| {
        causes.push(Cause::invalid(
            path,
            &shown(value),
            &format!("{path} in body {why}"),
        ))
    };
    match value {
        Value::String(text) => {
            let length = text.chars().count();
            if schema["maxLength"]
                .as_u64()
                .is_some_and(|max| length as u64 > max)
            {
                refuse(format!(
                    "should be at most {} chars long",
                    schema["maxLength"]
                ));
            }
            if schema["minLength"]
                .as_u64()
                .is_some_and(|min| (length as u64) < min)
            {
                refuse(format!(
                    "should be at least {} chars long",
                    schema["minLength"]
                ));
            }
            let pattern = str_at(schema, &["pattern"]);
            // A pattern this engine does not know (Go's is nearly the same) refuses nothing.
            if !pattern.is_empty() && regex::Regex::new(pattern).is_ok_and(|r| !r.is_match(text)) {
                refuse(format!("should match '{pattern}'"));
            }
        }
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or(0.0);
            let strict = |field: &str| bool_at(schema, &[field]);
            if let Some(max) = schema["maximum"].as_f64()
                && (number > max || (strict("exclusiveMaximum") && number >= max))
            {
                refuse(format!(
                    "should be less than or equal to {}",
                    schema["maximum"]
                ));
            }
            if let Some(min) = schema["minimum"].as_f64()
                && (number < min || (strict("exclusiveMinimum") && number <= min))
            {
                refuse(format!(
                    "should be greater than or equal to {}",
                    schema["minimum"]
                ));
            }
        }
        Value::Array(items) => {
            if schema["maxItems"]
                .as_u64()
                .is_some_and(|max| items.len() as u64 > max)
            {
                refuse(format!("should have at most {} items", schema["maxItems"]));
            }
            if schema["minItems"]
                .as_u64()
                .is_some_and(|min| (items.len() as u64) < min)
            {
                refuse(format!("should have at least {} items", schema["minItems"]));
            }
        }
        Value::Object(map) => {
            if schema["maxProperties"]
                .as_u64()
                .is_some_and(|max| map.len() as u64 > max)
            {
                refuse(format!(
                    "should have at most {} properties",
                    schema["maxProperties"]
                ));
            }
            if schema["minProperties"]
                .as_u64()
                .is_some_and(|min| (map.len() as u64) < min)
            {
                refuse(format!(
                    "should have at least {} properties",
                    schema["minProperties"]
                ));
            }
        }
        _ => {}
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        let names: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        causes.push(Cause::unsupported(path, value, &names));
    }
    children(schema, value, path, causes);
    combinations(schema, value, path, causes);
}

fn children(schema: &Value, value: &Value, path: &str, causes: &mut Vec<FieldError>) {
    match value {
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for (index, item) in items.iter().enumerate() {
                    check(schema, item, &format!("{path}[{index}]"), causes);
                }
            }
        }
        Value::Object(map) => {
            for field in list_at(schema, &["required"])
                .iter()
                .filter_map(Value::as_str)
            {
                if !map.contains_key(field) {
                    causes.push(Cause::required(join(path, field), ""));
                }
            }
            for (field, inner) in map {
                // The metadata of the object itself was checked against its own type.
                if path.is_empty() && matches!(field.as_str(), "apiVersion" | "kind" | "metadata") {
                    continue;
                }
                let known = at(schema, &["properties", field]);
                let schema = known.or(schema.get("additionalProperties").filter(|a| a.is_object()));
                if let Some(schema) = schema {
                    check(schema, inner, &join(path, field), causes);
                }
            }
        }
        _ => {}
    }
}

fn combinations(schema: &Value, value: &Value, path: &str, causes: &mut Vec<FieldError>) {
    let holds = |schema: &Value| {
        let mut found = Vec::new();
        check(schema, value, path, &mut found);
        found.is_empty()
    };
    for part in list_at(schema, &["allOf"]) {
        check(part, value, path, causes);
    }
    let any = list_at(schema, &["anyOf"]);
    if !any.is_empty() && !any.iter().any(holds) {
        let why = format!("{path} in body must validate at least one schema (anyOf)");
        causes.push(Cause::invalid(path, &shown(value), &why));
    }
    let one = list_at(schema, &["oneOf"]);
    if !one.is_empty() && one.iter().filter(|s| holds(s)).count() != 1 {
        let why = format!("{path} in body must validate one and only one schema (oneOf)");
        causes.push(Cause::invalid(path, &shown(value), &why));
    }
    if schema.get("not").is_some_and(holds) {
        let why = format!("{path} in body must not validate the schema (not)");
        causes.push(Cause::invalid(path, &shown(value), &why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check_value(value: Value, expected: &[&str]) {
        let custom = Custom {
            schema: json!({"type": "object", "required": ["spec"], "properties": {"spec": {"type": "object", "required": ["size"], "properties": {
                "size": {"type": "integer", "minimum": 1, "maximum": 9},
                "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
                "mode": {"type": "string", "enum": ["fast", "slow"]},
                "port": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
                "list": {"type": "array", "maxItems": 1, "items": {"type": "string"}},
            }}}}),
            ..Custom::default()
        };
        let mut causes = Vec::new();
        validate(&custom, &value, &mut causes);
        let texts: Vec<String> = causes.iter().map(ToString::to_string).collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn objects_are_checked() {
        check_value(
            json!({"spec": {"size": 1, "name": "abc", "mode": "fast", "port": "http", "list": ["a"]}}),
            &[],
        );
        check_value(json!({}), &["spec: Required value"]);
        check_value(
            json!({"spec": {"size": "big", "name": "ABCDEFG", "mode": "odd", "port": true, "list": ["a", 1]}}),
            &[
                "spec.size: Invalid value: \"big\": spec.size in body must be of type integer: \"string\"",
                "spec.name: Invalid value: \"ABCDEFG\": spec.name in body should be at most 5 chars long",
                "spec.name: Invalid value: \"ABCDEFG\": spec.name in body should match '^[a-z]+$'",
                "spec.mode: Unsupported value: \"odd\": supported values: \"fast\", \"slow\"",
                "spec.port: Invalid value: true: spec.port in body must be of type integer,string: \"boolean\"",
                "spec.list: Invalid value: \"array\": spec.list in body should have at most 1 items",
                "spec.list[1]: Invalid value: 1: spec.list[1] in body must be of type string: \"integer\"",
            ],
        );
        check_value(
            json!({"spec": {"size": 10}}),
            &["spec.size: Invalid value: 10: spec.size in body should be less than or equal to 9"],
        );
    }
}
