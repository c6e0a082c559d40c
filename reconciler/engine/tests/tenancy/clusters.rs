//! Several clusters: each app goes to its own, also from the journal while the repository is away.

use std::collections::{BTreeMap, BTreeSet};

use http::Request as HttpRequest;
use kube::{Client, client::Body};
use ordain_reconciler_engine::{
    Running,
    control::{self, Request, Response},
    start,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::world::{Cluster, World, config, status, stop, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn environments_go_to_their_clusters_and_one_that_hangs_holds_up_no_other() {
    let world = World::new();
    let one = Cluster::start(world.dir.path(), "one").await;
    let two = Cluster::start(world.dir.path(), "two").await;
    let hangs = tower::service_fn(|_: HttpRequest<Body>| {
        std::future::pending::<Result<http::Response<Body>, std::convert::Infallible>>()
    });
    world.commit(&[
        ("one.json", json!([config("a", "one")])),
        ("two.json", json!([config("a", "two")])),
        ("hung.json", json!([config("a", "hung")])),
        ("else.json", json!([config("a", "else")])),
    ]);
    let shutdown = CancellationToken::new();
    let mut settings = world.config(one.client.clone(), "data");
    settings.clusters = BTreeMap::from([
        ("two".to_owned(), two.client.clone()),
        ("hung".to_owned(), Client::new(hangs, "default")),
    ]);
    let engine = start(settings, shutdown.clone()).await.expect("it starts");
    for (cluster, name) in [(&one, "one"), (&two, "two")] {
        until("each cluster has its own", async || {
            cluster
                .config("a")
                .await
                .filter(|data| data["value"] == name)
        })
        .await;
    }
    let status = until("both are synced", async || {
        let status = status(&world.data("data"))?;
        let synced = status.apps.iter().filter(|app| app.health == "healthy");
        (synced.count() == 2).then_some(status)
    })
    .await;
    let clusters: Vec<_> = status.apps.iter().map(|app| app.cluster.as_str()).collect();
    assert_eq!(
        clusters,
        ["hung", "one", "two"],
        "an unknown cluster is left alone"
    );
    stop(engine, &shutdown).await;
    one.server.shutdown().await;
    two.server.shutdown().await;
}

/// Everything that was written since the last time but events, once each.
fn written(cluster: &Cluster) -> BTreeSet<String> {
    let mut writes = cluster.writes.lock().expect("no panic");
    let writes = std::mem::take(&mut *writes).into_iter();
    let paths = writes.map(|(_, path)| path);
    paths.filter(|path| !path.ends_with("/events")).collect()
}

async fn run(
    world: &World,
    one: &Cluster,
    others: &[(&str, &Cluster)],
) -> (Running, CancellationToken) {
    let shutdown = CancellationToken::new();
    let mut settings = world.config(one.client_of("engine"), "data");
    settings.clusters = (others.iter())
        .map(|(name, cluster)| ((*name).to_owned(), cluster.client_of("engine")))
        .collect();
    let engine = start(settings, shutdown.clone()).await.expect("it starts");
    (engine, shutdown)
}

async fn until_value(cluster: &Cluster, value: &str) {
    until(value, async || {
        let data = cluster.config("a").await?;
        (data["value"] == value).then_some(())
    })
    .await;
}

/// Waits until both apps are as a commit declares and healthy.
async fn until_healthy(world: &World) {
    until("both are healthy", async || {
        let status = status(&world.data("data"))?;
        let healthy = status.apps.iter().filter(|app| app.health == "healthy");
        (healthy.count() == 2).then_some(())
    })
    .await;
}

/// A rollback and a start without the repository: what is in the journal goes to the cluster that it was deployed to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_knows_the_cluster_of_each_app() {
    let world = World::new();
    let one = Cluster::start(world.dir.path(), "one").await;
    let two = Cluster::start(world.dir.path(), "two").await;
    let commit = |value: &str| {
        let app = |name: &str| json!([config("a", &format!("{name}-{value}"))]);
        world.commit(&[("one.json", app("one")), ("two.json", app("two"))])
    };
    let (engine, shutdown) = run(&world, &one, &[("two", &two)]).await;
    for value in ["1", "2"] {
        commit(value);
        until_value(&one, &format!("one-{value}")).await;
        until_value(&two, &format!("two-{value}")).await;
        until("it is recorded", async || {
            let rows = ["one", "two"].map(|env| history(&world, env));
            let healthy = |rows: &Vec<_>| {
                let last: Option<&ordain_reconciler_engine::HistoryRow> = rows.last();
                last.is_some_and(|row| row.was_healthy)
                    && rows.len() == value.parse::<usize>().unwrap_or(0)
            };
            rows.iter().all(healthy).then_some(())
        })
        .await;
    }
    until_healthy(&world).await;
    world.away(true);
    written(&one);
    written(&two);
    let request = Request::Rollback {
        app: "shop".to_owned(),
        env: Some("two".to_owned()),
        to: "last-healthy".to_owned(),
        reason: "it was better".to_owned(),
        author: "Ada <ada@example.com>".to_owned(),
        sign: false,
        wait: true,
    };
    let data = world.data("data");
    let answers = tokio::task::spawn_blocking(move || control::call(&data, &request, |_| {}));
    let answers = answers.await.expect("no panic");
    assert!(answers.is_ok(), "{answers:?}");
    until_value(&two, "two-1").await;
    assert_eq!(one.config("a").await, Some(json!({"value": "one-2"})));
    assert!(
        written(&one).is_empty(),
        "the home cluster has nothing to do with it"
    );
    let path = BTreeSet::from(["/api/v1/namespaces/shop/configmaps/a".to_owned()]);
    assert_eq!(written(&two), path);
    until_healthy(&world).await;

    // A start while the repository is still away: each app goes on in its cluster, and what was edited meanwhile is
    // put right there.
    stop(engine, &shutdown).await;
    one.edit("a", "edited").await;
    two.edit("a", "edited as well").await;
    let (engine, shutdown) = run(&world, &one, &[("two", &two)]).await;
    until_value(&one, "one-2").await;
    until_value(&two, "two-1").await;
    until_healthy(&world).await;
    assert_eq!(written(&one), path);
    assert_eq!(written(&two), path);
    let status = status(&world.data("data")).expect("a status");
    let clusters: Vec<_> = status.apps.iter().map(|app| app.cluster.as_str()).collect();
    assert_eq!(clusters, ["one", "two"]);
    stop(engine, &shutdown).await;

    // Another cluster by the name of the second: nothing of the journal goes there.
    let three = Cluster::start(world.dir.path(), "three").await;
    one.edit("a", "edited").await;
    let (engine, shutdown) = run(&world, &one, &[("two", &three)]).await;
    until_value(&one, "one-2").await;
    assert!(written(&three).is_empty());
    stop(engine, &shutdown).await;
    for cluster in [one, two, three] {
        cluster.server.shutdown().await;
    }
}

/// An environment that goes to a cluster which nobody named here was not removed: somebody else deploys it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_to_an_unknown_cluster_stays_where_it_is() {
    let world = World::new();
    let one = Cluster::start(world.dir.path(), "one").await;
    let two = Cluster::start(world.dir.path(), "two").await;
    let app = |value: &str| json!([config("a", value)]);
    world.commit(&[("one.json", app("one-1")), ("two.json", app("two-1"))]);
    let (engine, shutdown) = run(&world, &one, &[("two", &two)]).await;
    until_value(&two, "two-1").await;
    until_healthy(&world).await;
    written(&two);
    world.remove("two.json");
    world.commit(&[("one.json", app("one-2")), ("two@gone.json", app("two-2"))]);
    until_value(&one, "one-2").await;
    until("it is not ours any more", async || {
        let status = status(&world.data("data"))?;
        let envs: Vec<_> = status.apps.iter().map(|app| app.env.as_str()).collect();
        (envs == ["one"]).then_some(())
    })
    .await;
    assert!(written(&two).is_empty(), "nothing of it is touched");
    assert_eq!(two.config("a").await, Some(json!({"value": "two-1"})));
    // Whoever goes there now may have what it left.
    world.commit(&[("three@two.json", app("three"))]);
    until_value(&two, "three").await;
    stop(engine, &shutdown).await;
    one.server.shutdown().await;
    two.server.shutdown().await;
}

fn history(world: &World, env: &str) -> Vec<ordain_reconciler_engine::HistoryRow> {
    let (app, env) = ("shop".to_owned(), Some(env.to_owned()));
    let request = Request::History {
        app,
        env,
        limit: None,
    };
    let answers = control::call(world.data("data"), &request, |_| {});
    match answers.unwrap_or_default().into_iter().next() {
        Some(Response::History { deploys }) => deploys,
        _ => Vec::new(),
    }
}
