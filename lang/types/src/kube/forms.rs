//! What single fields must be beyond their schema: names, addresses, paths, ranges, lists that hold something.
//!
//! The table is the rule; the code only compares. A string that is empty counts as not set, as the API server takes it,
//! where the form does not ask for one. Functions of `pkg/apis/*/validation/validation.go` are named beside the rows.

use core::net::IpAddr;

use ordain_lang_syntax::Diagnostic;

use super::{Judge, View};
use crate::format::check_format;
use crate::ty::Format;

/// What a field must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// A string in a format, or strings in it.
    In(Format),
    /// A string that is not empty.
    Some,
    /// A list that is not empty, where it is written.
    Any,
    /// A list of at most so many elements.
    Most(usize),
    /// A number between two, both allowed.
    Range(i64, i64),
    /// One of some strings.
    OneOf(&'static [&'static str]),
    /// An address of the outside world (ValidateNonSpecialIP).
    Outside,
    /// A path inside of a volume (validateLocalNonReservedPath).
    Inside,
    /// `example.com/name` (IsDomainPrefixedPath).
    Domain,
    /// A name of a header (IsHTTPHeaderName).
    Header,
    /// A variable's name or its beginning: what is printed, without `=` (IsRelaxedEnvVarName).
    Prefix,
    /// A key of a ConfigMap or Secret (IsConfigMapKey).
    Key,
    /// A name of three parts or more (IsFullyQualifiedName).
    Qualified,
    /// A URL that is encrypted (ValidateWebhookURL).
    Https,
    /// The name of a Service (NameIsDNS1035Label).
    Service,
    /// A DNS name that may end in a dot, as resolvers write it.
    Alias,
    /// A setting of the kernel (IsValidSysctlName).
    Sysctl,
    /// A label's key in letters of any size, as provisioners are (validateProvisioner).
    AnyCase,
}

use Form::*;

const NAME: Form = In(Format::Name);
const LABEL: Form = In(Format::DnsLabel);
const KEY: Form = In(Format::LabelKey);
const IP: Form = In(Format::Ip);
const MANY: i64 = i64::MAX;

