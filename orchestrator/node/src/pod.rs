//! What to do about a pod, and what to say about it: pure functions of what is wanted and seen.
//!
//! Nothing here touches a file, a clock, a container or the API server.

pub mod backoff;
pub mod env;
pub mod quantity;
pub mod resources;
pub mod service_env;
pub mod status;
pub mod step;
pub mod view;

pub use step::{Action, Decision, step};
pub use view::{ImageState, ProbeView, Trouble, World};
