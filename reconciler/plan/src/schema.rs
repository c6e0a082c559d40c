//! Checks an object against the definition of its kind, before a server knows that definition.
//!
//! A structural schema (OpenAPI v3 as Kubernetes narrows it) with the rules that are local to a value: types,
//! required and unknown fields, enums, bounds. Patterns, formats and CEL rules are left to the server; what is
//! found here would be refused there in any case.

use serde_json::{Map, Value};

/// Findings reported for one object; more of them are one mistake seen often.
const FINDINGS_MAX: usize = 20;

/// Returns what is wrong with `object` by the CustomResourceDefinition `definition`, one line each.
#[must_use]
pub fn check(definition: &Value, object: &Value) -> Vec<String> {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
    let api_version = text("/apiVersion").unwrap_or_default();
    let version = api_version
        .split_once('/')
        .map_or(api_version, |(_, version)| version);
    let versions = definition
        .pointer("/spec/versions")
        .and_then(Value::as_array);
    let found = versions
        .into_iter()
        .flatten()
        .find(|found| found["name"] == version);
    let Some(found) = found else {
        return vec![format!("its definition has no version `{version}`")];
    };
    if found["served"] == false {
        return vec![format!("its definition does not serve version `{version}`")];
    }
    let Some(schema) = found.pointer("/schema/openAPIV3Schema") else {
        return Vec::new();
    };
    let mut check = Check {
        path: String::new(),
        found: Vec::new(),
    };
    check.root(schema, object);
    check.found.truncate(FINDINGS_MAX);
    check.found
}

struct Check {
    path: String,
    found: Vec<String>,
}

impl Check {
    fn say(&mut self, what: &str) {
        self.found.push(format!("{}: {what}", self.path));
    }

    fn inside(&mut self, part: &str, check: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if !self.path.is_empty() && !part.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(part);
        check(self);
        self.path.truncate(length);
    }

    /// `apiVersion`, `kind` and `metadata` belong to Kubernetes, whatever the schema says of them; `status` is
    /// never applied.
    fn root(&mut self, schema: &Value, object: &Value) {
        const OWN: [&str; 4] = ["apiVersion", "kind", "metadata", "status"];
        let Some(map) = object.as_object() else {
            return;
        };
        let rest = map
            .iter()
            .filter(|(key, _)| !OWN.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect::<Map<_, _>>();
        self.fields(schema, &rest, &OWN);
    }

    fn value(&mut self, schema: &Value, value: &Value) {
        if value.is_null() {
            // An explicit null is pruned before it is checked, unless the schema allows it.
            return;
        }
        if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
            && !allowed.contains(value)
        {
            let words: Vec<_> = allowed.iter().map(Value::to_string).collect();
            self.say(&format!("{value} is none of {}", words.join(", ")));
            return;
        }
        if schema["x-kubernetes-int-or-string"] == true {
            if !value.is_string() && !value.is_i64() && !value.is_u64() {
                self.say("must be an integer or a string");
            }
            return;
        }
        let wanted = schema.get("type").and_then(Value::as_str).unwrap_or("");
        let fits = match wanted {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => is_whole(value),
            "number" => value.is_number(),
            _ => true,
        };
        if !fits {
            let article = if wanted.starts_with(['a', 'i', 'o']) {
                "an"
            } else {
                "a"
            };
            self.say(&format!("must be {article} {wanted}, not {}", kind(value)));
            return;
        }
        match value {
            Value::Object(map) => self.fields(schema, map, &[]),
            Value::Array(items) => self.items(schema, items),
            Value::String(text) => {
                self.bounds(schema, "Length", "characters", text.chars().count())
            }
            Value::Number(_) => self.range(schema, value),
            _ => {}
        }
    }

    fn fields(&mut self, schema: &Value, map: &Map<String, Value>, own: &[&str]) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let more = schema.get("additionalProperties");
        let open = schema["x-kubernetes-preserve-unknown-fields"] == true
            || schema["x-kubernetes-embedded-resource"] == true;
        for (key, value) in map {
            let known = properties.and_then(|properties| properties.get(key));
            match (known, more) {
                (Some(schema), _) => self.inside(key, |check| check.value(schema, value)),
                (None, Some(Value::Object(schema))) => {
                    let schema = Value::Object(schema.clone());
                    self.inside(key, |check| check.value(&schema, value));
                }
                (None, Some(Value::Bool(true))) => {}
                _ if open => {}
                // A bare `type: object` is pruned to nothing, which strict validation refuses as well.
                _ => self.inside(key, |check| check.say("unknown field")),
            }
        }
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            let has_default = properties
                .and_then(|properties| properties.get(name))
                .is_some_and(|schema| schema.get("default").is_some());
            if !map.contains_key(name) && !own.contains(&name) && !has_default {
                self.inside(name, |check| check.say("required field is missing"));
            }
        }
        self.bounds(schema, "Properties", "fields", map.len());
    }

    fn items(&mut self, schema: &Value, items: &[Value]) {
        if let Some(schema) = schema.get("items") {
            for (at, item) in items.iter().enumerate() {
                self.inside(&format!("[{at}]"), |check| check.value(schema, item));
            }
        }
        self.bounds(schema, "Items", "items", items.len());
    }

    /// `minLength` and `maxLength`, and their like for items and properties.
    fn bounds(&mut self, schema: &Value, what: &str, words: &str, count: usize) {
        let limit = |name: &str| {
            let limit = schema.get(format!("{name}{what}"))?.as_u64()?;
            usize::try_from(limit).ok()
        };
        if let Some(min) = limit("min").filter(|min| count < *min) {
            self.say(&format!("has {count} {words}, fewer than {min}"));
        }
        if let Some(max) = limit("max").filter(|max| count > *max) {
            self.say(&format!("has {count} {words}, more than {max}"));
        }
    }

    fn range(&mut self, schema: &Value, value: &Value) {
        let Some(number) = value.as_f64() else { return };
        let limit = |name: &str| schema.get(name).and_then(Value::as_f64);
        let exclusive = |name: &str| schema.get(name) == Some(&Value::Bool(true));
        if let Some(min) = limit("minimum") {
            let out = number < min || (number <= min && exclusive("exclusiveMinimum"));
            if out {
                self.say(&format!("{value} is less than {min} allows"));
            }
        }
        if let Some(max) = limit("maximum") {
            let out = number > max || (number >= max && exclusive("exclusiveMaximum"));
            if out {
                self.say(&format!("{value} is more than {max} allows"));
            }
        }
    }
}

