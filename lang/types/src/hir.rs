//! Resolved expressions: what the checker hands to the evaluator.
//!
//! Every name is resolved (to a slot, a field position, a function number …), every record literal knows its
//! type, every argument stands in its parameter's place, and paths in record literals are already nested. A place
//! where the checker could not prove a rule is an explicit [`ExprKind::Check`] or [`ExprKind::Convert`]; where there is
//! none, the evaluator need not check. Knows nothing of the syntax tree except spans.

use std::sync::Arc;

use ordain_lang_syntax::{Name, Span};

use crate::builtin::Builtin;
use crate::program::{AppId, FnId, LetId};
use crate::ty::{RecordId, Ty};

/// An expression, by number in [`Hir`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ExprId(pub(crate) u32);

impl ExprId {
    /// The position of the expression in its table, for side tables indexed by expression.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A local variable: its position in the frame of the enclosing [`Body`] or [`ExprKind::Lambda`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Slot(pub u32);

/// An expression which is evaluated in a frame of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Body {
    /// The expression.
    pub expr: ExprId,
    /// How many slots its frame has. Parameters come first, in order.
    pub slots: u32,
}

/// The arena of all expressions.
#[derive(Clone, Debug, Default)]
pub struct Hir {
    kinds: Vec<ExprKind>,
    tys: Vec<Ty>,
    spans: Vec<Span>,
}

impl Hir {
    /// Adds an expression.
    pub fn add(&mut self, kind: ExprKind, ty: Ty, span: Span) -> ExprId {
        let id = ExprId(u32::try_from(self.kinds.len()).unwrap_or(u32::MAX));
        self.kinds.push(kind);
        self.tys.push(ty);
        self.spans.push(span);
        id
    }

    /// What an expression is.
    #[must_use]
    pub fn kind(&self, id: ExprId) -> &ExprKind {
        &self.kinds[id.index()]
    }

    /// The static type of an expression.
    #[must_use]
    pub fn ty(&self, id: ExprId) -> Ty {
        self.tys[id.index()]
    }

    /// Where an expression is written.
    #[must_use]
    pub fn span(&self, id: ExprId) -> Span {
        self.spans[id.index()]
    }

    /// How many expressions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Whether there is no expression.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }
}

/// A part of an interpolated string.
#[derive(Clone, Debug)]
pub enum Part {
    /// Text as it is (escapes and indentation already done).
    Text(Arc<str>),
    /// `{expr}`; a value of a scalar type.
    Expr(ExprId),
}

/// An element of a list literal or of a comprehension's body.
#[derive(Clone, Debug)]
pub enum Item {
    /// One element.
    Expr(ExprId),
    /// `...list`: all elements of another list (absent adds none).
    Spread(ExprId),
    /// `for …`: the items once per step.
    For(For, Box<[Item]>),
    /// `if …`: the first items or the others.
    If(ExprId, Box<[Item]>, Box<[Item]>),
}

/// An entry of a map literal.
#[derive(Clone, Debug)]
pub enum MapItem {
    /// `key = value`, in this order; a key given twice at run time is an error (E0212).
    Entry(ExprId, ExprId),
    /// `...map`: all entries of another map; later entries win.
    Spread(ExprId),
    /// `for …`.
    For(For, Box<[MapItem]>),
    /// `if …`.
    If(ExprId, Box<[MapItem]>, Box<[MapItem]>),
    /// `let name = value` inside the braces.
    Let(Slot, ExprId),
}

/// One `for` clause with its conditions. Several clauses are nested.
#[derive(Clone, Debug)]
pub struct For {
    /// `for v in list`: the element. `for k, v in map`: the value. `for i, v in list`: the element.
    pub value: Slot,
    /// The key of a map, or the position (from 0) in a list.
    pub key: Option<Slot>,
    /// A list, a map, or absent (no steps).
    pub over: ExprId,
    /// `if` conditions after the clause: the step is left out unless they all hold.
    pub when: Box<[ExprId]>,
}

/// An item of a record literal, in order.
#[derive(Clone, Debug)]
pub enum RecordItem {
    /// Sets a field.
    Field(FieldInit),
    /// `let name = value` inside the braces.
    Let(Slot, ExprId),
    /// `if c { … } else { … }` around items.
    If(ExprId, Box<[RecordItem]>, Box<[RecordItem]>),
    /// `...value`: the fields which another value of the same record type has set; later items win.
    Spread(ExprId),
}

/// A field of a record literal.
#[derive(Clone, Debug)]
pub struct FieldInit {
    /// Its position in the record definition.
    pub field: u32,
    /// Where the name is written (for provenance).
    pub span: Span,
    /// What it is set to.
    pub init: Init,
}

