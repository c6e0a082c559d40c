//! Roles and bindings. Whether somebody may hand out these rights is decided in admission.

use serde_json::Value;

use super::{NameRule, Strategy};
use crate::{
    json::{as_map, default_str, each_map, entry_map, list_at, str_at},
    status::{Cause, FieldError},
};

pub(crate) struct Role;
pub(crate) struct RoleBinding;

const GROUP: &str = "rbac.authorization.k8s.io";

impl Strategy for Role {
    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        let cluster = str_at(object, &["kind"]) == "ClusterRole";
        for (index, rule) in list_at(object, &["rules"]).iter().enumerate() {
            let path = format!("rules[{index}]");
            if list_at(rule, &["verbs"]).is_empty() {
                causes.push(Cause::required(
                    format!("{path}.verbs"),
                    "verbs must contain at least one value",
                ));
            }
            if !list_at(rule, &["nonResourceURLs"]).is_empty() {
                if !cluster {
                    let why = "namespaced rules cannot apply to non-resource URLs";
                    causes.push(Cause::invalid(
                        format!("{path}.nonResourceURLs"),
                        &rule["nonResourceURLs"],
                        why,
                    ));
                }
                continue;
            }
            if list_at(rule, &["apiGroups"]).is_empty() {
                let why = "resource rules must supply at least one api group";
                causes.push(Cause::required(format!("{path}.apiGroups"), why));
            }
            if list_at(rule, &["resources"]).is_empty() {
                let why = "resource rules must supply at least one resource";
                causes.push(Cause::required(format!("{path}.resources"), why));
            }
        }
    }

    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }

    fn create_on_update(&self) -> bool {
        true
    }
}

impl Strategy for RoleBinding {
    fn default(&self, object: &mut Value) {
        let object = as_map(object);
        default_str(entry_map(object, "roleRef"), "apiGroup", GROUP);
        each_map(object, "subjects", |subject| {
            if matches!(
                subject.get("kind").and_then(Value::as_str),
                Some("User" | "Group")
            ) {
                default_str(subject, "apiGroup", GROUP);
            }
        });
    }

    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        let kind = str_at(object, &["roleRef", "kind"]);
        let allowed: &[&str] = match str_at(object, &["kind"]) {
            "RoleBinding" => &["Role", "ClusterRole"],
            _ => &["ClusterRole"],
        };
        if !allowed.contains(&kind) {
            causes.push(Cause::unsupported("roleRef.kind", &kind.into(), allowed));
        }
        if str_at(object, &["roleRef", "name"]).is_empty() {
            causes.push(Cause::required("roleRef.name", ""));
        }
        for (index, subject) in list_at(object, &["subjects"]).iter().enumerate() {
            let path = format!("subjects[{index}]");
            if str_at(subject, &["name"]).is_empty() {
                causes.push(Cause::required(format!("{path}.name"), ""));
            }
            match str_at(subject, &["kind"]) {
                "User" | "Group" => {}
                "ServiceAccount" => {
                    let namespace = str_at(subject, &["namespace"]);
                    if namespace.is_empty() && str_at(object, &["kind"]) == "ClusterRoleBinding" {
                        causes.push(Cause::required(format!("{path}.namespace"), ""));
                    }
                }
                other => {
                    let allowed = &["Group", "ServiceAccount", "User"];
                    causes.push(Cause::unsupported(
                        format!("{path}.kind"),
                        &other.into(),
                        allowed,
                    ));
                }
            }
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, causes: &mut Vec<FieldError>) {
        if new["roleRef"] != old["roleRef"] {
            causes.push(Cause::invalid(
                "roleRef",
                &new["roleRef"],
                "cannot change roleRef",
            ));
        }
    }

    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }

    fn create_on_update(&self) -> bool {
        true
    }
}
