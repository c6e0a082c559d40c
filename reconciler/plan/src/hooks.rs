//! The hooks of Argo CD and Helm: at which times an object runs, and when what has run is deleted.
//!
//! Those of a rollout are phases of the graph (`graph::phase`); those of a rollback, of a failed rollout and of a
//! removal run at times that only an engine knows. What cannot be meant is told, not guessed.

use serde_json::{Map, Value};

use crate::{Desired, json, policy};

/// Argo CD's hooks (`gitops-engine/pkg/sync/common/types.go`).
const ARGO_HOOK: &str = "argocd.argoproj.io/hook";
const ARGO_DELETE: &str = "argocd.argoproj.io/hook-delete-policy";

/// Helm's hooks (`pkg/release/hook.go`).
const HELM_HOOK: &str = "helm.sh/hook";
const HELM_DELETE: &str = "helm.sh/hook-delete-policy";

/// On hooks of Helm while a rollback is carried out: `rollback`. The engine writes it; it is no part of what is declared.
pub const OCCASION_ANNOTATION: &str = "ordain.dev/occasion";

/// A time at which a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum When {
    /// Before the rest of a rollout.
    Before,
    /// With the rest of it.
    During,
    /// After the rest of it.
    After,
    /// When a rollout has failed.
    Failed,
    /// Before the objects of an app that was taken out are deleted.
    BeforeRemoval,
    /// After the objects of an app that was taken out were deleted.
    AfterRemoval,
}

impl When {
    /// In Argo CD's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Before => "PreSync",
            Self::During => "Sync",
            Self::After => "PostSync",
            Self::Failed => "SyncFail",
            Self::BeforeRemoval => "PreDelete",
            Self::AfterRemoval => "PostDelete",
        }
    }

    /// True for a time of a rollout.
    #[must_use]
    pub fn is_rollout(self) -> bool {
        self <= Self::After
    }
}

/// A word and what it means: when it runs, and whether only in a rollback, or only outside of one.
type Word = (&'static str, When, Option<bool>);

const ARGO: [Word; 6] = [
    ("PreSync", When::Before, None),
    ("Sync", When::During, None),
    ("PostSync", When::After, None),
    ("SyncFail", When::Failed, None),
    ("PreDelete", When::BeforeRemoval, None),
    ("PostDelete", When::AfterRemoval, None),
];

/// Argo CD reads the same ones as the same (`gitops-engine/pkg/sync/hook/helm/type.go`), but for those of rollbacks, of
/// which it has none. As with Helm, a rollback runs its own hooks instead of those of an upgrade.
const HELM: [Word; 9] = [
    ("crd-install", When::Before, None),
    ("pre-install", When::Before, Some(false)),
    ("pre-upgrade", When::Before, Some(false)),
    ("post-install", When::After, Some(false)),
    ("post-upgrade", When::After, Some(false)),
    ("pre-rollback", When::Before, Some(true)),
    ("post-rollback", When::After, Some(true)),
    ("pre-delete", When::BeforeRemoval, None),
    ("post-delete", When::AfterRemoval, None),
];

/// What the annotations of Argo CD or Helm make of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The first time at which it runs, now: a hook of a rollback runs in one alone. It is one object, so it runs once,
    /// at the first of several times. Nothing for a time that there is not here, such as a test.
    pub when: Option<When>,
    /// The annotation that makes it one.
    pub by: String,
    /// It is deleted when it and all the rest has succeeded.
    pub delete_succeeded: bool,
    /// It is deleted when it has failed.
    pub delete_failed: bool,
}

impl Hook {
    /// What an object is; `None` when it is no hook.
    #[must_use]
    pub fn of(object: &Value) -> Option<Self> {
        let (name, text, words): (_, _, &[Word]) = match json::annotation(object, ARGO_HOOK) {
            Some(text) => (ARGO_HOOK, text, &ARGO),
            None => (HELM_HOOK, json::annotation(object, HELM_HOOK)?, &HELM),
        };
        let in_rollback = json::annotation(object, OCCASION_ANNOTATION) == Some("rollback");
        let times = text.split(',').filter_map(|word| {
            let found = words.iter().find(|(known, ..)| *known == word.trim());
            let (_, when, only) = found?;
            (only.unwrap_or(in_rollback) == in_rollback).then_some(*when)
        });
        let (delete_succeeded, delete_failed) = deletions(object);
        Some(Self {
            when: times.min(),
            by: format!("{name}: {text}"),
            delete_succeeded,
            delete_failed,
        })
    }

    /// True when it may be deleted after it has run.
    #[must_use]
    pub fn vanishes(&self) -> bool {
        self.delete_succeeded || self.delete_failed
    }
}

fn policies(object: &Value) -> impl Iterator<Item = (&'static str, &str)> {
    let texts = [ARGO_DELETE, HELM_DELETE]
        .into_iter()
        .filter_map(|name| Some((name, json::annotation(object, name)?)));
    texts.flat_map(|(name, text)| text.split(',').map(move |word| (name, word.trim())))
}

/// Whether it is deleted when it has succeeded, and when it has failed. That the one of the last run goes before the next
/// one is created is so in any case: they have one name.
fn deletions(object: &Value) -> (bool, bool) {
    let (mut succeeded, mut failed) = (false, false);
    for (_, word) in policies(object) {
        succeeded |= matches!(word, "HookSucceeded" | "hook-succeeded");
        failed |= matches!(word, "HookFailed" | "hook-failed");
    }
    (succeeded, failed)
}

