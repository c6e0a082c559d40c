//! Dependencies: what a project asks for, what `ordain.lock` pins, what lies in `vendor/`.
//!
//! Builds are offline. `ordain vendor` fetches, resolves and writes; everything here only reads and compares,
//! through [`Files`](crate::Files), so that a folder and a commit's tree are alike.

mod hash;
mod load;
mod lock;
mod resolve;
pub(crate) mod want;

pub use hash::{is_vendored, tree_hash};
pub(crate) use load::{load, vendored};
pub use lock::{LOCK, Lock, Locked};
pub use resolve::{Conflict, Request, choose};
pub use want::{Dependency, Version, dependencies};

/// The folder of dependencies, below the project's root.
pub const VENDOR: &str = "vendor";
