//! What a container may not say: names, images, ports, probes, variables, mounts, resources.
//!
//! Facts: `pkg/apis/core/validation/validation.go` (`validateContainers` and what it calls).

use std::collections::HashSet;

use ordain_orchestrator_api::Quantity;
use serde_json::Value;

use super::{
    pod_validate::one_of,
    validate::{self as rules, NameRule, name_fault},
};
use crate::{
    json::{at, int_at, list_at, map_at, str_at},
    status::{Cause, FieldError},
};

type Causes = Vec<FieldError>;

pub(super) fn container(
    container: &Value,
    path: &str,
    list: &str,
    volumes: &HashSet<&str>,
    causes: &mut Causes,
) {
    let name = str_at(container, &["name"]);
    if name.is_empty() {
        causes.push(Cause::required(format!("{path}.name"), ""));
    } else if let Some(fault) = name_fault(NameRule::Label, name) {
        causes.push(Cause::invalid(format!("{path}.name"), &name.into(), &fault));
    }
    let image = str_at(container, &["image"]);
    if image.is_empty() {
        causes.push(Cause::required(format!("{path}.image"), ""));
    } else if image != image.trim() {
        let why = "must not have leading or trailing whitespace";
        causes.push(Cause::invalid(format!("{path}.image"), &image.into(), why));
    }
    one_of(
        container,
        path,
        "imagePullPolicy",
        &["Always", "IfNotPresent", "Never"],
        causes,
    );
    one_of(
        container,
        path,
        "terminationMessagePolicy",
        &["File", "FallbackToLogsOnError"],
        causes,
    );
    ports(container, path, causes);
    env(container, path, causes);
    mounts(container, path, volumes, causes);
    resources(container, path, causes);
    let sidecar = list == "initContainers" && str_at(container, &["restartPolicy"]) == "Always";
    for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = container.get(field) else {
            continue;
        };
        let path = format!("{path}.{field}");
        if list == "initContainers" && !sidecar {
            causes.push(Cause::forbidden(
                path,
                "may not be set for init containers without restartPolicy=Always",
            ));
            continue;
        }
        self::probe(probe, &path, field, causes);
    }
    if let Some(lifecycle) = container.get("lifecycle") {
        for field in ["postStart", "preStop"] {
            if let Some(action) = lifecycle.get(field) {
                handler(
                    action,
                    &format!("{path}.lifecycle.{field}"),
                    &["exec", "httpGet", "tcpSocket", "sleep"],
                    causes,
                );
            }
        }
    }
}

fn probe(probe: &Value, path: &str, field: &str, causes: &mut Causes) {
    handler(
        probe,
        path,
        &["exec", "httpGet", "tcpSocket", "grpc"],
        causes,
    );
    for number in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        if let Some(value) = int_at(probe, &[number])
            && value < 0
        {
            let why = "must be greater than or equal to 0";
            causes.push(Cause::invalid(
                format!("{path}.{number}"),
                &value.into(),
                why,
            ));
        }
    }
    let successes = int_at(probe, &["successThreshold"]).unwrap_or(1);
    if field != "readinessProbe" && successes != 1 {
        causes.push(Cause::invalid(
            format!("{path}.successThreshold"),
            &successes.into(),
            "must be 1",
        ));
    }
}

fn handler(handler: &Value, path: &str, kinds: &[&str], causes: &mut Causes) {
    let set: Vec<&&str> = kinds
        .iter()
        .filter(|k| handler.get(**k).is_some())
        .collect();
    match set.as_slice() {
        [] => causes.push(Cause::required(path, "must specify a handler type")),
        [_] => {}
        [_, second, ..] => {
            let why = "may not specify more than 1 handler type";
            causes.push(Cause::forbidden(format!("{path}.{second}"), why));
        }
    }
    for kind in ["httpGet", "tcpSocket", "grpc"] {
        if let Some(action) = handler.get(kind) {
            match action.get("port") {
                None => causes.push(Cause::required(format!("{path}.{kind}.port"), "")),
                Some(port) => rules::port_or_name(port, &format!("{path}.{kind}.port"), causes),
            }
        }
    }
    if let Some(exec) = handler.get("exec")
        && list_at(exec, &["command"]).is_empty()
    {
        causes.push(Cause::required(format!("{path}.exec.command"), ""));
    }
}

fn ports(container: &Value, path: &str, causes: &mut Causes) {
    let mut names = HashSet::new();
    for (index, port) in list_at(container, &["ports"]).iter().enumerate() {
        let path = format!("{path}.ports[{index}]");
        let name = str_at(port, &["name"]);
        if !name.is_empty() {
            if let Some(fault) = rules::port_name_fault(name) {
                causes.push(Cause::invalid(format!("{path}.name"), &name.into(), &fault));
            } else if !names.insert(name) {
                causes.push(Cause::duplicate(format!("{path}.name"), &name.into()));
            }
        }
        match port.get("containerPort") {
            None => causes.push(Cause::required(format!("{path}.containerPort"), "")),
            Some(number) => rules::port(number, &format!("{path}.containerPort"), causes),
        }
        if let Some(number) = port.get("hostPort").filter(|n| n.as_i64() != Some(0)) {
            rules::port(number, &format!("{path}.hostPort"), causes);
        }
        one_of(port, &path, "protocol", &["SCTP", "TCP", "UDP"], causes);
    }
}

