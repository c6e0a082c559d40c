//! What `diff`, `plan` and `snapshot` share: the sides of a comparison, the cluster that is asked, snapshots.

mod live;
mod sides;
mod snapshots;

pub(crate) use live::{ClusterArg, live, planned};
pub(crate) use sides::{Built, Side, at_commit, build_side, cite, folder, known, on_disk, open};
pub(crate) use snapshots::{applied, digest_key, read, signing_key};
