//! The four walks over typed values that server-side apply consists of: which fields a value has,
//! how two values differ, how one merges over the other, and what is left without some fields.
//!
//! Rules: sigs.k8s.io/structured-merge-diff, typed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{
    schema::{Atom, Schema},
    set::{FieldSet, PathElement, show_path},
};

/// How two values differ, by path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) added: FieldSet,
    pub(crate) modified: FieldSet,
    pub(crate) removed: FieldSet,
}

impl Comparison {
    pub(crate) fn is_same(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    /// Leaves out the paths of a set, and those below them.
    pub(crate) fn without(&self, ignored: &FieldSet) -> Comparison {
        Comparison {
            added: self.added.recursive_difference(ignored),
            modified: self.modified.recursive_difference(ignored),
            removed: self.removed.recursive_difference(ignored),
        }
    }
}

fn is_nothing(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(_) => false,
    }
}

fn as_map(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object)
}

fn as_list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn field(name: &str) -> PathElement {
    PathElement::Field(name.to_owned())
}

/// Tells whether numbers, maps and lists mean the same; 1 equals 1.0.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let found = |(key, a): (&String, &Value)| b.get(key).is_some_and(|b| same(a, b));
            a.len() == b.len() && a.iter().all(found)
        }
        (a, b) => a == b,
    }
}

/// Returns the paths of all leaves, list elements and map entries of a configuration.
///
/// # Errors
/// When a field is not in the schema, or a list has two elements with one key or one without any;
/// the text names the path.
pub(crate) fn field_set(schema: &Schema<'_>, config: &Value) -> Result<FieldSet, String> {
    let mut collect = Collect {
        set: FieldSet::default(),
        path: Vec::new(),
        problem: None,
    };
    collect.value(schema, config);
    match collect.problem {
        Some(problem) => Err(problem),
        None => Ok(collect.set),
    }
}

/// Returns the paths of a stored object, where repeated and unknown things are taken as they are.
pub(crate) fn live_field_set(schema: &Schema<'_>, object: &Value) -> FieldSet {
    let mut collect = Collect {
        set: FieldSet::default(),
        path: Vec::new(),
        problem: None,
    };
    collect.value(schema, object);
    collect.set
}

struct Collect {
    set: FieldSet,
    path: Vec<PathElement>,
    /// The first thing that a configuration must not have.
    problem: Option<String>,
}

impl Collect {
    fn value(&mut self, schema: &Schema<'_>, value: &Value) {
        let atom = schema.atom(value);
        match (&atom, value) {
            (Atom::Map, Value::Object(map)) => {
                for (key, value) in map {
                    let (child, named) = schema.child(key);
                    self.path.push(field(key));
                    if !schema.allows(key) {
                        self.problem("field not declared in schema");
                    }
                    self.value(&child, value);
                    let empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
                    if empty || !named {
                        self.set.insert(&self.path);
                    }
                    self.path.pop();
                }
            }
            (Atom::Set | Atom::Keyed(_), Value::Array(list)) => self.list(schema, atom, list),
            // A leaf; or the wrong type or null, about which the object's validation speaks.
            _ => self.set.insert(&self.path),
        }
    }

    fn list(&mut self, schema: &Schema<'_>, atom: Atom<'_>, list: &[Value]) {
        let mut seen = BTreeSet::new();
        let elements = schema.elements(atom, list).into_iter().zip(list);
        for (place, (element, value)) in elements.enumerate() {
            let Some(element) = element else {
                let keys = match atom {
                    Atom::Keyed(keys) => keys.names(),
                    _ => Vec::new(),
                };
                self.problem(&format!(
                    "element {place}: associative list with keys has an element that omits all key fields {keys:?} (and doesn't have default values for any key fields)"
                ));
                continue;
            };
            if !seen.insert(element.clone()) {
                self.problem(&format!("duplicate entries for key {element}"));
            }
            self.path.push(element);
            self.value(&schema.element(), value);
            self.set.insert(&self.path);
            self.path.pop();
        }
    }

    fn problem(&mut self, text: &str) {
        let path = &self.path;
        self.problem
            .get_or_insert_with(|| format!("{}: {text}", show_path(path)));
    }
}

/// Compares two values.
pub(crate) fn compare(schema: &Schema<'_>, old: &Value, new: &Value) -> Comparison {
    let mut comparison = Comparison::default();
    let empty = Value::Object(Map::new());
    let old = if old.is_null() { &empty } else { old };
    differ(
        schema,
        Some(old),
        Some(new),
        &mut Vec::new(),
        &mut comparison,
    );
    comparison
}