/// Fields of records and what they must be.
static FORMS: &[(&str, &[(&str, Form)])] = &[
    // ValidateObjectMeta, validateOwnerReference.
    ("ObjectMeta", &[("finalizers", KEY)]),
    (
        "OwnerReference",
        &[
            ("apiVersion", Some),
            ("kind", Some),
            ("name", Some),
            ("uid", Some),
        ],
    ),
    // ValidatePodSpec.
    (
        "PodSpec",
        &[
            ("hostname", LABEL),
            ("subdomain", LABEL),
            ("nodeName", NAME),
            ("serviceAccountName", NAME),
            ("runtimeClassName", NAME),
            ("priorityClassName", NAME),
        ],
    ),
    // validatePodDNSConfig.
    (
        "PodDNSConfig",
        &[
            ("nameservers", IP),
            ("nameservers", Most(3)),
            ("searches", Most(32)),
        ],
    ),
    // ValidateHostAliases.
    ("HostAlias", &[("ip", IP), ("hostnames", NAME)]),
    // validateReadinessGates, validateSchedulingGates.
    (
        "PodReadinessGate",
        &[("conditionType", Some), ("conditionType", KEY)],
    ),
    ("PodSchedulingGate", &[("name", Some), ("name", KEY)]),
    // ValidateTolerations, ValidatePodAffinityTerm, validateTopologySpreadConstraints, ValidateNodeSelector.
    ("Toleration", &[("key", KEY)]),
    (
        "PodAffinityTerm",
        &[
            ("topologyKey", Some),
            ("topologyKey", KEY),
            ("namespaces", LABEL),
        ],
    ),
    ("TopologySpreadConstraint", &[("topologyKey", Some)]),
    ("NodeSelector", &[("nodeSelectorTerms", Any)]),
    // validateSysctls.
    ("Sysctl", &[("name", Some), ("name", Sysctl)]),
    // validateHTTPGetAction, validateSleepAction.
    ("HTTPHeader", &[("name", Some), ("name", Header)]),
    ("SleepAction", &[("seconds", Range(0, MANY))]),
    // validateKeyToPath, validateDownwardAPIVolumeFile, validateProjectionSources.
    (
        "KeyToPath",
        &[
            ("key", Some),
            ("key", Key),
            ("path", Some),
            ("path", Inside),
        ],
    ),
    ("DownwardAPIVolumeFile", &[("path", Some), ("path", Inside)]),
    (
        "ServiceAccountTokenProjection",
        &[
            ("path", Some),
            ("path", Inside),
            ("expirationSeconds", Range(600, 1 << 32)),
        ],
    ),
    // validateNFSVolumeSource, validatePersistentClaimVolumeSource, validateCSIVolumeSource, validateGitRepoVolumeSource.
    (
        "NFSVolumeSource",
        &[
            ("server", Some),
            ("path", Some),
            ("path", In(Format::AbsolutePath)),
        ],
    ),
    ("PersistentVolumeClaimVolumeSource", &[("claimName", Some)]),
    ("CSIVolumeSource", &[("driver", Some)]),
    (
        "GitRepoVolumeSource",
        &[("repository", Some), ("directory", Inside)],
    ),
    // ValidateEnvFrom, validateConfigMapKeySelector, validateSecretKeySelector.
    ("EnvVar", &[("name", Some), ("name", Prefix)]),
    ("EnvFromSource", &[("prefix", Prefix)]),
    ("ConfigMapKeySelector", &[("key", Some), ("key", Key)]),
    ("SecretKeySelector", &[("key", Some), ("key", Key)]),
    // validateResizePolicy.
    (
        "ContainerResizePolicy",
        &[("resourceName", OneOf(&["cpu", "memory"]))],
    ),
    // ValidateService, validateServicePort.
    (
        "ServiceSpec",
        &[
            ("externalName", Alias),
            ("externalIPs", Outside),
            ("loadBalancerClass", KEY),
            (
                "trafficDistribution",
                OneOf(&["PreferClose", "PreferSameZone", "PreferSameNode"]),
            ),
        ],
    ),
    ("ServicePort", &[("appProtocol", KEY)]),
    // ValidateIngressSpec, validateHTTPIngressRuleValue, validateIngressTLS, ValidateIngressClassSpec.
    ("IngressSpec", &[("ingressClassName", NAME)]),
    ("IngressTLS", &[("hosts", In(Format::Hostname))]),
    ("HTTPIngressRuleValue", &[("paths", Any)]),
    (
        "IngressServiceBackend",
        &[("name", Some), ("name", Service)],
    ),
    ("ServiceBackendPort", &[("name", In(Format::PortName))]),
    ("IngressClassSpec", &[("controller", Domain)]),
    // ValidateNetworkPolicySpec.
    ("NetworkPolicySpec", &[("policyTypes", Most(2))]),
    // ValidateCrossVersionObjectReference, validateScalingRules, validateScalingPolicy, validateMetricTarget.
    (
        "CrossVersionObjectReference",
        &[("kind", Some), ("name", Some)],
    ),
    (
        "HPAScalingRules",
        &[
            ("stabilizationWindowSeconds", Range(0, 3600)),
            ("policies", Any),
        ],
    ),
    (
        "HPAScalingPolicy",
        &[("value", Range(1, MANY)), ("periodSeconds", Range(1, 1800))],
    ),
    ("MetricTarget", &[("averageUtilization", Range(1, MANY))]),
    ("MetricIdentifier", &[("name", Some)]),
    // ValidatePersistentVolumeClaimSpec, ValidatePersistentVolumeSpec, ValidateStorageClass.
    ("PersistentVolumeClaimSpec", &[("storageClassName", NAME)]),
    ("PersistentVolumeSpec", &[("storageClassName", NAME)]),
    (
        "StorageClass",
        &[("provisioner", Some), ("provisioner", AnyCase)],
    ),
    // ValidateRoleBindingSubject, ValidateClusterRole.
    ("Subject", &[("name", Some)]),
    ("AggregationRule", &[("clusterRoleSelectors", Any)]),
    // ValidateStatefulSetSpec, validateJobSpec.
    ("StatefulSetOrdinals", &[("start", Range(0, MANY))]),
    (
        "JobSpec",
        &[
            ("managedBy", Domain),
            ("backoffLimitPerIndex", Range(0, MANY)),
            ("maxFailedIndexes", Range(0, MANY)),
        ],
    ),
    ("PodFailurePolicyOnExitCodesRequirement", &[("values", Any)]),
    ("SuccessPolicy", &[("rules", Any)]),
    // ValidateLeaseSpec.
    ("LeaseSpec", &[("leaseDurationSeconds", Range(1, MANY))]),
    // pkg/apis/admissionregistration/validation validateValidatingWebhook, validateWebhookClientConfig, validateRuleWithOperations.
    ("ValidatingWebhook", WEBHOOK),
    ("MutatingWebhook", WEBHOOK),
    ("WebhookClientConfig", &[("url", Https)]),
    ("RuleWithOperations", RULE),
    ("NamedRuleWithOperations", RULE),
];

