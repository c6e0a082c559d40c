//! The way to node agents: logs, commands, port forwarding, and their HTTP API.
//!
//! The request was authorized before it comes here. It goes on over TLS with the server's own
//! client certificate; when the node agrees to upgrade, both connections become one pipe, byte for
//! byte, so this file knows neither WebSocket nor SPDY.

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use rustls_pki_types::CertificateDer;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{
    body::{self, Answer},
    json::{bool_at, int_at, list_at, str_at},
    pipeline::Call,
    pki::Pair,
    read,
    status::{Failure, Subject},
};

/// A node gets this long to accept a connection and to finish the handshake.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// The port of a node agent that does not name one.
const DEFAULT_PORT: u16 = 10_250;

/// What is needed to talk to nodes.
pub(crate) struct NodeClient {
    tls: TlsConnector,
}

impl NodeClient {
    /// Takes the authority that nodes' certificates come from and the server's own certificate.
    pub(crate) fn new(ca: &CertificateDer<'static>, pair: &Pair) -> Result<NodeClient, String> {
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone()).map_err(|e| e.to_string())?;
        let (certs, key) = pair.to_rustls().map_err(|e| format!("{e:?}"))?;
        let config =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|e| e.to_string())?
                .with_root_certificates(roots)
                .with_client_auth_cert(certs, key)
                .map_err(|e| e.to_string())?;
        Ok(NodeClient {
            tls: TlsConnector::from(Arc::new(config)),
        })
    }
}

/// Where a request goes on.
struct Place {
    host: String,
    port: u16,
    tls: bool,
    path: String,
}

/// Answers a request on one of the streaming subresources.
pub(crate) async fn handle(call: Call) -> Result<Answer, Failure> {
    let place = match (
        call.resource.plural.as_str(),
        call.target.subresource.as_str(),
    ) {
        ("nodes", "proxy") => {
            node_place(&call, &call.target.name, format!("/{}", call.target.rest)).await?
        }
        ("pods", "proxy") => pod_place(&call).await?,
        ("services", "proxy") => service_place(&call).await?,
        ("pods", name) => stream_place(&call, name).await?,
        _ => return Err(Failure::unknown_path()),
    };
    send(call, place).await
}

/// Returns where the agent of a pod's node serves a stream of it.
async fn stream_place(call: &Call, name: &str) -> Result<Place, Failure> {
    let (namespace, pod_name) = (&call.target.namespace, &call.target.name);
    let entry = call.core.get(&call.resource, namespace, pod_name).await?;
    let pod = read::load(&call.resource, &entry)?;
    let node = str_at(&pod, &["spec", "nodeName"]).to_owned();
    if name == "portforward" {
        if node.is_empty() {
            return Err(Failure::bad_request(format!(
                "pod {pod_name} does not have a host assigned"
            )));
        }
        return node_place(call, &node, format!("/portForward/{namespace}/{pod_name}")).await;
    }
    let container = container_of(&pod, call.query.get("container"))?;
    if node.is_empty() {
        return Err(Failure::bad_request(format!(
            "pod {pod_name} does not have a host assigned"
        )));
    }
    let root = match name {
        "log" => "containerLogs",
        "exec" => "exec",
        _ => "attach",
    };
    node_place(
        call,
        &node,
        format!("/{root}/{namespace}/{pod_name}/{container}"),
    )
    .await
}