fn is_whole(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(object: &Value) -> Vec<String> {
        let schema = json!({"type": "object", "required": ["spec"], "properties": {
        "spec": {"type": "object", "required": ["size"], "properties": {
            "size": {"type": "integer", "minimum": 1, "maximum": 9},
            "mode": {"type": "string", "enum": ["a", "b"]},
            "port": {"x-kubernetes-int-or-string": true},
            "names": {"type": "array", "maxItems": 2, "items": {"type": "string", "minLength": 2}},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        }}}});
        let definition = json!({"spec": {"versions": [
            {"name": "v1", "served": true, "schema": {"openAPIV3Schema": schema}},
            {"name": "v0", "served": false},
        ]}});
        check(&definition, object)
    }

    fn thing(spec: Value) -> Value {
        json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "x", "labels": {}}, "spec": spec})
    }

    #[test]
    fn what_fits_is_not_mentioned() {
        let spec = json!({"size": 3, "mode": "a", "port": "http", "names": ["ab"], "labels": {"x": "y"},
            "any": {"x": [1, {"y": 2}]}});
        assert_eq!(found(&thing(spec)), Vec::<String>::new());
    }

    #[test]
    fn everything_that_does_not_fit_is_named_with_its_path() {
        let spec = json!({"size": 10, "mode": "c", "port": true, "names": ["a", "bc", "de"], "labels": {"x": 1},
            "other": 1});
        assert_eq!(
            found(&thing(spec)),
            [
                "spec.size: 10 is more than 9 allows",
                "spec.mode: \"c\" is none of \"a\", \"b\"",
                "spec.port: must be an integer or a string",
                "spec.names[0]: has 1 characters, fewer than 2",
                "spec.names: has 3 items, more than 2",
                "spec.labels.x: must be a string, not a number",
                "spec.other: unknown field",
            ]
        );
        assert_eq!(
            found(&json!({"apiVersion": "example.com/v1", "spec": {}})),
            ["spec.size: required field is missing"]
        );
        assert_eq!(
            found(&json!({"apiVersion": "example.com/v0"})),
            ["its definition does not serve version `v0`"]
        );
    }
}
