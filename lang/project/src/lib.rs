//! Projects: from files to checked programs and built objects.
//!
//! The only language crate that reads files, and it does so through [`Files`], so that a folder, a
//! git tree and a test's map of texts are the same to it. It glues the parser, the checker and the
//! evaluator together and adds what belongs to a whole project: `ordain.toml`, module paths, the
//! standard library, environments. It prints nothing.

mod build;
mod check;
mod crds;
mod deps;
mod examples;
mod files;
mod in_force;
mod json_schema;
mod load;
mod manifest;
mod near;
mod nearby;
mod origin;
mod rollout;
mod scratch;
mod session;
mod shared;
mod stream;
mod suites;
mod template;
mod texts;
mod vaults;
mod versions;
mod whole;

pub use build::{
    App, AppText, Build, BuildOptions, Format, Object, Texts, build, build_text, json, mistakes,
    yaml,
};
pub use check::{Environment, check};
pub use crds::crd_paths;
pub use deps::{
    Conflict, Dependency, LOCK, Lock, Locked, Request, VENDOR, Version, choose, dependencies,
    is_vendored, tree_hash,
};
pub use examples::examples;
pub use files::{Below, Disk, Entry, Files, FilesError, Memory};
pub use json_schema::{NoSchema, json_schema};
pub use load::{MANIFEST, Module, Project, module_path};
pub use manifest::Manifest;
pub use near::nearest;
pub use origin::{Explained, FieldRef, How, Origin, deciding_lines, explain};
pub use rollout::{Rollout, RolloutSettings, SyncWindow};
pub use scratch::{Answer, Scratch};
pub use session::{Effort, Session, SessionBuild};
pub use stream::{Out, build_to};
pub use suites::{SNAPSHOTS, Snapshot, SnapshotState, TestOptions, TestRun, Tested, test};
pub use template::{NameError, new_project};
