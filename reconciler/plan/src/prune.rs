//! Whether an object that is no longer declared may be deleted. Every filter has to agree.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ApiVersion, OWNER_ANNOTATION, ObjectKey};

/// An object of the inventory that the commit does not declare.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its identity.
    pub key: ObjectKey,
    /// The version it is read by.
    pub version: ApiVersion,
    /// As it is in the cluster; `None` when it is gone.
    pub live: Option<Value>,
}

/// Why an object stays although nothing declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// It is gone already; forget it.
    Gone,
    /// Its mark names another owner, or it has none; forget it.
    NotOurs {
        /// The owner by the mark.
        owner: Option<String>,
    },
    /// It was applied a moment ago under another name of its API group; forget the old name.
    SameObject,
    /// A mark on the live object asks to keep it; forget it.
    OptedOut {
        /// The mark.
        mark: &'static str,
    },
    /// A namespace in which objects of this app are declared.
    HoldsObjects {
        /// How many.
        count: usize,
    },
    /// It is being deleted; something holds it back.
    Terminating {
        /// Its finalizers.
        finalizers: Vec<String>,
    },
}

impl Keep {
    /// True when the object leaves the inventory.
    #[must_use]
    pub fn forget(&self) -> bool {
        !matches!(self, Self::HoldsObjects { .. } | Self::Terminating { .. })
    }

    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Gone => "no longer declared, and gone already".to_owned(),
            Self::NotOurs { owner: Some(owner) } => format!("now belongs to {owner}"),
            Self::NotOurs { owner: None } => "does not carry our mark any more".to_owned(),
            Self::SameObject => "the same object is declared under another API group".to_owned(),
            Self::OptedOut { mark } => format!("kept because of `{mark}`"),
            Self::HoldsObjects { count } => format!("{count} declared objects are in it"),
            Self::Terminating { finalizers } if finalizers.is_empty() => "being deleted".to_owned(),
            Self::Terminating { finalizers } => {
                format!("being deleted, held by {}", finalizers.join(", "))
            }
        }
    }
}

/// Annotations that say "do not delete": ours, and those of the tools that people come from
/// (kustomize-controller, Argo CD, cli-utils, Helm).
const OPT_OUTS: [(&str, &str, &str); 7] = [
    ("ordain.dev/prune", "disabled", "ordain.dev/prune: disabled"),
    (
        "kustomize.toolkit.fluxcd.io/prune",
        "disabled",
        "kustomize.toolkit.fluxcd.io/prune: disabled",
    ),
    (
        "argocd.argoproj.io/sync-options",
        "Prune=false",
        "argocd.argoproj.io/sync-options: Prune=false",
    ),
    (
        "argocd.argoproj.io/sync-options",
        "Delete=false",
        "argocd.argoproj.io/sync-options: Delete=false",
    ),
    (
        "cli-utils.sigs.k8s.io/on-remove",
        "keep",
        "cli-utils.sigs.k8s.io/on-remove: keep",
    ),
    (
        "client.lifecycle.config.k8s.io/deletion",
        "detach",
        "client.lifecycle.config.k8s.io/deletion: detach",
    ),
    (
        "helm.sh/resource-policy",
        "keep",
        "helm.sh/resource-policy: keep",
    ),
];

/// What a filter needs to know about the objects that stay.
pub(crate) struct Context<'a> {
    pub(crate) owner: &'a str,
    pub(crate) applied_uids: BTreeSet<&'a str>,
    pub(crate) namespaces: BTreeMap<&'a str, usize>,
}

/// Returns why the candidate stays, or `None` when it may be deleted.
pub(crate) fn keep(candidate: &Candidate, context: &Context<'_>) -> Option<Keep> {
    let Some(live) = &candidate.live else {
        return Some(Keep::Gone);
    };
    let annotation = |key: &str| {
        let annotations = live.pointer("/metadata/annotations")?;
        annotations.get(key).and_then(Value::as_str)
    };
    let owner = annotation(OWNER_ANNOTATION);
    if owner != Some(context.owner) {
        return Some(Keep::NotOurs {
            owner: owner.map(str::to_owned),
        });
    }
    let uid = live.pointer("/metadata/uid").and_then(Value::as_str);
    if uid.is_some_and(|uid| context.applied_uids.contains(uid)) {
        return Some(Keep::SameObject);
    }
    let opted_out = OPT_OUTS.iter().find(|(key, value, _)| {
        annotation(key).is_some_and(|found| found.split(',').any(|part| part.trim() == *value))
    });
    if let Some((_, _, mark)) = opted_out {
        return Some(Keep::OptedOut { mark });
    }
    if live
        .pointer("/metadata/deletionTimestamp")
        .is_some_and(|at| !at.is_null())
    {
        let finalizers = live
            .pointer("/metadata/finalizers")
            .and_then(Value::as_array);
        let finalizers = finalizers.into_iter().flatten().filter_map(Value::as_str);
        return Some(Keep::Terminating {
            finalizers: finalizers.map(str::to_owned).collect(),
        });
    }
    let count = context
        .namespaces
        .get(candidate.key.name.as_str())
        .copied()
        .unwrap_or(0);
    (candidate.key.is("", "Namespace") && count > 0).then_some(Keep::HoldsObjects { count })
}
