//! Which template a ReplicaSet stands for, and its number in the history.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::PodTemplateSpec,
};
use sha2::{Digest, Sha256};

/// The number of a template in the history of its Deployment.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
/// Earlier numbers of the same template, from before it was rolled back to.
pub(super) const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// `spec.replicas` of the Deployment when the ReplicaSet was scaled last.
pub(super) const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
/// The same with the surge on top.
pub(super) const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";
/// Tells the pods of one template from those of the others.
pub(super) const HASH_LABEL: &str = "pod-template-hash";

/// Annotations that a ReplicaSet does not take over from its Deployment.
const OWN_ANNOTATIONS: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "deprecated.deployment.rollback.to",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
];

type Annotations = BTreeMap<String, String>;

/// Returns whether the ReplicaSet was made from this template.
pub(super) fn has_template(set: &ReplicaSet, template: &PodTemplateSpec) -> bool {
    let theirs = set.spec.as_ref().and_then(|spec| spec.template.as_ref());
    theirs.is_some_and(|theirs| without_hash(theirs) == without_hash(template))
}

fn without_hash(template: &PodTemplateSpec) -> PodTemplateSpec {
    let mut template = template.clone();
    let meta = template.metadata.get_or_insert_default();
    if let Some(labels) = &mut meta.labels {
        labels.remove(HASH_LABEL);
    }
    // No labels and an empty map of labels are the same.
    meta.labels = meta.labels.take().filter(|labels| !labels.is_empty());
    meta.annotations = meta
        .annotations
        .take()
        .filter(|annotations| !annotations.is_empty());
    template
}

/// Returns the name part for a template: different for different templates, and different again
/// after `collisions` names were found taken.
pub(super) fn hash(template: &PodTemplateSpec, collisions: i32) -> String {
    /// No vowels and nothing that looks like one, so that no words come up.
    /// Kubernetes `apimachinery/pkg/util/rand.SafeEncodeString`.
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    const LENGTH: usize = 10;
    let mut digest = Sha256::new();
    digest.update(serde_json::to_vec(template).expect("Kubernetes types are plain data"));
    digest.update(collisions.to_le_bytes());
    let letters = digest.finalize();
    let letters = letters.iter().take(LENGTH);
    letters
        .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]))
        .collect()
}

/// Returns the revision of a ReplicaSet; 0 when it has none.
pub(super) fn revision(set: &ReplicaSet) -> i64 {
    annotation(set.metadata.annotations.as_ref(), REVISION)
}

pub(super) fn annotation(annotations: Option<&Annotations>, name: &str) -> i64 {
    annotations
        .and_then(|annotations| annotations.get(name))
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

/// Returns the annotations that the newest ReplicaSet should have and does not.
pub(super) fn missing_annotations(
    deployment: &Deployment,
    set: Option<&ReplicaSet>,
    revision: i64,
    desired: i32,
    max: i32,
) -> Annotations {
    let mut wanted: Annotations = deployment.metadata.annotations.clone().unwrap_or_default();
    wanted.retain(|name, _| !OWN_ANNOTATIONS.contains(&name.as_str()));
    wanted.insert(DESIRED_REPLICAS.into(), desired.to_string());
    wanted.insert(MAX_REPLICAS.into(), max.to_string());
    let existing = set.and_then(|set| set.metadata.annotations.as_ref());
    let before = annotation(existing, REVISION);
    if before < revision {
        wanted.insert(REVISION.into(), revision.to_string());
        if before > 0 {
            let history = existing.and_then(|existing| existing.get(REVISION_HISTORY));
            let history = match history.map(String::as_str) {
                None | Some("") => before.to_string(),
                Some(earlier) => format!("{earlier},{before}"),
            };
            wanted.insert(REVISION_HISTORY.into(), history);
        }
    }
    wanted.retain(|name, value| existing.and_then(|existing| existing.get(name)) != Some(value));
    wanted
}
