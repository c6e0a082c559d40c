//! Workloads: selectors and the labels of their pods, restart policies, volumes of templates.
//!
//! pkg/apis/apps/validation/validation.go ValidatePodTemplateSpecForReplicaSet, ValidateDeploymentSpec,
//! ValidateStatefulSetSpec, ValidateDaemonSetSpec; pkg/apis/batch/validation validateJobSpec, validateCronJobSpec.

use ordain_lang_syntax::Diagnostic;

use super::{Judge, Slot, View};

/// How long a rollout may take when nobody says it, in seconds.
const PROGRESS_DEADLINE: i64 = 600;

impl<V: View> Judge<'_, V> {
    pub(super) fn deployment_spec(&mut self, node: V::Node) {
        self.replicated(node, "a Deployment");
        let Some(ready) = self.get(node, "minReadySeconds") else {
            return;
        };
        if self.slot(node, "progressDeadlineSeconds").is_absent()
            && self.view.int(ready).is_some_and(|s| s >= PROGRESS_DEADLINE)
        {
            let at = self.span(ready);
            self.say(
                Diagnostic::error(
                    "E0710",
                    "a rollout must be given more time than a pod takes to be ready",
                )
                .label(at, "for a pod")
                .help("set `progressDeadlineSeconds`")
                .note(format!("it is {PROGRESS_DEADLINE} when nobody sets it")),
            );
        }
        let Some(deadline) = self.get(node, "progressDeadlineSeconds") else {
            return;
        };
        if let (Some(ready_s), Some(deadline_s)) = (self.view.int(ready), self.view.int(deadline))
            && deadline_s <= ready_s
        {
            let (ready, deadline) = (self.span(ready), self.span(deadline));
            self.say(
                Diagnostic::error(
                    "E0710",
                    "a rollout must be given more time than a pod takes to be ready",
                )
                .label(deadline, format!("{deadline_s} s for the rollout"))
                .label(ready, format!("{ready_s} s for a pod"))
                .help("raise `progressDeadlineSeconds`"),
            );
        }
    }

    pub(super) fn replica_set_spec(&mut self, node: V::Node) {
        self.replicated(node, "a ReplicaSet");
    }

    pub(super) fn daemon_set_spec(&mut self, node: V::Node) {
        self.replicated(node, "a DaemonSet");
    }

    fn replicated(&mut self, node: V::Node, what: &str) {
        self.selects_its_pods(node);
        self.always(node, what);
        self.template_mounts(node, (&[], true));
    }

    pub(super) fn stateful_set_spec(&mut self, node: V::Node) {
        self.selects_its_pods(node);
        self.always(node, "a StatefulSet");
        let (claims, all) = self.elements(node, "volumeClaimTemplates");
        let names: Vec<String> = claims
            .iter()
            .filter_map(|claim| {
                Some(
                    self.text(self.at(*claim, &["metadata", "name"]).known()?)?
                        .into_owned(),
                )
            })
            .collect();
        let all = all && names.len() == claims.len();
        self.template_mounts(node, (&names, all));
    }

    pub(super) fn replication_controller_spec(&mut self, node: V::Node) {
        if let Some(selector) = self.get(node, "selector") {
            self.labels_match(node, selector);
        }
        self.always(node, "a ReplicationController");
        self.template_mounts(node, (&[], true));
    }

    pub(super) fn job_spec(&mut self, node: V::Node) {
        self.template_mounts(node, (&[], true));
        self.job_endings(node);
        let manual = self.slot(node, "manualSelector");
        if let (Slot::Absent, Some(selector)) = (manual, self.get(node, "selector"))
            && !self.view.is_finished()
        {
            // The cluster writes a selector into the object, so that only what people write is judged.
            let at = self.span(selector);
            self.say(
                Diagnostic::error("E0710", "a Job makes its own selector")
                    .label(at, "`selector`")
                    .help("remove it, or set `manualSelector = true`"),
            );
        }
        if manual.known().and_then(|manual| self.view.flag(manual)) == Some(true) {
            self.selects_its_pods(node);
        }
        if let Slot::Is(spec) = self.at(node, &["template", "spec"]) {
            match self.slot(spec, "restartPolicy") {
                Slot::Unknown => {}
                Slot::Absent => {
                    let at = self.span(spec);
                    self.say(
                        Diagnostic::error("E0705", "pods of a Job restart `Never` or `OnFailure`")
                            .label(at, "without `restartPolicy`, which means `Always`")
                            .help("add `restartPolicy = \"Never\"`"),
                    );
                }
                Slot::Is(policy) => {
                    if self.text(policy).is_some_and(|text| text == "Always") {
                        let at = self.span(policy);
                        self.say(
                            Diagnostic::error(
                                "E0705",
                                "pods of a Job restart `Never` or `OnFailure`",
                            )
                            .label(at, "would never end")
                            .help("write \"Never\" or \"OnFailure\""),
                        );
                    }
                }
            }
        }
        if let Some(mode) = self.get(node, "completionMode")
            && self.text(mode).is_some_and(|text| text == "Indexed")
            && self.slot(node, "completions").is_absent()
        {
            let at = self.span(mode);
            self.say(
                Diagnostic::error("E0711", "an indexed Job needs `completions`")
                    .label(at, "this mode")
                    .help("add `completions = 3`"),
            );
        }
    }

    pub(super) fn cron_job_spec(&mut self, node: V::Node) {
        if let Some(schedule) = self.get(node, "schedule")
            && self.text(schedule).is_some_and(|text| text.contains("TZ"))
        {
            let at = self.span(schedule);
            self.say(
                Diagnostic::error("E0205", "the time zone is no part of the schedule")
                    .label(at, "with a zone")
                    .help("set `timeZone`"),
            );
        }
    }

    fn always(&mut self, node: V::Node, what: &str) {
        for field in ["activeDeadlineSeconds", "ephemeralContainers"] {
            let Slot::Is(value) = self.at(node, &["template", "spec", field]) else {
                continue;
            };
            let count = self.view.count(value);
            if self.view.int(value).is_none() && count.all && count.len == 0 {
                continue;
            }
            let at = self.span(value);
            self.say(
                Diagnostic::error("E0710", format!("pods of {what} have no `{field}`"))
                    .label(at, "of single pods only")
                    .help("remove it"),
            );
        }
        let Slot::Is(policy) = self.at(node, &["template", "spec", "restartPolicy"]) else {
            return;
        };
        let Some(text) = self.text(policy) else {
            return;
        };
        if text == "Always" {
            return;
        }
        let at = self.span(policy);
        self.say(
            Diagnostic::error("E0705", format!("pods of {what} restart `Always`"))
                .label(at, format!("not `{text}`"))
                .help("remove it; use a Job for work that ends"),
        );
    }

    fn template_mounts(&mut self, node: V::Node, claims: (&[String], bool)) {
        if let Slot::Is(pod) = self.at(node, &["template", "spec"]) {
            self.mounts(pod, claims);
        }
    }

    fn selects_its_pods(&mut self, node: V::Node) {
        let Some(selector) = self.get(node, "selector") else {
            return;
        };
        let labels = self.slot(selector, "matchLabels");
        let expressions = self.slot(selector, "matchExpressions");
        let is_empty = |slot: Slot<V::Node>| match slot {
            Slot::Absent => true,
            Slot::Unknown => false,
            Slot::Is(value) => {
                let count = self.view.count(value);
                count.all && count.len == 0
            }
        };
        if is_empty(labels) && is_empty(expressions) {
            let at = self.span(selector);
            self.say(
                Diagnostic::error("E0703", "an empty selector selects every pod")
                    .label(at, "nothing is chosen")
                    .help("add `matchLabels` with a label of the template"),
            );
        }
        if let Slot::Is(labels) = labels {
            self.labels_match(node, labels);
        }
        for requirement in self.elements(selector, "matchExpressions").0 {
            self.expression_matches(node, requirement);
        }
    }

    /// The labels of the template; an absent map has none.
    fn template_label(&self, node: V::Node, key: &str) -> Slot<V::Node> {
        match self.at(node, &["template", "metadata", "labels"]) {
            Slot::Is(labels) => self.slot(labels, key),
            Slot::Absent if self.slot(node, "template").is_set() => Slot::Absent,
            _ => Slot::Unknown,
        }
    }

    fn labels_match(&mut self, node: V::Node, selected: V::Node) {
        let template = match self.at(node, &["template", "metadata", "labels"]) {
            Slot::Is(labels) => labels,
            _ => match self.get(node, "template") {
                Some(template) => template,
                None => return,
            },
        };
        let template = self.span(template);
        for part in self.parts(selected).0 {
            let message = match self.template_label(node, &part.key) {
                Slot::Unknown => continue,
                Slot::Absent => format!(
                    "the pods have no label `{}`, which the selector wants",
                    part.key
                ),
                Slot::Is(label) => match (self.text(part.node), self.text(label)) {
                    (Some(wanted), Some(found)) if wanted != found => format!(
                        "the selector wants `{}` to be \"{wanted}\", the pods' label is \"{found}\"",
                        part.key
                    ),
                    _ => continue,
                },
            };
            let at = self.span(part.node);
            self.say(
                Diagnostic::error("E0703", message)
                    .label(at, "selected by this")
                    .label(template, "the template of the pods")
                    .help("use the same labels in both: `let labels = …`"),
            );
        }
    }

    fn expression_matches(&mut self, node: V::Node, requirement: V::Node) {
        let (Some(key), Some(operator)) = (
            self.text_of(requirement, "key"),
            self.text_of(requirement, "operator"),
        ) else {
            return;
        };
        let (values, all) = self.elements(requirement, "values");
        let mut listed = Vec::with_capacity(values.len());
        for value in &values {
            match self.text(*value) {
                Some(text) => listed.push(text),
                None => return,
            }
        }
        let label = self.template_label(node, &key);
        let found = match label {
            Slot::Unknown => return,
            Slot::Absent => None,
            Slot::Is(label) => match self.text(label) {
                Some(text) => Some(text),
                None => return,
            },
        };
        let matches = match (&*operator, &found) {
            ("In", Some(text)) => listed.contains(text) || !all,
            ("In", None) | ("Exists", None) | ("DoesNotExist", Some(_)) => false,
            ("NotIn", Some(text)) => !listed.contains(text),
            _ => true,
        };
        if !matches {
            let at = self.span(requirement);
            self.say(
                Diagnostic::error(
                    "E0703",
                    format!("the pods' label `{key}` does not keep the selector's `{operator}`"),
                )
                .label(at, "selected by this")
                .note(match found {
                    Some(text) => format!("the label is \"{text}\""),
                    None => "the pods have no such label".to_owned(),
                }),
            );
        }
    }
}
