//! Previews against the bundled API server, in one process: what would happen is told, nothing is written, no secret leaves.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use http_body_util::BodyExt as _;
use kube::Client;
use ordain_orchestrator_apiserver::{Config as ServerConfig, Pki, Server, User};
use ordain_orchestrator_store::Memory;
use ordain_reconciler_engine::{
    App, Ask, CompileError, Compiled, CompiledObject, Compiler, OwnRules, Preview, SecretFiles,
    Standing, Wanted, owned, preview,
};
use ordain_reconciler_plan::{ApiVersion, Inventory, MANAGER, ObjectKey, Verb, prepare};
use ordain_reconciler_source::TreeFiles;
use serde_json::{Value, json};
use tower::ServiceExt as _;

const CANARY: &str = "Y2FuYXJ5LTQyNDI=";

/// Nothing is compiled here.
struct Nobody;

impl Compiler for Nobody {
    fn compile(&self, _: &Arc<TreeFiles>, _: &Wanted) -> Result<Compiled, CompileError> {
        Err(CompileError::new("nobody asks"))
    }
}

fn deployment(name: &str, replicas: u32, label: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "shop"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": label}}, "template": {
            "metadata": {"labels": {"app": label}},
            "spec": {"containers": [{"name": "main", "image": "registry.local/web:1"}]}}},
    })
}

fn secret(value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "shop"},
        "data": {"password": value, "user": "YWRh"}})
}

fn config(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}, "data": {"a": "1"}})
}

/// Applies an object as the reconciler does.
async fn apply(client: &Client, path: &str, object: Value) {
    apply_of(client, path, object, "dev/shop").await;
}

/// The same for another app, or another reconciler.
async fn apply_of(client: &Client, path: &str, object: Value, owner: &str) {
    let name = object["metadata"]["name"]
        .as_str()
        .expect("a name")
        .to_owned();
    let body = match object["kind"].as_str() {
        Some("Namespace") => object,
        _ => {
            let desired = prepare(object, None, true, "shop", owner);
            desired.expect("an identity").object
        }
    };
    let request = http::Request::patch(format!("{path}/{name}?fieldManager={MANAGER}&force=true"))
        .header("content-type", "application/apply-patch+yaml")
        .body(body.to_string().into_bytes())
        .expect("a request");
    client
        .request::<Value>(request)
        .await
        .expect("it is applied");
}

#[tokio::test]
async fn what_would_happen_is_told_and_nothing_is_written() {
    let (server, client) = cluster().await;
    let (core, apps) = ("/api/v1/namespaces/shop", "/apis/apps/v1/namespaces/shop");
    for (path, object) in [
        (format!("{apps}/deployments"), deployment("web", 2, "web")),
        (format!("{apps}/deployments"), deployment("same", 1, "same")),
        (
            format!("{apps}/deployments"),
            deployment("fixed", 1, "fixed"),
        ),
        (format!("{core}/secrets"), secret(CANARY)),
        (format!("{core}/configmaps"), config("gone")),
    ] {
        apply(&client, &path, object).await;
    }

    let found = owned(&client).await.expect("it answers");
    let mut names: Vec<String> = found
        .iter()
        .filter(|one| one.owner == "dev/shop")
        .map(|one| one.key.to_string())
        .collect();
    names.sort();
    let wanted = [
        "ConfigMap shop/gone",
        "Deployment shop/fixed",
        "Deployment shop/same",
        "Deployment shop/web",
        "Secret shop/db",
    ];
    assert_eq!(names, wanted);

    let mut gone = Inventory::default();
    for one in found.into_iter().filter(|one| one.key.name == "gone") {
        gone.insert(one.key, &one.version);
    }
    let objects = [
        deployment("web", 5, "web"),
        deployment("same", 1, "same"),
        deployment("fixed", 1, "other"),
        deployment("new", 1, "new"),
        secret("b3RoZXI="),
    ];
    let ask = Ask {
        app: app("shop", None, &objects),
        gone,
    };
    let plans = asked(&client, ask, &Standing::default()).await;
    let told: Vec<(String, Verb)> = plans[0]
        .plan
        .actions
        .iter()
        .map(|action| (action.key.name.clone(), action.verb))
        .collect();
    for wanted in [
        ("web", Verb::Update),
        ("same", Verb::Unchanged),
        ("fixed", Verb::Refused),
        ("new", Verb::Create),
        ("db", Verb::Update),
        // Nothing is deleted before everything is as declared, and something is refused.
        ("gone", Verb::Keep),
    ] {
        assert!(
            told.contains(&(wanted.0.to_owned(), wanted.1)),
            "{wanted:?}: {told:?}"
        );
    }
    let text = serde_json::to_string(&plans).expect("plain JSON");
    assert!(
        !text.contains(CANARY) && !text.contains("b3RoZXI") && !text.contains("YWRh"),
        "{text}"
    );
    let is_db = |key: &ObjectKey| key.name == "db";
    let (_, now, after) = plans[0]
        .looks
        .iter()
        .find(|look| is_db(&look.0))
        .expect("it was looked at");
    let entry = |object: &Option<Value>, name: &str| {
        object.as_ref().map(|object| object["data"][name].clone())
    };
    assert_ne!(entry(now, "password"), entry(after, "password"));
    assert_eq!(entry(now, "user"), entry(after, "user"));

    let live: Value = client
        .request(
            http::Request::get(format!("{apps}/deployments/web"))
                .body(Vec::new())
                .expect("a request"),
        )
        .await
        .expect("it is there");
    assert_eq!(live["spec"]["replicas"], 2);
    server.shutdown().await;
}