/// Compares what is at a path on both sides; at least one side is there.
fn differ(
    schema: &Schema<'_>,
    old: Option<&Value>,
    new: Option<&Value>,
    path: &mut Vec<PathElement>,
    out: &mut Comparison,
) {
    let leaf = |out: &mut Comparison, path: &[PathElement]| match (old, new) {
        (None, _) => out.added.insert(path),
        (_, None) => out.removed.insert(path),
        (Some(old), Some(new)) if !same(old, new) => out.modified.insert(path),
        _ => {}
    };
    let witness = new
        .filter(|value| !value.is_null())
        .or(old)
        .unwrap_or(&Value::Null);
    let atom = schema.atom(witness);
    let fits = |value: Option<&Value>| match (&atom, value) {
        (_, None | Some(Value::Null)) => true,
        (Atom::Map, Some(value)) => value.is_object(),
        (Atom::Set | Atom::Keyed(_), Some(value)) => value.is_array(),
        (Atom::Leaf, _) => true,
    };
    // Two empty containers of different kinds still differ, so they are compared as leaves.
    if atom == Atom::Leaf || !fits(old) || !fits(new) || (is_nothing(old) && is_nothing(new)) {
        leaf(out, path);
        return;
    }
    match &atom {
        Atom::Map => {
            let (old, new) = (as_map(old), as_map(new));
            let old_keys = old.into_iter().flat_map(Map::keys);
            let new_keys = new.into_iter().flat_map(Map::keys);
            let keys: BTreeSet<&String> = old_keys.chain(new_keys).collect();
            for key in keys {
                let (child, _) = schema.child(key);
                let there = child.when_absent();
                let there = there.as_ref();
                let old = old.and_then(|map| map.get(key).or(there));
                let new = new.and_then(|map| map.get(key).or(there));
                path.push(field(key));
                differ(&child, old, new, path, out);
                path.pop();
            }
        }
        _ => {
            let old = index(schema, atom, as_list(old));
            let new = index(schema, atom, as_list(new));
            let elements: BTreeSet<&PathElement> = old.keys().chain(new.keys()).collect();
            for element in elements {
                path.push(element.clone());
                // A repeated key makes its elements one leaf, as upstream has it.
                match (single(&old, element), single(&new, element)) {
                    (Some(old), Some(new)) => differ(&schema.element(), old, new, path, out),
                    _ if !old.contains_key(element) => out.added.insert(path),
                    _ if !new.contains_key(element) => out.removed.insert(path),
                    _ if old.get(element) != new.get(element) => out.modified.insert(path),
                    _ => {}
                }
                path.pop();
            }
        }
    }
    match (old, new) {
        (None, _) => out.added.insert(path),
        (_, None) => out.removed.insert(path),
        _ => {}
    }
}

/// Returns the only element at a path element, if there is one; `None` when there are several.
fn single<'v>(
    index: &BTreeMap<PathElement, Vec<&'v Value>>,
    element: &PathElement,
) -> Option<Option<&'v Value>> {
    match index.get(element).map(Vec::as_slice) {
        None => Some(None),
        Some([value]) => Some(Some(value)),
        Some(_) => None,
    }
}

/// Returns the elements of a list by their path element; usually one each.
fn index<'v>(
    schema: &Schema<'_>,
    atom: Atom<'_>,
    list: &'v [Value],
) -> BTreeMap<PathElement, Vec<&'v Value>> {
    let mut index: BTreeMap<PathElement, Vec<&Value>> = BTreeMap::new();
    for (element, value) in schema.elements(atom, list).into_iter().zip(list) {
        if let Some(element) = element {
            index.entry(element).or_default().push(value);
        }
    }
    index
}

/// Merges a configuration over a value: what the configuration does not mention stays.
pub(crate) fn merge(schema: &Schema<'_>, old: Option<&Value>, new: &Value) -> Value {
    let Some(old) = old else { return new.clone() };
    let atom = schema.atom(if new.is_null() { old } else { new });
    match (&atom, old, new) {
        (Atom::Map, Value::Object(old), Value::Object(new)) => {
            let mut merged = old.clone();
            for (key, value) in new {
                let (child, _) = schema.child(key);
                let value = merge(&child, old.get(key), value);
                merged.insert(key.clone(), value);
            }
            Value::Object(merged)
        }
        (Atom::Set | Atom::Keyed(_), Value::Array(old), Value::Array(new)) => {
            Value::Array(merge_lists(schema, atom, old, new))
        }
        _ => new.clone(),
    }
}

