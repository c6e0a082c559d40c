//! Real data: upstream's fully filled objects decode from protobuf to the value of their JSON, and a
//! real install manifest goes through the whole way of a write. It lies in `shared/data` beside the
//! checkout; without it the suite says so.

#![expect(
    clippy::print_stdout,
    reason = "a suite that needs other files says what it ran"
)]

use std::{collections::BTreeMap, fs, path::Path};

use jiff::Timestamp;
use ordain_orchestrator_api::{
    apply::{self, FieldSet, Schema, Writer},
    conform, decode, patch, protobuf,
};
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

#[test]
fn a_real_manifest_goes_the_way_of_a_write() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/manifests/argo-cd-install.yaml");
    let Ok(text) = fs::read_to_string(path) else {
        println!("left out: there is no shared/data/manifests beside the checkout");
        return;
    };
    let table = table(KubeVersion::DEFAULT);
    let ignored = FieldSet::default();
    let mut count = 0;
    for document in text.split("\n---\n") {
        let decoded = decode::from_yaml(document.as_bytes()).expect("the manifest is well formed");
        assert_eq!(decoded.duplicates, Vec::<String>::new());
        let config = decoded.value;
        let api_version = config["apiVersion"]
            .as_str()
            .expect("each has an apiVersion");
        let kind = config["kind"].as_str().expect("each has a kind");
        let ty = table
            .kind_of(api_version, kind)
            .expect("all kinds are built in")
            .ty;
        let name = format!("{kind} {}", config["metadata"]["name"]);

        let mut object = config.clone();
        assert_eq!(
            conform::conform(table, ty, &mut object),
            Ok(Vec::new()),
            "{name}"
        );
        let once = object.clone();
        assert_eq!(
            conform::conform(table, ty, &mut object),
            Ok(Vec::new()),
            "{name}"
        );
        assert_eq!(object, once, "conform is idempotent on {name}");

        let schema = Schema::of_type(table, ty);
        let now = Timestamp::UNIX_EPOCH;
        let writer = Writer {
            manager: "a",
            api_version,
            subresource: "",
            now,
            ignored: &ignored,
        };
        let mut live = apply::apply(&schema, &serde_json::Value::Null, &config, writer, false)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        conform::conform(table, ty, &mut live).expect("the result fits its type");
        let mut again = apply::apply(&schema, &live, &config, writer, false)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        conform::conform(table, ty, &mut again).expect("the result fits its type");
        assert!(apply::is_no_op(&live, &again), "{name} applies once");

        let mut patched = object.clone();
        patch::strategic_merge(table, ty, &mut patched, object.clone())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(patched, object, "{name} patched with itself");
        count += 1;
    }
    println!("{count} objects of the manifest");
    assert!(count > 40, "only {count} objects");
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
