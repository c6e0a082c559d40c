//! Phases: what runs before the rest of an app, and what runs after it. Ours, and the hooks of Argo CD and Helm.
//!
//! A phase is a place in the graph like a wave, so what it needs comes with it, and a failure of it is told like any
//! other. A Job of a phase runs once for each set of objects: the set's digest is part of its template, so that it is
//! another Job when anything else of the app changes, and the same one after a crash.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Desired, digest, json as read};

/// `before` or `after`.
pub const PHASE_ANNOTATION: &str = "ordain.dev/phase";

/// On the pods of a phase's Job: the digest of the objects for which it runs.
pub const RUN_ANNOTATION: &str = "ordain.dev/run";

/// Argo CD's hooks (`gitops-engine/pkg/sync/common/types.go`).
const ARGO_HOOK: &str = "argocd.argoproj.io/hook";

/// Helm's hooks (`pkg/release/hook.go`).
const HELM_HOOK: &str = "helm.sh/hook";

/// Helm's order of hooks.
pub(super) const HELM_WEIGHT: &str = "helm.sh/hook-weight";

/// When an object is applied.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Everything else waits until it is healthy.
    Before,
    /// With everything else.
    #[default]
    During,
    /// It waits until everything else is healthy.
    After,
}

impl fmt::Display for Phase {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Before => "before",
            Self::During => "during",
            Self::After => "after",
        })
    }
}

/// What the annotations of other tools make of an object.
enum Hook {
    /// It is none.
    No,
    /// It runs in a phase.
    Runs(Phase),
    /// It runs at times that a rollout does not have: on failure, on deletion, as a test.
    Never(String),
}

fn hook(object: &Value) -> Hook {
    const ARGO: [(&str, Phase); 3] = [
        ("PreSync", Phase::Before),
        ("Sync", Phase::During),
        ("PostSync", Phase::After),
    ];
    const HELM: [(&str, Phase); 5] = [
        ("crd-install", Phase::Before),
        ("pre-install", Phase::Before),
        ("pre-upgrade", Phase::Before),
        ("post-install", Phase::After),
        ("post-upgrade", Phase::After),
    ];
    for (name, words) in [(ARGO_HOOK, &ARGO[..]), (HELM_HOOK, &HELM[..])] {
        let Some(text) = read::annotation(object, name) else {
            continue;
        };
        let phases = text.split(',').filter_map(|word| {
            let found = words.iter().find(|(known, _)| *known == word.trim());
            found.map(|(_, phase)| *phase)
        });
        // It is one object, so it runs once: at the first of several times.
        return match phases.min() {
            Some(phase) => Hook::Runs(phase),
            None => Hook::Never(format!("{name}: {text}")),
        };
    }
    Hook::No
}

/// The annotation by which an object is a hook that no rollout runs, with its value.
pub(crate) fn never(object: &Value) -> Option<String> {
    match hook(object) {
        Hook::Never(by) => Some(by),
        Hook::No | Hook::Runs(_) => None,
    }
}

/// The phase of an object.
pub(super) fn phase(object: &Value) -> Result<Phase, String> {
    match read::annotation(object, PHASE_ANNOTATION) {
        Some("before") => Ok(Phase::Before),
        Some("after") => Ok(Phase::After),
        Some(text) => Err(format!(
            "`{PHASE_ANNOTATION}`: `{text}` is none of `before`, `after`"
        )),
        None => match hook(object) {
            Hook::Runs(phase) => Ok(phase),
            Hook::No | Hook::Never(_) => Ok(Phase::During),
        },
    }
}

/// True for a Job that runs once for each set of objects.
fn is_run(desired: &Desired) -> bool {
    let object = &desired.object;
    let ours = read::annotation(object, PHASE_ANNOTATION).is_some();
    desired.key.is("batch", "Job") && (ours || matches!(hook(object), Hook::Runs(_)))
}

/// Says in the Jobs of phases for which objects they run: all others of the set.
pub fn stamp(desired: &mut [Desired]) {
    if !desired.iter().any(is_run) {
        return;
    }
    let mut others: Vec<_> = desired.iter().filter(|desired| !is_run(desired)).collect();
    others.sort_by(|a, b| a.key.cmp(&b.key));
    let objects: Vec<_> = others.iter().map(|desired| &desired.object).collect();
    let run = digest(&json!(objects));
    for desired in desired.iter_mut().filter(|desired| is_run(desired)) {
        let template = desired.object.pointer_mut("/spec/template");
        let Some(template) = template.and_then(Value::as_object_mut) else {
            continue;
        };
        let metadata = template.entry("metadata").or_insert_with(|| json!({}));
        if let Some(metadata) = metadata.as_object_mut() {
            let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
            if let Some(annotations) = annotations.as_object_mut() {
                annotations.insert(RUN_ANNOTATION.to_owned(), run.as_str().into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare;

    fn set(value: &str) -> Vec<Desired> {
        let job = json!({"apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "migrate", "annotations": {ARGO_HOOK: "PreSync"}},
            "spec": {"template": {"spec": {"containers": []}}}});
        let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"},
            "data": {"value": value}});
        let other = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "other"},
            "spec": {"template": {"spec": {"containers": []}}}});
        let objects = [job, config, other].into_iter();
        let desired = objects.map(|object| prepare(object, None, true, "shop", "dev/web"));
        let mut desired: Vec<_> = desired.map(|desired| desired.expect("complete")).collect();
        stamp(&mut desired);
        desired
    }

    #[test]
    fn a_job_of_a_phase_runs_again_when_anything_else_changes_and_only_then() {
        let run = |set: &[Desired], at: usize| {
            let template = set[at]
                .object
                .pointer("/spec/template/metadata/annotations");
            template.map(|annotations| annotations[RUN_ANNOTATION].clone())
        };
        let (one, same, two) = (set("1"), set("1"), set("2"));
        assert!(run(&one, 0).is_some());
        assert_eq!(run(&one, 0), run(&same, 0));
        assert_ne!(run(&one, 0), run(&two, 0));
        assert_eq!(run(&one, 2), None, "a Job of no phase is left as it is");
        let mut again = one.clone();
        stamp(&mut again);
        assert_eq!(again, one, "what a journal keeps is stamped already");
    }
}
