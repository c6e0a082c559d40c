//! What takes long to delete, cannot be deleted, or has to make room.

use kube::api::Patch;
use kube::api::PatchParams;
use ordain_reconciler_engine::{AppStatus, control::Request};
use serde_json::{Value, json};

use crate::{
    tap::failure,
    world::{World, annotated, config},
};

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
async fn after_a_start_it_is_heard_of_what_leaves_although_its_kind_is_not_declared() {
    let world = World::start().await;
    let stuck =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "stuck"}});
    world.deploy("web", &[config("a", "1"), stuck]).await;
    let hold = json!({"metadata": {"finalizers": ["example.com/backup"]}});
    world
        .edit("ServiceAccount", "stuck", "backup-operator", &hold)
        .await;
    world.app("web", &[config("a", "1")]);
    let commit = world.commit();
    let leaves = |app: &AppStatus| {
        app.commit == commit && app.notes.iter().any(|note| note.contains("being deleted"))
    };
    world.until_app("web", leaves).await;
    let world = world.restart(|_| {}).await;
    world.until_app("web", leaves).await;
    let free = json!({"metadata": {"finalizers": null}});
    world
        .edit("ServiceAccount", "stuck", "backup-operator", &free)
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

/// The same when it is replaced, and in both ways by a rollback: what came later is deleted, what changed replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_object_owns_goes_as_its_annotation_says_when_it_is_replaced_or_rolled_back() {
    let world = World::start().await;
    world.accept_pushes();
    let job = |name: &str, image: &str, propagation: &str| {
        let mut job = job(image);
        job["metadata"]["name"] = name.into();
        annotated(job, json!({"ordain.dev/propagation": propagation}))
    };
    let cases = [
        ("front", "foreground", "foregroundDeletion"),
        ("left", "orphan", "orphan"),
    ];
    let app = |image: &str, more: bool| {
        let mut objects = vec![job("back", image, "background")];
        for (name, propagation, _) in cases {
            objects.push(job(name, image, propagation));
            if more {
                let extra = config(&format!("extra-{name}"), "1");
                let annotation = json!({"ordain.dev/propagation": propagation});
                objects.push(annotated(extra, annotation));
            }
        }
        objects
    };
    let done = json!({"status": {"succeeded": 1, "startTime": "2026-01-01T00:00:00Z",
        "completionTime": "2026-01-01T00:00:01Z", "conditions": [
            {"type": "SuccessCriteriaMet", "status": "True", "lastTransitionTime": "2026-01-01T00:00:01Z"},
            {"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:00:01Z"}]}});
    let jobs = world.api("batch/v1", "Job");
    let image = async |world: &World, name: &str| {
        let job = world.get("batch/v1", "Job", name).await?;
        let leaves = job.metadata.deletion_timestamp.is_some();
        let job = serde_json::to_value(job).ok().filter(|_| !leaves)?;
        let image = job.pointer("/spec/template/spec/containers/0/image")?;
        Some(image.as_str()?.to_owned())
    };
    let finish = async |world: &World, wanted: &str| {
        for name in ["back", "front", "left"] {
            let there = async |world: &World| image(world, name).await.as_deref() == Some(wanted);
            world.until("the new one is there", there).await;
            jobs.patch_status(name, &PatchParams::default(), &Patch::Merge(&done))
                .await
                .expect("patched");
        }
        world
            .until_app("web", |app| crate::world::sync(app) == "synced")
            .await;
    };
    // The garbage collector, which does not run here, is told by a finalizer what to do.
    let collect = async |world: &World, api_version: &str, kind: &str, prefix: &str| {
        for (name, _, finalizer) in cases {
            let name = format!("{prefix}{name}");
            let told = async |world: &World| {
                let object = world.get(api_version, kind, &name).await;
                let finalizers = object.and_then(|object| object.metadata.finalizers);
                finalizers.is_some_and(|found| found == [finalizer])
            };
            world.until("it is being deleted", told).await;
            let free = json!({"metadata": {"finalizers": null}});
            world
                .api(api_version, kind)
                .patch(&name, &PatchParams::default(), &Patch::Merge(&free))
                .await
                .expect("patched");
        }
    };
    world.app("web", &app("m:1", false));
    world.commit();
    finish(&world, "m:1").await;
    world.app("web", &app("m:2", true));
    world.commit();
    collect(&world, "batch/v1", "Job", "").await;
    finish(&world, "m:2").await;
    world.until_recorded("web").await;
    assert_eq!(world.history("web").len(), 2);

    world.roll_back("web");
    collect(&world, "batch/v1", "Job", "").await;
    finish(&world, "m:1").await;
    collect(&world, "v1", "ConfigMap", "extra-").await;
    for (name, _, _) in cases {
        let name = format!("extra-{name}");
        let gone = async |world: &World| world.data(&name).await.is_none();
        world.until("it is gone", gone).await;
    }
    world.stop().await;
}
