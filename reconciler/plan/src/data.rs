//! What a rollback never deletes: objects that hold data. They stay, named, until somebody removes them in
//! a commit of its own.

use serde_json::Value;

use crate::{Action, Candidate, Input, ObjectKey, Plan, Verb, breaker::PROTECTED, plan};

/// True when data goes with the object: volumes and claims, namespaces, definitions with their objects, and
/// a StatefulSet that takes its claims along.
#[must_use]
pub fn holds_data(key: &ObjectKey, live: Option<&Value>) -> bool {
    if PROTECTED.iter().any(|(group, kind)| key.is(group, kind)) {
        return true;
    }
    // Kubernetes' apps/v1 StatefulSetSpec: the claims are retained unless this says otherwise.
    let policy = "/spec/persistentVolumeClaimRetentionPolicy/whenDeleted";
    let deletes = live.and_then(|live| live.pointer(policy)) == Some(&Value::from("Delete"));
    key.is("apps", "StatefulSet") && deletes
}

/// Plans a rollback: as [`plan`], but what holds data is kept although nothing declares it any more.
#[must_use]
pub fn plan_rollback(input: &Input<'_>) -> Plan {
    let (kept, candidates): (Vec<_>, Vec<_>) =
        (input.candidates.iter().cloned()).partition(|candidate: &Candidate| {
            candidate.live.is_some() && holds_data(&candidate.key, candidate.live.as_ref())
        });
    let mut plan = plan(&Input {
        candidates: &candidates,
        ..*input
    });
    plan.actions
        .extend(kept.into_iter().map(|candidate| Action {
            key: candidate.key,
            version: candidate.version,
            verb: Verb::Keep,
            reason: "kept: a rollback deletes no data; remove it in a commit of its own".to_owned(),
            changes: Vec::new(),
            taken: Vec::new(),
            at: None,
        }));
    plan
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_are_data_and_so_is_a_set_that_takes_them_along() {
        let key = |group: &str, kind: &str| ObjectKey {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: Some("shop".to_owned()),
            name: "x".to_owned(),
        };
        assert!(holds_data(&key("", "PersistentVolumeClaim"), None));
        assert!(holds_data(&key("", "Namespace"), None));
        assert!(!holds_data(&key("", "ConfigMap"), None));
        assert!(!holds_data(&key("", "Secret"), None));
        let set = key("apps", "StatefulSet");
        let policy = |policy: &str| json!({"spec": {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": policy}}});
        assert!(holds_data(&set, Some(&policy("Delete"))));
        assert!(!holds_data(&set, Some(&policy("Retain"))));
        assert!(!holds_data(&set, Some(&json!({"spec": {}}))));
    }
}
