//! Pulls images from registries into the store. Knows nothing of pull policies or back-off.

use std::error::Error as _;

use futures::StreamExt as _;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciEnvelope, OciErrorCode};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use tokio::io::AsyncWriteExt as _;

use super::model::{Descriptor, Image, ImageError, Manifest};
use super::store::{ImageStore, choose, parse_manifest, parse_reference};
use crate::config::ImageConfig;

/// What a registry may answer with (OCI image-spec and Docker's names for the same).
const MANIFEST_TYPES: &[&str] = &[
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// How long a connection to a registry may take, in seconds, before the pull fails.
const CONNECT_SECONDS_MAX: u64 = 10;

/// How long a registry may stay silent within an answer, in seconds.
const SILENCE_SECONDS_MAX: u64 = 60;

/// How one image is asked for.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// User name; empty is anonymous.
    pub username: String,
    /// Password.
    pub password: String,
}

/// Pulls an image and names it, fetching only the blobs that are missing.
///
/// # Errors
/// When the reference is not one, the registry refuses or cannot be reached, or content does not
/// match its digest.
pub async fn pull(
    store: &ImageStore,
    config: &ImageConfig,
    reference: &str,
    credentials: Option<&Credentials>,
) -> Result<Image, ImageError> {
    // reqwest is built without a provider; installing the same one twice is refused and harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut at = parse_reference(reference)?;
    let insecure = resolve(config, &mut at);
    let client = Client::new(ClientConfig {
        protocol: if insecure {
            ClientProtocol::Http
        } else {
            ClientProtocol::Https
        },
        connect_timeout: Some(std::time::Duration::from_secs(CONNECT_SECONDS_MAX)),
        read_timeout: Some(std::time::Duration::from_secs(SILENCE_SECONDS_MAX)),
        ..ClientConfig::default()
    });
    let auth = match credentials {
        Some(known) => RegistryAuth::Basic(known.username.clone(), known.password.clone()),
        None => RegistryAuth::Anonymous,
    };
    let source = Source {
        client,
        at,
        auth,
        reference,
    };
    let (digest, text) = source.manifest(None).await?;
    store.put(text.as_slice(), Some(&digest))?;
    let image = match parse_manifest(&text)? {
        Manifest::Image { config, layers } => (config, layers),
        Manifest::Index { manifests } => {
            let entry = choose(&manifests)?.digest.clone();
            let (digest, text) = source.manifest(Some(&entry)).await?;
            store.put(text.as_slice(), Some(&digest))?;
            match parse_manifest(&text)? {
                Manifest::Image { config, layers } => (config, layers),
                Manifest::Index { .. } => {
                    return Err(ImageError::invalid(reference, "an index within an index"));
                }
            }
        }
    };
    for blob in std::iter::once(&image.0).chain(&image.1) {
        if !store.has(&blob.digest) {
            source.blob(store, blob).await?;
        }
    }
    store.name(reference, &digest)
}

/// Points the reference at the real place of its registry; returns whether to speak plain HTTP.
fn resolve(config: &ImageConfig, at: &mut Reference) -> bool {
    if let Some(mirror) = config.mirrors.get(at.registry()).cloned() {
        at.set_mirror_registry(mirror.address.clone());
        return mirror.insecure || is_loopback(&mirror.address);
    }
    let registry = at.resolve_registry();
    is_loopback(registry)
        || config
            .insecure_registries
            .iter()
            .any(|known| known == registry)
}

/// Returns whether a `host:port` is this machine, which Docker and containerd also take as insecure.
fn is_loopback(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

struct Source<'a> {
    client: Client,
    at: Reference,
    auth: RegistryAuth,
    reference: &'a str,
}

