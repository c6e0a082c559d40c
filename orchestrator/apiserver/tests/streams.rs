//! Logs and upgraded streams, through a node agent that answers over HTTPS.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use ordain_orchestrator_apiserver::{Config, InProcess, Pki, Running, Server, User};
use ordain_orchestrator_store::Memory;
use rustls::{RootCertStore, pki_types::ServerName, server::WebPkiClientVerifier};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tower::ServiceExt;

/// A node agent that tells what it was asked, and echoes what comes over an upgraded connection.
/// It takes no client without a certificate of the cluster.
async fn node(pki: &Pki) -> u16 {
    let (certs, key) = pki
        .server(
            "system:node:n",
            &["system:nodes"],
            &["127.0.0.1".to_owned()],
        )
        .map(|pair| pair.to_rustls().expect("PEM"))
        .expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(pki.ca_der().clone()).expect("a root");
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(clients.build().expect("a verifier"))
        .with_single_cert(certs, key)
        .expect("a certificate");
    let tls = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                let Ok(stream) = tls.accept(stream).await else {
                    return;
                };
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(agent))
                    .with_upgrades()
                    .await;
            });
        }
    });
    port
}

async fn agent(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    if request.headers().contains_key(header::UPGRADE) {
        tokio::spawn(async move {
            let Ok(upgraded) = hyper::upgrade::on(request).await else {
                return;
            };
            let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded));
            let _ = tokio::io::copy(&mut reader, &mut writer).await;
        });
        let answer = Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "echo")
            .body(Full::default());
        return Ok(answer.expect("an answer"));
    }
    Ok(Response::new(Full::new(Bytes::from(format!(
        "{} {}\n",
        request.method(),
        request.uri()
    )))))
}

async fn call(service: &InProcess, method: &str, url: &str, body: String) -> (u16, String) {
    let request = Request::builder()
        .method(method)
        .uri(url)
        .body(Full::new(Bytes::from(body)));
    let answer = service
        .clone()
        .oneshot(request.expect("a request"))
        .await
        .expect("it always answers");
    let status = answer.status().as_u16();
    let bytes = answer
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes();
    (status, String::from_utf8_lossy(&bytes).into_owned())
}

async fn cluster() -> (Arc<Pki>, Running) {
    let pki = Arc::new(Pki::in_memory().expect("keys"));
    let port = node(&pki).await;
    let server = Server::start(Config::new(Arc::new(Memory::new()), pki.clone()))
        .await
        .expect("a server");
    let service = server.in_process(User::admin());
    let node = format!(
        r#"{{"metadata":{{"name":"n"}},"status":{{"addresses":[{{"type":"InternalIP","address":"127.0.0.1"}}],
        "daemonEndpoints":{{"kubeletEndpoint":{{"Port":{port}}}}}}}}}"#
    );
    assert_eq!(call(&service, "POST", "/api/v1/nodes", node).await.0, 201);
    let pod = r#"{"metadata":{"name":"p"},"spec":{"nodeName":"n","containers":[{"name":"a","image":"a"}]}}"#;
    let (status, text) = call(
        &service,
        "POST",
        "/api/v1/namespaces/default/pods",
        pod.into(),
    )
    .await;
    assert_eq!(status, 201, "{text}");
    (pki, server)
}

#[tokio::test]
async fn logs_come_from_the_node() {
    let (_, server) = cluster().await;
    let admin = server.in_process(User::admin());
    let url = "/api/v1/namespaces/default/pods/p/log?follow=true&tailLines=3";
    let (status, text) = call(&admin, "GET", url, String::new()).await;
    assert_eq!(
        (status, text.as_str()),
        (
            200,
            "GET /containerLogs/default/p/a?follow=true&tailLines=3\n"
        )
    );
    let (status, text) = call(
        &admin,
        "GET",
        "/api/v1/nodes/n/proxy/stats/summary",
        String::new(),
    )
    .await;
    assert_eq!((status, text.as_str()), (200, "GET /stats/summary\n"));
    let ann = server.in_process(User::new("ann", &[]));
    assert_eq!(call(&ann, "GET", url, String::new()).await.0, 403);
    let other = "/api/v1/namespaces/default/pods/p/log?container=nothing";
    assert_eq!(call(&admin, "GET", other, String::new()).await.0, 400);
    server.shutdown().await;
}

/// Opens a TLS connection to the server, with or without the administrator's certificate.
async fn connect(
    pki: &Pki,
    server: &Running,
    as_admin: bool,
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(pki.ca_der().clone()).expect("a root");
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .expect("versions")
    .with_root_certificates(roots);
    let config = if as_admin {
        let (certs, key) = server.admin().to_rustls().expect("PEM");
        builder
            .with_client_auth_cert(certs, key)
            .expect("a certificate")
    } else {
        builder.with_no_client_auth()
    };
    let stream = TcpStream::connect(server.addr())
        .await
        .expect("a connection");
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .expect("TLS")
}

async fn head(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("more of the head"));
    }
    String::from_utf8(head).expect("text")
}

#[tokio::test]
async fn an_upgrade_goes_through_byte_for_byte_and_only_for_the_allowed() {
    let (pki, server) = cluster().await;
    let request = b"GET /api/v1/namespaces/default/pods/p/exec?command=sh HTTP/1.1\r\nHost: x\r\n\
        Connection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    let mut stream = connect(&pki, &server, true).await;
    stream.write_all(request).await.expect("sent");
    let answer = head(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    let sent: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let expected = sent.clone();
    let write = async { writer.write_all(&sent).await };
    let read = async {
        let mut back = vec![0; expected.len()];
        reader.read_exact(&mut back).await.map(|_| back)
    };
    let (written, back) = tokio::join!(write, read);
    written.expect("all is taken");
    assert!(back.expect("all comes back") == expected);

    let mut stream = connect(&pki, &server, false).await;
    stream.write_all(request).await.expect("sent");
    let answer = head(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    server.shutdown().await;
}
