//! Starts the server: the listener, TLS, and the way in for code in the same process.
//!
//! What a request means is decided in [`crate::pipeline`]; this file only brings requests there.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use ordain_orchestrator_store::Kv;
use rustls::{ServerConfig, server::WebPkiClientVerifier};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::{
    auth::user::User,
    body::Body,
    core::{Core, Credentials},
    pipeline,
    pki::{self, Pair, Pki, PkiError},
    services::Cidr,
};

/// A client gets this long for the TLS handshake and for the head of a request.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Ports that Services of type NodePort get: `--service-node-port-range`.
const NODE_PORTS: std::ops::RangeInclusive<u16> = 30_000..=32_767;

/// What a server is started with.
pub struct Config {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Where objects are kept.
    pub store: Arc<dyn Kv>,
    /// The cluster's certificate authority.
    pub pki: Arc<Pki>,
    /// The range of cluster addresses for Services: `10.43.0.0/16`.
    pub service_cidr: String,
    /// The address that clients in other places reach the server at; by default the one it
    /// listens on. It is what the `kubernetes` Service in the cluster leads to.
    pub advertise: Option<IpAddr>,
    /// Further host names and addresses that the serving certificate is good for.
    pub names: Vec<String>,
}

impl Config {
    /// Returns a configuration for a free port on the loopback interface and the default Service
    /// range.
    pub fn new(store: Arc<dyn Kv>, pki: Arc<Pki>) -> Config {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            store,
            pki,
            service_cidr: "10.43.0.0/16".to_owned(),
            advertise: None,
            names: Vec::new(),
        }
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address} (is another server running there? choose another port, or 0 for a free one)"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The Service range is not usable.
    #[error("`{given}` is not a usable Service range: {why} (write it like 10.43.0.0/16)")]
    ServiceCidr {
        /// What was given.
        given: String,
        /// What is wrong with it.
        why: String,
    },
    /// A certificate could not be issued.
    #[error("cannot prepare the certificates of the server")]
    Pki(#[from] PkiError),
    /// TLS refused the certificates.
    #[error("cannot prepare TLS: {why}")]
    Tls {
        /// What was refused.
        why: String,
    },
    /// The store failed while the first objects were written.
    #[error("cannot write the first objects of the cluster")]
    Store(#[from] ordain_orchestrator_store::Error),
}

/// Starts API servers.
pub struct Server;

impl Server {
    /// Starts a server and returns when it answers requests.
    ///
    /// # Errors
    /// When the address is in use, the store fails or a certificate cannot be made.
    pub async fn start(config: Config) -> Result<Running, StartError> {
        let cidr: Cidr =
            config
                .service_cidr
                .parse()
                .map_err(|why: String| StartError::ServiceCidr {
                    given: config.service_cidr.clone(),
                    why,
                })?;
        let listen = |source| StartError::Listen {
            address: config.listen,
            source,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        let admin = config.pki.client("kubernetes-admin", &["system:masters"])?;
        let reachable = match (config.advertise, addr.ip()) {
            (Some(ip), _) => ip,
            (None, ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            (None, ip) => ip,
        };
        let tls = tls(&config, reachable, &cidr)?;
        let shutdown = CancellationToken::new();
        let core = Core::open(crate::core::Options {
            store: config.store,
            pki: config.pki.clone(),
            cidr,
            node_ports: NODE_PORTS,
            advertise: SocketAddr::new(reachable, addr.port()),
            shutdown: shutdown.clone(),
        })
        .await?;
        let kubeconfig_ip = if addr.ip().is_unspecified() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            addr.ip()
        };
        let url = format!("https://{}", SocketAddr::new(kubeconfig_ip, addr.port()));
        let kubeconfig = pki::kubeconfig(&url, config.pki.ca_pem(), "admin", &admin);
        let task = tokio::spawn(accept(listener, tls, core.clone(), shutdown.clone()));
        tracing::info!(%addr, "api server is ready");
        Ok(Running {
            addr,
            url,
            kubeconfig,
            admin,
            core,
            shutdown,
            task,
        })
    }
}

/// A running server. Dropping it stops it.
pub struct Running {
    addr: SocketAddr,
    url: String,
    kubeconfig: String,
    admin: Pair,
    core: Arc<Core>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Returns the address the server listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the URL that the admin's kubeconfig names.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the text of a kubeconfig for the cluster's administrator.
    pub fn kubeconfig(&self) -> &str {
        &self.kubeconfig
    }

    /// Returns the administrator's client certificate.
    pub fn admin(&self) -> &Pair {
        &self.admin
    }

    /// Returns a way in for code in this process, as this user: the same pipeline as over HTTPS,
    /// without the network. Usable with `kube::Client::new(server.in_process(user), "default")`.
    pub fn in_process(&self, user: User) -> InProcess {
        InProcess {
            core: self.core.clone(),
            user: Arc::new(user),
        }
    }

    /// Stops listening and ends all watches and open connections.
    pub async fn shutdown(mut self) {
        self.shutdown.cancel();
        if let Err(error) = (&mut self.task).await {
            tracing::warn!(%error, "the listener did not end in order");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// The server as a service in the same process; see [`Running::in_process`].
#[derive(Clone)]
pub struct InProcess {
    core: Arc<Core>,
    user: Arc<User>,
}

impl<B> tower::Service<Request<B>> for InProcess
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: std::fmt::Display,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (core, user) = (self.core.clone(), self.user.clone());
        Box::pin(async move { Ok(pipeline::serve(core, Credentials::Known(user), request).await) })
    }
}

fn tls(config: &Config, reachable: IpAddr, cidr: &Cidr) -> Result<TlsAcceptor, StartError> {
    let mut names: Vec<String> = [
        "localhost",
        "127.0.0.1",
        "::1",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ]
    .map(str::to_owned)
    .into();
    names.push(cidr.first().to_string());
    names.push(reachable.to_string());
    if !config.listen.ip().is_unspecified() {
        names.push(config.listen.ip().to_string());
    }
    names.extend(config.names.iter().cloned());
    let pair = config.pki.server("kube-apiserver", &[], &names)?;
    let why = |e: &dyn std::fmt::Display| StartError::Tls { why: e.to_string() };
    let (certs, key) = pair.to_rustls().map_err(|e| StartError::Tls {
        why: format!("{e:?}"),
    })?;
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(config.pki.ca_der().clone())
        .map_err(|e| why(&e))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    // A client without a certificate may have a token, or ask what anybody may know.
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|e| why(&e))?;
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| why(&e))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certs, key)
        .map_err(|e| why(&e))?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(tls)))
}

