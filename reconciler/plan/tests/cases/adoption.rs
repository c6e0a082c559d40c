//! What is changed in the managed fields of a live object before it is applied.

use std::path::Path;

use ordain_reconciler_plan::{ApiVersion, Policy, adoption};
use serde::Deserialize;
use serde_json::Value;

use crate::{Result, expect, read, yaml};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[allow(dead_code, reason = "it is there for people")]
    about: String,
    live: Value,
    /// The version it is applied in; left out: the live one.
    #[serde(default)]
    version: Option<String>,
}

pub(crate) fn check(path: &Path) -> Result {
    let case: Case = read(path)?;
    let live = case.live["apiVersion"].as_str().unwrap_or_default();
    let version = ApiVersion::parse(case.version.as_deref().unwrap_or(live));
    let adopts = Policy::of(&case.live).adopts();
    expect(path, &yaml(&adoption(&case.live, &version, adopts))?)
}
