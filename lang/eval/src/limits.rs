//! How much one app may take. A program within the limits always ends, and soon.

/// A limit on work. A fuzzer's checks make everything tens of times slower, and what it shall find is that limits hold.
const fn work(limit: u64) -> u64 {
    if cfg!(fuzzing) { limit / 64 } else { limit }
}

/// Nested evaluations: expressions inside expressions, fields that need fields. With the stack
/// of [`STACK_BYTES`] this is safe in an unoptimised build as well.
pub(crate) const MAX_DEPTH: u32 = 2_000;

/// The stack of a thread that evaluates, in bytes: some ten kilobytes for each nested evaluation.
pub(crate) const STACK_BYTES: usize = 128 << 20;

/// Fields, elements and entries made for one app, intermediate ones included. A Deployment has
/// about a hundred; at some thirty bytes each this is half a gigabyte.
pub(crate) const MAX_CELLS: usize = work(16 << 20) as usize;

/// Bytes of text made for one app.
pub(crate) const MAX_TEXT: usize = work(256 << 20) as usize;

/// Turns of all loops and calls of functions together for one app, turns whose condition did not hold included.
pub(crate) const MAX_TURNS: u64 = work(5_000_000);

/// Bytes that are written of one app, all passes over its objects together; an element counts as [`ELEMENT_BYTES`].
/// A value that is shared a million times is small on the heap and huge in a text.
pub(crate) const MAX_WRITTEN: u64 = work(1 << 30);

/// Bytes that built-in functions and comparisons go through for one app; an element counts as sixteen. Values are
/// shared and cells of a heap are read again and again, so that neither its size nor the turns say what reading costs.
pub(crate) const MAX_READ: u64 = work(4 << 30);

/// What an element counts of [`MAX_READ`] and [`MAX_WRITTEN`].
pub(crate) const ELEMENT_BYTES: usize = 16;

/// What a byte counts of [`MAX_READ`] when it is held against a rule: regular expressions look at it more than once.
pub(crate) const RULE_COST: u64 = 8;

/// Texts up to this length count as nothing of their own.
pub(crate) const SHORT_TEXT: usize = 256;

/// The longest range that becomes a list.
pub(crate) const MAX_RANGE: u64 = 1 << 20;

/// Diagnostics for one app; what goes beyond is counted, not shown.
pub(crate) const MAX_DIAGNOSTICS: usize = 100;

/// After this many cells a thread starts the next app on an empty heap.
pub(crate) const FRESH_CELLS: usize = 1 << 20;