/// How a field of a record literal is set.
#[derive(Clone, Debug)]
pub enum Init {
    /// `field = value`, and nested blocks of fields without a default.
    Set(ExprId),
    /// `final field = value`: no amend may change it (E0303).
    Final(ExprId),
    /// `field { … }` or `field.path = …`: amends what the field is so far, that is an earlier item's value, else
    /// the type's default, else nothing (then a new value of the type is made, as in [`AmendKind::Amend`]).
    Amend(Amend, Ty),
    /// `field += value` onto what the field is so far.
    Append(ExprId),
}

/// A block of changes to a value; later ones win.
#[derive(Clone, Debug, Default)]
pub struct Amend {
    /// The changes, in order.
    pub ops: Box<[AmendOp]>,
}

/// One change of an amend block.
#[derive(Clone, Debug)]
pub struct AmendOp {
    /// Where, from the amended value. Empty for the kinds which stand around other changes.
    pub path: Box<[Step]>,
    /// The path as written.
    pub span: Span,
    /// What.
    pub kind: AmendKind,
}

/// What a change does at its place.
#[derive(Clone, Debug)]
pub enum AmendKind {
    /// `path = value`.
    Set(ExprId),
    /// `path += value`: appends to a list (keyed lists merge by key), merges into a map, concatenates strings, adds numbers.
    Append(ExprId),
    /// `path { … }`: amends what is there. Where nothing is there, a new value of the type is made, and
    /// its required fields are then checked at run time (E0204).
    Amend(Amend, Ty),
    /// `delete path`.
    Delete,
    /// `final path = value`: sets and forbids any later layer to set it (E0303).
    Final(ExprId),
    /// `if cond { … } else { … }` around changes; the path is empty.
    When(ExprId, Amend, Amend),
    /// `for … { … }` around changes; the path is empty.
    For(Box<For>, Amend),
    /// `let name = value` for the following changes; the path is empty.
    Let(Slot, ExprId),
    /// `...value`: sets every field or entry which the other value has; the path is empty.
    Spread(ExprId),
}

/// One step of a path.
#[derive(Clone, Debug)]
pub enum Step {
    /// A field of this record, by position. Absent on the way: a record of the type is made first.
    Field(RecordId, u32),
    /// A key of a map (or of an untyped object).
    MapKey(ExprId),
    /// An element of a list of records by its keys.
    ListKey(ListKey),
    /// An element of a list by position.
    Index(ExprId),
    /// An element of a list of Kubernetes objects: `[k8s.Deployment "shop"]`.
    Object(ObjectKey),
}

/// A compared field: its position, the value it must have, and what counts when an element does not set it.
pub type KeyPart = (u32, ExprId, Option<Arc<str>>);

/// `containers["main"]`, `ports[8080, "TCP"]`: names an element of a list of records.
#[derive(Clone, Debug)]
pub struct ListKey {
    /// The record type of the elements.
    pub record: RecordId,
    /// Positions of the compared fields and the values they must have (a list may be keyed by several).
    /// A field which is absent in an element counts as its `default`.
    pub keys: Box<[KeyPart]>,
    /// Where the brackets are.
    pub span: Span,
}

/// `[k8s.Deployment "shop"]`: names an object of a list of objects.
#[derive(Clone, Debug)]
pub struct ObjectKey {
    /// The kind.
    pub record: RecordId,
    /// `metadata.name`.
    pub name: ExprId,
    /// `metadata.namespace`, when given.
    pub namespace: Option<ExprId>,
    /// Where the brackets are.
    pub span: Span,
}

/// Binary operators. Both operands are evaluated, except for the last three.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BinOp {
    /// `+` of numbers, quantities, durations; concatenation of strings and lists; merge of maps (right wins).
    Add,
    /// `-`.
    Sub,
    /// `*`; a quantity or duration times a number too.
    Mul,
    /// `/`: whole division for Int (floored); E0230 by zero.
    Div,
    /// `%`: the floored remainder.
    Rem,
    /// `==`, deep.
    Eq,
    /// `!=`.
    Ne,
    /// `<` of numbers, quantities, durations, strings.
    Lt,
    /// `<=`.
    Le,
    /// `>`.
    Gt,
    /// `>=`.
    Ge,
    /// `in`: element of a list, key of a map, part of a string.
    In,
    /// `and`.
    And,
    /// `or`.
    Or,
    /// `a ?? b`: `b` where `a` is absent.
    Coalesce,
}

/// One arm of a `match`.
#[derive(Clone, Debug)]
pub struct Arm {
    /// What it matches.
    pub pattern: Pattern,
    /// `if` after the pattern.
    pub guard: Option<ExprId>,
    /// Its value.
    pub body: ExprId,
}

