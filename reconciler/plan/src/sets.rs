//! How two compiled commits differ, without a cluster: for `ordain diff A..B`.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{FieldChange, ObjectKey, Verb, diff, mask, order, render};

/// One object of a compiled commit.
#[derive(Debug, Clone, PartialEq)]
pub struct SetObject {
    /// The environment.
    pub env: String,
    /// The app.
    pub app: String,
    /// The object, with its namespace filled in.
    pub object: Value,
    /// `file:line` of its source.
    pub at: Option<String>,
}

/// One object that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectDiff {
    /// The environment.
    pub env: String,
    /// The app; the new one when the object moved.
    pub app: String,
    /// The app it came from, when it moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<String>,
    /// The object.
    #[serde(flatten)]
    pub key: ObjectKey,
    /// `create`, `update` or `delete`.
    pub verb: Verb,
    /// The fields that differ.
    pub changes: Vec<FieldChange>,
    /// `file:line` of its source; of the old one when it is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// Everything that differs between two compiled commits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SetDiff {
    /// By environment, app and kind order.
    pub objects: Vec<ObjectDiff>,
    /// Objects that are the same in both.
    pub unchanged: usize,
}

impl SetDiff {
    /// True when nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    fn count(&self, verb: Verb) -> usize {
        self.objects
            .iter()
            .filter(|object| object.verb == verb)
            .count()
    }
}

/// Compares two compiled commits. An object is the same one when its environment and identity are:
/// a change of app is a move, not a delete and a create.
#[must_use]
pub fn diff_sets(before: &[SetObject], after: &[SetObject]) -> SetDiff {
    let (old, new) = (by_key(before), by_key(after));
    let mut result = SetDiff::default();
    for (identity, object) in &new {
        let entry = match old.get(identity) {
            None => entry(identity, object, Verb::Create, Vec::new()),
            Some(previous) => {
                let mut changes = diff(&previous.object, &object.object);
                if changes.is_empty() && previous.app == object.app {
                    result.unchanged += 1;
                    continue;
                }
                mask::mask(&identity.1, &mut changes);
                let mut entry = entry(identity, object, Verb::Update, changes);
                entry.moved_from = (previous.app != object.app).then(|| previous.app.clone());
                entry
            }
        };
        result.objects.push(entry);
    }
    let gone = old
        .iter()
        .filter(|(identity, _)| !new.contains_key(*identity));
    let gone = gone.map(|(identity, object)| entry(identity, object, Verb::Delete, Vec::new()));
    result.objects.extend(gone);
    result.objects.sort_by(|a, b| {
        let key = |diff: &ObjectDiff| (diff.env.clone(), diff.app.clone(), order::rank(&diff.key));
        key(a).cmp(&key(b)).then_with(|| a.key.cmp(&b.key))
    });
    result
}

type Identity<'a> = (&'a str, ObjectKey);

fn by_key(objects: &[SetObject]) -> BTreeMap<Identity<'_>, &SetObject> {
    let keyed = objects.iter().filter_map(|object| {
        let key = ObjectKey::of(&object.object)?;
        Some(((object.env.as_str(), key), object))
    });
    keyed.collect()
}

fn entry(
    (env, key): &Identity<'_>,
    object: &SetObject,
    verb: Verb,
    changes: Vec<FieldChange>,
) -> ObjectDiff {
    ObjectDiff {
        env: (*env).to_owned(),
        app: object.app.clone(),
        moved_from: None,
        key: key.clone(),
        verb,
        changes,
        at: object.at.clone(),
    }
}

impl fmt::Display for SetDiff {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(out, "no changes ({} objects)", self.unchanged);
        }
        let mut heading = None;
        for object in &self.objects {
            if heading != Some((&object.env, &object.app)) {
                writeln!(out, "{}/{}", object.env, object.app)?;
                heading = Some((&object.env, &object.app));
            }
            let mark = match object.verb {
                Verb::Create => '+',
                Verb::Delete => '-',
                _ => '~',
            };
            write!(out, "  {mark} {}", object.key)?;
            if let Some(app) = &object.moved_from {
                write!(out, ", moved from app {app}")?;
            }
            if let Some(at) = &object.at {
                write!(out, "  ({at})")?;
            }
            writeln!(out)?;
            render::change_lines(out, &object.changes)?;
        }
        writeln!(
            out,
            "{} to create, {} to change, {} to delete, {} unchanged",
            self.count(Verb::Create),
            self.count(Verb::Update),
            self.count(Verb::Delete),
            self.unchanged
        )
    }
}
