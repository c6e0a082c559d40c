//! One bad object stops itself and what needs it; everything wrong is told at once.

use serde_json::json;

use crate::world::{World, config, deployment, sync, wrong};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_object_blocks_only_what_needs_it_and_deletions_wait() {
    let world = World::start().await;
    world
        .deploy("web", &[config("old", "1"), config("a", "1")])
        .await;
    // A key of a ConfigMap has no spaces.
    let mut bad = config("settings", "1");
    bad["data"] = json!({"not a key": "x"});
    let app = world
        .deploy_in_part(
            "web",
            &[
                config("a", "2"),
                bad,
                deployment("web", "settings"),
                config("b", "1"),
            ],
        )
        .await;
    assert_eq!(app.health, "degraded");
    let health = |name: &str| {
        let object = app.objects.iter().find(|object| object.name == name);
        object.expect("it is listed").clone()
    };
    assert_eq!(
        (health("a").health.as_str(), health("b").health.as_str()),
        ("healthy", "healthy")
    );
    let blocked = health("web");
    assert!(
        blocked
            .message
            .contains("waits for ConfigMap shop/settings"),
        "{blocked:?}"
    );
    assert!(app.message.contains("(apps/web.json:2)"), "{}", app.message);
    assert!(
        app.message.contains("Deployment shop/web"),
        "{}",
        app.message
    );
    assert_eq!(world.data("a").await, Some(json!({"value": "2"})));
    assert!(world.data("b").await.is_some());
    assert!(world.get("apps/v1", "Deployment", "web").await.is_none());
    assert!(world.data("old").await.is_some(), "nothing is deleted yet");

    world
        .deploy(
            "web",
            &[config("a", "2"), config("settings", "1"), config("b", "1")],
        )
        .await;
    assert!(world.data("settings").await.is_some());
    assert!(world.data("old").await.is_none());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_error_is_told_with_its_place() {
    let world = World::start().await;
    let app = world
        .deploy_in_part(
            "web",
            &[wrong("one"), config("a", "1"), wrong("two"), wrong("three")],
        )
        .await;
    for place in ["apps/web.json:1", "apps/web.json:3", "apps/web.json:4"] {
        assert!(app.message.contains(place), "{}", app.message);
    }
    world
        .until_app("web", |_| {
            let rows = world.history("web");
            let row = rows.last().map(|row| serde_json::to_value(&row.state));
            let row = row.and_then(Result::ok).unwrap_or_default();
            row["state"] == "failed" && row["reasons"].as_array().is_some_and(|all| all.len() == 3)
        })
        .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_before_everything_was_tried() {
    let world = World::start().await;
    world.namespace().await;
    let objects: Vec<_> = (0..40)
        .map(|number| config(&format!("c{number}"), "1"))
        .collect();
    world.deploy("web", &objects).await;
    let seen = world.tap.seen();
    let is_ours = |path: &str| path.contains("/configmaps/");
    let last_try = seen
        .iter()
        .rposition(|seen| seen.dry_run && is_ours(&seen.path));
    let first_write = seen
        .iter()
        .position(|seen| seen.writes() && is_ours(&seen.path));
    assert!(last_try < first_write, "{last_try:?} {first_write:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_is_declared_twice_stops_only_itself() {
    let world = World::start().await;
    let app = world
        .deploy_in_part(
            "web",
            &[config("a", "1"), config("b", "1"), config("a", "2")],
        )
        .await;
    let words = "it is declared twice: apps/web.json:1 and apps/web.json:3";
    assert!(app.message.contains(words), "{}", app.message);
    assert!(world.data("a").await.is_none());
    assert!(world.data("b").await.is_some());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn synced_means_applied_and_healthy() {
    let world = World::start().await;
    world.app(
        "web",
        &[config("settings", "1"), deployment("web", "settings")],
    );
    let commit = world.commit();
    world
        .until_app("web", |app| app.commit == commit && sync(app) == "applied")
        .await;
    world.rolled_out("web").await;
    world
        .until_app("web", |app| {
            sync(app) == "synced" && app.health == "healthy"
        })
        .await;
    world.stop().await;
}
