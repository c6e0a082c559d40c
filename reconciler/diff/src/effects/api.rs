//! APIs that the environment's Kubernetes does not serve, and definitions that stop to serve a version.

use ordain_schemas::{KubeVersion, table};
use serde_json::Value;

use crate::{EffectKind, Level, Verb};

use super::{Changed, Found, World, count, kind, list, name, text};

/// Groups that Kubernetes had once, before the versions of the table.
const GONE_GROUPS: [&str; 1] = ["extensions"];

pub(super) fn look<'a>(changed: &Changed<'a>, world: &World<'a>, found: &mut Found) {
    let Some(new) = changed.new else {
        return;
    };
    if matches!(changed.verb, Verb::Delete | Verb::Held | Verb::Keep) {
        return;
    }
    // A server that took it in a dry run serves it.
    if !changed.accepted {
        served(changed, new, world.facts.kubernetes(changed.env), found);
    }
    if changed.is("apiextensions.k8s.io", "CustomResourceDefinition")
        && let Some(old) = changed.old
    {
        versions(changed, old, new, world, found);
    }
}

fn served(changed: &Changed<'_>, new: &Value, version: KubeVersion, found: &mut Found) {
    let api_version = new["apiVersion"].as_str().unwrap_or_default();
    let (group, own) = kind(new);
    let known = table(version);
    let add = |found: &mut Found, message: String| {
        let field = changed.field("apiVersion").map(|field| field.path.as_str());
        found.at(EffectKind::RemovedApi, Level::Danger, message, field);
    };
    match known.kind_of(api_version, own) {
        Some(known) if known.served || !known.is_resource() => {}
        // Whoever uses a beta API switched it on; it is worth a word and no more.
        Some(_) => {
            let message = format!(
                "{api_version} {own} is off by default in Kubernetes {version}; the cluster must switch it on"
            );
            found.add(EffectKind::RemovedApi, Level::Note, message);
        }
        None => {
            let is_ours = known.kinds().iter().any(|kind| kind.group == group);
            if !is_ours && !GONE_GROUPS.contains(&group) {
                return;
            }
            let instead = known
                .kinds()
                .iter()
                .filter(|other| other.kind == own && other.served && other.is_resource())
                .max_by_key(|other| (other.group == group, !other.version.contains("beta")));
            let message = format!("Kubernetes {version} does not serve {api_version} {own}");
            match instead {
                Some(instead) => add(found, format!("{message}; use {}", instead.api_version())),
                None => add(found, message),
            }
        }
    }
}

/// A definition that drops a version takes it from everything that still uses it.
fn versions<'a>(
    changed: &Changed<'a>,
    old: &'a Value,
    new: &'a Value,
    world: &World<'a>,
    found: &mut Found,
) {
    let served = |definition: &'a Value| -> Vec<&'a str> {
        let versions = list(definition, "/spec/versions").iter();
        let served = versions.filter(|version| version["served"] == true);
        served.map(name_of).collect()
    };
    let still = served(new);
    let group = text(new, "/spec/group");
    let own = text(new, "/spec/names/kind");
    for gone in served(old).into_iter().filter(|gone| !still.contains(gone)) {
        let wanted = format!("{group}/{gone}");
        let used = world
            .all_before(changed.env)
            .filter(|object| object["apiVersion"] == wanted.as_str() && object["kind"] == own);
        let used = match used.count() {
            0 => String::new(),
            number => format!("; {} of this project used it", count(number, "object")),
        };
        let field = changed
            .field("spec.versions")
            .map(|field| field.path.as_str());
        found.at(
            EffectKind::RemovedApi,
            Level::Danger,
            format!("{wanted} {own} is served no more{used}"),
            field,
        );
    }
    stored(changed, old, new, found);
}

/// The API server refuses a definition without a version that objects may be stored in
/// (apiextensions-apiserver, `ValidateCustomResourceDefinitionUpdate`, `status.storedVersions`).
fn stored(changed: &Changed<'_>, old: &Value, new: &Value, found: &mut Found) {
    let kept: Vec<&str> = list(new, "/spec/versions").iter().map(name_of).collect();
    let stored = list(old, "/status/storedVersions").iter();
    for gone in stored
        .filter_map(Value::as_str)
        .filter(|stored| !kept.contains(stored))
    {
        let field = changed
            .field("spec.versions")
            .map(|field| field.path.as_str());
        found.at(
            EffectKind::RemovedApi,
            Level::Danger,
            format!(
                "objects of `{}` are stored in {gone}, which goes",
                name(new)
            ),
            field,
        );
    }
}

fn name_of(version: &Value) -> &str {
    version["name"].as_str().unwrap_or_default()
}