async fn accept(
    listener: TcpListener,
    tls: TlsAcceptor,
    core: Arc<Core>,
    shutdown: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(connection(
                    stream,
                    tls.clone(),
                    core.clone(),
                    shutdown.clone(),
                ));
            }
            Err(error) => {
                // Out of file descriptors: waiting is all that helps.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    tls: TlsAcceptor,
    core: Arc<Core>,
    shutdown: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    let handshake = tokio::time::timeout(HANDSHAKE_LIMIT, tls.accept(stream)).await;
    let stream = match handshake {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "tls handshake failed"),
        Err(_) => return tracing::debug!("tls handshake took too long"),
    };
    let certificate = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first());
    let user = certificate.and_then(|der| user_of(der)).map(Arc::new);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let credentials = match &user {
            Some(user) => Credentials::Known(user.clone()),
            None => Credentials::Headers,
        };
        let core = core.clone();
        async move { Ok::<_, Infallible>(pipeline::serve(core, credentials, request).await) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE_LIMIT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(1000);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        result = connection.as_mut() => {
            if let Err(error) = result {
                tracing::trace!(error = %error, "connection ended");
            }
        }
        () = shutdown.cancelled() => {}
    }
}

/// Returns the user a verified client certificate names: the common name, and the organizations as
/// groups.
fn user_of(der: &[u8]) -> Option<User> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let groups: Vec<&str> = subject
        .iter_organization()
        .filter_map(|o| o.as_str().ok())
        .collect();
    Some(User::new(name, &groups))
}
