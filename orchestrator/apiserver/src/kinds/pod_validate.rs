//! What a pod specification may not say.
//!
//! Facts: `pkg/apis/core/validation/validation.go` (`ValidatePodSpec` and what it calls).

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{
    container_validate as container,
    validate::{self as rules, NameRule, name_fault},
};
use crate::{
    json::{at, int_at, list_at, map_at, str_at},
    status::{Cause, FieldError},
};

type Causes = Vec<FieldError>;

/// Checks a template of a workload that restarts its pods in one of these ways.
pub(crate) fn template(template: &Value, path: &str, restart: &[&str], causes: &mut Causes) {
    if let Some(labels) = map_at(template, &["metadata", "labels"]) {
        rules::labels(labels, &format!("{path}.metadata.labels"), causes);
    }
    let spec = template.get("spec").unwrap_or(&Value::Null);
    let path = format!("{path}.spec");
    self::spec(spec, &path, causes);
    let policy = str_at(spec, &["restartPolicy"]);
    if !restart.contains(&policy) && !policy.is_empty() {
        causes.push(Cause::unsupported(
            format!("{path}.restartPolicy"),
            &policy.into(),
            restart,
        ));
    }
}

/// Checks a pod specification.
pub(crate) fn spec(spec: &Value, path: &str, causes: &mut Causes) {
    let volumes = volumes(spec, path, causes);
    if list_at(spec, &["containers"]).is_empty() {
        causes.push(Cause::required(format!("{path}.containers"), ""));
    }
    let mut names = HashSet::new();
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for (index, container) in list_at(spec, &[list]).iter().enumerate() {
            let path = format!("{path}.{list}[{index}]");
            if !names.insert(str_at(container, &["name"])) {
                causes.push(Cause::duplicate(format!("{path}.name"), &container["name"]));
            }
            container::container(container, &path, list, &volumes, causes);
        }
    }
    host_ports(spec, path, causes);
    one_of(
        spec,
        path,
        "restartPolicy",
        &["Always", "OnFailure", "Never"],
        causes,
    );
    one_of(
        spec,
        path,
        "dnsPolicy",
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
        causes,
    );
    if let Some(grace) = int_at(spec, &["terminationGracePeriodSeconds"])
        && grace < 0
    {
        let why = "must be greater than or equal to 0";
        causes.push(Cause::invalid(
            format!("{path}.terminationGracePeriodSeconds"),
            &grace.into(),
            why,
        ));
    }
    if let Some(deadline) = int_at(spec, &["activeDeadlineSeconds"])
        && !(1..=i64::from(i32::MAX)).contains(&deadline)
    {
        let why = "must be between 1 and 2147483647, inclusive";
        causes.push(Cause::invalid(
            format!("{path}.activeDeadlineSeconds"),
            &deadline.into(),
            why,
        ));
    }
    if let Some(selector) = map_at(spec, &["nodeSelector"]) {
        rules::labels(selector, &format!("{path}.nodeSelector"), causes);
    }
    for field in ["serviceAccountName", "nodeName", "priorityClassName"] {
        let name = str_at(spec, &[field]);
        if let Some(fault) = name_fault(NameRule::Subdomain, name).filter(|_| !name.is_empty()) {
            causes.push(Cause::invalid(
                format!("{path}.{field}"),
                &name.into(),
                &fault,
            ));
        }
    }
    for field in ["hostname", "subdomain"] {
        let name = str_at(spec, &[field]);
        if let Some(fault) = name_fault(NameRule::Label, name).filter(|_| !name.is_empty()) {
            causes.push(Cause::invalid(
                format!("{path}.{field}"),
                &name.into(),
                &fault,
            ));
        }
    }
    tolerations(spec, path, causes);
    spread(spec, path, causes);
}

pub(super) fn one_of(
    parent: &Value,
    path: &str,
    field: &str,
    allowed: &[&str],
    causes: &mut Causes,
) {
    let value = str_at(parent, &[field]);
    if !value.is_empty() && !allowed.contains(&value) {
        causes.push(Cause::unsupported(
            format!("{path}.{field}"),
            &value.into(),
            allowed,
        ));
    }
}

fn volumes<'a>(spec: &'a Value, path: &str, causes: &mut Causes) -> HashSet<&'a str> {
    let mut names = HashSet::new();
    for (index, volume) in list_at(spec, &["volumes"]).iter().enumerate() {
        let path = format!("{path}.volumes[{index}]");
        let name = str_at(volume, &["name"]);
        if name.is_empty() {
            causes.push(Cause::required(format!("{path}.name"), ""));
        } else if let Some(fault) = name_fault(NameRule::Label, name) {
            causes.push(Cause::invalid(format!("{path}.name"), &name.into(), &fault));
        } else if !names.insert(name) {
            causes.push(Cause::duplicate(format!("{path}.name"), &name.into()));
        }
        let sources: Vec<&String> = volume
            .as_object()
            .into_iter()
            .flat_map(Map::keys)
            .filter(|k| *k != "name")
            .collect();
        if let [_, extra, ..] = sources.as_slice() {
            let why = "may not specify more than 1 volume type";
            causes.push(Cause::forbidden(format!("{path}.{extra}"), why));
        }
        for (source, field) in [
            ("hostPath", "path"),
            ("secret", "secretName"),
            ("configMap", "name"),
            ("persistentVolumeClaim", "claimName"),
        ] {
            if let Some(source_value) = volume.get(source)
                && str_at(source_value, &[field]).is_empty()
            {
                causes.push(Cause::required(format!("{path}.{source}.{field}"), ""));
            }
        }
        if str_at(volume, &["hostPath", "path"])
            .split('/')
            .any(|part| part == "..")
        {
            let value = &volume["hostPath"]["path"];
            causes.push(Cause::invalid(
                format!("{path}.hostPath.path"),
                value,
                "must not contain '..'",
            ));
        }
    }
    names
}

