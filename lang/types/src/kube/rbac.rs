//! Roles and bindings.
//!
//! pkg/apis/rbac/validation/validation.go ValidatePolicyRule, ValidateRoleBinding, ValidateClusterRoleBinding,
//! ValidateRoleBindingSubject.

use ordain_lang_syntax::Diagnostic;

use super::{Judge, View};

const GROUP: &str = "rbac.authorization.k8s.io";

impl<V: View> Judge<'_, V> {
    pub(super) fn policy_rule(&mut self, node: V::Node) {
        let empty = |field: &str| {
            let (nodes, all) = self.elements(node, field);
            all && nodes.is_empty()
        };
        let (no_verbs, no_groups, no_resources, no_urls) = (
            empty("verbs"),
            empty("apiGroups"),
            empty("resources"),
            empty("nonResourceURLs"),
        );
        let at = self.span(node);
        let needs = |judge: &mut Self, what: &str, help: &str| {
            let diagnostic = Diagnostic::error("E0711", format!("a rule needs {what}"))
                .label(at, "this rule")
                .help(help);
            judge.say(diagnostic);
        };
        // Where they are not said at all, the schema says so.
        if no_verbs && self.slot(node, "verbs").is_set() {
            needs(
                self,
                "verbs",
                "add `verbs = [\"get\", \"list\", \"watch\"]`",
            );
        }
        if no_urls && no_resources {
            needs(self, "resources", "add `resources = [\"pods\"]`");
        } else if no_groups && no_urls {
            needs(
                self,
                "groups",
                "add `apiGroups = [\"\"]`; \"\" is the core group",
            );
        }
        self.either_list(
            node,
            "resources",
            "nonResourceURLs",
            "a rule is about resources or about URLs",
        );
        self.either_list(node, "apiGroups", "nonResourceURLs", "URLs have no groups");
    }

    fn either_list(&mut self, node: V::Node, one: &str, other: &str, why: &str) {
        let some = |field: &str| !self.elements(node, field).0.is_empty();
        if some(one) && some(other) {
            self.either(node, one, other, why);
        }
    }

    pub(super) fn role(&mut self, node: V::Node) {
        for rule in self.elements(node, "rules").0 {
            if let Some(urls) = self.get(rule, "nonResourceURLs")
                && self.view.count(urls).len > 0
            {
                let at = self.span(urls);
                self.say(
                    Diagnostic::error("E0710", "a Role has no rules about URLs")
                        .label(at, "URLs belong to no namespace")
                        .help("use a ClusterRole"),
                );
            }
        }
    }

    pub(super) fn role_binding(&mut self, node: V::Node) {
        self.role_ref(node, &["Role", "ClusterRole"]);
    }

    pub(super) fn cluster_role_binding(&mut self, node: V::Node) {
        self.role_ref(node, &["ClusterRole"]);
        // A RoleBinding has a namespace to mean; this has none.
        for subject in self.elements(node, "subjects").0 {
            let is_account = self
                .text_of(subject, "kind")
                .is_some_and(|kind| kind == "ServiceAccount");
            if is_account && self.slot(subject, "namespace").is_absent() {
                let at = self.span(subject);
                self.say(
                    Diagnostic::error("E0711", "a ServiceAccount as subject needs its `namespace`")
                        .label(at, "this subject")
                        .help("add `namespace = \"…\"`"),
                );
            }
        }
    }

    fn role_ref(&mut self, node: V::Node, kinds: &[&str]) {
        let Some(reference) = self.get(node, "roleRef") else {
            return;
        };
        self.only(reference, "kind", kinds);
        self.only(reference, "apiGroup", &[GROUP]);
    }

    /// A field that takes only some strings.
    fn only(&mut self, node: V::Node, field: &str, allowed: &[&str]) {
        let Some(value) = self.get(node, field) else {
            return;
        };
        let Some(text) = self.text(value) else { return };
        if allowed.contains(&&*text) {
            return;
        }
        let listed = allowed.join("\" or \"");
        let at = self.span(value);
        self.say(
            Diagnostic::error(
                "E0206",
                format!("`{field}`: \"{text}\" is not allowed here"),
            )
            .label(at, "not one of the allowed values")
            .help(format!("write \"{listed}\"")),
        );
    }

    pub(super) fn rbac_subject(&mut self, node: V::Node) {
        // Flow schemas have subjects of another form.
        if self.slot(node, "name").is_absent() {
            return;
        }
        self.only(node, "kind", &["ServiceAccount", "User", "Group"]);
        let Some(kind) = self.text_of(node, "kind") else {
            return;
        };
        if kind != "ServiceAccount" {
            self.only(node, "apiGroup", &[GROUP]);
            return;
        }
        self.only(node, "apiGroup", &[""]);
    }
}
