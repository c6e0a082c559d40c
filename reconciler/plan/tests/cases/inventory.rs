//! Inventories that are rebuilt from live objects.

use std::{collections::BTreeMap, path::Path};

use ordain_reconciler_plan::Inventory;
use serde::Deserialize;
use serde_json::Value;

use crate::{Result, expect, read, yaml};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[allow(dead_code, reason = "it is there for people")]
    about: String,
    live: Vec<Value>,
}

pub(crate) fn check(path: &Path) -> Result {
    let case: Case = read(path)?;
    let shown = |inventory: &Inventory| {
        let entries = inventory
            .iter()
            .map(|(key, version)| format!("{key} in {version}"));
        entries.collect::<Vec<_>>()
    };
    let rebuilt = Inventory::rebuild(&case.live);
    for inventory in rebuilt.values() {
        assert_eq!(Inventory::from_bytes(&inventory.to_bytes())?, *inventory);
    }
    let rebuilt = rebuilt
        .iter()
        .map(|(owner, inventory)| (owner, shown(inventory)));
    expect(path, &yaml(&rebuilt.collect::<BTreeMap<_, _>>())?)
}
