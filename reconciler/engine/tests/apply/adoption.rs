//! Objects that others made or keep: taken over, shared, or left alone, as asked.

use kube::api::PostParams;
use serde_json::{Value, json};

use crate::world::{World, annotated, config};

async fn made_by(world: &World, manager: &str, object: &Value) {
    let params = PostParams {
        field_manager: Some(manager.to_owned()),
        ..PostParams::default()
    };
    let object = serde_json::from_value(object.clone()).expect("an object");
    let api = world.api("v1", "ConfigMap");
    api.create(&params, &object).await.expect("created");
}

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_kubectl_declared_alone_goes_even_when_nothing_else_changes() {
    let world = World::start().await;
    world.namespace().await;
    for (name, manager) in [("a", "kubectl-client-side-apply"), ("b", "kubectl-create")] {
        let object = annotated(config(name, "1"), json!({LAST_APPLIED: "{}"}));
        let mut object = object;
        object["data"]["old"] = "x".into();
        made_by(&world, manager, &object).await;
    }
    world
        .deploy("web", &[config("a", "1"), config("b", "1")])
        .await;
    for name in ["a", "b"] {
        let object = world.get("v1", "ConfigMap", name).await.expect("it exists");
        assert_eq!(object.data["data"], json!({"value": "1"}), "{name}");
        let annotations = object.metadata.annotations.unwrap_or_default();
        assert!(!annotations.contains_key(LAST_APPLIED), "{name}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_it_keeps_what_kubectl_declared() {
    let world = World::start().await;
    world.namespace().await;
    let mut object = config("a", "0");
    object["data"]["old"] = "x".into();
    made_by(&world, "kubectl-client-side-apply", &object).await;
    let merge = json!({"ordain.dev/apply": "merge"});
    world
        .deploy("web", &[annotated(config("a", "1"), merge)])
        .await;
    assert_eq!(
        world.data("a").await,
        Some(json!({"value": "1", "old": "x"}))
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_that_are_taken_are_named_with_who_had_them() {
    let world = World::start().await;
    world.namespace().await;
    made_by(&world, "operator", &config("a", "0")).await;
    let app = world.deploy("web", &[config("a", "1")]).await;
    let note = "ConfigMap shop/a: took data.value from operator";
    assert!(
        app.notes.iter().any(|found| found == note),
        "{:?}",
        app.notes
    );
    let events = world
        .api("v1", "Event")
        .list(&kube::api::ListParams::default())
        .await;
    let events = events.expect("a list").items;
    let event = events
        .iter()
        .find(|event| event.data["reason"] == "TookFields");
    let event = event.expect("an event was written");
    assert_eq!(event.data["involvedObject"]["name"], "a");
    assert_eq!(event.data["message"], "took data.value from operator");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_are_left_alone_when_annotations_say_so() {
    let world = World::start().await;
    world.namespace().await;
    made_by(&world, "somebody", &config("once", "theirs")).await;
    let (once, never) = (
        json!({"ordain.dev/apply": "if-not-present"}),
        json!({"ordain.dev/apply": "ignore"}),
    );
    world
        .deploy(
            "web",
            &[
                annotated(config("once", "ours"), once.clone()),
                annotated(config("new", "ours"), once),
                annotated(config("never", "ours"), never),
                config("paused", "1"),
            ],
        )
        .await;
    assert_eq!(world.data("once").await, Some(json!({"value": "theirs"})));
    assert_eq!(world.data("new").await, Some(json!({"value": "ours"})));
    assert_eq!(world.data("never").await, None);

    // A pause on the live object holds until it is lifted there.
    let pause = json!({"metadata": {"annotations": {"ordain.dev/reconcile": "disabled"}}, "data": {"value": "edited"}});
    world.edit("ConfigMap", "paused", "oncall", &pause).await;
    world
        .until_app("web", |app| {
            app.notes
                .iter()
                .any(|note| note.contains("shop/paused is left alone"))
        })
        .await;
    assert_eq!(world.data("paused").await, Some(json!({"value": "edited"})));
    let lift = json!({"metadata": {"annotations": {"ordain.dev/reconcile": null}}});
    world.edit("ConfigMap", "paused", "oncall", &lift).await;
    world
        .until("the edit is put right", async |world| {
            world.data("paused").await == Some(json!({"value": "1"}))
        })
        .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_ignored_manager_wrote_stays() {
    let world = World::start().await;
    let ignore = json!({"ordain.dev/ignore-managers": "scaler"});
    let shared = |other: &str| {
        let mut object = annotated(config("a", "1"), ignore.clone());
        object["data"]["other"] = other.into();
        object
    };
    world.deploy("web", &[shared("1")]).await;
    let edit = json!({"data": {"value": "scaled"}});
    world.edit("ConfigMap", "a", "scaler", &edit).await;
    world.deploy("web", &[shared("2")]).await;
    let wanted = json!({"value": "scaled", "other": "2"});
    assert_eq!(world.data("a").await, Some(wanted));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ignored_fields_keep_what_others_wrote() {
    let world = World::start().await;
    let ignore = json!({"ordain.dev/ignore": "/data/value"});
    let shared = |other: &str| {
        let mut object = annotated(config("a", "1"), ignore.clone());
        object["data"]["other"] = other.into();
        object
    };
    world.deploy("web", &[shared("1")]).await;
    let edit = json!({"data": {"value": "theirs"}});
    world.edit("ConfigMap", "a", "kubectl-edit", &edit).await;
    // Something else has to be applied; the ignored field goes with it as it is.
    world.deploy("web", &[shared("2")]).await;
    assert_eq!(
        world.data("a").await,
        Some(json!({"value": "theirs", "other": "2"}))
    );
    world.stop().await;
}
