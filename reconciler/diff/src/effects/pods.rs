//! What happens to running pods: restarted, scaled, stopped, or left with an old configuration.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{Effect, EffectKind, Level, Verb, model::is_below};

use super::{Changed, Found, World, count, kind, list, name, names, pod_template, replicas, text};

pub(super) fn look<'a>(changed: &Changed<'a>, world: &World<'a>, found: &mut Found) {
    match (changed.old, changed.new, changed.verb) {
        (Some(old), _, Verb::Delete) => stopped(changed, old, found),
        (Some(old), Some(new), verb) => {
            scaled(changed, old, new, found);
            if verb != Verb::Replace {
                restarted(changed, old, new, found);
            }
        }
        _ => {}
    }
    if changed.is("", "ConfigMap") || changed.is("", "Secret") {
        read(changed, world, found);
    }
}

fn stopped(changed: &Changed<'_>, old: &Value, found: &mut Found) {
    let is_workload = pod_template(old).is_some() && !changed.is("batch", "CronJob");
    if !is_workload || replicas(old) == Some(0) {
        return;
    }
    let message = match replicas(old) {
        Some(1) => "its pod ends".to_owned(),
        Some(pods) => format!("its {} end", count(pods, "pod")),
        None if changed.is("", "Pod") => "the pod ends".to_owned(),
        None => "its pods end".to_owned(),
    };
    found.add(EffectKind::StopsPods, Level::Warning, message);
}

fn scaled(changed: &Changed<'_>, old: &Value, new: &Value, found: &mut Found) {
    if changed.is("autoscaling", "HorizontalPodAutoscaler") {
        let range = |object: &Value| {
            // Defaulted to one (pkg/apis/autoscaling/v2/defaults.go).
            let least = object.pointer("/spec/minReplicas").and_then(Value::as_i64);
            let most = object.pointer("/spec/maxReplicas").and_then(Value::as_i64);
            (least.unwrap_or(1), most.unwrap_or_default())
        };
        let (before, now) = (range(old), range(new));
        if before != now {
            let path = match before.0 == now.0 {
                true => "spec.maxReplicas",
                false => "spec.minReplicas",
            };
            found.at(
                EffectKind::Scales,
                Level::Note,
                format!(
                    "{} to {} → {} to {} replicas",
                    before.0, before.1, now.0, now.1
                ),
                Some(path),
            );
        }
        return;
    }
    let (Some(before), Some(now)) = (replicas(old), replicas(new)) else {
        return;
    };
    // A field that is not declared is left to others, such as an autoscaler.
    if before == now || new.pointer("/spec/replicas").is_none() {
        return;
    }
    let level = match now {
        0 => Level::Warning,
        _ => Level::Note,
    };
    let end = match now {
        0 => "; every pod ends",
        _ => "",
    };
    found.at(
        EffectKind::Scales,
        level,
        format!("{before} → {now} replicas{end}"),
        Some("spec.replicas"),
    );
}

fn restarted(changed: &Changed<'_>, old: &Value, new: &Value, found: &mut Found) {
    if changed.is("", "Pod") {
        let images = changed
            .fields
            .iter()
            .find(|field| field.path.starts_with("spec.") && field.path.ends_with("].image"));
        if let Some(field) = images {
            let message = "the container restarts in its pod";
            let path = Some(field.path.as_str());
            found.at(EffectKind::RestartsPods, Level::Note, message, path);
        }
        return;
    }
    let restarts = ["Deployment", "StatefulSet", "DaemonSet"];
    if !restarts.iter().any(|kind| changed.is("apps", kind)) {
        return;
    }
    let Some(field) = changed
        .fields
        .iter()
        .find(|field| is_below(&field.path, "spec.template"))
    else {
        return;
    };
    let pods = replicas(old).map(|before| before.min(replicas(new).unwrap_or(before)));
    if pods == Some(0) {
        return;
    }
    let is_one = pods == Some(1);
    let pods = match pods {
        None => "its pods".to_owned(),
        Some(1) => "its pod".to_owned(),
        Some(pods) => count(pods, "pod"),
    };
    let (stay, end, are) = match is_one {
        true => (
            "stays as it is",
            "ends before the new one starts",
            "is replaced",
        ),
        false => (
            "stay as they are",
            "end before new ones start",
            "are replaced, a few at a time",
        ),
    };
    let path = Some(field.path.as_str());
    let strategy = ["/spec/strategy/type", "/spec/updateStrategy/type"];
    let strategy = strategy.map(|pointer| text(new, pointer));
    let partition = new
        .pointer("/spec/updateStrategy/rollingUpdate/partition")
        .and_then(Value::as_i64)
        .filter(|partition| *partition > 0);
    let (kind, level, message) = match (strategy, partition) {
        (_, _) if new.pointer("/spec/paused") == Some(&true.into()) => (
            EffectKind::NeedsRestart,
            Level::Note,
            format!("the rollout is paused: {pods} {stay}"),
        ),
        (["Recreate", _], _) => (
            EffectKind::RestartsPods,
            Level::Warning,
            format!("{pods} {end} (Recreate)"),
        ),
        ([_, "OnDelete"], _) => (
            EffectKind::NeedsRestart,
            Level::Note,
            format!("{pods} {stay} until somebody deletes them (OnDelete)"),
        ),
        (_, Some(partition)) => (
            EffectKind::RestartsPods,
            Level::Note,
            format!("pods from ordinal {partition} on are replaced, one after the other"),
        ),
        _ => (
            EffectKind::RestartsPods,
            Level::Note,
            format!("{pods} {are}"),
        ),
    };
    found.at(kind, level, message, path);
}

