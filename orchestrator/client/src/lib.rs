//! What the cluster's own parts need of a Kubernetes client beyond `kube`: shared informers, a
//! keyed work loop, and events. It speaks the Kubernetes API only, so that everything built on it
//! also runs against a real kube-apiserver.
//!
//! - [`Informers`]: one watch per kind, shared by everybody in the process.
//! - [`run_controller`]: one key at a time, from signals and by period, with back-off.
//! - [`Recorder`]: events, without waiting for them.
//! - [`Failure`]: a request that failed, with what it was for.

mod cache;
mod failure;
mod informer;
mod key;
mod recorder;
mod work;

pub use cache::Change;
pub use failure::{During, Failure};
pub use informer::{Informer, Informers, Object};
pub use key::{Key, controller_of, object_reference, owner_reference};
pub use recorder::{EventType, Recorder};
pub use work::{Next, Queue, Work, WorkConfig, queue, run_controller};
