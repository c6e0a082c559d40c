//! How two objects differ, field by field, with list elements matched by their keys.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What happened to a field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// It is new.
    Added {
        /// Its value.
        new: Value,
    },
    /// It is gone.
    Removed {
        /// Its value before.
        old: Value,
    },
    /// It has another value.
    Changed {
        /// Its value before.
        old: Value,
        /// Its value now.
        new: Value,
    },
}

impl Change {
    /// The value before.
    #[must_use]
    pub fn before(&self) -> Option<&Value> {
        match self {
            Self::Added { .. } => None,
            Self::Removed { old } | Self::Changed { old, .. } => Some(old),
        }
    }

    /// The value after.
    #[must_use]
    pub fn after(&self) -> Option<&Value> {
        match self {
            Self::Removed { .. } => None,
            Self::Added { new } | Self::Changed { new, .. } => Some(new),
        }
    }
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// The way to it: `spec.template.spec.containers[web].image`.
    pub path: String,
    /// What happened to it.
    #[serde(flatten)]
    pub change: Change,
    /// `file:line` of the source that decides it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// Fields that name an element of a list, in the order in which they are tried
/// (the `x-kubernetes-list-map-keys` of the built-in kinds; custom kinds mostly follow them).
const LIST_KEYS: [&str; 9] = [
    "name",
    "containerPort",
    "port",
    "mountPath",
    "devicePath",
    "key",
    "type",
    "ip",
    "topologyKey",
];

/// Returns every field that differs, in the order of the new object and then of the old one.
#[must_use]
pub fn diff(old: &Value, new: &Value) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    walk(&mut String::new(), old, new, &mut changes);
    changes
}

fn walk(path: &mut String, old: &Value, new: &Value, changes: &mut Vec<FieldChange>) {
    match (old, new) {
        (old, new) if old == new => {}
        (Value::Object(old), Value::Object(new)) => maps(path, old, new, changes),
        (Value::Array(old), Value::Array(new)) => lists(path, old, new, changes),
        (old, new) => {
            let change = Change::Changed {
                old: old.clone(),
                new: new.clone(),
            };
            changes.push(FieldChange {
                path: path.clone(),
                change,
                at: None,
            });
        }
    }
}

fn maps(
    path: &mut String,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    changes: &mut Vec<FieldChange>,
) {
    for (key, value) in new {
        within(path, &field(path, key), |path| match old.get(key) {
            Some(before) => walk(path, before, value, changes),
            None => changes.push(added(path, value)),
        });
    }
    for (key, value) in old.iter().filter(|(key, _)| !new.contains_key(*key)) {
        within(path, &field(path, key), |path| {
            changes.push(removed(path, value))
        });
    }
}

fn lists(path: &mut String, old: &[Value], new: &[Value], changes: &mut Vec<FieldChange>) {
    let Some(key) = list_key(old, new) else {
        return by_position(path, old, new, changes);
    };
    let find = |list: &[Value], name: &Value| list.iter().find(|item| item[key] == *name).cloned();
    for item in new {
        within(path, &element(&item[key]), |path| {
            match find(old, &item[key]) {
                Some(before) => walk(path, &before, item, changes),
                None => changes.push(added(path, item)),
            }
        });
    }
    for item in old.iter().filter(|item| find(new, &item[key]).is_none()) {
        within(path, &element(&item[key]), |path| {
            changes.push(removed(path, item))
        });
    }
}

/// Lists of plain values, such as arguments, read best as a whole when their length changed.
fn by_position(path: &mut String, old: &[Value], new: &[Value], changes: &mut Vec<FieldChange>) {
    let plain = |list: &[Value]| {
        list.iter()
            .all(|item| !item.is_object() && !item.is_array())
    };
    if old.len() != new.len() && plain(old) && plain(new) {
        let change = Change::Changed {
            old: old.into(),
            new: new.into(),
        };
        changes.push(FieldChange {
            path: path.clone(),
            change,
            at: None,
        });
        return;
    }
    for at in 0..old.len().max(new.len()) {
        within(path, &format!("[{at}]"), |path| {
            match (old.get(at), new.get(at)) {
                (Some(old), Some(new)) => walk(path, old, new, changes),
                (None, Some(new)) => changes.push(added(path, new)),
                (Some(old), None) => changes.push(removed(path, old)),
                (None, None) => {}
            }
        });
    }
}

