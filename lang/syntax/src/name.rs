//! Interned names: equality is one pointer comparison, hashing reads a stored number.
//!
//! Names live as long as the process. They come from identifiers and field names of specifications
//! and from the Kubernetes type table, so there are some ten thousand of them, not one per value.
//! Text that is data (the content of string literals) should not be interned.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::{LazyLock, PoisonError, RwLock};

/// An interned identifier or field name.
///
/// `Copy`, one machine word, compared by address, hashed by a number stored with the text.
/// Ordering is by text, so that sorted output does not depend on the order of interning.
#[derive(Clone, Copy)]
pub struct Name(&'static Entry);

struct Entry {
    hash: u64,
    text: Box<str>,
}

/// Number of independently locked parts of the table: enough that parsing threads rarely meet.
const SHARDS: usize = 16;

type Shard = RwLock<HashMap<u64, Vec<Name>, BuildHasherDefault<NameHasher>>>;

static TABLE: LazyLock<[Shard; SHARDS]> =
    LazyLock::new(|| std::array::from_fn(|_| RwLock::new(HashMap::default())));

impl Name {
    /// Interns `text`, or finds the name it already has.
    pub fn new(text: &str) -> Self {
        let hash = fnv(text.as_bytes());
        let shard = &TABLE[(hash >> 60) as usize % SHARDS];
        let find =
            |names: Option<&Vec<Name>>| names?.iter().copied().find(|name| &*name.0.text == text);
        {
            let table = shard.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(name) = find(table.get(&hash)) {
                return name;
            }
        }
        let mut table = shard.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = find(table.get(&hash)) {
            return name;
        }
        let name = Name(Box::leak(Box::new(Entry {
            hash,
            text: text.into(),
        })));
        table.entry(hash).or_default().push(name);
        name
    }

    /// Returns the text of the name.
    pub fn as_str(self) -> &'static str {
        &self.0.text
    }
}

/// FNV-1a, 64 bit (RFC 9923): short keys, no set-up cost.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Name {}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        &*self.0.text == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        &*self.0.text == *other
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.text.cmp(&other.0.text)
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0.text)
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Name::new(text)
    }
}

impl std::ops::Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0.text
    }
}

/// A hasher that passes a name's stored hash through: `HashMap<Name, V, NameBuildHasher>`.
#[derive(Default)]
pub struct NameHasher(u64);

/// Builds [`NameHasher`]s.
pub type NameBuildHasher = BuildHasherDefault<NameHasher>;

impl Hasher for NameHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 ^= fnv(bytes);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 ^= value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_the_same_name() {
        let a = Name::new("replicas");
        let b = Name::new(&String::from("replicas"));
        assert_eq!(a, b);
        assert_ne!(a, Name::new("replica"));
        assert_eq!(a, "replicas");
        assert!(Name::new("a") < Name::new("b"));
    }
}
