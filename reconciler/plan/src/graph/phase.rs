//! Phases: what runs before the rest of an app, and what runs after it. Ours, and the hooks of Argo CD and Helm.
//!
//! A phase is a place in the graph like a wave, so what it needs comes with it, and a failure of it is told like any
//! other. A Job of a phase runs once for each set of objects: the set's digest is part of its template, so that it is
//! another Job when anything else of the app changes, and the same one after a crash. Other kinds that run once carry the
//! digest themselves.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Desired, Hook, ObjectKey, When, digest, hooks::plain, json as read};

/// `before` or `after`.
pub const PHASE_ANNOTATION: &str = "ordain.dev/phase";

/// On the pods of a phase's Job: the digest of the objects for which it runs.
pub const RUN_ANNOTATION: &str = "ordain.dev/run";

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

/// The phase of an object.
pub(super) fn phase(object: &Value) -> Result<Phase, String> {
    match read::annotation(object, PHASE_ANNOTATION) {
        Some("before") => Ok(Phase::Before),
        Some("after") => Ok(Phase::After),
        Some(text) => Err(format!(
            "`{PHASE_ANNOTATION}`: `{text}` is none of `before`, `after`"
        )),
        None => match Hook::of(object).and_then(|hook| hook.when) {
            Some(When::Before) => Ok(Phase::Before),
            Some(When::After) => Ok(Phase::After),
            _ => Ok(Phase::During),
        },
    }
}

/// Kinds whose objects run once and are done. What else a hook may be, such as the ServiceAccount of a Job, is applied.
const RUNS: [(&str, &str); 5] = [
    ("batch", "Job"),
    ("", "Pod"),
    ("argoproj.io", "Workflow"),
    ("tekton.dev", "TaskRun"),
    ("tekton.dev", "PipelineRun"),
];

fn is_run(key: &ObjectKey) -> bool {
    RUNS.iter().any(|(group, kind)| key.is(group, kind))
}

/// True for a Job of a phase, and for every hook: what is no part of the state for which they run.
fn is_beside(desired: &Desired) -> bool {
    let object = &desired.object;
    let ours = read::annotation(object, PHASE_ANNOTATION).is_some();
    Hook::of(object).is_some() || (ours && desired.key.is("batch", "Job"))
}

/// The run that an object belongs to, by its mark; `None` for one that is no part of any.
#[must_use]
pub fn run_of(object: &Value) -> Option<&str> {
    let of_pods = object.pointer("/spec/template/metadata/annotations");
    let of_pods = of_pods.and_then(|annotations| annotations.get(RUN_ANNOTATION)?.as_str());
    of_pods.or_else(|| read::annotation(object, RUN_ANNOTATION))
}

/// Marks an object as one of a run: a Job on its pods, which nobody can change afterwards, anything else on itself.
pub fn set_run(desired: &mut Desired, run: &str) {
    let at = match desired.key.is("batch", "Job") {
        true => desired.object.pointer_mut("/spec/template"),
        false => Some(&mut desired.object),
    };
    let Some(at) = at.and_then(Value::as_object_mut) else {
        return;
    };
    let metadata = at.entry("metadata").or_insert_with(|| json!({}));
    if let Some(metadata) = metadata.as_object_mut() {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(RUN_ANNOTATION.to_owned(), run.into());
        }
    }
}

/// True when a hook that is there is the one of another run. Its fields may even be the same.
pub(crate) fn is_another_run(desired: &Desired, live: &Value) -> bool {
    let hook = is_run(&desired.key) && Hook::of(&desired.object).is_some();
    hook && run_of(&desired.object).is_some_and(|run| run_of(live) != Some(run))
}

/// Says in what runs in phases for which objects it runs: all others of the set.
pub fn stamp(desired: &mut [Desired]) {
    let is_marked = |desired: &Desired| {
        let ours = read::annotation(&desired.object, PHASE_ANNOTATION).is_some();
        let hook = Hook::of(&desired.object);
        (ours && desired.key.is("batch", "Job"))
            || hook.is_some_and(|hook| {
                hook.when.is_none_or(When::is_rollout) && (is_run(&desired.key) || hook.vanishes())
            })
    };
    if !desired.iter().any(is_marked) {
        return;
    }
    let mut others: Vec<_> = desired
        .iter()
        .filter(|desired| !is_beside(desired))
        .collect();
    others.sort_by(|a, b| a.key.cmp(&b.key));
    let objects: Vec<_> = others.iter().map(|desired| &desired.object).collect();
    let run = digest(&json!(objects));
    for desired in desired.iter_mut().filter(|desired| is_marked(desired)) {
        if desired.key.is("batch", "Job") {
            set_run(desired, &run);
            continue;
        }
        // A Job that changes is another one by itself; anything else says so by its mark.
        let mut own = plain(&desired.object).into_owned();
        if let Some(annotations) = own.pointer_mut("/metadata/annotations")
            && let Some(annotations) = annotations.as_object_mut()
        {
            annotations.shift_remove(RUN_ANNOTATION);
        }
        set_run(desired, &digest(&json!([run, own])));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare;

    fn set(value: &str) -> Vec<Desired> {
        let job = json!({"apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "migrate", "annotations": {"argocd.argoproj.io/hook": "PreSync"}},
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
    fn a_pod_that_is_a_hook_is_another_one_for_each_state_and_when_it_changes_itself() {
        let set = |image: &str, value: &str| {
            let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "migrate",
                "annotations": {"helm.sh/hook": "pre-upgrade"}},
                "spec": {"containers": [{"name": "a", "image": image}]}});
            let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"},
                "data": {"value": value}});
            let desired = [pod, config]
                .into_iter()
                .map(|object| prepare(object, None, true, "shop", "dev/web").expect("complete"));
            let mut desired: Vec<_> = desired.collect();
            stamp(&mut desired);
            desired
        };
        let (one, image, value) = (set("a", "1"), set("b", "1"), set("a", "2"));
        let live = &one[0].object;
        assert!(run_of(live).is_some());
        assert!(!is_another_run(&set("a", "1")[0], live));
        assert!(is_another_run(&image[0], live));
        assert!(is_another_run(&value[0], live));
        let mut again = one.clone();
        stamp(&mut again);
        assert_eq!(again, one);
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
