//! Role-based access control: a pure decision over the roles and bindings of a moment.
//!
//! The rules are those of `plugin/pkg/auth/authorizer/rbac/rbac.go`. Roles with an aggregation rule
//! are the union of the roles they select, worked out when the index is built, so that a new role
//! counts at once. This file does not know where roles are stored.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::user::{MASTERS, User};
use crate::json::{list_at, map_at, str_at};

/// What somebody wants to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) verb: String,
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// The path of a request that is about no resource.
    pub(crate) path: String,
}

/// One rule of a role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) verbs: Vec<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) names: Vec<String>,
    pub(crate) urls: Vec<String>,
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|v| v == "*" || v == wanted)
}

impl Rule {
    pub(crate) fn from_json(rule: &Value) -> Rule {
        let strings = |field| {
            list_at(rule, &[field])
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        Rule {
            verbs: strings("verbs"),
            groups: strings("apiGroups"),
            resources: strings("resources"),
            names: strings("resourceNames"),
            urls: strings("nonResourceURLs"),
        }
    }

    /// Returns the rule as the rules review shows it.
    pub(crate) fn to_json(&self) -> Value {
        let mut rule = json!({"verbs": self.verbs});
        let fields = [
            ("apiGroups", &self.groups),
            ("resources", &self.resources),
            ("resourceNames", &self.names),
        ];
        for (field, list) in fields {
            if !list.is_empty() {
                rule[field] = list.clone().into();
            }
        }
        if !self.urls.is_empty() {
            rule["nonResourceURLs"] = self.urls.clone().into();
        }
        rule
    }

    fn allows(&self, wanted: &Attributes) -> bool {
        if !has(&self.verbs, &wanted.verb) {
            return false;
        }
        if !wanted.path.is_empty() {
            return self.urls.iter().any(|url| match url.strip_suffix('*') {
                Some(prefix) => wanted.path.starts_with(prefix),
                None => *url == wanted.path,
            });
        }
        let resource = |r: &String| match r.split_once('/') {
            _ if r == "*" => true,
            None => wanted.subresource.is_empty() && *r == wanted.resource,
            Some((left, right)) => {
                right == wanted.subresource && (left == "*" || left == wanted.resource)
            }
        };
        has(&self.groups, &wanted.group)
            && self.resources.iter().any(resource)
            && (self.names.is_empty() || self.names.contains(&wanted.name))
    }

    /// Tells whether every request that `other` allows is allowed by one of `rules`.
    fn covered(other: &Rule, rules: &[Rule]) -> bool {
        let each = |list: &[String]| {
            if list.is_empty() {
                vec![String::new()]
            } else {
                list.to_vec()
            }
        };
        for verb in &other.verbs {
            for url in &other.urls {
                let covers = |r: &Rule| {
                    has(&r.verbs, verb)
                        && r.urls.iter().any(|u| match u.strip_suffix('*') {
                            Some(prefix) => url.starts_with(prefix),
                            None => u == url,
                        })
                };
                if !rules.iter().any(covers) {
                    return false;
                }
            }
            for group in &other.groups {
                for resource in &other.resources {
                    for name in each(&other.names) {
                        let covers = |r: &Rule| {
                            let sub = resource.split_once('/').map(|(_, s)| format!("*/{s}"));
                            has(&r.verbs, verb)
                                && has(&r.groups, group)
                                && (has(&r.resources, resource)
                                    || sub.is_some_and(|s| r.resources.contains(&s)))
                                && (r.names.is_empty()
                                    || (!name.is_empty() && r.names.contains(&name)))
                        };
                        if !rules.iter().any(covers) {
                            return false;
                        }
                    }
                }
            }
        }
        true
    }
}

#[derive(Clone, Debug)]
struct Binding {
    name: String,
    /// Empty for a cluster role binding.
    namespace: String,
    cluster_role: bool,
    role: String,
    users: Vec<String>,
    groups: Vec<String>,
    accounts: Vec<(String, String)>,
}

impl Binding {
    fn is_for(&self, user: &User) -> bool {
        self.users.iter().any(|u| *u == user.name || u == "*")
            || self.groups.iter().any(|g| user.in_group(g))
            || user.as_service_account().is_some_and(|(namespace, name)| {
                self.accounts
                    .iter()
                    .any(|(ns, n)| ns == namespace && n == name)
            })
    }
}

/// The roles and bindings of a moment, ready for decisions.
#[derive(Debug, Default)]
pub(crate) struct Rbac {
    cluster_roles: HashMap<String, Vec<Rule>>,
    roles: HashMap<(String, String), Vec<Rule>>,
    bindings: Vec<Binding>,
}

impl Rbac {
    /// Builds the index from objects of the four RBAC kinds; others are passed over.
    pub(crate) fn build<'a>(objects: impl Iterator<Item = &'a Value> + Clone) -> Rbac {
        let mut index = Rbac::default();
        let rules = |o: &Value| {
            list_at(o, &["rules"])
                .iter()
                .map(Rule::from_json)
                .collect::<Vec<_>>()
        };
        for object in objects.clone() {
            let name = str_at(object, &["metadata", "name"]).to_owned();
            let namespace = str_at(object, &["metadata", "namespace"]).to_owned();
            match str_at(object, &["kind"]) {
                "ClusterRole" => {
                    index.cluster_roles.insert(name, rules(object));
                }
                "Role" => {
                    index.roles.insert((namespace, name), rules(object));
                }
                "ClusterRoleBinding" | "RoleBinding" => {
                    let mut binding = Binding {
                        name,
                        namespace: namespace.clone(),
                        cluster_role: str_at(object, &["roleRef", "kind"]) == "ClusterRole",
                        role: str_at(object, &["roleRef", "name"]).to_owned(),
                        users: Vec::new(),
                        groups: Vec::new(),
                        accounts: Vec::new(),
                    };
                    for subject in list_at(object, &["subjects"]) {
                        let name = str_at(subject, &["name"]).to_owned();
                        match str_at(subject, &["kind"]) {
                            "User" => binding.users.push(name),
                            "Group" => binding.groups.push(name),
                            "ServiceAccount" => {
                                let at = str_at(subject, &["namespace"]);
                                let at = if at.is_empty() { &namespace } else { at };
                                binding.accounts.push((at.to_owned(), name));
                            }
                            _ => {}
                        }
                    }
                    index.bindings.push(binding);
                }
                _ => {}
            }
        }
        index.aggregate(objects);
        index
    }

