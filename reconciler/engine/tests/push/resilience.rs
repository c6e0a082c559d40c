//! Edits, restarts, crashes and absences.

use ordain_reconciler_engine::Sync;
use ordain_reconciler_journal::{Journal, Query, steps};
use serde_json::json;

use crate::{
    fake::Hang,
    world::{World, config, deployment, state},
};

pub(crate) async fn drift_is_put_right() {
    let world = World::start().await;
    world.app("web", &[config("settings", "1"), deployment("web:1")]);
    world.push("first").await;
    world.api.edit("v1/configmaps/shop/settings", |object| {
        object["data"]["value"] = "edited".into()
    });
    world
        .until(|world| {
            world
                .api
                .get("v1/configmaps/shop/settings")
                .is_some_and(|object| object["data"]["value"] == "1")
        })
        .await;
    world.api.remove("apps/v1/deployments/shop/web");
    world
        .until(|world| world.api.get("apps/v1/deployments/shop/web").is_some())
        .await;
    // A field that nobody declared is somebody else's business.
    world.api.edit("v1/configmaps/shop/settings", |object| {
        object["data"]["other"] = "x".into()
    });
    world.settle().await;
    let object = world
        .api
        .get("v1/configmaps/shop/settings")
        .expect("it exists");
    assert_eq!(object["data"], json!({"value": "1", "other": "x"}));
    assert_eq!(world.history("web").len(), 1, "drift is no deploy");
    world.stop().await;
}

pub(crate) async fn a_restart_writes_nothing_when_nothing_changed() {
    let world = World::start().await;
    world.app("web", &[config("settings", "1"), deployment("web:1")]);
    world.push("first").await;
    let writes = world.api.writes();
    let world = world.restart().await;
    world
        .until(|world| {
            world
                .status()
                .apps
                .first()
                .is_some_and(|app| app.health == "healthy")
        })
        .await;
    world.settle().await;
    assert_eq!(world.api.writes(), writes);
    assert_eq!(world.history("web").len(), 1);
    world.stop().await;
}

pub(crate) async fn a_restart_records_nothing_of_what_waits_or_fails_as_before() {
    let world = World::start().await;
    world.app("web", &[deployment("bad:1")]);
    world.app("db", &[config("db", "1")]);
    world.push("first").await;
    world.remove("apps/db.json");
    world.push("without db").await;
    let states = |world: &World| ["web", "db"].map(|app| state(&world.history(app)[0]));
    let records = |world: &World| {
        let journal = Journal::read(&world.journal()).expect("it opens");
        journal.records(&Query::default()).expect("it reads").len()
    };
    let is_known = |world: &World| {
        let apps = world.status().apps;
        let find = |name: &str| apps.iter().find(|app| app.name == name);
        find("web").is_some_and(|app| app.health == "degraded")
            && find("db").is_some_and(|app| app.sync == Sync::Blocked)
    };
    world.until(is_known).await;
    let before = (states(&world), records(&world));
    let world = world.restart().await;
    world.until(is_known).await;
    world.settle().await;
    assert_eq!((states(&world), records(&world)), before);
    world.stop().await;
}

/// Stops the engine at every single write of a deploy, with the write lost or its answer lost.
pub(crate) async fn a_crash_at_any_write_leaks_nothing() {
    for (number, hang) in (0..5).flat_map(|number| [(number, Hang::Before), (number, Hang::After)])
    {
        let world = World::start().await;
        world.app("web", &[config("a", "1"), config("gone", "1")]);
        world.push("first").await;
        // Five writes: one change, two objects, a deployment, one deletion.
        world.app(
            "web",
            &[
                config("a", "2"),
                config("b", "1"),
                config("c", "1"),
                deployment("web:1"),
            ],
        );
        let before = world.api.writes();
        world.api.hang(Some((number, hang)));
        let push = world.push_in_background("second");
        let reached = number + usize::from(hang == Hang::After);
        world.until(|world| world.history("web").len() == 2).await;
        world
            .until(|world| world.api.writes() >= before + reached)
            .await;
        let world = world.restart().await;
        world.api.hang(None);
        drop(push.await);
        // Nothing that the interrupted deploy made may be forgotten.
        world.app("web", &[config("a", "3")]);
        let push = world.push("third").await;
        assert!(
            push.text.contains("dev/web: healthy"),
            "{number}: {}",
            push.text
        );
        assert_eq!(
            world.api.keys(),
            ["v1/configmaps/shop/a", "v1/namespaces//shop"],
            "{number}"
        );
        world.stop().await;
    }
}

pub(crate) async fn the_cluster_may_come_later() {
    let world = World::start().await;
    world.api.down(true);
    world.app("web", &[config("a", "1")]);
    let push = world.push_in_background("first");
    world
        .until(|world| {
            world
                .status()
                .apps
                .first()
                .is_some_and(|app| app.message.contains("down"))
        })
        .await;
    world.api.down(false);
    let push = push.await.expect("no panic");
    assert!(push.text.contains("dev/web: healthy"), "{}", push.text);
    world.stop().await;
}

/// Nothing is written to the cluster that cannot be recorded first; drift is seen meanwhile, and all goes on by itself.
pub(crate) async fn a_full_disk_stops_deploys_and_nothing_else() {
    let world = World::start().await;
    world.app("web", &[config("a", "1")]);
    world.push("first").await;
    steps::disk_full(true);
    world.app("web", &[config("a", "2"), config("b", "1")]);
    let push = world.push_in_background("second");
    world
        .until(|world| {
            let status = world.status();
            let app = status.apps.first();
            app.is_some_and(|app| app.message.contains("cannot write"))
        })
        .await;
    assert!(world.api.get("v1/configmaps/shop/b").is_none());
    let a = world.api.get("v1/configmaps/shop/a").expect("it exists");
    assert_eq!(a["data"]["value"], "1");
    steps::disk_full(false);
    world
        .until(|world| world.api.get("v1/configmaps/shop/b").is_some())
        .await;
    drop(push.await);
    world
        .until(|world| {
            world
                .history("web")
                .last()
                .is_some_and(|row| row.was_healthy)
        })
        .await;
    assert_eq!(world.history("web").len(), 2);
    world.stop().await;
}
