//! What deletes data, or other people's objects, with the object.

use ordain_reconciler_plan::ObjectKey;
use serde_json::Value;

use crate::{EffectKind, Level, Verb};

use super::{Changed, Found, World, count, kind, list, name, names, replicas, text};

pub(super) fn look<'a>(changed: &Changed<'a>, world: &World<'a>, found: &mut Found) {
    if matches!(changed.verb, Verb::Delete | Verb::Held | Verb::Replace) {
        deleted(changed, world, found);
    } else if changed.is("apps", "StatefulSet")
        && let (Some(old), Some(new)) = (changed.old, changed.new)
    {
        scaled_down(changed, old, new, found);
    }
}

fn deleted<'a>(changed: &Changed<'a>, world: &World<'a>, found: &mut Found) {
    let key = changed.key;
    let Some(old) = changed.old else {
        return;
    };
    let mut loses = |message: String| found.add(EffectKind::DeletesData, Level::Danger, message);
    match (key.group.as_str(), key.kind.as_str()) {
        ("", "PersistentVolumeClaim") => loses(format!(
            "the claim `{}` goes, and with it the volume unless its reclaim policy is Retain",
            key.name
        )),
        ("", "PersistentVolume") => {
            let policy = text(old, "/spec/persistentVolumeReclaimPolicy");
            match policy {
                "Retain" => loses(format!(
                    "the volume `{}` goes; what it points to stays (Retain)",
                    key.name
                )),
                _ => loses(format!("the volume `{}` goes with its data", key.name)),
            }
        }
        ("", "Namespace") => loses(in_namespace(key, changed.env, world)),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            loses(of_definition(old, changed.env, world));
        }
        ("apps", "StatefulSet") => {
            let claims = list(old, "/spec/volumeClaimTemplates");
            if !claims.is_empty() && retention(old, "whenDeleted") == "Delete" {
                let all: Vec<String> = claims.iter().map(|claim| name(claim).to_owned()).collect();
                loses(format!(
                    "the claims of {} go with it (`whenDeleted: Delete`)",
                    names(&all)
                ));
            }
        }
        _ => {}
    }
}

fn in_namespace(key: &ObjectKey, env: &str, world: &World<'_>) -> String {
    let inside = world
        .all_before(env)
        .filter(|object| text(object, "/metadata/namespace") == key.name);
    match inside.count() {
        0 => format!("everything in the namespace `{}` goes with it", key.name),
        known => format!(
            "everything in the namespace `{}` goes with it: {} of this project, and whatever else is there",
            key.name,
            count(known, "object")
        ),
    }
}

fn of_definition(old: &Value, env: &str, world: &World<'_>) -> String {
    let group = text(old, "/spec/group");
    let own = text(old, "/spec/names/kind");
    let objects = world
        .all_before(env)
        .filter(|object| kind(object) == (group, own));
    match objects.count() {
        0 => format!("every `{own}` of the cluster goes with its definition"),
        known => format!(
            "every `{own}` of the cluster goes with its definition: {} of this project, and whatever else is there",
            count(known, "object")
        ),
    }
}

/// The claims of ordinals that are no more, when the set says so (`persistentVolumeClaimRetentionPolicy`).
fn scaled_down(changed: &Changed<'_>, old: &Value, new: &Value, found: &mut Found) {
    let has_claims = !list(old, "/spec/volumeClaimTemplates").is_empty();
    let (Some(before), Some(now)) = (replicas(old), replicas(new)) else {
        return;
    };
    if has_claims && now < before && retention(new, "whenScaled") == "Delete" {
        let field = changed
            .field("spec.replicas")
            .map(|field| field.path.as_str());
        let pods = count(u64::try_from(before - now).unwrap_or_default(), "pod");
        found.at(
            EffectKind::DeletesData,
            Level::Danger,
            format!("the claims of {pods} go (`whenScaled: Delete`)"),
            field,
        );
    }
}

fn retention<'v>(set: &'v Value, when: &str) -> &'v str {
    let policy = set.pointer("/spec/persistentVolumeClaimRetentionPolicy");
    policy
        .and_then(|policy| policy.get(when)?.as_str())
        .unwrap_or("Retain")
}
