//! What keeps commits from apps: quarantine, suspensions, windows, approvals; and who asks for a look.

use ordain_reconciler_engine::{
    HoldKind, Sync,
    control::{Request, Response},
};
use ordain_reconciler_source::trailer;

use crate::world::{GRACE, World, claim, config, deployment, state};

pub(crate) async fn a_commit_that_is_late_is_rolled_back_and_held() {
    let world = World::start().await;
    world.write("rules.json", r#"{"deadline": 2, "rollback": true}"#);
    world.app("web", &[config("a", "1"), deployment("web:1")]);
    world.push("first").await;
    let first = world.tip();
    world.app("web", &[config("a", "2"), deployment("slow:2")]);
    world.push("second").await;
    let second = world.tip();
    world.until_value("a", "1").await;
    world
        .until(|world| {
            let history = world.history("web");
            history.last().is_some_and(|row| row.was_healthy) && history.len() == 3
        })
        .await;
    let written = world.commit(&world.tip());
    assert_eq!(
        trailer(&written.message, "Rollback-Of"),
        Some(second.as_str())
    );
    assert_eq!(
        trailer(&written.message, "Rollback-To"),
        Some(first.as_str())
    );
    let reason = trailer(&written.message, "Reason").expect("a reason");
    assert!(reason.starts_with("not healthy within 2 s"), "{reason}");
    let hold = world.held(HoldKind::Quarantined).expect("it is held");
    assert_eq!(hold.commit.as_deref(), Some(second.as_str()));
    let states: Vec<_> = world.history("web").iter().map(state).collect();
    assert_eq!(states, ["healthy", "rolled-back", "healthy"]);
    assert_eq!(
        world
            .api
            .get("apps/v1/deployments/shop/web")
            .expect("it is there")["spec"]["template"]["spec"]["containers"][0]["image"],
        "web:1"
    );

    // A commit to another app is not about it, and neither is a start after that.
    world.git(&["pull", "--quiet", "--rebase", "ordain", "main"]);
    world.app("db", &[config("db", "1")]);
    world.push("another app").await;
    let world = world.restart().await;
    let tip = world.tip();
    world.until(|world| has_both(world, &tip)).await;
    let hold = world.held(HoldKind::Quarantined).expect("it is held still");
    assert_eq!(hold.commit.as_deref(), Some(second.as_str()));

    // A fix is never blocked.
    world.git(&["pull", "--quiet", "--rebase", "ordain", "main"]);
    world.app("web", &[config("a", "3"), deployment("web:3")]);
    let push = world.push("a fix").await;
    assert!(push.text.contains("dev/web: healthy"), "{}", push.text);
    assert_eq!(world.held(HoldKind::Quarantined), None);
    world.stop().await;
}

/// True when two apps are synced at this commit.
fn has_both(world: &World, tip: &str) -> bool {
    let apps = world.status().apps;
    let synced = apps
        .iter()
        .filter(|app| app.sync == Sync::Synced && app.commit == tip);
    synced.count() == 2
}

pub(crate) async fn without_a_healthy_deploy_nothing_is_rolled_back() {
    let world = World::start().await;
    world.write("rules.json", r#"{"deadline": 1, "rollback": true}"#);
    world.app("web", &[deployment("bad:1")]);
    world.push("first").await;
    let first = world.tip();
    world
        .until(|world| {
            world
                .history("web")
                .first()
                .is_some_and(|row| state(row) == "failed")
        })
        .await;
    world.settle().await;
    assert_eq!(world.tip(), first);
    assert_eq!(world.held(HoldKind::Quarantined), None);
    world.stop().await;
}

fn suspend(app: Option<&str>, until_ms: Option<i64>) -> Request {
    Request::Suspend {
        app: app.map(str::to_owned),
        env: None,
        reason: "we move".to_owned(),
        until_ms,
        author: GRACE.to_owned(),
    }
}

pub(crate) async fn a_suspended_app_is_left_alone_until_it_is_resumed() {
    let world = World::start().await;
    world.app("web", &[config("a", "1")]);
    world.app("db", &[config("db", "1")]);
    world.push("first").await;
    world.ask(suspend(Some("web"), None)).await.expect("done");
    let hold = world.held(HoldKind::Suspended).expect("it is held");
    // Behind her own words stands who the socket says she is.
    let said = &hold.message;
    assert!(said.starts_with(&format!("suspended by {GRACE}")), "{said}");
    assert!(said.ends_with(": we move"), "{said}");
    world.app("web", &[config("a", "2")]);
    world.app("db", &[config("db", "2")]);
    let push = world.push("second").await;
    assert!(
        push.text.contains("dev/web: waits: suspended by Grace"),
        "{}",
        push.text
    );
    assert!(push.text.contains("dev/db: healthy"), "{}", push.text);
    // What no commit has touched waits for nothing.
    world
        .until(|world| {
            let apps = world.status().apps;
            apps.iter()
                .any(|app| app.name == "db" && app.sync == Sync::Synced)
        })
        .await;
    let holds = world.status().holds;
    let held: Vec<_> = holds.iter().map(|hold| hold.app.as_str()).collect();
    assert_eq!(held, ["web"], "{holds:?}");
    world.api.edit("v1/configmaps/shop/a", |object| {
        object["data"]["value"] = "edited".into()
    });
    world.settle().await;
    assert_eq!(
        world.value("a").as_deref(),
        Some("edited"),
        "not even drift"
    );
    // It lasts over a restart.
    let world = world.restart().await;
    world
        .until(|world| {
            world
                .status()
                .apps
                .iter()
                .any(|app| app.message.contains("suspended"))
        })
        .await;
    world.settle().await;
    assert_eq!(world.value("a").as_deref(), Some("edited"));

    let resume = |app: &str| Request::Resume {
        app: Some(app.to_owned()),
        env: None,
        author: GRACE.to_owned(),
    };
    let refused = world.ask(resume("db")).await.expect_err("it is not");
    assert_eq!(refused, "dev/db: not suspended");
    world.ask(resume("web")).await.expect("done");
    world.until_value("a", "2").await;
    assert_eq!(world.held(HoldKind::Suspended), None);
    world.stop().await;
}

pub(crate) async fn a_suspension_of_all_apps_ends_by_itself() {
    let world = World::start().await;
    world.app("web", &[config("a", "1")]);
    world.push("first").await;
    let now = jiff::Timestamp::now().as_millisecond();
    world
        .ask(suspend(None, Some(now + 1500)))
        .await
        .expect("done");
    world.app("web", &[config("a", "2")]);
    world.push("second").await;
    world.until_value("a", "2").await;
    assert!(jiff::Timestamp::now().as_millisecond() >= now + 1500);
    assert_eq!(world.held(HoldKind::Suspended), None);
    world.stop().await;
}

pub(crate) async fn a_closed_window_lets_commits_wait_and_rollbacks_through() {
    let world = World::start().await;
    world.app("web", &[config("a", "1")]);
    world.app("db", &[config("db", "1")]);
    world.push("first").await;
    world.app("web", &[config("a", "2")]);
    world.push("second").await;
    let closed =
        r#"{"windows": [{"effect": "deny", "begins": "* * * * *", "minutes": 5, "zone": "UTC"}]}"#;
    world.write("rules.json", closed);
    world.app("web", &[config("a", "3")]);
    let push = world.push("third").await;
    assert!(
        push.text
            .contains("dev/web: waits: the deny window `* * * * *` for 5 min in UTC is active"),
        "{}",
        push.text
    );
    assert_eq!(world.value("a").as_deref(), Some("2"));
    let hold = world.held(HoldKind::Window).expect("it waits");
    assert_eq!(hold.commit, Some(world.tip()));
    // What stands is kept as it is meanwhile, over a restart too.
    let world = world.restart().await;
    world
        .until(|world| world.held(HoldKind::Window).is_some())
        .await;
    world.api.edit("v1/configmaps/shop/a", |object| {
        object["data"]["value"] = "edited".into()
    });
    world.until_value("a", "2").await;
    // A rollback does not wait.
    let first = world.history("web")[0].commit.clone();
    let (_, lines) = world.rollback("web", &first, "in a hurry").await;
    assert!(lines.contains("dev/web: healthy"), "{lines}");
    assert_eq!(world.value("a").as_deref(), Some("1"));
    // The window opens because the project says so.
    world.git(&["pull", "--quiet", "--rebase", "ordain", "main"]);
    world.remove("rules.json");
    world.app("web", &[config("a", "4")]);
    world.push("open").await;
    world.until_value("a", "4").await;
    assert_eq!(world.held(HoldKind::Window), None);
    world.stop().await;
}

pub(crate) async fn an_approval_may_name_the_app() {
    let approve = |plan: &str| Request::ApproveApp {
        plan: plan.to_owned(),
        env: None,
        author: GRACE.to_owned(),
    };
    let world = World::start().await;
    world.app("web", &[config("a", "1")]);
    world.app("db", &[config("db", "1")]);
    world.push("first").await;
    let refused = world.ask(approve("db")).await.expect_err("nothing waits");
    assert_eq!(refused, "no plan `db` waits for an approval; none waits");
    world.remove("apps/db.json");
    world.push("without db").await;
    let plan = world.history("db").last().expect("a deploy").plan.clone();
    let refused = world.ask(approve("ffff")).await.expect_err("no such plan");
    assert!(
        refused.ends_with(&format!("these wait: {plan} of dev/db")),
        "{refused}"
    );
    let (_, lines) = world.ask(approve(&plan[..12])).await.expect("done");
    assert_eq!(lines, format!("dev/db: plan {plan} is approved\n"));
    world
        .until(|world| world.api.get("v1/configmaps/shop/db").is_none())
        .await;

    // Also while something else of the app is not well.
    world.app("web", &[config("a", "1"), config("b", "1"), claim()]);
    world.push("with a claim").await;
    world.app("web", &[config("a", "1"), deployment("bad:1")]);
    world.push("without the claim, and a bad image").await;
    world
        .until(|world| {
            let row = world.history("web").pop().expect("a deploy");
            state(&row) == "failed"
        })
        .await;
    // It failed, and is what was applied all the same.
    let (answers, _) = world.ask(Request::Applied).await.expect("read");
    let applied = answers.into_iter().find_map(|answer| match answer {
        Response::Applied { apps } => apps.into_iter().find(|app| app.app == "web"),
        _ => None,
    });
    let kinds: Vec<_> = (applied.expect("web is applied").objects.iter())
        .map(|object| object["kind"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(kinds, ["ConfigMap", "Deployment"]);
    let (_, lines) = world.ask(approve("web")).await.expect("it waits");
    assert!(lines.starts_with("dev/web: plan "), "{lines}");
    // Nothing is deleted before what takes its place is healthy; that is all it waits for now.
    world
        .until(|world| {
            let status = world.status();
            let mut apps = status.apps.iter();
            apps.any(|app| app.name == "web" && app.sync == Sync::Applied)
        })
        .await;
    world.stop().await;
}

pub(crate) async fn a_sync_waits_for_the_newest_commit() {
    let world = World::foreign().await;
    world.app("web", &[config("a", "1")]);
    world.push("first").await;
    let request = Request::SyncApp {
        app: None,
        env: None,
        wait: true,
    };
    let (answers, lines) = world.ask(request.clone()).await.expect("done");
    assert!(
        answers.contains(&Response::Done { ok: true }),
        "{answers:?}"
    );
    assert!(lines.contains("main is at"), "{lines}");
    assert_eq!(world.value("a").as_deref(), Some("1"));
    world.app("web", &[deployment("bad:1")]);
    world.push("second").await;
    let (answers, _) = world.ask(request).await.expect("done");
    assert!(
        answers.contains(&Response::Done { ok: false }),
        "{answers:?}"
    );
    world.stop().await;
}
