//! Whose an object is: ours, another app's, another reconciler's. Nobody takes what somebody else still wants.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use serde_json::Value;

use crate::{Desired, OWNER_ANNOTATION, ObjectKey, Rules, json, policy::Policy};

/// Who declares an object: one app nearly always, so there is no room to spare.
type Owners = Box<[Arc<str>]>;

/// What the apps of one cluster declare. Kept for all of them, with a [`Claims::view`] for each plan.
///
/// Identities are kept as 64-bit hashes: for 100,000 objects that is a few megabytes, and by chance two of them
/// collide once in billions of such clusters, for which an app would be told that another one declares the object too.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    declared: HashMap<u64, Owners>,
    owned: HashMap<Arc<str>, Box<[u64]>>,
    apps: Arc<HashSet<Arc<str>>>,
}

impl Claims {
    /// Says what an app declares, by its owner's mark, in place of what it declared before. One without objects is an
    /// app all the same: it gives everything away.
    ///
    /// `namespace` is where objects go that name none. Whether their kind lives in namespaces is not known yet, so such
    /// an object is claimed with it and without; only one of the two can exist.
    pub fn set<'a>(
        &mut self,
        owner: &str,
        namespace: &str,
        objects: impl IntoIterator<Item = &'a Value>,
    ) {
        self.withdraw(owner);
        let owner: Arc<str> = owner.into();
        let mut owned = Vec::new();
        for key in objects.into_iter().filter_map(ObjectKey::of) {
            let near = key
                .namespace
                .clone()
                .unwrap_or_else(|| namespace.to_owned());
            let wide = ObjectKey {
                namespace: None,
                ..key.clone()
            };
            let near = ObjectKey {
                namespace: Some(near),
                ..key
            };
            owned.extend([hash(&wide), hash(&near)]);
        }
        owned.sort_unstable();
        owned.dedup();
        for key in &owned {
            let owners = self.declared.entry(*key).or_default();
            let others = owners.iter().cloned();
            *owners = others.chain([Arc::clone(&owner)]).collect();
        }
        self.owned.insert(Arc::clone(&owner), owned.into());
        Arc::make_mut(&mut self.apps).insert(owner);
    }

    /// Says that an owner is one of ours although what it declares is not known, or nothing any more.
    pub fn know(&mut self, owner: &str) {
        if !self.apps.contains(owner) {
            Arc::make_mut(&mut self.apps).insert(owner.into());
        }
    }

    fn withdraw(&mut self, owner: &str) {
        for key in self.owned.remove(owner).unwrap_or_default() {
            if let Some(owners) = self.declared.get_mut(&key) {
                let others = owners.iter().filter(|other| &***other != owner);
                let others: Owners = others.cloned().collect();
                if others.is_empty() {
                    self.declared.remove(&key);
                } else {
                    *owners = others;
                }
            }
        }
    }

    /// What of it matters for some objects of an app: usually nothing but which apps there are.
    #[must_use]
    pub fn view<'a>(&self, owner: &str, keys: impl IntoIterator<Item = &'a ObjectKey>) -> Self {
        let declared = keys.into_iter().filter_map(|key| {
            let key = hash(key);
            let owners = self.declared.get(&key)?;
            owners
                .iter()
                .any(|other| &**other != owner)
                .then(|| (key, owners.clone()))
        });
        Self {
            declared: declared.collect(),
            owned: HashMap::new(),
            apps: Arc::clone(&self.apps),
        }
    }

    /// The app other than `owner` that declares an object; the first by name where there are several.
    #[must_use]
    pub fn other(&self, key: &ObjectKey, owner: &str) -> Option<&str> {
        let owners = self.declared.get(&hash(key))?;
        owners
            .iter()
            .map(AsRef::as_ref)
            .filter(|other| *other != owner)
            .min()
    }

    fn declares(&self, key: &ObjectKey, owner: &str) -> bool {
        let owners = self.declared.get(&hash(key));
        owners.is_some_and(|owners| owners.iter().any(|found| &**found == owner))
    }
}

fn hash(key: &ObjectKey) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
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

/// Why an app would not be let have an object, as its plan would say; none when it would.
#[must_use]
pub fn kept_from(
    owner: &str,
    desired: &Desired,
    live: Option<&Value>,
    rules: &Rules,
) -> Option<String> {
    let claims = rules.claims.as_ref();
    match claim(owner, desired, live, claims, &rules.take_from) {
        Claim::Taken { why } => Some(why),
        Claim::Free | Claim::Transfer { .. } => None,
    }
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
