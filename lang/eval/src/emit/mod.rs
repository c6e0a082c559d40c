//! Finished values to YAML text, JSON text or `serde_json::Value`.
//!
//! It knows no types: what a field means was settled before.

pub(crate) mod json;
mod scalar;
mod sink;
mod yaml;

pub use json::JsonText;
pub use sink::{JsonSink, Sink, pour};
pub use yaml::YamlText;