/// Returns the container that is meant: the one that is named, or the only one.
fn container_of(pod: &Value, asked: &str) -> Result<String, Failure> {
    let name = str_at(pod, &["metadata", "name"]);
    let lists = ["containers", "initContainers", "ephemeralContainers"];
    let all = lists.map(|list| {
        list_at(pod, &["spec", list])
            .iter()
            .map(|c| str_at(c, &["name"]))
            .collect::<Vec<_>>()
    });
    if !asked.is_empty() {
        if all.iter().flatten().any(|c| *c == asked) {
            return Ok(asked.to_owned());
        }
        return Err(Failure::bad_request(format!(
            "container {asked} is not valid for pod {name}"
        )));
    }
    let default = str_at(
        pod,
        &[
            "metadata",
            "annotations",
            "kubectl.kubernetes.io/default-container",
        ],
    );
    match all[0].as_slice() {
        [one] => Ok((*one).to_owned()),
        many if many.contains(&default) => Ok(default.to_owned()),
        many => {
            let init = match all[1].is_empty() {
                true => String::new(),
                false => format!(" or one of the init containers: [{}]", all[1].join(" ")),
            };
            Err(Failure::bad_request(format!(
                "a container name must be specified for pod {name}, choose one of: [{}]{init}",
                many.join(" ")
            )))
        }
    }
}

async fn node_place(call: &Call, node: &str, path: String) -> Result<Place, Failure> {
    let found = call.core.peek("", "nodes", "", node).await?;
    let found = found.ok_or_else(|| {
        Subject {
            group: "",
            plural: "nodes",
            name: node,
        }
        .not_found()
    })?;
    let addresses = list_at(&found, &["status", "addresses"]);
    let of = |kind: &str| {
        addresses
            .iter()
            .find(|a| str_at(a, &["type"]) == kind)
            .map(|a| str_at(a, &["address"]))
    };
    // The first that is there, in the order of --kubelet-preferred-address-types, addresses first.
    let host = ["InternalIP", "ExternalIP", "Hostname", "InternalDNS"]
        .into_iter()
        .find_map(of);
    let host = host
        .ok_or_else(|| Failure::internal(format!("node {node:?} has no address")))?
        .to_owned();
    let port = int_at(
        &found,
        &["status", "daemonEndpoints", "kubeletEndpoint", "Port"],
    );
    let port = port
        .and_then(|p| u16::try_from(p).ok())
        .unwrap_or(DEFAULT_PORT);
    Ok(Place {
        host,
        port,
        tls: true,
        path,
    })
}

/// Splits `scheme:name:port` as the proxy subresources take it.
fn proxy_name(text: &str) -> (bool, &str, &str) {
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        [scheme, name, port] => (*scheme == "https", name, port),
        [name, port] => (false, name, port),
        _ => (false, text, ""),
    }
}

async fn pod_place(call: &Call) -> Result<Place, Failure> {
    let (tls, name, port) = proxy_name(&call.target.name);
    let entry = call
        .core
        .get(&call.resource, &call.target.namespace, name)
        .await?;
    let pod = read::load(&call.resource, &entry)?;
    let host = str_at(&pod, &["status", "podIP"]).to_owned();
    if host.is_empty() {
        return Err(Failure::unavailable(format!(
            "pod {name} has no address yet"
        )));
    }
    let first = list_at(&pod, &["spec", "containers"])
        .iter()
        .flat_map(|c| list_at(c, &["ports"]))
        .next();
    let port = match port {
        "" => first
            .and_then(|p| int_at(p, &["containerPort"]))
            .unwrap_or(80),
        text => text
            .parse()
            .map_err(|_| Failure::bad_request(format!("{text:?} is not a port")))?,
    };
    Ok(Place {
        host,
        port: port_number(port)?,
        tls,
        path: format!("/{}", call.target.rest),
    })
}

fn port_number(port: i64) -> Result<u16, Failure> {
    u16::try_from(port).map_err(|_| Failure::bad_request(format!("{port} is not a port")))
}

