//! The whole way of an app: objects are created, changed, pruned and otherwise left alone, also while the repository is
//! away. The rules of server-side apply are the server's own.

use kube::{
    ResourceExt as _,
    api::{DeleteParams, DynamicObject, PostParams},
};
use ordain_reconciler_journal::State;
use serde_json::{Value, json};

use crate::world::{World, config, sync, wrong};

fn service(port: u16) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": port}]}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_are_created_changed_pruned_and_otherwise_left_alone() {
    let world = World::start().await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"a": "b"}});
    let objects = [
        config("a", "1"),
        config("b", "1"),
        service(80),
        secret.clone(),
    ];
    world.deploy("web", &objects).await;
    let first = world.history("web").pop().expect("a deploy");
    assert!(first.was_healthy, "{first:?}");
    assert_eq!(first.counts.create, 4);
    assert!(world.get("v1", "Secret", "key").await.is_some());

    let version = async |world: &World, kind: &str, name: &str| {
        let object = world.get("v1", kind, name).await.expect("it exists");
        object.resource_version()
    };
    let before = version(&world, "Service", "web").await;
    world
        .deploy("web", &[config("a", "2"), service(80), secret])
        .await;
    let second = world.history("web").pop().expect("a deploy");
    assert!(second.was_healthy, "{second:?}");
    let counts = second.counts;
    assert_eq!((counts.update, counts.delete, counts.unchanged), (1, 1, 2));
    assert_eq!(world.data("b").await, None);
    assert_eq!(
        version(&world, "Service", "web").await,
        before,
        "what is the same is not written"
    );

    // A restart compares everything and writes nothing.
    let before = version(&world, "ConfigMap", "a").await;
    let world = world.restart(|_| {}).await;
    world.until_app("web", |app| sync(app) == "synced").await;
    assert_eq!(version(&world, "ConfigMap", "a").await, before);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_and_its_objects_come_in_one_commit() {
    let world = World::start().await;
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"kind": "Thing", "listKind": "ThingList", "plural": "things", "singular": "thing"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {"type": "object",
                    "properties": {"size": {"type": "integer"}}}}}}}],
        },
    });
    let thing = json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "one"}, "spec": {"size": 3}});
    world.deploy("web", &[thing, definition]).await;
    let thing = world
        .api("example.com/v1", "Thing")
        .get("one")
        .await
        .expect("it exists");
    assert_eq!(thing.data["spec"]["size"], 3);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_object_is_refused_with_the_servers_words() {
    let world = World::start().await;
    world
        .deploy_in_part("web", &[config("a", "1"), wrong("web")])
        .await;
    let is_failed = async |world: &World| {
        let last = world.history("web").pop();
        last.is_some_and(|row| matches!(row.state, State::Failed { .. }))
    };
    world.until("it is recorded", is_failed).await;
    let Some(State::Failed { reasons }) = world.history("web").pop().map(|row| row.state) else {
        panic!("it failed");
    };
    let reason = &reasons[0];
    assert!(
        reason.starts_with("Service shop/web: ") && reason.contains("port"),
        "{reason}"
    );
    assert!(world.data("a").await.is_some(), "what is right is applied");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_are_put_right_within_a_moment() {
    let world = World::start().await;
    world.deploy("web", &[config("a", "1")]).await;
    let patch = json!({"data": {"value": "edited"}});
    world.edit("ConfigMap", "a", "somebody", &patch).await;
    world
        .until("it is put right", async |world| {
            world.data("a").await == Some(json!({"value": "1"}))
        })
        .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_kubectl_applied_is_adopted() {
    let world = World::start().await;
    world.namespace().await;
    let mut object: DynamicObject = serde_json::from_value(config("a", "0")).expect("an object");
    object.data["data"]["old"] = "x".into();
    let kubectl = PostParams {
        field_manager: Some("kubectl-client-side-apply".to_owned()),
        ..PostParams::default()
    };
    world
        .api("v1", "ConfigMap")
        .create(&kubectl, &object)
        .await
        .expect("created");
    world.deploy("web", &[config("a", "1")]).await;
    assert_eq!(
        world.data("a").await,
        Some(json!({"value": "1"})),
        "what kubectl alone had declared is gone"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_repository_is_away_the_last_good_state_is_kept() {
    let world = World::start().await;
    world.deploy("web", &[config("a", "1")]).await;
    world.away(true);
    let world = world.restart(|_| {}).await;
    world.until_app("web", |app| sync(app) == "synced").await;
    let message = world.source().message;
    assert!(message.contains("cannot fetch"), "{message}");
    let api = world.api("v1", "ConfigMap");
    api.delete("a", &DeleteParams::default())
        .await
        .expect("deleted");
    world
        .until("it is put right", async |world| {
            world.data("a").await.is_some()
        })
        .await;

    world.away(false);
    world.deploy("web", &[config("a", "2")]).await;
    assert_eq!(world.source().message, "");
    world.stop().await;
}
