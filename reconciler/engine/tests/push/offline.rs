//! Rollbacks while the repository cannot be reached, and what becomes of their commits.

use ordain_reconciler_engine::HoldKind;
use ordain_reconciler_journal::{Event, Journal, Query};
use ordain_reconciler_source::trailer;

use crate::world::{World, config, rollback};

/// Two commits, deployed; the repository is away then. Returns the second commit.
async fn unreachable(world: &World) -> String {
    world.app("web", &[config("a", "1")]);
    world.app("db", &[config("db", "1")]);
    world.push("first").await;
    world.until_value("a", "1").await;
    world.until(|world| world.history("web").len() == 1).await;
    world
        .until(|world| world.history("web")[0].was_healthy)
        .await;
    world.app("web", &[config("a", "2")]);
    world.push("second").await;
    world.until_value("a", "2").await;
    let second = world.tip();
    world.away(true);
    second
}

pub(crate) async fn a_rollback_without_the_remote_is_pushed_when_it_returns() {
    let world = World::foreign().await;
    let second = unreachable(&world).await;
    let (_, lines) = world.rollback("web", "last-healthy", "too slow").await;
    assert!(
        lines.contains("dev/web: the earlier objects are applied now"),
        "{lines}"
    );
    assert!(lines.contains("is not on the branch yet"), "{lines}");
    assert!(lines.contains("dev/web: healthy"), "{lines}");
    assert_eq!(world.value("a").as_deref(), Some("1"));
    let pending = world.held(HoldKind::Pending).expect("it waits");
    let commit = pending.commit.expect("a commit");
    // A restart forgets nothing.
    let world = world.restart().await;
    assert!(world.held(HoldKind::Pending).is_some());
    world
        .until(|world| {
            world
                .status()
                .apps
                .iter()
                .any(|app| app.health == "healthy")
        })
        .await;
    assert_eq!(world.value("a").as_deref(), Some("1"));

    world.away(false);
    world
        .until(|world| world.held(HoldKind::Pending).is_none())
        .await;
    assert_eq!(world.tip(), commit);
    let written = world.commit(&commit);
    assert_eq!(
        trailer(&written.message, "Rollback-Of"),
        Some(second.as_str())
    );
    world
        .until(|world| {
            let status = world.status();
            status.apps.iter().all(|app| app.commit == commit)
        })
        .await;
    assert_eq!(world.value("a").as_deref(), Some("1"), "it never went back");
    world.stop().await;
}

pub(crate) async fn a_rollback_goes_on_top_of_what_came_in_between() {
    let world = World::foreign().await;
    unreachable(&world).await;
    world.rollback("web", "last-healthy", "too slow").await;
    // Pushed by somebody who knows nothing of it.
    let push = world
        .push_away("db", &[config("db", "2")], "another app")
        .await;
    assert!(push.ok, "{}", push.text);
    world.away(false);
    world.until_value("db", "2").await;
    world
        .until(|world| world.held(HoldKind::Pending).is_none())
        .await;
    let tip = world.commit(&world.tip());
    assert!(tip.message.starts_with("rollback web"), "{}", tip.message);
    let before = world.commit(tip.parents[0].as_str());
    assert_eq!(before.summary(), "another app");
    assert_eq!(world.value("a").as_deref(), Some("1"));
    world.stop().await;
}

pub(crate) async fn a_conflict_is_held_and_named_and_a_fix_goes_through() {
    let world = World::foreign().await;
    let second = unreachable(&world).await;
    world.rollback("web", "last-healthy", "too slow").await;
    // Somebody mends the same file meanwhile, where the engine cannot see it.
    let push = world.push_away("web", &[config("a", "3")], "a fix").await;
    assert!(push.ok, "{}", push.text);
    world.away(false);
    world.until_value("a", "3").await;
    world
        .until(|world| world.held(HoldKind::Conflict).is_some())
        .await;
    let conflict = world.held(HoldKind::Conflict).expect("it is held");
    assert!(
        conflict.message.contains("changes apps/web.json as well"),
        "{conflict:?}"
    );
    let tip = world.commit(&world.tip());
    assert_eq!(tip.summary(), "a fix", "nothing is forced");
    assert_eq!(tip.parents[0].to_string(), second);
    world
        .until(|world| world.held(HoldKind::Quarantined).is_none())
        .await;
    // Another rollback takes the place of the one that is held.
    let request = rollback("web", "last-healthy", "still slow");
    world.ask(request).await.expect("it is done");
    assert_eq!(world.held(HoldKind::Conflict), None);
    world.stop().await;
}

pub(crate) async fn a_commit_whose_submodule_is_away_is_tried_again() {
    let world = World::foreign().await;
    let (here, there) = (world.folder().join("lib"), world.folder().join("gone"));
    let lib = here.display().to_string();
    world.git(&["init", "--quiet", &lib]);
    world.git(&[
        "-C",
        &lib,
        "commit",
        "--quiet",
        "--allow-empty",
        "-m",
        "lib",
    ]);
    let pin = world.git(&["-C", &lib, "rev-parse", "HEAD"]).text;
    std::fs::rename(&here, &there).expect("moved");
    world.app("web", &[config("a", "1")]);
    world.write(
        ".gitmodules",
        "[submodule \"lib\"]\n\tpath = lib\n\turl = ../lib\n",
    );
    let entry = format!("160000,{},lib", pin.trim());
    world.git(&["update-index", "--add", "--cacheinfo", &entry]);
    // Git takes a folder that is not there for a submodule that was removed.
    std::fs::create_dir(world.folder().join("work/lib")).expect("a folder");
    world.push("with a submodule").await;
    let says =
        |word: &'static str| move |world: &World| world.status().source.message.contains(word);
    world
        .until(says("cannot bring in the submodule `lib`"))
        .await;
    assert_eq!(world.value("a"), None);
    // It comes back, and nobody has to commit anything.
    std::fs::rename(&there, &here).expect("moved");
    world.until_value("a", "1").await;
    world
        .until(|world| world.status().source.message.is_empty())
        .await;
    let journal = Journal::read(&world.journal()).expect("it opens");
    let records = journal.records(&Query::default()).expect("it reads");
    let refusals = records.iter();
    let refusals = refusals.filter(|record| matches!(record.event, Event::Rejected { .. }));
    assert_eq!(refusals.count(), 1, "it is recorded once");
    world.stop().await;
}
