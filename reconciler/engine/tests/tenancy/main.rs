//! Several reconcilers, several clusters and several teams, against the bundled API server in this process; and the
//! reconciler's own objects, with the installed `kubectl` where there is one.

#![allow(clippy::print_stderr, reason = "a suite that is left out says so")]

mod clusters;
mod world;

use std::{path::Path, process::Command, sync::Arc, time::Duration};

use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use ordain_reconciler_engine::{
    Election, Policy,
    control::{self, Request, Response, Target},
    start,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::world::{Cluster, World, config, status, stop, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apps_and_the_source_are_objects_and_commands_are_too() {
    let world = World::new();
    let cluster = Cluster::start(world.dir.path(), "one").await;
    world.commit(&[("one.json", json!([config("a", "1")]))]);
    let shutdown = CancellationToken::new();
    let mut settings = world.config(cluster.client.clone(), "data");
    settings.resources = Some("ordain-system".to_owned());
    let engine = start(settings, shutdown.clone()).await.expect("it starts");

    let apps = cluster.api("ordain.dev/v1alpha1", "App", "ordain-system");
    let ready = |object: &DynamicObject, kind: &str| {
        let conditions = object.data["status"]["conditions"].as_array().cloned();
        let mut conditions = conditions.unwrap_or_default().into_iter();
        let found = conditions.find(|condition| condition["type"] == kind);
        found.is_some_and(|condition| condition["status"] == "True")
    };
    let app = until("the app's object is ready", async || {
        let app = apps.get_opt("one.shop").await.ok().flatten()?;
        ready(&app, "Ready").then_some(app)
    })
    .await;
    assert_eq!(app.data["status"]["sync"], "synced");
    assert_eq!(app.data["spec"]["cluster"], "one");
    assert_eq!(
        app.data["status"]["objects"],
        json!({"total": 1, "healthy": 1})
    );
    let sources = cluster.api("ordain.dev/v1alpha1", "Source", "ordain-system");
    until("the source's object is ready", async || {
        let source = sources.get_opt("repository").await.ok().flatten()?;
        ready(&source, "Ready").then_some(())
    })
    .await;

    // A second commit is told by an event.
    let tip = world.commit(&[("one.json", json!([config("a", "2")]))]);
    let events = cluster.api("events.k8s.io/v1", "Event", "ordain-system");
    until("the deploy is told", async || {
        let events = events.list(&kube::api::ListParams::default()).await.ok()?;
        let mut events = events.items.into_iter();
        events
            .find(|event| event.data["reason"] == "Deployed")
            .filter(|event| {
                event.data["note"]
                    .as_str()
                    .is_some_and(|note| note.contains(&tip[..10]))
            })
    })
    .await;

    // The same commands as on the socket, through the API server.
    let kubeconfig = world.dir.path().join("kubeconfig");
    std::fs::write(&kubeconfig, cluster.server.kubeconfig()).expect("written");
    let target = Target::Cluster {
        kubeconfig: Some(kubeconfig.clone()),
        context: None,
        namespace: "ordain-system".to_owned(),
    };
    let asked = target.clone();
    let answers = tokio::task::spawn_blocking(move || {
        let status = control::call(&asked, &Request::Status, |_| {});
        let history = Request::History {
            app: "shop".to_owned(),
            env: None,
            limit: None,
        };
        let history = control::call(&asked, &history, |_| {});
        let refused = control::call(&asked, &Request::Applied, |_| {});
        (status, history, refused)
    });
    let (status, history, refused) = answers.await.expect("no panic");
    match status.expect("an answer").first() {
        Some(Response::Status { status }) => assert_eq!(status.apps[0].commit, tip),
        other => panic!("{other:?} is no status"),
    }
    match history.expect("an answer").first() {
        Some(Response::History { deploys }) => assert_eq!(deploys.len(), 2),
        other => panic!("{other:?} is no history"),
    }
    let refused = refused
        .expect_err("it is for the machine alone")
        .to_string();
    assert!(refused.contains("data directory"), "{refused}");
    let requests = cluster.api("ordain.dev/v1alpha1", "Request", "ordain-system");
    let left = requests.list(&kube::api::ListParams::default()).await;
    assert!(
        left.expect("an answer").items.is_empty(),
        "clients delete what they made"
    );

    kubectl(&kubeconfig);

    // People suspend and resume by the object.
    for suspend in [true, false] {
        let patch = Patch::Merge(json!({"spec": {"suspend": suspend}}));
        let patched = apps
            .patch("one.shop", &PatchParams::default(), &patch)
            .await;
        patched.expect("it is there");
        until("the object says whether it is suspended", async || {
            let app = apps.get_opt("one.shop").await.ok().flatten()?;
            (app.data["status"]["suspended"] == suspend).then_some(())
        })
        .await;
    }
    stop(engine, &shutdown).await;
    cluster.server.shutdown().await;
}

fn kubectl(kubeconfig: &Path) {
    let run = |args: &[&str]| {
        let output = Command::new("kubectl")
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(["--namespace", "ordain-system"])
            .args(args)
            .output();
        output.map(|output| {
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{error}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        })
    };
    let Ok(table) = run(&["get", "apps"]) else {
        eprintln!("left out: kubectl is not installed");
        return;
    };
    let words = |line: usize| -> Vec<String> {
        let line = table.lines().nth(line).unwrap_or_default();
        line.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(
        words(0),
        ["NAME", "SYNC", "HEALTH", "COMMIT", "AGE", "MESSAGE"],
        "{table}"
    );
    assert_eq!(words(1)[..3], ["one.shop", "synced", "healthy"], "{table}");
    let described = run(&["describe", "app", "one.shop"]).expect("it is there");
    for wanted in ["Type:                  Ready", "Deployed"] {
        assert!(described.contains(wanted), "{described}");
    }
    let sources = run(&["get", "sources"]).expect("it is there");
    assert!(
        sources.contains("main") && sources.contains("True"),
        "{sources}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_reconcilers_one_writes_and_the_other_takes_over() {
    let world = World::new();
    let cluster = Cluster::start(world.dir.path(), "one").await;
    world.commit(&[("one.json", json!([config("a", "1")]))]);
    let run = async |name: &str, shutdown: &CancellationToken| {
        let mut settings = world.config(cluster.client_of(name), name);
        let mut election = Election::new(name, "ordain-system");
        // The same proportions as by default.
        election.lease = Duration::from_millis(7500);
        election.renew = Duration::from_millis(5000);
        election.retry = Duration::from_millis(500);
        settings.election = Some(election);
        start(settings, shutdown.clone()).await.expect("it starts")
    };
    let (first, second) = (CancellationToken::new(), CancellationToken::new());
    world.commit(&[("one.json", json!([config("a", "1"), config("old", "1")]))]);
    let a = run("a", &first).await;
    until("the first one deploys", async || {
        cluster
            .config("a")
            .await
            .filter(|data| data["value"] == "1")
    })
    .await;
    let b = run("b", &second).await;
    until("the second one stands by", async || {
        let status = status(&world.data("b"))?;
        status.source.message.contains("`a` leads").then_some(())
    })
    .await;
    world.commit(&[("one.json", json!([config("a", "2"), config("old", "1")]))]);
    until("the first one deploys again", async || {
        cluster
            .config("a")
            .await
            .filter(|data| data["value"] == "2")
    })
    .await;
    let writers = |from: usize| -> Vec<String> {
        let writes = cluster.writes.lock().expect("no panic");
        let mut writers: Vec<_> = writes[from..].iter().map(|(who, _)| who.clone()).collect();
        writers.dedup();
        writers
    };
    assert_eq!(writers(0), ["a"], "the second one wrote nothing");

    let before = cluster.writes.lock().expect("no panic").len();
    stop(a, &first).await;
    let after_stop = cluster.writes.lock().expect("no panic").len();
    world.commit(&[("one.json", json!([config("a", "3")]))]);
    until("the second one takes over", async || {
        cluster
            .config("a")
            .await
            .filter(|data| data["value"] == "3")
    })
    .await;
    until(
        "what the first one made and is gone from the commit is deleted",
        async || cluster.config("old").await.is_none().then_some(()),
    )
    .await;
    let leases = cluster.api("coordination.k8s.io/v1", "Lease", "ordain-system");
    let lease = leases.get("ordain").await.expect("it is there");
    assert_eq!(lease.data["spec"]["holderIdentity"], "b");
    assert_eq!(lease.data["spec"]["leaseTransitions"], 1);
    assert!(before <= after_stop);
    assert_eq!(
        writers(after_stop),
        ["b"],
        "nobody but the new leader writes"
    );
    stop(b, &second).await;
    cluster.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_acts_as_its_account_and_the_policy_goes_before_everything() {
    let world = World::new();
    let cluster = Cluster::start(world.dir.path(), "one").await;
    for (api_version, kind, object) in [
        ("v1", "Namespace", json!({"metadata": {"name": "shop"}})),
        (
            "v1",
            "ServiceAccount",
            json!({"metadata": {"name": "deployer", "namespace": "shop"}}),
        ),
        (
            "rbac.authorization.k8s.io/v1",
            "Role",
            json!({
            "metadata": {"name": "deployer", "namespace": "shop"},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}]}),
        ),
        (
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            json!({
            "metadata": {"name": "deployer", "namespace": "shop"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "deployer"},
            "subjects": [{"kind": "ServiceAccount", "name": "deployer", "namespace": "shop"}]}),
        ),
    ] {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api: Api<DynamicObject> = match kind {
            "Namespace" => Api::all_with(cluster.client.clone(), &resource),
            _ => Api::namespaced_with(cluster.client.clone(), "shop", &resource),
        };
        let mut object = object;
        object["apiVersion"] = api_version.into();
        object["kind"] = kind.into();
        let name = object["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let params = PatchParams::apply("test").force();
        api.patch(&name, &params, &Patch::Apply(&object))
            .await
            .expect("made");
    }
    let policy = "[[rule]]\nname = \"shop\"\nservice-account = \"shop/deployer\"\n\
        allow.namespaces = [\"shop\"]\ndeny.kinds = [\"Secret\"]\n";
    let policy = Policy::parse(policy, |_| Ok(Default::default())).expect("it is right");
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"ports": [{"port": 80}]}});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}});
    let elsewhere = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "b", "namespace": "other"}});
    world.commit(&[(
        "one.json",
        json!([config("a", "1"), service, secret, elsewhere]),
    )]);
    let shutdown = CancellationToken::new();
    let mut settings = world.config(cluster.client_of("engine"), "data");
    settings.policy = Some(Arc::new(policy));
    let engine = start(settings, shutdown.clone()).await.expect("it starts");
    let message = until("what is refused is told", async || {
        let status = status(&world.data("data"))?;
        let app = status.apps.into_iter().next()?;
        (app.message.matches("one.json:1").count() == 3).then_some(app.message)
    })
    .await;
    for wanted in [
        "policy rule `shop` denies kinds `Secret`",
        "policy rule `shop` does not allow namespace `other`",
        "system:serviceaccount:shop:deployer",
    ] {
        assert!(message.contains(wanted), "{message}");
    }
    until("what is allowed is applied", async || {
        cluster.config("a").await
    })
    .await;
    let writes = cluster.writes.lock().expect("no panic").clone();
    for path in writes.iter().map(|(_, path)| path) {
        assert!(
            !path.contains("secrets") && !path.contains("/other"),
            "{path}"
        );
    }
    stop(engine, &shutdown).await;
    cluster.server.shutdown().await;
}
