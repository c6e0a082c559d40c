//! What is deleted, what stays, and what waits for somebody to say yes.

use std::path::Path;

use ordain_reconciler_engine::Config;
use ordain_reconciler_plan::OnRemove;

use crate::world::{World, config, state};

pub(crate) async fn what_is_no_longer_declared_is_pruned_if_it_is_ours() {
    let world = World::start().await;
    world.app(
        "web",
        &[config("a", "1"), config("b", "1"), config("c", "1")],
    );
    world.push("first").await;
    // While the engine cannot see it, the object goes to another owner.
    world.api.down(true);
    world.api.edit("v1/configmaps/shop/c", |object| {
        object["metadata"]["annotations"]["ordain.dev/app"] = "dev/other".into();
    });
    world.app("web", &[config("a", "1")]);
    let push = world.push_in_background("fewer");
    world
        .until(|world| {
            let status = world.status();
            status.apps[0].commit == world.tip() && status.apps[0].message.contains("down")
        })
        .await;
    world.api.down(false);
    let push = push.await.expect("no panic");
    assert!(
        push.text.contains("- ConfigMap shop/b: no longer declared"),
        "{}",
        push.text
    );
    assert!(
        push.text
            .contains("= ConfigMap shop/c: now belongs to dev/other"),
        "{}",
        push.text
    );
    assert_eq!(
        world.api.keys(),
        [
            "v1/configmaps/shop/a",
            "v1/configmaps/shop/c",
            "v1/namespaces//shop"
        ]
    );
    world.stop().await;
}

pub(crate) async fn a_removed_app_waits_for_an_approval() {
    let world = World::start().await;
    world.app("web", &[config("a", "1")]);
    world.app("db", &[config("db", "1")]);
    world.push("first").await;
    world.remove("apps/db.json");
    let push = world.push("without db").await;
    assert!(
        push.text
            .contains("dev/db: healthy; deletions wait for an approval of plan"),
        "{}",
        push.text
    );
    assert!(world.api.get("v1/configmaps/shop/db").is_some());
    let plan = world.history("db").last().expect("a deploy").plan.clone();
    world.approve(&plan);
    world
        .until(|world| world.api.get("v1/configmaps/shop/db").is_none())
        .await;
    world.until(|world| world.status().apps.len() == 1).await;
    world.stop().await;
}

pub(crate) async fn a_commit_can_approve_what_waits() {
    let world = World::start().await;
    let many: Vec<_> = (0..6)
        .map(|number| config(&format!("c{number}"), "1"))
        .collect();
    world.app("web", &many);
    world.push("first").await;
    world.app("web", &many[..1]);
    let push = world.push("most of it goes").await;
    assert!(
        push.text
            .contains("! held: deletes 5 of 6 objects (83 %, more than 20 %)"),
        "{}",
        push.text
    );
    assert_eq!(state(&world.history("web")[1]), "blocked");
    let hash = push
        .text
        .split("`Approve-Plan: ")
        .nth(1)
        .and_then(|text| text.split('`').next());
    let hash = hash.expect("the push says how to go on").to_owned();
    world.write("README", "an empty commit would do as well");
    let push = world.push(&format!("yes\n\nApprove-Plan: {hash}")).await;
    assert!(
        push.text.contains("dev/web: 5 to delete, 1 unchanged"),
        "{}",
        push.text
    );
    assert!(push.text.contains("dev/web: healthy"), "{}", push.text);
    assert_eq!(
        world.api.keys(),
        ["v1/configmaps/shop/c0", "v1/namespaces//shop"]
    );
    world.stop().await;
}

pub(crate) async fn an_object_goes_to_another_app_without_being_deleted() {
    let world = World::start().await;
    world.app("web", &[config("a", "1")]);
    world.app("db", &[config("moves", "1")]);
    world.push("first").await;
    let uid = |world: &World| {
        let object = world
            .api
            .get("v1/configmaps/shop/moves")
            .expect("it is never deleted");
        object["metadata"]["uid"].clone()
    };
    let before = uid(&world);
    world.app("web", &[config("a", "1"), config("moves", "1")]);
    world.remove("apps/db.json");
    let push = world.push("moved").await;
    assert!(push.ok, "{}", push.text);
    assert!(
        push.text
            .contains("~ ConfigMap shop/moves: moves here from dev/db"),
        "{}",
        push.text
    );
    // The app that is gone lets go of it as soon as the other one has it.
    world.until(|world| world.status().apps.len() == 1).await;
    assert_eq!(uid(&world), before);
    // Two apps that declare it: who has it keeps it, the other one is told.
    world.app("db", &[config("moves", "2")]);
    let push = world.push("twice").await;
    assert!(
        push.text
            .contains("ConfigMap shop/moves: app dev/web declares it too"),
        "{}",
        push.text
    );
    assert_eq!(uid(&world), before);
    world.stop().await;
}

pub(crate) async fn an_app_that_is_taken_out_is_left_behind_or_deleted_when_that_is_said() {
    for on_remove in [OnRemove::Orphan, OnRemove::Delete] {
        let set = |_: &Path, config: &mut Config| config.ownership.on_remove = on_remove;
        let world = World::start_with(set).await;
        world.app("web", &[config("a", "1")]);
        world.app("db", &[config("db", "1")]);
        world.push("first").await;
        world.remove("apps/db.json");
        let push = world.push("without db").await;
        assert!(push.ok, "{}", push.text);
        world.until(|world| world.status().apps.len() == 1).await;
        let left = world.api.get("v1/configmaps/shop/db");
        assert_eq!(
            left.is_some(),
            on_remove == OnRemove::Orphan,
            "{}",
            push.text
        );
        if let Some(left) = left {
            assert_eq!(left.pointer("/metadata/annotations/ordain.dev~1app"), None);
            assert_eq!(left["data"]["value"], "1");
        }
        world.stop().await;
    }
}
