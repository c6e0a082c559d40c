//! Expressions, records and their members.

use super::{Ident, NodeId, Param, TypeExpr};
use crate::{Name, Span};

/// An expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// Its node.
    pub id: NodeId,
    /// All of it, without surrounding parentheses.
    pub span: Span,
    /// What it is.
    pub kind: ExprKind,
}

/// The kinds of expressions.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// Could not be read; reported.
    Error,
    /// `null`.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// `8080`, `1_000`, `0x1f`, `0o644`.
    Int(i64),
    /// `1.5`, `1e3`.
    Float(f64),
    /// `500m`, `256Mi`, `30s`, `1h30m`.
    Unit(Box<UnitLit>),
    /// A string without interpolation, escapes resolved, text blocks without their indentation.
    Str(Box<str>),
    /// A string with interpolation.
    Interp(Box<[StrPart]>),
    /// `/^[a-z]+$/`: the pattern between the slashes; `\/` already stands for `/`.
    Regex(Box<str>),
    /// A name in scope: a binding, parameter, field, app, module, type or function.
    Name(Name),
    /// `base.name`, `base?.name`.
    Field {
        /// What is looked into. `k8s.Deployment` is also a field of the name `k8s`.
        base: Box<Expr>,
        /// The field.
        name: Ident,
        /// `?.`: null when the base is null.
        is_safe: bool,
    },
    /// `base["main"]`, `base[0]`, `objects[k8s.Deployment "shop"]`.
    Index {
        /// What is looked into.
        base: Box<Expr>,
        /// Which element.
        selector: Box<Selector>,
    },
    /// `callee(a, name = b)`; a method call has a [`Field`](ExprKind::Field) as callee.
    Call {
        /// What is called.
        callee: Box<Expr>,
        /// The arguments in order.
        args: Vec<Arg>,
    },
    /// `base { … }`: when `base` names a type, a new value of it; else an amended copy of a value.
    Amend {
        /// A type or a value.
        base: Box<Expr>,
        /// What is set or changed.
        body: Record,
    },
    /// `{ … }`: a record or map, by the type that is expected.
    Record(Record),
    /// `[ … ]`.
    List(Vec<Element>),
    /// `if a then b else c`, `if a { b } else { c }`.
    If {
        /// The condition.
        condition: Box<Expr>,
        /// When it holds.
        then: Box<Expr>,
        /// When it does not; null when left out.
        otherwise: Option<Box<Expr>>,
    },
    /// `match value { "a" | "b" => x, _ => y }`.
    Match {
        /// What is looked at.
        value: Box<Expr>,
        /// The arms, tried in order.
        arms: Vec<Arm>,
    },
    /// `let name = value in body`.
    Let {
        /// The binding.
        binding: Box<super::Binding>,
        /// The scope of the name.
        body: Box<Expr>,
    },
    /// `x => x.name`, `(a, b) => a + b`.
    Lambda {
        /// Parameters in order.
        params: Vec<Param>,
        /// The body.
        body: Box<Expr>,
    },
    /// `-a`, `not a`.
    Unary {
        /// The operator.
        op: UnaryOp,
        /// Its operand.
        operand: Box<Expr>,
    },
    /// `a + b` and the like.
    Binary {
        /// The operator.
        op: BinaryOp,
        /// Where the operator stands.
        op_span: Span,
        /// Left operand.
        left: Box<Expr>,
        /// Right operand.
        right: Box<Expr>,
    },
    /// `1..=100`, `0..10`, `1..`, `..=5`.
    Range {
        /// First element; open when left out.
        low: Option<Box<Expr>>,
        /// Last element, or the one after it; open when left out.
        high: Option<Box<Expr>>,
        /// `..=`.
        is_inclusive: bool,
    },
}

/// A number with a unit. `m` alone may be milli or minutes; the expected type decides.
#[derive(Clone, PartialEq, Debug)]
pub struct UnitLit {
    /// As written, without `_`: `500m`, `1h30m`.
    pub text: Box<str>,
    /// What kind of unit it is.
    pub class: UnitClass,
}

/// What a unit literal can be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnitClass {
    /// `n u k M G T P E Ki Mi Gi Ti Pi Ei`: a Quantity.
    Quantity,
    /// `ns us ms s h d` and compounds: a Duration.
    Duration,
    /// `m`: a Quantity in thousandths, or minutes where a Duration is expected.
    Either,
}

/// A piece of an interpolated string.
#[derive(Clone, Debug)]
pub enum StrPart {
    /// Text, escapes resolved.
    Text(Box<str>),
    /// `{expr}`.
    Expr(Expr),
}

/// What stands between the brackets of an index.
#[derive(Clone, Debug)]
pub enum Selector {
    /// `["main"]`, `[0]`, `[k]`: a key or an index.
    Key(Expr),
    /// `[8080, "TCP"]`: two or more keys, for lists that are keyed by several fields.
    Keys(Vec<Expr>),
    /// `[k8s.Deployment "shop"]`: an object by kind and name.
    Object {
        /// The kind, as a name path expression.
        kind: Expr,
        /// The object's name.
        name: Expr,
    },
}

/// An argument of a call.
#[derive(Clone, Debug)]
pub struct Arg {
    /// The parameter's name in `name = value`.
    pub name: Option<Ident>,
    /// The value.
    pub value: Expr,
}

