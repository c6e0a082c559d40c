//! Back to an earlier commit, by a commit.

use ordain_reconciler_source::trailer;

use crate::world::{World, config, deployment, state};

pub(crate) async fn a_rollback_is_a_commit_that_restores_the_objects() {
    let world = World::start().await;
    world.app("web", &[config("settings", "1"), deployment("web:1")]);
    world.app("db", &[config("db", "1")]);
    world.push("first").await;
    let first = world.tip();
    world.app("web", &[deployment("web:2"), config("extra", "2")]);
    world.app("db", &[config("db", "2")]);
    world.push("second").await;
    let second = world.tip();

    let (commit, lines) = world
        .rollback("web", "last-healthy", "web:2 is too slow")
        .await;
    assert_eq!(world.tip(), commit);
    assert!(lines.contains("dev/web: healthy"), "{lines}");
    let written = world.commit(&commit);
    assert_eq!(written.author.to_string(), "Grace <grace@example.com>");
    assert_eq!(
        trailer(&written.message, "Rollback-Of"),
        Some(second.as_str())
    );
    assert_eq!(
        trailer(&written.message, "Rollback-To"),
        Some(first.as_str())
    );
    let history = world.history("web");
    let last = history.last().expect("three deploys");
    assert_eq!(
        trailer(&written.message, "Plan-Hash"),
        Some(last.plan.as_str())
    );
    assert_eq!(
        last.set, history[0].set,
        "the objects are those of the first commit"
    );
    let states: Vec<_> = history.iter().map(state).collect();
    assert_eq!(states, ["healthy", "rolled-back", "healthy"]);

    let object = |key| world.api.get(key).expect("it exists");
    assert_eq!(object("v1/configmaps/shop/settings")["data"]["value"], "1");
    assert_eq!(
        object("v1/configmaps/shop/db")["data"]["value"],
        "2",
        "another app stays"
    );
    assert!(
        world.api.get("v1/configmaps/shop/extra").is_none(),
        "what came later is pruned"
    );
    assert_eq!(
        world.history("db").len(),
        2,
        "a rollback of one app is no deploy of another"
    );
    world.stop().await;
}

pub(crate) async fn a_rollback_takes_the_whole_tree_when_files_alone_do_not_do() {
    let world = World::start().await;
    world.write("prefix", "old-");
    world.app("web", &[config("a", "1")]);
    world.app("db", &[config("db", "1")]);
    world.push("first").await;
    let first = world.tip();
    // The objects of every app depend on a file that no object stands in.
    world.write("prefix", "new-");
    world.push("second").await;
    assert!(world.api.get("v1/configmaps/shop/new-a").is_some());
    let (commit, lines) = world.rollback("web", &first, "the prefix was wrong").await;
    assert!(lines.contains("the whole tree is restored"), "{lines}");
    assert!(world.api.get("v1/configmaps/shop/old-a").is_some());
    assert!(world.api.get("v1/configmaps/shop/new-a").is_none());
    assert!(
        world.api.get("v1/configmaps/shop/old-db").is_some(),
        "the other app went along"
    );
    assert_eq!(
        trailer(&world.commit(&commit).message, "Rollback-To"),
        Some(first.as_str())
    );
    world.stop().await;
}
