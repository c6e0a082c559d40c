//! A set of objects: a list of digests, so that an object which several sets have is stored once.

use crate::{Digest, Error};

/// The first line of a set's blob.
const MAGIC: &str = "ordain set 1";

/// The objects of one deploy, by digest, in an order that does not depend on how they were given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectSet {
    pub(crate) objects: Vec<(Digest, String)>,
}

impl ObjectSet {
    /// Makes a set of canonical texts of objects, in the order that the caller keeps for equal sets.
    pub fn new(texts: impl IntoIterator<Item = String>) -> Self {
        let digests = texts
            .into_iter()
            .map(|text| (Digest::of(text.as_bytes()), text));
        Self {
            objects: digests.collect(),
        }
    }

    /// The digest that it is stored under.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.list().as_bytes())
    }

    pub(crate) fn list(&self) -> String {
        let mut text = format!("{MAGIC}\n");
        for (digest, _) in &self.objects {
            text.push_str(&digest.to_string());
            text.push('\n');
        }
        text
    }
}

/// Reads the digests of a set's blob.
pub(crate) fn digests(set: &Digest, bytes: &[u8]) -> Result<Vec<Digest>, Error> {
    let not_a_set = || Error::NotASet { digest: *set };
    let text = std::str::from_utf8(bytes).map_err(|_| not_a_set())?;
    let mut lines = text.lines();
    if lines.next() != Some(MAGIC) {
        return Err(not_a_set());
    }
    lines.map(str::parse).collect()
}