async fn service_place(call: &Call) -> Result<Place, Failure> {
    let (tls, name, port) = proxy_name(&call.target.name);
    let namespace = &call.target.namespace;
    let service = read::load(
        &call.resource,
        &*call.core.get(&call.resource, namespace, name).await?,
    )?;
    let wanted = list_at(&service, &["spec", "ports"]).iter().find(|p| {
        port.is_empty()
            || str_at(p, &["name"]) == port
            || int_at(p, &["port"]).map(|n| n.to_string()).as_deref() == Some(port)
    });
    let wanted = wanted.ok_or_else(|| {
        Failure::unavailable(format!(
            "no service port {port:?} found for service {name:?}"
        ))
    })?;
    let port_name = str_at(wanted, &["name"]).to_owned();
    let slices = call
        .resources
        .stored("discovery.k8s.io", "endpointslices")
        .ok_or_else(Failure::unknown_path)?;
    let range = ordain_orchestrator_store::Range::prefix(slices.prefix_in(namespace));
    let page = call
        .core
        .store
        .list(range)
        .await
        .map_err(crate::core::store_failure)?;
    for entry in page.entries {
        let Some(slice) = crate::object::decode(&entry.value, 0) else {
            continue;
        };
        if str_at(
            &slice,
            &["metadata", "labels", "kubernetes.io/service-name"],
        ) != name
        {
            continue;
        }
        let port = list_at(&slice, &["ports"])
            .iter()
            .find(|p| str_at(p, &["name"]) == port_name);
        let port = port.and_then(|p| int_at(p, &["port"]));
        let ready =
            |e: &&Value| !e["conditions"].is_object() || bool_at(e, &["conditions", "ready"]);
        let endpoint = list_at(&slice, &["endpoints"]).iter().find(ready);
        let host = endpoint
            .and_then(|e| list_at(e, &["addresses"]).first())
            .and_then(Value::as_str);
        if let (Some(port), Some(host)) = (port, host) {
            let path = format!("/{}", call.target.rest);
            return Ok(Place {
                host: host.to_owned(),
                port: port_number(port)?,
                tls,
                path,
            });
        }
    }
    Err(Failure::unavailable(format!(
        "no endpoints available for service {name:?}"
    )))
}

/// Headers that are about one connection and not passed on, except for an upgrade's own.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Who asks is told to nobody behind this server.
const PRIVATE: [&str; 5] = [
    "authorization",
    "cookie",
    "impersonate-user",
    "impersonate-group",
    "impersonate-uid",
];

fn forwarded(from: &HeaderMap, upgrade: bool) -> HeaderMap {
    let mut to = HeaderMap::new();
    for (name, value) in from {
        let skip = HOP_BY_HOP.contains(&name.as_str())
            || PRIVATE.contains(&name.as_str())
            || name.as_str().starts_with("impersonate-extra-")
            || matches!(name.as_str(), "host" | "content-length" | "accept-encoding");
        if !skip {
            to.append(name.clone(), value.clone());
        }
    }
    if upgrade {
        to.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        if let Some(value) = from.get(header::UPGRADE) {
            to.insert(header::UPGRADE, value.clone());
        }
    }
    to
}

