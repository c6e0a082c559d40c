//! Rules over the whole set of objects that a build makes: what one object says of another must be
//! true, or the cluster finds out.
//!
//! [`gather`] reads from an object what the rules need, in any form that is a [`Tree`]; [`check`] looks at
//! what was gathered of all objects of an environment. The values themselves may be gone by then: facts are
//! small, own their text, and know the lines they come from.
//!
//! This crate evaluates nothing and reads no file; it knows Kubernetes' kinds, not the language.

mod check;
mod exempt;
mod facts;
mod gather;
mod known;
mod lifecycle;
mod near;
mod pods;
mod selector;
mod tree;

pub use check::{Checked, Set, Unit, check, check_some};
pub use exempt::{Exempt, Exemption, Scope, fits};
pub use facts::{Facts, Identity, Place};
pub use gather::gather;
pub use tree::Tree;