async fn cluster() -> (ordain_orchestrator_apiserver::Running, Client) {
    let pki = Arc::new(Pki::in_memory().expect("keys"));
    let server = Server::start(ServerConfig::new(Arc::new(Memory::new()), pki)).await;
    let server = server.expect("a server");
    let client = Client::new(server.in_process(User::admin()), "default");
    let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    apply(&client, "/api/v1/namespaces", space).await;
    (server, client)
}

fn app(name: &str, cluster: Option<&str>, objects: &[Value]) -> Arc<App> {
    let objects = objects.iter().cloned();
    let objects = objects.map(|object| CompiledObject { object, at: None });
    let (env, space) = ("dev".to_owned(), "shop".to_owned());
    let secrets = SecretFiles::new();
    let app = App::new(name.to_owned(), env, space, objects.collect(), secrets);
    Arc::new(app.on(cluster.map(str::to_owned)))
}

async fn asked(client: &Client, ask: Ask, standing: &Standing) -> Vec<Preview> {
    let (client, nobody) = (client.clone(), Arc::new(Nobody));
    let plans = preview(client, nobody, vec![ask], BTreeSet::new(), standing).await;
    plans.expect("it answers")
}

/// What a preview says: object, verb, reason.
async fn told(
    client: &Client,
    rules: &OwnRules,
    declared: &[Arc<App>],
    gone: &[&str],
) -> Vec<(String, Verb, String)> {
    let mut inventory = Inventory::default();
    for name in gone {
        let key = ObjectKey::of(&config(name)).expect("an identity");
        inventory.insert(key, &ApiVersion::parse("v1"));
    }
    let ask = Ask {
        app: Arc::clone(&declared[0]),
        gone: inventory,
    };
    let standing = Standing::new(rules, declared).expect("rules");
    let plans = asked(client, ask, &standing).await;
    let actions = plans[0].plan.actions.iter();
    actions
        .map(|action| (action.key.name.clone(), action.verb, action.reason.clone()))
        .collect()
}