fn env(container: &Value, path: &str, causes: &mut Causes) {
    for (index, env) in list_at(container, &["env"]).iter().enumerate() {
        let path = format!("{path}.env[{index}]");
        let name = str_at(env, &["name"]);
        if name.is_empty() {
            causes.push(Cause::required(format!("{path}.name"), ""));
        } else if name.contains('=') || !name.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            let why = "a valid environment variable name must consist only of printable ASCII characters other than '='";
            causes.push(Cause::invalid(format!("{path}.name"), &name.into(), why));
        }
        let Some(from) = env.get("valueFrom") else {
            continue;
        };
        if !str_at(env, &["value"]).is_empty() {
            let why = "may not be specified when `value` is not empty";
            causes.push(Cause::invalid(format!("{path}.valueFrom"), &"".into(), why));
        }
        let sources = [
            "fieldRef",
            "resourceFieldRef",
            "configMapKeyRef",
            "secretKeyRef",
            "fileKeyRef",
        ];
        let count = sources.iter().filter(|s| from.get(**s).is_some()).count();
        let why = match count {
            0 => {
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
            }
            1 => "",
            _ => "may not have more than one field specified at a time",
        };
        if !why.is_empty() {
            causes.push(Cause::invalid(format!("{path}.valueFrom"), &"".into(), why));
        }
        for (source, field) in [
            ("configMapKeyRef", "key"),
            ("secretKeyRef", "key"),
            ("fieldRef", "fieldPath"),
            ("resourceFieldRef", "resource"),
        ] {
            if from
                .get(source)
                .is_some_and(|s| str_at(s, &[field]).is_empty())
            {
                causes.push(Cause::required(
                    format!("{path}.valueFrom.{source}.{field}"),
                    "",
                ));
            }
        }
    }
}

fn mounts(container: &Value, path: &str, volumes: &HashSet<&str>, causes: &mut Causes) {
    let mut paths = HashSet::new();
    for (index, mount) in list_at(container, &["volumeMounts"]).iter().enumerate() {
        let path = format!("{path}.volumeMounts[{index}]");
        let name = str_at(mount, &["name"]);
        if name.is_empty() {
            causes.push(Cause::required(format!("{path}.name"), ""));
        } else if !volumes.contains(name) {
            causes.push(Cause::not_found(format!("{path}.name"), &name.into()));
        }
        let mount_path = str_at(mount, &["mountPath"]);
        if mount_path.is_empty() {
            causes.push(Cause::required(format!("{path}.mountPath"), ""));
        } else if !paths.insert(mount_path) {
            let why = "must be unique";
            causes.push(Cause::invalid(
                format!("{path}.mountPath"),
                &mount_path.into(),
                why,
            ));
        }
        let sub = str_at(mount, &["subPath"]);
        if sub.starts_with('/') {
            causes.push(Cause::invalid(
                format!("{path}.subPath"),
                &sub.into(),
                "must be a relative path",
            ));
        } else if sub.split('/').any(|part| part == "..") {
            causes.push(Cause::invalid(
                format!("{path}.subPath"),
                &sub.into(),
                "must not contain '..'",
            ));
        }
    }
}

fn resources(container: &Value, path: &str, causes: &mut Causes) {
    let amount = |kind: &str, name: &str| {
        at(container, &["resources", kind, name]).and_then(|v| Quantity::from_value(v).ok())
    };
    for kind in ["limits", "requests"] {
        for (name, value) in map_at(container, &["resources", kind])
            .into_iter()
            .flatten()
        {
            let path = format!("{path}.resources.{kind}[{name}]");
            match Quantity::from_value(value).ok() {
                None => {
                    let why = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
                    causes.push(Cause::invalid(path.clone(), value, why));
                }
                Some(amount) if amount < Quantity::ZERO => {
                    causes.push(Cause::invalid(
                        path.clone(),
                        value,
                        "must be greater than or equal to 0",
                    ));
                }
                Some(_) => {}
            }
            if kind == "requests"
                && let (Some(request), Some(limit)) =
                    (amount("requests", name), amount("limits", name))
                && request > limit
            {
                let shown = at(container, &["resources", "limits", name]).and_then(Value::as_str);
                let why = format!(
                    "must be less than or equal to {name} limit of {}",
                    shown.unwrap_or("")
                );
                causes.push(Cause::invalid(
                    path.replace(&format!("[{name}]"), ""),
                    value,
                    &why,
                ));
            }
        }
    }
}