async fn send(mut call: Call, place: Place) -> Result<Answer, Failure> {
    let upgrade = call.headers.contains_key(header::UPGRADE);
    let query = if call.raw_query.is_empty() {
        String::new()
    } else {
        format!("?{}", call.raw_query)
    };
    let url = format!("{}{query}", escape_path(&place.path));
    let authority = match place.host.parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) => format!("[{ip}]:{}", place.port),
        _ => format!("{}:{}", place.host, place.port),
    };
    let mut request = Request::builder().method(call.method.clone()).uri(&url);
    if let Some(headers) = request.headers_mut() {
        *headers = forwarded(&call.headers, upgrade);
        if let Ok(value) = HeaderValue::from_str(&authority) {
            headers.insert(header::HOST, value);
        }
    }
    let request = request
        .body(Full::new(std::mem::take(&mut call.body)))
        .map_err(|e| Failure::bad_request(format!("the path cannot be passed on: {e}")))?;
    let unreachable = |what: &str, e: &dyn std::fmt::Display| {
        Failure::internal(format!("error dialing backend {authority}: {what}: {e}"))
    };
    let connect = TcpStream::connect((place.host.as_str(), place.port));
    let stream = tokio::time::timeout(CONNECT_LIMIT, connect)
        .await
        .map_err(|e| unreachable("connect", &e))?
        .map_err(|e| unreachable("connect", &e))?;
    let _ = stream.set_nodelay(true);
    let response = if place.tls {
        let name = ServerName::try_from(place.host.clone()).map_err(|e| unreachable("name", &e))?;
        let tls = call.core.node_client()?.tls.clone();
        let stream = tokio::time::timeout(CONNECT_LIMIT, tls.connect(name, stream))
            .await
            .map_err(|e| unreachable("tls", &e))?
            .map_err(|e| unreachable("tls", &e))?;
        exchange(TokioIo::new(stream), request).await
    } else {
        exchange(TokioIo::new(stream), request).await
    };
    let response = response.map_err(|e| unreachable("request", &e))?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return tunnel(call, response);
    }
    let (parts, incoming) = response.into_parts();
    let mut answer = body::bytes(parts.status.as_u16(), "text/plain", Bytes::new());
    for (name, value) in &parts.headers {
        if !HOP_BY_HOP.contains(&name.as_str()) {
            answer.headers_mut().insert(name.clone(), value.clone());
        }
    }
    *answer.body_mut() = incoming
        .map_err(|e| -> body::BodyError { Box::new(e) })
        .boxed_unsync();
    Ok(answer)
}

async fn exchange<S>(
    io: TokioIo<S>,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, hyper::Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .preserve_header_case(true)
        .handshake(io)
        .await?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "connection to a node ended");
        }
    });
    sender.send_request(request).await
}

/// Joins the two upgraded connections.
fn tunnel(mut call: Call, response: Response<Incoming>) -> Result<Answer, Failure> {
    let client = call
        .upgrade
        .take()
        .ok_or_else(|| Failure::bad_request("Upgrade request required"))?;
    let mut answer = Response::new(body::full(Bytes::new()));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *answer.headers_mut() = response.headers().clone();
    let shutdown = call.core.shutdown.clone();
    tokio::spawn(async move {
        let pipe = async {
            let (client, node) = tokio::try_join!(client, hyper::upgrade::on(response))?;
            let (mut client, mut node) = (TokioIo::new(client), TokioIo::new(node));
            let copied = tokio::io::copy_bidirectional(&mut client, &mut node).await;
            tracing::debug!(?copied, "stream to a node ended");
            Ok::<(), hyper::Error>(())
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            result = pipe => if let Err(error) = result {
                tracing::debug!(%error, "stream to a node was not upgraded");
            },
        }
    });
    Ok(answer)
}

/// Escapes what may not stand in the path of a URL.
fn escape_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_container_that_is_meant_is_found() {
        let pod = |containers: Value| json!({"metadata": {"name": "p"}, "spec": {"containers": containers}});
        let one = pod(json!([{"name": "a"}]));
        let two = pod(json!([{"name": "a"}, {"name": "b"}]));
        assert_eq!(container_of(&one, "").as_deref(), Ok("a"));
        assert_eq!(container_of(&two, "b").as_deref(), Ok("b"));
        let unclear = container_of(&two, "").expect_err("two containers");
        assert_eq!(
            unclear.message,
            "a container name must be specified for pod p, choose one of: [a b]"
        );
        let unknown = container_of(&two, "../x").expect_err("no such container");
        assert_eq!(unknown.message, "container ../x is not valid for pod p");
    }

    #[test]
    fn nothing_secret_is_passed_on() {
        let mut headers = HeaderMap::new();
        for name in [
            "authorization",
            "connection",
            "impersonate-user",
            "x-plain",
            "upgrade",
        ] {
            headers.insert(name, HeaderValue::from_static("v"));
        }
        let sent = forwarded(&headers, false);
        assert_eq!(
            sent.keys().map(|k| k.as_str()).collect::<Vec<_>>(),
            ["x-plain"]
        );
    }
}
