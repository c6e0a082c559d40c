//! Which object is meant. The version is no part of an identity: `v1` and `v1beta1` show one object.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A group and version, as in `apiVersion`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ApiVersion {
    /// The group, empty for the core group.
    pub group: String,
    /// The version.
    pub version: String,
}

impl ApiVersion {
    /// Reads `apps/v1` or `v1`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (group, version) = text.split_once('/').unwrap_or(("", text));
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
        }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            out.write_str(&self.version)
        } else {
            write!(out, "{}/{}", self.group, self.version)
        }
    }
}

/// The identity of an object in one cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// The API group, empty for the core group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The namespace; `None` for a cluster-wide object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

impl ObjectKey {
    /// The identity an object states about itself; `None` when it has no kind or name.
    #[must_use]
    pub fn of(object: &Value) -> Option<Self> {
        let text = |pointer| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let version = ApiVersion::parse(object.get("apiVersion")?.as_str()?);
        Some(Self {
            group: version.group,
            kind: text("/kind")?,
            namespace: text("/metadata/namespace").filter(|namespace| !namespace.is_empty()),
            name: text("/metadata/name")?,
        })
    }

    /// True for this group and kind.
    #[must_use]
    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }
}

impl fmt::Display for ObjectKey {
    /// `Deployment shop/web`, and `Certificate.cert-manager.io shop/tls` for kinds that are not built in.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.kind)?;
        if self.group.contains('.') && !self.group.ends_with(".k8s.io") {
            write!(out, ".{}", self.group)?;
        }
        match &self.namespace {
            Some(namespace) => write!(out, " {namespace}/{}", self.name),
            None => write!(out, " {}", self.name),
        }
    }
}
