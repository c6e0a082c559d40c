//! Addresses of Services, classes of Ingresses, owners of objects.
//!
//! pkg/apis/core/validation/validation.go ValidateService, ValidateServiceClusterIPsRelatedFields;
//! pkg/registry/core/service/storage/alloc.go; pkg/apis/networking/validation ValidateIngressCreate,
//! validateIngressClassParametersReference; apimachinery pkg/api/validation/objectmeta.go ValidateOwnerReferences.

use std::collections::HashMap;

use ordain_lang_syntax::{Diagnostic, Span};

use super::{Judge, Slot, View};
use crate::format::check_format;
use crate::ty::Format;

/// The annotation that named an Ingress's class before there was a field.
const CLASS: &str = "kubernetes.io/ingress.class";

impl<V: View> Judge<'_, V> {
    pub(super) fn service_addresses(&mut self, node: V::Node, kind: Option<&str>) {
        self.node_ports(node);
        self.stickiness(node);
        self.families(node);
        for range in self.elements(node, "loadBalancerSourceRanges").0 {
            let Some(text) = self.text(range) else {
                continue;
            };
            if let Err(why) = check_format(Format::Cidr, text.trim()) {
                let at = self.span(range);
                self.say(
                    Diagnostic::error("E0205", format!("\"{text}\" is no address range: {why}"))
                        .label(at, "no range"),
                );
            }
        }
        if let Some(first) = self.elements(node, "clusterIPs").0.first().copied()
            && let Some(address) = self.get(node, "clusterIP")
            && let (Some(one), Some(other)) = (self.text(address), self.text(first))
            && one != other
        {
            let (at, address) = (self.span(first), self.span(address));
            self.say(
                Diagnostic::error("E0710", "the first of `clusterIPs` is `clusterIP`")
                    .label(at, "another address")
                    .label(address, "`clusterIP`")
                    .help("remove `clusterIPs`"),
            );
        }
        if kind == Some("LoadBalancer")
            && let Some(port) = self.get(node, "healthCheckNodePort")
            && self.view.int(port).is_some_and(|port| port != 0)
            && !matches!(self.slot(node, "externalTrafficPolicy"), Slot::Unknown)
            && self
                .text_of(node, "externalTrafficPolicy")
                .is_none_or(|text| text != "Local")
        {
            let at = self.span(port);
            self.say(
                Diagnostic::error(
                    "E0710",
                    "`healthCheckNodePort` belongs to `externalTrafficPolicy = \"Local\"`",
                )
                .label(at, "nobody asks it"),
            );
        }
    }

    fn node_ports(&mut self, node: V::Node) {
        let mut taken: HashMap<(i64, String), Span> = HashMap::new();
        for port in self.elements(node, "ports").0 {
            let Some(value) = self.get(port, "nodePort") else {
                continue;
            };
            let Some(number) = self.view.int(value).filter(|number| *number != 0) else {
                continue;
            };
            let protocol = match self.slot(port, "protocol") {
                Slot::Absent => "TCP".to_owned(),
                Slot::Unknown => continue,
                Slot::Is(protocol) => match self.text(protocol) {
                    Some(text) => text.into_owned(),
                    None => continue,
                },
            };
            let at = self.span(value);
            if let Some(first) = taken.insert((number, protocol), at) {
                self.twice("node port", &number.to_string(), at, first);
            }
        }
    }

    fn stickiness(&mut self, node: V::Node) {
        let Some(config) = self.get(node, "sessionAffinityConfig") else {
            return;
        };
        let none = match self.slot(node, "sessionAffinity") {
            Slot::Absent => true,
            Slot::Unknown => false,
            Slot::Is(kind) => self.text(kind).is_some_and(|text| text == "None"),
        };
        if none {
            let at = self.span(config);
            self.say(
                Diagnostic::error(
                    "E0710",
                    "`sessionAffinityConfig` belongs to `sessionAffinity = \"ClientIP\"`",
                )
                .label(at, "no client is remembered")
                .help("set `sessionAffinity = \"ClientIP\"`"),
            );
        }
    }

    fn families(&mut self, node: V::Node) {
        let families = self.elements(node, "ipFamilies").0;
        let [first, second, ..] = families.as_slice() else {
            return;
        };
        let (one, other) = (self.text(*first), self.text(*second));
        if let (Some(one), Some(other)) = (one, other)
            && one == other
        {
            let (first, second) = (self.span(*first), self.span(*second));
            self.twice("family", &one, second, first);
        }
        if let Some(policy) = self.get(node, "ipFamilyPolicy")
            && self.text(policy).is_some_and(|text| text == "SingleStack")
        {
            let (at, policy) = (self.span(*second), self.span(policy));
            self.say(
                Diagnostic::error("E0710", "a Service of one family has one")
                    .label(at, "the second")
                    .label(policy, "one family")
                    .help("write \"PreferDualStack\" or \"RequireDualStack\""),
            );
        }
    }

    /// The class of an Ingress, said twice, is the same.
    pub(super) fn ingress(&mut self, node: V::Node) {
        let (Slot::Is(class), Slot::Is(annotation)) = (
            self.at(node, &["spec", "ingressClassName"]),
            self.at(node, &["metadata", "annotations", CLASS]),
        ) else {
            return;
        };
        if let (Some(one), Some(other)) = (self.text(class), self.text(annotation))
            && one != other
        {
            let (class, at) = (self.span(class), self.span(annotation));
            self.say(
                Diagnostic::error(
                    "E0710",
                    format!("the annotation `{CLASS}` names another class"),
                )
                .label(at, "this one")
                .label(class, "`ingressClassName`")
                .help("remove the annotation"),
            );
        }
    }

    /// Parameters of a class are in a namespace, or not.
    pub(super) fn class_parameters(&mut self, node: V::Node) {
        let Some(scope) = self.get(node, "scope") else {
            return;
        };
        let Some(text) = self.text(scope) else { return };
        let namespace = self.slot(node, "namespace");
        let at = self.span(scope);
        match (&*text, namespace) {
            ("Namespace", Slot::Absent) => self.say(
                Diagnostic::error("E0711", "parameters in a namespace need `namespace`")
                    .label(at, "in which?")
                    .help("add `namespace = …`"),
            ),
            ("Cluster", Slot::Is(namespace)) => {
                let namespace = self.span(namespace);
                self.say(
                    Diagnostic::error("E0710", "parameters of the cluster have no namespace")
                        .label(namespace, "a namespace")
                        .label(at, "of the whole cluster"),
                );
            }
            _ => {}
        }
    }

    /// One owner at most looks after an object.
    pub(super) fn owners(&mut self, node: V::Node) {
        let mut first: Option<Span> = None;
        for owner in self.elements(node, "ownerReferences").0 {
            let Some(flag) = self.get(owner, "controller") else {
                continue;
            };
            if self.view.flag(flag) != Some(true) {
                continue;
            }
            let at = self.span(flag);
            match first {
                None => first = Some(at),
                Some(first) => self.say(
                    Diagnostic::error("E0710", "an object has one controller")
                        .label(at, "the second")
                        .label(first, "the first"),
                ),
            }
        }
    }
}
