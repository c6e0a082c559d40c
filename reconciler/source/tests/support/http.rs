//! Git servers of the tests, with and without TLS.

use std::{
    net::TcpListener,
    path::Path,
    sync::{Arc, Mutex},
    thread,
};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::support::backend::{Doors, answer, name, serve};

/// A server on a port of its own; it ends with the test's process.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) doors: Arc<Mutex<Doors>>,
    /// The certificate that its clients must trust.
    #[allow(dead_code, reason = "a suite may have no clients over TLS")]
    pub(crate) certificate: Option<String>,
}

impl Server {
    /// Serves every repository below `root`.
    pub(crate) fn start(root: &Path, tls: bool) -> Self {
        if !tls {
            let (url, doors) = serve(root);
            return Self {
                url,
                doors,
                certificate: None,
            };
        }
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let doors: Arc<Mutex<Doors>> = Arc::default();
        let (config, certificate) = tls_config();
        let (root, seen) = (root.to_owned(), Arc::clone(&doors));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (root, seen, config) = (root.clone(), Arc::clone(&seen), config.clone());
                thread::spawn(move || {
                    let connection = rustls::ServerConnection::new(config).expect("a connection");
                    answer(rustls::StreamOwned::new(connection, stream), &root, &seen);
                });
            }
        });
        Self {
            url: format!("https://{}", name(address)),
            doors,
            certificate: Some(certificate),
        }
    }
}

fn tls_config() -> (Arc<rustls::ServerConfig>, String) {
    let signed =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .expect("a fitting key");
    (Arc::new(config), signed.cert.pem())
}
