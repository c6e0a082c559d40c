//! What takes long to delete, cannot be deleted, or has to make room.

use kube::api::Patch;
use kube::api::PatchParams;
use ordain_reconciler_engine::control::Request;
use serde_json::{Value, json};

use crate::world::{World, annotated, config, failure};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finalizer_is_reported_and_stops_no_other_deletion() {
    let world = World::start().await;
    world
        .deploy(
            "web",
            &[config("a", "1"), config("stuck", "1"), config("gone", "1")],
        )
        .await;
    let hold = json!({"metadata": {"finalizers": ["example.com/backup"]}});
    world
        .edit("ConfigMap", "stuck", "backup-operator", &hold)
        .await;
    world.app("web", &[config("a", "1")]);
    let commit = world.commit();
    let app = world
        .until_app("web", |app| {
            app.commit == commit && app.notes.iter().any(|note| note.contains("being deleted"))
        })
        .await;
    let note = "ConfigMap shop/stuck is being deleted, held by finalizer `example.com/backup` of backup-operator";
    assert_eq!(app.notes, [note]);
    world
        .until("the other one is gone", async |world| {
            world.data("gone").await.is_none()
        })
        .await;
    let free = json!({"metadata": {"finalizers": null}});
    world
        .edit("ConfigMap", "stuck", "backup-operator", &free)
        .await;
    world
        .until("it is gone", async |world| {
            world.data("stuck").await.is_none()
        })
        .await;
    world.until_app("web", |app| app.notes.is_empty()).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_deleted_stays_in_the_inventory_and_is_tried_again() {
    let world = World::start().await;
    world
        .deploy("web", &[config("a", "1"), config("old", "1")])
        .await;
    world.tap.trouble(|seen| {
        (seen.method == http::Method::DELETE).then(|| failure(500, "the webhook is away"))
    });
    let app = world.deploy_in_part("web", &[config("a", "1")]).await;
    let words = "cannot delete ConfigMap shop/old: the webhook is away";
    assert!(app.message.contains(words), "{}", app.message);
    world.tap.calm();
    world
        .until("it is gone", async |world| {
            world.data("old").await.is_none()
        })
        .await;
    world
        .until_app("web", |app| crate::world::sync(app) == "synced")
        .await;
    world.stop().await;
}

/// What is left of an approved plan needs no second approval, also after a start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_holds_until_the_plan_is_carried_out() {
    let world = World::start().await;
    let names: Vec<String> = (0..12).map(|i| format!("old-{i}")).collect();
    let mut objects: Vec<Value> = names.iter().map(|name| config(name, "1")).collect();
    objects.push(config("a", "1"));
    world.deploy("web", &objects).await;
    // Half of them cannot be deleted.
    let stuck: Vec<String> = names[..6].to_vec();
    world.tap.trouble(move |seen| {
        let is_stuck = stuck.iter().any(|name| seen.path.ends_with(name));
        (seen.method == http::Method::DELETE && is_stuck)
            .then(|| failure(500, "the webhook is away"))
    });
    world.app("web", &[config("a", "1")]);
    let commit = world.commit_unheard();
    world
        .until_app("web", |app| {
            app.commit == commit && crate::world::sync(app) == "blocked"
        })
        .await;
    let plan = world.history("web").last().expect("a deploy").plan.clone();
    let author = "Ada".to_owned();
    world.call(&Request::Approve { plan, author });
    world
        .until("half of them are gone", async |world| {
            world.data("old-11").await.is_none() && world.data("old-6").await.is_none()
        })
        .await;
    let world = world.restart(|_| {}).await;
    assert!(world.data("old-0").await.is_some());
    world.tap.calm();
    world
        .until_app("web", |app| {
            app.commit == commit && crate::world::sync(app) == "synced"
        })
        .await;
    assert!(world.data("old-0").await.is_none());
    world.stop().await;
}

fn job(image: &str) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "m", "image": image}]}}}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replaced_object_is_put_back_when_the_new_one_is_not_created() {
    let world = World::start().await;
    world.app("web", &[job("m:1")]);
    world.commit();
    let api = world.api("batch/v1", "Job");
    world
        .until("the job is there", async |world| {
            world.get("batch/v1", "Job", "migrate").await.is_some()
        })
        .await;
    let done = json!({"status": {"succeeded": 1, "startTime": "2026-01-01T00:00:00Z",
        "completionTime": "2026-01-01T00:00:01Z", "conditions": [
            {"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"}]}});
    let patched = api
        .patch_status("migrate", &PatchParams::default(), &Patch::Merge(&done))
        .await;
    patched.expect("patched");
    world
        .until_app("web", |app| crate::world::sync(app) == "synced")
        .await;
    let image = async |world: &World| {
        let job = world.get("batch/v1", "Job", "migrate").await?;
        let job = serde_json::to_value(job).ok()?;
        let image = job.pointer("/spec/template/spec/containers/0/image")?;
        Some(image.as_str()?.to_owned())
    };
    // The server takes the rehearsal and the deletion, and then refuses the creation.
    let mut deleted = false;
    world.tap.trouble(move |seen| {
        deleted |= seen.method == http::Method::DELETE;
        let creates = seen.method == http::Method::PATCH && seen.path.ends_with("/jobs/migrate");
        (deleted && creates && !seen.dry_run).then(|| failure(422, "quota exceeded"))
    });
    let app = world.deploy_in_part("web", &[job("m:2")]).await;
    assert!(
        app.message
            .contains("quota exceeded; the old one was put back"),
        "{}",
        app.message
    );
    assert_eq!(image(&world).await.as_deref(), Some("m:1"));
    world.tap.calm();
    world
        .until("the new one is there", async |world| {
            image(world).await.as_deref() == Some("m:2")
        })
        .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_object_owns_goes_as_its_annotation_says() {
    let world = World::start().await;
    let with = |name: &str, annotation: &str, value: &str| {
        annotated(config(name, "1"), json!({annotation: value}))
    };
    let cases = [
        (
            "front",
            "ordain.dev/propagation",
            "foreground",
            "foregroundDeletion",
        ),
        ("left", "ordain.dev/propagation", "orphan", "orphan"),
        (
            "argo",
            "argocd.argoproj.io/sync-options",
            "PrunePropagationPolicy=foreground",
            "foregroundDeletion",
        ),
    ];
    let mut objects = vec![
        config("a", "1"),
        with("back", "ordain.dev/propagation", "background"),
    ];
    objects.extend(
        cases
            .iter()
            .map(|(name, annotation, value, _)| with(name, annotation, value)),
    );
    world.deploy("web", &objects).await;
    world.app("web", &[config("a", "1")]);
    world.commit();
    // The garbage collector, which does not run here, is told by a finalizer what to do.
    for (name, _, _, finalizer) in cases {
        world
            .until("it is being deleted", async |world| {
                let object = world.get("v1", "ConfigMap", name).await;
                let finalizers = object.and_then(|object| object.metadata.finalizers);
                finalizers.is_some_and(|found| found == [finalizer])
            })
            .await;
        let free = json!({"metadata": {"finalizers": null}});
        world.edit("ConfigMap", name, "gc", &free).await;
    }
    for name in ["front", "left", "argo", "back"] {
        world
            .until("it is gone", async |world| world.data(name).await.is_none())
            .await;
    }
    let wrong = with("b", "ordain.dev/propagation", "sideways");
    let app = world
        .deploy_in_part("web", &[config("a", "1"), wrong])
        .await;
    let words =
        "`ordain.dev/propagation`: `sideways` is none of `background`, `foreground`, `orphan`";
    assert!(app.message.contains(words), "{}", app.message);
    world.stop().await;
}
