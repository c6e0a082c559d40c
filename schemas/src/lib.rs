//! What the Kubernetes API is: every built-in kind, type and field, as data.
//!
//! One table is read by the checker, the API server and the planner, so they can never disagree
//! about a type. The facts are committed text in `schemas/facts/`, distilled by
//! `cargo xtask schemas`; this crate indexes them lazily and knows nothing of HTTP, of the
//! language, or of any object's content.
//!
//! ```
//! use ordain_schemas::{KubeVersion, Shape, table};
//!
//! let table = table(KubeVersion::DEFAULT);
//! let kind = table.kind("apps", "v1", "Deployment").expect("apps/v1 has Deployments");
//! assert_eq!(kind.plural, "deployments");
//! let spec = table.ty(kind.ty).field("spec").expect("a Deployment has a spec");
//! let Shape::Struct(spec) = spec.shape else { panic!("a spec is a struct") };
//! assert!(table.ty(spec).field("replicas").is_some());
//! ```

mod kind;
mod message;
mod parse;
mod table;
mod ty;
mod version;

pub use self::{
    kind::{Kind, Subresource},
    message::{WATCH_EVENT, is_message},
    table::{Table, table},
    ty::{Field, ListType, MapType, PatchStrategy, Shape, Type, TypeId},
    version::{KubeVersion, UnknownVersion},
};
