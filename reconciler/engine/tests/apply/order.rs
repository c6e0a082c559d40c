//! What needs something comes after it, as soon as it is there.

use serde_json::{Value, json};

use crate::world::{World, annotated, config, deployment, sync};

fn definition(name: &str) -> Value {
    let (plural, kind) = (format!("{name}s"), {
        let mut kind = name.to_owned();
        kind[..1].make_ascii_uppercase();
        kind
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.example.com")},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": name},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {"type": "object",
                    "properties": {"size": {"type": "integer"}}}}}}}],
        },
    })
}

fn thing(name: &str, size: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": name}, "spec": {"size": size}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kind_is_there_before_its_objects_and_wrong_ones_are_found_without_the_server() {
    let world = World::start().await;
    let app = world
        .deploy_in_part(
            "web",
            &[
                thing("good", json!(3)),
                thing("bad", json!("three")),
                definition("thing"),
            ],
        )
        .await;
    let words =
        "Thing.example.com shop/bad: spec.size: must be an integer, not a string (apps/web.json:2)";
    assert!(app.message.contains(words), "{}", app.message);
    let good = world.get("example.com/v1", "Thing", "good").await;
    assert_eq!(good.expect("it exists").data["spec"]["size"], 3);
    let bad = "/apis/example.com/v1/namespaces/shop/things/bad";
    let asked = world.tap.seen().into_iter().filter(|seen| seen.path == bad);
    assert_eq!(asked.filter(crate::tap::Seen::writes).count(), 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_waits_until_another_is_healthy_and_goes_on_by_itself() {
    let world = World::start().await;
    let after = json!({"ordain.dev/after": "Deployment/web"});
    world.app(
        "web",
        &[
            config("settings", "1"),
            deployment("web", "settings"),
            annotated(config("later", "1"), after),
        ],
    );
    let commit = world.commit();
    let app = world
        .until_app("web", |app| {
            app.commit == commit
                && app
                    .objects
                    .iter()
                    .any(|object| object.message.contains("waits for"))
        })
        .await;
    assert_eq!(sync(&app), "applying");
    assert!(world.data("settings").await.is_some());
    assert!(world.data("later").await.is_none());
    world.rolled_out("web").await;
    world.until_app("web", |app| sync(app) == "synced").await;
    assert!(world.data("later").await.is_some());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_comes_after_another_and_circles_are_named() {
    let world = World::start().await;
    let after = |app: &str| json!({"ordain.dev/after": format!("app/{app}")});
    world.app("web", &[annotated(config("web", "1"), after("db"))]);
    let commit = world.commit();
    world
        .until_app("web", |app| {
            app.commit == commit && app.message.contains("waits for app db")
        })
        .await;
    world.deploy("db", &[config("db", "1")]).await;
    world.until_app("web", |app| sync(app) == "synced").await;
    assert!(world.data("web").await.is_some());

    world.app("a", &[annotated(config("a", "1"), after("b"))]);
    world.app("b", &[annotated(config("b", "1"), after("a"))]);
    world.commit();
    for (app, circle) in [
        ("a", "a waits for b waits for a"),
        ("b", "b waits for a waits for b"),
    ] {
        let found = world.until_app(app, |app| sync(app) == "out-of-sync").await;
        assert!(found.message.contains(circle), "{}", found.message);
    }
    world.stop().await;
}