/// Returns the first field by which paths name the elements of two lists: every element of both has it, and no two of
/// one list are alike in it. None when they are named by their position.
#[must_use]
pub fn list_key(old: &[Value], new: &[Value]) -> Option<&'static str> {
    let names = |list: &[Value], key: &str| {
        let mut seen = BTreeSet::new();
        list.iter().all(|item| match item.get(key) {
            Some(name @ (Value::String(_) | Value::Number(_))) => seen.insert(name.to_string()),
            _ => false,
        })
    };
    LIST_KEYS
        .into_iter()
        .find(|key| names(old, key) && names(new, key))
}

fn added(path: &str, new: &Value) -> FieldChange {
    FieldChange {
        path: path.to_owned(),
        change: Change::Added { new: new.clone() },
        at: None,
    }
}

fn removed(path: &str, old: &Value) -> FieldChange {
    FieldChange {
        path: path.to_owned(),
        change: Change::Removed { old: old.clone() },
        at: None,
    }
}

fn within(path: &mut String, part: &str, act: impl FnOnce(&mut String)) {
    let length = path.len();
    path.push_str(part);
    act(path);
    path.truncate(length);
}

/// A key with dots or slashes, such as a label, is put in brackets so that the path stays readable.
pub(crate) fn field(path: &str, key: &str) -> String {
    if key.contains(['.', '/', '[', ' ']) {
        format!("[{key}]")
    } else if path.is_empty() {
        key.to_owned()
    } else {
        format!(".{key}")
    }
}

pub(crate) fn element(name: &Value) -> String {
    match name {
        Value::String(name) => format!("[{name}]"),
        other => format!("[{other}]"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn check(old: Value, new: Value, wanted: &[&str]) {
        let shown: Vec<_> = diff(&old, &new)
            .into_iter()
            .map(|FieldChange { path, change, .. }| match change {
                Change::Added { new } => format!("+ {path} {new}"),
                Change::Removed { old } => format!("- {path} {old}"),
                Change::Changed { old, new } => format!("~ {path} {old} {new}"),
            })
            .collect();
        assert_eq!(shown, wanted);
    }

    #[test]
    fn elements_are_matched_by_name_and_not_by_position() {
        check(
            json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]}),
            json!({"containers": [{"name": "b", "image": "2"}, {"name": "c"}]}),
            &[
                r#"~ containers[b].image "1" "2""#,
                r#"+ containers[c] {"name":"c"}"#,
                r#"- containers[a] {"name":"a","image":"1"}"#,
            ],
        );
    }

    #[test]
    fn ports_without_names_are_matched_by_number() {
        check(
            json!([{"port": 80}, {"port": 443}]),
            json!([{"port": 443, "name": "tls"}]),
            &[r#"+ [443].name "tls""#, r#"- [80] {"port":80}"#],
        );
    }

    #[test]
    fn arguments_are_shown_whole_when_their_number_changes() {
        check(
            json!({"args": ["a"]}),
            json!({"args": ["a", "b"]}),
            &[r#"~ args ["a"] ["a","b"]"#],
        );
        check(
            json!({"args": ["a", "b"]}),
            json!({"args": ["a", "c"]}),
            &[r#"~ args[1] "b" "c""#],
        );
    }

    #[test]
    fn label_keys_keep_paths_readable() {
        check(
            json!({"metadata": {"labels": {"a.b/c": "1"}}}),
            json!({"metadata": {"labels": {"a.b/c": "2"}}}),
            &[r#"~ metadata.labels[a.b/c] "1" "2""#],
        );
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i8>().prop_map(Value::from),
            "[ab]".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 16, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("name|port|a", inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn nothing_differs_from_itself_and_a_difference_is_never_missed(a in value(), b in value()) {
            prop_assert!(diff(&a, &a).is_empty());
            if a != b {
                // Elements matched by key may have changed their order alone.
                let reordered = crate::canonical(&a).len() == crate::canonical(&b).len();
                prop_assert!(reordered || !diff(&a, &b).is_empty());
            }
        }
    }
}
