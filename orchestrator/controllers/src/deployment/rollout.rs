//! One look at a rollout: what is there, what is wanted, and the next move.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, ReplicaSet, ReplicaSetSpec},
        core::v1::Pod,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::api::ObjectMeta;
use ordain_orchestrator_client::{controller_of, owner_reference};
use serde_json::json;

use super::{
    revision::{
        DESIRED_REPLICAS, HASH_LABEL, MAX_REPLICAS, REVISION, annotation, has_template, hash,
        missing_annotations, revision,
    },
    scale::{self, Size},
};
use crate::{
    Action,
    numbers::{Round, resolve},
    pods::is_finished,
};

/// Upstream's default for `maxSurge` and `maxUnavailable`.
const SHARE_DEFAULT: &str = "25%";
/// Upstream's default for `revisionHistoryLimit`.
const HISTORY_LIMIT_DEFAULT: i32 = 10;

/// What a look found out, for the `Progressing` condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing that the numbers do not show.
    Unchanged,
    /// The ReplicaSet of the template was made.
    Created(String),
    /// The rollout was paused or goes on.
    Paused(bool),
}

/// A Deployment with its ReplicaSets.
pub(super) struct Rollout<'a> {
    pub(super) deployment: &'a Deployment,
    pub(super) spec: &'a DeploymentSpec,
    /// The ReplicaSet of the current template.
    pub(super) new: Option<&'a ReplicaSet>,
    /// The others, oldest first.
    pub(super) old: Vec<&'a ReplicaSet>,
    pub(super) replicas: i32,
    pub(super) max_surge: i32,
    pub(super) max_unavailable: i32,
}

pub(super) fn replicas(set: &ReplicaSet) -> i32 {
    set.spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1)
}

pub(super) fn available(set: &ReplicaSet) -> i32 {
    set.status
        .as_ref()
        .and_then(|status| status.available_replicas)
        .unwrap_or(0)
}

fn name(set: &ReplicaSet) -> &str {
    set.metadata.name.as_deref().unwrap_or_default()
}

impl<'a> Rollout<'a> {
    pub(super) fn new(
        deployment: &'a Deployment,
        spec: &'a DeploymentSpec,
        sets: &[&'a ReplicaSet],
    ) -> Rollout<'a> {
        let mut old = sets.to_vec();
        old.sort_by_key(|set| (set.metadata.creation_timestamp.clone(), name(set)));
        // The oldest of several equal ones, so that the choice does not change.
        let position = old.iter().position(|set| has_template(set, &spec.template));
        let new = position.map(|position| old.remove(position));
        let replicas = spec.replicas.unwrap_or(1);
        let strategy = spec.strategy.as_ref();
        let recreate = strategy.is_some_and(|s| s.type_.as_deref() == Some("Recreate"));
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let share = IntOrString::String(SHARE_DEFAULT.into());
        let surge = rolling
            .and_then(|rolling| rolling.max_surge.as_ref())
            .unwrap_or(&share);
        let missing = rolling
            .and_then(|rolling| rolling.max_unavailable.as_ref())
            .unwrap_or(&share);
        let max_surge = resolve(surge, replicas, Round::Up);
        let mut max_unavailable = resolve(missing, replicas, Round::Down);
        if max_surge == 0 && max_unavailable == 0 {
            // Or nothing could ever move. Kubernetes `ResolveFenceposts`.
            max_unavailable = 1;
        }
        let (max_surge, max_unavailable) = if recreate {
            (0, 0)
        } else {
            (max_surge, max_unavailable.min(replicas))
        };
        Rollout {
            deployment,
            spec,
            new,
            old,
            replicas,
            max_surge,
            max_unavailable,
        }
    }

