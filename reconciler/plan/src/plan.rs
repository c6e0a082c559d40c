//! The plan of one app: what happens to each object, and why. Data, complete before anything is done.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    ApiVersion, Breaker, Candidate, Desired, FieldChange, Graph, ObjectKey, OnRemove, Rules, Taken,
    Walk, decide, digest,
    hooks::plain,
    object_approval, prune,
    prune::{Fate, Keep},
};

/// Why the server refused an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// In the server's words.
    pub message: String,
    /// Fields which the server says are immutable; empty for any other refusal. A plain 422 is not
    /// taken for one: fluxcd/flux2#3627 deleted live objects because of typos.
    #[serde(default)]
    pub immutable: Vec<String>,
    /// True when trying again may help: the server was busy or not reachable.
    #[serde(default)]
    pub transient: bool,
}

/// What a server-side dry run said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DryRun {
    /// The object as it would be.
    Accepted(Value),
    /// The server would refuse it.
    Refused(Refusal),
    /// It cannot be tried yet: this plan makes or changes the definition of its kind, and it fits that; the
    /// name of the definition.
    Later(String),
    /// It cannot be tried yet: its namespace does not exist.
    NoNamespace,
    /// It cannot be tried at all, and is judged when it is written: why.
    Untried(String),
}

impl DryRun {
    /// True when the server is asked once something else of the plan is there, and nothing is written before.
    #[must_use]
    pub fn is_later(&self) -> bool {
        matches!(self, Self::Later(_) | Self::NoNamespace)
    }
}

/// What was found in the cluster for one desired object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// As it is; `None` when it does not exist.
    pub live: Option<Value>,
    /// As it would be.
    pub dry_run: DryRun,
}

/// Everything a plan is made from.
#[derive(Debug)]
pub struct Input<'a> {
    /// The owner's mark, `<environment>/<app>`.
    pub owner: &'a str,
    /// What the commit declares, prepared, in any order.
    pub desired: &'a [Desired],
    /// What was found, one for each of `desired`.
    pub observed: &'a [Observed],
    /// Objects of the inventory that `desired` does not name.
    pub candidates: &'a [Candidate],
    /// The limits for deletions.
    pub breaker: Breaker,
    /// What somebody approved: hashes of plans, and single objects by [`object_approval`](crate::object_approval).
    pub approved: &'a BTreeSet<String>,
    /// Everything else it depends on.
    pub rules: &'a Rules,
}

/// What happens to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// It is applied and did not exist.
    Create,
    /// It is applied and changes.
    Update,
    /// It is deleted and created again, because a field cannot be changed.
    Replace,
    /// It is as declared; nothing is sent.
    Unchanged,
    /// It is no longer declared and is deleted.
    Delete,
    /// It should be deleted and waits for an approval.
    Held,
    /// It is no longer declared and stays in the inventory.
    Keep,
    /// It is no longer declared and leaves the inventory without being touched.
    Forget,
    /// It is no longer declared, stays, and loses our mark; it leaves the inventory.
    Release,
    /// It cannot be applied: the server would refuse it, or it means nothing, or it is somebody else's.
    Refused,
    /// Nothing is wrong with it, but something that it needs is refused.
    Blocked,
    /// It is declared and left alone, because a mark on it asks for that.
    Skipped,
}

/// What happens to one object, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// The object.
    pub key: ObjectKey,
    /// The version it is written in.
    pub version: ApiVersion,
    /// What happens.
    pub verb: Verb,
    /// Why, in words.
    pub reason: String,
    /// The fields that change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FieldChange>,
    /// Fields which other managers lose by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<Taken>,
    /// `file:line` of its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// What happens to an app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// `<environment>/<app>`.
    pub owner: String,
    /// See [`plan_hash`].
    pub hash: String,
    /// In the order in which they are carried out; deletions last.
    pub actions: Vec<Action>,
    /// Why deletions wait; empty when they do not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<String>,
}

impl Plan {
    /// The number of objects with this verb.
    #[must_use]
    pub fn count(&self, verb: Verb) -> usize {
        self.with(verb).count()
    }

    /// The actions with this verb, in order.
    pub fn with(&self, verb: Verb) -> impl Iterator<Item = &Action> {
        self.actions
            .iter()
            .filter(move |action| action.verb == verb)
    }

    /// True when carrying it out would send nothing.
    #[must_use]
    pub fn is_noop(&self) -> bool {
        self.actions.iter().all(|action| {
            matches!(
                action.verb,
                Verb::Unchanged | Verb::Keep | Verb::Held | Verb::Skipped
            )
        })
    }
}

/// Makes the plan of an app.
///
/// # Panics
/// When `observed` is not as long as `desired`.
#[must_use]
pub fn plan(input: &Input<'_>) -> Plan {
    assert_eq!(
        input.desired.len(),
        input.observed.len(),
        "one observation for each object"
    );
    let hash = input.rules.hash.clone().unwrap_or_else(|| {
        let gone = input.candidates.iter().map(|candidate| &candidate.key);
        plan_hash(input.owner, input.desired, gone)
    });
    let graph = Graph::new(input.desired);
    let problems: HashMap<_, _> = graph.problems().collect();
    let objects = input.desired.iter().zip(input.observed);
    let mut actions: Vec<_> = objects
        .map(|(desired, observed)| match problems.get(&desired.key) {
            Some(problem) => decide::refused(desired, problem),
            None => decide::decide(input, &hash, desired, observed),
        })
        .collect();
    block(&graph, &mut actions);
    let order = graph.order();
    let place: HashMap<_, _> = order
        .iter()
        .enumerate()
        .map(|(at, key)| (*key, at))
        .collect();
    actions.sort_by_key(|action| place.get(&action.key).copied());

    let unfinished = actions
        .iter()
        .find(|action| matches!(action.verb, Verb::Refused | Verb::Blocked))
        .map(|action| format!("{} is not", action.key));
    let (mut removals, mut held) = removals(input, &hash, unfinished);
    let deletes: Vec<_> = with(&removals, Verb::Delete)
        .map(|action| &action.key)
        .collect();
    let mut breaks = breaks(input, &deletes);
    if !deletes.is_empty() {
        breaks.extend(input.rules.holds.iter().cloned());
    }
    if !input.approved.contains(&hash) && !breaks.is_empty() {
        let deletes = removals
            .iter_mut()
            .filter(|action| action.verb == Verb::Delete);
        deletes.for_each(|action| action.verb = Verb::Held);
        held.splice(0..0, breaks);
    }
    actions.extend(removals);
    Plan {
        owner: input.owner.to_owned(),
        hash,
        actions,
        held,
    }
}