impl Source<'_> {
    async fn manifest(&self, digest: Option<&str>) -> Result<(String, Vec<u8>), ImageError> {
        let at = match digest {
            Some(digest) => self.at.clone_with_digest(digest.to_owned()),
            None => self.at.clone(),
        };
        let pulled = self
            .client
            .pull_manifest_raw(&at, &self.auth, MANIFEST_TYPES)
            .await;
        let (text, _) = pulled.map_err(|error| self.refused(&error))?;
        // The digest that counts is the content's, not the header's.
        let found = super::model::digest_of(&text);
        match self.at.digest().or(digest) {
            Some(expected) if digest.is_some() || self.at.digest().is_some() => {
                let expected = digest.unwrap_or(expected);
                if expected != found {
                    return Err(ImageError::Digest {
                        expected: expected.to_owned(),
                        found,
                    });
                }
            }
            _ => {}
        }
        Ok((found, text.to_vec()))
    }

    async fn blob(&self, store: &ImageStore, blob: &Descriptor) -> Result<(), ImageError> {
        let path = store.temporary();
        let digest = blob.digest.as_str();
        let opened = self.client.pull_blob_stream(&self.at, digest).await;
        let mut stream = opened.map_err(|error| self.refused(&error))?;
        let created = tokio::fs::File::create(&path).await;
        let mut file = created.map_err(ImageError::io("create", &path))?;
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(ImageError::io("read from the registry into", &path))?;
            file.write_all(&chunk)
                .await
                .map_err(ImageError::io("write", &path))?;
        }
        file.flush().await.map_err(ImageError::io("write", &path))?;
        drop(file);
        let (store, digest) = (store.clone(), blob.digest.clone());
        // Hashing a large layer would hold up the other pods.
        let adopted = tokio::task::spawn_blocking(move || store.adopt(&path, &digest)).await;
        adopted.map_err(|error| ImageError::invalid("layer", error))?
    }

    fn refused(&self, error: &OciDistributionError) -> ImageError {
        let mut reason = match error {
            OciDistributionError::RegistryError { envelope, .. } => said_by(envelope),
            OciDistributionError::ImageManifestNotFoundError(_) => "no such image".to_owned(),
            other => other.to_string(),
        };
        let mut cause = error.source();
        while let Some(next) = cause {
            let text = next.to_string();
            if !reason.contains(&text) {
                reason = format!("{reason}: {text}");
            }
            cause = next.source();
        }
        ImageError::Registry {
            image: self.reference.to_owned(),
            registry: self.at.resolve_registry().to_owned(),
            reason,
        }
    }
}

/// Returns a registry's answer in few words, `no such image` where that is what it means.
fn said_by(envelope: &OciEnvelope) -> String {
    let one = |error: &oci_client::errors::OciError| match error.code {
        OciErrorCode::ManifestUnknown | OciErrorCode::NameUnknown | OciErrorCode::NotFound => {
            "no such image".to_owned()
        }
        OciErrorCode::Unauthorized | OciErrorCode::Denied => {
            format!("access denied: {}", error.message)
        }
        _ if error.message.is_empty() => format!("{:?}", error.code),
        _ => error.message.clone(),
    };
    envelope
        .errors
        .iter()
        .map(one)
        .collect::<Vec<_>>()
        .join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_named_registries_are_insecure() {
        let mut config = ImageConfig::default();
        config
            .insecure_registries
            .push("registry.lan:5000".to_owned());
        let mirror = crate::config::Mirror {
            address: "127.0.0.1:5001".into(),
            insecure: false,
        };
        config.mirrors.insert("registry.local".to_owned(), mirror);
        for (image, place, insecure) in [
            ("busybox", "index.docker.io", false),
            ("127.0.0.1:5000/a/b:1", "127.0.0.1:5000", true),
            ("localhost:5000/a", "localhost:5000", true),
            ("registry.lan:5000/a", "registry.lan:5000", true),
            ("registry.lan/a", "registry.lan", false),
            ("registry.local/shop/web:1", "127.0.0.1:5001", true),
        ] {
            let mut at = parse_reference(image).expect("a reference");
            assert_eq!(resolve(&config, &mut at), insecure, "{image}");
            assert_eq!(at.resolve_registry(), place, "{image}");
        }
    }
}
