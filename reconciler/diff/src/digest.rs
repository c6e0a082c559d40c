//! Secrets as keyed digests: two of them can be told apart, and none can be guessed without the key.

use ordain_reconciler_plan::{ObjectKey, SECRET_MARK};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// Begins a text that stands for a value which only its digest is known of.
pub const DIGEST_MARK: &str = "ordain-digest/v1:";

/// The block of SHA-256, in bytes.
const BLOCK: usize = 64;

/// The key of the digests. Who has it can try values; who has not cannot.
#[derive(Clone)]
pub struct DigestKey([u8; 32]);

impl std::fmt::Debug for DigestKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("DigestKey")
    }
}

impl DigestKey {
    /// Derives the key from a private one, so that there is no second secret to keep.
    #[must_use]
    pub fn derive(private: &[u8]) -> Self {
        Self(hmac(private, b"ordain snapshot digests v1"))
    }

    /// Reads a key that was handed over, as 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        crate::snapshot::from_hex(text.trim()).map(Self)
    }

    /// The key itself, to be handed over.
    #[must_use]
    pub fn to_hex(&self) -> String {
        crate::snapshot::to_hex(&self.0)
    }

    /// The digest of one entry. The entry's place is part of it: equal passwords of two databases do not look
    /// alike.
    fn of(&self, place: &str, value: &str) -> String {
        let mut message = Vec::with_capacity(place.len() + value.len() + 1);
        message.extend_from_slice(place.as_bytes());
        message.push(0);
        message.extend_from_slice(value.as_bytes());
        let hash = hmac(&self.0, &message);
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{DIGEST_MARK}{hex}")
    }
}

/// RFC 2104 with SHA-256.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new()
        .chain_update(pad(0x36))
        .chain_update(message)
        .finalize();
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner);
    outer.finalize().into()
}

/// Where kubectl keeps a copy of everything that was applied, values included.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Takes the values out of an object: what is left may be shown to everybody.
///
/// References to encrypted files stay: they hold a digest of the ciphertext, which is public already.
pub(crate) fn hide(object: &mut Value, key: &DigestKey) {
    let annotations = object.pointer_mut("/metadata/annotations");
    if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
        annotations.shift_remove(LAST_APPLIED);
    }
    let Some(place) = secret_place(object) else {
        return;
    };
    for part in ["data", "stringData"] {
        let Some(entries) = object.get_mut(part).and_then(Value::as_object_mut) else {
            if let Some(odd) = object.get_mut(part) {
                *odd = Value::Null;
            }
            continue;
        };
        for (name, value) in entries {
            let text = match &*value {
                Value::String(text) if text.starts_with(SECRET_MARK) => continue,
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            *value = key.of(&format!("{place}/{name}"), &text).into();
        }
    }
}

/// Makes a Secret of the head comparable with one of a snapshot. Returns how many entries are not.
pub(crate) fn settle_secret(now: &Value, head: &mut Value, key: Option<&DigestKey>) -> usize {
    let Some(place) = secret_place(head) else {
        return 0;
    };
    let mut unknown = 0;
    for part in ["data", "stringData"] {
        let Some(entries) = head.get_mut(part).and_then(Value::as_object_mut) else {
            continue;
        };
        for (name, value) in entries {
            let applied = entry(now, name);
            let Some(applied) = applied.filter(|text| text.starts_with(DIGEST_MARK)) else {
                continue;
            };
            match (&*value, key) {
                (Value::String(text), Some(key)) if !text.starts_with(SECRET_MARK) => {
                    *value = key.of(&format!("{place}/{name}"), text).into();
                }
                _ => {
                    *value = applied.into();
                    unknown += 1;
                }
            }
        }
    }
    gather(head, now);
    unknown
}

fn entry<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    let of = |part: &str| object.get(part)?.get(name)?.as_str();
    of("data").or_else(|| of("stringData"))
}

/// A reference is written to `stringData` and read back from `data`: where the other side has an entry is no
/// difference.
fn gather(head: &mut Value, now: &Value) {
    let Some(root) = head.as_object_mut() else {
        return;
    };
    let moved: Vec<(String, Value)> = {
        let Some(Value::Object(texts)) = root.get_mut("stringData") else {
            return;
        };
        let in_data = |name: &String| now.get("data").is_some_and(|data| data.get(name).is_some());
        let names: Vec<String> = texts.keys().filter(|name| in_data(name)).cloned().collect();
        let take = |name: String| texts.shift_remove(&name).map(|value| (name, value));
        names.into_iter().filter_map(take).collect()
    };
    if root["stringData"].as_object().is_some_and(Map::is_empty) {
        root.shift_remove("stringData");
    }
    if moved.is_empty() {
        return;
    }
    let data = root
        .entry("data")
        .or_insert_with(|| Value::Object(Map::new()));
    if let Some(data) = data.as_object_mut() {
        data.extend(moved);
    }
}

/// `namespace/name` of a Secret; `None` for every other kind.
fn secret_place(object: &Value) -> Option<String> {
    let key = ObjectKey::of(object)?;
    key.is("", "Secret")
        .then(|| format!("{}/{}", key.namespace.unwrap_or_default(), key.name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_code_is_the_one_of_the_rfc() {
        // RFC 4231, test case 2.
        let hash = hmac(b"Jefe", b"what do ya want for nothing?");
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    fn secret(data: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "a"}, "data": data})
    }

    #[test]
    fn equality_can_be_told_with_the_key_and_not_without() {
        let key = DigestKey::derive(b"private");
        let mut now = secret(json!({"password": "aHVudGVyMg=="}));
        hide(&mut now, &key);
        assert!(!now.to_string().contains("aHVudGVyMg"));

        let mut same = secret(json!({"password": "aHVudGVyMg=="}));
        assert_eq!(settle_secret(&now, &mut same, Some(&key)), 0);
        assert_eq!(same, now);
        let mut other = secret(json!({"password": "b3RoZXI="}));
        assert_eq!(settle_secret(&now, &mut other, Some(&key)), 0);
        assert_ne!(other, now);
        assert!(!other.to_string().contains("b3RoZXI"));
        let mut unknown = secret(json!({"password": "b3RoZXI="}));
        assert_eq!(settle_secret(&now, &mut unknown, None), 1);
        assert_eq!(unknown, now);
    }

    #[test]
    fn equal_values_of_two_places_do_not_look_alike() {
        let key = DigestKey::derive(b"private");
        let mut both = secret(json!({"a": "eA==", "b": "eA=="}));
        hide(&mut both, &key);
        assert_ne!(both["data"]["a"], both["data"]["b"]);
    }

    #[test]
    fn a_reference_stays_and_is_compared_as_a_text() {
        let key = DigestKey::derive(b"private");
        let reference = |digest: &str| format!("{SECRET_MARK}{{\"digest\":\"{digest}\"}}");
        let mut now = secret(json!({"password": reference("1")}));
        hide(&mut now, &key);
        assert_eq!(now["data"]["password"], reference("1"));
        let mut head = secret(json!({}));
        head["stringData"] = json!({"password": reference("2")});
        assert_eq!(settle_secret(&now, &mut head, None), 0);
        assert_eq!(head["data"]["password"], reference("2"));
        assert_eq!(head.get("stringData"), None);
    }
}
