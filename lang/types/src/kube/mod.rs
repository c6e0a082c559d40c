//! What the API server checks beyond its schema: names by kind, relations between fields, one of several, references
//! inside of an object.
//!
//! Each rule is written once, over a [`View`]: the checker judges record literals with it as far as they are constant, the
//! evaluator every finished object. A rule tells what is certainly wrong and nothing else. Sources are Kubernetes'
//! `pkg/apis/*/validation/validation.go`; the function is named at each rule. What the schema or a refined type can say
//! is in `k8s.rs`.

mod config;
mod constants;
mod forms;
mod jobs;
mod names;
mod needs;
mod network;
mod pods;
mod quotas;
mod rbac;
mod resources;
mod rollout;
mod schedule;
mod services;
mod storage;
pub(crate) mod unions;
mod view;
mod volumes;
mod workloads;

pub use crate::exempt::OWN_PODS;
pub use names::time_zone;
pub use view::{Count, Part, Slot, View};

use std::borrow::Cow;

use ordain_lang_syntax::{Diagnostic, Span};

use crate::ty::{Origin, RecordDef};
use names::Naming;
use unions::Union;

/// The rules of a record definition.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    subject: Option<Which>,
    union: Option<&'static Union>,
    needs: Option<&'static str>,
    forms: Option<&'static [(&'static str, forms::Form)]>,
    naming: Option<Naming>,
}

impl Rules {
    /// The rules that values of a definition keep; none for most.
    #[must_use]
    pub fn of(def: &RecordDef) -> Option<Rules> {
        let Origin::Kubernetes(gvk) = &def.origin else {
            return None;
        };
        let naming = gvk.as_ref().map(|gvk| Naming::of(&gvk.group, &gvk.kind));
        let Some(name) = def.name.strip_prefix("k8s.") else {
            // A kind of a definition; of it the names alone are known here.
            return naming.map(|naming| Rules {
                subject: None,
                union: None,
                needs: None,
                forms: None,
                naming: Some(naming),
            });
        };
        let rules = Rules {
            subject: subject(name),
            union: unions::of(name),
            needs: needs::of(name),
            forms: forms::of(name),
            naming,
        };
        let any = rules.subject.is_some()
            || rules.union.is_some()
            || rules.needs.is_some()
            || rules.forms.is_some()
            || rules.naming.is_some();
        any.then_some(rules)
    }

    /// What a value certainly breaks.
    pub fn judge<V: View>(self, view: &V, node: V::Node) -> Vec<Diagnostic> {
        let mut judge = Judge {
            view,
            found: Vec::new(),
        };
        if let Some(naming) = self.naming {
            judge.object_name(node, naming);
        }
        if let Some(union) = self.union {
            judge.union(union, node);
        }
        if let Some(field) = self.needs {
            judge.needs(node, field);
        }
        if let Some(forms) = self.forms {
            judge.forms(forms, node);
        }
        if let Some(subject) = self.subject {
            judge.subject(subject, node);
        }
        judge.found
    }
}

macro_rules! subjects {
    ($($name:ident => $rule:ident,)*) => {
        /// The definitions with rules of their own.
        #[derive(Clone, Copy, Debug)]
        enum Which { $($name,)* }

        fn subject(name: &str) -> Option<Which> {
            Some(match name {
                $(stringify!($name) => Which::$name,)*
                _ => return None,
            })
        }

        impl<V: View> Judge<'_, V> {
            fn subject(&mut self, subject: Which, node: V::Node) {
                match subject {
                    $(Which::$name => self.$rule(node),)*
                }
            }
        }
    };
}

