//! What is ignored of an object, what is sent instead, and whether anything else differs.

use std::path::Path;

use ordain_reconciler_plan::{IgnoreRule, Ignores, Rules};
use serde::Deserialize;
use serde_json::Value;

use crate::{Result, desired, expect, read, yaml};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[allow(dead_code, reason = "it is there for people")]
    about: String,
    #[serde(default)]
    rules: Vec<IgnoreRule>,
    /// Fields that are fought over.
    #[serde(default)]
    quiet: Vec<String>,
    desired: Value,
    live: Value,
    /// Left out: as live.
    #[serde(default)]
    dry_run: Option<Value>,
}

pub(crate) fn check(path: &Path) -> Result {
    let case: Case = read(path)?;
    let desired = desired(&case.desired, None);
    let ignores = match Ignores::new(&case.rules) {
        Ok(ignores) => ignores,
        Err(error) => return expect(path, &format!("error: {error}\n")),
    };
    let mut rules = Rules {
        ignores,
        ..Rules::default()
    };
    rules.quiet.insert(desired.key.clone(), case.quiet.clone());
    let ignored = rules.ignored(&desired, &case.live);
    let mut text = String::from("ignored:\n");
    for path in ignored.paths() {
        text.push_str(&format!("  {path}\n"));
    }
    let dry_run = case.dry_run.as_ref().unwrap_or(&case.live);
    text.push_str(&format!(
        "anything else differs: {}\n",
        ignored.differs(&case.live, dry_run)
    ));
    text.push_str(&format!(
        "sent:\n{}",
        yaml(&ignored.payload(&desired.object, &case.live))?
    ));
    expect(path, &text)
}
