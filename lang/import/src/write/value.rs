//! A value and its Kubernetes type to the record, list or literal that makes it.
//!
//! Beside what to write it says what will be built: a typed field cannot be null, and a quantity is always a string, so
//! those two come out as the API server stores them and not as they went in.

use ordain_lang_syntax::Span;
use ordain_schemas::{ListType, Shape, Table};
use serde_json::{Map, Value as Json};

use super::doc::{Doc, Item, Member};
use super::text;
use crate::yaml::{Entry, Node, Value};

/// What is known of a value's type.
#[derive(Clone, Copy)]
pub(crate) enum Kind<'t> {
    /// A type of the table.
    Of(&'t Shape),
    /// Data: everything is kept as it is.
    Any,
}

/// What had to change on the way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// Where typed fields were null, which means that they are absent.
    pub(crate) nulls: Vec<Span>,
    /// Where quantities were numbers, which the API server turns to strings.
    pub(crate) numbers: Vec<Span>,
}

/// Writes values of the types of one version of Kubernetes.
pub(crate) struct Writer<'t> {
    pub(crate) table: &'t Table,
}

impl<'t> Writer<'t> {
    /// The value as the language writes it.
    // Recursion is as deep as the value, which the reader bounds.
    pub(crate) fn doc(&self, node: &Node, kind: Kind<'t>) -> Doc {
        match (&node.value, self.known(kind)) {
            (Value::Null, _) => Doc::Atom("null".to_owned()),
            (Value::Name(name), _) => Doc::Atom(name.clone()),
            (Value::Bool(value), _) => Doc::Atom(value.to_string()),
            (Value::Int(value, is_octal), _) => Doc::Atom(match is_octal {
                true if *value > 7 => format!("0o{value:o}"),
                _ => value.to_string(),
            }),
            (Value::Float(value), _) => Doc::Atom(text::float(*value)),
            (Value::Str(text), Kind::Of(Shape::Quantity)) => {
                Doc::Atom(match text::quantity(text) {
                    Some(literal) => literal.to_owned(),
                    None => text::quoted(text),
                })
            }
            (Value::Str(text), _) => match text::block(text) {
                Some(lines) => Doc::Block(lines),
                None => Doc::Atom(text::quoted(text)),
            },
            (Value::List(items), kind) => {
                let element = match kind {
                    Kind::Of(Shape::List(element)) => Kind::Of(element),
                    _ => Kind::Any,
                };
                Doc::List(items.iter().map(|item| self.item(item, element)).collect())
            }
            (Value::Map(entries), kind) => Doc::Record(String::new(), self.members(entries, kind)),
        }
    }

    fn item(&self, node: &Node, kind: Kind<'t>) -> Item {
        Item {
            doc: self.doc(node, kind),
            before: node.before.clone(),
            behind: node.behind.clone(),
            origin: Some(node.span),
        }
    }

    /// The members of a record that is made of a map.
    pub(crate) fn members(&self, entries: &[Entry], kind: Kind<'t>) -> Vec<Member> {
        let mut members = Vec::with_capacity(entries.len());
        let mut orphans = Vec::new();
        for entry in in_order(entries, self.is_metadata(kind)) {
            let node = &entry.node;
            let is_absent = matches!(node.value, Value::Null) && self.is_struct(kind);
            if is_absent {
                orphans.extend(node.before.iter().chain(&node.behind).cloned());
                continue;
            }
            let inner = self.field(kind, &entry.key);
            let doc = self.doc(node, inner);
            let mut before = std::mem::take(&mut orphans);
            before.extend(node.before.iter().cloned());
            let mut member = Member {
                head: format!("{} =", text::key(&entry.key)),
                doc: Some(doc),
                before,
                behind: node.behind.clone(),
                origin: Some(entry.key_span),
            };
            if self.may_be_joined(kind, inner) {
                join(&mut member);
            }
            members.push(member);
        }
        if let Some(last) = members.last_mut() {
            last.before.extend(orphans);
        }
        members
    }