const WEBHOOK: &[(&str, Form)] = &[
    ("name", Qualified),
    ("timeoutSeconds", Range(1, 30)),
    ("sideEffects", OneOf(&["None", "NoneOnDryRun"])),
    ("admissionReviewVersions", Any),
];
const RULE: &[(&str, Form)] = &[
    ("operations", Any),
    ("apiGroups", Any),
    ("apiVersions", Any),
    ("resources", Any),
];

/// What the fields of a record must be.
pub(super) fn of(record: &str) -> Option<&'static [(&'static str, Form)]> {
    let found = FORMS.iter().find(|(name, _)| *name == record);
    found.map(|(_, forms)| *forms)
}

impl<V: View> Judge<'_, V> {
    pub(super) fn forms(&mut self, forms: &[(&str, Form)], node: V::Node) {
        for (field, form) in forms {
            if let Option::Some(value) = self.get(node, field) {
                self.form(*form, field, value);
            }
        }
    }

    fn form(&mut self, form: Form, field: &str, value: V::Node) {
        match form {
            Range(min, max) => self.range(field, value, min, max),
            Some => {
                if self.text(value).is_some_and(|text| text.is_empty()) {
                    let at = self.span(value);
                    self.say(
                        Diagnostic::error("E0711", format!("`{field}` is needed here"))
                            .label(at, "empty"),
                    );
                }
            }
            Any => {
                let count = self.view.count(value);
                if count.all && count.len == 0 {
                    let at = self.span(value);
                    self.say(
                        Diagnostic::error("E0711", format!("`{field}` needs an element"))
                            .label(at, "empty"),
                    );
                }
            }
            Most(most) => {
                let count = self.view.count(value);
                if count.all && count.len > most {
                    let at = self.span(value);
                    self.say(
                        Diagnostic::error(
                            "E0211",
                            format!("`{field}` has {} elements, {most} are allowed", count.len),
                        )
                        .label(at, "too many"),
                    );
                }
            }
            _ => {
                if self.text(value).is_some() {
                    return self.string(form, field, value);
                }
                let nodes: Vec<V::Node> = self.parts(value).0.map(|part| part.node).collect();
                for node in nodes {
                    self.string(form, field, node);
                }
            }
        }
    }

    fn range(&mut self, field: &str, value: V::Node, min: i64, max: i64) {
        let Option::Some(number) = self.view.int(value) else {
            return;
        };
        if (min..=max).contains(&number) {
            return;
        }
        let at = self.span(value);
        let bounds = match max {
            MANY => format!("{min} or more"),
            _ => format!("{min} to {max}"),
        };
        self.say(
            Diagnostic::error(
                "E0203",
                format!("`{field}` is {number}, but must be {bounds}"),
            )
            .label(at, "out of range")
            .help(format!("use {bounds}")),
        );
    }

    fn string(&mut self, form: Form, field: &str, value: V::Node) {
        let Option::Some(text) = self.text(value) else {
            return;
        };
        if text.is_empty() {
            return;
        }
        let Err(why) = fits(form, &text) else { return };
        let at = self.span(value);
        let code = match form {
            OneOf(_) => "E0206",
            _ => "E0205",
        };
        let diagnostic =
            Diagnostic::error(code, format!("`{field}`: \"{text}\" cannot be here: {why}"))
                .label(at, "not allowed");
        self.say(match form {
            OneOf(allowed) => diagnostic.help(format!("write \"{}\"", allowed.join("\" or \""))),
            _ => diagnostic,
        });
    }
}