subjects! {
    ObjectMeta => object_meta,
    ConfigMap => config_map,
    Secret => secret,
    Container => container,
    EphemeralContainer => container,
    ContainerPort => container_port,
    EnvVar => env_var,
    Probe => probe,
    SecurityContext => security_context,
    PodSecurityContext => pod_security_context,
    ResourceRequirements => container_resources,
    VolumeResourceRequirements => claim_resources,
    VolumeMount => volume_mount,
    HostPathVolumeSource => host_path,
    PodSpec => pod_spec,
    Pod => pod,
    Toleration => toleration,
    LabelSelectorRequirement => selector_requirement,
    NodeSelectorRequirement => node_requirement,
    NodeSelectorTerm => node_selector_term,
    TopologySpreadConstraint => spread,
    EnvVarSource => env_source,
    DownwardAPIVolumeFile => downward_file,
    ProjectedVolumeSource => projected,
    EmptyDirVolumeSource => empty_dir,
    DeploymentSpec => deployment_spec,
    ReplicaSetSpec => replica_set_spec,
    StatefulSetSpec => stateful_set_spec,
    DaemonSetSpec => daemon_set_spec,
    ReplicationControllerSpec => replication_controller_spec,
    JobSpec => job_spec,
    CronJobSpec => cron_job_spec,
    DeploymentStrategy => deployment_strategy,
    DaemonSetUpdateStrategy => daemon_set_strategy,
    StatefulSetUpdateStrategy => stateful_set_strategy,
    PodDisruptionBudgetSpec => disruption_budget,
    HorizontalPodAutoscalerSpec => autoscaler,
    MetricSpec => metric,
    MetricTarget => metric_target,
    ObjectFieldSelector => field_selector,
    ResourceFieldSelector => resource_selector,
    SeccompProfile => profile,
    AppArmorProfile => profile,
    ServiceSpec => service_spec,
    ServicePort => service_port,
    Ingress => ingress,
    IngressSpec => ingress_spec,
    IngressClassParametersReference => class_parameters,
    HTTPIngressPath => ingress_path,
    NetworkPolicyPeer => network_peer,
    NetworkPolicyPort => network_port,
    IPBlock => ip_block,
    PersistentVolumeClaimSpec => claim_spec,
    PersistentVolumeSpec => volume_spec,
    StorageClass => storage_class,
    ResourceQuotaSpec => quota,
    LimitRangeSpec => limit_ranges,
    LimitRangeItem => limit_range,
    PriorityClass => priority_class,
    RuleWithOperations => admission_rule,
    NamedRuleWithOperations => admission_rule,
    ValidatingAdmissionPolicySpec => admission_policy,
    PolicyRule => policy_rule,
    Role => role,
    RoleBinding => role_binding,
    ClusterRoleBinding => cluster_role_binding,
    Subject => rbac_subject,
}

/// A rule at work: what it looks at, and what it found.
pub(crate) struct Judge<'v, V: View> {
    view: &'v V,
    found: Vec<Diagnostic>,
}

impl<'v, V: View> Judge<'v, V> {
    fn say(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    fn slot(&self, of: V::Node, name: &str) -> Slot<V::Node> {
        self.certain(self.view.get(of, name))
    }

    /// Outside of an object, what is absent may still be added.
    fn certain(&self, slot: Slot<V::Node>) -> Slot<V::Node> {
        match slot {
            Slot::Absent if !self.view.is_in_object() => Slot::Unknown,
            slot => slot,
        }
    }

    /// A field that is set, to a known value.
    fn get(&self, of: V::Node, name: &str) -> Option<V::Node> {
        self.view.get(of, name).known()
    }

    /// A field deeper inside, unknown where the way is.
    fn at(&self, of: V::Node, path: &[&str]) -> Slot<V::Node> {
        let mut node = of;
        for name in path {
            match self.view.get(node, name) {
                Slot::Is(next) => node = next,
                other => return self.certain(other),
            }
        }
        Slot::Is(node)
    }

    fn text(&self, of: V::Node) -> Option<Cow<'v, str>> {
        self.view.text(of)
    }

    fn text_of(&self, of: V::Node, name: &str) -> Option<Cow<'v, str>> {
        self.text(self.get(of, name)?)
    }

    fn flag_of(&self, of: V::Node, name: &str) -> Option<bool> {
        self.view.flag(self.get(of, name)?)
    }

    fn span(&self, of: V::Node) -> Span {
        self.view.span(of)
    }

    /// The known fields, entries or elements of a value, and whether these are all.
    fn parts(&self, of: V::Node) -> (impl Iterator<Item = Part<'v, V::Node>> + use<'v, V>, bool) {
        let (view, count) = (self.view, self.view.count(of));
        let known = (0..count.len).filter_map(move |at| view.part(of, at));
        (known, count.all && view.is_in_object())
    }

    /// The elements of a list in a field; an absent list is an empty one.
    fn elements(&self, of: V::Node, name: &str) -> (Vec<V::Node>, bool) {
        match self.slot(of, name) {
            Slot::Absent => (Vec::new(), true),
            Slot::Unknown => (Vec::new(), false),
            Slot::Is(list) => {
                let (parts, all) = self.parts(list);
                let nodes: Vec<V::Node> = parts.map(|part| part.node).collect();
                // An element that is not known is one that is missing here.
                let all = all && nodes.len() == self.view.count(list).len;
                (nodes, all)
            }
        }
    }

    /// Two fields that exclude each other.
    fn either(&mut self, of: V::Node, one: &str, other: &str, why: &str) {
        if let (Some(a), Some(b)) = (self.get(of, one), self.get(of, other)) {
            let (a, b) = (self.span(a), self.span(b));
            self.say(
                Diagnostic::error("E0710", format!("`{other}` cannot be set beside `{one}`"))
                    .label(b, format!("`{other}`"))
                    .label(a, format!("`{one}`"))
                    .note(why),
            );
        }
    }
}
