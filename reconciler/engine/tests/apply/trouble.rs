//! A server that is busy, down or another one, and a journal that is lost.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use ordain_reconciler_engine::control::Request;
use serde_json::json;

use crate::{
    tap::failure,
    world::{World, config, sync},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_server_is_waited_for_and_nothing_is_lost() {
    let world = World::start().await;
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    // Every third request is turned away, for the first sixty.
    world.tap.trouble(move |_| {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        let busy = number < 60 && number.is_multiple_of(3);
        let (code, _, body) = failure(429, "too many requests");
        busy.then_some((code, Some(0), body))
    });
    let objects: Vec<_> = (0..20)
        .map(|number| config(&format!("c{number}"), "1"))
        .collect();
    world.deploy("web", &objects).await;
    assert!(count.load(Ordering::SeqCst) >= 60);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_down_changes_nothing_and_the_deploy_goes_on_from_there() {
    let world = World::start().await;
    world
        .deploy("web", &[config("a", "1"), config("old", "1")])
        .await;
    world
        .tap
        .trouble(|_| Some(failure(503, "the server is down")));
    world.app("web", &[config("a", "2"), config("b", "1")]);
    let commit = world.commit();
    world
        .until_app("web", |app| {
            app.commit == commit && app.message.contains("down")
        })
        .await;
    assert!(
        world.data("old").await.is_some(),
        "an absence proves nothing"
    );
    world.tap.calm();
    world
        .until_app("web", |app| app.commit == commit && sync(app) == "synced")
        .await;
    assert_eq!(world.data("a").await, Some(json!({"value": "2"})));
    assert!(world.data("b").await.is_some() && world.data("old").await.is_none());
    world.stop().await;
}

/// Gives the cluster an identity: the uid of its namespace `kube-system`.
fn identity(world: &World, uid: &'static str) {
    world.tap.trouble(move |seen| {
        let object = json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": "kube-system", "uid": uid}});
        (seen.path == "/api/v1/namespaces/kube-system").then_some((200, None, object))
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_another_cluster_nothing_is_deleted_without_an_approval() {
    let world = World::start().await;
    identity(&world, "one");
    world
        .deploy("web", &[config("a", "1"), config("old", "1")])
        .await;
    // The same objects, and another identity: a cluster restored from a backup.
    identity(&world, "two");
    world.app("web", &[config("a", "2")]);
    let commit = world.commit_unheard();
    let world = world.restart(|_| {}).await;
    let app = world
        .until_app("web", |app| app.commit == commit && sync(app) == "blocked")
        .await;
    assert!(
        app.message
            .contains("this is another cluster than at the last deploy"),
        "{}",
        app.message
    );
    assert!(world.data("old").await.is_some());
    assert_eq!(world.data("a").await, Some(json!({"value": "2"})));
    let plan = world.history("web").last().expect("a deploy").plan.clone();
    let author = "Ada".to_owned();
    world.call(&Request::Approve { plan, author });
    world
        .until("it is gone", async |world| {
            world.data("old").await.is_none()
        })
        .await;
    // From now on this is the cluster.
    world
        .deploy("web", &[config("a", "3"), config("b", "1")])
        .await;
    world.deploy("web", &[config("a", "3")]).await;
    assert!(world.data("b").await.is_none());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_journal_leaks_nothing() {
    let world = World::start().await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"a": "b"}});
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web"}});
    let mut labelled = config("labelled", "1");
    labelled["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "somebody"});
    world
        .deploy(
            "web",
            &[
                config("a", "1"),
                config("old", "1"),
                secret,
                account,
                labelled,
            ],
        )
        .await;
    let world = world
        .restart(|data| std::fs::remove_dir_all(data.join("journal")).expect("removed"))
        .await;
    world.deploy("web", &[config("a", "1")]).await;
    for (kind, name) in [
        ("ConfigMap", "old"),
        ("ConfigMap", "labelled"),
        ("Secret", "key"),
        ("ServiceAccount", "web"),
    ] {
        assert!(world.get("v1", kind, name).await.is_none(), "{kind} {name}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_apps_never_take_an_object_from_each_other() {
    let world = World::start().await;
    world
        .deploy("one", &[config("shared", "one"), config("a", "1")])
        .await;
    let app = world
        .deploy_in_part("two", &[config("shared", "two"), config("b", "1")])
        .await;
    let words = "ConfigMap shop/shared: app dev/one declares it too";
    assert!(app.message.contains(words), "{}", app.message);
    assert_eq!(world.data("shared").await, Some(json!({"value": "one"})));
    assert!(world.data("b").await.is_some());
    // It is given away: the object moves without being deleted.
    let before = world
        .get("v1", "ConfigMap", "shared")
        .await
        .expect("it exists");
    world.app("one", &[config("a", "1")]);
    let commit = world.commit();
    for app in ["one", "two"] {
        world
            .until_app(app, |app| app.commit == commit && sync(app) == "synced")
            .await;
    }
    let after = world
        .get("v1", "ConfigMap", "shared")
        .await
        .expect("it exists");
    assert_eq!(after.data["data"], json!({"value": "two"}));
    assert_eq!(after.metadata.uid, before.metadata.uid);
    world.stop().await;
}
