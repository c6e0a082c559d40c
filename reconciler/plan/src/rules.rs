//! Everything that a plan depends on beyond the objects themselves.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use crate::{Claims, Desired, Ignored, Ignores, ObjectKey};

/// How an app's plans are made. The default asks for nothing and knows nothing.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Fields that are left to others.
    pub ignores: Ignores,
    /// Fields that are left alone for a while, by object; from [`Fights::quiet`](crate::Fights::quiet).
    pub quiet: BTreeMap<ObjectKey, Vec<String>>,
    /// What all apps of the commit declare. Without it an object that carries another owner's mark is taken over.
    pub claims: Option<Arc<Claims>>,
    /// Owners, and other reconcilers, which objects may be taken from.
    pub take_from: BTreeSet<String>,
    /// Reasons for which nothing is deleted without an approval, such as another cluster than at the last deploy.
    pub holds: Vec<String>,
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
