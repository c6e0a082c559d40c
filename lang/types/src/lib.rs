//! Names, types and checking before evaluation, of the `.ord` language.
//!
//! [`check`] takes the parsed modules of a project and gives back a resolved [`Program`] and every mistake that can be
//! known before evaluation. The program is what the evaluator reads: it never looks at the syntax tree. Where the
//! checker could not prove a rule there is an explicit node ([`hir::ExprKind::Check`], [`hir::ExprKind::Convert`]).
//!
//! This crate opens no file, and evaluates nothing but constants.

pub mod builtin;
pub mod hir;
mod input;
pub mod program;
pub mod show;
pub mod ty;

pub use input::{Checked, Input, ModuleInput, check};
pub use program::Program;
pub use ty::{Ty, TyKind};
