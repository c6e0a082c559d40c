//! Edits by others are put right, and nothing is sent while there is nothing to do.

use kube::api::{DeleteParams, Patch, PatchParams};
use ordain_reconciler_engine::control::Request;
use serde_json::json;

use crate::world::{World, config};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_and_deletions_are_put_right_without_a_look_at_other_objects() {
    let world = World::start().await;
    let objects: Vec<_> = (0..20)
        .map(|number| config(&format!("c{number}"), "1"))
        .collect();
    world.deploy("web", &objects).await;
    let before = world.tap.seen().len();
    world
        .edit(
            "ConfigMap",
            "c3",
            "oncall",
            &json!({"data": {"value": "edited"}}),
        )
        .await;
    world
        .until("the edit is put right", async |world| {
            world.data("c3").await == Some(json!({"value": "1"}))
        })
        .await;
    let api = world.api("v1", "ConfigMap");
    api.delete("c4", &DeleteParams::default())
        .await
        .expect("deleted");
    world
        .until("it is back", async |world| world.data("c4").await.is_some())
        .await;
    let others = world.tap.seen().into_iter().skip(before).filter(|seen| {
        seen.path.contains("/configmaps/")
            && !seen.path.ends_with("/c3")
            && !seen.path.ends_with("/c4")
    });
    assert_eq!(others.count(), 0);
    assert_eq!(world.history("web").len(), 1, "drift is no deploy");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_asked_about_an_app_at_rest() {
    let world = World::start().await;
    world.deploy("rests", &[config("a", "1")]).await;
    let before = world.tap.seen().len();
    for number in 0..20 {
        world
            .deploy("other", &[config("b", &number.to_string())])
            .await;
    }
    let seen = world.tap.seen();
    let asked = seen[before..]
        .iter()
        .filter(|seen| seen.path.ends_with("/configmaps/a"));
    assert_eq!(asked.count(), 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_with_somebody_elses_label_are_watched_too() {
    let world = World::start().await;
    let mut object = config("a", "1");
    object["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "somebody"});
    world.deploy("web", &[object, config("b", "1")]).await;
    world
        .edit(
            "ConfigMap",
            "a",
            "oncall",
            &json!({"data": {"value": "edited"}}),
        )
        .await;
    world
        .until("the edit is put right", async |world| {
            world.data("a").await == Some(json!({"value": "1"}))
        })
        .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_however_often_everything_is_compared() {
    const PASSES: usize = 200;
    let world = World::start().await;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"a": "b"}});
    world
        .deploy("web", &[config("a", "1"), service, secret])
        .await;
    let versions = async |world: &World| {
        let mut versions = Vec::new();
        for (kind, name) in [("ConfigMap", "a"), ("Service", "web"), ("Secret", "key")] {
            let object = world.get("v1", kind, name).await.expect("it exists");
            versions.push(object.metadata.resource_version);
        }
        versions
    };
    let (before, writes) = (versions(&world).await, world.tap.writes().len());
    for _ in 0..PASSES {
        let tries = world.tap.seen().iter().filter(|seen| seen.dry_run).count();
        let (app, env) = ("web".to_owned(), None);
        world.call(&Request::Compare { app, env });
        world
            .until("everything is compared", async |world| {
                let seen = world.tap.seen();
                seen.iter().filter(|seen| seen.dry_run).count() >= tries + 3
            })
            .await;
    }
    assert_eq!(versions(&world).await, before);
    assert_eq!(world.tap.writes().len(), writes);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_keeps_changing_a_field_is_named_and_the_field_is_left_alone() {
    let world = World::start().await;
    let mut object = config("a", "1");
    object["data"]["other"] = "1".into();
    world.deploy("web", &[object]).await;
    let api = world.api("v1", "ConfigMap");
    let fighter = tokio::spawn(async move {
        let params = PatchParams {
            field_manager: Some("operator".to_owned()),
            ..PatchParams::default()
        };
        loop {
            let object = api.get("a").await.expect("it exists");
            if object.data["data"]["value"] != "theirs" {
                let patch = json!({"data": {"value": "theirs"}});
                let patched = api.patch("a", &params, &Patch::Merge(&patch)).await;
                patched.expect("patched");
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let app = world
        .until_app("web", |app| {
            app.notes.iter().any(|note| note.contains("fight over"))
        })
        .await;
    let note = app.notes.iter().find(|note| note.contains("fight over"));
    let note = note.expect("it was there a moment ago");
    assert!(
        note.contains("ordain and operator fight over data.value"),
        "{note}"
    );
    // The rest of the object is still kept as declared.
    world
        .edit(
            "ConfigMap",
            "a",
            "oncall",
            &json!({"data": {"other": "edited"}}),
        )
        .await;
    world
        .until("the other field is put right", async |world| {
            world
                .data("a")
                .await
                .is_some_and(|data| data["other"] == "1")
        })
        .await;
    fighter.abort();
    world.stop().await;
}
