//! What is kept of an app's objects between an apply and the next: a few words each, whatever their size.

use std::{collections::BTreeMap, sync::Arc};

use ordain_reconciler_plan::{
    Candidate, Desired, Graph, ObjectKey, Plan, Policy, Verb, event_hook,
    health::{Health, gone},
    policy::Apply,
};
use serde_json::Value;

use crate::{cluster::selector_query, health_view::expires, hooks::Run, live::Seen, stuck::Stuck};

/// One declared object.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) key: ObjectKey,
    /// The version it is applied in.
    pub(crate) version: String,
    /// True for a Job that deletes itself when it is done: when it is gone, it is done.
    pub(crate) expires: bool,
    /// What it means that it is not there.
    pub(crate) gone: Health,
    /// The namespace and label query of its pods, when it runs some.
    pub(crate) pods: Option<(String, String)>,
    /// What its annotations ask for.
    pub(crate) care: Care,
    /// When it may be gone once it is done: which run it is.
    pub(crate) run: Option<Box<Run>>,
    /// As it was written or found.
    pub(crate) written: Option<Arc<Seen>>,
}

/// How far an object is ours to keep as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Care {
    /// Every declared field.
    Full,
    /// That it exists; what is in it is others' business. The annotation that says so.
    Existence(String),
    /// Nothing: somebody said so, by this annotation.
    None(String),
    /// Nothing in a rollout: it runs at another time, or never. The annotation that says so.
    Elsewhere(String),
}

impl Care {
    /// What an object's annotations ask for, as it is declared and as it is.
    pub(crate) fn of(declared: &Value, live: Option<&Value>) -> Self {
        let policy = Policy::merged(declared, live);
        let by = |by: Option<String>| by.unwrap_or_else(|| "an annotation".to_owned());
        if policy.paused.value {
            return Self::None(by(policy.paused.by));
        }
        if let Some(hook) = event_hook(declared) {
            return Self::Elsewhere(hook.by);
        }
        match policy.apply.value {
            Apply::Ignore => Self::None(by(policy.apply.by)),
            Apply::IfNotPresent => Self::Existence(by(policy.apply.by)),
            Apply::Override | Apply::Merge => Self::Full,
        }
    }
}

impl Member {
    pub(crate) fn of(desired: &Desired, care: Care, written: Option<Arc<Seen>>) -> Self {
        Self {
            key: desired.key.clone(),
            version: desired.version.version.clone(),
            expires: expires(&desired.object),
            gone: gone(&desired.object),
            pods: pods_of(desired),
            care,
            run: Run::of(desired),
            written,
        }
    }
}

/// The namespace and label query of an object's pods.
fn pods_of(desired: &Desired) -> Option<(String, String)> {
    let namespace = desired.key.namespace.clone()?;
    let object = &desired.object;
    let labels = match (desired.key.group.as_str(), desired.key.kind.as_str()) {
        ("apps", _) => selector_query(object.pointer("/spec/selector")?)?,
        // Set by the Job controller (Kubernetes `pkg/apis/batch/types.go`).
        ("batch", "Job") => format!("batch.kubernetes.io/job-name={}", desired.key.name),
        _ => return None,
    };
    Some((namespace, labels))
}

/// The state of an app between an apply and the next one.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) members: Vec<Member>,
    /// Objects that are not as declared.
    pub(crate) stuck: Vec<Stuck>,
    /// The order of the objects, while some of them are stuck.
    pub(crate) graph: Option<Arc<Graph>>,
    /// Objects of the inventory that are not declared.
    pub(crate) candidates: Vec<Candidate>,
    /// Why some of those could not be read; then none is deleted.
    pub(crate) unread: Vec<String>,
    /// What is to be deleted, and what waits.
    pub(crate) plan: Plan,
    /// Objects that are being deleted, and what holds them up.
    pub(crate) leaving: BTreeMap<ObjectKey, String>,
    /// Set when the objects were looked at in part: what is to be deleted was found out earlier.
    pub(crate) partial: bool,
}

impl Applied {
    /// True when something of it was refused or failed, or is behind that.
    pub(crate) fn is_failing(&self) -> bool {
        self.stuck.iter().any(|stuck| !stuck.waits()) || !self.unread.is_empty()
    }

    /// Every reason why it is not as declared.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let stuck = self.stuck.iter().filter(|stuck| !stuck.waits());
        let mut reasons: Vec<_> = stuck.map(ToString::to_string).collect();
        reasons.extend(self.unread.iter().cloned());
        reasons
    }

    /// True when everything that failed may go away by itself.
    pub(crate) fn is_transient(&self) -> bool {
        self.stuck.iter().all(Stuck::is_transient)
    }

    /// True when there is something to delete, or that waits to be.
    pub(crate) fn has_removals(&self) -> bool {
        !self.plan.actions.is_empty()
    }

    /// Drops what is no longer needed of a plan that was carried out.
    pub(crate) fn slim(plan: Plan) -> Plan {
        let Plan {
            owner,
            hash,
            actions,
            held,
        } = plan;
        let removals = |verb: &Verb| {
            use Verb::{Delete, Forget, Held, Keep, Release};
            matches!(verb, Delete | Held | Keep | Forget | Release)
        };
        let mut actions = actions;
        actions.retain(|action| removals(&action.verb));
        actions.shrink_to_fit();
        Plan {
            owner,
            hash,
            actions,
            held,
        }
    }
}