    pub(super) fn is_recreate(&self) -> bool {
        let strategy = self.spec.strategy.as_ref();
        strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("Recreate"))
    }

    pub(super) fn is_paused(&self) -> bool {
        self.spec.paused.unwrap_or(false)
    }

    /// All ReplicaSets, the newest template last.
    pub(super) fn all(&self) -> impl Iterator<Item = &'a ReplicaSet> {
        self.old.iter().copied().chain(self.new)
    }

    /// Returns the next move. `pods` are those of the ReplicaSets.
    pub(super) fn act(&self, pods: &[impl AsRef<Pod>]) -> (Vec<Action>, Progress) {
        if self.is_paused() {
            let mut actions = self.annotate_new();
            actions.extend(self.resize(scale::proportionally(self)));
            return (actions, Progress::Paused(true));
        }
        let progress = Progress::Paused(false);
        if self.new.is_some() && self.was_scaled() {
            let mut actions = self.annotate_new();
            actions.extend(self.resize(scale::proportionally(self)));
            return (actions, progress);
        }
        if self.is_recreate() {
            let shrink: Vec<_> = self
                .old
                .iter()
                .filter(|set| replicas(set) > 0)
                .map(|set| (*set, 0))
                .collect();
            if !shrink.is_empty() {
                return (self.resize(shrink), progress);
            }
            if self.old_pods_are_left(pods) {
                return (Vec::new(), progress);
            }
        }
        let Some(new) = self.new else {
            return self.create();
        };
        let mut actions = self.annotate_new();
        let size = scale::new_size(self, Some(new));
        if size == replicas(new) {
            actions.extend(self.resize(scale::shrink_old(self)));
        } else {
            actions.extend(self.resize(vec![(new, size)]));
        }
        (actions, progress)
    }

    /// Whether somebody changed `spec.replicas` since the ReplicaSets were scaled.
    fn was_scaled(&self) -> bool {
        self.all().filter(|set| replicas(set) > 0).any(|set| {
            let annotations = set.metadata.annotations.as_ref();
            annotations.is_some_and(|annotations| annotations.contains_key(DESIRED_REPLICAS))
                && annotation(annotations, DESIRED_REPLICAS) != i64::from(self.replicas)
        })
    }

    fn old_pods_are_left(&self, pods: &[impl AsRef<Pod>]) -> bool {
        let new = self.new.and_then(|new| new.metadata.uid.as_deref());
        pods.iter().map(AsRef::as_ref).any(|pod| {
            let owner = controller_of(&pod.metadata).map(|owner| owner.uid.as_str());
            owner.is_some() && owner != new && !is_finished(pod)
        })
    }

    fn create(&self) -> (Vec<Action>, Progress) {
        let collisions = self
            .deployment
            .status
            .as_ref()
            .and_then(|s| s.collision_count);
        let hash = hash(&self.spec.template, collisions.unwrap_or(0));
        let deployment = self.deployment.metadata.name.as_deref().unwrap_or_default();
        let name = format!("{deployment}-{hash}");
        let mut template = self.spec.template.clone();
        let meta = template.metadata.get_or_insert_default();
        meta.labels
            .get_or_insert_default()
            .insert(HASH_LABEL.into(), hash.clone());
        let labels = meta.labels.clone();
        let mut selector = self.spec.selector.clone();
        selector
            .match_labels
            .get_or_insert_default()
            .insert(HASH_LABEL.into(), hash);
        let size = scale::new_size(self, None);
        let revision = self.next_revision();
        let set = ReplicaSet {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                namespace: self.deployment.metadata.namespace.clone(),
                labels,
                annotations: Some(self.annotations(None, revision)),
                owner_references: Some(vec![owner_reference(self.deployment)]),
                ..ObjectMeta::default()
            },
            spec: Some(ReplicaSetSpec {
                replicas: Some(size),
                min_ready_seconds: self.spec.min_ready_seconds,
                selector,
                template: Some(template),
            }),
            status: None,
        };
        let mut actions = vec![Action::create(&set)];
        if size > 0 {
            actions.push(scaled_event(&name, 0, size));
        }
        actions.extend(self.note_revision(revision));
        (actions, Progress::Created(name))
    }

    /// The revision that the current template has or gets.
    fn next_revision(&self) -> i64 {
        self.old.iter().map(|set| revision(set)).max().unwrap_or(0) + 1
    }

    fn annotations(&self, set: Option<&ReplicaSet>, revision: i64) -> BTreeMap<String, String> {
        let max = self.replicas + self.max_surge;
        missing_annotations(self.deployment, set, revision, self.replicas, max)
    }

    /// Brings the annotations of the newest ReplicaSet and of the Deployment up to date.
    fn annotate_new(&self) -> Vec<Action> {
        let Some(new) = self.new else {
            return Vec::new();
        };
        let revision = self.next_revision().max(revision(new));
        let mut missing = self.annotations(Some(new), revision);
        // These are set with the scaling that they describe.
        missing.remove(DESIRED_REPLICAS);
        missing.remove(MAX_REPLICAS);
        let mut body = json!({});
        if !missing.is_empty() {
            body["metadata"]["annotations"] = json!(missing);
        }
        let min_ready = new
            .spec
            .as_ref()
            .and_then(|spec| spec.min_ready_seconds)
            .unwrap_or(0);
        if min_ready != self.spec.min_ready_seconds.unwrap_or(0) {
            body["spec"]["minReadySeconds"] = json!(self.spec.min_ready_seconds.unwrap_or(0));
        }
        let mut actions = Vec::new();
        if body != json!({}) {
            // Scaling may follow in the same look, so this does not depend on the version.
            actions.push(Action::patch_always(new, body));
        }
        actions.extend(self.note_revision(revision));
        actions
    }

    fn note_revision(&self, revision: i64) -> Option<Action> {
        let annotations = self.deployment.metadata.annotations.as_ref();
        if annotation(annotations, REVISION) == revision {
            return None;
        }
        let body = json!({ "metadata": { "annotations": { REVISION: revision.to_string() } } });
        // An annotation of ours does not contradict anybody's change.
        Some(Action::patch_always(self.deployment, body))
    }

    fn resize(&self, sizes: Vec<Size<'_>>) -> Vec<Action> {
        let mut actions = Vec::new();
        for (set, size) in sizes {
            let mut body = json!({});
            let annotations = set.metadata.annotations.as_ref();
            let max = i64::from(self.replicas + self.max_surge);
            if annotation(annotations, DESIRED_REPLICAS) != i64::from(self.replicas)
                || annotation(annotations, MAX_REPLICAS) != max
            {
                body["metadata"]["annotations"] = json!({
                    DESIRED_REPLICAS: self.replicas.to_string(),
                    MAX_REPLICAS: max.to_string(),
                });
            }
            if size != replicas(set) {
                body["spec"]["replicas"] = json!(size);
            }
            if body == json!({}) {
                continue;
            }
            // Only this controller scales it, and it has seen its own last change.
            actions.push(Action::patch_always(set, body));
            if size != replicas(set) {
                actions.push(scaled_event(name(set), replicas(set), size));
            }
        }
        actions
    }

    /// Returns what deletes the old ReplicaSets beyond the history limit, oldest revision first.
    pub(super) fn forget_history(&self) -> Vec<Action> {
        let limit = self
            .spec
            .revision_history_limit
            .unwrap_or(HISTORY_LIMIT_DEFAULT);
        let limit = usize::try_from(limit).unwrap_or(0);
        let mut old: Vec<_> = self
            .old
            .iter()
            .filter(|set| set.metadata.deletion_timestamp.is_none())
            .collect();
        let surplus = old.len().saturating_sub(limit);
        old.sort_by_key(|set| revision(set));
        let oldest = old.into_iter().take(surplus);
        let empty = oldest.filter(|set| {
            let status = set.status.as_ref();
            let observed = status.and_then(|status| status.observed_generation);
            replicas(set) == 0
                && status.is_some_and(|status| status.replicas == 0)
                && observed >= set.metadata.generation
        });
        empty.map(|set| Action::delete(*set)).collect()
    }
}

fn scaled_event(name: &str, from: i32, to: i32) -> Action {
    let direction = if to > from { "up" } else { "down" };
    let message = format!("Scaled {direction} replica set {name} from {from} to {to}");
    Action::note("ScalingReplicaSet", message)
}
