//! The base of several copies: what most of them say.
//!
//! A value that differs between environments in the same way at several places becomes a field of the app, which
//! each environment sets once.

use std::collections::HashMap;

use ordain_schemas::Shape;

use super::{element_keys, same};
use crate::write::value::{Kind, Writer};
use crate::yaml::{Entry, Node, Value};

/// A scalar, for comparing those of different places.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
enum Scalar {
    Bool(bool),
    Int(i64),
    Str(String),
    Quantity(String),
}

/// A field of an app that stands for a value which differs between environments.
#[derive(Clone, Debug)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) ty: &'static str,
    /// The value in each environment.
    pub(crate) values: Vec<Node>,
}

impl Variable {
    /// The value that most environments have: the field's own.
    pub(crate) fn default(&self) -> &Node {
        let copies: Vec<&Node> = self.values.iter().collect();
        most(&copies)
    }
}

/// The scalars that differ between environments, by their values in all of them.
#[derive(Default)]
pub(crate) struct Leaves {
    /// How often each occurs, the field it was found in first, and its values.
    found: HashMap<Vec<Scalar>, (usize, String, Vec<Node>)>,
    /// The order of first finds, so that the result does not depend on hashing.
    order: Vec<Vec<Scalar>>,
    /// The names given to those that occur several times.
    names: HashMap<Vec<Scalar>, String>,
}

impl Leaves {
    /// Notes a leaf; returns the name of the variable that stands for it.
    fn leaf(&mut self, copies: &[&Node], field: &str, is_quantity: bool) -> Option<String> {
        let scalar = |node: &&Node| match &node.value {
            Value::Bool(value) => Some(Scalar::Bool(*value)),
            Value::Int(value, _) if is_quantity => Some(Scalar::Quantity(value.to_string())),
            Value::Str(text) if is_quantity => Some(Scalar::Quantity(text.clone())),
            Value::Int(value, false) => Some(Scalar::Int(*value)),
            Value::Str(text) => Some(Scalar::Str(text.clone())),
            _ => None,
        };
        let key: Vec<Scalar> = copies.iter().map(scalar).collect::<Option<_>>()?;
        let kind = std::mem::discriminant(&key[0]);
        if key
            .iter()
            .any(|scalar| std::mem::discriminant(scalar) != kind)
        {
            return None;
        }
        if let Some(name) = self.names.get(&key) {
            return Some(name.clone());
        }
        let known = self.found.entry(key.clone()).or_insert_with(|| {
            self.order.push(key);
            let values = copies
                .iter()
                .map(|node| Node::plain(node.span, node.value.clone()));
            (0, field.to_owned(), values.collect())
        });
        known.0 += 1;
        None
    }

    /// Names those that occurred several times; `taken` says which names are in use.
    pub(crate) fn name(&mut self, mut take: impl FnMut(&str) -> String) -> Vec<Variable> {
        let mut variables = Vec::new();
        for key in &self.order {
            let (count, field, values) = &self.found[key];
            if *count < 2 {
                continue;
            }
            let ty = match &key[0] {
                Scalar::Bool(_) => "Bool",
                Scalar::Int(_) => "Int",
                Scalar::Str(_) => "String",
                Scalar::Quantity(_) => "Quantity",
            };
            let name = take(field);
            self.names.insert(key.clone(), name.clone());
            variables.push(Variable {
                name,
                ty,
                values: values.clone(),
            });
        }
        variables
    }
}

