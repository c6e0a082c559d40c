//! The scheduler: which node a pod runs on, and why it cannot run on the others.
//!
//! [`decide`] is a pure function of pods and nodes; [`run`] feeds it from shared informers and
//! carries its verdicts out through `pods/binding`. The rules and their order are those of
//! upstream's plugins; so are the words of the reasons.

mod decide;
mod filter;
mod labels;
mod node;
mod requests;
mod run;
mod score;

pub use decide::{Verdict, decide, is_pending};
pub use requests::Requests;
pub use run::{run, run_shared};
