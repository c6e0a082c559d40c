//! Type expressions.

use super::{Expr, Ident, NamePath, NodeId, RecordType};
use crate::Span;

/// A type as written.
#[derive(Clone, Debug)]
pub struct TypeExpr {
    /// Its node.
    pub id: NodeId,
    /// All of it, without surrounding parentheses.
    pub span: Span,
    /// What it is.
    pub kind: TypeKind,
}

/// The kinds of type expressions.
#[derive(Clone, Debug)]
pub enum TypeKind {
    /// Could not be read; reported.
    Error,
    /// `Int`, `k8s.Deployment`, `Map<String, Int>`, `Int(1..=100)`, `String(/^a/, 1..=63)`.
    Named {
        /// The name.
        path: NamePath,
        /// What stands in `<…>`.
        args: Vec<TypeExpr>,
        /// What stands in `(…)`.
        refinements: Vec<Refinement>,
    },
    /// `T?`.
    Optional(Box<TypeExpr>),
    /// `"a"`, `1`, `true`, `null`: the type with this one value.
    Literal(Box<Expr>),
    /// `A | B`, at least two, nested unions flattened.
    Union(Vec<TypeExpr>),
    /// `(A, B) -> C`.
    Function {
        /// Types of the parameters.
        params: Vec<TypeExpr>,
        /// Type of the result.
        result: Box<TypeExpr>,
    },
    /// `{ a: Int, b: String }`: a record type without a name.
    Record(RecordType),
}

/// One restriction of a type.
///
/// Without a name the value says what it is: a range bounds a number, or the length of a string,
/// list or map; a regular expression matches a string. With a name: `length = 1..=63`,
/// `format = "hostname"`, `multiple = 5`.
#[derive(Clone, Debug)]
pub struct Refinement {
    /// Its node.
    pub id: NodeId,
    /// All of it.
    pub span: Span,
    /// The name before `=`.
    pub name: Option<Ident>,
    /// A range, regular expression or literal.
    pub value: Expr,
}
