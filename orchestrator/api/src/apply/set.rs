//! Sets of field paths, and their `FieldsV1` form in `managedFields`. It does not know types.
//!
//! Form: sigs.k8s.io/structured-merge-diff, fieldpath: `f:` a field, `k:` an element by its keys,
//! `v:` an element by its value, `i:` an element by its index, `.` the path itself.

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

/// How deep a field set may nest; what lies deeper in a request is an error.
const DEPTH_MAX: usize = 120;

/// One step of a path. Keys and values are kept as canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathElement {
    /// A field or map entry.
    Field(String),
    /// A list element by its key fields: `{"name":"a"}`.
    Key(String),
    /// A list element by its value: `"a"`.
    Value(String),
    /// A list element by its place.
    Index(usize),
}

impl PathElement {
    /// Reads the form in `managedFields`: `f:spec`.
    fn parse(text: &str) -> Result<PathElement, FieldsError> {
        let wrong = || FieldsError(format!("malformed path element {text:?}"));
        let (kind, rest) = text.split_once(':').ok_or_else(wrong)?;
        match kind {
            "f" => Ok(PathElement::Field(rest.to_owned())),
            "k" => {
                let value: Value = serde_json::from_str(rest).map_err(|_| wrong())?;
                Ok(PathElement::key(value.as_object().ok_or_else(wrong)?))
            }
            "v" => {
                let value: Value = serde_json::from_str(rest).map_err(|_| wrong())?;
                Ok(PathElement::value(&value))
            }
            "i" => rest.parse().map(PathElement::Index).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }

    /// Returns the element of a list that has these key fields.
    pub(crate) fn key(fields: &Map<String, Value>) -> PathElement {
        let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
        PathElement::Key(serde_json::to_string(&sorted).unwrap_or_default())
    }

    /// Returns the element of a set that has this value.
    pub(crate) fn value(value: &Value) -> PathElement {
        PathElement::Value(value.to_string())
    }

    fn form(&self) -> String {
        match self {
            PathElement::Field(name) => format!("f:{name}"),
            PathElement::Key(json) => format!("k:{json}"),
            PathElement::Value(json) => format!("v:{json}"),
            PathElement::Index(index) => format!("i:{index}"),
        }
    }
}

impl fmt::Display for PathElement {
    /// Writes the element as conflicts show it: `.spec`, `[name="a"]`, `[="a"]`, `[0]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathElement::Field(name) => write!(f, ".{name}"),
            PathElement::Key(json) => {
                let fields: Map<String, Value> = serde_json::from_str(json).unwrap_or_default();
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                write!(f, "[{}]", fields.join(","))
            }
            PathElement::Value(json) => write!(f, "[={json}]"),
            PathElement::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// Writes a path as conflicts show it: `.spec.containers[name="a"].image`.
pub(crate) fn show_path(path: &[PathElement]) -> String {
    path.iter().map(PathElement::to_string).collect()
}

/// A field set is malformed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FieldsError(String);

/// A set of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    pub(crate) nodes: BTreeMap<PathElement, Node>,
}

/// What is known about one path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    /// Whether the path itself is in the set.
    pub(crate) member: bool,
    /// The paths below.
    pub(crate) children: FieldSet,
}

impl Node {
    fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }
}

impl FieldSet {
    /// Tells whether there is no path.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Adds a path; the empty path adds nothing.
    pub(crate) fn insert(&mut self, path: &[PathElement]) {
        let Some((first, rest)) = path.split_first() else {
            return;
        };
        let node = self.nodes.entry(first.clone()).or_default();
        if rest.is_empty() {
            node.member = true;
        } else {
            node.children.insert(rest);
        }
    }

    /// Returns a set of paths of plain field names: `metadata.name`.
    pub fn of_fields(paths: &[&str]) -> FieldSet {
        let mut set = FieldSet::default();
        for path in paths {
            let path: Vec<PathElement> = path
                .split('.')
                .map(|name| PathElement::Field(name.to_owned()))
                .collect();
            set.insert(&path);
        }
        set
    }

    /// Returns the paths that are in one of the sets.
    #[must_use]
    pub(crate) fn union(&self, other: &FieldSet) -> FieldSet {
        let mut union = self.clone();
        for (element, node) in &other.nodes {
            let entry = union.nodes.entry(element.clone()).or_default();
            entry.member |= node.member;
            entry.children = entry.children.union(&node.children);
        }
        union
    }

    /// Returns the paths that are in both sets.
    #[must_use]
    pub(crate) fn intersection(&self, other: &FieldSet) -> FieldSet {
        let both = |(element, node): (&PathElement, &Node)| {
            let other = other.nodes.get(element)?;
            let node = Node {
                member: node.member && other.member,
                children: node.children.intersection(&other.children),
            };
            (!node.is_empty()).then(|| (element.clone(), node))
        };
        FieldSet {
            nodes: self.nodes.iter().filter_map(both).collect(),
        }
    }

    /// Returns the paths that are in this set and not in the other; a path does not stand for
    /// those below it.
    #[must_use]
    pub(crate) fn difference(&self, other: &FieldSet) -> FieldSet {
        let left = |(element, node): (&PathElement, &Node)| {
            let node = match other.nodes.get(element) {
                None => node.clone(),
                Some(other) => Node {
                    member: node.member && !other.member,
                    children: node.children.difference(&other.children),
                },
            };
            (!node.is_empty()).then(|| (element.clone(), node))
        };
        FieldSet {
            nodes: self.nodes.iter().filter_map(left).collect(),
        }
    }

