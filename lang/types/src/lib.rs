//! Names, types and checking before evaluation, of the `.ord` language.
//!
//! [`check`] takes the parsed modules of a project and gives back a resolved [`Program`] and every mistake that can be
//! known before evaluation. The program is what the evaluator reads: it never looks at the syntax tree. Where the
//! checker could not prove a rule there is an explicit node ([`hir::ExprKind::Check`], [`hir::ExprKind::Convert`]).
//!
//! This crate opens no file, and evaluates nothing but constants.

mod apps;
pub mod builtin;
mod checker;
mod collect;
mod constant;
mod crd_shapes;
mod crd_types;
mod crds;
mod envs;
mod exempt;
pub mod extra;
pub mod format;
mod graph;
pub mod hir;
pub mod index;
mod infer;
mod input;
mod items;
mod k8s;
mod kind_names;
pub mod kube;
pub mod literal;
mod pages;
pub mod program;
pub mod refine;
mod relate;
mod resolve;
mod restrict;
pub mod show;
mod suggest;
mod suites;
mod touched;
pub mod ty;
mod vault;

pub use crds::{CrdFile, CrdKind, Crds, crd_problem};
pub use index::Index;
pub use input::{Checked, Input, ModuleInput, check, check_recording};
pub use kind_names::KindNames;
pub use pages::{codes, page};
pub use program::Program;
pub use ty::{Ty, TyKind};
pub use vault::{SecretKind, SecretShape, SecretsInput, TextInput};

/// The modules of the standard library. They are not among the modules that are checked before something uses them, so
/// their names are known here for those who forgot the `use`.
pub const STANDARD_MODULES: [&str; 15] = [
    "std.access",
    "std.availability",
    "std.ingress",
    "std.job",
    "std.labels",
    "std.mount",
    "std.network",
    "std.probe",
    "std.security",
    "std.settings",
    "std.site",
    "std.storage",
    "std.variable",
    "std.web",
    "std.workload",
];
