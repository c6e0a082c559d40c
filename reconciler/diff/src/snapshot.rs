//! A signed snapshot of what is applied, without a single secret: what CI compares with instead of a cluster.
//!
//! The file is two parts: one line of JSON with the signature, and the body, whose bytes are signed as they are.
//! Nothing of the body is read before the signature holds.

use std::collections::BTreeSet;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use ordain_reconciler_plan::{ApiVersion, IgnoreError, IgnoreRule, Ignores, SetObject};
use ordain_schemas::{KubeVersion, table};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::{DigestKey, hide};

/// The name and version of the file, and the domain of its signature.
const SNAPSHOT_FORMAT: &str = "ordain-snapshot/v1";

/// What is applied to a cluster. It is made by [`Snapshot::new`] alone, so it never holds a secret's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// What the cluster is called.
    pub cluster: String,
    /// When it was made, as RFC 3339.
    pub made: String,
    /// The apps, with what is applied of each.
    pub apps: Vec<SnapshotApp>,
    /// The rules of the reconciler that applied it.
    #[serde(default, skip_serializing_if = "SnapshotRules::is_empty")]
    pub rules: SnapshotRules,
}

/// The rules by which a reconciler leaves fields to others, and takes objects from them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRules {
    /// Fields that are left to others; the shipped rules hold besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignores: Vec<IgnoreRule>,
    /// Whom objects may be taken from.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub take_from: BTreeSet<String>,
}

impl SnapshotRules {
    fn is_empty(&self) -> bool {
        self.ignores.is_empty() && self.take_from.is_empty()
    }
}

/// One app of a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SnapshotApp {
    /// The environment.
    pub env: String,
    /// The app.
    pub app: String,
    /// The commit that is applied, when that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Its objects as they are applied.
    pub objects: Vec<Value>,
}

/// The first line of the file.
#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    /// The public key, to say which one signed; it is not believed.
    key: String,
    signature: String,
}

/// A snapshot that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The file is something else.
    #[error("it is no snapshot: the first line does not say `{SNAPSHOT_FORMAT}`")]
    NoSnapshot,
    /// A key is not 64 hexadecimal digits of an ed25519 key.
    #[error("`{text}` is no ed25519 public key (64 hexadecimal digits)")]
    NoKey {
        /// As it was given.
        text: String,
    },
    /// Another key signed it.
    #[error("it is signed by {found}, not by {wanted}")]
    OtherKey {
        /// The key that it names.
        found: String,
        /// The key that was given.
        wanted: String,
    },
    /// The signature does not fit the content.
    #[error("the signature does not fit: the file was changed, or is not whole")]
    Changed,
    /// It was made by another version, whose rules this one does not know.
    #[error("its rules about fields that are left to others cannot be used")]
    Rules(#[source] IgnoreError),
    /// It is signed, and still cannot be read.
    #[error("the signed content cannot be read")]
    Content(#[source] serde_json::Error),
}

/// The ed25519 key that signs snapshots: the journal's.
pub struct SnapshotKey(SigningKey);

impl std::fmt::Debug for SnapshotKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "SnapshotKey({})", self.public())
    }
}

impl SnapshotKey {
    /// Reads the private half, as 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        from_hex(text.trim()).map(|bytes: [u8; 32]| Self(SigningKey::from_bytes(&bytes)))
    }

    /// The public half, as 64 hexadecimal digits: what a snapshot is checked with.
    #[must_use]
    pub fn public(&self) -> String {
        to_hex(self.0.verifying_key().as_bytes())
    }

    /// The key of the digests, which follows from the private half.
    #[must_use]
    pub fn digests(&self) -> DigestKey {
        DigestKey::derive(self.0.as_bytes())
    }
}

impl Snapshot {
    /// Makes a snapshot. The values of Secrets become digests.
    #[must_use]
    pub fn new(
        cluster: impl Into<String>,
        made: impl Into<String>,
        mut apps: Vec<SnapshotApp>,
        key: &DigestKey,
    ) -> Self {
        for object in apps.iter_mut().flat_map(|app| &mut app.objects) {
            hide(object, key);
        }
        apps.sort_by(|a, b| (&a.env, &a.app).cmp(&(&b.env, &b.app)));
        Self {
            cluster: cluster.into(),
            made: made.into(),
            apps,
            rules: SnapshotRules::default(),
        }
    }

    /// Says by which rules it was applied.
    #[must_use]
    pub fn by(self, rules: SnapshotRules) -> Self {
        Self { rules, ..self }
    }

