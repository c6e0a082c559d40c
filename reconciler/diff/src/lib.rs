//! What a change would do to a cluster: objects, fields, the source lines that caused them, and named effects.
//!
//! Object sets go in (two compiled commits, and what is live where that is known), a [`Diff`] comes out, and
//! renderers make text, Markdown, JSON and SARIF of it. Nothing here compiles, reads a file or speaks to a
//! cluster, and no value of a Secret gets into a [`Diff`].

mod compare;
mod digest;
mod effects;
mod extract;
mod fold;
mod live;
mod model;
mod plans;
mod render;
mod snapshot;

pub use compare::{Facts, Input, compare};
pub use digest::{DIGEST_MARK, DigestKey};
pub use extract::applied_fields;
pub use live::{After, Live, LiveSource, Look};
pub use model::{
    Change, Diff, Effect, EffectKind, FORMAT, Field, FieldAt, Held, Level, LiveDiff, ObjectDiff,
    Side, Totals, Verb,
};
pub use plans::{Planned, of_plan};
pub use render::{MarkdownOptions, TextOptions, markdown, sarif, text};
pub use snapshot::{
    Snapshot, SnapshotApp, SnapshotError, SnapshotKey, SnapshotRules, is_namespaced,
};