    /// Whether `a = { b = 1 }` is written `a.b = 1`: fields have paths, the keys of maps are data.
    fn may_be_joined(&self, outer: Kind<'t>, inner: Kind<'t>) -> bool {
        let is_record = |kind: Kind<'t>| match self.known(kind) {
            Kind::Any => true,
            Kind::Of(_) => self.is_struct(kind),
        };
        is_record(outer) && is_record(inner)
    }

    /// The shape behind types whose JSON form is special; data for those that hold any value.
    pub(crate) fn known(&self, kind: Kind<'t>) -> Kind<'t> {
        match kind {
            Kind::Of(Shape::Struct(id)) => match &self.table.ty(*id).special {
                Some(special) => self.known(Kind::Of(special)),
                None => kind,
            },
            Kind::Of(Shape::RawExtension | Shape::FieldsV1 | Shape::Json) => Kind::Any,
            _ => kind,
        }
    }

    /// The type of the elements of a list.
    pub(crate) fn element(&self, kind: Kind<'t>) -> Kind<'t> {
        match self.known(kind) {
            Kind::Of(Shape::List(element)) => Kind::Of(element),
            _ => Kind::Any,
        }
    }

    pub(crate) fn is_struct(&self, kind: Kind<'t>) -> bool {
        matches!(self.known(kind), Kind::Of(Shape::Struct(_)))
    }

    fn is_metadata(&self, kind: Kind<'t>) -> bool {
        match kind {
            Kind::Of(Shape::Struct(id)) => self.table.type_name(*id).ends_with(".ObjectMeta"),
            _ => false,
        }
    }

    /// The field that names the elements of the list in this field, as server-side apply does.
    pub(crate) fn list_key(&self, kind: Kind<'t>, name: &str) -> Option<&'static str> {
        let Kind::Of(Shape::Struct(id)) = self.known(kind) else {
            return None;
        };
        let field = self.table.ty(*id).field(name)?;
        match &field.list_type {
            Some(ListType::Map(keys)) => keys.first().copied(),
            Some(ListType::Set) => None,
            _ if field.patch.merge => field.patch.merge_key,
            _ => None,
        }
    }

    /// The type of a field, of the entries of a map or of the elements of a list.
    pub(crate) fn field(&self, kind: Kind<'t>, name: &str) -> Kind<'t> {
        match self.known(kind) {
            Kind::Of(Shape::Struct(id)) => match self.table.ty(*id).field(name) {
                Some(field) => Kind::Of(&field.shape),
                None => Kind::Any,
            },
            Kind::Of(Shape::Map(element)) => Kind::Of(element),
            _ => Kind::Any,
        }
    }

    /// The value as it will be built, and what changes by that.
    pub(crate) fn built(&self, node: &Node, kind: Kind<'t>, changes: &mut Changes) -> Json {
        match (&node.value, self.known(kind)) {
            (Value::Int(value, _), Kind::Of(Shape::Quantity)) => {
                changes.numbers.push(node.span);
                Json::String(value.to_string())
            }
            (Value::Float(value), Kind::Of(Shape::Quantity)) => {
                changes.numbers.push(node.span);
                Json::String(value.to_string())
            }
            (Value::List(items), kind) => {
                let element = match kind {
                    Kind::Of(Shape::List(element)) => Kind::Of(element),
                    _ => Kind::Any,
                };
                Json::Array(
                    items
                        .iter()
                        .map(|item| self.built(item, element, changes))
                        .collect(),
                )
            }
            (Value::Map(entries), kind) => {
                let mut fields = Map::new();
                for entry in entries {
                    if matches!(entry.node.value, Value::Null) && self.is_struct(kind) {
                        changes.nulls.push(entry.key_span);
                        continue;
                    }
                    let inner = self.field(kind, &entry.key);
                    fields.insert(entry.key.clone(), self.built(&entry.node, inner, changes));
                }
                Json::Object(fields)
            }
            _ => node.json(),
        }
    }
}

/// `a = { b = 1 }` to `a.b = 1`, when there is no comment whose place would be lost.
fn join(member: &mut Member) {
    let Some(Doc::Record(head, inner)) = &mut member.doc else {
        return;
    };
    if !head.is_empty() || inner.len() != 1 || member.behind.is_some() {
        return;
    }
    let is_set = inner[0].head.ends_with(" =") && inner[0].before.is_empty();
    if is_set && let Some(only) = inner.pop() {
        member.head.truncate(member.head.len() - " =".len());
        member.head.push('.');
        member.head.push_str(&only.head);
        member.behind = only.behind;
        member.doc = only.doc;
    }
}

/// The entries of a map; in metadata the name comes first.
fn in_order(entries: &[Entry], is_metadata: bool) -> impl Iterator<Item = &Entry> {
    let rank = move |entry: &Entry| match entry.key.as_str() {
        "name" if is_metadata => 0,
        "generateName" | "namespace" if is_metadata => 1,
        _ => 2,
    };
    (0..3).flat_map(move |wanted| entries.iter().filter(move |entry| rank(entry) == wanted))
}
