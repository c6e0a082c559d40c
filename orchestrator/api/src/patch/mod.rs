//! The patch types of the API that change one object: JSON patch, merge patch, strategic merge
//! patch. Server-side apply is in `apply`. It does not know who may change what.

mod json;
mod strategic;

pub use self::{json::json_patch, strategic::strategic_merge};

use serde_json::{Map, Value};

use crate::status::Status;

/// Content type of a JSON patch (RFC 6902).
pub const JSON_PATCH: &str = "application/json-patch+json";
/// Content type of a merge patch (RFC 7386).
pub const MERGE_PATCH: &str = "application/merge-patch+json";
/// Content type of a strategic merge patch.
pub const STRATEGIC_MERGE_PATCH: &str = "application/strategic-merge-patch+json";
/// Content type of a server-side apply.
pub const APPLY_PATCH: &str = "application/apply-patch+yaml";

/// A patch cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch itself is malformed; 400.
    #[error("{0}")]
    Malformed(String),
    /// The patch is well formed but does not fit the object; 422.
    #[error("{0}")]
    DoesNotFit(String),
    /// The patch has too many operations or would make the object too large; 413.
    #[error("{0}")]
    TooLarge(String),
}

impl From<PatchError> for Status {
    fn from(error: PatchError) -> Status {
        match error {
            PatchError::Malformed(why) => Status::bad_request(why),
            PatchError::TooLarge(why) => Status::too_large(why),
            // Upstream ends after the first half; the reason costs clients nothing and helps people.
            PatchError::DoesNotFit(why) => {
                let text = "the server rejected our request due to an error in our request";
                Status::failure(422, "Invalid", format!("{text}: {why}"))
            }
        }
    }
}

/// Applies a merge patch (RFC 7386): maps merge, null removes, everything else replaces.
pub fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(map) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            map.shift_remove(key);
        } else {
            merge_patch(map.entry(key.as_str()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The cases of RFC 7386, appendix A.
    #[test]
    fn merge_patches_follow_the_rfc() {
        let cases = [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (
                json!({"a":"b","b":"c"}),
                json!({"a":null}),
                json!({"b":"c"}),
            ),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (
                json!({"a":{"b":"c"}}),
                json!({"a":{"b":"d","c":null}}),
                json!({"a":{"b":"d"}}),
            ),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a":"foo"}), json!(null), json!(null)),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (
                json!({}),
                json!({"a":{"bb":{"ccc":null}}}),
                json!({"a":{"bb":{}}}),
            ),
        ];
        for (mut target, patch, expect) in cases {
            merge_patch(&mut target, &patch);
            assert_eq!(target, expect, "after {patch}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i8>().prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                proptest::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_merge_patch_twice_is_once(mut target in value(), patch in value()) {
            merge_patch(&mut target, &patch);
            let once = target.clone();
            merge_patch(&mut target, &patch);
            prop_assert_eq!(once, target);
        }

        #[test]
        fn an_empty_merge_patch_changes_no_map(target in value()) {
            prop_assume!(target.is_object());
            let mut patched = target.clone();
            merge_patch(&mut patched, &json!({}));
            prop_assert_eq!(patched, target);
        }
    }
}
