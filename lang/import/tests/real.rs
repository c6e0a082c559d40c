//! Real objects there and back: every built-in kind fully filled, and a large install manifest.
//!
//! They lie in the folder `shared` beside the checkout; without it this suite says that it was left out.

#![allow(clippy::print_stdout)]

mod support;

use std::collections::BTreeMap;

use ordain_schemas::{KubeVersion, Shape, Table, table};
use serde::Deserialize as _;
use serde_json::Value;

/// How many objects the folder has: every kind and version of the API, messages included.
const API_VECTORS: usize = 165;

/// Every document of a text, read by another parser than the importer's.
fn documents(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).expect("it is YAML"))
        .filter(|value| !value.is_null())
        .collect()
}

/// The newest version of Kubernetes whose table has the kind.
fn version_with(object: &Value) -> Option<KubeVersion> {
    let api_version = object["apiVersion"].as_str()?;
    let kind = object["kind"].as_str()?;
    let has = |version: &&KubeVersion| table(**version).kind_of(api_version, kind).is_some();
    KubeVersion::ALL.iter().rev().find(has).copied()
}

#[test]
fn every_kind_comes_back_as_it_was() {
    let Some(folder) = support::shared("api-vectors") else {
        return;
    };
    let (mut typed, mut messages, mut data, mut unknown) = (0, 0, 0, Vec::new());
    let mut names = BTreeMap::<String, usize>::new();
    for path in support::files(&folder, ".yaml")
        .into_iter()
        .chain(support::files(&folder, ".json"))
    {
        let name = path
            .file_name()
            .expect("a file")
            .to_string_lossy()
            .into_owned();
        let text = std::fs::read_to_string(&path).expect("readable");
        let objects = documents(&text);
        let [object] = &objects[..] else {
            panic!("{name} holds one object");
        };
        *names
            .entry(
                name.trim_end_matches(".yaml")
                    .trim_end_matches(".json")
                    .to_owned(),
            )
            .or_default() += 1;
        let version = version_with(object);
        if version.is_none() {
            unknown.push(name.clone());
        }
        let version = version.unwrap_or_default();
        let imported = support::one_for(&name, &text, version);
        let told = support::shown(&imported.diagnostics, &imported.sources);
        assert!(imported.summary.is_proven, "{name}: {told}");
        support::written(&imported);
        let built = support::rebuilt(&imported, version, None);
        let [back] = &built[..] else {
            panic!("{name}: {} objects were built\n{told}", built.len());
        };
        assert!(
            support::equal(object, back),
            "{name}:\n{object:#}\n{back:#}"
        );
        if object["metadata"]["name"].as_str().is_none() {
            messages += 1;
        }
        if imported.summary.typed == 1 {
            typed += 1;
        } else if unknown.last() != Some(&name) {
            data += 1;
        }
    }
    println!(
        "api-vectors: {typed} files came back with their types, {data} as data because a rule refuses them, {} as data because no \
         version of Kubernetes in the table has the kind; {messages} of all hold messages without a name",
        unknown.len()
    );
    println!(
        "api-vectors: {} objects came back, each from YAML and from JSON",
        names.len()
    );
    assert_eq!(typed + data + unknown.len(), 2 * names.len());
    assert_eq!(names.len(), API_VECTORS, "no object is left out");
}

/// The vectors hold texts such as `typeValue` everywhere. With texts that the rules allow, most kinds come back with
/// their types; those of which several parts exclude each other do not.
#[test]
fn every_kind_with_allowed_texts_comes_back_with_its_type() {
    let Some(folder) = support::shared("api-vectors") else {
        return;
    };
    let (mut typed, mut data) = (0, BTreeMap::<String, usize>::new());
    for path in support::files(&folder, ".yaml") {
        let name = path
            .file_name()
            .expect("a file")
            .to_string_lossy()
            .into_owned();
        let mut object = documents(&std::fs::read_to_string(&path).expect("readable")).remove(0);
        let Some(version) =
            version_with(&object).filter(|_| object["metadata"]["name"].is_string())
        else {
            continue;
        };
        let table = table(version);
        let api_version = object["apiVersion"]
            .as_str()
            .expect("it has one")
            .to_owned();
        let kind = object["kind"].as_str().expect("it has one").to_owned();
        let known = table.kind_of(&api_version, &kind).expect("it was found");
        mend(table, &Shape::Struct(known.ty), &mut object);
        (object["apiVersion"], object["kind"]) = (api_version.into(), kind.into());
        let text = serde_json::to_string_pretty(&object).expect("it is JSON");
        let imported = support::one_for(&name, &text, version);
        let told = support::shown(&imported.diagnostics, &imported.sources);
        assert!(imported.summary.is_proven, "{name}: {told}");
        support::written(&imported);
        let built = support::rebuilt(&imported, version, None);
        assert!(
            support::equal(&object, &built[0]),
            "{name}:\n{object:#}\n{:#}",
            built[0]
        );
        typed += imported.summary.typed;
        for line in told.lines().filter(|line| line.starts_with("  ")) {
            let reason = line
                .trim_start()
                .split_once(' ')
                .map_or(line, |(_, reason)| reason);
            *data.entry(reason.to_owned()).or_default() += 1;
        }
    }
    println!(
        "api-vectors with allowed texts: {typed} objects came back with their types; rules that refused others:"
    );
    for (reason, count) in data {
        println!("  {count} x {reason}");
    }
    assert!(typed > 0, "the table and the vectors know the same kinds");
}

