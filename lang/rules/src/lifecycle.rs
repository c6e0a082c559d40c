//! Kinds that a Kubernetes version has no more, or will not have for long.

use ordain_schemas::{KubeVersion, Table, table};

/// API versions that upstream calls deprecated though they are stable, the first version that does, and
/// what to use instead. From the `Deprecated:` comments of staging/src/k8s.io/api/core/v1/types.go.
const DEPRECATED: &[(&str, &str, KubeVersion, &str)] = &[
    (
        "v1",
        "Endpoints",
        KubeVersion::V1_33,
        "discovery.k8s.io/v1 EndpointSlice",
    ),
    (
        "v1",
        "ComponentStatus",
        KubeVersion::V1_33,
        "the health endpoints",
    ),
];

/// Groups that Kubernetes had once, before the versions of the table.
const GONE_GROUPS: [&str; 1] = ["extensions"];

/// What becomes of a kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Lifecycle {
    /// It stays, or is none of Kubernetes' own.
    Stays,
    /// It works still; what to do.
    Deprecated(String),
    /// The version does not have it; what to do, when that is known.
    Gone(Option<String>),
}

/// Says what becomes of a kind in a version.
pub(crate) fn of(version: KubeVersion, api_version: &str, kind: &str) -> Lifecycle {
    let own = table(version);
    let (group, number) = api_version.split_once('/').unwrap_or(("", api_version));
    if own.kind(group, number, kind).is_none() {
        let is_ours = own.kinds().iter().any(|own| own.group == group);
        return match is_ours || GONE_GROUPS.contains(&group) {
            true => {
                Lifecycle::Gone(stable(own, Some(group), kind).or_else(|| stable(own, None, kind)))
            }
            false => Lifecycle::Stays,
        };
    }
    let listed = DEPRECATED.iter().find(|(own_version, own_kind, since, _)| {
        *own_version == api_version && *own_kind == kind && *since <= version
    });
    if let Some((.., instead)) = listed {
        return Lifecycle::Deprecated(format!("use {instead} instead"));
    }
    // What is stable stays; other versions' tables are not even looked at.
    if !number.contains("alpha") && !number.contains("beta") {
        return Lifecycle::Stays;
    }
    if let Some(stable) = stable(own, Some(group), kind) {
        return Lifecycle::Deprecated(format!("use {stable}, which is stable"));
    }
    let gone = KubeVersion::ALL
        .into_iter()
        .filter(|later| *later > version)
        .find(|later| table(*later).kind(group, number, kind).is_none());
    match gone {
        None => Lifecycle::Stays,
        Some(gone) => Lifecycle::Deprecated(
            match table(gone)
                .kinds()
                .iter()
                .find(|other| other.group == group && other.kind == kind)
            {
                Some(other) => format!(
                    "Kubernetes {gone} has it no more; use {} then",
                    other.api_version()
                ),
                None => format!("Kubernetes {gone} has it no more"),
            },
        ),
    }
}

/// The stable version of a kind, in a group or in any.
fn stable(table: &Table, group: Option<&str>, kind: &str) -> Option<String> {
    let is_it = |own: &&ordain_schemas::Kind| {
        own.kind == kind
            && group.is_none_or(|group| own.group == group)
            && !own.version.contains("alpha")
            && !own.version.contains("beta")
    };
    Some(table.kinds().iter().find(is_it)?.api_version())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_and_go() {
        let of = |minor, api_version, kind| {
            let version = KubeVersion::from_minor(minor).expect("it is known");
            super::of(version, api_version, kind)
        };
        assert_eq!(of(36, "apps/v1", "Deployment"), Lifecycle::Stays);
        assert_eq!(of(36, "example.com/v1", "Thing"), Lifecycle::Stays);
        assert_eq!(
            of(36, "extensions/v1beta1", "Ingress"),
            Lifecycle::Gone(Some("networking.k8s.io/v1".into()))
        );
        assert_eq!(
            of(37, "storage.k8s.io/v1beta1", "VolumeAttributesClass"),
            Lifecycle::Gone(Some("storage.k8s.io/v1".into()))
        );
        assert_eq!(
            of(36, "storage.k8s.io/v1beta1", "VolumeAttributesClass"),
            Lifecycle::Deprecated("use storage.k8s.io/v1, which is stable".into())
        );
        assert_eq!(
            of(36, "scheduling.k8s.io/v1alpha2", "Workload"),
            Lifecycle::Deprecated(
                "Kubernetes 1.37 has it no more; use scheduling.k8s.io/v1alpha3 then".into()
            )
        );
        assert!(matches!(
            of(33, "v1", "Endpoints"),
            Lifecycle::Deprecated(_)
        ));
    }
}
