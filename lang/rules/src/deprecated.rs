//! Kinds that work still and will not for long.

use ordain_schemas::{KubeVersion, table};

/// API versions that upstream calls deprecated, the first version that does, and what to use instead.
/// From the comments `+k8s:prerelease-lifecycle-gen:deprecated` and `Deprecated:` of staging/src/k8s.io/api.
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

/// Says why a kind should not be used any more in a version, if so.
pub(crate) fn why(version: KubeVersion, api_version: &str, kind: &str) -> Option<String> {
    let listed = DEPRECATED.iter().find(|(own_version, own_kind, since, _)| {
        *own_version == api_version && *own_kind == kind && *since <= version
    });
    if let Some((.., instead)) = listed {
        return Some(format!("use {instead} instead"));
    }
    table(version).kind_of(api_version, kind)?;
    let gone = KubeVersion::ALL
        .into_iter()
        .filter(|later| *later > version)
        .find(|later| table(*later).kind_of(api_version, kind).is_none())?;
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let stays = table(gone)
        .kinds()
        .iter()
        .find(|other| other.group == group && other.kind == kind);
    Some(match stays {
        Some(other) => format!(
            "Kubernetes {gone} has it no more; use {}",
            other.api_version()
        ),
        None => format!("Kubernetes {gone} has it no more"),
    })
}