/// Whether a string has a form.
fn fits(form: Form, text: &str) -> Result<(), String> {
    let or = |good: bool, why: &str| match good {
        true => Ok(()),
        false => Err(why.to_owned()),
    };
    match form {
        Alias => check_format(Format::Name, text.strip_suffix('.').unwrap_or(text)),
        In(format) => check_format(format, text),
        OneOf(allowed) => or(
            allowed.contains(&text),
            "it is not one of the allowed values",
        ),
        Outside => outside(text),
        Inside => or(
            !text.starts_with('/')
                && !text.starts_with("..")
                && !text.contains("/../")
                && !text.ends_with("/.."),
            "it is a path inside of the volume, without a step back",
        ),
        Domain => match text.split_once('/') {
            Option::Some((domain, path)) if !path.is_empty() => check_format(Format::Name, domain),
            _ => Err("a domain and a path are meant: `example.com/name`".into()),
        },
        Header => or(
            text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
            "a header's name has letters, digits and dashes",
        ),
        Prefix => or(
            text.bytes()
                .all(|b| (b' '..=b'~').contains(&b) && b != b'='),
            "a variable's name has no `=`",
        ),
        Key => super::config::check_key(text),
        Qualified => {
            check_format(Format::Name, text)?;
            or(
                text.split('.').count() >= 3,
                "a name of three parts is meant: `check.team.example.com`",
            )
        }
        Https => {
            check_format(Format::Url, text)?;
            or(
                text.starts_with("https://"),
                "it must begin with `https://`",
            )?;
            or(
                !text.contains(['?', '#', '@']),
                "it has no user, no query and no fragment",
            )
        }
        Service => {
            check_format(Format::DnsLabel, text)?;
            or(
                text.starts_with(|c: char| c.is_ascii_lowercase()),
                "the name of a Service begins with a letter",
            )
        }
        Sysctl => {
            let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
            let part = |part: &str| {
                part.bytes().all(|b| good(b) || matches!(b, b'-' | b'_'))
                    && part.bytes().next().is_some_and(good)
                    && part.bytes().next_back().is_some_and(good)
            };
            or(
                text.len() <= 253 && text.split(['.', '/']).all(part),
                "the name of a setting is meant: `net.core.somaxconn`",
            )
        }
        AnyCase => check_format(Format::LabelKey, &text.to_ascii_lowercase()),
        Some | Any | Most(_) | Range(..) => Ok(()),
    }
}

fn outside(text: &str) -> Result<(), String> {
    let why = match text.parse::<IpAddr>() {
        Err(_) => "an address such as `203.0.113.7` is meant",
        Ok(ip) if ip.is_unspecified() => "it stands for no address",
        Ok(ip) if ip.is_loopback() => "it never leaves a machine",
        Ok(IpAddr::V4(ip)) if ip.is_link_local() => "it never leaves a link",
        Ok(IpAddr::V6(ip)) if ip.is_unicast_link_local() => "it never leaves a link",
        Ok(_) => return Ok(()),
    };
    Err(why.to_owned())
}