/// Words of delete policies that mean nothing.
pub(crate) fn problems(object: &Value) -> Vec<String> {
    let wrong = policies(object).filter(|(name, word)| {
        let known: &[&str] = match *name {
            ARGO_DELETE => &["HookSucceeded", "HookFailed", "BeforeHookCreation"],
            _ => &["hook-succeeded", "hook-failed", "before-hook-creation"],
        };
        !word.is_empty() && !known.contains(word)
    });
    wrong
        .map(|(name, word)| format!("`{name}`: `{word}` is no delete policy"))
        .collect()
}

/// The hook that no rollout runs.
pub(crate) fn elsewhere(object: &Value) -> Option<Hook> {
    Hook::of(object).filter(|hook| !hook.when.is_some_and(When::is_rollout))
}

/// The hook that an object is at times other than a rollout: such an object is no part of one. One that says
/// `ordain.dev/apply` itself is an object like others.
#[must_use]
pub fn event_hook(object: &Value) -> Option<Hook> {
    let hook = elsewhere(object)?;
    json::annotation(object, policy::APPLY_ANNOTATION)
        .is_none()
        .then_some(hook)
}

/// Says in hooks of Helm whether a rollback is carried out. [`plain`] takes it out again.
pub fn set_occasion(desired: &mut [Desired], is_rollback: bool) {
    for desired in desired {
        if json::annotation(&desired.object, HELM_HOOK).is_none() {
            continue;
        }
        let annotations = desired.object.pointer_mut("/metadata/annotations");
        if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
            if is_rollback {
                annotations.insert(OCCASION_ANNOTATION.to_owned(), "rollback".into());
            } else {
                annotations.shift_remove(OCCASION_ANNOTATION);
            }
        }
    }
}

/// An object as it is declared: equal objects are equal whether a rollback brings them or not.
#[must_use]
pub fn plain(object: &Value) -> std::borrow::Cow<'_, Value> {
    if json::annotation(object, OCCASION_ANNOTATION).is_none() {
        return std::borrow::Cow::Borrowed(object);
    }
    let mut object = object.clone();
    let annotations = object.pointer_mut("/metadata/annotations");
    if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
        Map::shift_remove(annotations, OCCASION_ANNOTATION);
    }
    std::borrow::Cow::Owned(object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hook(annotations: Value) -> Option<Hook> {
        Hook::of(&json!({"kind": "Job", "metadata": {"annotations": annotations}}))
    }

    fn when(name: &str, text: &str) -> Option<When> {
        hook(json!({name: text})).expect("a hook").when
    }

    #[test]
    fn each_word_is_a_time() {
        for (word, when_) in [
            ("PreSync", Some(When::Before)),
            ("Sync", Some(When::During)),
            ("PostSync,SyncFail", Some(When::After)),
            ("SyncFail", Some(When::Failed)),
            ("PreDelete", Some(When::BeforeRemoval)),
            ("PostDelete, PreDelete", Some(When::BeforeRemoval)),
            ("Skip", None),
        ] {
            assert_eq!(when(ARGO_HOOK, word), when_, "{word}");
        }
        for (word, when_) in [
            ("pre-install,pre-upgrade", Some(When::Before)),
            ("post-upgrade", Some(When::After)),
            ("pre-delete", Some(When::BeforeRemoval)),
            ("post-delete", Some(When::AfterRemoval)),
            ("pre-rollback", None),
            ("test", None),
            ("test-success", None),
        ] {
            assert_eq!(when(HELM_HOOK, word), when_, "{word}");
        }
        assert_eq!(hook(json!({"other": "PreSync"})), None);
        let both = hook(json!({ARGO_HOOK: "PostSync", HELM_HOOK: "pre-install"}));
        assert_eq!(both.expect("a hook").when, Some(When::After));
    }

    #[test]
    fn a_rollback_has_hooks_of_its_own() {
        let in_rollback = |word: &str| {
            hook(json!({HELM_HOOK: word, OCCASION_ANNOTATION: "rollback"}))
                .expect("a hook")
                .when
        };
        assert_eq!(in_rollback("pre-rollback"), Some(When::Before));
        assert_eq!(in_rollback("post-rollback"), Some(When::After));
        assert_eq!(in_rollback("pre-upgrade,post-rollback"), Some(When::After));
        assert_eq!(in_rollback("pre-upgrade"), None);
        assert_eq!(in_rollback("crd-install"), Some(When::Before));
        assert_eq!(in_rollback("pre-delete"), Some(When::BeforeRemoval));
    }

    #[test]
    fn delete_policies_are_read_in_both_spellings_and_others_are_told() {
        let read = |name: &str, text: &str| {
            let object =
                json!({"metadata": {"annotations": {HELM_HOOK: "pre-install", name: text}}});
            let hook = Hook::of(&object).expect("a hook");
            (hook.delete_succeeded, hook.delete_failed, problems(&object))
        };
        let none = Vec::new;
        assert_eq!(read(ARGO_DELETE, "HookSucceeded"), (true, false, none()));
        assert_eq!(
            read(HELM_DELETE, "before-hook-creation, hook-failed"),
            (false, true, none())
        );
        assert_eq!(
            read(HELM_DELETE, "hook-succeeded,hook-failed"),
            (true, true, none())
        );
        let wrong = format!("`{ARGO_DELETE}`: `HookSucceded` is no delete policy");
        assert_eq!(
            read(ARGO_DELETE, "HookSucceded"),
            (false, false, vec![wrong])
        );
    }

    #[test]
    fn the_occasion_is_no_part_of_what_is_declared() {
        let object = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a",
            "annotations": {HELM_HOOK: "pre-rollback"}}});
        let desired = crate::prepare(object, None, true, "shop", "dev/web").expect("complete");
        let mut marked = vec![desired.clone()];
        set_occasion(&mut marked, true);
        assert_ne!(marked[0], desired);
        assert_eq!(*plain(&marked[0].object), desired.object);
        set_occasion(&mut marked, false);
        assert_eq!(marked[0], desired);
    }
}
