//! Values as small copies: scalars in place, everything else a number into the [`Heap`](crate::heap::Heap).
//!
//! It knows no program and evaluates nothing.

use ordain_lang_types::hir::ExprId;
use ordain_lang_types::program::FnId;

/// A text: a literal of the program, or one that was made while evaluating.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// The string or quantity literal at this expression.
    Lit(ExprId),
    /// A text of the heap, by number.
    Own(u32),
}

/// A list of the heap, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ListId(pub(crate) u32);

/// A map of the heap, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MapId(pub(crate) u32);

/// A record of the heap, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RecId(pub(crate) u32);

/// A value, or the state of a field which has none yet.
///
/// The last five variants only ever stand in the fields of records; an expression never
/// evaluates to one of them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value {
    /// `null`: absent.
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Text),
    /// In the spelling it was written in.
    Quantity(Text),
    /// Nanoseconds.
    Duration(i64),
    List(ListId),
    Map(MapId),
    Rec(RecId),
    Fn(FnId),
    /// A lambda with what it captured, by number.
    Closure(u32),
    /// A value of `Secret<T>`, by number: shown as `***` wherever it could be read.
    Secret(u32),
    /// Not evaluated: the default of the record's definition.
    Default,
    /// Not evaluated: a delayed change, by number.
    Thunk(u32),
    /// Being evaluated; the number leads to what it was before.
    Running(u32),
    /// Evaluated from a default or a delayed change; the number leads to both.
    Forced(u32),
    /// Could not be evaluated, which was reported.
    Failed,
}

// A field is a value and two numbers; a thousand apps have some hundred thousand of them.
const _: () = assert!(size_of::<Value>() <= 16);

/// The mark of what was reported already: whoever meets it gives up in silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reported;

/// The result of evaluating something.
pub(crate) type Res<T = Value> = Result<T, Reported>;