/// An element of a list literal.
#[derive(Clone, Debug)]
pub enum Element {
    /// One value.
    Item(Expr),
    /// `...xs`: all elements of another list.
    Spread(Expr),
    /// `for k, v in m if c { … }` or `for x in xs => x`.
    For {
        /// Its node.
        id: NodeId,
        /// All of it.
        span: Span,
        /// One or more clauses, the last one turning fastest.
        clauses: Vec<ForClause>,
        /// The condition after `if`.
        condition: Option<Expr>,
        /// One element for each turn.
        body: Box<Expr>,
    },
    /// `if c { … }` without else: zero or one element.
    If {
        /// Its node.
        id: NodeId,
        /// All of it.
        span: Span,
        /// The condition.
        condition: Expr,
        /// The element.
        body: Box<Expr>,
    },
}

/// `k, v in map` or `x in list` (with two names over a list: index and element).
#[derive(Clone, Debug)]
pub struct ForClause {
    /// Its node; the types of its names hang here.
    pub id: NodeId,
    /// The only name, or the key.
    pub first: Ident,
    /// The value, when there are two names.
    pub second: Option<Ident>,
    /// What is gone through.
    pub iter: Expr,
}

/// An arm of a match.
#[derive(Clone, Debug)]
pub struct Arm {
    /// The alternatives of the pattern, `a | b`; at least one.
    pub patterns: Vec<Pattern>,
    /// The condition after `if`.
    pub guard: Option<Expr>,
    /// The value.
    pub body: Expr,
}

/// A pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// Its node.
    pub id: NodeId,
    /// All of it.
    pub span: Span,
    /// What it matches.
    pub kind: PatternKind,
}

/// The kinds of patterns.
#[derive(Clone, Debug)]
pub enum PatternKind {
    /// Could not be read; reported.
    Error,
    /// `_`.
    Any,
    /// A name in small letters: matches everything and names it.
    Bind(Ident),
    /// A literal or a range.
    Value(Expr),
    /// A type by its capitalised path, perhaps with a name: `k8s.Deployment`, `Shop as s`.
    Type(TypeExpr, Option<Ident>),
}

/// Operators with one operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnaryOp {
    /// `-a`.
    Neg,
    /// `not a`.
    Not,
}

/// Operators with two operands, from the loosest to the tightest binding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BinaryOp {
    /// `a or b`.
    Or,
    /// `a and b`.
    And,
    /// `==`.
    Eq,
    /// `!=`.
    Ne,
    /// `<`.
    Lt,
    /// `<=`.
    Le,
    /// `>`.
    Gt,
    /// `>=`.
    Ge,
    /// `a in b`.
    In,
    /// `a ?? b`: b when a is null. Looser than a range, tighter than a comparison.
    Coalesce,
    /// `+`: numbers, strings, lists, maps.
    Add,
    /// `-`.
    Sub,
    /// `*`.
    Mul,
    /// `/`.
    Div,
    /// `%`.
    Rem,
}

/// `{ … }`: members in the order of the source.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its node.
    pub id: NodeId,
    /// The braces and what is between them.
    pub span: Span,
    /// What it contains.
    pub members: Vec<Member>,
}

/// A member of a record or of an amend block.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its node.
    pub id: NodeId,
    /// All of it.
    pub span: Span,
    /// What it is.
    pub kind: MemberKind,
}

/// The kinds of members.
#[derive(Clone, Debug)]
pub enum MemberKind {
    /// Could not be read; reported.
    Error,
    /// `path = value`, `"key": value`, `path += value`, `path { … }`.
    Field(Field),
    /// `delete path`.
    Delete(Vec<Segment>),
    /// `let name = value`: a name for the members of this block, not a field.
    Let(super::Binding),
    /// `...value`: all fields of another record or map.
    Spread(Expr),
    /// `external …` or `allow …`; only in the bodies of apps and environments.
    Exempt(super::Exemption),
    /// `for k, v in m if c { members }`.
    For {
        /// One or more clauses, the last one turning fastest.
        clauses: Vec<ForClause>,
        /// The condition after `if`.
        condition: Option<Expr>,
        /// Members added for each turn.
        body: Vec<Member>,
    },
    /// `if c { members } else { members }`.
    If {
        /// The condition.
        condition: Expr,
        /// When it holds.
        then: Vec<Member>,
        /// When it does not.
        otherwise: Vec<Member>,
    },
}

/// A field of a record, or a change of one in an amend block.
#[derive(Clone, Debug)]
pub struct Field {
    /// Text of the `///` lines before it.
    pub doc: Option<Box<str>>,
    /// `final`: later layers may not change it.
    pub is_final: bool,
    /// At least one segment; `a.b.c = v` has three.
    pub path: Vec<Segment>,
    /// The declared type, only in the body of an app: `config: Shop = …`.
    pub ty: Option<TypeExpr>,
    /// What happens to it.
    pub op: FieldOp,
}

/// What a field does.
#[derive(Clone, Debug)]
pub enum FieldOp {
    /// `= value` or `: value`: sets or replaces.
    Set(Expr),
    /// `+= value`: appends to a list, string or map.
    Append(Expr),
    /// `{ … }`: amends what is there.
    Amend(Record),
    /// Only a type, in the body of an app: `config: Shop`; environments must set it.
    Declare,
}

/// A step of a field path.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Its node.
    pub id: NodeId,
    /// The name, string or brackets.
    pub span: Span,
    /// What it is.
    pub kind: SegmentKind,
}

/// The kinds of path steps.
#[derive(Clone, Debug)]
pub enum SegmentKind {
    /// `name` or `"quoted name"`.
    Name(Name),
    /// `"{interpolated}"`, or `[expr]` at the start of a path: a computed key.
    Computed(Expr),
    /// `["main"]`, `[k8s.Deployment "shop"]` after another step.
    Select(Box<Selector>),
}
