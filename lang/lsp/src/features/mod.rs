//! One file per thing that an editor asks: a function of a view and a place, without the protocol.

pub(crate) mod actions;
pub(crate) mod complete;
pub(crate) mod definition;
pub(crate) mod describe;
pub(crate) mod folding;
pub(crate) mod format;
pub(crate) mod hover;
pub(crate) mod inlay;
pub(crate) mod moves;
pub(crate) mod references;
pub(crate) mod selection;
pub(crate) mod signature;
pub(crate) mod snippet;
pub(crate) mod symbols;
pub(crate) mod tokens;
pub(crate) mod values;

use ordain_lang_syntax::Span;

/// A change of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Edit {
    /// What is replaced; empty to insert.
    pub(crate) span: Span,
    /// What it says then.
    pub(crate) text: String,
}

impl Edit {
    /// Replaces a span.
    pub(crate) fn new(span: Span, text: impl Into<String>) -> Edit {
        Edit {
            span,
            text: text.into(),
        }
    }
}