    /// What people call it: `snapshot of kind-dev, 2026-11-22T20:00:00Z`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("snapshot of {}, {}", self.cluster, self.made)
    }

    /// Writes and signs the file.
    #[must_use]
    pub fn to_file(&self, key: &SnapshotKey) -> Vec<u8> {
        let body = serde_json::to_vec(self).expect("its maps have string keys");
        let header = Header {
            format: SNAPSHOT_FORMAT.to_owned(),
            key: key.public(),
            signature: to_hex(&key.0.sign(&message(&body)).to_bytes()),
        };
        let mut file = serde_json::to_vec(&header).expect("its maps have string keys");
        file.push(b'\n');
        file.extend(body);
        file.push(b'\n');
        file
    }

    /// Reads a file that `key` (64 hexadecimal digits) signed.
    ///
    /// # Errors
    /// When it is no snapshot, another key signed it, or a byte of it was changed.
    pub fn from_file(file: &[u8], key: &str) -> Result<Self, SnapshotError> {
        let wanted = key.trim().to_lowercase();
        let no_key = || SnapshotError::NoKey {
            text: wanted.clone(),
        };
        let bytes: [u8; 32] = from_hex(&wanted).ok_or_else(no_key)?;
        let public = VerifyingKey::from_bytes(&bytes).map_err(|_| no_key())?;
        let at = file.iter().position(|byte| *byte == b'\n');
        let (line, body) = file.split_at(at.ok_or(SnapshotError::NoSnapshot)?);
        let header: Header = serde_json::from_slice(line).map_err(|_| SnapshotError::NoSnapshot)?;
        if header.format != SNAPSHOT_FORMAT {
            return Err(SnapshotError::NoSnapshot);
        }
        let body = body.strip_prefix(b"\n").unwrap_or(body);
        let body = body.strip_suffix(b"\n").unwrap_or(body);
        let signature: [u8; 64] = from_hex(&header.signature).ok_or(SnapshotError::Changed)?;
        let signature = Signature::from_bytes(&signature);
        if public.verify_strict(&message(body), &signature).is_err() {
            return Err(if header.key == wanted {
                SnapshotError::Changed
            } else {
                SnapshotError::OtherKey {
                    found: header.key.chars().take(64).collect(),
                    wanted,
                }
            });
        }
        let read: Self = serde_json::from_slice(body).map_err(SnapshotError::Content)?;
        Ignores::new(&read.rules.ignores).map_err(SnapshotError::Rules)?;
        Ok(read)
    }
}

/// A signature for one use fits no other.
fn message(body: &[u8]) -> Vec<u8> {
    let mut message = format!("{SNAPSHOT_FORMAT}\n").into_bytes();
    message.extend_from_slice(body);
    message
}

/// Says whether an object lives in a namespace: by the type table, by a definition among `set`, else by whether it
/// names one.
#[must_use]
pub fn is_namespaced(object: &Value, set: &[SetObject], kubernetes: KubeVersion) -> bool {
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let kind = object["kind"].as_str().unwrap_or_default();
    if let Some(known) = table(kubernetes).kind_of(api_version, kind) {
        return known.namespaced;
    }
    let group = ApiVersion::parse(api_version).group;
    let definition = set.iter().map(|object| &object.object).find(|object| {
        object["kind"] == "CustomResourceDefinition"
            && object.pointer("/spec/group").and_then(Value::as_str) == Some(&group)
            && object.pointer("/spec/names/kind").and_then(Value::as_str) == Some(kind)
    });
    match definition {
        Some(definition) => definition.pointer("/spec/scope") != Some(&"Cluster".into()),
        None => object.pointer("/metadata/namespace").is_some(),
    }
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CANARY: &str = "Y2FuYXJ5LTQyNDI=";

    fn file() -> (Vec<u8>, String, Snapshot) {
        let private = SnapshotKey::from_hex(&"07".repeat(32)).expect("a key");
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {
                "name": "db", "namespace": "a",
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": CANARY}},
            "data": {"password": CANARY}, "stringData": {"other": CANARY},
        });
        let apps = vec![SnapshotApp {
            env: "dev".to_owned(),
            app: "shop".to_owned(),
            commit: None,
            objects: vec![object],
        }];
        let snapshot = Snapshot::new("local", "2026-11-22T20:00:00Z", apps, &private.digests());
        (snapshot.to_file(&private), private.public(), snapshot)
    }

    #[test]
    fn a_snapshot_comes_back_and_holds_no_secret() {
        let (file, key, snapshot) = file();
        assert_eq!(Snapshot::from_file(&file, &key).ok(), Some(snapshot));
        assert!(!String::from_utf8_lossy(&file).contains(CANARY));
    }

    #[test]
    fn every_changed_byte_is_found() {
        let (file, key, _) = file();
        let start = file.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
        // Each check takes long in a build for tests.
        for at in (start..file.len() - 1).step_by(file.len() / 20) {
            let mut changed = file.clone();
            changed[at] ^= 1;
            let result = Snapshot::from_file(&changed, &key);
            assert!(matches!(result, Err(SnapshotError::Changed)), "byte {at}");
        }
    }

    #[test]
    fn another_key_is_named() {
        let (file, _, _) = file();
        let other = SnapshotKey::from_hex(&"08".repeat(32)).expect("a key");
        let other = other.public();
        let error = Snapshot::from_file(&file, &other).expect_err("another key");
        assert!(matches!(error, SnapshotError::OtherKey { .. }), "{error}");
        let error = Snapshot::from_file(&file, "nonsense").expect_err("no key");
        assert!(matches!(error, SnapshotError::NoKey { .. }), "{error}");
        let error = Snapshot::from_file(b"{}\n{}", &other).expect_err("no snapshot");
        assert!(matches!(error, SnapshotError::NoSnapshot), "{error}");
    }
}
