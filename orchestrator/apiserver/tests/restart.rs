//! A server finds everything again on the store that another left, and two on one store agree.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use ordain_orchestrator_apiserver::{Config, InProcess, Pki, Running, Server, User};
use ordain_orchestrator_store::{Kv, Memory};
use serde_json::{Value, json};
use tower::ServiceExt;

async fn start(store: &Arc<Memory>, pki: &Arc<Pki>) -> Running {
    Server::start(Config::new(store.clone(), pki.clone()))
        .await
        .expect("a server")
}

async fn send(service: &InProcess, method: &str, url: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() {
        Bytes::new()
    } else {
        Bytes::from(body.to_string())
    };
    let request = Request::builder()
        .method(method)
        .uri(url)
        .body(Full::new(body))
        .expect("a request");
    let answer = service
        .clone()
        .oneshot(request)
        .await
        .expect("it always answers");
    let status = answer.status().as_u16();
    let bytes = answer
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes();
    (
        status,
        serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    )
}

fn definition() -> Value {
    json!({
        "metadata": {"name": "boats.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "boats", "kind": "Boat"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
        },
    })
}

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const BOATS: &str = "/apis/example.com/v1/namespaces/default/boats";

#[tokio::test]
async fn a_second_start_writes_nothing_but_its_address() {
    let store = Arc::new(Memory::new());
    let pki = Arc::new(Pki::in_memory().expect("keys"));
    let first = start(&store, &pki).await;
    let admin = first.in_process(User::admin());
    assert_eq!(send(&admin, "POST", DEFINITIONS, definition()).await.0, 201);
    assert_eq!(
        send(&admin, "POST", BOATS, json!({"metadata": {"name": "anna"}}))
            .await
            .0,
        201
    );
    let (_, role) = send(
        &admin,
        "GET",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/view",
        Value::Null,
    )
    .await;
    first.shutdown().await;

    let before = store.revision().await.expect("a revision");
    let second = start(&store, &pki).await;
    let after = store.revision().await.expect("a revision");
    assert!(
        after.0 - before.0 <= 2,
        "the address in Endpoints and EndpointSlice, and no more"
    );
    let admin = second.in_process(User::admin());
    let (status, boat) = send(&admin, "GET", &format!("{BOATS}/anna"), Value::Null).await;
    assert_eq!((status, boat["kind"].as_str()), (200, Some("Boat")));
    let (_, again) = send(
        &admin,
        "GET",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/view",
        Value::Null,
    )
    .await;
    assert_eq!(role, again);
    let (_, endpoints) = send(
        &admin,
        "GET",
        "/api/v1/namespaces/default/endpoints/kubernetes",
        Value::Null,
    )
    .await;
    assert_eq!(
        endpoints["subsets"][0]["ports"][0]["port"],
        second.addr().port()
    );
    second.shutdown().await;
}

#[tokio::test]
async fn two_servers_on_one_store_learn_from_each_other() {
    let store = Arc::new(Memory::new());
    let pki = Arc::new(Pki::in_memory().expect("keys"));
    let (first, second) = (start(&store, &pki).await, start(&store, &pki).await);
    let (one, other) = (
        first.in_process(User::admin()),
        second.in_process(User::admin()),
    );
    assert_eq!(send(&one, "POST", DEFINITIONS, definition()).await.0, 201);
    let binding = json!({
        "metadata": {"name": "ann"}, "roleRef": {"kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "User", "name": "ann"}],
    });
    let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    assert_eq!(send(&one, "POST", bindings, binding).await.0, 201);
    let ann = second.in_process(User::new("ann", &[]));
    let learned = async {
        loop {
            let boats = send(&other, "GET", BOATS, Value::Null).await.0;
            let pods = send(&ann, "GET", "/api/v1/pods", Value::Null).await.0;
            if (boats, pods) == (200, 200) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), learned)
        .await
        .expect("the other server learns");
    // Writers on both meet at the store: one of two creates wins, and a stale write is refused.
    let map = |value: &str| json!({"metadata": {"name": "m"}, "data": {"v": value}});
    let maps = "/api/v1/namespaces/default/configmaps";
    let (a, b) = tokio::join!(
        send(&one, "POST", maps, map("1")),
        send(&other, "POST", maps, map("2"))
    );
    let mut codes = [a.0, b.0];
    codes.sort_unstable();
    assert_eq!(codes, [201, 409]);
    first.shutdown().await;
    second.shutdown().await;
}
