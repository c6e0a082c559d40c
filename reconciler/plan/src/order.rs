//! In which order objects are applied; deletes go the other way round.
//!
//! The order of kinds is the one that Flux, Argo CD and cli-utils agree on where they agree:
//! what others need comes first, what others would be stopped by comes last.

use crate::{Desired, ObjectKey};

/// Kinds by group and name, from the first to the last. Objects of one row do not wait for each other.
const ROWS: [&[(&str, &str)]; 14] = [
    &[("", "Namespace")],
    &[("apiextensions.k8s.io", "CustomResourceDefinition")],
    &[
        ("scheduling.k8s.io", "PriorityClass"),
        ("storage.k8s.io", "StorageClass"),
        ("node.k8s.io", "RuntimeClass"),
        ("networking.k8s.io", "IngressClass"),
    ],
    &[
        ("", "ResourceQuota"),
        ("", "LimitRange"),
        ("", "ServiceAccount"),
        ("networking.k8s.io", "NetworkPolicy"),
    ],
    &[("", "ConfigMap"), ("", "Secret")],
    &[
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "Role"),
    ],
    &[
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("rbac.authorization.k8s.io", "RoleBinding"),
    ],
    &[("", "PersistentVolume")],
    &[("", "PersistentVolumeClaim")],
    &[("", "Service")],
    &[
        ("apps", "Deployment"),
        ("apps", "StatefulSet"),
        ("apps", "DaemonSet"),
        ("apps", "ReplicaSet"),
        ("", "ReplicationController"),
        ("", "Pod"),
    ],
    &[("batch", "Job"), ("batch", "CronJob")],
    &[
        ("autoscaling", "HorizontalPodAutoscaler"),
        ("policy", "PodDisruptionBudget"),
    ],
    &[
        ("networking.k8s.io", "Ingress"),
        ("apiregistration.k8s.io", "APIService"),
    ],
];

/// Admission is switched on last: before, it would stop the objects that serve it.
const LAST: &str = "admissionregistration.k8s.io";

/// The place of a kind in the order; objects with one rank may be applied at the same time.
/// Unknown kinds come after the built-in ones: their controllers have to be there first.
#[must_use]
pub fn rank(key: &ObjectKey) -> usize {
    if key.group == LAST {
        return ROWS.len() + 1;
    }
    let row = ROWS
        .iter()
        .position(|row| row.iter().any(|(group, kind)| key.is(group, kind)));
    row.unwrap_or(ROWS.len())
}

/// Sorts by rank, then by group, kind, namespace and name, so that a plan reads the same each time.
pub fn in_order(objects: &mut [Desired]) {
    objects.sort_by(|a, b| {
        rank(&a.key)
            .cmp(&rank(&b.key))
            .then_with(|| a.key.cmp(&b.key))
    });
}
