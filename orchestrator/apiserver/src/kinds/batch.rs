//! Jobs and CronJobs.
//!
//! Facts: `pkg/apis/batch/v1/defaults.go`, `pkg/registry/batch/job/strategy.go`.

use serde_json::{Value, json};

use super::{Strategy, pod_defaults, pod_validate, validate as rules};
use crate::{
    json::{
        as_map, at, default, default_str, each_map, entry_map, int_at, map_at, str_at, with_map,
    },
    status::{Cause, FieldError},
};

pub(crate) struct Job;
pub(crate) struct CronJob;

/// "No limit" for retries that are counted per index.
const NO_LIMIT: i64 = i32::MAX as i64;

impl Strategy for Job {
    fn default(&self, object: &mut Value) {
        let labels = map_at(object, &["spec", "template", "metadata", "labels"]).cloned();
        if map_at(object, &["metadata", "labels"]).is_none_or(|l| l.is_empty())
            && let Some(labels) = labels.filter(|l| !l.is_empty())
        {
            entry_map(as_map(object), "metadata").insert("labels".into(), labels.into());
        }
        let spec = entry_map(as_map(object), "spec");
        if !spec.contains_key("completions") && !spec.contains_key("parallelism") {
            default(spec, "completions", 1);
        }
        default(spec, "parallelism", 1);
        let per_index = spec.contains_key("backoffLimitPerIndex");
        default(spec, "backoffLimit", if per_index { NO_LIMIT } else { 6 });
        default_str(spec, "completionMode", "NonIndexed");
        default(spec, "suspend", false);
        default(spec, "manualSelector", false);
        let replace = if spec.contains_key("podFailurePolicy") {
            "Failed"
        } else {
            "TerminatingOrFailed"
        };
        default_str(spec, "podReplacementPolicy", replace);
        with_map(spec, "podFailurePolicy", |policy| {
            each_map(policy, "rules", |rule| {
                each_map(rule, "onPodConditions", |c| {
                    default_str(c, "status", "True")
                });
            });
        });
        pod_defaults::template(entry_map(spec, "template"));
    }

    /// Without `manualSelector` a Job selects its pods by its own uid.
    fn prepare_create(&self, object: &mut Value) {
        if object["spec"]["manualSelector"] == Value::Bool(true) {
            return;
        }
        let uid = str_at(object, &["metadata", "uid"]).to_owned();
        let name = str_at(object, &["metadata", "name"]).to_owned();
        let spec = entry_map(as_map(object), "spec");
        let labels = entry_map(entry_map(entry_map(spec, "template"), "metadata"), "labels");
        for (key, value) in [
            ("batch.kubernetes.io/controller-uid", &uid),
            ("batch.kubernetes.io/job-name", &name),
            ("controller-uid", &uid),
            ("job-name", &name),
        ] {
            labels.insert(key.to_owned(), value.as_str().into());
        }
        if map_at(object, &["spec", "selector", "matchLabels"]).is_none() {
            object["spec"]["selector"] =
                json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
        }
    }

    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        job_spec(&object["spec"], "spec", causes);
        let selector = at(object, &["spec", "selector"]).unwrap_or(&Value::Null);
        let labels =
            at(object, &["spec", "template", "metadata", "labels"]).unwrap_or(&Value::Null);
        if !rules::selects(selector, labels) {
            let why = "`selector` does not match template `labels`";
            causes.push(Cause::invalid("spec.template.metadata.labels", labels, why));
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, causes: &mut Vec<FieldError>) {
        for field in [
            "selector",
            "completionMode",
            "podFailurePolicy",
            "backoffLimitPerIndex",
            "managedBy",
            "successPolicy",
        ] {
            rules::immutable(new, old, &["spec", field], causes);
        }
        if str_at(old, &["spec", "completionMode"]) != "Indexed" {
            rules::immutable(new, old, &["spec", "completions"], causes);
        }
        // A suspended Job that never started may still be placed elsewhere.
        let waiting =
            old["spec"]["suspend"] == Value::Bool(true) && old["status"]["startTime"].is_null();
        if !waiting {
            rules::immutable(new, old, &["spec", "template"], causes);
        }
    }

    fn has_generation(&self) -> bool {
        true
    }
}

fn job_spec(spec: &Value, path: &str, causes: &mut Vec<FieldError>) {
    for field in [
        "parallelism",
        "completions",
        "backoffLimit",
        "activeDeadlineSeconds",
        "ttlSecondsAfterFinished",
    ] {
        if let Some(number) = int_at(spec, &[field])
            && number < 0
        {
            let why = "must be greater than or equal to 0";
            causes.push(Cause::invalid(
                format!("{path}.{field}"),
                &number.into(),
                why,
            ));
        }
    }
    let mode = str_at(spec, &["completionMode"]);
    if mode == "Indexed" && spec["completions"].is_null() {
        let why = "when completion mode is Indexed";
        causes.push(Cause::required(format!("{path}.completions"), why));
    }
    let policy = str_at(spec, &["template", "spec", "restartPolicy"]);
    let template_path = format!("{path}.template");
    if policy == "Always" || policy.is_empty() {
        let why = "valid values: \"OnFailure\", \"Never\"";
        let mut cause = Cause::required(format!("{template_path}.spec.restartPolicy"), why);
        if policy == "Always" {
            cause = Cause::unsupported(
                format!("{template_path}.spec.restartPolicy"),
                &policy.into(),
                &["OnFailure", "Never"],
            );
        }
        causes.push(cause);
    }
    pod_validate::template(
        spec.get("template").unwrap_or(&Value::Null),
        &template_path,
        &["OnFailure", "Never", "Always"],
        causes,
    );
}

impl Strategy for CronJob {
    fn default(&self, object: &mut Value) {
        let spec = entry_map(as_map(object), "spec");
        default_str(spec, "concurrencyPolicy", "Allow");
        default(spec, "suspend", false);
        default(spec, "successfulJobsHistoryLimit", 3);
        default(spec, "failedJobsHistoryLimit", 1);
        let template = entry_map(spec, "jobTemplate");
        entry_map(template, "metadata");
        pod_defaults::template(entry_map(entry_map(template, "spec"), "template"));
    }

    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        let schedule = str_at(object, &["spec", "schedule"]);
        if schedule.is_empty() {
            causes.push(Cause::required("spec.schedule", ""));
        } else if !schedule.starts_with('@') && schedule.split_whitespace().count() != 5 {
            let why = format!(
                "expected exactly 5 fields, found {}: [{schedule}]",
                schedule.split_whitespace().count()
            );
            causes.push(Cause::invalid("spec.schedule", &schedule.into(), &why));
        }
        let policy = str_at(object, &["spec", "concurrencyPolicy"]);
        let allowed = ["Allow", "Forbid", "Replace"];
        if !allowed.contains(&policy) {
            causes.push(Cause::unsupported(
                "spec.concurrencyPolicy",
                &policy.into(),
                &allowed,
            ));
        }
        // Eleven characters are left for the time that becomes part of a Job's name.
        let name = str_at(object, &["metadata", "name"]);
        if name.len() > 52 {
            causes.push(Cause::invalid(
                "metadata.name",
                &name.into(),
                "must be no more than 52 characters",
            ));
        }
        job_spec(
            &object["spec"]["jobTemplate"]["spec"],
            "spec.jobTemplate.spec",
            causes,
        );
    }

    fn has_generation(&self) -> bool {
        true
    }
}
