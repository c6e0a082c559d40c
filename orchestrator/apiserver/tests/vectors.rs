//! One filled object of every kind, sent as JSON and as protobuf: neither is ever undecodable,
//! and both store the same.
//!
//! The objects come from upstream's API test data and are not part of this project. They are looked
//! for in `../shared/data/api-vectors` beside the checkout; without them the test says so.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use ordain_orchestrator_apiserver::{Config, InProcess, Pki, Server, User};
use ordain_orchestrator_store::Memory;
use serde_json::Value;
use tower::ServiceExt;

fn vectors() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let dir = root.join("shared/data/api-vectors");
    dir.is_dir().then_some(dir)
}

async fn send(
    service: &InProcess,
    method: &str,
    url: &str,
    media: &str,
    body: &[u8],
) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header("content-type", media)
        .body(Full::new(Bytes::copy_from_slice(body)))
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
    (status, serde_json::from_slice(&bytes).expect("JSON"))
}

#[tokio::test]
async fn every_kind_is_decoded() {
    let Some(dir) = vectors() else {
        let text = b"api-vectors are not there: every_kind_is_decoded left out\n";
        std::io::Write::write_all(&mut std::io::stderr(), text).expect("stderr");
        return;
    };
    let pki = Arc::new(Pki::in_memory().expect("keys"));
    let server = Server::start(Config::new(Arc::new(Memory::new()), pki))
        .await
        .expect("a server");
    let service = server.in_process(User::admin());
    let mut plurals: BTreeMap<(String, String), (String, bool)> = BTreeMap::new();
    let (_, groups) = send(&service, "GET", "/apis", "", b"").await;
    let mut urls = vec!["/api/v1".to_owned()];
    for group in groups["groups"].as_array().expect("groups") {
        for version in group["versions"].as_array().expect("versions") {
            urls.push(format!(
                "/apis/{}",
                version["groupVersion"].as_str().expect("text")
            ));
        }
    }
    for url in urls {
        let (_, list) = send(&service, "GET", &url, "", b"").await;
        for resource in list["resources"].as_array().expect("resources") {
            let name = resource["name"].as_str().expect("a name");
            let creatable = resource["verbs"]
                .as_array()
                .expect("verbs")
                .iter()
                .any(|v| v == "create");
            if creatable && !name.contains('/') {
                let key = (
                    list["groupVersion"].to_string(),
                    resource["kind"].to_string(),
                );
                plurals.insert(
                    key,
                    (format!("{url}|{name}"), resource["namespaced"] == true),
                );
            }
        }
    }
    let mut ran = 0;
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .expect("a folder")
        .flatten()
        .map(|e| e.path())
        .collect();
    files.sort();
    for path in files
        .iter()
        .filter(|p| p.extension().is_some_and(|e| e == "json"))
    {
        let json = std::fs::read(path).expect("a file");
        let object: Value = serde_json::from_slice(&json).expect("JSON");
        let key = (object["apiVersion"].to_string(), object["kind"].to_string());
        let Some((place, namespaced)) = plurals.get(&key) else {
            continue;
        };
        let (root, plural) = place.split_once('|').expect("two parts");
        let namespace = object["metadata"]["namespace"]
            .as_str()
            .unwrap_or("default")
            .to_owned();
        let url = match namespaced {
            true => format!("{root}/namespaces/{namespace}/{plural}?dryRun=All"),
            false => format!("{root}/{plural}?dryRun=All"),
        };
        let body = format!("{{\"metadata\":{{\"name\":\"{namespace}\"}}}}");
        send(
            &service,
            "POST",
            "/api/v1/namespaces",
            "application/json",
            body.as_bytes(),
        )
        .await;
        let without_revision = |mut value: Value| {
            value["metadata"]
                .as_object_mut()
                .map(|m| m.shift_remove("resourceVersion"));
            value
        };
        let plain = serde_json::to_vec(&without_revision(object.clone())).expect("JSON");
        let strict = format!("{url}&fieldValidation=Strict");
        let (status, answer) = send(&service, "POST", &strict, "application/json", &plain).await;
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("?");
        assert!(
            matches!(status, 201 | 403 | 404 | 422),
            "{name}: {status} {}",
            answer["message"]
        );
        // The protobuf form names a revision, which is refused after it was decoded.
        let packed = std::fs::read(path.with_extension("pb")).expect("a file");
        let media = "application/vnd.kubernetes.protobuf";
        let (status, answer) = send(&service, "POST", &url, media, &packed).await;
        let message = answer["message"].as_str().unwrap_or("");
        let decoded = matches!(status, 201 | 403 | 404 | 422)
            || message.starts_with("resourceVersion should not be set");
        assert!(decoded, "{name} as protobuf: {status} {message}");
        ran += 1;
    }
    server.shutdown().await;
    let text = format!("{ran} kinds were sent as JSON and as protobuf\n");
    std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes()).expect("stderr");
    assert!(ran > 50, "only {ran} kinds were found");
}
