//! Whether the namespace's quota allows what its workloads ask for, as far as the project says both.

use serde_json::Value;

use crate::{EffectKind, Level};

use super::{Changed, Found, World, kind, list, name, pod_template, quantity, replicas};

/// What is added up: the quota's names for it, the container's list and resource, and whether it is bytes.
const SUMS: [(&[&str], &str, &str, bool); 4] = [
    (&["requests.cpu", "cpu"], "requests", "cpu", false),
    (&["requests.memory", "memory"], "requests", "memory", true),
    (&["limits.cpu"], "limits", "cpu", false),
    (&["limits.memory"], "limits", "memory", true),
];

pub(super) fn look<'a>(changed: &Changed<'a>, world: &World<'a>, found: &mut Found) {
    let asks = |object: Option<&Value>| object.is_some_and(|object| replicas(object).is_some());
    let is_quota = changed.is("", "ResourceQuota");
    if changed.new.is_none() || !(is_quota || asks(changed.new)) {
        return;
    }
    let (before, after) = world.around(changed);
    for quota in after
        .iter()
        .filter(|object| kind(object) == ("", "ResourceQuota"))
    {
        if is_quota && name(quota) != changed.key.name {
            continue;
        }
        let Some(hard) = quota.pointer("/spec/hard").and_then(Value::as_object) else {
            continue;
        };
        let limit = |names: &[&str]| {
            let found = names
                .iter()
                .find_map(|name| Some((*name, hard.get(*name)?)));
            let (name, value) = found?;
            let text = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            Some((name.to_owned(), quantity::parse(&text)?))
        };
        let mut passed = |limit_name: &str, asked: i128, was: i128, limit: i128, bytes: bool| {
            // Whoever did not make it worse is not to blame.
            if asked <= limit || (!is_quota && asked <= was) {
                return;
            }
            found.add(
                EffectKind::Quota,
                Level::Warning,
                format!(
                    "the workloads here ask for {limit_name} {}, and quota `{}` allows {}",
                    quantity::show(asked, bytes),
                    name(quota),
                    quantity::show(limit, bytes)
                ),
            );
        };
        for (names, part, resource, bytes) in SUMS {
            if let Some((limit_name, limit)) = limit(names) {
                let sum = |all: &[&Value]| total(all, part, resource);
                passed(&limit_name, sum(after), sum(before), limit, bytes);
            }
        }
        if let Some((limit_name, limit)) = limit(&["pods", "count/pods"]) {
            let sum = |all: &[&Value]| -> i128 {
                let pods = all.iter().filter_map(|object| replicas(object));
                pods.map(|pods| i128::from(pods) * 1000).sum()
            };
            passed(&limit_name, sum(after), sum(before), limit, false);
        }
    }
}

/// What the workloads of a namespace ask for in all, in thousandths.
fn total(objects: &[&Value], part: &str, resource: &str) -> i128 {
    let asked = objects.iter().filter_map(|object| {
        let pods = i128::from(replicas(object)?);
        let containers = list(pod_template(object)?, "/spec/containers").iter();
        let each = containers.filter_map(|container| {
            let value = container.get("resources")?.get(part)?.get(resource)?;
            match value {
                Value::String(text) => quantity::parse(text),
                other => quantity::parse(&other.to_string()),
            }
        });
        Some(pods * each.sum::<i128>())
    });
    asked.sum()
}
