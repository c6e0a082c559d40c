//! Whatever is sent, an answer comes back: a `Status` with a reason for what is refused, and never
//! an internal error.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use ordain_orchestrator_apiserver::{Config, InProcess, Pki, Running, Server, User};
use ordain_orchestrator_store::Memory;
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::ServiceExt;

async fn server() -> Running {
    let pki = Arc::new(Pki::in_memory().expect("keys"));
    Server::start(Config::new(Arc::new(Memory::new()), pki))
        .await
        .expect("a server")
}

async fn send(
    service: &InProcess,
    method: &str,
    url: &str,
    media: &str,
    body: Vec<u8>,
) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header("content-type", media)
        .body(Full::new(Bytes::from(body)))
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

#[track_caller]
fn check((status, answer): (u16, Value), what: &str) {
    assert!(status < 500, "{what}: {status} {answer}");
    if status >= 400 {
        assert_eq!(answer["kind"], "Status", "{what}: {answer}");
        assert!(
            answer["reason"].is_string() && answer["message"].is_string(),
            "{what}: {answer}"
        );
    }
}

const URLS: [&str; 7] = [
    "/api/v1/namespaces/default/pods",
    "/apis/apps/v1/namespaces/default/deployments",
    "/api/v1/namespaces/default/services",
    "/apis/batch/v1/namespaces/default/jobs",
    "/api/v1/namespaces/default/events",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
];

const MEDIA: [&str; 4] = [
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/apply-patch+yaml",
];

fn object() -> Value {
    json!({
        "metadata": {"name": "x", "labels": {"a": "b"}, "finalizers": ["a/b"], "ownerReferences": [{"kind": "X"}]},
        "spec": {
            "replicas": 1, "type": "NodePort", "clusterIP": "10.43.0.9", "schedule": "* * * * *",
            "group": "g.io", "names": {"plural": "xs", "kind": "X"}, "scope": "Cluster",
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
            "selector": {"matchLabels": {"a": "b"}}, "ports": [{"port": 80, "nodePort": 30000}],
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}},
            "containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "1"}}, "env": [{"name": "E"}],
                "livenessProbe": {"httpGet": {"port": 1}}, "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
            "volumes": [{"name": "v", "configMap": {"name": "c"}}], "tolerations": [{"key": "k"}],
        },
        "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}],
        "involvedObject": {"namespace": "default"},
    })
}

/// Any JSON value, not too large.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!("None")),
        Just(json!(-1)),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((".{0,8}", inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// Replaces the n-th value of an object, counted from its root.
fn replace(value: &mut Value, n: &mut usize, with: &Value) {
    if *n == 0 {
        *value = with.clone();
        *n = usize::MAX;
        return;
    }
    if *n == usize::MAX {
        return;
    }
    *n -= 1;
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, n, with)),
        Value::Object(map) => map.values_mut().for_each(|item| replace(item, n, with)),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutilated_object_is_refused_in_order(changes in prop::collection::vec((1..90usize, any_json()), 1..4), raw in prop::collection::vec(any::<u8>(), 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let server = server().await;
            let service = server.in_process(User::admin());
            let mut body = object();
            for (mut n, with) in changes {
                replace(&mut body, &mut n, &with);
            }
            let bytes = serde_json::to_vec(&body).expect("JSON");
            for url in URLS {
                check(send(&service, "POST", url, "application/json", bytes.clone()).await, url);
                let one = format!("{url}/x");
                check(send(&service, "PUT", &one, "application/json", bytes.clone()).await, &one);
                let patch = "application/merge-patch+json";
                check(send(&service, "PATCH", &one, patch, bytes.clone()).await, &one);
                let patch = "application/strategic-merge-patch+json";
                check(send(&service, "PATCH", &one, patch, bytes.clone()).await, &one);
                let apply = format!("{one}?fieldManager=m&force=true");
                check(send(&service, "PATCH", &apply, MEDIA[3], bytes.clone()).await, &apply);
                for media in MEDIA {
                    check(send(&service, "POST", url, media, raw.clone()).await, media);
                }
                check(send(&service, "DELETE", &one, "application/json", bytes.clone()).await, &one);
            }
            server.shutdown().await;
        });
    }

    #[test]
    fn any_url_is_answered(path in "(/(api|apis|v1|apps|namespaces|default|pods|deployments|x|%2e%2e|%00|\\.\\.|scale|status|log|proxy)){0,8}", query in "[a-zA-Z0-9=&%+.,!()-]{0,40}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let server = server().await;
            let service = server.in_process(User::admin());
            let url = format!("{path}?timeoutSeconds=1&{query}");
            let url = if url.starts_with('/') { url } else { format!("/{url}") };
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"] {
                let Ok(uri) = url.parse::<http::Uri>() else { continue };
                let request = Request::builder().method(method).uri(uri).body(Full::new(Bytes::new())).expect("a request");
                let answer = service.clone().oneshot(request).await.expect("it always answers");
                assert!(answer.status().as_u16() < 500, "{method} {url}: {}", answer.status());
            }
            server.shutdown().await;
        });
    }
}

#[tokio::test]
async fn bombs_are_small_to_this_server() {
    let server = server().await;
    let service = server.in_process(User::admin());
    let url = URLS[0];
    let deep = [vec![b'['; 200_000], vec![b']'; 200_000]].concat();
    check(
        send(&service, "POST", url, MEDIA[0], deep).await,
        "deep JSON",
    );
    let deep = br#"{"a":"#.repeat(100_000);
    check(
        send(&service, "POST", url, MEDIA[0], deep).await,
        "deep and unfinished JSON",
    );
    let large = format!(r#"{{"metadata":{{"name":"{}"}}}}"#, "x".repeat(4 << 20)).into_bytes();
    let (status, _) = send(&service, "POST", url, MEDIA[0], large).await;
    assert_eq!(status, 413);
    let aliases = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
        d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n\
        g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: &h [*g,*g,*g,*g,*g,*g,*g,*g,*g]\n";
    check(
        send(&service, "POST", url, MEDIA[1], aliases.into()).await,
        "YAML aliases",
    );
    check(
        send(
            &service,
            "POST",
            url,
            MEDIA[0],
            br#"{"spec":{"priority":1e999}}"#.to_vec(),
        )
        .await,
        "a huge number",
    );
    server.shutdown().await;
}

#[tokio::test]
async fn a_port_in_use_is_told_with_its_address() {
    let first = server().await;
    let pki = Arc::new(Pki::in_memory().expect("keys"));
    let mut config = Config::new(Arc::new(Memory::new()), pki.clone());
    config.listen = first.addr();
    let Err(error) = Server::start(config).await else {
        panic!("two servers on one port")
    };
    assert!(
        error.to_string().contains(&first.addr().to_string()),
        "{error}"
    );
    let mut config = Config::new(Arc::new(Memory::new()), pki);
    config.service_cidr = "10.43.0.1/16".into();
    let Err(error) = Server::start(config).await else {
        panic!("a range with bits behind its length")
    };
    assert!(error.to_string().contains("10.43.0.1/16"), "{error}");
    let dir = tempfile::tempdir().expect("a directory");
    let inside = dir.path().join("file").join("pki");
    std::fs::write(dir.path().join("file"), "").expect("a file");
    let Err(error) = Pki::open(&inside) else {
        panic!("a directory inside of a file")
    };
    assert!(
        error.to_string().contains(&inside.display().to_string()),
        "{error}"
    );
    first.shutdown().await;
}
