//! What the journal keeps of each write: the object, its UID, and its resource versions before and after.

use std::collections::HashMap;

use ordain_reconciler_journal::{DriftedObject, ObjectWrite, SignatureVerdict};
use ordain_reconciler_plan::{Action, Candidate, ObjectKey, Plan, Verb};
use ordain_reconciler_source::Verdict;
use serde_json::Value;

/// The object as the journal and its readers spell it: `apps/Deployment shop/web`.
pub(crate) fn name(key: &ObjectKey) -> String {
    let mut name = String::new();
    if !key.group.is_empty() {
        name.push_str(&key.group);
        name.push('/');
    }
    name.push_str(&key.kind);
    name.push(' ');
    if let Some(namespace) = &key.namespace {
        name.push_str(namespace);
        name.push('/');
    }
    name.push_str(&key.name);
    name
}

fn field(object: &Value, field: &str) -> Option<String> {
    let value = object.get("metadata")?.get(field)?;
    value.as_str().map(str::to_owned)
}

/// The verdict on a commit's signature, as the journal keeps it; without one nobody asked for it.
pub(crate) fn signature(verdict: Option<&Verdict>, method: Option<&str>) -> SignatureVerdict {
    let Some(verdict) = verdict else {
        let verdict = method.map_or("unsigned", |_| "unchecked").to_owned();
        let (signer, method) = (None, method.map(str::to_owned));
        return SignatureVerdict {
            verdict,
            signer,
            method,
        };
    };
    let method = method.map(str::to_owned);
    match verdict {
        Verdict::Good { signer, key } => SignatureVerdict {
            verdict: "good".to_owned(),
            signer: Some(format!("{signer} ({key})")),
            method,
        },
        Verdict::Unsigned => SignatureVerdict {
            verdict: "unsigned".to_owned(),
            signer: None,
            method,
        },
        Verdict::Bad { reason } => SignatureVerdict {
            verdict: format!("bad: {reason}"),
            signer: None,
            method,
        },
    }
}

/// The objects that were applied, with what was there before.
pub(crate) fn applied<'a>(
    plan: &Plan,
    before: impl Iterator<Item = (&'a ObjectKey, &'a Value)>,
    written: impl Iterator<Item = (&'a ObjectKey, &'a Value)>,
) -> Vec<ObjectWrite> {
    let verbs: HashMap<_, _> = plan
        .actions
        .iter()
        .map(|action| (&action.key, action.verb))
        .collect();
    let before: HashMap<_, _> = before.collect();
    let mut writes: Vec<_> = written
        .map(|(key, object)| ObjectWrite {
            object: name(key),
            verb: match verbs.get(key) {
                Some(Verb::Create) => "create",
                Some(Verb::Replace) => "replace",
                _ => "update",
            }
            .to_owned(),
            uid: field(object, "uid").unwrap_or_default(),
            before: before
                .get(key)
                .and_then(|live| field(live, "resourceVersion")),
            after: field(object, "resourceVersion"),
        })
        .collect();
    writes.sort_by(|a, b| a.object.cmp(&b.object));
    writes
}

/// An object that somebody changed, with the managers that did and their fields.
pub(crate) fn drifted(action: &Action) -> DriftedObject {
    let taken = action.taken.iter();
    DriftedObject {
        object: name(&action.key),
        fields: taken
            .clone()
            .flat_map(|taken| taken.fields.iter().cloned())
            .collect(),
        managers: taken.map(|taken| taken.manager.clone()).collect(),
    }
}

/// The objects that were deleted.
pub(crate) fn deleted(candidates: &[Candidate], gone: &[ObjectKey]) -> Vec<ObjectWrite> {
    let live = |key: &ObjectKey| {
        let candidate = candidates.iter().find(|candidate| candidate.key == *key);
        candidate.and_then(|candidate| candidate.live.as_ref())
    };
    // What was gone already, or is not ours any more, was not deleted by us.
    let deleted = gone.iter().filter_map(|key| Some((key, live(key)?)));
    deleted
        .map(|(key, live)| ObjectWrite {
            object: name(key),
            verb: "delete".to_owned(),
            uid: field(live, "uid").unwrap_or_default(),
            before: field(live, "resourceVersion"),
            after: None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_told_with_its_method_whether_anybody_asked_or_not() {
        let good = Verdict::Good {
            signer: "ada@example.com".to_owned(),
            key: "SHA256:abc".to_owned(),
        };
        for (verdict, method, wanted) in [
            (
                Some(&good),
                Some("ssh"),
                ("good", Some("ada@example.com (SHA256:abc)")),
            ),
            (None, Some("pgp"), ("unchecked", None)),
            (None, None, ("unsigned", None)),
        ] {
            let told = signature(verdict, method);
            assert_eq!((told.verdict.as_str(), told.signer.as_deref()), wanted);
            assert_eq!(told.method.as_deref(), method);
        }
    }

    #[test]
    fn objects_are_named_by_group_kind_and_place() {
        let key = |group: &str, kind: &str, namespace: Option<&str>| ObjectKey {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: "web".to_owned(),
        };
        assert_eq!(
            name(&key("apps", "Deployment", Some("shop"))),
            "apps/Deployment shop/web"
        );
        assert_eq!(name(&key("", "Namespace", None)), "Namespace web");
    }
}