/// The same host port may be asked for once.
fn host_ports(spec: &Value, path: &str, causes: &mut Causes) {
    let mut seen = HashSet::new();
    for (index, container) in list_at(spec, &["containers"]).iter().enumerate() {
        for (port_index, port) in list_at(container, &["ports"]).iter().enumerate() {
            let Some(number) = int_at(port, &["hostPort"]).filter(|n| *n != 0) else {
                continue;
            };
            let key = (
                str_at(port, &["protocol"]),
                str_at(port, &["hostIP"]),
                number,
            );
            if !seen.insert(key) {
                let path = format!("{path}.containers[{index}].ports[{port_index}].hostPort");
                causes.push(Cause::duplicate(
                    path,
                    &format!("{}/{}/{number}", key.0, key.1).into(),
                ));
            }
        }
    }
}

fn tolerations(spec: &Value, path: &str, causes: &mut Causes) {
    for (index, toleration) in list_at(spec, &["tolerations"]).iter().enumerate() {
        let path = format!("{path}.tolerations[{index}]");
        let key = str_at(toleration, &["key"]);
        let operator = str_at(toleration, &["operator"]);
        if let Some(fault) = rules::qualified_name_fault(key).filter(|_| !key.is_empty()) {
            causes.push(Cause::invalid(format!("{path}.key"), &key.into(), &fault));
        }
        if key.is_empty() && operator != "Exists" {
            let why = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            causes.push(Cause::invalid(
                format!("{path}.operator"),
                &operator.into(),
                why,
            ));
        }
        if operator == "Exists" && !str_at(toleration, &["value"]).is_empty() {
            let why = "value must be empty when `operator` is 'Exists'";
            causes.push(Cause::invalid(
                format!("{path}.operator"),
                &toleration["value"],
                why,
            ));
        }
        one_of(
            toleration,
            &path,
            "operator",
            &["Equal", "Exists", "Lt", "Gt"],
            causes,
        );
        one_of(
            toleration,
            &path,
            "effect",
            &["NoSchedule", "PreferNoSchedule", "NoExecute"],
            causes,
        );
    }
}

fn spread(spec: &Value, path: &str, causes: &mut Causes) {
    for (index, constraint) in list_at(spec, &["topologySpreadConstraints"])
        .iter()
        .enumerate()
    {
        let path = format!("{path}.topologySpreadConstraints[{index}]");
        let skew = int_at(constraint, &["maxSkew"]).unwrap_or(0);
        if skew <= 0 {
            causes.push(Cause::invalid(
                format!("{path}.maxSkew"),
                &skew.into(),
                "must be greater than zero",
            ));
        }
        if str_at(constraint, &["topologyKey"]).is_empty() {
            causes.push(Cause::required(
                format!("{path}.topologyKey"),
                "can not be empty",
            ));
        }
        let allowed = ["DoNotSchedule", "ScheduleAnyway"];
        let action = str_at(constraint, &["whenUnsatisfiable"]);
        if !allowed.contains(&action) {
            causes.push(Cause::unsupported(
                format!("{path}.whenUnsatisfiable"),
                &action.into(),
                &allowed,
            ));
        }
    }
}

/// Checks a change of a pod's specification: only a few fields may change
/// (`ValidatePodUpdate`).
pub(crate) fn pod_update(new: &Value, old: &Value, causes: &mut Causes) {
    let fixed = |object: &Value| {
        let mut spec = at(object, &["spec"]).cloned().unwrap_or(Value::Null);
        let gated = !list_at(old, &["spec", "schedulingGates"]).is_empty();
        if let Some(map) = spec.as_object_mut() {
            for field in [
                "activeDeadlineSeconds",
                "terminationGracePeriodSeconds",
                "tolerations",
                "schedulingGates",
            ] {
                map.shift_remove(field);
            }
            if gated {
                map.shift_remove("nodeSelector");
                map.shift_remove("affinity");
            }
            for list in ["containers", "initContainers"] {
                if let Some(Value::Array(containers)) = map.get_mut(list) {
                    for container in containers.iter_mut().filter_map(Value::as_object_mut) {
                        container.shift_remove("image");
                    }
                }
            }
        }
        spec
    };
    if fixed(new) != fixed(old) {
        causes.push(Cause::forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,\
             `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to \
             existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        ));
    }
    let (new_tolerations, old_tolerations) = (
        list_at(new, &["spec", "tolerations"]),
        list_at(old, &["spec", "tolerations"]),
    );
    if !old_tolerations.iter().all(|t| new_tolerations.contains(t)) {
        let why = "existing toleration can not be modified except its tolerationSeconds";
        let same_but_seconds = |a: &Value, b: &Value| {
            ["key", "operator", "value", "effect"]
                .iter()
                .all(|f| a.get(*f) == b.get(*f))
        };
        if !old_tolerations
            .iter()
            .all(|t| new_tolerations.iter().any(|n| same_but_seconds(n, t)))
        {
            causes.push(Cause::forbidden("spec.tolerations", why));
        }
    }
}
