//! What runs before an app and after it, once for each state of it.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::world::{World, annotated, config, sync};

fn job(name: &str, annotation: &str, value: &str) -> Value {
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
        "spec": {"template": {"spec": {"restartPolicy": "Never",
            "containers": [{"name": "run", "image": "run:1"}]}}}});
    annotated(job, json!({annotation: value}))
}

/// Waits until a Job is there that is another one than before, says that it is complete, and returns its uid.
async fn finish(world: &World, name: &str, before: Option<&str>) -> String {
    let uid = async |world: &World| {
        let job = world.get("batch/v1", "Job", name).await?;
        job.metadata.uid.filter(|uid| Some(uid.as_str()) != before)
    };
    world
        .until("the Job is there", async |world| uid(world).await.is_some())
        .await;
    let status = json!({"status": {"succeeded": 1, "startTime": "2026-01-01T00:00:00Z",
        "completionTime": "2026-01-01T00:00:01Z", "conditions": [
            {"type": "SuccessCriteriaMet", "status": "True", "lastTransitionTime": "2026-01-01T00:00:01Z"},
            {"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:00:01Z"}]}});
    let api = world.api("batch/v1", "Job");
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(&status))
        .await
        .expect("patched");
    uid(world).await.expect("it is there")
}

async fn run(before: (&str, &str), after: (&str, &str)) {
    let world = World::start().await;
    world.namespace().await;
    let app = |value: &str| {
        vec![
            job("notify", after.0, after.1),
            config("a", value),
            job("migrate", before.0, before.1),
        ]
    };
    world.app("web", &app("1"));
    world.commit();
    world
        .until_app("web", |app| {
            let waits = "waits for Job shop/migrate (phase before)";
            app.objects
                .iter()
                .any(|object| object.message.contains(waits))
        })
        .await;
    assert_eq!(world.data("a").await, None);
    assert!(world.get("batch/v1", "Job", "notify").await.is_none());
    let migrated = finish(&world, "migrate", None).await;
    let notified = finish(&world, "notify", None).await;
    assert_eq!(world.data("a").await, Some(json!({"value": "1"})));
    world.until_app("web", |app| sync(app) == "synced").await;

    // Another state of the app: both run again, in the same order.
    world.app("web", &app("2"));
    let commit = world.commit();
    let migrated_again = {
        let before = Some(migrated.as_str());
        world
            .until("the new one is there", async |world| {
                let job = world.get("batch/v1", "Job", "migrate").await;
                let uid = job.and_then(|job| job.metadata.uid);
                uid.is_some() && uid.as_deref() != before
            })
            .await;
        assert_eq!(world.data("a").await, Some(json!({"value": "1"})));
        finish(&world, "migrate", before).await
    };
    let notified_again = finish(&world, "notify", Some(&notified)).await;
    assert_eq!(world.data("a").await, Some(json!({"value": "2"})));
    world
        .until_app("web", |app| app.commit == commit && sync(app) == "synced")
        .await;

    // The same state, in another commit and after a restart: nothing runs.
    let commit = world.commit();
    let world = world.restart(|_| {}).await;
    world
        .until_app("web", |app| app.commit == commit && sync(app) == "synced")
        .await;
    for (name, uid) in [("migrate", migrated_again), ("notify", notified_again)] {
        let job = world.get("batch/v1", "Job", name).await.expect("it stays");
        assert_eq!(job.metadata.uid, Some(uid), "{name} ran again");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_phases_run_once_for_each_state_of_the_app() {
    run(
        ("ordain.dev/phase", "before"),
        ("ordain.dev/phase", "after"),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hooks_of_argo_cd_and_helm_are_phases() {
    let helm = ("helm.sh/hook", "pre-install,pre-upgrade");
    run(helm, ("argocd.argoproj.io/hook", "PostSync")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_phase_stops_the_rest_and_hooks_of_other_times_are_left_alone() {
    let world = World::start().await;
    let objects = [
        job("migrate", "ordain.dev/phase", "before"),
        job("test", "helm.sh/hook", "test"),
        config("a", "1"),
    ];
    world.app("web", &objects);
    world.commit();
    world
        .until("the Job is there", async |world| {
            world.get("batch/v1", "Job", "migrate").await.is_some()
        })
        .await;
    let status = json!({"status": {"failed": 1, "startTime": "2026-01-01T00:00:00Z", "conditions": [
        {"type": "FailureTarget", "status": "True", "reason": "BackoffLimitExceeded",
            "lastTransitionTime": "2026-01-01T00:00:01Z"},
        {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded",
            "lastTransitionTime": "2026-01-01T00:00:01Z"}]}});
    let api = world.api("batch/v1", "Job");
    api.patch_status("migrate", &PatchParams::default(), &Patch::Merge(&status))
        .await
        .expect("patched");
    let app = world
        .until_app("web", |app| {
            let words = "waits for Job shop/migrate (phase before), which failed";
            app.health == "degraded"
                && app
                    .objects
                    .iter()
                    .any(|object| object.message.contains(words))
        })
        .await;
    let note = "Job shop/test is no part of a rollout: `helm.sh/hook: test`";
    assert!(
        app.notes.iter().any(|known| known == note),
        "{:?}",
        app.notes
    );
    assert_eq!(world.data("a").await, None);
    assert!(world.get("batch/v1", "Job", "test").await.is_none());
    world.stop().await;
}