/// What an arm of a `match` matches.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// `_`.
    Wild,
    /// A value equal to this one.
    Value(ExprId),
    /// An integer in `a..=b`.
    Range(i64, i64),
    /// Any value (or one of this type, by its kind: a record type, `String`, `Int` …), bound to a slot.
    Bind(Slot, Option<Ty>),
    /// A value of this type, by its kind.
    Type(Ty),
    /// One of several.
    Or(Box<[Pattern]>),
}

/// What an expression is.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// Stands for what was reported; a program with errors is not evaluated.
    Error,
    /// `null`: absent.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A string without interpolation.
    Str(Arc<str>),
    /// A quantity literal, in the spelling of the source (`256Mi`, `0.5`), checked.
    Quantity(Arc<str>),
    /// A duration literal, in nanoseconds.
    Duration(i64),
    /// An interpolated string.
    Interp(Box<[Part]>),
    /// `[ … ]`.
    List(Box<[Item]>),
    /// A map, or an untyped object (then the type is [`Ty::ANY`]).
    Map(Box<[MapItem]>),
    /// A record literal: a new value of the type. Required fields are proven to be there.
    Record(RecordId, Box<[RecordItem]>),
    /// `base { … }`.
    Amend(ExprId, Amend),
    /// A local variable.
    Local(Slot),
    /// A field of the record (or app) in whose default, assert or body this stands: late-bound.
    SelfField(u32),
    /// The whole record (or app) in whose body this stands.
    SelfValue,
    /// A module's constant.
    Let(LetId),
    /// An app by name, in tests, policies and environments: the value of its body in the chosen environment.
    App(AppId),
    /// In policies and tests: all objects of the build, `List<k8s.Object>`.
    Objects,
    /// `base.field` of a record. When `base` is absent the result is absent.
    Field(ExprId, u32),
    /// `base.name` of an untyped value or a `k8s.Object`: absent when it is not there.
    DynField(ExprId, Name),
    /// `base[key]` of a map (absent when it is not there) or of an untyped value.
    MapGet(ExprId, ExprId),
    /// `list[n]`; E0231 when out of bounds.
    Index(ExprId, ExprId),
    /// `list["main"]`; absent when it is not there.
    Lookup(ExprId, Box<ListKey>),
    /// `objects[k8s.Deployment "shop"]`; E0232 when it is not there.
    Object(ExprId, Box<ObjectKey>),
    /// A function's value: all arguments in the order of the parameters, `None` takes the default.
    Call(FnId, Box<[Option<ExprId>]>),
    /// A built-in function or method; the receiver is the first argument.
    Builtin(Builtin, Box<[ExprId]>),
    /// `objects.of(k8s.Deployment)`: the objects of the list which are of the kind.
    OfKind(ExprId, RecordId),
    /// A call of a function value.
    CallValue(ExprId, Box<[ExprId]>),
    /// A function named as a value.
    Fn(FnId),
    /// `x => …`. The frame of `body` has the parameters first.
    Lambda {
        /// How many parameters.
        params: u32,
        /// Slots of the enclosing frame and the slots of the lambda's own frame they are copied to. The record or app
        /// which [`ExprKind::SelfField`] means is the enclosing one's.
        captures: Box<[(Slot, Slot)]>,
        /// The body.
        body: Body,
    },
    /// `let x = a in b`.
    LetIn(Slot, ExprId, ExprId),
    /// `if c { a } else { b }`.
    If(ExprId, ExprId, ExprId),
    /// `match x { … }`: proven exhaustive unless the last arm is missing, then E0216 at run time.
    Match(ExprId, Box<[Arm]>),
    /// `not x`.
    Not(ExprId),
    /// `-x`.
    Neg(ExprId),
    /// A binary operator.
    Binary(BinOp, ExprId, ExprId),
    /// `a..b` (false) or `a..=b` (true) as a list of integers.
    Range(ExprId, ExprId, bool),
    /// A value of a secrets file: the text that stands for it, as `lang-secrets` writes it.
    Secret(Arc<str>),
    /// The value has the shape of the type already; its refinements (range, pattern, length, format, enum, presence) are
    /// checked now. The rule's place is in the second span, when it has one.
    Check(ExprId, Ty, Option<Span>),
    /// The value is made to be of the type, deeply: an untyped value or an anonymous record becomes a record, a map or an
    /// object (by its `apiVersion` and `kind`); an Int becomes a Quantity or Float; refinements and required fields are checked.
    Convert(ExprId, Ty, Option<Span>),
}
