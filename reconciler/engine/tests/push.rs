//! The road from `git push` to a healthy app and back, with real git, real hooks and a fake API server.
//!
//! Git's hooks call this very program, so it has a `main` of its own and runs its scenarios itself.

mod fake;
mod world;

use std::{io, process::ExitCode};

use fake::Hang;
use ordain_reconciler_engine::hook;
use ordain_reconciler_source::{HookStage, trailer};
use serde_json::json;
use world::{World, config, deployment};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("__hook") {
        return run_hook(args);
    }
    let filter = std::env::args()
        .nth(1)
        .filter(|arg| !arg.starts_with('-'))
        .unwrap_or_default();
    if std::env::args().any(|arg| arg == "--list") {
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    macro_rules! run {
        ($($scenario:ident),* $(,)?) => {$(
            if stringify!($scenario).contains(&filter) {
                eprintln!("scenario {}", stringify!($scenario));
                runtime.block_on($scenario());
            }
        )*};
    }
    run!(
        a_push_deploys_and_tells_it,
        a_push_that_does_not_compile_is_refused,
        a_bad_image_is_told_and_a_fix_takes_over,
        a_newer_push_supersedes_one_that_waits,
        what_is_no_longer_declared_is_pruned_if_it_is_ours,
        drift_is_put_right,
        every_refusal_is_told_and_other_apps_go_on,
        a_rollback_is_a_commit_that_restores_the_objects,
        a_restart_writes_nothing_when_nothing_changed,
        a_crash_at_any_write_leaks_nothing,
        a_removed_app_waits_for_an_approval,
        a_commit_can_approve_what_waits,
        a_rollback_takes_the_whole_tree_when_files_alone_do_not_do,
        a_rewritten_branch_is_followed_and_recorded,
        a_job_is_replaced_when_its_template_changes,
        the_cluster_may_come_later,
        another_branch_is_kept_and_not_deployed,
    );
    ExitCode::SUCCESS
}

