//! Copies of an object to one base and what each copy changes.

mod diff;
mod merge;

pub(crate) use diff::{amendments, under};
pub(crate) use merge::{Leaves, Variable, is_usual, merge};

use std::collections::HashSet;

use crate::yaml::{Node, Value};

/// Whether two values are equal, without their comments and places.
// Recursion is as deep as the values, which the reader bounds.
pub(crate) fn same(one: &Node, two: &Node) -> bool {
    match (&one.value, &two.value) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(one), Value::Bool(two)) => one == two,
        (Value::Int(one, _), Value::Int(two, _)) => one == two,
        (Value::Float(one), Value::Float(two)) => one == two,
        (Value::Str(one), Value::Str(two)) | (Value::Name(one), Value::Name(two)) => one == two,
        (Value::List(one), Value::List(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| same(one, two))
        }
        (Value::Map(one), Value::Map(two)) => {
            one.len() == two.len()
                && one.iter().zip(two).all(|(entry, beside)| {
                    // Copies mostly keep the order.
                    let other = match beside.key == entry.key {
                        true => Some(beside),
                        false => two.iter().find(|other| other.key == entry.key),
                    };
                    other.is_some_and(|other| same(&entry.node, &other.node))
                })
        }
        _ => false,
    }
}

/// What names an element of a list.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum ElementKey {
    Int(i64),
    Str(String),
}

/// The keys of a list's elements, when every element has one and they differ.
pub(crate) fn element_keys(items: &[Node], key: &str) -> Option<Vec<ElementKey>> {
    let mut seen = HashSet::new();
    let keys = items.iter().map(|item| {
        let key = match &item.get(key)?.value {
            Value::Int(value, _) => ElementKey::Int(*value),
            Value::Str(text) => ElementKey::Str(text.clone()),
            _ => return None,
        };
        seen.insert(key.clone()).then_some(key)
    });
    keys.collect()
}
