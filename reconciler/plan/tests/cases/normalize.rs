//! Objects as they are sent.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::{Result, desired, expect, read, yaml};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[allow(dead_code, reason = "it is there for people")]
    about: String,
    objects: Vec<Value>,
}

pub(crate) fn check(path: &Path) -> Result {
    let case: Case = read(path)?;
    let sent: Vec<_> = case
        .objects
        .iter()
        .map(|object| desired(object, None).object)
        .collect();
    for object in &sent {
        assert_eq!(
            desired(object, None).object,
            *object,
            "what is sent stays as it is"
        );
    }
    expect(path, &yaml(&sent)?)
}
