//! Laws of server-side apply, on random objects.

use jiff::Timestamp;
use ordain_orchestrator_api::apply::{self, FieldSet, Schema, Writer};
use ordain_schemas::{KubeVersion, table};
use proptest::prelude::*;
use serde_json::{Value, json};

fn schema() -> Schema<'static> {
    let table = table(KubeVersion::DEFAULT);
    Schema::of_type(
        table,
        table.kind("apps", "v1", "Deployment").expect("known").ty,
    )
}

fn write(live: &Value, config: &Value, manager: &str, second: i64) -> Value {
    let ignored = FieldSet::default();
    let writer = Writer {
        manager,
        api_version: "apps/v1",
        subresource: "",
        now: Timestamp::from_second(second).expect("a small number"),
        ignored: &ignored,
    };
    apply::apply(&schema(), live, config, writer, true).expect("a forced apply succeeds")
}

/// Configurations that share names, so that they meet in the same fields.
fn config() -> impl Strategy<Value = Value> {
    let labels = proptest::collection::btree_map("[a-c]", "[x-z]", 0..3);
    let ports = proptest::collection::btree_set(1..4u16, 0..3);
    let container = ("[a-c]", proptest::option::of("[i-k]"), ports);
    let containers = proptest::collection::btree_map("[a-c]", container, 0..3);
    let replicas = proptest::option::of(0..3u8);
    (labels, containers, replicas, any::<bool>()).prop_map(|(labels, containers, replicas, paused)| {
        let containers: Vec<Value> = containers
            .into_iter()
            .map(|(name, (_, image, ports))| {
                let ports: Vec<Value> =
                    ports.into_iter().map(|port| json!({ "containerPort": port })).collect();
                let mut container = json!({ "name": name });
                if let Some(image) = image {
                    container["image"] = image.into();
                }
                if !ports.is_empty() {
                    container["ports"] = ports.into();
                }
                container
            })
            .collect();
        let mut object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": {},
        });
        if !labels.is_empty() {
            object["metadata"]["labels"] = json!(labels);
        }
        if !containers.is_empty() {
            object["spec"]["template"] = json!({"spec": {"containers": containers}});
        }
        if let Some(replicas) = replicas {
            object["spec"]["replicas"] = replicas.into();
        }
        if paused {
            object["spec"]["paused"] = true.into();
        }
        object
    })
}

/// Returns the fields that a manager owns.
fn owned(object: &Value, manager: &str) -> Vec<String> {
    let managers = apply::managers(object).into_iter();
    managers
        .filter(|m| m.name == manager)
        .flat_map(|m| m.fields.show())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn applying_twice_is_applying_once(a in config(), b in config()) {
        let first = write(&write(&Value::Null, &a, "a", 1), &b, "b", 2);
        let second = write(&first, &b, "b", 3);
        prop_assert_eq!(first, second);
    }

    #[test]
    fn a_manager_alone_gets_what_it_applies(a in config(), b in config()) {
        let live = write(&write(&Value::Null, &a, "a", 1), &b, "a", 2);
        let fresh = write(&Value::Null, &b, "a", 3);
        prop_assert_eq!(owned(&live, "a"), owned(&fresh, "a"));
        prop_assert_eq!(&live["metadata"]["labels"], &fresh["metadata"]["labels"]);
        prop_assert_eq!(&live["spec"]["replicas"], &fresh["spec"]["replicas"]);
        let containers = |object: &Value| {
            let list = object["spec"]["template"]["spec"]["containers"].as_array();
            let mut list: Vec<Value> = list.into_iter().flatten().cloned().collect();
            list.sort_by_key(|container| container["name"].to_string());
            list
        };
        prop_assert_eq!(containers(&live), containers(&fresh));
    }

    #[test]
    fn letting_go_leaves_the_other_managers_fields(a in config(), b in config()) {
        let both = write(&write(&Value::Null, &a, "a", 1), &b, "b", 2);
        let nothing = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}});
        let left = write(&both, &nothing, "a", 3);
        prop_assert_eq!(owned(&left, "b"), owned(&both, "b"));
        prop_assert_eq!(owned(&left, "a"), Vec::<String>::new());
    }

    #[test]
    fn field_sets_survive_the_round_trip(a in config()) {
        let object = write(&Value::Null, &a, "a", 1);
        for manager in apply::managers(&object) {
            let again = FieldSet::from_fields_v1(&manager.fields.to_fields_v1());
            prop_assert_eq!(again, Ok(manager.fields));
        }
    }
}
