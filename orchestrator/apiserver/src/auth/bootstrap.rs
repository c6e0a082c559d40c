//! The roles and bindings of a new cluster, read from `roles.txt`.
//!
//! Objects come out as plain JSON; writing them, and only those that are missing, is the
//! business of [`crate::bootstrap`].

use serde_json::{Map, Value, json};

const TEXT: &str = include_str!("roles.txt");
const GROUP: &str = "rbac.authorization.k8s.io";

/// Returns the bootstrap ClusterRoles and ClusterRoleBindings.
pub(crate) fn roles() -> Vec<Value> {
    let mut objects: Vec<Value> = Vec::new();
    for line in TEXT.lines() {
        let line = line
            .split_once('#')
            .map_or(line, |(text, _)| text)
            .trim_end();
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            ["role", name, options @ ..] => objects.push(role(name, options)),
            ["bind", name, role, subjects @ ..] => objects.push(binding(name, role, subjects)),
            _ => {
                let rules = objects.last_mut().and_then(|o| o["rules"].as_array_mut());
                rules
                    .expect("roles.txt has a role before each rule")
                    .push(rule(line));
            }
        }
    }
    objects
}

fn metadata(name: &str) -> Value {
    json!({
        "name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    })
}

fn role(name: &str, options: &[&str]) -> Value {
    let mut object = json!({
        "apiVersion": format!("{GROUP}/v1"),
        "kind": "ClusterRole",
        "metadata": metadata(name),
        "rules": [],
    });
    for option in options {
        if let Some(to) = option.strip_prefix("aggregate-to=") {
            object["metadata"]["labels"][format!("rbac.authorization.k8s.io/aggregate-to-{to}")] =
                "true".into();
        } else {
            let label = format!("rbac.authorization.k8s.io/aggregate-to-{name}");
            let mut wanted = Map::new();
            wanted.insert(label, "true".into());
            object["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": wanted}]});
        }
    }
    object
}

fn rule(line: &str) -> Value {
    let mut parts = line.split('|').map(|part| {
        let words = part.split_whitespace().filter(|w| *w != "url");
        words
            .map(|w| if w == "core" { "" } else { w })
            .collect::<Vec<&str>>()
    });
    let mut next = || parts.next().unwrap_or_default();
    if line.trim_start().starts_with("url ") {
        json!({"verbs": next(), "nonResourceURLs": next()})
    } else {
        json!({"verbs": next(), "apiGroups": next(), "resources": next()})
    }
}

fn binding(name: &str, role: &str, subjects: &[&str]) -> Value {
    let subjects: Vec<Value> = subjects
        .iter()
        .map(|subject| {
            if let Some(user) = subject.strip_prefix("user:") {
                json!({"kind": "User", "apiGroup": GROUP, "name": user})
            } else if let Some((namespace, name)) =
                subject.strip_prefix("sa:").and_then(|s| s.split_once('/'))
            {
                json!({"kind": "ServiceAccount", "namespace": namespace, "name": name})
            } else {
                json!({"kind": "Group", "apiGroup": GROUP, "name": subject})
            }
        })
        .collect();
    json!({
        "apiVersion": format!("{GROUP}/v1"),
        "kind": "ClusterRoleBinding",
        "metadata": metadata(name),
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
        "subjects": subjects,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{
        rbac::{Attributes, Rbac},
        user::User,
    };

    #[track_caller]
    fn check(user: &User, verb: &str, group: &str, resource: &str, allowed: bool) {
        let objects = roles();
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let wanted = Attributes {
            verb: verb.into(),
            group: group.into(),
            resource: resource.into(),
            subresource: subresource.into(),
            namespace: "default".into(),
            ..Attributes::default()
        };
        let found = Rbac::build(objects.iter()).allows(user, &wanted);
        assert_eq!(
            found.is_some(),
            allowed,
            "{} {verb} {group} {resource}",
            user.name
        );
    }

    #[test]
    fn the_bootstrap_roles_say_what_upstream_says() {
        check(&User::node("n"), "patch", "", "pods/status", true);
        check(
            &User::node("n"),
            "create",
            "coordination.k8s.io",
            "leases",
            true,
        );
        check(&User::node("n"), "delete", "apps", "deployments", false);
        let scheduler = User::new("system:kube-scheduler", &[]);
        check(&scheduler, "create", "", "pods/binding", true);
        check(&scheduler, "create", "", "pods", false);
        let nobody = User::new("nobody", &[]);
        check(
            &nobody,
            "create",
            "authorization.k8s.io",
            "selfsubjectaccessreviews",
            true,
        );
        check(&nobody, "get", "", "pods", false);
    }

    #[test]
    fn admin_edit_and_view_build_on_each_other() {
        let mut objects = roles();
        for role in ["admin", "edit", "view"] {
            objects.push(binding(
                &format!("test-{role}"),
                role,
                &[&format!("user:{role}")],
            ));
        }
        let index = Rbac::build(objects.iter());
        let may = |user: &str, verb: &str, group: &str, resource: &str| {
            let wanted = Attributes {
                verb: verb.into(),
                group: group.into(),
                resource: resource.into(),
                ..Attributes::default()
            };
            index.allows(&User::new(user, &[]), &wanted).is_some()
        };
        assert!(may("view", "get", "", "pods") && !may("view", "get", "", "secrets"));
        assert!(may("edit", "get", "", "pods") && may("edit", "delete", "apps", "deployments"));
        assert!(!may("edit", "create", GROUP, "rolebindings"));
        assert!(may("admin", "create", GROUP, "rolebindings") && may("admin", "get", "", "pods"));
    }
}