/// Replaces the vectors' texts by ones that formats and enumerations allow.
fn mend(table: &Table, shape: &Shape, value: &mut Value) {
    match (shape, value) {
        (Shape::Struct(id), Value::Object(fields)) => {
            for (name, value) in fields {
                let Some(field) = table.ty(*id).field(name) else {
                    continue;
                };
                if let Some(first) = field.enum_values.first() {
                    replace(value, first);
                } else if name == "schedule" {
                    replace(value, "* * * * *");
                } else {
                    mend(table, &field.shape, value);
                }
            }
        }
        (Shape::List(element) | Shape::Map(element), value) => match value {
            Value::Array(items) => items.iter_mut().for_each(|item| mend(table, element, item)),
            Value::Object(fields) => fields
                .values_mut()
                .for_each(|value| mend(table, element, value)),
            _ => {}
        },
        (Shape::String | Shape::IntOrString, Value::String(text)) => *text = text.to_lowercase(),
        _ => {}
    }
}

fn replace(value: &mut Value, by: &str) {
    match value {
        Value::String(text) => by.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, by)),
        Value::Object(fields) => fields.values_mut().for_each(|value| replace(value, by)),
        _ => {}
    }
}

#[test]
fn install_manifests_come_back_as_they_were() {
    let Some(folder) = support::shared("manifests") else {
        return;
    };
    let mut cases = 0;
    for path in support::files(&folder, ".yaml") {
        let text = std::fs::read_to_string(&path).expect("readable");
        let objects = documents(&text);
        let imported = support::one(&path.to_string_lossy(), &text);
        let told = support::shown(&imported.diagnostics, &imported.sources);
        // A manifest may leave to kubectl which namespace it is for, so that some rules of the set do not hold.
        let is_told = |code| imported.diagnostics.iter().any(|d| d.code == code);
        assert!(imported.summary.is_proven && !is_told("W0952"), "{told}");
        assert_eq!(
            (imported.summary.typed, imported.summary.data),
            (objects.len(), 0)
        );
        support::written(&imported);
        let built = support::sorted(support::rebuilt(&imported, KubeVersion::DEFAULT, None));
        let objects = support::sorted(objects);
        assert_eq!(built.len(), objects.len());
        for (object, back) in objects.iter().zip(&built) {
            assert!(support::equal(object, back), "{object:#}\n{back:#}");
            cases += 1;
        }
        println!(
            "{}: {} bytes of YAML, {} bytes of .ord",
            path.display(),
            imported.summary.bytes_read,
            imported.summary.bytes_written
        );
    }
    println!("manifests: {cases} objects came back");
}

#[test]
fn definitions_come_back_as_they_were() {
    let Some(folder) = support::shared("crds") else {
        return;
    };
    for path in support::files(&folder, ".yaml") {
        let text = std::fs::read_to_string(&path).expect("readable");
        let imported = support::one(&path.to_string_lossy(), &text);
        let told = support::shown(&imported.diagnostics, &imported.sources);
        assert!(
            imported.summary.is_proven && imported.summary.data == 0,
            "{told}"
        );
        let built = support::sorted(support::rebuilt(&imported, KubeVersion::DEFAULT, None));
        for (object, back) in support::sorted(documents(&text)).iter().zip(&built) {
            assert!(support::equal(object, back), "{}", path.display());
        }
    }
}
