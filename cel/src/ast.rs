//! An expression as a tree. Macros are nodes of their own; chains of `&&` and `||` are flat.

use std::sync::Arc;

use regex::Regex;

use crate::value::Value;

/// A node, how deep the tree below it is, and where it is told: an operator, or the name of a field or function.
#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub(crate) kind: Kind,
    pub(crate) depth: u32,
    /// In bytes from the start of the text.
    pub(crate) at: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Literal(Value),
    /// A variable, by position from the outermost.
    Variable(usize),
    /// `base.name`, `base.?name`
    Select {
        base: Box<Expr>,
        name: Arc<str>,
        optional: bool,
    },
    /// `has(base.name)`
    Has {
        base: Box<Expr>,
        name: Arc<str>,
    },
    /// `base[index]`, `base[?index]`
    Index {
        base: Box<Expr>,
        index: Box<Expr>,
        optional: bool,
    },
    /// A function; the receiver, when there is one, is the first argument.
    Call {
        function: &'static str,
        /// Whether it is written behind its first argument: `a.f(b)`.
        is_method: bool,
        args: Vec<Expr>,
        /// The last argument as a regular expression, when it is a literal that is one.
        regex: Option<Regex>,
    },
    /// Elements, and whether an absent optional is left out.
    List(Vec<(Expr, bool)>),
    /// Keys and values, and whether an absent optional is left out.
    Map(Vec<(Expr, Expr, bool)>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    If(Box<Expr>, Box<Expr>, Box<Expr>),
    Binary(Op, Box<Expr>, Box<Expr>),
    Loop(Box<Loop>),
    /// `cel.bind(x, value, body)`: the body sees one variable more.
    Bind(Box<Expr>, Box<Expr>),
    /// `value.optMap(x, body)`; flat when the body is itself optional.
    OptMap {
        value: Box<Expr>,
        body: Box<Expr>,
        flat: bool,
    },
}

/// What a comprehension makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Makes {
    All,
    Exists,
    ExistsOne,
    /// `filter`: those elements for which the condition holds.
    Kept,
    /// `map`, `transformList`
    List,
    /// `transformMap`: values by the same keys.
    Map,
    /// `sortBy`
    Sorted,
}

/// A comprehension; condition and body see one or two variables more.
#[derive(Clone, Debug)]
pub(crate) struct Loop {
    pub(crate) range: Expr,
    pub(crate) makes: Makes,
    pub(crate) two: bool,
    pub(crate) condition: Option<Expr>,
    pub(crate) body: Option<Expr>,
}