fn run_hook(mut args: impl Iterator<Item = String>) -> ExitCode {
    let (Some(_), Some(data_dir), Some(stage)) = (args.next(), args.next(), args.next()) else {
        return ExitCode::from(2);
    };
    let stage = HookStage::from_name(&stage).expect("a known hook");
    let quarantine = std::env::var_os("GIT_QUARANTINE_PATH").map(Into::into);
    let out = &mut io::stdout().lock();
    match hook::run(
        data_dir.as_ref(),
        stage,
        io::stdin().lock(),
        quarantine,
        out,
    ) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

async fn a_push_deploys_and_tells_it() {
    let world = World::start().await;
    world.app("web", &[config("settings", "1"), deployment("web:1")]);
    let push = world.push("first").await;
    assert!(push.ok, "{}", push.text);
    for line in [
        "dev/web: 2 to create",
        "+ ConfigMap shop/settings",
        "+ Deployment shop/web",
        "dev/web: created namespace shop",
        "dev/web: healthy",
    ] {
        assert!(
            push.text.contains(line),
            "{line:?} is missing in:\n{}",
            push.text
        );
    }
    let object = world
        .api
        .get("apps/v1/deployments/shop/web")
        .expect("it was created");
    assert_eq!(
        object["metadata"]["annotations"]["ordain.dev/app"],
        "dev/web"
    );
    assert_eq!(
        object["metadata"]["labels"]["app.kubernetes.io/managed-by"],
        "ordain"
    );

    let status = world.status();
    assert_eq!(
        (status.apps[0].name.as_str(), status.apps[0].health.as_str()),
        ("web", "healthy")
    );
    let history = world.history("web");
    assert_eq!(history.len(), 1);
    assert!(history[0].was_healthy);
    assert_eq!(history[0].subject, "first");

    world.app("web", &[config("settings", "2"), deployment("web:1")]);
    let push = world.push("second").await;
    assert!(
        push.text.contains(r#"~ data.value: "1" -> "2""#),
        "{}",
        push.text
    );
    world.stop().await;
}

async fn a_push_that_does_not_compile_is_refused() {
    let world = World::start().await;
    world.app("web", &[config("settings", "1")]);
    world.push("first").await;
    let before = world.tip();
    world.write("apps/web.json", "{ broken");
    let push = world.push("broken").await;
    assert!(!push.ok, "{}", push.text);
    assert!(push.text.contains("does not compile"), "{}", push.text);
    assert!(
        push.text.contains("apps/web.json: invalid type"),
        "{}",
        push.text
    );
    assert_eq!(world.tip(), before, "the branch has not moved");
    assert_eq!(world.history("web").len(), 1);
    world.stop().await;
}

async fn a_bad_image_is_told_and_a_fix_takes_over() {
    let world = World::start().await;
    world.app("web", &[deployment("bad:1")]);
    let push = world.push("bad").await;
    assert!(
        push.text
            .contains("dev/web: failed: Deployment shop/web: ImagePullBackOff"),
        "{}",
        push.text
    );
    let status = world.status();
    assert_eq!(status.apps[0].health, "degraded");
    assert!(
        status.apps[0].message.contains("ImagePullBackOff"),
        "{status:?}"
    );

    world.app("web", &[deployment("web:2")]);
    let push = world.push("fix").await;
    assert!(push.text.contains("dev/web: healthy"), "{}", push.text);
    let states: Vec<_> = world.history("web").iter().map(world::state).collect();
    assert_eq!(states, ["failed", "healthy"]);
    world.stop().await;
}

async fn a_newer_push_supersedes_one_that_waits() {
    let world = World::start().await;
    world.app("web", &[deployment("slow:1")]);
    let waiting = world.push_in_background("slow");
    world
        .until(|world| {
            world
                .history("web")
                .first()
                .is_some_and(|row| world::state(row) == "applied")
        })
        .await;
    world.app("web", &[deployment("web:2")]);
    let push = world.push("fix").await;
    assert!(push.text.contains("dev/web: healthy"), "{}", push.text);
    let waiting = waiting.await.expect("no panic");
    let line = format!("dev/web: superseded by {}", &world.tip()[..10]);
    assert!(
        waiting.text.contains(&line),
        "{line:?} is missing in:\n{}",
        waiting.text
    );
    let states: Vec<_> = world.history("web").iter().map(world::state).collect();
    assert_eq!(states, ["superseded", "healthy"]);
    world.stop().await;
}

async fn what_is_no_longer_declared_is_pruned_if_it_is_ours() {
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

async fn drift_is_put_right() {
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

async fn every_refusal_is_told_and_other_apps_go_on() {
    let world = World::start().await;
    world.api.refuse("wrong");
    world.api.refuse("web");
    world.app(
        "web",
        &[
            config("wrong", "1"),
            config("right", "1"),
            deployment("web:1"),
        ],
    );
    world.app("db", &[config("db", "1")]);
    let push = world.push("first").await;
    for line in [
        "dev/web: failed: ConfigMap shop/wrong: wrong is invalid (apps/web.json:1)",
        "dev/web: failed: Deployment shop/web: web is invalid",
        "dev/db: healthy",
    ] {
        assert!(
            push.text.contains(line),
            "{line:?} is missing in:\n{}",
            push.text
        );
    }
    assert!(
        world.api.get("v1/configmaps/shop/right").is_none(),
        "nothing of the app is applied"
    );
    assert_eq!(world::state(&world.history("web")[0]), "failed");
    assert_eq!(world.history("db").len(), 1);

    world.api.refuse("");
    world
        .until(|world| {
            world
                .history("web")
                .last()
                .is_some_and(|row| row.was_healthy)
        })
        .await;
    world.stop().await;
}

async fn a_rollback_is_a_commit_that_restores_the_objects() {
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
    let states: Vec<_> = history.iter().map(world::state).collect();
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

async fn a_restart_writes_nothing_when_nothing_changed() {
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

/// Stops the engine at every single write of a deploy, with the write lost or its answer lost.
async fn a_crash_at_any_write_leaks_nothing() {
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

async fn a_removed_app_waits_for_an_approval() {
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

async fn a_commit_can_approve_what_waits() {
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
    assert_eq!(world::state(&world.history("web")[1]), "blocked");
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

async fn a_rollback_takes_the_whole_tree_when_files_alone_do_not_do() {
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

async fn a_rewritten_branch_is_followed_and_recorded() {
    let world = World::start().await;
    world.app("web", &[config("a", "1")]);
    world.push("first").await;
    world.app("web", &[config("a", "2")]);
    world.push("second").await;
    world.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    world.app("web", &[config("a", "3")]);
    let push = world.push("another second").await;
    assert!(
        push.text
            .contains("the history of this branch was rewritten"),
        "{}",
        push.text
    );
    let object = world.api.get("v1/configmaps/shop/a").expect("it exists");
    assert_eq!(object["data"]["value"], "3");
    world.stop().await;
}

async fn a_job_is_replaced_when_its_template_changes() {
    let job = |image: &str| {
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate"},
            "spec": {"template": {"spec": {"containers": [{"name": "m", "image": image}]}}}})
    };
    let world = World::start().await;
    world.app("web", &[job("m:1")]);
    world.push("first").await;
    let uid = |world: &World| {
        world
            .api
            .get("batch/v1/jobs/shop/migrate")
            .expect("it exists")["metadata"]["uid"]
            .clone()
    };
    let before = uid(&world);
    world.app("web", &[job("m:2")]);
    let push = world.push("second").await;
    assert!(
        push.text
            .contains("± Job shop/migrate: spec.template cannot be changed in place"),
        "{}",
        push.text
    );
    assert_ne!(uid(&world), before);
    world.stop().await;
}

async fn the_cluster_may_come_later() {
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

async fn another_branch_is_kept_and_not_deployed() {
    let world = World::start().await;
    world.app("web", &[config("a", "1")]);
    let push = world.push_to("first", "idea").await;
    assert!(
        push.text
            .contains("`idea` is kept but not deployed; `main` is"),
        "{}",
        push.text
    );
    assert!(world.status().apps.is_empty());
    world.stop().await;
}
