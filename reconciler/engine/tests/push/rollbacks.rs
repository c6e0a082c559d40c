//! Back to an earlier commit, by a commit.

use ordain_reconciler_engine::{
    HoldKind,
    control::{Request, Response},
};
use ordain_reconciler_source::{trailer, trailers};

use crate::world::{GRACE, World, claim, config, deployment, rollback, state};

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
    for limit in 0..=4 {
        let newest = world.newest("web", Some(limit));
        let left_out = history.len().saturating_sub(limit);
        assert_eq!(newest, history[left_out..], "the newest {limit}");
    }

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

pub(crate) async fn a_rollback_that_would_change_others_is_refused_and_all_is_offered() {
    let world = World::start().await;
    world.write("prefix", "old-");
    world.app("web", &[config("a", "1")]);
    world.app("db", &[config("db", "1")]);
    world.push("first").await;
    let first = world.tip();
    // The objects of every app depend on a file that no object stands in.
    world.write("prefix", "new-");
    world.push("second").await;
    assert!(world.value("new-a").is_some());
    let second = world.tip();
    let refused = world
        .ask(rollback("web", &first, "the prefix was wrong"))
        .await
        .expect_err("another app would change");
    let short = &first[..10];
    assert_eq!(
        refused,
        format!(
            "dev/web cannot go back to {short} alone: restoring prefix changes dev/db as well; \
             roll back the whole repository with `ordain rollback --all --to {short}`"
        )
    );
    assert_eq!(world.tip(), second, "nothing was written");

    let request = Request::RollbackAll {
        to: "last-healthy".to_owned(),
        reason: "the prefix was wrong".to_owned(),
        author: GRACE.to_owned(),
        sign: true,
        wait: true,
    };
    let (_, lines) = world.ask(request).await.expect("it is done");
    for line in ["dev/web: healthy", "dev/db: healthy"] {
        assert!(lines.contains(line), "{line:?} is missing in:\n{lines}");
    }
    assert_eq!(world.value("old-a").as_deref(), Some("1"));
    assert_eq!(world.value("old-db").as_deref(), Some("1"));
    assert_eq!(world.value("new-a"), None);
    let written = world.commit(&world.tip());
    assert_eq!(
        trailer(&written.message, "Rollback-To"),
        Some(first.as_str())
    );
    assert_eq!(trailers(&written.message, "Plan-Hash").count(), 2);
    assert_eq!(
        trailer(&written.message, "Reason"),
        Some("the prefix was wrong")
    );
    let signed = world.git(&["fetch", "--quiet", "ordain", "main"]);
    assert!(signed.ok, "{}", signed.text);
    let raw = world.git(&["cat-file", "commit", "FETCH_HEAD"]);
    assert!(raw.text.contains("-----BEGIN SSH SIGNATURE-----"));
    world.stop().await;
}

pub(crate) async fn a_rollback_goes_to_a_time_and_what_follows_goes_forward_again() {
    let world = World::start().await;
    world.app("web", &[config("a", "1")]);
    world.push("first").await;
    world.app("web", &[config("a", "2")]);
    world.push("second").await;
    let second = world.tip();
    // At a time before everything there was nothing.
    let refused = world.ask(rollback("web", "1999-01-01", "x")).await;
    assert_eq!(
        refused.expect_err("nothing was there"),
        "nothing of dev/web was healthy at 1999-01-01"
    );
    let refused = world.ask(rollback("web", "0s ago", "x")).await;
    assert!(
        refused
            .expect_err("it stands already")
            .contains("there is nothing to roll back")
    );
    let first = world.history("web")[0].time.clone();
    let time: jiff::Timestamp = first.parse().expect("a time");
    // The history tells whole seconds, so the next one is surely later than the first deploy.
    let time = time.as_second() + 1;
    if world.history("web")[1].time == first {
        // Both began in the same second: the time means the later one.
        world.stop().await;
        return;
    }
    let time = jiff::Timestamp::from_second(time).expect("a time");
    let (_, lines) = world
        .rollback("web", &time.to_string(), "it was better then")
        .await;
    assert!(lines.contains("dev/web: healthy"), "{lines}");
    assert_eq!(world.value("a").as_deref(), Some("1"));
    let hold = world
        .held(HoldKind::Quarantined)
        .expect("the commit is held");
    assert_eq!(hold.commit, Some(second));
    assert!(hold.message.contains("it was better then"), "{hold:?}");

    // Automatic deploys are on: a fix goes through, and ends the quarantine.
    world.git(&["pull", "--quiet", "--rebase", "ordain", "main"]);
    world.app("web", &[config("a", "3")]);
    let push = world.push("third").await;
    assert!(push.text.contains("dev/web: healthy"), "{}", push.text);
    assert_eq!(world.held(HoldKind::Quarantined), None);
    world.stop().await;
}

