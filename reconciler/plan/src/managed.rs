//! Reads `managedFields`: who has written what, when, and where that is in the object.
//!
//! A set of fields is written as FieldsV1 (structured-merge-diff `fieldpath/serialize.go`): `f:` a field, `k:` an element
//! by its keys, `v:` an element by its value, `i:` one by its position, `.` the thing itself.

use serde_json::{Map, Value};

use crate::{
    MANAGER, json,
    paths::{Place, Step},
};

/// One entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) manager: &'a str,
    pub(crate) operation: &'a str,
    pub(crate) subresource: &'a str,
    pub(crate) time: Option<&'a str>,
    fields: Option<&'a Map<String, Value>>,
}

impl<'a> Entry<'a> {
    /// The set of fields, as FieldsV1.
    pub(crate) fn fields(&self) -> Option<&'a Map<String, Value>> {
        self.fields
    }

    /// True for what our applies declared.
    pub(crate) fn is_ours(&self) -> bool {
        self.manager == MANAGER && self.operation == "Apply" && self.subresource.is_empty()
    }

    /// True when somebody else declares it, rather than having changed it once.
    pub(crate) fn is_other_apply(&self) -> bool {
        self.manager != MANAGER && self.operation == "Apply"
    }

    /// True when the entry has the value at a place of the object, or something in it.
    pub(crate) fn owns(&self, object: &Value, place: &[Step]) -> bool {
        let Some(mut fields) = self.fields else {
            return false;
        };
        let mut value = Some(object);
        for step in place {
            // Who has a list or map as a whole has everything in it.
            if fields.keys().all(|key| key == ".") {
                return true;
            }
            let inner = match step {
                Step::Key(key) => fields.get(&format!("f:{key}")),
                Step::Index(at) => {
                    let element = value.and_then(|list| list.get(at));
                    let names =
                        |key: &&String| element.is_some_and(|element| names(key, element, *at));
                    fields.keys().find(names).and_then(|key| fields.get(key))
                }
            };
            let Some(inner) = inner.and_then(Value::as_object) else {
                return false;
            };
            fields = inner;
            value = value.and_then(|value| match step {
                Step::Key(key) => value.get(key),
                Step::Index(at) => value.get(at),
            });
        }
        true
    }

    /// The places of everything that the entry has in the object.
    pub(crate) fn places(&self, object: &Value) -> Vec<Place> {
        let mut found = Vec::new();
        if let Some(fields) = self.fields {
            leaves(fields, object, &mut Place::new(), &mut found);
        }
        found
    }
}

/// The entries of an object.
pub(crate) fn entries(object: &Value) -> impl Iterator<Item = Entry<'_>> {
    json::items(object, "/metadata/managedFields").map(|entry| Entry {
        manager: json::text(entry, "/manager"),
        operation: json::text(entry, "/operation"),
        subresource: json::text(entry, "/subresource"),
        time: entry.get("time").and_then(Value::as_str),
        fields: json::map(entry, "/fieldsV1"),
    })
}

/// True when a key such as `k:{"name":"web"}` means this element.
fn names(key: &str, element: &Value, at: usize) -> bool {
    let Some((sort, text)) = key.split_once(':') else {
        return false;
    };
    let value = || serde_json::from_str::<Value>(text).ok();
    match sort {
        "k" => value().is_some_and(|keys| {
            let keys = keys.as_object().cloned().unwrap_or_default();
            !keys.is_empty()
                && keys
                    .iter()
                    .all(|(field, value)| is_key(element, field, value))
        }),
        "v" => value().as_ref() == Some(element),
        "i" => text.parse() == Ok(at),
        _ => false,
    }
}

/// A key that the element leaves out has its default; `protocol` is the only one of the built-in kinds.
fn is_key(element: &Value, field: &str, value: &Value) -> bool {
    match element.get(field) {
        Some(found) => found == value,
        None => field == "protocol" && value == "TCP",
    }
}

fn leaves(fields: &Map<String, Value>, object: &Value, place: &mut Place, found: &mut Vec<Place>) {
    if fields.keys().all(|key| key == ".") {
        if !place.is_empty() {
            found.push(place.clone());
        }
        return;
    }
    for (key, inner) in fields {
        let step = match (key.strip_prefix("f:"), object) {
            (Some(name), Value::Object(map)) if map.contains_key(name) => {
                Step::Key(name.to_owned())
            }
            (None, Value::Array(list)) => {
                let mut elements = list.iter().enumerate();
                let Some((at, _)) = elements.find(|(at, element)| names(key, element, *at)) else {
                    continue;
                };
                Step::Index(at)
            }
            _ => continue,
        };
        let value = match &step {
            Step::Key(key) => &object[key.as_str()],
            Step::Index(at) => &object[*at],
        };
        place.push(step);
        if let Some(inner) = inner.as_object() {
            leaves(inner, value, place, found);
        }
        place.pop();
    }
}
