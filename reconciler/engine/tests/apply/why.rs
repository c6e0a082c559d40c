//! Why something is not as it should be, down to a pod's reason.

use kube::api::{Patch, PatchParams, PostParams};
use ordain_reconciler_engine::{
    WhyNode,
    control::{Request, Response},
};
use serde_json::json;

use crate::world::{World, annotated, config, deployment, sync, wrong};

fn why(world: &World, app: &str, object: Option<&str>) -> WhyNode {
    let request = Request::Why {
        app: app.to_owned(),
        env: None,
        object: object.map(str::to_owned),
    };
    match world.call(&request).into_iter().next() {
        Some(Response::Why { tree }) => tree,
        other => panic!("{other:?} says nothing"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chain_goes_from_an_app_to_what_was_refused() {
    let world = World::start().await;
    let after = |what: &str| json!({"ordain.dev/after": what});
    world.app("web", &[annotated(config("web", "1"), after("app/db"))]);
    world.app(
        "db",
        &[
            wrong("server"),
            annotated(config("settings", "1"), after("Service/server")),
        ],
    );
    world.commit();
    world
        .until_app("db", |app| sync(app) == "out-of-sync")
        .await;
    world
        .until_app("web", |app| app.message.contains("waits for app db"))
        .await;
    let text = why(&world, "web", None).to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "app dev/web: applying, progressing", "{text}");
    assert_eq!(
        lines[1], "  ConfigMap shop/web: waits (apps/web.json:1)",
        "{text}"
    );
    assert_eq!(
        lines[2], "    app dev/db: out-of-sync, degraded: needed as `ordain.dev/after`",
        "{text}"
    );
    assert!(
        lines[3].starts_with("      Service shop/server: refused: "),
        "{text}"
    );
    assert!(lines[3].ends_with("(apps/db.json:1)"), "{text}");
    assert_eq!(
        lines[4], "      ConfigMap shop/settings: blocked (apps/db.json:2)",
        "{text}"
    );
    assert!(
        lines[5].starts_with("        Service shop/server: failed: "),
        "{text}"
    );

    let one = why(&world, "db", Some("Service/server"));
    assert_eq!(
        (one.subject.as_str(), one.state.as_str()),
        ("Service shop/server", "refused")
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chain_ends_at_a_pods_reason_and_its_last_event() {
    let world = World::start().await;
    world.app(
        "web",
        &[config("settings", "1"), deployment("web", "settings")],
    );
    world.commit();
    world.until_app("web", |app| sync(app) == "applied").await;
    // What a Deployment's controller and a node would write.
    let deployment = world
        .get("apps/v1", "Deployment", "web")
        .await
        .expect("it exists");
    let status = json!({"status": {"observedGeneration": deployment.metadata.generation,
        "replicas": 1, "updatedReplicas": 1}});
    let patched = world
        .api("apps/v1", "Deployment")
        .patch_status("web", &PatchParams::default(), &Patch::Merge(&status))
        .await;
    patched.expect("patched");
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
    let account = serde_json::from_value(account).expect("an object");
    let accounts = world.api("v1", "ServiceAccount");
    let _ = accounts.create(&PostParams::default(), &account).await;
    let pod = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web-1", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "web:1"}]}});
    let pod = serde_json::from_value(pod).expect("an object");
    let pods = world.api("v1", "Pod");
    pods.create(&PostParams::default(), &pod)
        .await
        .expect("created");
    let status = json!({"status": {"phase": "Running", "containerStatuses": [{
        "name": "web", "ready": false, "restartCount": 0, "image": "web:1", "imageID": "",
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]}});
    let patched = pods
        .patch_status("web-1", &PatchParams::default(), &Patch::Merge(&status))
        .await;
    patched.expect("patched");
    let event = json!({"apiVersion": "v1", "kind": "Event",
        "metadata": {"name": "web-1.1", "namespace": "shop"},
        "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web-1"},
        "type": "Warning", "reason": "Unhealthy", "lastTimestamp": "2026-01-01T00:00:00Z",
        "message": "Readiness probe failed: HTTP probe failed with statuscode: 500"});
    let event = serde_json::from_value(event).expect("an object");
    let events = world.api("v1", "Event");
    events
        .create(&PostParams::default(), &event)
        .await
        .expect("created");

    // The status says it too.
    let probe = "container web is not ready: Readiness probe failed: HTTP probe failed with statuscode: 500";
    world
        .until_app("web", |app| app.message.contains(probe))
        .await;
    let text = why(&world, "web", Some("Deployment/web")).to_string();
    assert!(
        text.contains("Pod shop/web-1: running: container web is not ready"),
        "{text}"
    );
    assert!(
        text.contains("event: Unhealthy: Readiness probe failed"),
        "{text}"
    );
    world.stop().await;
}
