//! Whether a definition may be changed without losing objects (kapp's upgrade safety, and the versions that are served).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::json;

/// Returns what would be lost or out of reach when `live` becomes `desired`; empty when nothing is.
///
/// `has_objects` says whether there are objects of the kind; `None` when that is not known, and then only what the
/// definition itself says counts.
#[must_use]
pub fn crd_problems(live: &Value, desired: &Value, has_objects: Option<bool>) -> Vec<String> {
    let mut problems = Vec::new();
    for (pointer, what) in [
        ("/spec/scope", "scope"),
        ("/spec/group", "group"),
        ("/spec/names/kind", "kind"),
        ("/spec/names/plural", "plural name"),
    ] {
        let (old, new) = (json::text(live, pointer), json::text(desired, pointer));
        if !old.is_empty() && !new.is_empty() && old != new {
            problems.push(format!(
                "its {what} would change from {old} to {new}: existing objects cannot follow"
            ));
        }
    }
    let (old, new) = (versions(live), versions(desired));
    for stored in json::items(live, "/status/storedVersions").filter_map(Value::as_str) {
        if !new.contains_key(stored) {
            problems.push(format!(
                "version {stored} would go while objects are stored in it: store them in another version first and take it \
                 out of `status.storedVersions`"
            ));
        }
    }
    for (version, _) in old.iter().filter(|(_, served)| **served) {
        let stays = new.get(version).copied().unwrap_or(false);
        if !stays && has_objects == Some(true) {
            problems.push(format!(
                "version {version} would not be served any more while there are objects"
            ));
        }
    }
    if !new.is_empty() {
        let stored = json::items(desired, "/spec/versions")
            .filter(|version| version["storage"] == true)
            .count();
        if stored != 1 {
            problems.push(format!("{stored} versions have `storage: true`, not one"));
        }
        if !new.values().any(|served| *served) {
            problems.push("no version is served".to_owned());
        }
    }
    problems
}

/// The versions of a definition, with whether they are served.
fn versions(definition: &Value) -> BTreeMap<&str, bool> {
    let versions = json::items(definition, "/spec/versions");
    versions
        .map(|version| (json::text(version, "/name"), version["served"] == true))
        .collect()
}
