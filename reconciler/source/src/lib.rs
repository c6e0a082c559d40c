//! Git as the reconciler sees it: commits, their trees as files, remotes, and commits it writes itself.
//!
//! Built on `git2` alone. It does not know what the files mean, what a cluster is, or when to look:
//! the engine polls, compiles and decides.

mod beside;
mod blame;
mod error;
mod hook;
mod hosted;
mod locks;
mod mirror;
mod modules;
mod overtaken;
mod program;
mod remote;
mod repository;
mod restore;
mod revision;
mod rewrite;
mod sign;
mod signature;
mod tree;
mod user;
mod webhook;
mod worktree;

pub use blame::LineOrigin;
pub use error::Error;
pub use hook::{HookStage, Quarantine, RefUpdate, parse_updates};
pub use hosted::{DEFAULT_BRANCH, Hosted};
pub use mirror::{Fetched, Mirror, Movement};
pub use remote::{Access, Follow, Remote};
pub use repository::{Commit, CommitId, Person, Repository};
pub use restore::{Restore, Trailers, trailer, trailers};
pub use revision::{Revision, fetch_revision};
pub use rewrite::Edit;
pub use sign::Signer;
pub use signature::{Signers, Verdict, Verify};
pub use tree::{FILE_BYTES_MAX, TREE_FILES_MAX, TreeEntry, TreeFiles};
pub use user::{configured_author, init_if_outside};
pub use webhook::{HOOK_BYTES_MAX, Hint, HookSecret, Refused, read_hook};
