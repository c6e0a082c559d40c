//! A plan from desired objects, live ones and what a dry run says.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use ordain_reconciler_plan::{
    ApiVersion, Breaker, Candidate, Cause, Claims, Desired, DryRun, IgnoreRule, Ignores, Input,
    ObjectKey, Observed, OnRemove, Refusal, Replacement, Rules, Verb, immutable_fields,
    object_approval, plan,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{OWNER, Result, desired, expect, read, yaml};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What the case shows, for the reader.
    #[allow(dead_code, reason = "it is there for people")]
    about: String,
    #[serde(default)]
    objects: Vec<Object>,
    /// Live objects of the inventory that nothing declares.
    #[serde(default)]
    gone: Vec<Gone>,
    /// Approve the plan and show it once more.
    #[serde(default)]
    approve: bool,
    /// Approve everything that asks for it object by object, and show it once more.
    #[serde(default)]
    approve_objects: bool,
    #[serde(default)]
    rules: Given,
}

/// What [`Rules`] are made of.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    #[serde(default)]
    ignore: Vec<IgnoreRule>,
    /// Apps with the objects they declare.
    #[serde(default)]
    apps: Option<BTreeMap<String, Vec<Value>>>,
    #[serde(default)]
    take_from: BTreeSet<String>,
    #[serde(default)]
    holds: Vec<String>,
    #[serde(default)]
    custom_objects: BTreeMap<String, bool>,
    /// The app was taken out.
    #[serde(default)]
    removed: Option<OnRemove>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    desired: Value,
    #[serde(default)]
    at: Option<String>,
    /// Left out: it does not exist. `same`: as the dry run. Otherwise the object.
    #[serde(default)]
    live: Option<Value>,
    /// Left out: as desired.
    #[serde(default)]
    dry_run: Option<Value>,
    #[serde(default)]
    refused: Option<Refusal>,
    /// Causes of a refusal as the server gives them, with `refused` made from them.
    #[serde(default)]
    causes: Vec<Cause>,
    #[serde(default)]
    later: Option<String>,
    #[serde(default)]
    no_namespace: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Gone {
    object: Value,
    /// It is only in the inventory.
    #[serde(default)]
    missing: bool,
    /// How many like it, with numbers behind their names.
    #[serde(default)]
    times: Option<usize>,
}

fn refusal(object: &Object) -> Option<Refusal> {
    if object.causes.is_empty() {
        return object.refused.clone();
    }
    let causes = object.causes.iter();
    let message = causes.map(|cause| format!("{}: {}", cause.field, cause.message));
    Some(Refusal {
        message: message.collect::<Vec<_>>().join(", "),
        immutable: immutable_fields(&object.causes),
        transient: false,
    })
}

fn observed(object: &Object, desired: &Desired) -> Observed {
    let after = object
        .dry_run
        .clone()
        .unwrap_or_else(|| desired.object.clone());
    let live = object.live.clone();
    let live = live.map(|live| if live == "same" { after.clone() } else { live });
    let dry_run = match (refusal(object), &object.later) {
        (Some(refusal), _) => DryRun::Refused(refusal),
        (None, Some(why)) => DryRun::Later(why.clone()),
        (None, None) if object.no_namespace => DryRun::NoNamespace,
        (None, None) => DryRun::Accepted(after),
    };
    Observed { live, dry_run }
}

fn candidates(gone: &Gone) -> Vec<Candidate> {
    let one = |suffix: &str| {
        let mut key = ObjectKey::of(&gone.object).expect("a complete object");
        key.name.push_str(suffix);
        let version = ApiVersion::parse(gone.object["apiVersion"].as_str().unwrap_or_default());
        Candidate {
            key,
            version,
            live: (!gone.missing).then(|| gone.object.clone()),
        }
    };
    match gone.times {
        None => vec![one("")],
        Some(times) => (0..times).map(|number| one(&number.to_string())).collect(),
    }
}

fn rules(given: &Given) -> datatest_stable::Result<Rules> {
    let claims = given.apps.as_ref().map(|apps| {
        let mut claims = Claims::default();
        for (owner, objects) in apps {
            claims.set(owner, "shop", objects);
        }
        claims
    });
    Ok(Rules {
        ignores: Ignores::new(&given.ignore)?,
        claims,
        take_from: given.take_from.clone(),
        holds: given.holds.clone(),
        custom_objects: given.custom_objects.clone(),
        removed: given.removed,
        ..Rules::default()
    })
}

pub(crate) fn check(path: &Path) -> Result {
    let case: Case = read(path)?;
    let rules = rules(&case.rules)?;
    let objects = case.objects.iter();
    let wanted: Vec<_> = objects
        .map(|object| desired(&object.desired, object.at.clone()))
        .collect();
    let objects = case.objects.iter().zip(&wanted);
    let observed: Vec<_> = objects
        .map(|(object, desired)| observed(object, desired))
        .collect();
    let candidates: Vec<_> = case.gone.iter().flat_map(candidates).collect();
    let mut approved = BTreeSet::new();
    let mut text = String::new();
    for round in 0..=usize::from(case.approve || case.approve_objects) {
        let plan = plan(&Input {
            owner: OWNER,
            desired: &wanted,
            observed: &observed,
            candidates: &candidates,
            breaker: Breaker::default(),
            approved: &approved,
            rules: &rules,
        });
        if round == 1 {
            text.push_str("approved:\n");
        }
        text.push_str(&plan.to_string());
        if case.approve_objects {
            let asked = plan.with(Verb::Held).chain(plan.with(Verb::Refused));
            approved.extend(asked.map(|action| object_approval(&plan.hash, &action.key)));
        } else {
            approved.insert(plan.hash.clone());
        }
        for action in plan.with(Verb::Replace) {
            let of = |desired: &&Desired| desired.key == action.key;
            let at = wanted
                .iter()
                .position(|desired| of(&desired))
                .ok_or("a declared object")?;
            let live = observed[at].live.as_ref().ok_or("a live object")?;
            let steps = Replacement::new(&wanted[at].object, live);
            text.push_str(&format!("steps of {}:\n", action.key));
            text.push_str(&format!("check:\n{}", yaml(&steps.check)?));
            text.push_str(&format!("delete uid: {:?}\n", steps.uid));
            text.push_str(&format!("restore:\n{}", yaml(&steps.restore)?));
        }
    }
    expect(path, &text)
}
