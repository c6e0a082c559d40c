//! What rules a cluster's use: quotas, limit ranges, priorities, admission.
//!
//! pkg/apis/core/validation/validation.go ValidateResourceQuotaSpec, validateResourceQuotaScopes, ValidateLimitRange;
//! pkg/apis/scheduling/validation ValidatePriorityClass; pkg/apis/admissionregistration/validation validateRule,
//! validateValidatingAdmissionPolicySpec.

use std::collections::HashMap;

use ordain_lang_syntax::{Diagnostic, Span};

use super::{Judge, View};
use crate::literal::quantity_nanos;
use crate::suggest::nearest;

/// Resources of a quota without a prefix of their own (IsStandardQuotaResourceName).
const QUOTA: [&str; 20] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
    "storage",
];
/// Resources that are counted (IsIntegerResourceName).
const COUNTED: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
];
/// Scopes of which a quota has one at most.
const EITHER_SCOPE: [(&str, &str); 2] = [
    ("BestEffort", "NotBestEffort"),
    ("Terminating", "NotTerminating"),
];
/// Highest priority that users give (HighestUserDefinablePriority).
const PRIORITY_MAX: i64 = 1_000_000_000;
/// Classes of the system itself.
const SYSTEM_CLASSES: [&str; 2] = ["system-node-critical", "system-cluster-critical"];
/// One of a quantity in the unit of [`quantity_nanos`].
const ONE: i128 = 1_000_000_000;

