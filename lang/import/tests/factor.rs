//! Copies of the same objects per environment become one base and what each environment changes, and every environment
//! builds what it was.

#![allow(clippy::print_stdout)]

mod support;

use ordain_lang_import::{Imported, Input, Options, import};
use ordain_schemas::KubeVersion;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Imports one copy per environment.
fn factored(copies: &[(&str, Vec<Value>)]) -> Imported {
    let inputs: Vec<Input> = copies
        .iter()
        .map(|(env, objects)| {
            let text = serde_json::to_string_pretty(objects).expect("it is JSON");
            Input::new(format!("{env}.json"), text).env(*env)
        })
        .collect();
    import(&inputs, &Options::default())
}

/// Every environment builds the objects of its copy.
fn comes_back(copies: &[(&str, Vec<Value>)]) -> Imported {
    let imported = factored(copies);
    let shown = || {
        let told = support::shown(&imported.diagnostics, &imported.sources);
        format!("{told}\n{}", support::written(&imported))
    };
    assert!(imported.summary.is_proven, "{}", shown());
    for (env, objects) in copies {
        let built = support::sorted(support::rebuilt(&imported, KubeVersion::DEFAULT, Some(env)));
        let objects = support::sorted(objects.clone());
        assert_eq!(built.len(), objects.len(), "{env}: {}", shown());
        for (object, back) in objects.iter().zip(&built) {
            assert!(
                support::equal(object, back),
                "{env}: {object:#}\n{back:#}\n{}",
                shown()
            );
        }
    }
    imported
}

/// A web application as it is written without a language: everything said as often as it is needed.
fn shop(env: &str, replicas: u32, tag: &str, level: &str) -> Vec<Value> {
    let mut objects = Vec::new();
    for name in ["web", "api", "worker"] {
        let labels = json!({ "app": name, "env": env });
        objects.push(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": name, "namespace": format!("shop-{env}"), "labels": labels },
            "spec": {
                "replicas": replicas,
                "selector": { "matchLabels": { "app": name } },
                "template": {
                    "metadata": { "labels": labels },
                    "spec": { "containers": [{
                        "name": "main",
                        "image": format!("registry.local/{name}:{tag}"),
                        "env": [{ "name": "LEVEL", "value": level }, { "name": "REGION", "value": "eu" }],
                        "ports": [{ "name": "http", "containerPort": 8080 }],
                        "resources": { "limits": { "memory": "256Mi" } },
                        "readinessProbe": { "httpGet": { "path": "/ready", "port": "http" } },
                    }] },
                },
            },
        }));
        objects.push(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": name, "namespace": format!("shop-{env}"), "labels": labels },
            "spec": { "selector": { "app": name }, "ports": [{ "name": "http", "port": 80, "targetPort": "http" }] },
        }));
    }
    objects
}

#[test]
fn a_shop_in_three_environments() {
    let mut prod = shop("prod", 4, "1.4", "warn");
    prod.push(json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": { "name": "web", "namespace": "shop-prod", "labels": { "app": "web" } },
        "spec": { "minAvailable": 2, "selector": { "matchLabels": { "app": "web" } } },
    }));
    prod.push(json!({
        "apiVersion": "example.com/v1", "kind": "Alert",
        "metadata": { "name": "web", "namespace": "shop-prod", "labels": { "app": "web" } },
        "spec": { "above": 5, "note": null },
    }));
    let mut dev = shop("dev", 1, "1.5", "debug");
    dev[0]["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["--reload"]);
    dev.push(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "debug", "namespace": "shop-dev", "labels": { "app": "web" } },
        "data": { "script": "set -e\necho {debug}\n" },
    }));
    let copies = [
        ("dev", dev),
        ("stage", shop("stage", 1, "1.4", "info")),
        ("prod", prod),
    ];
    let imported = comes_back(&copies);
    let written = support::written(&imported);
    println!(
        "three copies of {} bytes of JSON became {} bytes",
        imported.summary.bytes_read, imported.summary.bytes_written
    );
    assert!(imported.summary.bytes_written * 2 < imported.summary.bytes_read);
    insta::assert_snapshot!(written);
}

/// One environment is a factoring too, and copies that are equal leave nothing to change.
#[test]
fn equal_copies_differ_in_nothing() {
    let mut objects = shop("any", 2, "1", "info");
    for object in &mut objects {
        object["metadata"]
            .as_object_mut()
            .expect("a map")
            .remove("namespace");
    }
    comes_back(&[("only", objects.clone())]);
    let imported = comes_back(&[("a", objects.clone()), ("b", objects)]);
    let envs = imported
        .files
        .iter()
        .find(|file| file.path == "envs.ord")
        .expect("it is written");
    assert_eq!(
        envs.text,
        "env a {\n  cluster = \"a\"\n}\n\nenv b {\n  cluster = \"b\"\n}\n"
    );
}

#[test]
fn objects_of_one_name_in_several_namespaces_are_told_apart() {
    let set = |level: &str| -> Vec<Value> {
        ["one", "two"]
            .map(|namespace| {
                json!({
                    "apiVersion": "v1", "kind": "ConfigMap",
                    "metadata": { "name": "settings", "namespace": namespace },
                    "data": { "level": level, "where": namespace },
                })
            })
            .to_vec()
    };
    let imported = comes_back(&[("dev", set("debug")), ("prod", set("warn"))]);
    assert_eq!(imported.summary.data, 0);
    let mut more = set("warn");
    more.pop();
    comes_back(&[("dev", set("debug")), ("prod", more)]);
}