    /// Returns the paths that are in this set and neither in the other nor below one of its paths.
    #[must_use]
    pub(crate) fn recursive_difference(&self, other: &FieldSet) -> FieldSet {
        let left = |(element, node): (&PathElement, &Node)| {
            let node = match other.nodes.get(element) {
                None => node.clone(),
                Some(other) if other.member => return None,
                Some(other) => Node {
                    member: node.member,
                    children: node.children.recursive_difference(&other.children),
                },
            };
            (!node.is_empty()).then(|| (element.clone(), node))
        };
        FieldSet {
            nodes: self.nodes.iter().filter_map(left).collect(),
        }
    }

    /// Returns all paths, in order, parents first.
    pub(crate) fn paths(&self) -> Vec<Vec<PathElement>> {
        let mut paths = Vec::new();
        self.collect(&mut Vec::new(), &mut paths);
        paths
    }

    /// Returns all paths as conflicts show them: `.spec.containers[name="a"].image`.
    pub fn show(&self) -> Vec<String> {
        self.paths().iter().map(|path| show_path(path)).collect()
    }

    fn collect(&self, at: &mut Vec<PathElement>, paths: &mut Vec<Vec<PathElement>>) {
        for (element, node) in &self.nodes {
            at.push(element.clone());
            if node.member {
                paths.push(at.clone());
            }
            node.children.collect(at, paths);
            at.pop();
        }
    }

    /// Reads the `fieldsV1` of an entry.
    ///
    /// # Errors
    /// When an element is malformed, or the set nests too deeply.
    pub fn from_fields_v1(fields: &Value) -> Result<FieldSet, FieldsError> {
        FieldSet::read(fields, 0).map(|(set, _)| set)
    }

    /// Returns the set below a path, and whether the path itself is in it.
    fn read(fields: &Value, depth: usize) -> Result<(FieldSet, bool), FieldsError> {
        let map = match fields {
            Value::Null => return Ok((FieldSet::default(), false)),
            Value::Object(map) => map,
            _ => return Err(FieldsError("a field set must be a map".into())),
        };
        if depth > DEPTH_MAX {
            return Err(FieldsError(format!(
                "a field set nests deeper than {DEPTH_MAX}"
            )));
        }
        let mut set = FieldSet::default();
        let mut member = map.is_empty();
        for (key, below) in map {
            if key == "." {
                member = true;
                continue;
            }
            let element = PathElement::parse(key)?;
            let (children, is_member) = FieldSet::read(below, depth + 1)?;
            let node = Node {
                member: is_member,
                children,
            };
            if !node.is_empty() {
                set.nodes.insert(element, node);
            }
        }
        Ok((set, member))
    }

    /// Returns the `fieldsV1` of an entry.
    pub fn to_fields_v1(&self) -> Value {
        let mut map = Map::new();
        for (element, node) in &self.nodes {
            let mut below = node.children.to_fields_v1();
            if let (Value::Object(below), true) = (&mut below, node.member)
                && !below.is_empty()
            {
                below.shift_insert(0, ".".to_owned(), Value::Object(Map::new()));
            }
            map.insert(element.form(), below);
        }
        Value::Object(map)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(fields: Value) -> FieldSet {
        FieldSet::from_fields_v1(&fields).expect("well formed")
    }

    #[test]
    fn sets_survive_the_round_trip() {
        let fields = json!({
            "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {
                "f:ports": {".": {}, "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}},
                "f:replicas": {},
                "f:sources": {"v:\"a\"": {}},
            },
        });
        assert_eq!(read(fields.clone()).to_fields_v1(), fields);
        let paths: Vec<String> = read(fields).paths().iter().map(|p| show_path(p)).collect();
        assert_eq!(
            paths,
            [
                ".metadata.labels",
                ".metadata.labels.app",
                ".spec.ports",
                ".spec.ports[port=80,protocol=\"TCP\"]",
                ".spec.ports[port=80,protocol=\"TCP\"].port",
                ".spec.replicas",
                ".spec.sources[=\"a\"]",
            ]
        );
    }

    #[test]
    fn set_algebra_works_by_path() {
        let a = read(json!({"f:a": {".": {}, "f:b": {}}, "f:c": {}}));
        let b = read(json!({"f:a": {}, "f:d": {}}));
        assert_eq!(a.intersection(&b).to_fields_v1(), json!({"f:a": {}}));
        assert_eq!(
            a.difference(&b).to_fields_v1(),
            json!({"f:a": {"f:b": {}}, "f:c": {}})
        );
        assert_eq!(
            a.recursive_difference(&b).to_fields_v1(),
            json!({"f:c": {}})
        );
        assert_eq!(
            a.union(&b).to_fields_v1(),
            json!({"f:a": {".": {}, "f:b": {}}, "f:c": {}, "f:d": {}})
        );
    }

    #[test]
    fn malformed_sets_are_refused() {
        for fields in [
            json!([]),
            json!({"x": {}}),
            json!({"k:[]": {}}),
            json!({"i:x": {}}),
        ] {
            assert!(FieldSet::from_fields_v1(&fields).is_err(), "{fields}");
        }
        let mut deep = json!({});
        for _ in 0..200 {
            deep = json!({ "f:a": deep });
        }
        assert!(FieldSet::from_fields_v1(&deep).is_err());
    }
}
