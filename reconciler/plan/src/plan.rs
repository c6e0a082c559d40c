//! The plan of one app: what happens to each object, and why. Data, complete before anything is done.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    ApiVersion, Breaker, Candidate, Desired, FieldChange, ObjectKey, Taken,
    compare::{declared, differs},
    diff, digest, mask, order, prune, taken,
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
    /// It cannot be tried yet: the definition of its kind is created by this plan.
    Later(String),
    /// It cannot be tried yet: its namespace does not exist.
    NoNamespace,
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
    /// Hashes of plans that somebody approved.
    pub approved: &'a BTreeSet<String>,
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
    /// The server would refuse it; nothing of the app is applied.
    Refused,
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
        self.actions
            .iter()
            .all(|action| matches!(action.verb, Verb::Unchanged | Verb::Keep | Verb::Held))
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
    let mut actions: Vec<_> = input
        .desired
        .iter()
        .zip(input.observed)
        .map(|(desired, observed)| apply_action(desired, observed))
        .collect();
    actions.sort_by(|a, b| {
        order::rank(&a.key)
            .cmp(&order::rank(&b.key))
            .then_with(|| a.key.cmp(&b.key))
    });

    let mut removals = removals(input);
    removals.sort_by(|a, b| {
        order::rank(&b.key)
            .cmp(&order::rank(&a.key))
            .then_with(|| a.key.cmp(&b.key))
    });
    let deletes: Vec<_> = removals
        .iter()
        .filter(|action| action.verb == Verb::Delete)
        .map(|action| &action.key)
        .collect();
    let hash = plan_hash(
        input.owner,
        input.desired,
        input.candidates.iter().map(|candidate| &candidate.key),
    );
    let kept = input.desired.len();
    let mut held = input.breaker.check(&deletes, kept + input.candidates.len());
    if input.desired.is_empty() && !deletes.is_empty() && held.is_empty() {
        // An app that declares nothing is more often a mistake than a wish.
        held.push("nothing is declared any more".to_owned());
    }
    if input.approved.contains(&hash) {
        held.clear();
    }
    if !held.is_empty() {
        for action in removals
            .iter_mut()
            .filter(|action| action.verb == Verb::Delete)
        {
            action.verb = Verb::Held;
        }
    }
    actions.extend(removals);
    Plan {
        owner: input.owner.to_owned(),
        hash,
        actions,
        held,
    }
}

fn apply_action(desired: &Desired, observed: &Observed) -> Action {
    let mut action = Action {
        key: desired.key.clone(),
        version: desired.version.clone(),
        verb: Verb::Unchanged,
        reason: String::new(),
        changes: Vec::new(),
        taken: Vec::new(),
        at: desired.at.clone(),
    };
    let set = |action: &mut Action, verb, reason: String| {
        action.verb = verb;
        action.reason = reason;
    };
    match (&observed.live, &observed.dry_run) {
        (None, DryRun::Later(why)) => {
            set(&mut action, Verb::Create, format!("checked after {why}"))
        }
        (Some(_), DryRun::Later(why)) => {
            set(&mut action, Verb::Update, format!("checked after {why}"))
        }
        (_, DryRun::NoNamespace) => set(
            &mut action,
            Verb::Create,
            "its namespace does not exist yet".to_owned(),
        ),
        (None, DryRun::Accepted(_)) => set(&mut action, Verb::Create, "does not exist".to_owned()),
        (Some(live), DryRun::Accepted(after)) => {
            if differs(live, after) {
                action.changes = diff(&declared(live), &declared(after));
                mask::mask(&desired.key, &mut action.changes);
                action.taken = taken(live, after);
                let reason = changed(&action.changes);
                set(&mut action, Verb::Update, reason);
            } else {
                set(&mut action, Verb::Unchanged, "as declared".to_owned());
            }
        }
        (Some(live), DryRun::Refused(refusal)) if replaceable(&desired.key, live, refusal) => {
            let fields = refusal.immutable.join(", ");
            set(
                &mut action,
                Verb::Replace,
                format!("{fields} cannot be changed in place"),
            );
        }
        (_, DryRun::Refused(refusal)) => {
            set(&mut action, Verb::Refused, refusal.message.clone());
        }
    }
    action
}

/// Only a Job is replaced without being asked: it is made to run once, and a changed one is a new run.
fn replaceable(key: &ObjectKey, live: &Value, refusal: &Refusal) -> bool {
    let deleting = live
        .pointer("/metadata/deletionTimestamp")
        .is_some_and(|at| !at.is_null());
    key.is("batch", "Job") && !refusal.immutable.is_empty() && !deleting
}

fn changed(changes: &[FieldChange]) -> String {
    match changes {
        [one] => format!("{} differs", one.path),
        many => format!("{} fields differ", many.len()),
    }
}

fn removals(input: &Input<'_>) -> Vec<Action> {
    let uid = |object: &Value| {
        object
            .pointer("/metadata/uid")
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let applied: BTreeSet<String> = input
        .observed
        .iter()
        .filter_map(|observed| observed.live.as_ref().and_then(uid))
        .collect();
    let mut namespaces = BTreeMap::new();
    for namespace in input
        .desired
        .iter()
        .filter_map(|desired| desired.key.namespace.as_deref())
    {
        *namespaces.entry(namespace).or_insert(0) += 1;
    }
    let context = prune::Context {
        owner: input.owner,
        applied_uids: applied.iter().map(String::as_str).collect(),
        namespaces,
    };
    let action = |candidate: &Candidate| {
        let keep = prune::keep(candidate, &context);
        Action {
            key: candidate.key.clone(),
            version: candidate.version.clone(),
            verb: match &keep {
                None => Verb::Delete,
                Some(keep) if keep.forget() => Verb::Forget,
                Some(_) => Verb::Keep,
            },
            reason: keep.map_or_else(|| "no longer declared".to_owned(), |keep| keep.reason()),
            changes: Vec::new(),
            taken: Vec::new(),
            at: None,
        }
    };
    input.candidates.iter().map(action).collect()
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
        "objects": desired.iter().map(|desired| &desired.object).collect::<Vec<_>>(),
        "gone": candidates,
    }))
}