/// Why deletions wait for an approval.
fn breaks(input: &Input<'_>, deletes: &[&ObjectKey]) -> Vec<String> {
    if matches!(input.rules.removed, Some(OnRemove::Delete | OnRemove::Wait)) {
        return Breaker::data(deletes);
    }
    let before = input.desired.len() + input.candidates.len();
    let mut breaks = input.breaker.check(deletes, before);
    if input.desired.is_empty() && !deletes.is_empty() && breaks.is_empty() {
        // An app that declares nothing is more often a mistake than a wish.
        breaks.push("nothing is declared any more".to_owned());
    }
    breaks
}

/// Marks what cannot be applied because of something else.
fn block(graph: &Graph, actions: &mut [Action]) {
    let stops = |action: &&Action| action.verb == Verb::Refused;
    if !actions.iter().any(|action| stops(&action)) {
        return;
    }
    let mut walk = Walk::new(graph);
    for action in actions.iter().filter(stops) {
        // What can be done about it is said once, at the object itself.
        let reason = action.reason.split("; ").next().unwrap_or_default();
        walk.failed(&action.key, reason);
    }
    let blocked: HashMap<_, _> = walk
        .blocked()
        .into_iter()
        .map(|blocked| (blocked.key.clone(), blocked.to_string()))
        .collect();
    for action in actions {
        let writes = matches!(action.verb, Verb::Create | Verb::Update | Verb::Replace);
        if let Some(reason) = blocked.get(&action.key).filter(|_| writes) {
            action.verb = Verb::Blocked;
            action.reason.clone_from(reason);
        }
    }
}

fn with(actions: &[Action], verb: Verb) -> impl Iterator<Item = &Action> {
    actions.iter().filter(move |action| action.verb == verb)
}

/// What becomes of objects that are no longer declared, in the order in which they are deleted, and what of it waits.
fn removals(
    input: &Input<'_>,
    hash: &str,
    unfinished: Option<String>,
) -> (Vec<Action>, Vec<String>) {
    let uids = input
        .observed
        .iter()
        .filter_map(|observed| observed.live.as_ref());
    let uids = uids.filter_map(|live| live.pointer("/metadata/uid").and_then(Value::as_str));
    let approved = |key: &ObjectKey| {
        input.approved.contains(hash) || input.approved.contains(&object_approval(hash, key))
    };
    let fates = prune::fates(
        input.candidates,
        &prune::Context {
            owner: input.owner,
            desired: input.desired,
            applied_uids: uids.collect(),
            rules: input.rules,
            approved: &approved,
            unfinished,
        },
    );
    let mut held = Vec::new();
    let mut actions = Vec::new();
    for (candidate, fate) in input.candidates.iter().zip(fates) {
        let (verb, reason) = match fate {
            Fate::Delete => (Verb::Delete, "no longer declared".to_owned()),
            Fate::Confirm { mark } => {
                held.push(format!("{} asks for it (`{mark}`)", candidate.key));
                let approval = object_approval(hash, &candidate.key);
                (
                    Verb::Held,
                    format!("no longer declared; waits for `Approve-Plan: {approval}`"),
                )
            }
            Fate::Keep(keep @ Keep::Orphaned) => (Verb::Release, keep.reason()),
            Fate::Keep(keep) if keep.forget() => (Verb::Forget, keep.reason()),
            Fate::Keep(keep) => (Verb::Keep, keep.reason()),
        };
        actions.push(Action {
            key: candidate.key.clone(),
            version: candidate.version.clone(),
            verb,
            reason,
            changes: Vec::new(),
            taken: Vec::new(),
            at: None,
        });
    }
    let nothing = Value::Null;
    let objects = input
        .candidates
        .iter()
        .map(|candidate| (&candidate.key, candidate.live.as_ref().unwrap_or(&nothing)));
    let order = Graph::for_deletion(objects);
    let order: BTreeMap<_, _> = order.order().into_iter().cloned().zip(0..).collect();
    actions.sort_by_key(|action| order.get(&action.key).copied().unwrap_or(usize::MAX));
    (actions, held)
}

/// Returns the hash of a plan: what is declared, and what was declared before and is not any more.
///
/// How the cluster looks is no part of it: so it can be said before anything was asked, it stays the
/// same while the plan is carried out, and an approval does not expire with the first write.
#[must_use]
pub fn plan_hash<'a>(
    owner: &str,
    desired: &[Desired],
    candidates: impl IntoIterator<Item = &'a ObjectKey>,
) -> String {
    let mut desired: Vec<_> = desired.iter().collect();
    desired.sort_by(|a, b| a.key.cmp(&b.key));
    let mut candidates: Vec<_> = candidates.into_iter().collect();
    candidates.sort();
    digest(&json!({
        "app": owner,
        "objects": desired.iter().map(|desired| plain(&desired.object)).collect::<Vec<_>>(),
        "gone": candidates,
    }))
}
