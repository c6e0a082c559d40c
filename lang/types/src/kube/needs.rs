//! Fields that the schema leaves open and the API server does not, and what some strings in pods must be.
//!
//! pkg/apis/core/validation/validation.go validateConfigMapVolumeSource, validateConfigMapKeySelector,
//! validateExecAction, validateObjectFieldSelector, validateContainerResourceFieldSelector, validateSeccompProfileField;
//! pkg/apis/autoscaling/validation validateMetricTarget.

use ordain_lang_syntax::Diagnostic;

use super::{Judge, Slot, View};
use crate::suggest::nearest;

/// Records and a field that each needs.
static NEEDS: &[(&str, &str)] = &[
    ("ConfigMapVolumeSource", "name"),
    ("SecretVolumeSource", "secretName"),
    ("ConfigMapProjection", "name"),
    ("SecretProjection", "name"),
    ("ConfigMapKeySelector", "name"),
    ("SecretKeySelector", "name"),
    ("ConfigMapEnvSource", "name"),
    ("SecretEnvSource", "name"),
    ("ExecAction", "command"),
    ("LocalObjectReference", "name"),
    ("HostAlias", "ip"),
    ("PodDNSConfigOption", "name"),
    ("EphemeralVolumeSource", "volumeClaimTemplate"),
];

/// The field that a record needs beside those of its schema.
pub(super) fn of(record: &str) -> Option<&'static str> {
    NEEDS
        .iter()
        .find(|(name, _)| *name == record)
        .map(|(_, field)| *field)
}

/// Fields of a pod that a variable can take its value from.
const POD_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

impl<V: View> Judge<'_, V> {
    pub(super) fn needs(&mut self, node: V::Node, field: &str) {
        let is_missing = match self.slot(node, field) {
            Slot::Absent => true,
            Slot::Unknown => false,
            Slot::Is(value) => {
                let count = self.view.count(value);
                self.text(value).is_some_and(|text| text.is_empty())
                    || (count.all && count.len == 0 && self.text(value).is_none())
            }
        };
        if is_missing {
            let at = self.span(node);
            self.say(
                Diagnostic::error("E0711", format!("`{field}` is needed here"))
                    .label(at, format!("without `{field}`"))
                    .help(format!("add `{field} = …`")),
            );
        }
    }

    pub(super) fn field_selector(&mut self, node: V::Node) {
        let Some(path) = self.get(node, "fieldPath") else {
            return;
        };
        let Some(text) = self.text(path) else { return };
        let keyed = ["metadata.labels", "metadata.annotations"];
        let has_key = |field: &str| {
            let rest = text.strip_prefix(field);
            rest.is_some_and(|rest| {
                rest.is_empty() || (rest.starts_with("['") && rest.ends_with("']"))
            })
        };
        if POD_FIELDS.contains(&&*text) || keyed.iter().any(|field| has_key(field)) {
            return;
        }
        let at = self.span(path);
        let diagnostic = Diagnostic::error(
            "E0205",
            format!("\"{text}\" is no field that a pod hands on"),
        )
        .label(at, "no such field");
        self.say(match nearest(&text, POD_FIELDS) {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None => diagnostic.help(format!(
                "write one of {}, or metadata.labels['KEY']",
                POD_FIELDS.join(", ")
            )),
        });
    }

    pub(super) fn resource_selector(&mut self, node: V::Node) {
        self.divisor(node);
        let Some(resource) = self.get(node, "resource") else {
            return;
        };
        let Some(text) = self.text(resource) else {
            return;
        };
        let is_known = text
            .strip_prefix("limits.")
            .or_else(|| text.strip_prefix("requests."))
            .is_some_and(|name| {
                matches!(name, "cpu" | "memory" | "ephemeral-storage")
                    || name.starts_with("hugepages-")
            });
        if !is_known {
            let at = self.span(resource);
            self.say(
                Diagnostic::error("E0205", format!("\"{text}\" is no resource of a container"))
                    .label(at, "no such resource")
                    .help("write limits.cpu, requests.memory and the like"),
            );
        }
    }

    /// Profiles of seccomp and AppArmor: a file of the node is named exactly when there is one.
    pub(super) fn profile(&mut self, node: V::Node) {
        let Some(kind) = self.get(node, "type") else {
            return;
        };
        let Some(text) = self.text(kind) else { return };
        let profile = self.slot(node, "localhostProfile");
        match (&*text, profile) {
            ("Localhost", Slot::Absent) => {
                let at = self.span(kind);
                self.say(
                    Diagnostic::error(
                        "E0711",
                        "a profile of type `Localhost` needs `localhostProfile`",
                    )
                    .label(at, "this type")
                    .help("add `localhostProfile = \"profiles/name.json\"`"),
                );
            }
            ("Localhost", _) => {}
            (_, Slot::Is(profile)) => {
                let (at, kind) = (self.span(profile), self.span(kind));
                self.say(
                    Diagnostic::error(
                        "E0710",
                        format!("`localhostProfile` does not belong to the type `{text}`"),
                    )
                    .label(at, "a file of the node")
                    .label(kind, "the type"),
                );
            }
            _ => {}
        }
    }

    pub(super) fn metric_target(&mut self, node: V::Node) {
        let Some(kind) = self.get(node, "type") else {
            return;
        };
        let Some(text) = self.text(kind) else { return };
        let field = match &*text {
            "Utilization" => "averageUtilization",
            "AverageValue" => "averageValue",
            "Value" => "value",
            _ => return,
        };
        // None at all is told as such.
        let others = ["averageUtilization", "averageValue", "value"];
        if self.slot(node, field).is_absent()
            && let Some(other) = others.iter().find_map(|other| self.get(node, other))
        {
            let (at, other) = (self.span(kind), self.span(other));
            self.say(
                Diagnostic::error(
                    "E0710",
                    format!("a target of type `{text}` is set by `{field}`"),
                )
                .label(other, "set by another field")
                .label(at, "the type"),
            );
        }
    }
}
