//! The reconciler's decisions, as pure functions over objects.
//!
//! What to create, change and delete, in which order and why; what must wait for an approval; whether
//! an object is healthy; how two compiled commits differ. Nothing here talks to a cluster, reads a
//! clock or applies anything: the engine carries out what is decided here and decides nothing itself.

mod additions;
mod adoption;
mod breaker;
mod canonical;
mod claims;
mod compare;
mod crd;
mod data;
mod decide;
mod desired;
mod fields;
mod fights;
pub mod graph;
pub mod health;
mod hooks;
mod ignore;
mod inventory;
mod jq;
mod json;
mod key;
mod managed;
mod mask;
mod normalize;
mod order;
mod ownership;
mod paths;
mod plan;
pub mod policy;
mod prune;
mod render;
mod replace;
mod rules;
pub mod schema;
mod selector;
mod sets;
mod windows;

pub use additions::{Addition, additions};
pub use adoption::{adoption, release};
pub use breaker::Breaker;
pub use canonical::{canonical, digest};
pub use claims::{Claims, kept_from};
pub use compare::{differs, fingerprint};
pub use crd::crd_problems;
pub use data::{holds_data, plan_rollback};
pub use desired::{
    Desired, MANAGED_BY_LABEL, MANAGER, MARKED_LABEL, OWNER_ANNOTATION, SECRET_MARK, prepare,
};
pub use fields::{Change, FieldChange, diff, list_key};
pub use fights::{Fight, FightLimits, Fights};
pub use graph::{Demand, External, Graph, Walk, run_of, set_run, stamp};
pub use hooks::{Hook, OCCASION_ANNOTATION, When, event_hook, plain, set_occasion};
pub use ignore::{IgnoreError, IgnoreRule, Ignored, Ignores};
pub use inventory::{Inventory, InventoryEntry};
pub use key::{ApiVersion, ObjectKey};
pub use mask::MASK;
pub use order::{in_order, rank};
pub use ownership::{Taken, taken};
pub use plan::{Action, DryRun, Input, Observed, Plan, Refusal, Verb, plan, plan_hash};
pub use policy::Policy;
pub use prune::{Candidate, Keep};
pub use replace::{Cause, Replacement, immutable_fields, object_approval};
pub use rules::{OnRemove, Rules};
pub use sets::{ObjectDiff, SetDiff, SetObject, diff_sets};
pub use windows::{Cron, CronError, Effect, Verdict, WINDOW_MINUTES_MAX, Window, window_open};