    /// Adds to each aggregated role the rules of the roles it selects, three times, since `admin`
    /// selects `edit`, which selects `view`, which are aggregated themselves.
    fn aggregate<'a>(&mut self, objects: impl Iterator<Item = &'a Value> + Clone) {
        let is_role = |o: &&Value| str_at(o, &["kind"]) == "ClusterRole";
        for _ in 0..3 {
            for role in objects.clone().filter(is_role) {
                let mut extra = Vec::new();
                for selector in list_at(role, &["aggregationRule", "clusterRoleSelectors"]) {
                    let Some(wanted) = map_at(selector, &["matchLabels"]) else {
                        continue;
                    };
                    let selected = |o: &&Value| {
                        let labels = map_at(o, &["metadata", "labels"]);
                        !wanted.is_empty()
                            && labels
                                .is_some_and(|l| wanted.iter().all(|(k, v)| l.get(k) == Some(v)))
                    };
                    for other in objects.clone().filter(is_role).filter(selected) {
                        let rules = self.cluster_roles.get(str_at(other, &["metadata", "name"]));
                        extra.extend(rules.into_iter().flatten().cloned());
                    }
                }
                if let Some(rules) = self
                    .cluster_roles
                    .get_mut(str_at(role, &["metadata", "name"]))
                {
                    for rule in extra {
                        if !rules.contains(&rule) {
                            rules.push(rule);
                        }
                    }
                }
            }
        }
    }

    /// Returns why the request is allowed, or `None` when no rule allows it.
    pub(crate) fn allows(&self, user: &User, wanted: &Attributes) -> Option<String> {
        if user.in_group(MASTERS) {
            return Some(String::new());
        }
        for (binding, rules) in self.rules_with_bindings(user, &wanted.namespace) {
            if rules.iter().any(|rule| rule.allows(wanted)) {
                let kind = if binding.namespace.is_empty() {
                    "ClusterRoleBinding"
                } else {
                    "RoleBinding"
                };
                let role = if binding.cluster_role {
                    "ClusterRole"
                } else {
                    "Role"
                };
                return Some(format!(
                    "RBAC: allowed by {kind} {:?} of {role} {:?} to {}",
                    binding.name, binding.role, user.name
                ));
            }
        }
        None
    }

    fn rules_with_bindings<'a>(
        &'a self,
        user: &'a User,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Binding, &'a [Rule])> {
        self.bindings
            .iter()
            .filter(move |b| b.namespace.is_empty() || b.namespace == namespace)
            .filter(move |b| b.is_for(user))
            .filter_map(|b| Some((b, self.role_rules(b.cluster_role, &b.namespace, &b.role)?)))
    }

    /// Returns the rules of a role.
    pub(crate) fn role_rules(&self, cluster: bool, namespace: &str, name: &str) -> Option<&[Rule]> {
        if cluster {
            self.cluster_roles.get(name).map(Vec::as_slice)
        } else {
            self.roles
                .get(&(namespace.to_owned(), name.to_owned()))
                .map(Vec::as_slice)
        }
    }

    /// Returns every rule that applies to a user in a namespace.
    pub(crate) fn rules_for(&self, user: &User, namespace: &str) -> Vec<Rule> {
        let mut rules: Vec<Rule> = Vec::new();
        if user.in_group(MASTERS) {
            let all = || vec!["*".to_owned()];
            rules.push(Rule {
                verbs: all(),
                groups: all(),
                resources: all(),
                ..Rule::default()
            });
            rules.push(Rule {
                verbs: all(),
                urls: all(),
                ..Rule::default()
            });
        }
        for (_, more) in self.rules_with_bindings(user, namespace) {
            for rule in more {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
        rules
    }

    /// Tells whether a user already has all the rights in `rules`, so that handing them out is no
    /// escalation.
    pub(crate) fn has_all(&self, user: &User, namespace: &str, rules: &[Rule]) -> bool {
        let own = self.rules_for(user, namespace);
        rules.iter().all(|rule| Rule::covered(rule, &own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Rbac {
        let objects = [
            json!({"kind": "ClusterRole", "metadata": {"name": "view", "labels": {"to": "edit"}},
                "rules": [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "pods/log"]}]}),
            json!({"kind": "ClusterRole", "metadata": {"name": "edit"}, "rules": [],
                "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to": "edit"}}]}}),
            json!({"kind": "ClusterRole", "metadata": {"name": "probe"},
                "rules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/openapi/*"]}]}),
            json!({"kind": "Role", "metadata": {"name": "one", "namespace": "a"},
                "rules": [{"verbs": ["*"], "apiGroups": ["apps"], "resources": ["*/scale"], "resourceNames": ["web"]}]}),
            json!({"kind": "RoleBinding", "metadata": {"name": "b1", "namespace": "a"},
                "roleRef": {"kind": "ClusterRole", "name": "edit"}, "subjects": [{"kind": "User", "name": "ann"}]}),
            json!({"kind": "RoleBinding", "metadata": {"name": "b2", "namespace": "a"},
                "roleRef": {"kind": "Role", "name": "one"},
                "subjects": [{"kind": "ServiceAccount", "name": "bot", "namespace": "b"}]}),
            json!({"kind": "ClusterRoleBinding", "metadata": {"name": "b3"},
                "roleRef": {"kind": "ClusterRole", "name": "probe"},
                "subjects": [{"kind": "Group", "name": "system:unauthenticated"}]}),
        ];
        Rbac::build(objects.iter())
    }

    #[track_caller]
    fn check(user: &User, wanted: &str, allowed: bool) {
        let words: Vec<&str> = wanted.split(' ').collect();
        let wanted = match words.as_slice() {
            [verb, path] => Attributes {
                verb: (*verb).into(),
                path: (*path).into(),
                ..Attributes::default()
            },
            [verb, namespace, group, resource, name] => {
                let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                Attributes {
                    verb: (*verb).into(),
                    namespace: (*namespace).into(),
                    group: (*group).into(),
                    resource: resource.into(),
                    subresource: subresource.into(),
                    name: (*name).into(),
                    ..Attributes::default()
                }
            }
            _ => panic!("two or five words: {wanted}"),
        };
        assert_eq!(
            index().allows(user, &wanted).is_some(),
            allowed,
            "{wanted:?}"
        );
    }

    #[test]
    fn bindings_decide() {
        let ann = User::new("ann", &[]);
        check(&ann, "get a  pods x", true);
        check(&ann, "get a  pods/log x", true);
        check(&ann, "get a  pods/exec x", false);
        check(&ann, "get b  pods x", false);
        check(&ann, "delete a  pods x", false);
        let bot = User::service_account("b", "bot");
        check(&bot, "patch a apps deployments/scale web", true);
        check(&bot, "patch a apps deployments/scale api", false);
        check(&bot, "patch a apps deployments web", false);
        check(&User::anonymous(), "get /healthz", true);
        check(&User::anonymous(), "get /openapi/v3/api", true);
        check(&User::anonymous(), "get /metrics", false);
        check(&User::admin(), "delete kube-system  secrets x", true);
    }

    #[test]
    fn rights_one_has_may_be_handed_on() {
        let rule = |verbs: &[&str], resource: &str| Rule {
            verbs: verbs.iter().map(|v| (*v).to_owned()).collect(),
            groups: vec![String::new()],
            resources: vec![resource.to_owned()],
            ..Rule::default()
        };
        let ann = User::new("ann", &[]);
        assert!(index().has_all(&ann, "a", &[rule(&["get", "list"], "pods")]));
        assert!(!index().has_all(&ann, "a", &[rule(&["get", "delete"], "pods")]));
        assert!(!index().has_all(&ann, "b", &[rule(&["get"], "pods")]));
        assert!(index().has_all(&User::admin(), "", &[rule(&["*"], "*")]));
    }
}