pub(crate) async fn the_same_objects_may_come_back_on_purpose() {
    let world = World::start().await;
    world.app("web", &[config("a", "1")]);
    world.push("first").await;
    world.app("web", &[config("a", "2")]);
    world.push("second").await;
    world.rollback("web", "last-healthy", "not yet").await;
    assert_eq!(world.value("a").as_deref(), Some("1"));
    world.git(&["pull", "--quiet", "--rebase", "ordain", "main"]);
    world.git(&["revert", "--no-edit", "HEAD"]);
    let push = world.push("now").await;
    assert!(push.text.contains("dev/web: healthy"), "{}", push.text);
    assert_eq!(world.value("a").as_deref(), Some("2"));
    world.stop().await;
}

pub(crate) async fn a_rollback_keeps_what_holds_data() {
    let world = World::start().await;
    world.app("web", &[config("a", "1")]);
    world.push("first").await;
    world.app("web", &[config("a", "1"), config("b", "1"), claim()]);
    world.push("with data").await;
    let key = "v1/persistentvolumeclaims/shop/data";
    assert!(world.api.get(key).is_some());
    let first = world.history("web")[0].commit.clone();
    let (_, lines) = world.rollback("web", &first, "no data yet").await;
    assert!(
        lines.contains(
            "= PersistentVolumeClaim shop/data: kept: a rollback deletes no data; remove it in a commit of its own"
        ),
        "{lines}"
    );
    assert!(world.api.get(key).is_some(), "data stays");
    assert_eq!(world.value("b"), None, "the rest goes");
    let last = world.history("web").pop().expect("a deploy");
    let commit = world.commit(&world.tip());
    assert_eq!(
        trailer(&commit.message, "Plan-Hash"),
        Some(last.plan.as_str())
    );
    world.stop().await;
}

pub(crate) async fn objects_come_back_from_the_journal_when_the_commit_is_gone() {
    let world = World::start().await;
    world.app("web", &[config("a", "1")]);
    world.push("first").await;
    let first = world.tip();
    // Somebody rewrites the branch, and the repository forgets what was there.
    world.git(&["checkout", "--quiet", "--orphan", "fresh"]);
    world.app("web", &[config("a", "2")]);
    world.push("rewritten").await;
    world.collect();
    let request = rollback("web", &first, "the rewrite was wrong");
    let (answers, lines) = world.ask(request).await.expect("it is done");
    assert!(
        lines.contains("is not in the repository any more")
            && lines.contains("the sources could not be restored"),
        "{lines}"
    );
    assert!(lines.contains("dev/web: healthy"), "{lines}");
    assert!(
        !answers
            .iter()
            .any(|answer| matches!(answer, Response::Commit { .. }))
    );
    assert_eq!(world.value("a").as_deref(), Some("1"));
    assert!(world.held(HoldKind::Quarantined).is_some());
    // It stands over a restart, and other commits do not undo it.
    let world = world.restart().await;
    world.app("db", &[config("db", "1")]);
    world.push("another app").await;
    world.until_value("db", "1").await;
    assert_eq!(world.value("a").as_deref(), Some("1"));
    world.app("web", &[config("a", "3")]);
    world.push("a fix").await;
    world.until_value("a", "3").await;
    assert_eq!(world.held(HoldKind::Quarantined), None);
    world.stop().await;
}
