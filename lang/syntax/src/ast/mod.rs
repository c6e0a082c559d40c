//! The typed syntax tree that the checker and the evaluator read.
//!
//! Built by the parser in the same pass as the lossless tree. Every item, member, expression and
//! type has a [`NodeId`], unique and dense in its file, so that side tables can be plain vectors of
//! [`File::nodes`] entries. Parentheses, commas and comments are not in here. What could not be
//! read is an `Error` node, already reported: whoever meets one keeps silent.

mod expr;
mod item;
mod ty;

pub use expr::*;
pub use item::*;
pub use ty::*;

use crate::{FileId, Name, Span};

/// A node of one file: dense from 0, in no promised order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct NodeId(pub u32);

impl NodeId {
    /// Returns the number as an index into a side table.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A name where it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ident {
    /// The name; empty after a syntax error.
    pub name: Name,
    /// Where it stands.
    pub span: Span,
}

/// A dotted path of names, such as `k8s.Deployment` or `apps.shop.shop`.
#[derive(Clone, Debug)]
pub struct NamePath {
    /// At least one name.
    pub parts: Vec<Ident>,
    /// From the first name to the last.
    pub span: Span,
}

/// One source file.
#[derive(Clone, Debug)]
pub struct File {
    /// Its number.
    pub id: FileId,
    /// The items in the order of the source.
    pub items: Vec<Item>,
    /// How many node ids were given out: the length of a side table for this file.
    pub nodes: u32,
}
