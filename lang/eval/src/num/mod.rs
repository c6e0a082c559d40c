//! Numbers with units: Kubernetes quantities and durations. They know no values and no spans.

pub mod duration;
pub mod quantity;
