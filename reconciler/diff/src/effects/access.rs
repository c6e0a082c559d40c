//! Whether somebody may do more than before (RBAC).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{EffectKind, Level, Verb};

use super::{Changed, Found, list, names, text};

const RBAC: &str = "rbac.authorization.k8s.io";

pub(super) fn look(changed: &Changed<'_>, found: &mut Found) {
    if changed.key.group != RBAC || changed.verb == Verb::Delete {
        return;
    }
    let Some(new) = changed.new else {
        return;
    };
    match changed.key.kind.as_str() {
        "Role" | "ClusterRole" => role(changed, new, found),
        "RoleBinding" | "ClusterRoleBinding" => binding(changed, new, found),
        _ => {}
    }
}

/// One permission: a verb on a resource or on a URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Grant {
    verb: String,
    group: String,
    resource: String,
    /// Empty for every name.
    name: String,
}

fn grants(role: &Value) -> BTreeSet<Grant> {
    let mut all = BTreeSet::new();
    for rule in list(role, "/rules") {
        let texts = |part: &str| -> Vec<String> {
            let texts = list(rule, &format!("/{part}")).iter();
            texts.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let mut resource_names = texts("resourceNames");
        if resource_names.is_empty() {
            resource_names.push(String::new());
        }
        for verb in texts("verbs") {
            for group in texts("apiGroups") {
                for resource in texts("resources") {
                    for name in &resource_names {
                        all.insert(Grant {
                            verb: verb.clone(),
                            group: group.clone(),
                            resource: resource.clone(),
                            name: name.clone(),
                        });
                    }
                }
            }
            for url in texts("nonResourceURLs") {
                all.insert(Grant {
                    verb: verb.clone(),
                    group: "URL".to_owned(),
                    resource: url,
                    name: String::new(),
                });
            }
        }
    }
    all
}

impl Grant {
    /// True when `self` allows everything that `other` does.
    fn covers(&self, other: &Self) -> bool {
        let is = |own: &str, other: &str| own == "*" || own == other;
        let resource = is(&self.resource, &other.resource)
            || (self.group == "URL"
                && self
                    .resource
                    .strip_suffix('*')
                    .is_some_and(|front| other.resource.starts_with(front)));
        let group = match (self.group.as_str(), other.group.as_str()) {
            ("URL", group) | (group, "URL") => group == "URL",
            (own, other) => is(own, other),
        };
        is(&self.verb, &other.verb)
            && group
            && resource
            && (self.name.is_empty() || self.name == other.name)
    }

    fn is_wide(&self) -> bool {
        self.verb == "*" || self.resource == "*" || self.group == "*"
    }

    fn shown(&self) -> String {
        let name = match self.name.as_str() {
            "" => String::new(),
            name => format!(" `{name}`"),
        };
        match self.group.as_str() {
            "" | "URL" => format!("{} {}{name}", self.verb, self.resource),
            group => format!("{} {}.{group}{name}", self.verb, self.resource),
        }
    }
}

fn role(changed: &Changed<'_>, new: &Value, found: &mut Found) {
    let before = changed.old.map(grants).unwrap_or_default();
    let more: Vec<Grant> = grants(new)
        .into_iter()
        .filter(|grant| !before.iter().any(|known| known.covers(grant)))
        .collect();
    // A new role allows nobody anything until it is bound; a wildcard is worth a word all the same.
    if more.is_empty() || (changed.old.is_none() && !more.iter().any(Grant::is_wide)) {
        return;
    }
    let level = match more.iter().any(Grant::is_wide) {
        true => Level::Danger,
        false => Level::Warning,
    };
    let shown: Vec<String> = more.iter().map(Grant::shown).collect();
    let path = changed.field("rules").map(|field| field.path.as_str());
    found.at(
        EffectKind::WidensAccess,
        level,
        format!("it now allows {}", names(&shown)),
        path,
    );
}

fn binding(changed: &Changed<'_>, new: &Value, found: &mut Found) {
    let subjects = |binding: &Value| -> BTreeSet<String> {
        let all = list(binding, "/subjects").iter();
        all.map(|subject| {
            let space = match text(subject, "/namespace") {
                "" => String::new(),
                space => format!("{space}/"),
            };
            format!(
                "{} `{space}{}`",
                text(subject, "/kind"),
                text(subject, "/name")
            )
        })
        .collect()
    };
    let role = format!(
        "{} `{}`",
        text(new, "/roleRef/kind"),
        text(new, "/roleRef/name")
    );
    let before = match changed.old {
        Some(old) if old.get("roleRef") == new.get("roleRef") => subjects(old),
        _ => BTreeSet::new(),
    };
    let more: Vec<String> = subjects(new).difference(&before).cloned().collect();
    if more.is_empty() {
        return;
    }
    // The role that may do everything, and the groups of everybody.
    let is_wide = text(new, "/roleRef/name") == "cluster-admin"
        || more.iter().any(|subject| {
            [
                "`system:authenticated`",
                "`system:unauthenticated`",
                "`system:anonymous`",
            ]
            .iter()
            .any(|everybody| subject.ends_with(everybody))
        });
    let level = match is_wide {
        true => Level::Danger,
        false => Level::Warning,
    };
    let place = match (&changed.key.namespace, changed.key.kind.as_str()) {
        (_, "ClusterRoleBinding") => " in the whole cluster".to_owned(),
        (Some(namespace), _) => format!(" in `{namespace}`"),
        (None, _) => String::new(),
    };
    let path = changed.field("subjects").map(|field| field.path.as_str());
    found.at(
        EffectKind::WidensAccess,
        level,
        format!("{} gets {role}{place}", names(&more)),
        path,
    );
}
