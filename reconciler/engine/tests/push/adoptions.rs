//! A live edit becomes a commit.

use ordain_reconciler_engine::{
    HoldKind,
    control::{Request, Response},
};
use ordain_reconciler_source::trailer;

use crate::world::{GRACE, World, config};

fn adopt(object: &str, dry_run: bool) -> Request {
    Request::Adopt {
        object: object.to_owned(),
        fields: Vec::new(),
        env: None,
        reason: "it was right".to_owned(),
        author: GRACE.to_owned(),
        dry_run,
    }
}

/// Somebody edits `a` of the app `web`, which is suspended so that the edit stays for now.
async fn suspended_and_edited(world: &World) {
    let suspend = Request::Suspend {
        app: Some("web".to_owned()),
        env: None,
        reason: String::new(),
        until_ms: None,
        author: GRACE.to_owned(),
    };
    world.ask(suspend).await.expect("done");
    world.api.edit("v1/configmaps/shop/a", |object| {
        object["data"]["value"] = "edited".into();
    });
}

pub(crate) async fn a_live_edit_becomes_a_commit_and_stays() {
    let world = World::start().await;
    world.app("web", &[config("a", "1")]);
    world.app("db", &[config("db", "1")]);
    world.push("first").await;
    let first = world.tip();
    let refused = world.ask(adopt("configmap/a", false)).await;
    let refused = refused.expect_err("nothing differs");
    assert!(
        refused.contains("ConfigMap a is as the sources declare it"),
        "{refused}"
    );
    let refused = world.ask(adopt("configmap/nobody", false)).await;
    assert_eq!(
        refused.expect_err("no such object"),
        "no app declares `configmap/nobody`"
    );

    suspended_and_edited(&world).await;
    let (_, lines) = world.ask(adopt("configmap/a", true)).await.expect("done");
    assert!(lines.contains(r#"data.value: "1" -> "edited""#), "{lines}");
    assert!(lines.contains("+++ apps/web.json"), "{lines}");
    assert_eq!(world.tip(), first, "a dry run writes nothing");

    let (answers, _) = world
        .ask(adopt("configmap/shop/a", false))
        .await
        .expect("done");
    let commit = answers.iter().find_map(|answer| match answer {
        Response::Commit { commit } => Some(commit.clone()),
        _ => None,
    });
    assert_eq!(commit, Some(world.tip()));
    let written = world.commit(&world.tip());
    assert_eq!(
        trailer(&written.message, "Adopt-Of"),
        Some("ConfigMap shop/a")
    );
    assert!(written.message.contains("it was right"));
    assert_eq!(written.author.to_string(), GRACE);
    let resume = Request::Resume {
        app: Some("web".to_owned()),
        env: None,
        author: GRACE.to_owned(),
    };
    world.ask(resume).await.expect("done");
    world
        .until(|world| {
            let status = world.status();
            let web = status.apps.iter().find(|app| app.name == "web");
            web.is_some_and(|web| web.commit == world.tip() && web.health == "healthy")
        })
        .await;
    assert_eq!(world.value("a").as_deref(), Some("edited"));
    world.stop().await;
}

pub(crate) async fn without_the_remote_an_adoption_stands_and_waits() {
    let world = World::foreign().await;
    world.app("web", &[config("a", "1")]);
    world.app("db", &[config("db", "1")]);
    world.push("first").await;
    world.until_value("a", "1").await;
    world
        .until(|world| {
            world
                .history("web")
                .last()
                .is_some_and(|row| row.was_healthy)
        })
        .await;
    suspended_and_edited(&world).await;
    world.away(true);
    let (_, lines) = world.ask(adopt("configmap/a", false)).await.expect("done");
    assert!(lines.contains("the last one seen"), "{lines}");
    assert!(lines.contains("is not on the branch yet"), "{lines}");
    let waits = world.held(HoldKind::Pending).expect("it waits");
    assert!(
        waits.message.contains("the commit that adopts a live edit"),
        "{waits:?}"
    );
    let again = world.ask(adopt("configmap/a", false)).await;
    let again = again.expect_err("one waits already");
    assert!(again.contains("waits to be pushed"), "{again}");
    let resume = Request::Resume {
        app: Some("web".to_owned()),
        env: None,
        author: GRACE.to_owned(),
    };
    let (_, lines) = world.ask(resume).await.expect("done");
    assert!(lines.contains("waits to be pushed"), "{lines}");
    world
        .until(|world| {
            let status = world.status();
            let web = status.apps.iter().find(|app| app.name == "web");
            web.is_some_and(|web| waits.commit.as_ref() == Some(&web.commit))
        })
        .await;
    assert_eq!(world.value("a").as_deref(), Some("edited"));
    world.away(false);
    world
        .until(|world| world.held(HoldKind::Pending).is_none())
        .await;
    assert_eq!(Some(world.tip()), waits.commit);
    world
        .until(|world| world.held(HoldKind::Quarantined).is_none())
        .await;
    assert_eq!(world.value("a").as_deref(), Some("edited"));
    world.stop().await;
}
