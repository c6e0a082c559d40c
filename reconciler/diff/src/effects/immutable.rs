//! Fields that cannot be changed once an object exists, per kind (pkg/apis/*/validation of Kubernetes 1.36).

use serde_json::Value;

use crate::{EffectKind, Field, Level, Verb, model::is_below};

use super::{Changed, Found};

/// One kind's rule.
struct Rule {
    group: &'static str,
    kind: &'static str,
    /// Paths that are fixed with everything in them; `*` stands for any one step.
    fixed: &'static [&'static str],
    /// Paths below them that may change all the same.
    free: &'static [&'static str],
}

const fn rule(group: &'static str, kind: &'static str, fixed: &'static [&'static str]) -> Rule {
    Rule {
        group,
        kind,
        fixed,
        free: &[],
    }
}

const RBAC: &str = "rbac.authorization.k8s.io";

const RULES: &[Rule] = &[
    rule("apps", "Deployment", &["spec.selector"]),
    rule("apps", "DaemonSet", &["spec.selector"]),
    rule("apps", "ReplicaSet", &["spec.selector"]),
    Rule {
        group: "apps",
        kind: "StatefulSet",
        fixed: &["spec"],
        free: &[
            "spec.replicas",
            "spec.ordinals",
            "spec.template",
            "spec.updateStrategy",
            "spec.revisionHistoryLimit",
            "spec.persistentVolumeClaimRetentionPolicy",
            "spec.minReadySeconds",
        ],
    },
    rule(
        "batch",
        "Job",
        &[
            "spec.selector",
            "spec.template",
            "spec.completionMode",
            "spec.podFailurePolicy",
            "spec.backoffLimitPerIndex",
            "spec.managedBy",
            "spec.successPolicy",
            "spec.completions",
        ],
    ),
    rule("", "Service", &["spec.clusterIP", "spec.loadBalancerClass"]),
    Rule {
        group: "",
        kind: "PersistentVolumeClaim",
        fixed: &["spec"],
        free: &["spec.resources.requests", "spec.volumeAttributesClassName"],
    },
    rule(
        "",
        "PersistentVolume",
        &[
            "spec.csi",
            "spec.hostPath",
            "spec.local",
            "spec.nfs",
            "spec.iscsi",
            "spec.fc",
            "spec.nodeAffinity",
            "spec.volumeMode",
        ],
    ),
    rule("", "Secret", &["type"]),
    rule(RBAC, "RoleBinding", &["roleRef"]),
    rule(RBAC, "ClusterRoleBinding", &["roleRef"]),
    rule(
        "storage.k8s.io",
        "StorageClass",
        &[
            "provisioner",
            "parameters",
            "reclaimPolicy",
            "volumeBindingMode",
        ],
    ),
    rule(
        "storage.k8s.io",
        "VolumeAttributesClass",
        &["driverName", "parameters"],
    ),
    rule(
        "storage.k8s.io",
        "CSIDriver",
        &["spec.attachRequired", "spec.volumeLifecycleModes"],
    ),
    rule(
        "scheduling.k8s.io",
        "PriorityClass",
        &["value", "preemptionPolicy"],
    ),
    rule("networking.k8s.io", "IngressClass", &["spec.controller"]),
    rule("node.k8s.io", "RuntimeClass", &["handler"]),
    rule("discovery.k8s.io", "EndpointSlice", &["addressType"]),
    rule("resource.k8s.io", "ResourceClaim", &["spec"]),
    rule("resource.k8s.io", "ResourceClaimTemplate", &["spec"]),
    rule("apps", "ControllerRevision", &["data"]),
    rule(
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        &[
            "spec.group",
            "spec.scope",
            "spec.names.plural",
            "spec.names.kind",
        ],
    ),
    Rule {
        group: "",
        kind: "Pod",
        fixed: &["spec"],
        free: &[
            "spec.containers[*].image",
            "spec.initContainers[*].image",
            "spec.activeDeadlineSeconds",
            "spec.terminationGracePeriodSeconds",
            "spec.tolerations",
            "spec.schedulingGates",
        ],
    },
];

/// Kinds that the reconciler deletes and makes again by itself: a Job is made to run once.
const REPLACED: [(&str, &str); 1] = [("batch", "Job")];

