//! How a program names the kinds of a version of Kubernetes, for those who write programs.
//!
//! Knows nothing of types; what the names mean is resolved in [`crate::k8s`].

use ordain_schemas::{Kind, KubeVersion, table};

use crate::k8s::K8s;

/// The names of kinds in the namespace `k8s`.
pub struct KindNames(K8s);

impl KindNames {
    /// The names in a version of Kubernetes.
    #[must_use]
    pub fn new(version: KubeVersion) -> KindNames {
        KindNames(K8s::new(table(version)))
    }

    /// The shortest name of the kind that an object's `apiVersion` and `kind` mean: `k8s.Deployment`, or
    /// `k8s.events.v1.Event` where the short name means another one. `None` when the version has no such kind.
    #[must_use]
    pub fn of(&self, api_version: &str, kind: &str) -> Option<(&'static Kind, String)> {
        let found = self.0.table.kind_of(api_version, kind)?;
        let is_short = self.0.kind(kind).is_some_and(|short| short.ty == found.ty);
        if is_short && !K8s::SCALARS.contains(&kind) {
            return Some((found, format!("k8s.{kind}")));
        }
        let group = match found.group.split('.').next() {
            None | Some("") => "core",
            Some(first) => first,
        };
        Some((found, format!("k8s.{group}.{}.{kind}", found.version)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_name_that_means_the_kind() {
        let names = KindNames::new(KubeVersion::DEFAULT);
        let name = |api: &str, kind: &str| names.of(api, kind).map(|(_, name)| name);
        assert_eq!(
            name("apps/v1", "Deployment").as_deref(),
            Some("k8s.Deployment")
        );
        assert_eq!(name("v1", "Event").as_deref(), Some("k8s.Event"));
        assert_eq!(
            name("events.k8s.io/v1", "Event").as_deref(),
            Some("k8s.events.v1.Event")
        );
        assert_eq!(name("example.com/v1", "Deployment"), None);
    }
}
