//! An app's objects as one piece of text: what is kept of a fleet while nothing happens.
//!
//! A tree of JSON values takes five to ten times the memory of its text, and objects are looked at only when their app
//! is worked on.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::CompiledObject;

/// Objects that are kept and seldom read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Packed {
    kept: Kept,
    count: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Kept {
    /// JSON, each object with its place.
    Text(Box<[u8]>),
    /// Objects whose text reads as something else: a number that has no exact decimal, or values nested deeper than
    /// the reader follows.
    Plain(Box<[CompiledObject]>),
}

/// One object in the text.
#[derive(Serialize)]
struct Written<'a>(&'a Value, Option<&'a str>);

#[derive(Deserialize)]
struct Read(Value, Option<String>);

impl Packed {
    pub(crate) fn new(objects: Vec<CompiledObject>) -> Self {
        let count = objects.len();
        let written: Vec<_> = objects
            .iter()
            .map(|one| Written(&one.object, one.at.as_deref()))
            .collect();
        let text = serde_json::to_vec(&written).unwrap_or_default();
        let kept = match read(&text) {
            Some(same) if same == objects => Kept::Text(text.into()),
            _ => Kept::Plain(objects.into()),
        };
        Self { kept, count }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The objects, in their order.
    pub(crate) fn objects(&self) -> Vec<CompiledObject> {
        match &self.kept {
            Kept::Text(text) => read(text).expect("it was read when it was written"),
            Kept::Plain(objects) => objects.to_vec(),
        }
    }
}

fn read(text: &[u8]) -> Option<Vec<CompiledObject>> {
    let objects: Vec<Read> = serde_json::from_slice(text).ok()?;
    let objects = objects
        .into_iter()
        .map(|Read(object, at)| CompiledObject { object, at });
    Some(objects.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_packed_is_read_back() {
        let deep = (0..1_000).fold(json!("bottom"), |inner, _| json!([inner]));
        let objects = [
            json!({"kind": "ConfigMap", "data": {"z": "1", "a": "\u{1F980}\n"}}),
            json!({"kind": "Deployment", "spec": {"replicas": 3, "share": 0.1}}),
            json!({"number": 2.225_073_858_507_201_4e-308, "large": u64::MAX}),
            deep,
        ];
        for object in objects {
            let at = Some("apps/web.ord:3".to_owned());
            let objects = vec![
                CompiledObject { object, at },
                CompiledObject {
                    object: json!({}),
                    at: None,
                },
            ];
            let packed = Packed::new(objects.clone());
            assert_eq!(packed.len(), 2);
            assert_eq!(packed.objects(), objects);
        }
        assert!(matches!(Packed::new(Vec::new()).kept, Kept::Text(_)));
    }
}