pub(super) fn look(changed: &Changed<'_>, found: &mut Found) {
    if changed.verb == Verb::Replace {
        let fields = fixed(changed);
        let why = match fields.first() {
            Some(field) => format!("{} cannot be changed in place", field.path),
            None => "a field cannot be changed in place".to_owned(),
        };
        return replaces(changed, fields.first().copied(), why, found);
    }
    // A dry run that passed knows better than a table.
    if !changed.is_update() || changed.accepted || found.has(EffectKind::Immutable) {
        return;
    }
    let fields = fixed(changed);
    let Some(first) = fields.first() else {
        return;
    };
    let refused = changed.refused.is_some();
    if REPLACED.iter().any(|(group, kind)| changed.is(group, kind)) && !refused {
        let why = format!("{} cannot be changed in place", first.path);
        return replaces(changed, Some(first), why, found);
    }
    for field in fields {
        found.at(
            EffectKind::Immutable,
            Level::Danger,
            format!("{} cannot be changed; the server refuses it", field.path),
            Some(&field.path),
        );
    }
}

fn replaces(changed: &Changed<'_>, field: Option<&Field>, why: String, found: &mut Found) {
    found.at(
        EffectKind::Replaces,
        Level::Warning,
        format!("{} is deleted and created again: {why}", changed.key.kind),
        field.map(|field| field.path.as_str()),
    );
}

/// The changed fields that are fixed.
fn fixed<'a>(changed: &Changed<'a>) -> Vec<&'a Field> {
    let mut fields: Vec<&Field> = Vec::new();
    let rule = RULES.iter().find(|rule| changed.is(rule.group, rule.kind));
    if let Some(rule) = rule {
        fields.extend(changed.fields.iter().filter(|field| {
            let path = &field.path;
            rule.fixed.iter().any(|fixed| matches(path, fixed))
                && !rule.free.iter().any(|free| matches(path, free))
                && !is_first(rule, field)
        }));
    }
    let frozen = changed.old.is_some_and(|old| old["immutable"] == true);
    if frozen && (changed.is("", "ConfigMap") || changed.is("", "Secret")) {
        let parts = ["data", "binaryData", "stringData", "immutable"];
        let is_frozen = |field: &&Field| parts.iter().any(|part| is_below(&field.path, part));
        fields.extend(changed.fields.iter().filter(is_frozen));
    }
    if changed.is("", "PersistentVolumeClaim") {
        fields.extend(changed.fields.iter().filter(|field| shrinks(field)));
    }
    fields
}

/// Some fields may be set once: by the server or by a later version of the sources.
fn is_first(rule: &Rule, field: &Field) -> bool {
    let once = [
        ("Service", "spec.clusterIP"),
        ("Service", "spec.loadBalancerClass"),
        ("PersistentVolumeClaim", "spec.volumeName"),
    ];
    let is_once = once
        .iter()
        .any(|(kind, path)| *kind == rule.kind && *path == field.path);
    // Not to declare what the server filled in is no change of it either.
    is_once && (field.change.before().is_none() || field.change.after().is_none())
}

/// A claim can grow and not shrink (ValidatePersistentVolumeClaimUpdate).
fn shrinks(field: &Field) -> bool {
    let quantity = |value: Option<&Value>| super::quantity::parse(value?.as_str()?);
    let (old, new) = (field.change.before(), field.change.after());
    field.path == "spec.resources.requests.storage"
        && match (quantity(old), quantity(new)) {
            (Some(old), Some(new)) => new < old,
            _ => false,
        }
}

/// True when `path` is at or below the pattern.
fn matches(path: &str, pattern: &str) -> bool {
    let Some((front, back)) = pattern.split_once("[*]") else {
        return is_below(path, pattern);
    };
    let Some(rest) = path
        .strip_prefix(front)
        .and_then(|rest| rest.strip_prefix('['))
    else {
        return false;
    };
    let Some((_, rest)) = rest.split_once(']') else {
        return false;
    };
    is_below(rest, back)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_one_element() {
        assert!(matches(
            "spec.containers[web].image",
            "spec.containers[*].image"
        ));
        assert!(!matches(
            "spec.containers[web].imagePullPolicy",
            "spec.containers[*].image"
        ));
        assert!(!matches("spec.containers", "spec.containers[*].image"));
        assert!(matches("spec.selector.matchLabels.app", "spec.selector"));
        assert!(!matches("spec.selectors", "spec.selector"));
    }
}