/// Merges lists in the order of the configuration; what only the object has keeps its place
/// between the elements that both have.
fn merge_lists(schema: &Schema<'_>, atom: Atom<'_>, old: &[Value], new: &[Value]) -> Vec<Value> {
    let old_elements = schema.elements(atom, old);
    let new_elements = schema.elements(atom, new);
    let at = |element: &Option<PathElement>| {
        old_elements
            .iter()
            .position(|old| old.is_some() && old == element)
    };
    let in_new = |element: &Option<PathElement>| new_elements.contains(element);
    let merge_at = |place: usize| {
        let old = at(&new_elements[place]).map(|place| &old[place]);
        merge(&schema.element(), old, &new[place])
    };
    let mut shared = new_elements.iter().filter(|element| at(element).is_some());
    let mut next_shared = shared.next();
    let mut merged_elements: Vec<&Option<PathElement>> = Vec::new();
    let mut merged = Vec::with_capacity(old.len().max(new.len()));
    let (mut left, mut right) = (0, 0);
    while left < old.len() || right < new.len() {
        if left < old.len() && right < new.len() {
            if old_elements[left] == new_elements[right] {
                merged.push(merge_at(right));
                merged_elements.push(&new_elements[right]);
                left += 1;
                right += 1;
                next_shared = shared.next();
                continue;
            }
            let wanted = next_shared.is_some_and(|next| *next != old_elements[left]);
            if wanted && in_new(&old_elements[left]) {
                left += 1;
                continue;
            }
        }
        if left < old.len() {
            if !in_new(&old_elements[left]) {
                merged.push(old[left].clone());
                left += 1;
                continue;
            }
            if merged_elements.contains(&&old_elements[left]) {
                left += 1;
                continue;
            }
        }
        if right < new.len() {
            merged.push(merge_at(right));
            merged_elements.push(&new_elements[right]);
            if next_shared == Some(&new_elements[right]) {
                next_shared = shared.next();
            }
            right += 1;
        } else if left < old.len() {
            left += 1;
        }
    }
    merged
}

/// Returns the value without the paths of a set. A container that loses all its content is left
/// out with it, unless its own path is in `kept`.
pub(crate) fn remove(
    schema: &Schema<'_>,
    value: &Value,
    removed: &FieldSet,
    kept: &FieldSet,
) -> Option<Value> {
    let nothing = FieldSet::default();
    let below = |element: &PathElement| {
        let kept_node = kept.nodes.get(element);
        (
            removed.nodes.get(element),
            kept_node.map_or(&nothing, |node| &node.children),
            kept_node.is_some_and(|node| node.member),
        )
    };
    let atom = schema.atom(value);
    match (&atom, value) {
        (Atom::Map, Value::Object(map)) => {
            let mut left = Map::new();
            for (key, value) in map {
                let (removed, kept, is_kept) = below(&field(key));
                let value = match removed {
                    None => Some(value.clone()),
                    Some(node) if node.member => None,
                    Some(node) => {
                        let child = schema.child(key).0;
                        remove(&child, value, &node.children, kept)
                            .or_else(|| is_kept.then(|| emptied(value)))
                    }
                };
                if let Some(value) = value {
                    left.insert(key.clone(), value);
                }
            }
            (!left.is_empty() || map.is_empty()).then_some(Value::Object(left))
        }
        (Atom::Set | Atom::Keyed(_), Value::Array(list)) => {
            let mut left = Vec::new();
            for (element, value) in schema.elements(atom, list).into_iter().zip(list) {
                let Some(element) = element else {
                    left.push(value.clone());
                    continue;
                };
                let (removed, kept, is_kept) = below(&element);
                match removed {
                    None => left.push(value.clone()),
                    Some(node) if node.member => {}
                    Some(node) => left.extend(
                        remove(&schema.element(), value, &node.children, kept)
                            .or_else(|| is_kept.then(|| emptied(value))),
                    ),
                }
            }
            (!left.is_empty() || list.is_empty()).then_some(Value::Array(left))
        }
        (_, value) => Some(value.clone()),
    }
}

fn emptied(value: &Value) -> Value {
    match value {
        Value::Array(_) => Value::Array(Vec::new()),
        _ => Value::Object(Map::new()),
    }
}

/// Returns the set with all fields that the schema names along its paths as members, so that
/// removing a path removes the struct that held nothing else.
pub(crate) fn with_named_fields(schema: &Schema<'_>, set: &FieldSet) -> FieldSet {
    let mut named = set.clone();
    for (element, node) in &mut named.nodes {
        let child = match element {
            PathElement::Field(name) => {
                let (child, is_named) = schema.child(name);
                node.member |= is_named;
                child
            }
            _ => schema.element(),
        };
        node.children = with_named_fields(&child, &node.children);
    }
    named
}
