//! Messages: kinds that travel to and from an API server and are never stored there.
//!
//! A review is answered, an option says how to ask, a `Status` says what became of it. None of them has an identity
//! in a cluster, so none needs a name and none can be applied, compared or removed. Knows kinds, and no object's content.

use crate::kind::Kind;
use crate::table::Table;

/// The kind of what a watch sends: the one message that says neither `apiVersion` nor `kind`
/// (`WatchEvent` in apimachinery's `meta/v1/watch.go`).
pub const WATCH_EVENT: &str = "WatchEvent";

/// Messages that no table of resources has, at least not in every version, by their groups and kinds; `*` is every group, as apimachinery's
/// `AddToGroupVersion` (`meta/v1/register.go`) puts the options into each.
const KNOWN: [(&str, &[&str]); 13] = [
    (
        "*",
        &[
            "CreateOptions",
            "DeleteOptions",
            "GetOptions",
            "ListOptions",
            "PatchOptions",
            "UpdateOptions",
            WATCH_EVENT,
        ],
    ),
    (
        "",
        &[
            "APIGroup",
            "APIGroupList",
            "APIResourceList",
            "APIVersions",
            "Binding",
            "NodeProxyOptions",
            "PodAttachOptions",
            "PodExecOptions",
            "PodLogOptions",
            "PodPortForwardOptions",
            "PodProxyOptions",
            "SerializedReference",
            "ServiceProxyOptions",
            "Status",
        ],
    ),
    ("admission.k8s.io", &["AdmissionReview"]),
    (
        "apidiscovery.k8s.io",
        &["APIGroupDiscovery", "APIGroupDiscoveryList"],
    ),
    ("apiextensions.k8s.io", &["ConversionReview"]),
    ("apps", &["DeploymentRollback", "Scale"]),
    (
        "authentication.k8s.io",
        &["SelfSubjectReview", "TokenRequest", "TokenReview"],
    ),
    (
        "authorization.k8s.io",
        &[
            "LocalSubjectAccessReview",
            "SelfSubjectAccessReview",
            "SelfSubjectRulesReview",
            "SubjectAccessReview",
        ],
    ),
    ("autoscaling", &["Scale"]),
    ("extensions", &["DeploymentRollback", "Scale"]),
    ("imagepolicy.k8s.io", &["ImageReview"]),
    (
        "meta.k8s.io",
        &[
            "PartialObjectMetadata",
            "PartialObjectMetadataList",
            "Table",
        ],
    ),
    ("policy", &["Eviction"]),
];

/// Whether objects of a kind are never stored: the table knows a resource that can only be created (reviews), a kind
/// that is only the body of a subresource (`Eviction`, `TokenRequest`), or it is one of those that are no resource.
#[must_use]
pub fn is_message(table: &Table, api_version: &str, kind: &str) -> bool {
    if let Some(known) = table.kind_of(api_version, kind) {
        return known.plural.is_empty() || known.verbs == ["create"];
    }
    let of = |(_, kinds): &&(&str, &[&str])| kinds.contains(&kind);
    let mut groups = KNOWN.iter().filter(of).map(|(group, _)| *group).peekable();
    if groups.peek().is_none() {
        return false;
    }
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    let is_kubernetes = || {
        let has_it = |known: &Kind| known.group == group;
        group.is_empty() || group.ends_with(".k8s.io") || table.kinds().iter().any(has_it)
    };
    groups.any(|known| known == group || (known == "*" && is_kubernetes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KubeVersion, table};

    #[test]
    fn what_is_answered_and_never_stored() {
        let table = table(KubeVersion::DEFAULT);
        for (api_version, kind) in [
            ("v1", "Status"),
            ("v1", "Binding"),
            ("apps/v1", "DeleteOptions"),
            ("authentication.k8s.io/v1", "TokenReview"),
            ("authentication.k8s.io/v1", "TokenRequest"),
            ("authorization.k8s.io/v1", "SelfSubjectAccessReview"),
            ("autoscaling/v1", "Scale"),
            ("policy/v1", "Eviction"),
            ("admission.k8s.io/v1", "AdmissionReview"),
        ] {
            assert!(is_message(table, api_version, kind), "{api_version} {kind}");
        }
        for (api_version, kind) in [
            ("v1", "Pod"),
            ("v1", "Event"),
            ("batch/v1", "Job"),
            ("certificates.k8s.io/v1", "CertificateSigningRequest"),
            ("example.com/v1", "DeleteOptions"),
            ("example.com/v1", "Status"),
        ] {
            assert!(
                !is_message(table, api_version, kind),
                "{api_version} {kind}"
            );
        }
        // What can be read is no message, also where nobody can write it.
        for known in table
            .kinds()
            .iter()
            .filter(|known| known.verbs.contains(&"get"))
        {
            let api_version = match known.group {
                "" => known.version.to_owned(),
                group => format!("{group}/{}", known.version),
            };
            assert!(
                !is_message(table, &api_version, known.kind),
                "{}",
                known.kind
            );
        }
    }
}
