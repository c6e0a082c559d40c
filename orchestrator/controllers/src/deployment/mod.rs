//! Deployment: replaces one generation of pods by the next without taking the service down.
//! Kubernetes `pkg/controller/deployment`.
//!
//! It never touches pods: it scales ReplicaSets, one per template, and keeps old ones as history
//! for `kubectl rollout undo`.

mod revision;
mod rollout;
mod run;
mod scale;
mod status;

use std::sync::Arc;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet},
        core::v1::Pod,
    },
    jiff::Timestamp,
};
use ordain_orchestrator_client::{controller_of, owner_reference};
use serde_json::json;

use crate::{Action, pods::matcher};

pub(crate) use run::run;

use rollout::{Progress, Rollout};

/// Decides for one Deployment. `sets` are the ReplicaSets of its namespace that it owns or that
/// nobody owns; `pods` are those of its ReplicaSets, which only `Recreate` looks at.
pub fn step(
    deployment: &Deployment,
    sets: &[Arc<ReplicaSet>],
    pods: &[Arc<Pod>],
    now: Timestamp,
) -> Vec<Action> {
    let Some(spec) = &deployment.spec else {
        return Vec::new();
    };
    let matches = matcher(&spec.selector);
    let uid = deployment.metadata.uid.as_deref();
    let deleting = deployment.metadata.deletion_timestamp.is_some();
    let mut adoptions = Vec::new();
    let mut mine = Vec::new();
    for set in sets {
        match controller_of(&set.metadata) {
            Some(owner) if Some(owner.uid.as_str()) == uid => mine.push(&**set),
            None if !deleting
                && set.metadata.deletion_timestamp.is_none()
                && matches(&set.metadata) =>
            {
                let mut owners = set.metadata.owner_references.clone().unwrap_or_default();
                owners.push(owner_reference(deployment));
                let body = json!({ "metadata": { "ownerReferences": owners } });
                adoptions.push(Action::patch(&**set, body));
            }
            _ => {}
        }
    }
    if !adoptions.is_empty() {
        // The next look finds them owned.
        return adoptions;
    }
    let rollout = Rollout::new(deployment, spec, &mine);
    let (mut actions, progress) = if deleting {
        (Vec::new(), Progress::Unchanged)
    } else {
        rollout.act(pods)
    };
    let (status, again) = status::status(&rollout, &progress, now);
    if deployment.status.as_ref() != Some(&status) {
        actions.push(Action::status(deployment, &status));
    }
    if !deleting && status::is_complete(&rollout, &status) {
        actions.extend(rollout.forget_history());
    }
    actions.extend(again.map(Action::After));
    actions
}
