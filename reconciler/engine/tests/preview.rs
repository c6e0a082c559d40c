//! Previews against the bundled API server, in one process: what would happen is told, nothing is written, no secret leaves.

use std::{collections::BTreeSet, sync::Arc};

use kube::Client;
use ordain_orchestrator_apiserver::{Config as ServerConfig, Pki, Server, User};
use ordain_orchestrator_store::Memory;
use ordain_reconciler_engine::{
    App, Ask, CompileError, Compiled, CompiledObject, Compiler, SecretFiles, Standing, Wanted,
    owned, preview,
};
use ordain_reconciler_plan::{Inventory, MANAGER, ObjectKey, Verb, prepare};
use ordain_reconciler_source::TreeFiles;
use serde_json::{Value, json};

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
    let name = object["metadata"]["name"]
        .as_str()
        .expect("a name")
        .to_owned();
    let body = match object["kind"].as_str() {
        Some("Namespace") => object,
        _ => {
            let desired = prepare(object, None, true, "shop", "dev/shop");
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
    let pki = Arc::new(Pki::in_memory().expect("keys"));
    let server = Server::start(ServerConfig::new(Arc::new(Memory::new()), pki)).await;
    let server = server.expect("a server");
    let client = Client::new(server.in_process(User::admin()), "default");
    let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    apply(&client, "/api/v1/namespaces", space).await;
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
    let objects = objects
        .into_iter()
        .map(|object| CompiledObject { object, at: None });
    let (name, env, space) = ("shop".to_owned(), "dev".to_owned(), "shop".to_owned());
    let app = App::new(name, env, space, objects.collect(), SecretFiles::new());
    let asks = vec![Ask {
        app: Arc::new(app),
        gone,
    }];
    let standing = Standing::default();
    let plans = preview(
        client.clone(),
        Arc::new(Nobody),
        asks,
        BTreeSet::new(),
        &standing,
    )
    .await;
    let plans = plans.expect("it answers");
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
