//! How large each ReplicaSet of a rollout should be next. Numbers only.
//! Kubernetes `pkg/controller/deployment/rolling.go` and `sync.go`.

use std::cmp::Reverse;

use k8s_openapi::api::apps::v1::ReplicaSet;

use super::{
    revision::{DESIRED_REPLICAS, MAX_REPLICAS, annotation},
    rollout::{Rollout, available, replicas},
};

/// A ReplicaSet and how many replicas it should have.
pub(super) type Size<'a> = (&'a ReplicaSet, i32);

/// Returns the size of the newest ReplicaSet: as many as the surge leaves room for.
pub(super) fn new_size(rollout: &Rollout<'_>, new: Option<&ReplicaSet>) -> i32 {
    let current = new.map_or(0, replicas);
    if rollout.is_recreate() || current > rollout.replicas {
        return rollout.replicas;
    }
    let total: i32 = rollout.all().map(replicas).sum();
    let room = rollout.replicas + rollout.max_surge - total;
    if room <= 0 {
        return current;
    }
    current + room.min(rollout.replicas - current)
}

/// Returns the old ReplicaSets that can shrink now: first by their pods that do not work anyway,
/// then by as many as the new ones that are available allow.
pub(super) fn shrink_old<'a>(rollout: &Rollout<'a>) -> Vec<Size<'a>> {
    let Some(new) = rollout.new else {
        return Vec::new();
    };
    let mut sizes: Vec<Size<'a>> = rollout
        .old
        .iter()
        .map(|set| (*set, replicas(set)))
        .collect();
    let old_total: i32 = sizes.iter().map(|(_, size)| size).sum();
    if old_total == 0 {
        return Vec::new();
    }
    let available_min = rollout.replicas - rollout.max_unavailable;
    let new_unavailable = replicas(new) - available(new);
    let mut removable = old_total + replicas(new) - available_min - new_unavailable;
    if removable <= 0 {
        return Vec::new();
    }
    for (set, size) in &mut sizes {
        let unhealthy = (*size - available(set)).max(0).min(removable);
        *size -= unhealthy;
        removable -= unhealthy;
    }
    let available_now: i32 = rollout.all().map(available).sum();
    let mut spare = available_now - available_min;
    for (_, size) in &mut sizes {
        let step = (*size).min(spare.max(0));
        *size -= step;
        spare -= step;
    }
    sizes.retain(|(set, size)| *size != replicas(set));
    sizes
}

/// Returns the sizes after `spec.replicas` was changed: the change is spread over the ReplicaSets
/// of a running rollout in proportion to their sizes.
pub(super) fn proportionally<'a>(rollout: &Rollout<'a>) -> Vec<Size<'a>> {
    let mut active: Vec<_> = rollout.all().filter(|set| replicas(set) > 0).collect();
    if active.len() <= 1 {
        let only = active
            .first()
            .copied()
            .or(rollout.new)
            .or(rollout.old.last().copied());
        return only
            .map(|set| (set, rollout.replicas))
            .into_iter()
            .collect();
    }
    if rollout.new.is_some_and(|new| is_saturated(rollout, new)) {
        let old = rollout.old.iter().filter(|set| replicas(set) > 0);
        return old.map(|set| (*set, 0)).collect();
    }
    if rollout.is_recreate() {
        return Vec::new();
    }
    let total: i32 = active.iter().map(|set| replicas(set)).sum();
    let allowed = if rollout.replicas > 0 {
        rollout.replicas + rollout.max_surge
    } else {
        0
    };
    let change = allowed - total;
    // Larger ones first; of equals the newer one grows and the older one shrinks first.
    active.reverse();
    if change < 0 {
        active.reverse();
    }
    active.sort_by_key(|set| Reverse(replicas(set)));
    let mut spread = 0;
    let mut sizes: Vec<Size<'a>> = Vec::new();
    for set in active {
        let left = change - spread;
        let share = share(rollout, set);
        let part = if change > 0 {
            share.clamp(0, left)
        } else {
            share.clamp(left, 0)
        };
        spread += part;
        sizes.push((set, replicas(set) + part));
    }
    // What rounding has left over goes to the first.
    if let Some((_, size)) = sizes.first_mut() {
        *size = (*size + change - spread).max(0);
    }
    sizes
}

/// Returns by how much a ReplicaSet would change if the Deployment were scaled as a whole.
fn share(rollout: &Rollout<'_>, set: &ReplicaSet) -> i32 {
    let size = replicas(set);
    if rollout.replicas == 0 {
        return -size;
    }
    let annotations = set.metadata.annotations.as_ref();
    let before = match annotation(annotations, MAX_REPLICAS) {
        0 => i64::from(set.status.as_ref().map_or(0, |status| status.replicas)),
        max => max,
    };
    let before = before.max(1) as f64;
    let after = f64::from(size) * f64::from(rollout.replicas + rollout.max_surge) / before;
    after.round() as i32 - size
}

/// Whether the newest ReplicaSet has taken over completely.
fn is_saturated(rollout: &Rollout<'_>, new: &ReplicaSet) -> bool {
    let desired = annotation(new.metadata.annotations.as_ref(), DESIRED_REPLICAS);
    replicas(new) == rollout.replicas
        && desired == i64::from(rollout.replicas)
        && available(new) == rollout.replicas
}
