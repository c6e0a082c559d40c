//! Source text, spans, diagnostics, lexer and parser of the `.ord` language.
//!
//! [`parse`] turns bytes into three things at once: a lossless [`Tree`] (every byte of the source,
//! trivia included), a typed [`ast::File`] for the checker and the evaluator, and the syntax
//! diagnostics. It never fails and never panics: what could not be read becomes an error node.
//!
//! This crate knows no types, no Kubernetes and no files; it reads what it is given.

pub mod ast;
mod diagnostic;
mod kind;
mod lexer;
mod literal;
mod name;
mod parser;
mod source;
mod tree;

pub use diagnostic::{Diagnostic, Label, Severity};
pub use kind::{NodeKind, TokenKind};
pub use lexer::Token;
pub use name::{Name, NameBuildHasher, NameHasher};
pub use parser::{MAX_BYTES, MAX_DEPTH, parse};
pub use source::{FileId, LineCol, Sources, Span};
pub use tree::{Child, Node, Tree, TreeToken};

/// What [`parse`] returns; there always is a file, perhaps with error nodes.
#[derive(Debug)]
pub struct Parsed {
    /// The typed tree.
    pub file: ast::File,
    /// What is wrong with the syntax, in the order of the source.
    pub diagnostics: Vec<Diagnostic>,
    pub(crate) tokens: Vec<Token>,
    pub(crate) entries: Vec<tree::Entry>,
}
