//! How rules look at values: one trait, so that each rule is written once and judges both constants in the sources and
//! values that were computed.
//!
//! It knows neither expressions nor the evaluator's heap; those implement it.

use std::borrow::Cow;

use ordain_lang_syntax::Span;

/// What is known of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slot<T> {
    /// Nobody sets it.
    Absent,
    /// It may be set; to what is not known yet.
    Unknown,
    /// It is set.
    Is(T),
}

impl<T> Slot<T> {
    /// The value, when it is known.
    pub fn known(self) -> Option<T> {
        match self {
            Slot::Is(value) => Some(value),
            _ => None,
        }
    }

    /// Whether nobody sets it for certain.
    pub fn is_absent(&self) -> bool {
        matches!(self, Slot::Absent)
    }

    /// Whether it is set for certain, to whatever.
    pub fn is_set(&self) -> bool {
        matches!(self, Slot::Is(_))
    }
}

/// How many parts of a value are known one by one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Count {
    /// How many places to ask for.
    pub len: usize,
    /// Whether these are all there are.
    pub all: bool,
}

/// A field, an entry or an element.
#[derive(Clone, Debug)]
pub struct Part<'v, N> {
    /// The field's name or the entry's key; empty for an element.
    pub key: Cow<'v, str>,
    /// Where the name or key is written.
    pub key_span: Span,
    /// The value.
    pub node: N,
}

/// A tree of values, as far as it is known.
pub trait View {
    /// A value.
    type Node: Copy;

    /// A field of a record, or an entry of a map. Null is absent.
    fn get(&self, of: Self::Node, name: &str) -> Slot<Self::Node>;

    /// How many places [`View::part`] can be asked for.
    fn count(&self, of: Self::Node) -> Count;

    /// The field, entry or element at a place; none where it is not known or absent.
    fn part(&self, of: Self::Node, at: usize) -> Option<Part<'_, Self::Node>>;

    /// A known string or quantity. Never what a secret holds.
    fn text(&self, of: Self::Node) -> Option<Cow<'_, str>>;

    /// A known integer.
    fn int(&self, of: Self::Node) -> Option<i64>;

    /// A known truth value.
    fn flag(&self, of: Self::Node) -> Option<bool>;

    /// Where the value was set.
    fn span(&self, of: Self::Node) -> Span;

    /// Whether the value stands in an object. A probe or a claim on its own may be completed by whoever uses it, so that
    /// what it lacks is not known to be missing.
    fn is_in_object(&self) -> bool;

    /// Whether nothing can be added any more: the value is part of a finished object.
    fn is_finished(&self) -> bool;
}
