//! Whether an object that is no longer declared may be deleted. Every filter has to agree.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    ApiVersion, Desired, Graph, OWNER_ANNOTATION, ObjectKey, OnRemove, Policy, Rules, json,
    policy::{Asked, Prune},
};

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
    /// Another app of the same commit declares it and has not applied it yet. Until its mark changes it stays ours.
    Moving {
        /// The other app.
        to: String,
    },
    /// It was applied a moment ago under another name of its API group; forget the old name.
    SameObject,
    /// A mark asks to keep it; forget it.
    OptedOut {
        /// The mark.
        mark: String,
    },
    /// A mark on it is not understood: it may have been meant to keep it.
    Unclear {
        /// What is wrong with it.
        problem: String,
    },
    /// A mark on it says that nobody touches it for now.
    Paused {
        /// The mark.
        mark: String,
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
    /// Something that stays would not work without it.
    Needed {
        /// What stays.
        by: ObjectKey,
        /// How it needs it.
        why: String,
    },
    /// The app was taken out, and its objects are to stay; forget it.
    Orphaned,
    /// Something of the app is not as declared, so nothing is deleted.
    Unfinished {
        /// What.
        because: String,
    },
}

impl Keep {
    /// True when the object leaves the inventory.
    #[must_use]
    pub fn forget(&self) -> bool {
        matches!(
            self,
            Self::Gone
                | Self::NotOurs { .. }
                | Self::SameObject
                | Self::OptedOut { .. }
                | Self::Orphaned
        )
    }

    /// True when it is left in the cluster, so that what it needs has to be left too.
    fn stays(&self) -> bool {
        !matches!(
            self,
            Self::Gone | Self::SameObject | Self::Terminating { .. }
        )
    }

    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Gone => "no longer declared, and gone already".to_owned(),
            Self::NotOurs { owner: Some(owner) } => format!("now belongs to {owner}"),
            Self::NotOurs { owner: None } => "does not carry our mark any more".to_owned(),
            Self::Moving { to } => format!("moves to {to}"),
            Self::SameObject => "the same object is declared under another API group".to_owned(),
            Self::OptedOut { mark } => format!("kept because of `{mark}`"),
            Self::Unclear { problem } => format!("kept until its marks are right: {problem}"),
            Self::Paused { mark } => format!("left alone because of `{mark}`"),
            Self::HoldsObjects { count } => format!("{count} declared objects are in it"),
            Self::Terminating { finalizers } if finalizers.is_empty() => "being deleted".to_owned(),
            Self::Terminating { finalizers } => {
                format!("being deleted, held by {}", finalizers.join(", "))
            }
            Self::Needed { by, why } => format!("{by} stays and needs it ({why})"),
            Self::Orphaned => "the app is gone and leaves it behind".to_owned(),
            Self::Unfinished { because } => format!("kept until all is as declared: {because}"),
        }
    }
}

/// What becomes of a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    Delete,
    /// It is deleted once somebody approves it: a mark on it says so.
    Confirm {
        mark: String,
    },
    Keep(Keep),
}

impl Fate {
    fn stays(&self) -> bool {
        match self {
            Self::Delete => false,
            Self::Confirm { .. } => true,
            Self::Keep(keep) => keep.stays(),
        }
    }
}

/// What a filter needs to know about the objects that stay.
pub(crate) struct Context<'a> {
    pub(crate) owner: &'a str,
    pub(crate) desired: &'a [Desired],
    pub(crate) applied_uids: BTreeSet<&'a str>,
    pub(crate) rules: &'a Rules,
    /// True when somebody approved the deletion of this object.
    pub(crate) approved: &'a dyn Fn(&ObjectKey) -> bool,
    /// Why nothing may be deleted now.
    pub(crate) unfinished: Option<String>,
}

/// Decides about every candidate, in their order.
pub(crate) fn fates(candidates: &[Candidate], context: &Context<'_>) -> Vec<Fate> {
    let mut namespaces: BTreeMap<&str, usize> = BTreeMap::new();
    for namespace in context
        .desired
        .iter()
        .filter_map(|desired| desired.key.namespace.as_deref())
    {
        *namespaces.entry(namespace).or_default() += 1;
    }
    let fate = |candidate| match keep(candidate, context, &namespaces) {
        Some(keep) => Fate::Keep(keep),
        None => match confirm(candidate, context) {
            Some(mark) => Fate::Confirm { mark },
            None => Fate::Delete,
        },
    };
    let mut fates: Vec<_> = candidates.iter().map(fate).collect();
    keep_needed(candidates, context.desired, &mut fates);
    if let Some(because) = &context.unfinished {
        for fate in &mut fates {
            if matches!(fate, Fate::Delete | Fate::Confirm { .. }) {
                *fate = Fate::Keep(Keep::Unfinished {
                    because: because.clone(),
                });
            }
        }
    }
    fates
}