impl<V: View> Judge<'_, V> {
    fn nanos(&self, node: V::Node) -> Option<i128> {
        self.text(node).as_deref().and_then(quantity_nanos)
    }

    pub(super) fn quota(&mut self, node: V::Node) {
        if let Some(hard) = self.get(node, "hard") {
            for part in self.parts(hard).0 {
                let name = &*part.key;
                let is_known = QUOTA.contains(&name)
                    || name.contains('/')
                    || ["hugepages-", "requests.hugepages-", "limits.hugepages-"]
                        .iter()
                        .any(|start| name.starts_with(start));
                if !is_known {
                    let diagnostic =
                        Diagnostic::error("E0708", format!("a quota knows no resource `{name}`"))
                            .label(part.key_span, "not known");
                    self.say(match nearest(name, QUOTA) {
                        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                        None => diagnostic.help("write `count/RESOURCE.GROUP` to count others"),
                    });
                }
                let Some(amount) = self.nanos(part.node) else {
                    continue;
                };
                let at = self.span(part.node);
                let counted = COUNTED.contains(&name) || name.starts_with("count/");
                if amount < 0 || (counted && amount % ONE != 0) {
                    let what = match amount < 0 {
                        true => "is negative",
                        false => "is no whole number",
                    };
                    self.say(
                        Diagnostic::error("E0203", format!("`hard.{name}` {what}"))
                            .label(at, "cannot be counted")
                            .help("use 0 or more"),
                    );
                }
            }
        }
        let scopes = self.elements(node, "scopes").0;
        let find = |wanted: &str| {
            scopes
                .iter()
                .copied()
                .find(|scope| self.text(*scope).is_some_and(|text| text == wanted))
        };
        let mut both = Vec::new();
        for (one, other) in EITHER_SCOPE {
            if let (Some(first), Some(second)) = (find(one), find(other)) {
                both.push((first, second));
            }
        }
        for (first, second) in both {
            let (first, second) = (self.span(first), self.span(second));
            self.say(
                Diagnostic::error("E0710", "no pod is in both scopes")
                    .label(second, "and in this one")
                    .label(first, "in this one"),
            );
        }
    }

    pub(super) fn limit_ranges(&mut self, node: V::Node) {
        let mut types: HashMap<String, Span> = HashMap::new();
        for limit in self.elements(node, "limits").0 {
            let Some(kind) = self.get(limit, "type") else {
                continue;
            };
            let Some(text) = self.text(kind) else {
                continue;
            };
            let at = self.span(kind);
            if let Some(first) = types.insert(text.to_string(), at) {
                self.twice("type", &text, at, first);
            }
        }
    }

    pub(super) fn limit_range(&mut self, node: V::Node) {
        let kind = self.get(node, "type");
        let text = kind.and_then(|kind| self.text(kind));
        let known = ["Pod", "Container", "PersistentVolumeClaim"];
        if let (Some(kind), Some(text)) = (kind, text.as_deref())
            && !text.contains('/')
            && !known.contains(&text)
        {
            let at = self.span(kind);
            self.say(
                Diagnostic::error(
                    "E0206",
                    format!("nothing of the type \"{text}\" has limits"),
                )
                .label(at, "not one of the allowed values")
                .help(format!("write \"{}\"", known.join("\" or \""))),
            );
        }
        if text.as_deref() == Some("Pod") {
            for field in ["default", "defaultRequest"] {
                if let Some(value) = self.get(node, field) {
                    let at = self.span(value);
                    self.say(
                        Diagnostic::error("E0710", format!("a pod as a whole has no `{field}`"))
                            .label(at, "of containers only")
                            .help("set it for the type `Container`"),
                    );
                }
            }
        }
        if text.as_deref() == Some("PersistentVolumeClaim") {
            let sized = ["min", "max"]
                .iter()
                .any(|field| !self.at(node, &[field, "storage"]).is_absent());
            if !sized {
                let at = self.span(node);
                self.say(
                    Diagnostic::error(
                        "E0711",
                        "limits of claims need `min.storage` or `max.storage`",
                    )
                    .label(at, "without either"),
                );
            }
        }
        // From small to large, as validation compares them.
        let order = ["min", "defaultRequest", "default", "max"];
        for (at, low) in order.iter().enumerate() {
            for high in &order[at + 1..] {
                self.not_above(node, low, high);
            }
        }
    }

    fn not_above(&mut self, node: V::Node, low: &str, high: &str) {
        let (Some(lows), Some(highs)) = (self.get(node, low), self.get(node, high)) else {
            return;
        };
        for part in self.parts(lows).0 {
            let Some(most) = self.get(highs, &part.key) else {
                continue;
            };
            let (Some(less), Some(more)) = (self.nanos(part.node), self.nanos(most)) else {
                continue;
            };
            if less > more {
                let (at, most) = (self.span(part.node), self.span(most));
                self.say(
                    Diagnostic::error(
                        "E0701",
                        format!("`{low}.{}` is more than `{high}.{0}`", part.key),
                    )
                    .label(at, format!("`{low}`"))
                    .label(most, format!("`{high}`")),
                );
            }
        }
    }

    pub(super) fn priority_class(&mut self, node: V::Node) {
        let name = self.at(node, &["metadata", "name"]).known();
        let text = name.and_then(|name| self.text(name));
        let of_system = text
            .as_deref()
            .is_some_and(|text| SYSTEM_CLASSES.contains(&text));
        if let (Some(name), Some(text)) = (name, text.as_deref())
            && text.starts_with("system-")
            && !of_system
        {
            let at = self.span(name);
            self.say(
                Diagnostic::error("E0205", "names with `system-` are the system's own")
                    .label(at, "kept back")
                    .help("choose another name"),
            );
        }
        if let Some(value) = self.get(node, "value")
            && text.is_some()
            && !of_system
            && self.view.int(value).is_some_and(|n| n > PRIORITY_MAX)
        {
            let at = self.span(value);
            self.say(
                Diagnostic::error("E0203", format!("priorities go up to {PRIORITY_MAX}"))
                    .label(at, "the system's own")
                    .help(format!("use {PRIORITY_MAX} or less")),
            );
        }
    }

    /// `*` stands for all, so that nothing stands beside it.
    pub(super) fn admission_rule(&mut self, node: V::Node) {
        for field in ["operations", "apiGroups", "apiVersions"] {
            let values = self.elements(node, field).0;
            if values.len() < 2 {
                continue;
            }
            let all = values
                .into_iter()
                .find(|value| self.text(*value).is_some_and(|text| text == "*"));
            if let Some(all) = all {
                let at = self.span(all);
                self.say(
                    Diagnostic::error("E0710", format!("`*` in `{field}` stands alone"))
                        .label(at, "beside another")
                        .help("remove the others"),
                );
            }
        }
    }

    pub(super) fn admission_policy(&mut self, node: V::Node) {
        let empty = |field: &str| {
            let (nodes, all) = self.elements(node, field);
            all && nodes.is_empty()
        };
        if empty("validations") && empty("auditAnnotations") {
            let at = self.span(node);
            self.say(
                Diagnostic::error(
                    "E0711",
                    "a policy needs `validations` or `auditAnnotations`",
                )
                .label(at, "neither is set"),
            );
        }
    }
}
