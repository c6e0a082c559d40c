//! One of several: sources of volumes and of variables, handlers of probes and hooks, backends, peers.
//!
//! The table is the rule; the code only counts.

use ordain_lang_syntax::Diagnostic;

use super::{Judge, Part, View};

/// A record of which at most one of some fields is set.
#[derive(Debug)]
pub(crate) struct Union {
    record: &'static str,
    /// How messages call it.
    what: &'static str,
    fields: Fields,
    /// Whether one must be set.
    needs_one: bool,
}

#[derive(Debug)]
enum Fields {
    These(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

impl Fields {
    fn has(&self, name: &str) -> bool {
        match self {
            Fields::These(names) => names.contains(&name),
            Fields::AllBut(names) => !names.contains(&name),
        }
    }
}

use Fields::{AllBut, These};

const fn union(record: &'static str, what: &'static str, fields: Fields, needs_one: bool) -> Union {
    Union {
        record,
        what,
        fields,
        needs_one,
    }
}

/// Fields of a PersistentVolumeSpec that are no source.
const VOLUME_SPEC: &[&str] = &[
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];

/// pkg/apis/core/validation/validation.go: validateVolumeSource (none is an emptyDir by default), ValidatePersistentVolumeSpec,
/// validateProjectionSources, validateHandler, validateLifecycleHandler, validateEnvVarValueFrom, ValidateEnvFrom;
/// pkg/apis/networking/validation: validateIngressBackend; pkg/apis/autoscaling/validation: validateMetricTarget.
static UNIONS: &[Union] = &[
    union(
        "Volume",
        "a volume has one source",
        AllBut(&["name"]),
        false,
    ),
    union(
        "PersistentVolumeSpec",
        "a persistent volume has one source",
        AllBut(VOLUME_SPEC),
        true,
    ),
    union(
        "VolumeProjection",
        "a projection has one source",
        AllBut(&[]),
        true,
    ),
    union(
        "Probe",
        "a probe has one handler",
        These(&["exec", "httpGet", "tcpSocket", "grpc"]),
        true,
    ),
    union(
        "LifecycleHandler",
        "a hook has one handler",
        These(&["exec", "httpGet", "tcpSocket", "sleep"]),
        true,
    ),
    union(
        "EnvVar",
        "a variable has a value or a source of it",
        These(&["value", "valueFrom"]),
        false,
    ),
    union(
        "EnvVarSource",
        "a variable's value has one source",
        AllBut(&[]),
        true,
    ),
    union(
        "EnvFromSource",
        "variables come from one source",
        These(&["configMapRef", "secretRef"]),
        true,
    ),
    union(
        "IngressBackend",
        "a backend is a service or a resource",
        AllBut(&[]),
        true,
    ),
    union(
        "ServiceBackendPort",
        "a port has a name or a number",
        AllBut(&[]),
        true,
    ),
    union(
        "MetricTarget",
        "a metric has one target",
        These(&["value", "averageValue", "averageUtilization"]),
        true,
    ),
    union(
        "PodDisruptionBudgetSpec",
        "a budget says `minAvailable` or `maxUnavailable`",
        These(&["minAvailable", "maxUnavailable"]),
        false,
    ),
    union(
        "PodFailurePolicyRule",
        "a rule is about exit codes or conditions",
        These(&["onExitCodes", "onPodConditions"]),
        true,
    ),
    union(
        "PodResourceClaim",
        "a claim is made of one thing",
        These(&["resourceClaimName", "resourceClaimTemplateName"]),
        true,
    ),
    union(
        "WebhookClientConfig",
        "a webhook is reached by a service or a URL",
        These(&["service", "url"]),
        true,
    ),
    union(
        "VolumeMount",
        "a path in a volume is given once",
        These(&["subPath", "subPathExpr"]),
        false,
    ),
];

/// The union that a record is.
pub(super) fn of(name: &str) -> Option<&'static Union> {
    UNIONS.iter().find(|union| union.record == name)
}

impl<V: View> Judge<'_, V> {
    pub(super) fn union(&mut self, union: &Union, node: V::Node) {
        let (parts, all) = self.parts(node);
        let set: Vec<Part<'_, V::Node>> =
            parts.filter(|part| union.fields.has(&part.key)).collect();
        match set.as_slice() {
            [] if all && union.needs_one => {
                let diagnostic =
                    Diagnostic::error("E0702", format!("{}, this has none", union.what))
                        .label(self.span(node), "none is set");
                self.say(match union.fields {
                    These(names) => diagnostic.help(format!("set one of {}", listed(names))),
                    AllBut(_) => diagnostic.help("set one of its fields"),
                });
            }
            [first, second, ..] => {
                let names: Vec<String> = set.iter().map(|part| format!("`{}`", part.key)).collect();
                let diagnostic = Diagnostic::error(
                    "E0702",
                    format!("{}, this has {}", union.what, names.join(" and ")),
                )
                .label(second.key_span, "and this one")
                .label(first.key_span, "this one")
                .help("keep one of them");
                self.say(diagnostic);
            }
            _ => {}
        }
    }
}

fn listed(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
