//! JSON patch (RFC 6902) with the limits of kube-apiserver.

use json_patch::{Patch, PatchOperation};
use serde_json::Value;

use super::PatchError;

/// 10,000 operations, as upstream's `--max-json-patch-operations`; more are refused with 413.
const OPERATIONS_MAX: usize = 10_000;
/// 3 MiB, as much as `copy` operations of one patch may add up to; upstream uses the limit of a
/// request body. Without it a patch doubles a document with each operation.
const COPIED_BYTES_MAX: usize = 3 * 1024 * 1024;

/// Applies a JSON patch, given as its JSON list.
///
/// # Errors
/// When the patch is no JSON patch, exceeds a limit, or does not fit the document. The document is
/// then in an undefined state between the operations: patch a copy.
pub fn json_patch(document: &mut Value, patch: &Value) -> Result<(), PatchError> {
    if let Some(list) = patch.as_array().filter(|list| list.len() > OPERATIONS_MAX) {
        return Err(PatchError::TooLarge(format!(
            "The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {}",
            list.len()
        )));
    }
    let Patch(operations) = serde_json::from_value(patch.clone())
        .map_err(|error| PatchError::Malformed(format!("error decoding patch: {error}")))?;
    let mut copied = 0;
    for (place, operation) in operations.into_iter().enumerate() {
        if let PatchOperation::Copy(copy) = &operation {
            let source = document.pointer(copy.from.as_str());
            copied += source.map_or(0, |value| value.to_string().len());
            if copied > COPIED_BYTES_MAX {
                return Err(PatchError::TooLarge(format!(
                    "the copies of the JSON patch exceed {COPIED_BYTES_MAX} bytes"
                )));
            }
        }
        json_patch::patch(document, std::slice::from_ref(&operation)).map_err(|error| {
            // Each operation is a patch of its own, so the crate's number is always 0.
            let (path, why) = (error.path, error.kind);
            PatchError::DoesNotFit(format!("operation {place} failed at {path}: {why}"))
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operations_apply_in_order() {
        let mut document = json!({"metadata": {"labels": {"a": "1"}}, "list": [1, 2]});
        let patch = json!([
            {"op": "test", "path": "/metadata/labels/a", "value": "1"},
            {"op": "add", "path": "/metadata/labels/b~1c", "value": "2"},
            {"op": "remove", "path": "/metadata/labels/a"},
            {"op": "add", "path": "/list/-", "value": 3},
            {"op": "replace", "path": "/list/0", "value": 0},
            {"op": "move", "from": "/list/1", "path": "/moved"},
        ]);
        json_patch(&mut document, &patch).expect("the patch fits");
        let expect = json!({"metadata": {"labels": {"b/c": "2"}}, "list": [0, 3], "moved": 2});
        assert_eq!(document, expect);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let error = |patch: Value| json_patch(&mut json!({"a": 1}), &patch).expect_err("refused");
        let test = json!([{"op": "test", "path": "/a", "value": 2}]);
        assert!(matches!(error(test), PatchError::DoesNotFit(_)));
        let missing = json!([
            {"op": "test", "path": "/a", "value": 1},
            {"op": "replace", "path": "/b", "value": 2},
        ]);
        assert_eq!(
            error(missing).to_string(),
            "operation 1 failed at /b: path is invalid"
        );
        assert!(matches!(error(json!({"a": 1})), PatchError::Malformed(_)));
        assert!(matches!(
            error(json!([{"op": "no", "path": ""}])),
            PatchError::Malformed(_)
        ));
        let many: Vec<Value> = (0..=10_000)
            .map(|_| json!({"op": "remove", "path": "/a"}))
            .collect();
        assert!(matches!(error(many.into()), PatchError::TooLarge(_)));
    }

    #[test]
    fn copies_do_not_explode() {
        let mut document = json!({"list": ["x".repeat(1000)]});
        let patch: Vec<Value> = (0..40)
            .map(|_| json!({"op": "copy", "from": "/list", "path": "/list/-"}))
            .collect();
        let error = json_patch(&mut document, &patch.into()).expect_err("refused");
        assert!(matches!(error, PatchError::TooLarge(_)));
    }
}
