//! Hooks of other times than a rollout, and what is deleted once it has run.

use kube::{
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
    core::Resource as _,
};
use ordain_reconciler_plan::OnRemove;
use serde_json::{Value, json};

use crate::world::{World, annotated, config, sync};

fn job(name: &str, annotations: Value) -> Value {
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
        "spec": {"template": {"spec": {"restartPolicy": "Never",
            "containers": [{"name": "run", "image": "run:1"}]}}}});
    annotated(job, annotations)
}

fn hook(name: &str, when: &str) -> Value {
    job(name, json!({"argocd.argoproj.io/hook": when}))
}

fn hook_deleted(name: &str, when: &str, policy: &str) -> Value {
    job(
        name,
        json!({"argocd.argoproj.io/hook": when, "argocd.argoproj.io/hook-delete-policy": policy}),
    )
}

fn complete() -> Value {
    json!({"status": {"succeeded": 1, "startTime": "2026-01-01T00:00:00Z",
        "completionTime": "2026-01-01T00:00:01Z", "conditions": [
            {"type": "SuccessCriteriaMet", "status": "True", "lastTransitionTime": "2026-01-01T00:00:01Z"},
            {"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:00:01Z"}]}})
}

fn broken() -> Value {
    json!({"status": {"failed": 1, "startTime": "2026-01-01T00:00:00Z", "conditions": [
        {"type": "FailureTarget", "status": "True", "reason": "BackoffLimitExceeded",
            "lastTransitionTime": "2026-01-01T00:00:01Z"},
        {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded",
            "lastTransitionTime": "2026-01-01T00:00:01Z"}]}})
}

fn uid(job: &DynamicObject) -> String {
    job.meta().uid.clone().expect("a uid")
}

impl World {
    async fn job(&self, name: &str) -> Option<DynamicObject> {
        self.get("batch/v1", "Job", name).await
    }

    /// Waits until a Job is there that is another one than before, and returns its uid.
    async fn begun(&self, name: &str, before: Option<&str>) -> String {
        self.until("the Job is there", async |world| {
            let job = world.job(name).await;
            job.is_some_and(|job| Some(uid(&job).as_str()) != before)
        })
        .await;
        uid(&self.job(name).await.expect("it is there"))
    }

    /// The same, and it ends.
    async fn ends(&self, name: &str, before: Option<&str>, status: &Value) -> String {
        let begun = self.begun(name, before).await;
        self.api("batch/v1", "Job")
            .patch_status(name, &PatchParams::default(), &Patch::Merge(status))
            .await
            .expect("patched");
        begun
    }

    /// How often the engine created or changed an object of this name.
    fn writes_of(&self, name: &str) -> usize {
        let path = format!("/{name}");
        let writes = self.tap.writes();
        let applies = writes
            .iter()
            .filter(|seen| seen.method == http::Method::PATCH);
        applies.filter(|seen| seen.path.ends_with(&path)).count()
    }

