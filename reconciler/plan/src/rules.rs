//! Everything that a plan depends on beyond the objects themselves.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Claims, Desired, Ignored, Ignores, ObjectKey};

/// What happens to the objects of an app that was taken out of the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnRemove {
    /// As with any objects that are no longer declared: with every limit, and only when somebody approves.
    Prune,
    /// They are deleted; what takes data with it waits for an approval all the same.
    Delete,
    /// The same, and the app is there until the last of them is gone, finalizers included.
    Wait,
    /// They stay in the cluster and are nobody's; see [`release`](crate::release).
    Orphan,
}

/// How an app's plans are made. The default asks for nothing and knows nothing.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Fields that are left to others.
    pub ignores: Ignores,
    /// Fields that are left alone for a while, by object; from [`Fights::quiet`](crate::Fights::quiet).
    pub quiet: BTreeMap<ObjectKey, Vec<String>>,
    /// What the apps of the cluster declare, from [`Claims::view`]. Without it an object that carries another owner's
    /// mark is taken over.
    pub claims: Option<Claims>,
    /// Owners, and other reconcilers, which objects may be taken from.
    pub take_from: BTreeSet<String>,
    /// Reasons for which nothing is deleted without an approval, such as another cluster than at the last deploy.
    pub holds: Vec<String>,
    /// What happens to the objects of an app that was taken out; nothing while the app is there.
    pub removed: Option<OnRemove>,
    /// The hash of the whole plan, for one over some of the app's objects alone.
    pub hash: Option<String>,
    /// Whether there are objects of a definition's kind, by the definition's name; nothing for what nobody looked at.
    pub custom_objects: BTreeMap<String, bool>,
}

impl Rules {
    /// The fields of an object that are left to others. What is sent, and tried before, is
    /// [`Ignored::payload`] of the declared object.
    #[must_use]
    pub fn ignored(&self, desired: &Desired, live: &Value) -> Ignored {
        let mut ignored = self.ignores.of(desired, live);
        for field in self.quiet.get(&desired.key).into_iter().flatten() {
            ignored.add_field(field);
        }
        ignored
    }
}