fn confirm(candidate: &Candidate, context: &Context<'_>) -> Option<String> {
    let policy = Policy::of(candidate.live.as_ref()?).prune;
    let waits = policy.value == Prune::Confirm && !(context.approved)(&candidate.key);
    waits.then(|| policy.by.unwrap_or_default())
}

/// Returns why the candidate stays, or `None` when it may be deleted.
fn keep(
    candidate: &Candidate,
    context: &Context<'_>,
    namespaces: &BTreeMap<&str, usize>,
) -> Option<Keep> {
    let Some(live) = &candidate.live else {
        return Some(Keep::Gone);
    };
    let owner = json::annotation(live, OWNER_ANNOTATION);
    if owner != Some(context.owner) {
        return Some(Keep::NotOurs {
            owner: owner.map(str::to_owned),
        });
    }
    let uid = json::text(live, "/metadata/uid");
    if !uid.is_empty() && context.applied_uids.contains(uid) {
        return Some(Keep::SameObject);
    }
    if context.rules.removed == Some(OnRemove::Orphan) {
        return Some(Keep::Orphaned);
    }
    let claims = context.rules.claims.as_ref();
    if let Some(to) = claims.and_then(|claims| claims.other(&candidate.key, context.owner)) {
        return Some(Keep::Moving { to: to.to_owned() });
    }
    let policy = Policy::of(live);
    if !policy.problems.is_empty() {
        let problem = policy.problems.join("; ");
        return Some(Keep::Unclear { problem });
    }
    if let Asked {
        value: Prune::Disabled,
        by,
    } = policy.prune
    {
        return Some(Keep::OptedOut {
            mark: by.unwrap_or_default(),
        });
    }
    if let Asked { value: true, by } = policy.paused {
        return Some(Keep::Paused {
            mark: by.unwrap_or_default(),
        });
    }
    if live
        .pointer("/metadata/deletionTimestamp")
        .is_some_and(|at| !at.is_null())
    {
        let finalizers = json::items(live, "/metadata/finalizers").filter_map(Value::as_str);
        return Some(Keep::Terminating {
            finalizers: finalizers.map(str::to_owned).collect(),
        });
    }
    let count = namespaces
        .get(candidate.key.name.as_str())
        .copied()
        .unwrap_or(0);
    (candidate.key.is("", "Namespace") && count > 0).then_some(Keep::HoldsObjects { count })
}

/// Keeps what something that stays cannot do without, and so on along the references (cli-utils `DependencyFilter`).
fn keep_needed(candidates: &[Candidate], desired: &[Desired], fates: &mut [Fate]) {
    if fates.iter().all(|fate| matches!(fate, Fate::Keep(_))) {
        return;
    }
    let position: HashMap<_, _> = candidates
        .iter()
        .enumerate()
        .map(|(at, candidate)| (&candidate.key, at))
        .collect();
    let live = candidates
        .iter()
        .filter_map(|candidate| Some((&candidate.key, candidate.live.as_ref()?)));
    let declared = desired
        .iter()
        .map(|desired| (&desired.key, &desired.object));
    let graph = Graph::of(declared.chain(live));
    let mut needs: HashMap<&ObjectKey, Vec<_>> = HashMap::new();
    for edge in graph.edges().filter(|edge| edge.why.needs()) {
        needs
            .entry(edge.from)
            .or_default()
            .push((edge.on, edge.why.to_string()));
    }
    let staying = (0..candidates.len()).filter(|at| fates[*at].stays());
    let mut stack: Vec<_> = staying.map(|at| &candidates[at].key).collect();
    stack.extend(desired.iter().map(|desired| &desired.key));
    while let Some(by) = stack.pop() {
        for (on, why) in needs.get(by).into_iter().flatten() {
            if let Some(&at) = position.get(on)
                && matches!(fates[at], Fate::Delete | Fate::Confirm { .. })
            {
                let (by, why) = (by.clone(), why.clone());
                let waits = matches!(fates[at], Fate::Delete);
                fates[at] = Fate::Keep(Keep::Needed { by, why });
                if waits {
                    stack.push(on);
                }
            }
        }
    }
}