    async fn until_gone(&self, name: &str) {
        self.until("it is gone", async |world| world.job(name).await.is_none())
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_rollout_runs_its_hooks_once() {
    let world = World::start().await;
    world.namespace().await;
    let app = |value: &str| {
        [
            hook("migrate", "PreSync"),
            hook("alert", "SyncFail"),
            config("a", value),
            hook("notify", "PostSync"),
        ]
    };
    world.app("web", &app("1"));
    world.commit();
    world.ends("migrate", None, &complete()).await;
    world.ends("notify", None, &complete()).await;
    let status = world.until_app("web", |app| sync(app) == "synced").await;
    assert!(world.job("alert").await.is_none(), "nothing failed");
    let note = "Job shop/alert is no part of a rollout: `argocd.argoproj.io/hook: SyncFail`";
    assert_eq!(status.notes, [note]);

    // The next commit fails before anything of it is written.
    let before = world.job("migrate").await.map(|job| uid(&job));
    world.app("web", &app("2"));
    world.commit();
    let migrated = world.ends("migrate", before.as_deref(), &broken()).await;
    let alert = world.begun("alert", None).await;
    world
        .until_app("web", |app| {
            let note = "hook Job shop/alert (SyncFail) runs";
            app.health == "degraded" && app.notes.iter().any(|known| known.starts_with(note))
        })
        .await;
    world.ends("alert", None, &complete()).await;
    world
        .until_app("web", |app| {
            let note = "hook Job shop/alert (SyncFail) succeeded";
            app.notes.iter().any(|known| known == note)
        })
        .await;
    assert_eq!(world.data("a").await, Some(json!({"value": "1"})));
    assert_eq!(world.history("web").len(), 2);

    // A start finds the same failure, and runs neither again.
    let world = world.restart(|_| {}).await;
    world
        .until_app("web", |app| {
            let note = "hook Job shop/alert (SyncFail) succeeded";
            app.health == "degraded" && app.notes.iter().any(|known| known == note)
        })
        .await;
    assert_eq!(uid(&world.job("alert").await.expect("there")), alert);
    assert_eq!(uid(&world.job("migrate").await.expect("there")), migrated);

    // Another failure is another run; however it ends, a fix goes through.
    world.app("web", &app("3"));
    world.commit();
    let again = world.ends("migrate", Some(&migrated), &broken()).await;
    world.ends("alert", Some(&alert), &broken()).await;
    world
        .until_app("web", |app| {
            let note = "hook Job shop/alert (SyncFail) failed";
            app.notes.iter().any(|known| known.starts_with(note))
        })
        .await;
    let notified = world.job("notify").await.map(|job| uid(&job));
    world.app("web", &app("4"));
    world.commit();
    world.ends("migrate", Some(&again), &complete()).await;
    world.ends("notify", notified.as_deref(), &complete()).await;
    let status = world.until_app("web", |app| sync(app) == "synced").await;
    assert_eq!(status.health, "suspended");
    assert_eq!(world.data("a").await, Some(json!({"value": "4"})));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_run_is_deleted_when_it_asks_for_that_and_not_run_again() {
    let world = World::start().await;
    world.namespace().await;
    let app = |value: &str| {
        let settings = annotated(
            config("settings", "1"),
            json!({"helm.sh/hook": "pre-install,pre-upgrade", "helm.sh/hook-weight": "-5",
                "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded"}),
        );
        [
            settings,
            hook_deleted("migrate", "PreSync", "HookSucceeded"),
            config("a", value),
            hook_deleted("notify", "PostSync", "HookSucceeded,HookFailed"),
        ]
    };
    world.app("web", &app("1"));
    let commit = world.commit();
    world.ends("migrate", None, &complete()).await;
    world.begun("notify", None).await;
    // Not before all has succeeded: what runs later may need it.
    assert!(world.job("migrate").await.is_some());
    assert!(world.data("settings").await.is_some());
    world.ends("notify", None, &complete()).await;
    world.until_gone("migrate").await;
    world.until_gone("notify").await;
    let gone = async |world: &World| world.data("settings").await.is_none();
    world.until("the settings are gone", gone).await;
    world
        .until_app("web", |app| app.commit == commit && sync(app) == "synced")
        .await;

    // The same state after a start, and in another commit.
    let world = world.restart(|_| {}).await;
    let commit = world.commit();
    world
        .until_app("web", |app| app.commit == commit && sync(app) == "synced")
        .await;
    assert_eq!(world.writes_of("migrate"), 1, "it ran once");
    assert_eq!(world.writes_of("settings"), 1);

    // Another state.
    world.app("web", &app("2"));
    let commit = world.commit();
    world.ends("migrate", None, &complete()).await;
    world.ends("notify", None, &complete()).await;
    world
        .until_app("web", |app| app.commit == commit && sync(app) == "synced")
        .await;
    world.until_gone("migrate").await;
    world.until_gone("notify").await;
    assert_eq!(world.writes_of("migrate"), 2);
    assert_eq!(world.writes_of("settings"), 2);
    assert_eq!(world.data("a").await, Some(json!({"value": "2"})));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_hook_that_is_deleted_stays_failed_until_something_changes() {
    let world = World::start().await;
    world.namespace().await;
    let app = |value: &str| {
        [
            hook_deleted("migrate", "PreSync", "HookFailed"),
            config("a", value),
        ]
    };
    world.app("web", &app("1"));
    world.commit();
    world.ends("migrate", None, &broken()).await;
    world.until_gone("migrate").await;
    let failed = |words: &'static str| {
        move |app: &ordain_reconciler_engine::AppStatus| {
            let objects = app.objects.iter();
            app.health == "degraded" && { objects }.any(|object| object.message.contains(words))
        }
    };
    let words = "waits for Job shop/migrate (phase before), which failed";
    world.until_app("web", failed(words)).await;
    let world = world.restart(|_| {}).await;
    world.until_app("web", failed(words)).await;
    assert!(world.job("migrate").await.is_none());
    assert_eq!(world.data("a").await, None);
    assert_eq!(world.writes_of("migrate"), 1);

    world.app("web", &app("2"));
    world.commit();
    world.ends("migrate", None, &complete()).await;
    world.until_app("web", |app| sync(app) == "synced").await;
    assert!(world.job("migrate").await.is_some(), "it did not fail");
    assert_eq!(world.data("a").await, Some(json!({"value": "2"})));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_hook_before_the_rest_stops_every_other_write() {
    let world = World::start().await;
    world.namespace().await;
    let before = [config("a", "1"), config("old", "1")];
    world.deploy("web", &before).await;
    let seen = world.tap.writes().len();
    let after = [
        config("a", "2"),
        config("new", "1"),
        hook("migrate", "PreSync"),
    ];
    world.app("web", &after);
    world.commit();
    world.ends("migrate", None, &broken()).await;
    world.until_app("web", |app| app.health == "degraded").await;
    let writes = world.tap.writes();
    let paths: Vec<_> = writes[seen..].iter().map(|seen| &seen.path).collect();
    assert_eq!(paths, ["/apis/batch/v1/namespaces/shop/jobs/migrate"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_is_a_hook_runs_for_each_state() {
    let world = World::start().await;
    world.namespace().await;
    let app = |value: &str| {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "migrate"},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "run", "image": "run:1"}]}});
        [
            annotated(pod, json!({"argocd.argoproj.io/hook": "PreSync"})),
            config("a", value),
        ]
    };
    let finish = async |world: &World, before: Option<String>| {
        let fresh = async |world: &World| {
            let pod = world.get("v1", "Pod", "migrate").await?;
            Some(uid(&pod)).filter(|uid| Some(uid) != before.as_ref())
        };
        let there = async |world: &World| fresh(world).await.is_some();
        world.until("the Pod is there", there).await;
        let status = json!({"status": {"phase": "Succeeded"}});
        let pods = world.api("v1", "Pod");
        pods.patch_status("migrate", &PatchParams::default(), &Patch::Merge(&status))
            .await
            .expect("patched");
        fresh(world).await
    };
    world.app("web", &app("1"));
    world.commit();
    let first = finish(&world, None).await;
    world.until_app("web", |app| sync(app) == "synced").await;
    world.app("web", &app("2"));
    let commit = world.commit();
    finish(&world, first).await;
    world
        .until_app("web", |app| app.commit == commit && sync(app) == "synced")
        .await;
    assert_eq!(world.data("a").await, Some(json!({"value": "2"})));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_runs_hooks_of_its_own() {
    let world = World::start().await;
    world.namespace().await;
    world.accept_pushes();
    let helm = |name: &str, value: &str, when: &str| {
        annotated(config(name, value), json!({"helm.sh/hook": when}))
    };
    let app = |value: &str| {
        [
            helm("upgrade", value, "pre-install,pre-upgrade"),
            helm("both", value, "pre-upgrade,post-rollback"),
            job("restore", json!({"helm.sh/hook": "pre-rollback"})),
            config("a", value),
        ]
    };
    world.deploy("web", &app("1")).await;
    let status = world.deploy("web", &app("2")).await;
    assert!(world.job("restore").await.is_none());
    let note = "Job shop/restore is no part of a rollout: `helm.sh/hook: pre-rollback`";
    assert_eq!(status.notes, [note]);
    world.until_recorded("web").await;
    world.roll_back("web");
    let restored = world.begun("restore", None).await;
    assert_eq!(world.data("a").await, Some(json!({"value": "2"})));
    world.ends("restore", None, &complete()).await;
    let value =
        async |world: &World, name: &str| world.data(name).await.map(|data| data["value"].clone());
    for name in ["a", "both"] {
        let back = async |world: &World| value(world, name).await == Some(json!("1"));
        world.until("it is as before", back).await;
    }
    world.until_app("web", |app| sync(app) == "synced").await;
    assert_eq!(
        value(&world, "upgrade").await,
        Some(json!("2")),
        "it is no upgrade"
    );
    let history = world.history("web");
    assert_eq!(history.len(), 3);
    assert_eq!(history[2].set, history[0].set);

    // What stands stands after a start too, also when the newest commit is another one.
    let commit = world.commit();
    let world = world.restart(|_| {}).await;
    world
        .until_app("web", |app| app.commit == commit && sync(app) == "synced")
        .await;
    assert_eq!(value(&world, "upgrade").await, Some(json!("2")));
    assert_eq!(
        uid(&world.job("restore").await.expect("it stays")),
        restored
    );
    world.deploy("web", &app("3")).await;
    assert_eq!(value(&world, "upgrade").await, Some(json!("3")));
    assert_eq!(
        uid(&world.job("restore").await.expect("it stays")),
        restored
    );
    world.stop().await;
}

async fn removable() -> World {
    let world = World::start_with(|config| config.ownership.on_remove = OnRemove::Delete).await;
    world.namespace().await;
    // A commit without any app deletes nothing.
    world.deploy("stays", &[config("stays", "1")]).await;
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_is_removed_runs_its_hooks_around_that() {
    let world = removable().await;
    let app = [
        config("a", "1"),
        hook("backup", "PreDelete"),
        job("farewell", json!({"helm.sh/hook": "post-delete"})),
    ];
    world.deploy("web", &app).await;
    assert!(world.job("backup").await.is_none());
    world.remove_app("web");
    world.commit();
    let backup = world.begun("backup", None).await;
    let status = world
        .until_app("web", |app| app.message.contains("backup"))
        .await;
    assert_eq!(sync(&status), "applying");
    // Not before it is done, also after a start.
    let world = world.restart(|_| {}).await;
    world
        .until_app("web", |app| app.message.contains("backup"))
        .await;
    assert!(world.data("a").await.is_some());
    assert_eq!(world.ends("backup", None, &complete()).await, backup);
    world.begun("farewell", None).await;
    assert!(world.data("a").await.is_none(), "everything is gone by now");
    assert!(world.job("backup").await.is_none());
    let world = world.restart(|_| {}).await;
    world
        .until_app("web", |app| app.message.contains("farewell"))
        .await;
    world.ends("farewell", None, &complete()).await;
    world
        .until("the app is gone", async |world| {
            world.status("web").is_none()
        })
        .await;
    world.until_gone("farewell").await;
    for name in ["backup", "farewell"] {
        assert_eq!(world.writes_of(name), 1, "{name}");
    }
    // What was removed is no more after a start either.
    let world = world.restart(|_| {}).await;
    let commit = world.commit();
    world.app("other", &[config("b", "1")]);
    world.commit();
    world
        .until_app("other", |app| app.commit != commit && sync(app) == "synced")
        .await;
    assert!(world.status("web").is_none());
    assert!(world.job("backup").await.is_none() && world.job("farewell").await.is_none());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_that_fails_before_a_removal_stops_it_until_it_is_run_again() {
    let world = removable().await;
    let app = [config("a", "1"), hook("backup", "PreDelete")];
    world.deploy("web", &app).await;
    world.remove_app("web");
    world.commit();
    let failed = world.ends("backup", None, &broken()).await;
    let status = world
        .until_app("web", |app| sync(app) == "out-of-sync")
        .await;
    let words = "hook Job shop/backup (PreDelete) failed";
    assert!(status.message.contains(words), "{}", status.message);
    assert!(world.data("a").await.is_some());
    world
        .api("batch/v1", "Job")
        .delete("backup", &DeleteParams::background())
        .await
        .expect("deleted");
    world.ends("backup", Some(&failed), &complete()).await;
    world
        .until("the app is gone", async |world| {
            world.status("web").is_none()
        })
        .await;
    assert!(world.data("a").await.is_none());
    assert!(world.job("backup").await.is_none());
    world.stop().await;
}
