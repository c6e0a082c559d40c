//! YAML and JSON text to nodes that remember their place and their comments.
//!
//! Values are read as kubectl reads them (sigs.k8s.io/yaml, whose parser follows YAML 1.1): `yes` is a
//! boolean, `0644` is octal, a date is a string. It knows nothing of Kubernetes.

mod read;
mod remedy;
mod scalar;

pub(crate) use read::{Document, read};

use ordain_lang_syntax::Span;
use serde_json::{Map, Number, Value as Json};

/// A value with where it stands and what was said about it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Where the value stands in its file.
    pub(crate) span: Span,
    /// What it is.
    pub(crate) value: Value,
    /// Comments on the lines before it, without `#`.
    pub(crate) before: Vec<String>,
    /// The comment behind it on its line.
    pub(crate) behind: Option<String>,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// An integer, and whether it was written in octal, as file modes are.
    Int(i64, bool),
    /// A number that is no integer of 64 bits; always finite.
    Float(f64),
    Str(String),
    /// The name of a field that holds the value; no file says this, factoring puts it in.
    Name(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) node: Node,
}

impl Node {
    /// A node without comments.
    pub(crate) fn plain(span: Span, value: Value) -> Node {
        Node {
            span,
            value,
            before: Vec::new(),
            behind: None,
        }
    }

    /// Forgets all comments: what is named by an alias says them once.
    fn forget_comments(&mut self) {
        self.before.clear();
        self.behind = None;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(Node::forget_comments),
            Value::Map(entries) => entries
                .iter_mut()
                .for_each(|entry| entry.node.forget_comments()),
            _ => {}
        }
    }

    /// The value of a key, when this is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        let entry = self.entries()?.iter().find(|entry| entry.key == key)?;
        Some(&entry.node)
    }

    /// The entries, when this is a map.
    pub(crate) fn entries(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The text, when this is a string.
    pub(crate) fn str(&self) -> Option<&str> {
        match &self.value {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The value as JSON.
    // Recursion is bounded: the reader refuses what nests deeper than its limit.
    pub(crate) fn json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Int(value, _) => Json::from(*value),
            Value::Float(value) => Number::from_f64(*value).map_or(Json::Null, Json::Number),
            Value::Str(text) | Value::Name(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Node::json).collect()),
            Value::Map(entries) => {
                let pairs = entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.node.json()));
                Json::Object(pairs.collect::<Map<String, Json>>())
            }
        }
    }
}
