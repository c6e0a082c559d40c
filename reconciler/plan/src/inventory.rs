//! What may exist in a cluster for one app: old objects and new ones, written before the first write.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ApiVersion, Candidate, Desired, OWNER_ANNOTATION, ObjectKey, json, managed};

/// One object of an inventory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InventoryEntry {
    /// Its identity.
    #[serde(flatten)]
    pub key: ObjectKey,
    /// The version it was last applied in, to read and delete it by.
    pub version: String,
}

/// A set of objects by identity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    entries: BTreeMap<ObjectKey, String>,
}

impl Inventory {
    /// Reads what [`Inventory::to_bytes`] wrote.
    ///
    /// # Errors
    /// When the bytes are something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let entries: Vec<InventoryEntry> = serde_json::from_slice(bytes)?;
        Ok(entries
            .into_iter()
            .map(|entry| (entry.key, entry.version))
            .collect())
    }

    /// The inventory as JSON, sorted, so that equal inventories have equal bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let entries: Vec<_> = self
            .iter()
            .map(|(key, version)| InventoryEntry {
                key: key.clone(),
                version: version.to_owned(),
            })
            .collect();
        serde_json::to_vec(&entries).expect("identities are plain text")
    }

    /// Adds an object, or changes the version it is read by.
    pub fn insert(&mut self, key: ObjectKey, version: &ApiVersion) {
        self.entries.insert(key, version.version.clone());
    }

    /// Removes an object.
    pub fn remove(&mut self, key: &ObjectKey) {
        self.entries.remove(key);
    }

    /// Adds everything of another inventory.
    pub fn merge(&mut self, other: &Self) {
        let entries = other.entries.iter();
        self.entries
            .extend(entries.map(|(key, version)| (key.clone(), version.clone())));
    }

    /// What is left after a pass: everything declared, and of the rest what is not gone. An object that could not be deleted,
    /// or that something still holds back, stays known.
    #[must_use]
    pub fn settled(
        desired: &[Desired],
        candidates: &[Candidate],
        gone: &BTreeSet<ObjectKey>,
    ) -> Self {
        let declared = desired
            .iter()
            .map(|desired| (&desired.key, &desired.version));
        let left = candidates
            .iter()
            .filter(|candidate| !gone.contains(&candidate.key));
        let left = left.map(|candidate| (&candidate.key, &candidate.version));
        let all = left.chain(declared);
        all.map(|(key, version)| (key.clone(), version.version.clone()))
            .collect()
    }

    /// Rebuilds the inventories of all owners from live objects that carry their marks, for the day on which everything else
    /// is lost.
    ///
    /// A mark counts where we put it: controllers copy annotations, so an object that another one controls is left out
    /// (ReplicaSets carry the annotations of their Deployment), and so is one that we never applied.
    #[must_use]
    pub fn rebuild<'a>(live: impl IntoIterator<Item = &'a Value>) -> BTreeMap<String, Self> {
        let mut rebuilt: BTreeMap<String, Self> = BTreeMap::new();
        for object in live {
            let Some(owner) = json::annotation(object, OWNER_ANNOTATION) else {
                continue;
            };
            let controlled = json::items(object, "/metadata/ownerReferences")
                .any(|owner| owner["controller"] == true);
            let applied = managed::entries(object).any(|entry| entry.is_ours());
            if let (Some(key), true, false) = (ObjectKey::of(object), applied, controlled) {
                let version = ApiVersion::parse(json::text(object, "/apiVersion"));
                rebuilt
                    .entry(owner.to_owned())
                    .or_default()
                    .insert(key, &version);
            }
        }
        rebuilt
    }

    /// True when the object is in it.
    #[must_use]
    pub fn contains(&self, key: &ObjectKey) -> bool {
        self.entries.contains_key(key)
    }

    /// The objects with their versions, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectKey, &str)> {
        self.entries
            .iter()
            .map(|(key, version)| (key, version.as_str()))
    }

    /// The number of objects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl FromIterator<(ObjectKey, String)> for Inventory {
    fn from_iter<I: IntoIterator<Item = (ObjectKey, String)>>(entries: I) -> Self {
        Self {
            entries: entries.into_iter().collect(),
        }
    }
}
