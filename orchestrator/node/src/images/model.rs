//! What an image is: digests, the config that containers start from, and the errors of this layer.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Why an image could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The text is not an image reference.
    #[error("couldn't parse image name `{text}`: {reason}")]
    Reference {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of the store could not be read or written.
    #[error("failed to {action} `{path}`")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Content does not have the digest it is named by.
    #[error("content has digest {found}, expected {expected}")]
    Digest {
        /// What was promised.
        expected: String,
        /// What came.
        found: String,
    },
    /// A manifest, index or config is not what the specification says.
    #[error("{what} is not valid: {reason}")]
    Invalid {
        /// Which document.
        what: String,
        /// Why.
        reason: String,
    },
    /// A registry refused or could not be reached.
    #[error("failed to pull `{image}` from {registry}: {reason}")]
    Registry {
        /// The image.
        image: String,
        /// Where it was asked for.
        registry: String,
        /// The registry's answer with its causes.
        reason: String,
    },
    /// An archive entry would land outside the image.
    #[error("layer entry `{entry}` is refused: {reason}")]
    Layer {
        /// The entry's name as found.
        entry: String,
        /// Why.
        reason: String,
    },
}

impl ImageError {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    pub(crate) fn invalid(what: impl Into<String>, reason: impl ToString) -> Self {
        Self::Invalid {
            what: what.into(),
            reason: reason.to_string(),
        }
    }
}

/// An image in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The digest of the config: what Kubernetes calls the image's ID.
    pub id: String,
    /// The digest of the manifest.
    pub manifest: String,
    /// The digests of the uncompressed layers, lowest first.
    pub diff_ids: Vec<String>,
    /// The digests of the layer blobs, lowest first.
    pub layers: Vec<String>,
    /// What a container starts from.
    pub config: ImageDefaults,
    /// The sum of the layer blobs in bytes.
    pub size: u64,
}

/// The part of an image's config that containers inherit (OCI image-spec, config.md).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageDefaults {
    /// `uid`, `user`, `uid:gid` and so on.
    #[serde(deserialize_with = "or_default")]
    pub user: String,
    /// `NAME=value` texts.
    #[serde(deserialize_with = "or_default")]
    pub env: Vec<String>,
    /// The program and its leading arguments.
    #[serde(deserialize_with = "or_default")]
    pub entrypoint: Vec<String>,
    /// The arguments that a pod's `args` replace.
    #[serde(deserialize_with = "or_default")]
    pub cmd: Vec<String>,
    /// The working directory; empty is `/`.
    #[serde(deserialize_with = "or_default")]
    pub working_dir: String,
    /// The signal that asks the program to stop; empty is SIGTERM.
    #[serde(deserialize_with = "or_default")]
    pub stop_signal: String,
}

/// Reads `null` as the default, since image builders write both.
fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// A pointer to a blob (OCI image-spec, descriptor.md).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: String,
    #[serde(default)]
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Platform>,
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub(crate) annotations: std::collections::BTreeMap<String, String>,
}

/// What an index entry runs on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Platform {
    pub(crate) architecture: String,
    pub(crate) os: String,
}

/// An image manifest or an index, told apart by their fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Manifest {
    Image {
        config: Descriptor,
        layers: Vec<Descriptor>,
    },
    Index {
        manifests: Vec<Descriptor>,
    },
}

/// The parts of an image config file that the store reads.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ConfigFile {
    #[serde(default)]
    pub(crate) config: Option<ImageDefaults>,
    pub(crate) rootfs: RootFs,
}

/// The layers as the config names them.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RootFs {
    pub(crate) diff_ids: Vec<String>,
}

/// Returns `sha256:…` of some bytes.
pub fn digest_of(bytes: &[u8]) -> String {
    format_digest(Sha256::digest(bytes).as_slice())
}

pub(crate) fn format_digest(hash: &[u8]) -> String {
    use std::fmt::Write as _;
    hash.iter().fold("sha256:".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Returns the 64 hex digits of a sha256 digest; anything else could leave the store's folder.
pub(crate) fn hex_of(digest: &str) -> Result<&str, ImageError> {
    let hex = digest.strip_prefix("sha256:").unwrap_or_default();
    let plain = hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if plain {
        Ok(hex)
    } else {
        Err(ImageError::invalid("digest", format!("`{digest}`")))
    }
}

/// Returns the architecture's name in Go's words, as images use them.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}
