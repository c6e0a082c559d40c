//! The Kubernetes versions that the table knows. It does not know which one a cluster runs.

use std::{fmt, str::FromStr};

/// A minor version of Kubernetes that the table describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KubeVersion {
    /// Kubernetes 1.33.
    V1_33,
    /// Kubernetes 1.34.
    V1_34,
    /// Kubernetes 1.35.
    V1_35,
    /// Kubernetes 1.36, the version that the bundled cluster speaks.
    V1_36,
    /// Kubernetes 1.37.
    V1_37,
}

impl KubeVersion {
    /// The version used where nothing else is asked for.
    pub const DEFAULT: KubeVersion = KubeVersion::V1_36;

    /// All known versions, oldest first.
    pub const ALL: [KubeVersion; 5] = [
        KubeVersion::V1_33,
        KubeVersion::V1_34,
        KubeVersion::V1_35,
        KubeVersion::V1_36,
        KubeVersion::V1_37,
    ];

    /// Returns the minor number: 36 for 1.36.
    pub const fn minor(self) -> u32 {
        match self {
            KubeVersion::V1_33 => 33,
            KubeVersion::V1_34 => 34,
            KubeVersion::V1_35 => 35,
            KubeVersion::V1_36 => 36,
            KubeVersion::V1_37 => 37,
        }
    }

    /// Returns the version with this minor number, if the table knows it.
    pub fn from_minor(minor: u32) -> Option<KubeVersion> {
        KubeVersion::ALL
            .into_iter()
            .find(|version| version.minor() == minor)
    }
}

impl Default for KubeVersion {
    fn default() -> Self {
        KubeVersion::DEFAULT
    }
}

impl fmt::Display for KubeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.minor())
    }
}

/// The text does not name a version of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownVersion(pub String);

impl fmt::Display for UnknownVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "unknown Kubernetes version `{}`, known are 1.33 to 1.37",
            self.0
        )
    }
}

impl std::error::Error for UnknownVersion {}

impl FromStr for KubeVersion {
    type Err = UnknownVersion;

    /// Reads `1.36`, `v1.36` or `v1.36.2`; a patch number does not change any type.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.strip_prefix('v').unwrap_or(text).splitn(3, '.');
        let (major, minor) = (parts.next(), parts.next());
        let minor = minor.and_then(|minor| minor.parse().ok());
        match (major, minor) {
            (Some("1"), Some(minor)) => KubeVersion::from_minor(minor),
            _ => None,
        }
        .ok_or_else(|| UnknownVersion(text.to_owned()))
    }
}
