//! What happens to one declared object, from what is live and what a dry run says.

use serde_json::Value;

use crate::{
    Action, Desired, DryRun, FieldChange, Input, Observed, Policy, Verb,
    claims::{Claim, claim},
    crd::crd_problems,
    diff,
    graph::is_another_run,
    mask, object_approval,
    policy::Apply,
    replace::{Verdict, verdict},
    taken,
};

fn action(desired: &Desired, verb: Verb, reason: String) -> Action {
    Action {
        key: desired.key.clone(),
        version: desired.version.clone(),
        verb,
        reason,
        changes: Vec::new(),
        taken: Vec::new(),
        at: desired.at.clone(),
    }
}

/// An object that cannot be applied.
pub(crate) fn refused(desired: &Desired, reason: &str) -> Action {
    action(desired, Verb::Refused, reason.to_owned())
}

/// Decides about one object.
pub(crate) fn decide(
    input: &Input<'_>,
    hash: &str,
    desired: &Desired,
    observed: &Observed,
) -> Action {
    let live = observed.live.as_ref();
    let policy = Policy::merged(&desired.object, live);
    if !policy.problems.is_empty() {
        return refused(desired, &policy.problems.join("; "));
    }
    if let Some(reason) = left_alone(&policy, live.is_some()) {
        return action(desired, Verb::Skipped, reason);
    }
    let rules = input.rules;
    let claim = claim(
        input.owner,
        desired,
        live,
        rules.claims.as_ref(),
        &rules.take_from,
    );
    if let Claim::Taken { why } = claim {
        return refused(desired, &why);
    }
    let mut decided = match (live, &observed.dry_run) {
        (live, DryRun::Later(definition)) => action(
            desired,
            written(live),
            format!(
                "not tried yet: CustomResourceDefinition {definition} is made by this change, and it fits that"
            ),
        ),
        (live, DryRun::Untried(why)) => {
            action(desired, written(live), format!("checked after {why}"))
        }
        (_, DryRun::NoNamespace) => action(
            desired,
            Verb::Create,
            "not tried yet: its namespace is made by this change".to_owned(),
        ),
        (Some(live), dry_run) if runs_again(desired, live, dry_run) => action(
            desired,
            Verb::Replace,
            "it runs again for this state of the app".to_owned(),
        ),
        (None, DryRun::Accepted(_)) => action(desired, Verb::Create, "does not exist".to_owned()),
        (Some(live), DryRun::Accepted(after)) => accepted(input, desired, live, after),
        (Some(live), DryRun::Refused(refusal)) => match verdict(desired, live, refusal, &policy) {
            Verdict::Replace => replaced(desired, &refusal.immutable),
            Verdict::Ask(lost) => {
                let approval = object_approval(hash, &desired.key);
                if input.approved.contains(&approval) {
                    return replaced(desired, &refusal.immutable);
                }
                let fields = refusal.immutable.join(", ");
                let reason = format!(
                    "{fields} cannot be changed in place; {lost}; to have it deleted and created again, run \
                     `ordain approve {approval}` or push a commit with the trailer `Approve-Plan` and the same value"
                );
                refused(desired, &reason)
            }
            Verdict::Refuse(None) => refused(desired, &refusal.message),
            Verdict::Refuse(Some(help)) => {
                refused(desired, &format!("{}; {help}", refusal.message))
            }
        },
        (None, DryRun::Refused(refusal)) => refused(desired, &refusal.message),
    };
    if let (Claim::Transfer { from }, Verb::Update | Verb::Replace) = (claim, decided.verb) {
        decided.reason = format!("moves here from {from}; {}", decided.reason);
    }
    decided
}

/// True for a hook of another run: the old one goes, and the new one is tried before (`BeforeHookCreation`).
fn runs_again(desired: &Desired, live: &Value, dry_run: &DryRun) -> bool {
    let may_be = match dry_run {
        DryRun::Accepted(_) => true,
        DryRun::Refused(refusal) => !refusal.immutable.is_empty(),
        _ => false,
    };
    // A Job of another run is refused as immutable, with the fields by name.
    may_be && !desired.key.is("batch", "Job") && is_another_run(desired, live)
}

/// What an object that could not be tried is written as.
fn written(live: Option<&Value>) -> Verb {
    match live {
        Some(_) => Verb::Update,
        None => Verb::Create,
    }
}

fn left_alone(policy: &Policy, exists: bool) -> Option<String> {
    let by = |by: &Option<String>| by.clone().unwrap_or_default();
    if policy.paused.value {
        return Some(format!("left alone because of `{}`", by(&policy.paused.by)));
    }
    match policy.apply.value {
        Apply::Ignore => Some(format!("left alone because of `{}`", by(&policy.apply.by))),
        Apply::IfNotPresent if exists => Some(format!("exists, and `{}`", by(&policy.apply.by))),
        _ => None,
    }
}

fn accepted(input: &Input<'_>, desired: &Desired, live: &Value, after: &Value) -> Action {
    if desired
        .key
        .is("apiextensions.k8s.io", "CustomResourceDefinition")
    {
        let known = input.rules.custom_objects.get(&desired.key.name).copied();
        let problems = crd_problems(live, &desired.object, known);
        if !problems.is_empty() {
            return refused(desired, &problems.join("; "));
        }
    }
    let ignored = input.rules.ignored(desired, live);
    let (before, after_compared) = (ignored.compared(live), ignored.compared(after));
    if before == after_compared {
        return action(desired, Verb::Unchanged, "as declared".to_owned());
    }
    let mut changes = diff(&before, &after_compared);
    mask::mask(&desired.key, &mut changes);
    let mut action = action(desired, Verb::Update, changed(&changes));
    action.changes = changes;
    action.taken = taken(live, after);
    action
}

fn replaced(desired: &Desired, fields: &[String]) -> Action {
    let fields = fields.join(", ");
    action(
        desired,
        Verb::Replace,
        format!("{fields} cannot be changed in place"),
    )
}

fn changed(changes: &[FieldChange]) -> String {
    match changes {
        [one] => format!("{} differs", one.path),
        many => format!("{} fields differ", many.len()),
    }
}
