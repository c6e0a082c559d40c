//! Upstream's test vectors: each fully filled object decodes from protobuf to the value of its
//! JSON. They lie in `shared/data/api-vectors` beside the checkout; without them the suite says so.

#![expect(
    clippy::print_stdout,
    reason = "a suite that needs other files says what it ran"
)]

use std::{collections::BTreeMap, fs, path::Path};

use ordain_orchestrator_api::{conform, decode, protobuf};
use ordain_schemas::{KubeVersion, table};
use serde_json::Value;

/// Tells whether a vector is of a kind that is no request body: options of URLs, discovery
/// documents, parts of other objects.
fn is_outside(name: &str) -> bool {
    let kinds = [
        "APIGroup",
        "APIVersions",
        "WatchEvent",
        "PodStatusResult",
        "RangeAllocation",
        "SerializedReference",
        "AdmissionReview",
        "APIGroupDiscovery",
    ];
    let kind = name.rsplit('.').next().unwrap_or(name);
    kinds.contains(&kind) || (kind.ends_with("Options") && kind != "DeleteOptions")
}

#[test]
fn every_vector_decodes_to_its_json() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/api-vectors");
    let Ok(entries) = fs::read_dir(&folder) else {
        println!("left out: there is no shared/data/api-vectors beside the checkout");
        return;
    };
    let table = table(KubeVersion::DEFAULT);
    let (mut passed, mut left_out, mut failed) = (0, Vec::new(), BTreeMap::new());
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    names.sort();
    for path in names
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "pb"))
    {
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("a name")
            .to_owned();
        let body = fs::read(path).expect("the vector is readable");
        let json = fs::read(path.with_extension("json")).expect("its JSON is readable");
        let expect = decode::from_json(&json)
            .expect("its JSON is well formed")
            .value;
        match protobuf::decode(table, &body) {
            Ok(actual) if same(&actual, &expect) => {
                passed += 1;
                // The form of the type must accept what upstream wrote.
                let kind = table.kind_of(
                    expect["apiVersion"].as_str().unwrap_or_default(),
                    expect["kind"].as_str().unwrap_or_default(),
                );
                if let Some(kind) = kind {
                    let unknown = conform::conform(table, kind.ty, &mut expect.clone());
                    if unknown != Ok(Vec::new()) {
                        failed.insert(name, format!("does not conform: {unknown:?}"));
                    }
                }
            }
            Ok(actual) => drop(failed.insert(name, difference("", &actual, &expect))),
            Err(protobuf::ProtobufError::UnknownKind { .. }) => left_out.push(name),
            Err(error) => drop(failed.insert(name, error.to_string())),
        }
    }
    println!(
        "{passed} vectors decode to their JSON; left out: {}",
        left_out.join(", ")
    );
    assert_eq!(failed, BTreeMap::new());
    assert!(passed > 80, "only {passed} vectors");
    let surprising: Vec<_> = left_out
        .iter()
        .filter(|name| !is_outside(name) && !is_beta(name))
        .collect();
    assert_eq!(
        surprising,
        Vec::<&String>::new(),
        "left out without a reason"
    );
}

/// Tells whether a vector is of a version that Kubernetes may take away, and took.
fn is_beta(name: &str) -> bool {
    name.contains("beta")
}

fn same(a: &Value, b: &Value) -> bool {
    difference("", a, b).is_empty()
}

/// Returns where two values differ first; numbers compare by value.
fn difference(path: &str, a: &Value, b: &Value) -> String {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, a) in a {
                let found = match b.get(key) {
                    Some(b) => difference(&format!("{path}.{key}"), a, b),
                    None => format!("{path}.{key}: {a} is not expected"),
                };
                if !found.is_empty() {
                    return found;
                }
            }
            let missing = b.keys().find(|key| !a.contains_key(*key));
            missing
                .map(|key| format!("{path}.{key}: {} is missing", b[key]))
                .unwrap_or_default()
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .map(|(at, (a, b))| difference(&format!("{path}[{at}]"), a, b))
            .find(|found| !found.is_empty())
            .unwrap_or_default(),
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => String::new(),
        (a, b) if a == b => String::new(),
        (a, b) => format!("{path}: {a}, expected {b}"),
    }
}