/// How a workload reads a ConfigMap or Secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reads {
    /// Once, when a container starts.
    AtStart,
    /// As files that the kubelet keeps up to date.
    AsFiles,
}

/// A changed ConfigMap or Secret reaches running pods late, or only when they restart.
fn read<'a>(changed: &Changed<'a>, world: &World<'a>, found: &mut Found) {
    let parts = ["data", "stringData", "binaryData"];
    let Some(field) = changed
        .fields
        .iter()
        .find(|field| parts.iter().any(|part| is_below(&field.path, part)))
    else {
        return;
    };
    if !changed.is_update() {
        return;
    }
    let (before, after) = world.around(changed);
    let (mut at_start, mut as_files) = (BTreeSet::new(), BTreeSet::new());
    for workload in after {
        let Some(template) = pod_template(workload) else {
            continue;
        };
        let Some(reads) = reads(template, &changed.key.kind, &changed.key.name) else {
            continue;
        };
        if kind(workload).1 == "CronJob" || restarts_anyway(workload, before) {
            continue;
        }
        let shown = format!("{} `{}`", kind(workload).1, name(workload));
        match reads {
            Reads::AtStart => at_start.insert(shown),
            Reads::AsFiles => as_files.insert(shown),
        };
    }
    let path = Some(field.path.as_str());
    if !at_start.is_empty() {
        let all: Vec<String> = at_start.into_iter().collect();
        found.at(
            EffectKind::NeedsRestart,
            Level::Warning,
            format!(
                "takes effect when the pods of {} restart, which nothing here makes them do",
                names(&all)
            ),
            path,
        );
    }
    if !as_files.is_empty() {
        let all: Vec<String> = as_files.into_iter().collect();
        found.effects.push(Effect {
            effect: EffectKind::NeedsRestart,
            level: Level::Note,
            message: format!(
                "the mounted files of {} change within about a minute; programs that read them once need a restart",
                names(&all)
            ),
            path: path.map(str::to_owned),
            at: None,
        });
    }
}

/// A new pod template (a checksum in an annotation, for one) starts new pods with the new configuration.
fn restarts_anyway(workload: &Value, before: &[&Value]) -> bool {
    let same = |other: &&&Value| kind(other) == kind(workload) && name(other) == name(workload);
    let Some(old) = before.iter().find(same) else {
        return true;
    };
    pod_template(old) != pod_template(workload)
}

fn reads(template: &Value, own: &str, wanted: &str) -> Option<Reads> {
    let (key, volume, volume_name) = match own {
        "ConfigMap" => ("configMap", "configMap", "name"),
        _ => ("secret", "secret", "secretName"),
    };
    let mut found = None;
    let containers = ["/spec/containers", "/spec/initContainers"];
    let containers: Vec<&Value> = containers.iter().flat_map(|p| list(template, p)).collect();
    let is_it =
        |reference: Option<&Value>| reference.is_some_and(|reference| reference["name"] == wanted);
    for container in &containers {
        let env = list(container, "/env").iter();
        let single = env.map(|var| var.pointer(&format!("/valueFrom/{key}KeyRef")));
        let whole = list(container, "/envFrom").iter();
        let whole = whole.map(|source| source.get(format!("{key}Ref")));
        if single.chain(whole).any(is_it) {
            return Some(Reads::AtStart);
        }
    }
    for mounted in list(template, "/spec/volumes") {
        let own = mounted.get(volume);
        let direct = own.is_some_and(|own| own[volume_name] == wanted);
        let sources = list(mounted, "/projected/sources").iter();
        let projected = sources.map(|source| source.get(key)).any(is_it);
        if !direct && !projected {
            continue;
        }
        // A file mounted by `subPath` is never updated (Kubernetes, "Volumes", `subPath`).
        let by_path = containers.iter().any(|container| {
            list(container, "/volumeMounts").iter().any(|mount| {
                mount["name"] == mounted["name"]
                    && (mount.get("subPath").is_some() || mount.get("subPathExpr").is_some())
            })
        });
        let reads = match by_path {
            true => Reads::AtStart,
            false => Reads::AsFiles,
        };
        found = Some(found.map_or(reads, |before: Reads| before.min(reads)));
    }
    found
}
