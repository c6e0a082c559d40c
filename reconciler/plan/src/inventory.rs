//! What may exist in a cluster for one app: old objects and new ones, written before the first write.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ApiVersion, ObjectKey};

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