/// A change to one copy.
#[derive(Clone, Debug)]
enum Change {
    Set(usize, &'static str, Value),
    Remove(usize, &'static str),
    Drop(usize),
    Add(Value),
    Reverse(usize, &'static str),
}

const PLACES: [&str; 18] = [
    "/spec/replicas",
    "/metadata/labels/app",
    "/metadata/labels/tier",
    "/metadata/annotations",
    "/metadata/annotations/a~1b",
    "/spec/template/spec/containers/0/image",
    "/spec/template/spec/containers/0/args",
    "/spec/template/spec/containers/0/env/0/value",
    "/spec/template/spec/containers/0/env",
    "/spec/template/spec/containers",
    "/spec/template/spec/volumes",
    "/spec/template/spec/nodeSelector",
    "/spec/ports",
    "/spec/ports/0/port",
    "/data/key",
    "/data",
    "/spec/deep/list",
    "/spec/deep/map/x",
];

fn values() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(1),
        json!(7),
        json!("text"),
        json!("a\nb {x}\n"),
        json!("registry.local/other:2"),
        json!(["a", "b"]),
        json!([]),
        json!({}),
        json!({ "if": "1", "x/y": "2" }),
        json!([{ "name": "A", "value": "1" }, { "name": "LEVEL", "value": "x" }]),
        json!([{ "name": "main", "image": "registry.local/m:1" }, { "name": "second", "image": "registry.local/s:1" }]),
        json!([{ "name": "http", "port": 81 }, { "name": "extra", "port": 82 }]),
        json!([{ "name": "data", "emptyDir": {} }]),
        json!(null),
        json!(true),
        json!(-1.5),
    ])
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let place = || prop::sample::select(PLACES.to_vec());
    let change = prop_oneof![
        6 => (0..8_usize, place(), values()).prop_map(|(at, place, value)| Change::Set(at, place, value)),
        2 => (0..8_usize, place()).prop_map(|(at, place)| Change::Remove(at, place)),
        1 => (0..8_usize).prop_map(Change::Drop),
        1 => "[a-c]".prop_map(|name| Change::Add(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "key": name },
        }))),
        1 => "[a-c]".prop_map(|name| Change::Add(json!({
            "apiVersion": "example.com/v1", "kind": "Thing", "metadata": { "name": name }, "spec": { "x": null },
        }))),
        1 => (0..8_usize, place()).prop_map(|(at, place)| Change::Reverse(at, place)),
    ];
    prop::collection::vec(change, 0..8)
}

/// Sets a value where the way to it is there.
fn put(object: &mut Value, place: &str, value: Value) {
    let (front, last) = place.rsplit_once('/').expect("a pointer");
    let last = last.replace("~1", "/");
    match object.pointer_mut(front) {
        Some(Value::Object(fields)) => {
            fields.insert(last, value);
        }
        Some(Value::Array(items)) => {
            if let Some(item) = last.parse::<usize>().ok().and_then(|at| items.get_mut(at)) {
                *item = value;
            }
        }
        _ => {}
    }
}

fn changed(mut objects: Vec<Value>, changes: &[Change]) -> Vec<Value> {
    for change in changes {
        let count = objects.len();
        if count == 0 {
            break;
        }
        match change {
            Change::Set(at, place, value) => put(&mut objects[at % count], place, value.clone()),
            Change::Remove(at, place) => {
                let (front, last) = place.rsplit_once('/').expect("a pointer");
                if let Some(Value::Object(fields)) = objects[at % count].pointer_mut(front) {
                    fields.remove(&last.replace("~1", "/"));
                }
            }
            Change::Drop(at) => {
                objects.remove(at % count);
            }
            Change::Add(object) => {
                let is_new = |other: &Value| {
                    other["kind"] != object["kind"]
                        || other["metadata"]["name"] != object["metadata"]["name"]
                };
                if objects.iter().all(is_new) {
                    objects.push(object.clone());
                }
            }
            Change::Reverse(at, place) => {
                if let Some(Value::Array(items)) = objects[at % count].pointer_mut(place) {
                    items.reverse();
                }
            }
        }
    }
    // A typed field that is null is absent, so it cannot come back.
    for object in &mut objects {
        let is_custom = object["apiVersion"] == "example.com/v1";
        if !is_custom {
            without_nulls(object);
        }
    }
    objects
}

fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

fn base() -> Vec<Value> {
    let mut objects = shop("any", 2, "1", "info");
    objects.truncate(4);
    for object in &mut objects {
        object["metadata"]
            .as_object_mut()
            .expect("a map")
            .remove("namespace");
    }
    objects.push(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "settings" }, "data": { "key": "value", "a.b": "c" },
    }));
    objects.push(json!({
        "apiVersion": "example.com/v1", "kind": "Thing", "metadata": { "name": "thing" },
        "spec": { "deep": { "list": [1, 2], "map": { "x": 1, "y": null }, "if": true } },
    }));
    objects
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_variations_come_back(one in changes(), two in changes(), three in changes()) {
        let copies = [("a", changed(base(), &one)), ("b", changed(base(), &two)), ("c", changed(base(), &three))];
        comes_back(&copies);
    }
}
