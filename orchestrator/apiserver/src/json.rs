//! Short accessors on JSON values: the server reads and writes objects it has no Rust type for.

use serde_json::{Map, Value};

/// Returns the value at a path of field names.
pub(crate) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |v, field| v.get(field))
}

/// Returns the string at a path, or the empty string.
pub(crate) fn str_at<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    at(value, path).and_then(Value::as_str).unwrap_or("")
}

/// Returns the integer at a path.
pub(crate) fn int_at(value: &Value, path: &[&str]) -> Option<i64> {
    at(value, path).and_then(Value::as_i64)
}

/// Returns the boolean at a path, false when absent.
pub(crate) fn bool_at(value: &Value, path: &[&str]) -> bool {
    at(value, path).and_then(Value::as_bool).unwrap_or(false)
}

/// Returns the list at a path; absent and null are empty.
pub(crate) fn list_at<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    at(value, path)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Returns the mapping at a path, if it is one.
pub(crate) fn map_at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Map<String, Value>> {
    at(value, path).and_then(Value::as_object)
}

/// Returns the mapping at a path for writing, if all of the path is there.
pub(crate) fn map_at_mut<'a>(
    value: &'a mut Value,
    path: &[&str],
) -> Option<&'a mut Map<String, Value>> {
    path.iter()
        .try_fold(value, |v, field| v.get_mut(field))?
        .as_object_mut()
}

/// Returns the mapping in `field`, making an empty one when it is absent or not a mapping.
pub(crate) fn entry_map<'a>(
    map: &'a mut Map<String, Value>,
    field: &str,
) -> &'a mut Map<String, Value> {
    let slot = map.entry(field).or_insert(Value::Null);
    as_map(slot)
}

/// Makes a value a mapping if it is not one, and returns it.
pub(crate) fn as_map(slot: &mut Value) -> &mut Map<String, Value> {
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut().expect("made a mapping above")
}

/// Returns the mapping at a path, making what is missing.
pub(crate) fn make_map<'a>(value: &'a mut Value, path: &[&str]) -> &'a mut Map<String, Value> {
    path.iter()
        .fold(as_map(value), |map, field| entry_map(map, field))
}

/// Sets a field when it is absent or null.
pub(crate) fn default(map: &mut Map<String, Value>, field: &str, value: impl Into<Value>) {
    match map.get_mut(field) {
        None => {
            map.insert(field.to_owned(), value.into());
        }
        Some(slot @ Value::Null) => *slot = value.into(),
        Some(_) => {}
    }
}

/// Sets a string field when it is absent, null or empty (Go's zero value).
pub(crate) fn default_str(map: &mut Map<String, Value>, field: &str, value: &str) {
    if map
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or("")
        .is_empty()
        && map.get(field).is_none_or(|v| v.is_string() || v.is_null())
    {
        map.insert(field.to_owned(), value.into());
    }
}

/// Sets a number field when it is absent, null or zero (Go's zero value).
pub(crate) fn default_number(map: &mut Map<String, Value>, field: &str, value: i64) {
    if map
        .get(field)
        .is_none_or(|v| v.is_null() || v.as_i64() == Some(0))
    {
        map.insert(field.to_owned(), value.into());
    }
}

/// Calls `f` on each mapping in the list at `field`.
pub(crate) fn each_map(
    map: &mut Map<String, Value>,
    field: &str,
    mut f: impl FnMut(&mut Map<String, Value>),
) {
    if let Some(Value::Array(items)) = map.get_mut(field) {
        items
            .iter_mut()
            .filter_map(Value::as_object_mut)
            .for_each(&mut f);
    }
}

/// Calls `f` on the mapping in `field`, when there is one.
pub(crate) fn with_map(
    map: &mut Map<String, Value>,
    field: &str,
    f: impl FnOnce(&mut Map<String, Value>),
) {
    if let Some(inner) = map.get_mut(field).and_then(Value::as_object_mut) {
        f(inner);
    }
}

/// Removes a field of the object at `path`, and returns it.
pub(crate) fn take(value: &mut Value, path: &[&str], field: &str) -> Option<Value> {
    map_at_mut(value, path)?.shift_remove(field)
}
