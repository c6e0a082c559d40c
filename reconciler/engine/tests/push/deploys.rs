//! From a push to a healthy app, or to the reason why not.

use serde_json::json;

use crate::world::{World, config, deployment, state};

pub(crate) async fn a_push_deploys_and_tells_it() {
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

pub(crate) async fn a_push_that_does_not_compile_is_refused() {
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

pub(crate) async fn a_bad_image_is_told_and_a_fix_takes_over() {
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
    let states: Vec<_> = world.history("web").iter().map(state).collect();
    assert_eq!(states, ["failed", "healthy"]);
    world.stop().await;
}

pub(crate) async fn a_newer_push_supersedes_one_that_waits() {
    let world = World::start().await;
    world.app("web", &[deployment("slow:1")]);
    let waiting = world.push_in_background("slow");
    world
        .until(|world| {
            world
                .history("web")
                .first()
                .is_some_and(|row| state(row) == "applied")
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
    let states: Vec<_> = world.history("web").iter().map(state).collect();
    assert_eq!(states, ["superseded", "healthy"]);
    world.stop().await;
}

pub(crate) async fn every_refusal_is_told_and_other_apps_go_on() {
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
        world.api.get("v1/configmaps/shop/right").is_some(),
        "what is right is applied"
    );
    assert_eq!(state(&world.history("web")[0]), "failed");
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

pub(crate) async fn a_job_is_replaced_when_its_template_changes() {
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

pub(crate) async fn another_branch_is_kept_and_not_deployed() {
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

pub(crate) async fn a_rewritten_branch_is_followed_and_recorded() {
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

pub(crate) async fn a_push_back_to_an_earlier_commit_is_told_anew() {
    let world = World::start().await;
    world.app("web", &[config("a", "1")]);
    let first = world.push("first").await;
    assert!(first.text.contains("+ ConfigMap shop/a"), "{}", first.text);
    world.app("web", &[config("a", "2")]);
    world.push("second").await;
    world.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    let back = world.push_tip().await;
    assert_eq!(world.value("a").as_deref(), Some("1"), "{}", back.text);
    assert!(back.text.contains("dev/web: healthy"), "{}", back.text);
    assert!(!back.text.contains("+ ConfigMap shop/a"), "{}", back.text);
    world.stop().await;
}
