//! Runs the cases in `tests/strategic/`: an object, a patch, and what comes of it. One file is one
//! test; adding a test is adding a file.

use std::path::Path;

use ordain_orchestrator_api::patch;
use ordain_schemas::{KubeVersion, TypeId, table};
use serde_json::Value;

datatest_stable::harness! {
    { test = strategic, root = "tests/strategic", pattern = r".*\.yaml$" },
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
