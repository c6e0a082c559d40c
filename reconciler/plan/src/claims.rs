//! Whose an object is: ours, another app's, another reconciler's. Nobody takes what somebody else still wants.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{Desired, OWNER_ANNOTATION, ObjectKey, json, policy::Policy};

/// What all apps of one commit declare in one cluster. Made once for a commit and shared by its apps.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    declared: BTreeMap<ObjectKey, BTreeSet<String>>,
    apps: BTreeSet<String>,
}

impl Claims {
    /// Adds an app, by its owner's mark, with what it declares. One without objects counts too: it gives everything away.
    pub fn add(&mut self, owner: &str, objects: impl IntoIterator<Item = ObjectKey>) {
        self.apps.insert(owner.to_owned());
        for key in objects {
            self.declared
                .entry(key)
                .or_default()
                .insert(owner.to_owned());
        }
    }

    /// The app other than `owner` that declares an object.
    #[must_use]
    pub fn other(&self, key: &ObjectKey, owner: &str) -> Option<&str> {
        let owners = self.declared.get(key)?;
        owners
            .iter()
            .map(String::as_str)
            .find(|other| *other != owner)
    }

    fn declares(&self, key: &ObjectKey, owner: &str) -> bool {
        self.declared
            .get(key)
            .is_some_and(|owners| owners.contains(owner))
    }
}

/// Whether an object may be applied by an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is ours, or nobody's.
    Free,
    /// Another app, or another tool, had it and gives it away.
    Transfer { from: String },
    /// Somebody else wants it; in words.
    Taken { why: String },
}

/// Decides whose an object is. `take_from` names owners which everything may be taken from.
pub(crate) fn claim(
    owner: &str,
    desired: &Desired,
    live: Option<&Value>,
    claims: Option<&Claims>,
    take_from: &BTreeSet<String>,
) -> Claim {
    let key = &desired.key;
    let mark = live.and_then(|live| json::annotation(live, OWNER_ANNOTATION));
    if mark == Some(owner) {
        return Claim::Free;
    }
    let policy = || Policy::of(&desired.object).take_from;
    let allowed = |from: &str| take_from.contains(from) || policy().as_deref() == Some(from);
    if let Some(other) = claims.and_then(|claims| claims.other(key, owner)) {
        // Without an owner yet, the first by name gets it: one mistake must not stop both apps.
        let theirs =
            claims.is_some_and(|claims| mark.is_some_and(|mark| claims.declares(key, mark)));
        if theirs || (mark.is_none() && other < owner) {
            let other = mark.unwrap_or(other);
            return Claim::Taken {
                why: format!("app {other} declares it too"),
            };
        }
    }
    match (mark, claims) {
        (Some(mark), Some(claims)) if !claims.apps.contains(mark) && !allowed(mark) => {
            Claim::Taken {
                why: format!(
                    "it belongs to {mark}, which is not an app of this repository; to take it over, say \
                          `ordain.dev/take-from: {mark}`"
                ),
            }
        }
        (Some(mark), _) => Claim::Transfer {
            from: mark.to_owned(),
        },
        (None, _) => match live.and_then(|live| foreign(live, &desired.object)) {
            Some(tool) if !allowed(&tool) => Claim::Taken {
                why: format!(
                    "{tool} applies it; to take it over, stop that and say `ordain.dev/take-from: {tool}`"
                ),
            },
            Some(tool) => Claim::Transfer { from: tool },
            None => Claim::Free,
        },
    }
}

/// The other reconciler whose mark a live object carries: `argocd/APP`, `flux/NAMESPACE/NAME`, `inventory/ID` (cli-utils
/// and Config Sync). A mark that we declare ourselves is no mark of theirs. A Helm release is no reconciler.
fn foreign(live: &Value, desired: &Value) -> Option<String> {
    let annotation = |name: &str| {
        let found = json::annotation(live, name)?;
        (json::annotation(desired, name) != Some(found)).then_some(found)
    };
    let label = |name: &str| {
        let found = json::label(live, name)?;
        (json::label(desired, name) != Some(found)).then_some(found)
    };
    if let Some(id) = annotation("argocd.argoproj.io/tracking-id") {
        return Some(format!("argocd/{}", id.split(':').next().unwrap_or(id)));
    }
    for group in ["kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io"] {
        if let Some(name) = label(&format!("{group}/name")) {
            let namespace = json::label(live, &format!("{group}/namespace")).unwrap_or_default();
            return Some(format!("flux/{namespace}/{name}"));
        }
    }
    annotation("config.k8s.io/owning-inventory").map(|id| format!("inventory/{id}"))
}
