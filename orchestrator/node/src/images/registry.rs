//! A tiny read-only registry (OCI distribution-spec, pull only) over plain HTTP on loopback: for
//! tests, examples and the demo. It keeps images in memory and knows no authentication.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::build::BuiltImage;
use super::model::digest_of;

#[derive(Default)]
struct Content {
    blobs: BTreeMap<String, Bytes>,
    /// `repository:tag` to manifest digest.
    tags: BTreeMap<String, String>,
    manifests: BTreeMap<String, Bytes>,
}

/// A running registry; it stops when dropped.
pub struct Registry {
    address: SocketAddr,
    content: Arc<Mutex<Content>>,
    _stop: DropGuard,
}

impl Registry {
    /// Starts a registry on a free loopback port. Needs a tokio runtime.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> std::io::Result<Self> {
        Self::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Starts a registry on an address.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn listen(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let content = Arc::<Mutex<Content>>::default();
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, content.clone(), stop.clone()));
        Ok(Self {
            address,
            content,
            _stop: stop.drop_guard(),
        })
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds an image under `repository` and `tag`, and returns the reference to pull it by.
    pub fn push(&self, repository: &str, tag: &str, image: &BuiltImage) -> String {
        let digest = image.manifest_digest();
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        for blob in [&image.config, &image.layer] {
            content
                .blobs
                .insert(digest_of(blob), Bytes::from(blob.clone()));
        }
        content
            .manifests
            .insert(digest.clone(), Bytes::from(image.manifest.clone()));
        content.tags.insert(format!("{repository}:{tag}"), digest);
        format!("{}/{repository}:{tag}", self.address)
    }
}

async fn serve(listener: TcpListener, content: Arc<Mutex<Content>>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let (content, stop) = (content.clone(), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let response = answer(&content, request.method(), request.uri().path());
                async move { Ok::<_, Infallible>(response) }
            });
            let builder = auto::Builder::new(TokioExecutor::new());
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                () = stop.cancelled() => {}
                _ = connection => {}
            }
        });
    }
}

fn answer(content: &Mutex<Content>, method: &Method, path: &str) -> Response<Full<Bytes>> {
    let content = content.lock().unwrap_or_else(PoisonError::into_inner);
    let found = find(&content, path);
    let mut response = Response::new(Full::default());
    match found {
        Some((kind, digest, body)) if matches!(*method, Method::GET | Method::HEAD) => {
            let headers = response.headers_mut();
            headers.insert("content-type", http::HeaderValue::from_static(kind));
            headers.insert("content-length", body.len().into());
            if let Ok(digest) = digest.parse() {
                headers.insert("docker-content-digest", digest);
            }
            if *method == Method::GET {
                *response.body_mut() = Full::new(body);
            }
        }
        Some(_) => *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED,
        None => {
            *response.status_mut() = StatusCode::NOT_FOUND;
            let body = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"not found"}]}"#;
            *response.body_mut() = Full::new(Bytes::from_static(body.as_bytes()));
        }
    }
    response
}

/// Finds what a path of the distribution API names: its type, digest and content.
fn find(content: &Content, path: &str) -> Option<(&'static str, String, Bytes)> {
    let path = path.strip_prefix("/v2")?;
    if path.is_empty() || path == "/" {
        return Some(("application/json", String::new(), Bytes::from_static(b"{}")));
    }
    if let Some((repository, reference)) = path.rsplit_once("/manifests/") {
        let tag = format!("{}:{reference}", repository.trim_start_matches('/'));
        let digest = content.tags.get(&tag).map_or(reference, String::as_str);
        let body = content.manifests.get(digest)?.clone();
        return Some((
            "application/vnd.oci.image.manifest.v1+json",
            digest.to_owned(),
            body,
        ));
    }
    let (_, digest) = path.rsplit_once("/blobs/")?;
    let body = content.blobs.get(digest)?.clone();
    Some(("application/octet-stream", digest.to_owned(), body))
}
