//! One spelling per value, so that a digest means the content and not the order it was written in.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// The JSON text of a value with sorted keys and no spaces.
#[must_use]
pub fn canonical(value: &Value) -> String {
    sorted(value).to_string()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort_unstable();
            let pairs = keys.into_iter().map(|key| (key.clone(), sorted(&map[key])));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// The SHA-256 of a value's canonical text, as 64 hexadecimal digits.
#[must_use]
pub fn digest(value: &Value) -> String {
    let hash = Sha256::digest(canonical(value).as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
