//! The bytes of a stored object, and how a revision gets into them.
//!
//! An object is stored as JSON whose first fields are `apiVersion`, `kind` and `metadata`, without
//! a resourceVersion, since that is the revision of the write itself. Readers splice it in right
//! behind `"metadata":{`, so a list of thousands is copied, never decoded.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::json::{as_map, map_at, str_at};

/// Where the resourceVersion goes. Nothing before it can contain the same bytes: the values of
/// `apiVersion` and `kind` are known names.
const MARK: &[u8] = b"\"metadata\":{";

/// Returns the bytes to store.
pub(crate) fn encode(object: &Value) -> Vec<u8> {
    let mut ordered = Map::new();
    let empty = Map::new();
    let fields = object.as_object().unwrap_or(&empty);
    for field in ["apiVersion", "kind"] {
        ordered.insert(field.into(), fields.get(field).cloned().unwrap_or_default());
    }
    let mut metadata = map_at(object, &["metadata"]).cloned().unwrap_or_default();
    metadata.shift_remove("resourceVersion");
    metadata.shift_remove("selfLink");
    ordered.insert("metadata".into(), Value::Object(metadata));
    for (field, value) in fields {
        if !ordered.contains_key(field) {
            ordered.insert(field.clone(), value.clone());
        }
    }
    serde_json::to_vec(&ordered).unwrap_or_default()
}

/// Appends a stored object with its revision.
pub(crate) fn splice_into(out: &mut Vec<u8>, stored: &[u8], revision: u64) {
    let at = stored.windows(MARK.len()).position(|window| window == MARK);
    let Some(at) = at.map(|at| at + MARK.len()) else {
        out.extend_from_slice(stored);
        return;
    };
    out.reserve(stored.len() + 40);
    out.extend_from_slice(&stored[..at]);
    out.extend_from_slice(b"\"resourceVersion\":\"");
    out.extend_from_slice(revision.to_string().as_bytes());
    out.push(b'"');
    // Metadata always has a name, but a foreign store may hold anything.
    if stored.get(at) != Some(&b'}') {
        out.push(b',');
    }
    out.extend_from_slice(&stored[at..]);
}

/// Returns a stored object with its revision, as bytes.
pub(crate) fn splice(stored: &[u8], revision: u64) -> Bytes {
    let mut out = Vec::new();
    splice_into(&mut out, stored, revision);
    out.into()
}

/// Returns a stored object with its revision, as a value; `None` when the bytes are no object.
pub(crate) fn decode(stored: &[u8], revision: u64) -> Option<Value> {
    let mut value: Value = serde_json::from_slice(stored).ok()?;
    value.as_object()?;
    set_revision(&mut value, revision);
    Some(value)
}

pub(crate) fn set_revision(object: &mut Value, revision: u64) {
    let metadata = as_map(as_map(object).entry("metadata").or_insert(Value::Null));
    metadata.insert("resourceVersion".into(), revision.to_string().into());
}

/// Returns the resourceVersion an object says it is at; empty when it says none.
pub(crate) fn revision_of(object: &Value) -> &str {
    str_at(object, &["metadata", "resourceVersion"])
}

/// Returns the present time as Kubernetes writes it: RFC 3339 with whole seconds, in UTC.
pub(crate) fn now() -> String {
    time_text(jiff::Timestamp::now())
}

/// Returns a time as Kubernetes writes it.
pub(crate) fn time_text(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_revision_is_spliced_in_and_never_stored() {
        let object = json!({
            "spec": {"metadata": {"x": 1}}, "kind": "Pod",
            "metadata": {"resourceVersion": "7", "name": "a"}, "apiVersion": "v1",
        });
        let stored = encode(&object);
        let text = String::from_utf8(stored.clone()).expect("text");
        assert_eq!(
            text,
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"metadata":{"x":1}}}"#
        );
        let spliced: Value = serde_json::from_slice(&splice(&stored, 42)).expect("JSON");
        assert_eq!(
            spliced["metadata"],
            json!({"resourceVersion": "42", "name": "a"})
        );
        assert_eq!(decode(&stored, 42), Some(spliced));
        assert_eq!(
            &splice(br#"{"metadata":{}}"#, 1)[..],
            br#"{"metadata":{"resourceVersion":"1"}}"#
        );
        assert_eq!(&splice(b"junk", 1)[..], b"junk");
    }
}
