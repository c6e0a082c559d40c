//! A CustomResourceDefinition as plain data: names, versions, schemas. Knows nothing of YAML.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::problem::Place;
use crate::schema::Schema;

/// A CustomResourceDefinition.
#[derive(Clone, Debug)]
pub struct Crd {
    /// `metadata.name`
    pub name: Arc<str>,
    /// Where `spec` begins.
    pub place: Place,
    /// `spec.group`
    pub group: Arc<str>,
    /// `spec.names.kind`
    pub kind: Arc<str>,
    /// Where the kind is written.
    pub kind_place: Place,
    /// `spec.names.plural`
    pub plural: Arc<str>,
    /// `spec.names.singular`, or the kind in small letters.
    pub singular: Arc<str>,
    /// `spec.names.listKind`, or the kind with `List` behind it.
    pub list_kind: Arc<str>,
    /// `spec.names.shortNames`
    pub short_names: Vec<Arc<str>>,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// `spec.versions`, in the order of the file.
    pub versions: Vec<Version>,
}

/// A version of a CustomResourceDefinition.
#[derive(Clone, Debug)]
pub struct Version {
    /// Its name: `v1`, `v1beta1`.
    pub name: Arc<str>,
    /// Where its name is written.
    pub place: Place,
    /// Whether the API server offers it, and where that is said.
    pub served: (bool, Place),
    /// Whether objects are stored in it.
    pub storage: bool,
    /// That it is deprecated: where that is said, and the warning when there is one of its own.
    pub deprecated: Option<(Place, Option<Arc<str>>)>,
    /// What its objects must be.
    pub schema: Arc<Schema>,
    /// Whether its schema has CEL rules anywhere.
    pub has_rules: bool,
    /// Whether there is a status subresource.
    pub has_status: bool,
}

impl Crd {
    /// The version with a name.
    #[must_use]
    pub fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|v| &*v.name == name)
    }

    /// The version that is meant where none is named: the storage version when it is served, or else the newest of
    /// those that are.
    #[must_use]
    pub fn preferred(&self) -> Option<&Version> {
        self.versions
            .iter()
            .find(|v| v.storage && v.served.0)
            .or_else(|| {
                self.versions
                    .iter()
                    .filter(|v| v.served.0)
                    .min_by(|a, b| by_priority(&a.name, &b.name))
            })
    }

    /// `group/version`.
    #[must_use]
    pub fn api_version(&self, version: &Version) -> String {
        format!("{}/{}", self.group, version.name)
    }
}

/// Newest and most stable first (k8s.io/apimachinery/pkg/version/helpers.go, CompareKubeAwareVersionStrings).
fn by_priority(a: &str, b: &str) -> Ordering {
    match (kube_version(a), kube_version(b)) {
        (Some(a), Some(b)) => b.cmp(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// `v2beta1` as something to compare: how stable, major, minor.
fn kube_version(name: &str) -> Option<(u8, u64, u64)> {
    let rest = name.strip_prefix('v')?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let major = rest[..digits].parse().ok()?;
    let rest = &rest[digits..];
    if rest.is_empty() {
        return Some((2, major, 0));
    }
    let (stage, minor) = match (rest.strip_prefix("beta"), rest.strip_prefix("alpha")) {
        (Some(minor), _) => (1, minor),
        (_, Some(minor)) => (0, minor),
        _ => return None,
    };
    Some((stage, major, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::by_priority;

    #[test]
    fn versions_are_ordered_as_kubernetes_does() {
        let mut names = [
            "foo10",
            "v1",
            "v11alpha2",
            "v10",
            "v3beta1",
            "foo1",
            "v12alpha1",
            "v2",
            "v11beta2",
            "v10beta3",
        ];
        names.sort_by(|a, b| by_priority(a, b));
        let wanted = [
            "v10",
            "v2",
            "v1",
            "v11beta2",
            "v10beta3",
            "v3beta1",
            "v12alpha1",
            "v11alpha2",
            "foo1",
            "foo10",
        ];
        assert_eq!(names, wanted);
    }
}
