//! A proxy in front of an API server that counts what is asked of it, watches apart.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::client::Body;

/// Requests by verb, as RBAC calls them; `watch` and `apply --dry-run` apart.
pub type Counts = BTreeMap<String, u64>;

/// A running proxy.
#[derive(Clone, Debug)]
pub struct Counter {
    address: SocketAddr,
    counts: Arc<Mutex<Counts>>,
}

impl Counter {
    /// Starts a proxy on a free port of the loopback interface, in front of the kubeconfig's server.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used or nothing can listen.
    pub async fn start(
        kubeconfig: &Path,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let client = client(kubeconfig).await?;
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let counter = Self {
            address: listener.local_addr()?,
            counts: Arc::default(),
        };
        let counts = Arc::clone(&counter.counts);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (client, counts) = (client.clone(), Arc::clone(&counts));
                tokio::spawn(async move {
                    let service = service_fn(move |request: Request<Incoming>| {
                        count(&counts, &request);
                        pass(client.clone(), request)
                    });
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    // A connection that breaks is the asking side's business.
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(counter)
    }

    /// A kubeconfig that leads through the proxy.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        let address = self.address;
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: \"http://{address}\"}}}}]\n\
             users: [{{name: c, user: {{}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: c}}}}]\n"
        )
    }

    /// Returns what was asked since the last time, and begins anew.
    #[must_use]
    pub fn take(&self) -> Counts {
        std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A client of the kubeconfig's server.
///
/// # Errors
/// When the kubeconfig cannot be used.
pub async fn client(
    kubeconfig: &Path,
) -> Result<kube::Client, Box<dyn std::error::Error + Send + Sync>> {
    let config = kube::config::Kubeconfig::read_from(kubeconfig)?;
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(config, &options).await?;
    Ok(kube::Client::try_from(config)?)
}

fn count(counts: &Mutex<Counts>, request: &Request<Incoming>) {
    let query = request.uri().query().unwrap_or_default();
    let verb = match *request.method() {
        Method::GET if query.contains("watch=true") || query.contains("watch=1") => "watch",
        Method::GET => "get",
        Method::PATCH if query.contains("dryRun=All") => "dry-run",
        Method::PATCH => "patch",
        Method::POST => "create",
        Method::DELETE => "delete",
        _ => "other",
    };
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    *counts.entry(verb.to_owned()).or_default() += 1;
}

async fn pass(
    client: kube::Client,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let Ok(uri) = path.parse() else {
        return Ok(refused(StatusCode::BAD_REQUEST, "no path"));
    };
    head.uri = uri;
    head.version = http::Version::HTTP_11;
    head.headers.remove(http::header::HOST);
    let Ok(body) = body.collect().await else {
        return Ok(refused(StatusCode::BAD_REQUEST, "half a body"));
    };
    let body = Body::from(body.to_bytes().to_vec());
    let request = Request::from_parts(head, body);
    Ok(match client.send(request).await {
        Ok(response) => response,
        Err(error) => refused(StatusCode::BAD_GATEWAY, &error.to_string()),
    })
}

fn refused(status: StatusCode, why: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(why.to_owned().into_bytes()));
    *response.status_mut() = status;
    response
}
