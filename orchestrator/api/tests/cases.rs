//! Runs the cases in `tests/strategic/` (an object, a patch, and what comes of it) and in
//! `tests/apply/` (a story of applies and updates by several managers). One file is one test;
//! adding a test is adding a file.

use std::path::Path;

use jiff::Timestamp;
use ordain_orchestrator_api::{
    apply::{self, FieldSet, Schema, Writer},
    patch,
};
use ordain_schemas::{KubeVersion, TypeId, table};
use serde_json::Value;

datatest_stable::harness! {
    { test = strategic, root = "tests/strategic", pattern = r".*\.yaml$" },
    { test = story, root = "tests/apply", pattern = r".*\.yaml$" },
}

/// Returns the type of `apps/v1/Deployment`.
fn type_of(kind: &Value) -> TypeId {
    let (api_version, kind) = kind
        .as_str()
        .and_then(|kind| kind.rsplit_once('/'))
        .expect("kind: group/version/Kind");
    table(KubeVersion::DEFAULT)
        .kind_of(api_version, kind)
        .expect("a known kind")
        .ty
}

fn strategic(_: &Path, text: String) -> datatest_stable::Result<()> {
    let case: Value = serde_yaml::from_str(&text)?;
    let table = table(KubeVersion::DEFAULT);
    let mut object = case["object"].clone();
    let result = patch::strategic_merge(
        table,
        type_of(&case["kind"]),
        &mut object,
        case["patch"].clone(),
    );
    match (result, case["error"].as_str()) {
        (Ok(()), None) => assert_same(&object, &case["result"]),
        (Err(error), Some(expect)) => assert_eq!(error.to_string(), expect),
        (result, expect) => panic!("{result:?}, but the case expects error {expect:?}"),
    }
    Ok(())
}

/// Compares values and shows a difference as YAML, which keeps the order of lists visible.
#[track_caller]
fn assert_same(actual: &Value, expect: &Value) {
    if actual != expect {
        let yaml = |value| serde_yaml::to_string(value).expect("a JSON value is YAML");
        panic!("got\n{}\nexpected\n{}", yaml(actual), yaml(expect));
    }
}

/// Plays the steps of a case on one object. A step is `apply` or `update` with `by`, and says what
/// comes of it: `result` (without managedFields), `owners`, `error`, or `unchanged: true`.
fn story(_: &Path, text: String) -> datatest_stable::Result<()> {
    let case: Value = serde_yaml::from_str(&text)?;
    let table = table(KubeVersion::DEFAULT);
    let (schema, api_version, kind) = match case["kind"].as_str().and_then(|k| k.rsplit_once('/')) {
        Some((api_version, kind)) => (
            Schema::of_type(table, type_of(&case["kind"])),
            api_version,
            kind,
        ),
        None if case["crd"].is_object() => (
            Schema::of_custom_resource(table, &case["crd"]),
            "example.com/v1",
            "Thing",
        ),
        None => (Schema::deduced(), "example.com/v1", "Thing"),
    };
    let complete = |part: &Value| {
        let mut object = serde_json::json!({"apiVersion": api_version, "kind": kind});
        object["metadata"]["name"] = "x".into();
        patch::merge_patch(&mut object, part);
        object
    };
    let mut live = Value::Null;
    for (second, step) in (0..).zip(case["steps"].as_array().expect("steps")) {
        let ignored = FieldSet::default();
        let writer = Writer {
            manager: step["by"].as_str().expect("by"),
            api_version,
            subresource: step["subresource"].as_str().unwrap_or_default(),
            now: Timestamp::from_second(1_700_000_000 + second)?,
            ignored: &ignored,
        };
        let outcome = if step["apply"].is_object() {
            let force = step["force"] == true;
            apply::apply(&schema, &live, &complete(&step["apply"]), writer, force)
        } else {
            let mut new = if live.is_null() {
                complete(&Value::Null)
            } else {
                live.clone()
            };
            patch::merge_patch(&mut new, &step["update"]);
            new["apiVersion"] = api_version.into();
            new["kind"] = kind.into();
            new["metadata"]["name"] = "x".into();
            Ok(apply::track_update(&schema, &live, new, writer))
        };
        let object = match (outcome, step["error"].as_str()) {
            (Ok(object), None) => object,
            (Err(status), Some(expect)) => {
                assert_eq!(status.message, expect, "step {second}");
                continue;
            }
            (outcome, expect) => panic!("step {second}: {outcome:?}, expected {expect:?}"),
        };
        if step["unchanged"] == true {
            assert_eq!(object, live, "step {second} changes nothing");
        }
        if step["result"].is_object() {
            let mut shown = object.clone();
            shown["metadata"]
                .as_object_mut()
                .expect("metadata")
                .shift_remove("managedFields");
            assert_same(&shown, &complete(&step["result"]));
        }
        if let Some(owners) = step["owners"].as_object() {
            let actual: Value = apply::managers(&object)
                .into_iter()
                .map(|manager| {
                    let name = match manager.subresource.as_str() {
                        "" => format!("{} {:?}", manager.name, manager.operation),
                        subresource => {
                            format!("{} {:?} {subresource}", manager.name, manager.operation)
                        }
                    };
                    (name, Value::from(manager.fields.show()))
                })
                .collect::<serde_json::Map<_, _>>()
                .into();
            assert_same(&actual, &Value::Object(owners.clone()));
        }
        live = object;
    }
    Ok(())
}