/// The base of copies, of which there is at least one. `is_whole` says that there is a copy for every environment.
// Recursion is as deep as the values, which the reader bounds.
pub(crate) fn merge<'t>(
    copies: &[&Node],
    kind: Kind<'t>,
    field: &str,
    key: Option<&str>,
    writer: &Writer<'t>,
    is_whole: bool,
    leaves: &mut Leaves,
) -> Node {
    let first = copies[0];
    if copies.iter().all(|copy| same(first, copy)) {
        return first.clone();
    }
    let maps: Option<Vec<&[Entry]>> = copies.iter().map(|copy| copy.entries()).collect();
    if let Some(maps) = maps {
        let mut entries: Vec<Entry> = Vec::new();
        let is_present =
            |entry: &&Entry| !(writer.is_struct(kind) && matches!(entry.node.value, Value::Null));
        let by_key: Vec<HashMap<&str, &Entry>> = maps
            .iter()
            .map(|map| {
                map.iter()
                    .filter(is_present)
                    .map(|entry| (entry.key.as_str(), entry))
                    .collect()
            })
            .collect();
        for name in union(&maps) {
            let present: Vec<&Entry> = by_key
                .iter()
                .filter_map(|map| map.get(name).copied())
                .collect();
            if present.is_empty()
                || !is_usual(present.len(), copies.len(), by_key[0].contains_key(name))
            {
                continue;
            }
            let nodes: Vec<&Node> = present.iter().map(|entry| &entry.node).collect();
            let is_whole = is_whole && nodes.len() == copies.len();
            let inner = writer.field(kind, name);
            let key = writer.list_key(kind, name);
            // The `value` of a variable is called as the variable.
            let named = present[0].key == "value";
            let owner = by_key[0]
                .get("name")
                .and_then(|entry| entry.node.str())
                .filter(|_| named);
            let name = owner.unwrap_or(name);
            entries.push(Entry {
                node: merge(&nodes, inner, name, key, writer, is_whole, leaves),
                ..present[0].clone()
            });
        }
        return Node {
            value: Value::Map(entries),
            ..first.clone()
        };
    }
    if let Some(list) = merge_lists(copies, kind, key, writer, is_whole, leaves) {
        return list;
    }
    let is_quantity = matches!(writer.known(kind), Kind::Of(Shape::Quantity));
    if is_whole && let Some(name) = leaves.leaf(copies, field, is_quantity) {
        return Node {
            value: Value::Name(name),
            ..first.clone()
        };
    }
    most(copies).clone()
}

/// Merges lists whose elements have keys, element by element.
fn merge_lists<'t>(
    copies: &[&Node],
    kind: Kind<'t>,
    key: Option<&str>,
    writer: &Writer<'t>,
    is_whole: bool,
    leaves: &mut Leaves,
) -> Option<Node> {
    let key = key?;
    let lists: Vec<&[Node]> = copies
        .iter()
        .map(|copy| match &copy.value {
            Value::List(items) => Some(&items[..]),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let keys: Vec<_> = lists
        .iter()
        .map(|items| element_keys(items, key))
        .collect::<Option<_>>()?;
    let mut items = Vec::new();
    let mut seen = Vec::new();
    for name in keys.iter().flatten() {
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        let present: Vec<&Node> = lists
            .iter()
            .zip(&keys)
            .filter_map(|(items, keys)| Some(&items[keys.iter().position(|other| other == name)?]))
            .collect();
        if is_usual(present.len(), copies.len(), keys[0].contains(name)) {
            let is_whole = is_whole && present.len() == copies.len();
            items.push(merge(
                &present,
                writer.element(kind),
                "",
                None,
                writer,
                is_whole,
                leaves,
            ));
        }
    }
    Some(Node {
        value: Value::List(items),
        ..copies[0].clone()
    })
}

/// Whether what so many copies have belongs in the base: most have it, or half and the first one among them.
pub(crate) fn is_usual(present: usize, all: usize, in_first: bool) -> bool {
    2 * present > all || (2 * present == all && in_first)
}

/// The keys of all maps in the order in which they come.
fn union<'e>(maps: &[&'e [Entry]]) -> Vec<&'e str> {
    let mut seen = std::collections::HashSet::new();
    let keys = maps
        .iter()
        .flat_map(|map| map.iter())
        .map(|entry| entry.key.as_str());
    keys.filter(|key| seen.insert(*key)).collect()
}

/// The value that occurs most often; of several the first.
fn most<'n>(copies: &[&'n Node]) -> &'n Node {
    let count = |node: &Node| copies.iter().filter(|copy| same(node, copy)).count();
    let mut best = copies[0];
    for copy in &copies[1..] {
        if count(copy) > count(best) {
            best = copy;
        }
    }
    best
}
