//! What an apply does to an object, roughly: fields are merged, and those that left go. It knows no managers.

use serde_json::{Map, Value};

/// Puts the fields of one object into another.
pub(crate) fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// Removes what was applied before and is not any more.
pub(crate) fn remove_left(from: &mut Value, before: &Value, now: &Value) {
    let (Value::Object(from), Value::Object(before)) = (from, before) else {
        return;
    };
    let empty = Map::new();
    let now = now.as_object().unwrap_or(&empty);
    for (key, value) in before {
        match (from.get_mut(key), now.get(key)) {
            (Some(_), None) => {
                from.remove(key);
            }
            (Some(from), Some(now)) => remove_left(from, value, now),
            _ => {}
        }
    }
}
