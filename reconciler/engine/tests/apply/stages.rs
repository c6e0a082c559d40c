//! What is asked and what is written, in which order: everything is tried before anything is written, and what lives
//! in something new is tried as soon as that is there.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    tap::Seen,
    world::{World, config, sync},
};

/// A kind `Thing` whose names of colors are checked by the server alone: a pattern.
fn definition(properties: Value) -> Value {
    versions(
        json!([{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
        "type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}}}]),
    )
}

fn versions(versions: Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"kind": "Thing", "listKind": "ThingList", "plural": "things", "singular": "thing"},
            "versions": versions,
        },
    })
}

fn thing(version: &str, name: &str, spec: Value) -> Value {
    let version = format!("example.com/{version}");
    json!({"apiVersion": version, "kind": "Thing", "metadata": {"name": name}, "spec": spec})
}

fn inside(mut object: Value, namespace: &str) -> Value {
    object["metadata"]["namespace"] = namespace.into();
    object
}

/// A ConfigMap that no server accepts.
fn bad(name: &str) -> Value {
    let mut bad = config(name, "1");
    bad["data"] = json!({"not a key": "x"});
    bad
}

/// The last parts of paths of objects, in the order in which they were first asked for.
fn names(seen: impl Iterator<Item = Seen>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for seen in seen.filter(|seen| seen.method != http::Method::GET) {
        let name = seen.path.rsplit('/').next().unwrap_or_default().to_owned();
        if !seen.path.contains("/events") && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_can_be_tried_is_tried_before_the_first_write_and_the_rest_as_stages() {
    let world = World::start().await;
    world.namespace().await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "inner"}});
    let color = json!({"color": {"type": "string", "pattern": "^[a-z]+$"}});
    world.app(
        "web",
        &[
            bad("bad"),
            config("good", "1"),
            namespace,
            inside(config("first", "1"), "inner"),
            inside(bad("second"), "inner"),
            inside(config("third", "1"), "inner"),
            definition(color),
            thing("v1", "red", json!({"color": "red"})),
            thing("v1", "loud", json!({"color": "RED"})),
        ],
    );
    let commit = world.commit();
    let places = ["apps/web.json:1", "apps/web.json:5", "apps/web.json:9"];
    let app = world
        .until_app("web", |app| {
            let all = places.iter().all(|place| app.message.contains(place));
            app.commit == commit && sync(app) == "out-of-sync" && all
        })
        .await;
    assert_eq!(app.health, "degraded");
    world
        .until("what is good is there", async |world| {
            world.get("example.com/v1", "Thing", "red").await.is_some()
        })
        .await;

    let seen = world.tap.seen();
    let first_write = seen.iter().position(Seen::writes).expect("it wrote");
    let tried = names(
        seen[..first_write]
            .iter()
            .filter(|seen| seen.dry_run)
            .cloned(),
    );
    let could_be_tried = set(&["bad", "good", "inner", "things.example.com"]);
    assert_eq!(tried.into_iter().collect::<BTreeSet<_>>(), could_be_tried);
    let behind = set(&["first", "second", "third", "red", "loud"]);
    let is_behind = |seen: &&Seen| {
        let name = seen.path.rsplit('/').next().unwrap_or_default();
        behind.contains(name)
    };
    let write = seen
        .iter()
        .position(|seen| seen.writes() && is_behind(&seen));
    let before = &seen[..write.expect("they were written")];
    let tried = names(before.iter().filter(|seen| seen.dry_run).cloned());
    assert!(
        behind.iter().all(|name| tried.contains(name)),
        "{tried:?} were tried before one was written"
    );
    // One bad object stops only itself and what needs it.
    let written = names(world.tap.writes().into_iter());
    let wanted = set(&[
        "good",
        "inner",
        "things.example.com",
        "first",
        "third",
        "red",
    ]);
    assert_eq!(written.into_iter().collect::<BTreeSet<_>>(), wanted);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_that_is_refused_stops_what_is_in_it_and_nothing_else() {
    let world = World::start().await;
    world.namespace().await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
        "name": "inner", "labels": {"not a label!": "x"}}});
    let objects = [
        namespace,
        inside(config("first", "1"), "inner"),
        config("good", "1"),
    ];
    let app = world.deploy_in_part("web", &objects).await;
    assert!(app.message.contains("apps/web.json:1"), "{}", app.message);
    let words = "ConfigMap inner/first: waits for Namespace inner (its namespace)";
    assert!(app.message.contains(words), "{}", app.message);
    let written = names(world.tap.writes().into_iter());
    assert_eq!(written, ["good"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_may_use_what_its_definition_learns_in_the_same_commit() {
    let world = World::start().await;
    let size = json!({"size": {"type": "integer"}});
    let small = thing("v1", "a", json!({"size": 1}));
    world.deploy("web", &[definition(size), small]).await;

    let more = json!({"size": {"type": "integer"}, "color": {"type": "string"}});
    let colored = thing("v1", "a", json!({"size": 1, "color": "red"}));
    world
        .deploy("web", &[definition(more), colored.clone()])
        .await;
    let object = world.get("example.com/v1", "Thing", "a").await;
    assert_eq!(object.expect("it exists").data["spec"]["color"], "red");
    let rows = world.history("web");
    let states: Vec<_> = rows
        .iter()
        .map(|row| serde_json::to_value(&row.state))
        .collect();
    assert!(
        !format!("{states:?}").contains("failed"),
        "it was never told that it fails: {states:?}"
    );

    // What the new definition would refuse is refused before it is there.
    let taste = json!({"size": {"type": "integer"}, "taste": {"type": "string"}});
    let app = world
        .deploy_in_part("web", &[definition(taste), colored])
        .await;
    let words = "Thing.example.com shop/a: spec.color";
    assert!(app.message.contains(words), "{}", app.message);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_of_an_old_version_are_ours_in_the_new_one_too() {
    let world = World::start().await;
    let version = |name: &str, storage: bool, properties: Value| {
        json!({"name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": {
            "type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}}})
    };
    let old = json!({"size": {"type": "integer"}, "color": {"type": "string"}});
    // `color` goes from the schema: what somebody set in the old version is unknown to the new one.
    let new = json!({"size": {"type": "integer"}, "taste": {"type": "string"}});
    let first = versions(json!([version("v1", true, old.clone())]));
    let thing_1 = thing("v1", "a", json!({"size": 1, "color": "red"}));
    let app = world.deploy("web", &[first, thing_1]).await;
    assert_eq!(app.health, "healthy");

    let both = json!([version("v1", true, old), version("v2", false, new)]);
    let thing_2 = thing("v2", "a", json!({"size": 2, "taste": "sweet"}));
    world.deploy("web", &[versions(both), thing_2]).await;
    let object = world
        .get("example.com/v2", "Thing", "a")
        .await
        .expect("it exists");
    assert_eq!(object.data["spec"]["size"], 2);
    assert_eq!(object.data["spec"]["taste"], "sweet");
    assert_eq!(
        object.data["spec"].get("color"),
        None,
        "nobody declares it any more"
    );
    let entries = object.metadata.managed_fields.unwrap_or_default();
    let ours: Vec<_> = (entries.iter())
        .filter(|entry| entry.manager.as_deref() == Some("ordain"))
        .filter_map(|entry| entry.api_version.clone())
        .collect();
    assert_eq!(ours, ["example.com/v2"], "{entries:?}");
    let writes = world.tap.writes().len();
    world.deploy("other", &[config("x", "1")]).await;
    let things = world.tap.writes().split_off(writes);
    assert!(
        !things.iter().any(|seen| seen.path.contains("/things/")),
        "{things:?}"
    );
    world.stop().await;
}
