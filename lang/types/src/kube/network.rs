//! Services, Ingresses and network policies.
//!
//! pkg/apis/core/validation/validation.go ValidateService, validateServicePort; pkg/apis/networking/validation
//! ValidateIngressSpec, validateHTTPIngressPath, ValidateNetworkPolicyPeer, ValidateNetworkPolicyPort, ValidateIPBlock.

use core::net::IpAddr;
use std::collections::HashMap;

use ordain_lang_syntax::{Diagnostic, Span};

use super::{Judge, Slot, View};
use crate::format::check_format;
use crate::ty::Format;

impl<V: View> Judge<'_, V> {
    pub(super) fn service_spec(&mut self, node: V::Node) {
        let kind = match self.slot(node, "type") {
            Slot::Absent => Some("ClusterIP".to_owned()),
            Slot::Unknown => None,
            Slot::Is(kind) => self.text(kind).map(|text| text.into_owned()),
        };
        self.service_ports(node, kind.as_deref());
        self.service_addresses(node, kind.as_deref());
        let headless = self
            .text_of(node, "clusterIP")
            .is_some_and(|ip| ip == "None");
        if let Some(ip) = self.get(node, "clusterIP")
            && let Some(text) = self.text(ip)
            && !matches!(&*text, "" | "None")
            && text.parse::<IpAddr>().is_err()
        {
            let at = self.span(ip);
            self.say(
                Diagnostic::error("E0205", format!("\"{text}\" is no address of a Service"))
                    .label(at, "no address")
                    .help(
                        "write an address, `\"None\"` for a Service without one, or leave it out",
                    ),
            );
        }
        let Some(kind) = kind else { return };
        let at_type = self.get(node, "type").map(|kind| self.span(kind));
        let balanced = kind == "LoadBalancer";
        let external =
            balanced || kind == "NodePort" || !self.slot(node, "externalIPs").is_absent();
        if headless && matches!(&*kind, "NodePort" | "LoadBalancer") {
            self.not_with(
                node,
                "clusterIP",
                Some("a Service without an address cannot have"),
                &kind,
                at_type,
            );
        }
        if kind == "ExternalName" {
            if self.slot(node, "externalName").is_absent() {
                let at = at_type.unwrap_or_else(|| self.span(node));
                self.say(
                    Diagnostic::error(
                        "E0711",
                        "a Service of type `ExternalName` needs `externalName`",
                    )
                    .label(at, "this type")
                    .help("add `externalName = \"host.example.com\"`"),
                );
            }
            self.not_with(
                node,
                "clusterIP",
                Some("no address belongs to"),
                &kind,
                at_type,
            );
        }
        if !external {
            self.not_with(node, "externalTrafficPolicy", None, &kind, at_type);
        }
        if !balanced {
            for field in [
                "loadBalancerSourceRanges",
                "loadBalancerClass",
                "allocateLoadBalancerNodePorts",
                "healthCheckNodePort",
            ] {
                self.not_with(node, field, None, &kind, at_type);
            }
        }
    }

    /// A field that does not go with the type of a Service; `what` says it, where the field's name is not enough.
    fn not_with(
        &mut self,
        node: V::Node,
        field: &str,
        what: Option<&str>,
        kind: &str,
        at_type: Option<Span>,
    ) {
        let Some(value) = self.get(node, field) else {
            return;
        };
        let at = self.span(value);
        let what = what.map_or_else(|| format!("`{field}` does not belong to"), str::to_owned);
        let mut diagnostic =
            Diagnostic::error("E0710", format!("{what} the Service type `{kind}`"))
                .label(at, format!("`{field}`"));
        diagnostic = match at_type {
            Some(span) => diagnostic.label(span, "the type"),
            None => diagnostic.note("`type` is ClusterIP when nobody sets it"),
        };
        self.say(diagnostic.help("remove it, or choose another `type`"));
    }

    fn service_ports(&mut self, node: V::Node, kind: Option<&str>) {
        let (ports, all) = self.elements(node, "ports");
        let headless = match self.slot(node, "clusterIP") {
            Slot::Is(ip) => self.text(ip).is_none_or(|text| text == "None"),
            Slot::Unknown => true,
            Slot::Absent => false,
        };
        if ports.is_empty() && all && !headless && kind.is_some_and(|k| k != "ExternalName") {
            let at = self.span(node);
            self.say(
                Diagnostic::error("E0711", "a Service needs a port")
                    .label(at, "without `ports`")
                    .help("add `ports = [{ port = 80 }]`, or set `clusterIP = \"None\"`"),
            );
        }
        let mut names: HashMap<String, Span> = HashMap::new();
        for port in &ports {
            match self.slot(*port, "name") {
                Slot::Absent if ports.len() > 1 => {
                    let at = self.span(*port);
                    self.say(
                        Diagnostic::error(
                            "E0711",
                            "each of several ports of a Service needs a name",
                        )
                        .label(at, "without `name`")
                        .help("add `name = \"http\"`"),
                    );
                }
                Slot::Is(name) => {
                    let at = self.span(name);
                    if let Some(text) = self.text(name)
                        && let Some(first) = names.insert(text.to_string(), at)
                    {
                        self.twice("port", &text, at, first);
                    }
                }
                _ => {}
            }
            if kind == Some("ClusterIP")
                && let Some(value) = self.get(*port, "nodePort")
                && self.view.int(value) != Some(0)
            {
                let at = self.span(value);
                self.say(
                    Diagnostic::error(
                        "E0710",
                        "`nodePort` does not belong to the Service type `ClusterIP`",
                    )
                    .label(at, "`nodePort`")
                    .help("set `type = \"NodePort\"`, or remove it"),
                );
            }
        }
    }

    pub(super) fn twice(&mut self, what: &str, name: &str, again: Span, first: Span) {
        self.say(
            Diagnostic::error("E0706", format!("two of these have the {what} `{name}`"))
                .label(again, "again here")
                .label(first, "first here")
                .help("give one of them another"),
        );
    }

    pub(super) fn service_port(&mut self, node: V::Node) {
        self.port_reference(node, "targetPort");
    }

    /// A port by number or by name: whether it can be one at all.
    pub(super) fn port_reference(&mut self, node: V::Node, field: &str) {
        let Some(port) = self.get(node, field) else {
            return;
        };
        let at = self.span(port);
        if let Some(number) = self.view.int(port) {
            if !(1..=65_535).contains(&number) {
                self.say(
                    Diagnostic::error("E0203", format!("{number} is outside 1..=65535"))
                        .label(at, "no such port"),
                );
            }
            return;
        }
        let Some(text) = self.text(port) else { return };
        if let Err(why) = check_format(Format::PortName, &text) {
            let mut diagnostic =
                Diagnostic::error("E0205", format!("\"{text}\" is no name of a port: {why}"))
                    .label(at, "no such name");
            if text.parse::<u16>().is_ok() {
                diagnostic = diagnostic.help(format!("remove the quotes: `{text}`"));
            }
            self.say(diagnostic);
        }
    }

    pub(super) fn ingress_spec(&mut self, node: V::Node) {
        let (rules, all) = self.elements(node, "rules");
        if rules.is_empty() && all && self.slot(node, "defaultBackend").is_absent() {
            let at = self.span(node);
            self.say(
                Diagnostic::error("E0711", "an Ingress needs `rules` or a `defaultBackend`")
                    .label(at, "neither is set"),
            );
        }
        for rule in rules {
            let Some(host) = self.get(rule, "host") else {
                continue;
            };
            if let Some(text) = self.text(host)
                && text.parse::<IpAddr>().is_ok()
            {
                let at = self.span(host);
                self.say(
                    Diagnostic::error("E0205", format!("the host \"{text}\" is an address"))
                        .label(at, "no DNS name")
                        .help("leave `host` out to serve every name"),
                );
            }
        }
    }

    pub(super) fn ingress_path(&mut self, node: V::Node) {
        let Some(kind) = self.get(node, "pathType") else {
            return;
        };
        let Some(kind_text) = self.text(kind) else {
            return;
        };
        let free = kind_text == "ImplementationSpecific";
        let path = match self.slot(node, "path") {
            Slot::Is(path) => path,
            Slot::Unknown => return,
            Slot::Absent if free => return,
            Slot::Absent => {
                let (at, kind) = (self.span(node), self.span(kind));
                self.say(
                    Diagnostic::error(
                        "E0711",
                        format!("a path of type `{kind_text}` needs `path`"),
                    )
                    .label(at, "without `path`")
                    .label(kind, "this type")
                    .help("add `path = \"/\"`"),
                );
                return;
            }
        };
        let Some(text) = self.text(path) else { return };
        let steps = ["//", "/./", "/../", "%2f", "%2F"];
        let why = if !text.starts_with('/') && (!free || !text.is_empty()) {
            "it must begin with `/`".to_owned()
        } else if free {
            return;
        } else if let Some(step) = steps.iter().find(|step| text.contains(**step)) {
            format!("it has `{step}`")
        } else if text.ends_with("/..") || text.ends_with("/.") {
            "it ends in a step back".to_owned()
        } else {
            return;
        };
        let at = self.span(path);
        self.say(
            Diagnostic::error(
                "E0205",
                format!("\"{text}\" is no path of type `{kind_text}`: {why}"),
            )
            .label(at, "no such path"),
        );
    }

    pub(super) fn network_peer(&mut self, node: V::Node) {
        let fields = ["ipBlock", "podSelector", "namespaceSelector"];
        let (parts, all) = self.parts(node);
        if all && parts.count() == 0 {
            let at = self.span(node);
            self.say(
                Diagnostic::error("E0702", "a peer has selectors or an `ipBlock`, this has none")
                    .label(at, "none is set")
                    .help("set one of `podSelector`, `namespaceSelector`, `ipBlock`; leave the list out to allow all"),
            );
        }
        for other in &fields[1..] {
            if let (Some(block), Some(selector)) =
                (self.get(node, fields[0]), self.get(node, other))
            {
                let (block, selector) = (self.span(block), self.span(selector));
                self.say(
                    Diagnostic::error(
                        "E0702",
                        format!(
                            "a peer has selectors or an `ipBlock`, this has `ipBlock` and `{other}`"
                        ),
                    )
                    .label(selector, "and this one")
                    .label(block, "this one")
                    .help("write two peers"),
                );
            }
        }
    }

    pub(super) fn network_port(&mut self, node: V::Node) {
        self.port_reference(node, "port");
        let Some(end) = self.get(node, "endPort") else {
            return;
        };
        let at = self.span(end);
        match self.slot(node, "port") {
            Slot::Unknown => {}
            Slot::Absent => self.say(
                Diagnostic::error("E0711", "`endPort` needs a `port` to begin with")
                    .label(at, "the last port"),
            ),
            Slot::Is(port) => match (self.view.int(port), self.view.int(end)) {
                (Some(first), Some(last)) if last < first => {
                    let port = self.span(port);
                    self.say(
                        Diagnostic::error(
                            "E0710",
                            format!("`endPort` {last} is less than `port` {first}"),
                        )
                        .label(at, "the last port")
                        .label(port, "the first port"),
                    );
                }
                (None, _) if self.text(port).is_some() => {
                    let port = self.span(port);
                    self.say(
                        Diagnostic::error("E0710", "`endPort` needs a `port` by number")
                            .label(at, "the last port")
                            .label(port, "a name"),
                    );
                }
                _ => {}
            },
        }
    }

    pub(super) fn ip_block(&mut self, node: V::Node) {
        let Some(block) = self.get(node, "cidr") else {
            return;
        };
        let Some(outer) = self.text(block).as_deref().and_then(parse_cidr) else {
            return;
        };
        for except in self.elements(node, "except").0 {
            let Some(text) = self.text(except) else {
                continue;
            };
            let at = self.span(except);
            match parse_cidr(&text) {
                None => self.say(
                    Diagnostic::error("E0205", format!("\"{text}\" is no address range"))
                        .label(at, "no range"),
                ),
                Some(inner) if !is_inside(inner, outer) => {
                    let block = self.span(block);
                    self.say(
                        Diagnostic::error(
                            "E0710",
                            format!("\"{text}\" is no part of the block it is taken from"),
                        )
                        .label(at, "not inside")
                        .label(block, "the block"),
                    );
                }
                Some(_) => {}
            }
        }
    }
}

/// An address as bits, how many bits there are, and how many of them are fixed.
type Cidr = (u128, u8, u8);

fn parse_cidr(text: &str) -> Option<Cidr> {
    let (address, bits) = text.split_once('/')?;
    let bits: u8 = bits.parse().ok()?;
    let (value, width) = match address.parse::<IpAddr>().ok()? {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    };
    (bits <= width).then_some((value, width, bits))
}

/// Whether a range is a strict part of another.
fn is_inside(inner: Cidr, outer: Cidr) -> bool {
    let (a, width, bits) = inner;
    let (b, outer_width, outer_bits) = outer;
    if width != outer_width || bits <= outer_bits {
        return false;
    }
    let shift = u32::from(width - outer_bits);
    shift >= u128::BITS || a >> shift == b >> shift
}