#[tokio::test]
async fn whose_an_object_is_counts_in_a_preview_too() {
    let (server, client) = cluster().await;
    let path = "/api/v1/namespaces/shop/configmaps";
    for (name, owner) in [
        ("both", "dev/db"),
        ("given", "dev/db"),
        ("left", "dev/old"),
        ("foreign", "prod/web"),
        ("moves", "dev/shop"),
        ("goes", "dev/shop"),
    ] {
        apply_of(&client, path, config(name), owner).await;
    }
    let objects = ["both", "given", "left", "foreign"].map(config);
    let shop = app("shop", Some("eu"), &objects);
    let db = app("db", Some("eu"), &[config("both"), config("moves")]);
    // An app that the commit does not have any more names no cluster.
    let old = app("old", None, &[]);
    let declared = [shop, db, old];
    let strict = OwnRules::default();
    let said = told(&client, &strict, &declared, &["moves", "goes"]).await;
    let of = |name: &str| {
        let found = said.iter().find(|(found, ..)| found == name);
        let (_, verb, reason) = found.expect("it is told");
        (*verb, reason.as_str())
    };
    let (verb, reason) = of("both");
    assert_eq!(verb, Verb::Refused, "{reason}");
    assert!(reason.contains("dev/db"), "{reason}");
    for (name, from) in [("given", "dev/db"), ("left", "dev/old")] {
        let (verb, reason) = of(name);
        assert_eq!(verb, Verb::Update, "{name}: {reason}");
        assert!(
            reason.starts_with(&format!("moves here from {from}")),
            "{reason}"
        );
    }
    let (verb, reason) = of("foreign");
    assert_eq!(verb, Verb::Refused, "{reason}");
    assert!(
        reason.contains("prod/web") && reason.contains("take-from"),
        "{reason}"
    );
    assert_eq!(of("moves"), (Verb::Keep, "moves to dev/db"));
    assert_eq!(of("goes").0, Verb::Keep, "something is refused");

    // With leave to take it, and without the one that stays with another app, everything goes its way.
    let lenient = OwnRules {
        take_from: BTreeSet::from(["prod/web".to_owned()]),
        ..OwnRules::default()
    };
    let objects = ["given", "left", "foreign"].map(config);
    let [_, db, old] = declared;
    let declared = [app("shop", Some("eu"), &objects), db, old];
    let said = told(&client, &lenient, &declared, &["moves", "goes"]).await;
    let verbs: Vec<_> = said
        .iter()
        .map(|(name, verb, _)| (name.as_str(), *verb))
        .collect();
    for wanted in [
        ("foreign", Verb::Update),
        ("given", Verb::Update),
        ("left", Verb::Update),
        ("moves", Verb::Keep),
        ("goes", Verb::Delete),
    ] {
        assert!(verbs.contains(&wanted), "{wanted:?}: {said:?}");
    }
    // An annotation of the object itself does the same as the rule.
    let mut foreign = config("foreign");
    foreign["metadata"]["annotations"] = json!({"ordain.dev/take-from": "prod/web"});
    let [_, db, old] = declared;
    let declared = [app("shop", Some("eu"), &[foreign]), db, old];
    let said = told(&client, &strict, &declared, &[]).await;
    assert_eq!(said[0].1, Verb::Update, "{said:?}");
    server.shutdown().await;
}

/// A server's answers about objects, counted.
#[derive(Clone, Default)]
struct Counted {
    lists: Arc<Mutex<Vec<String>>>,
    bytes: Arc<AtomicUsize>,
}

#[tokio::test]
async fn what_is_ours_is_found_without_reading_what_is_not() {
    let (server, client) = cluster().await;
    let path = "/api/v1/namespaces/shop/configmaps";
    let filler = "x".repeat(2_000);
    for at in 0..300 {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": format!("foreign-{at}")}, "data": {"a": filler}});
        let request = http::Request::post(path)
            .header("content-type", "application/json")
            .body(object.to_string().into_bytes())
            .expect("a request");
        client.request::<Value>(request).await.expect("created");
    }
    apply(&client, path, config("ours")).await;
    let mut charted = config("charted");
    charted["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "Helm"});
    apply(&client, path, charted).await;

    let counted = Counted::default();
    let (inner, counts) = (server.in_process(User::admin()), counted.clone());
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let (inner, counts) = (inner.clone(), counts.clone());
        async move {
            let query = request.uri().query().unwrap_or_default().to_owned();
            let is_list = query.contains("limit=");
            if is_list {
                counts.lists.lock().expect("no panic").push(query);
            }
            let response = inner.oneshot(request).await?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            if is_list {
                counts.bytes.fetch_add(body.len(), Ordering::Relaxed);
            }
            let body = http_body_util::Full::new(body);
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(http::Response::from_parts(
                parts, body,
            ))
        }
    });
    let found = owned(&Client::new(service, "default")).await;
    let found = found.expect("it answers");
    let mut names: Vec<_> = found.iter().map(|one| one.key.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["charted", "ours"]);
    let lists = std::mem::take(&mut *counted.lists.lock().expect("no panic"));
    assert!(lists.len() > 20, "every kind is asked for");
    assert!(lists.iter().all(|query| query.contains("labelSelector=")));
    let bytes = counted.bytes.load(Ordering::Relaxed);
    assert!(bytes < 100_000, "{bytes} bytes, and 600,000 are not ours");
    server.shutdown().await;
}
