//! Pods and their containers.
//!
//! pkg/apis/core/validation/validation.go validateContainers, validateInitContainers, validateContainerPorts,
//! ValidateVolumeMounts, validateProbe, ValidateSecurityContext, ValidateTolerations, ValidatePodSpec.

use std::collections::HashMap;

use ordain_lang_syntax::{Diagnostic, Span};

use super::{Judge, Slot, View};
use crate::suggest::nearest;

const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];

impl<V: View> Judge<'_, V> {
    pub(super) fn container(&mut self, node: V::Node) {
        if self.view.is_finished() && self.slot(node, "image").is_absent() {
            let at = self.span(node);
            self.say(
                Diagnostic::error("E0711", "a container needs an `image`")
                    .label(at, "without `image`")
                    .help("add `image = \"…\"`"),
            );
        }
        self.container_ports(node);
        self.mount_paths(node);
        self.mount_modes(node);
        for probe in ["livenessProbe", "startupProbe"] {
            if let Some(threshold) = self.at(node, &[probe, "successThreshold"]).known()
                && self.view.int(threshold).is_some_and(|n| n != 1)
            {
                let at = self.span(threshold);
                self.say(
                    Diagnostic::error(
                        "E0710",
                        format!("`successThreshold` of a `{probe}` is always 1"),
                    )
                    .label(at, "not 1")
                    .help("remove it; only a `readinessProbe` counts successes"),
                );
            }
        }
        if let Some(grace) = self
            .at(node, &["readinessProbe", "terminationGracePeriodSeconds"])
            .known()
        {
            let at = self.span(grace);
            self.say(
                Diagnostic::error("E0710", "a `readinessProbe` ends no container")
                    .label(at, "no `terminationGracePeriodSeconds` here")
                    .help("remove it"),
            );
        }
    }

    fn container_ports(&mut self, node: V::Node) {
        let (ports, all) = self.elements(node, "ports");
        let mut names: HashMap<String, Span> = HashMap::new();
        let mut known = all;
        for port in ports {
            match self.slot(port, "name") {
                Slot::Absent => {}
                Slot::Unknown => known = false,
                Slot::Is(name) => match self.text(name) {
                    None => known = false,
                    Some(text) => {
                        let at = self.span(name);
                        if let Some(first) = names.insert(text.to_string(), at) {
                            self.twice("port name", &text, at, first);
                        }
                    }
                },
            }
        }
        let handlers = PROBES
            .map(|probe| vec![probe])
            .into_iter()
            .chain([vec!["lifecycle", "postStart"], vec!["lifecycle", "preStop"]]);
        for handler in handlers {
            let Some(handler) = self.at(node, &handler).known() else {
                continue;
            };
            for action in ["httpGet", "tcpSocket"] {
                let Some(action) = self.get(handler, action) else {
                    continue;
                };
                let before = self.found.len();
                self.port_reference(action, "port");
                if !known || self.found.len() > before {
                    continue;
                }
                let Some(port) = self.get(action, "port") else {
                    continue;
                };
                if self.view.int(port).is_some() {
                    continue;
                }
                let Some(text) = self.text(port) else {
                    continue;
                };
                if !names.contains_key(&*text) {
                    let at = self.span(port);
                    self.undeclared(
                        "port",
                        &text,
                        at,
                        names.keys().map(String::as_str),
                        "this container",
                    );
                }
            }
        }
    }

    /// A name that nothing declares.
    pub(super) fn undeclared<'n>(
        &mut self,
        what: &str,
        name: &str,
        at: Span,
        known: impl Iterator<Item = &'n str> + Clone,
        place: &str,
    ) {
        let diagnostic = Diagnostic::error("E0704", format!("{place} has no {what} `{name}`"))
            .label(at, "not declared");
        let mut listed: Vec<&str> = known.clone().collect();
        listed.sort_unstable();
        self.say(match nearest(name, known) {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None if listed.is_empty() => diagnostic.help(format!("declare it in `{what}s`")),
            None => diagnostic.help(format!(
                "declare it in `{what}s`, or use one of {}",
                listed.join(", ")
            )),
        });
    }

    fn mount_paths(&mut self, node: V::Node) {
        let mut paths: HashMap<String, Span> = HashMap::new();
        for mount in self.elements(node, "volumeMounts").0 {
            let Some(path) = self.get(mount, "mountPath") else {
                continue;
            };
            let Some(text) = self.text(path) else {
                continue;
            };
            let at = self.span(path);
            // List keys with the same path are told as such when both stand in one literal.
            if let Some(first) = paths.insert(text.to_string(), at)
                && self.view.is_finished()
            {
                self.twice("mount path", &text, at, first);
            }
        }
    }

    pub(super) fn container_port(&mut self, node: V::Node) {
        if let Some(ip) = self.get(node, "hostIP")
            && let Some(text) = self.text(ip)
            && text.parse::<core::net::IpAddr>().is_err()
        {
            let at = self.span(ip);
            self.say(
                Diagnostic::error("E0205", format!("\"{text}\" is no address"))
                    .label(at, "no address"),
            );
        }
    }

    pub(super) fn env_var(&mut self, node: V::Node) {
        if let Some(value) = self.get(node, "value")
            && self.text(value).is_some_and(|text| text.contains('\0'))
        {
            let at = self.span(value);
            self.say(Diagnostic::error("E0205", "a variable cannot hold a NUL").label(at, "here"));
        }
    }

    pub(super) fn probe(&mut self, node: V::Node) {
        if let Some(grace) = self.get(node, "terminationGracePeriodSeconds")
            && self.view.int(grace).is_some_and(|n| n < 1)
        {
            let at = self.span(grace);
            self.say(
                Diagnostic::error(
                    "E0203",
                    "`terminationGracePeriodSeconds` of a probe must be 1 or more",
                )
                .label(at, "out of range"),
            );
        }
    }

    pub(super) fn security_context(&mut self, node: V::Node) {
        let escalation = self.get(node, "allowPrivilegeEscalation");
        if let Some(no) = escalation
            && self.view.flag(no) == Some(false)
        {
            let no = self.span(no);
            if let Some(privileged) = self.get(node, "privileged")
                && self.view.flag(privileged) == Some(true)
            {
                let at = self.span(privileged);
                self.say(
                    Diagnostic::error("E0710", "a privileged container can always gain privileges")
                        .label(at, "privileged")
                        .label(no, "must not gain privileges")
                        .help("remove one of them"),
                );
            }
            let added = match self.at(node, &["capabilities", "add"]) {
                Slot::Is(list) => self.parts(list).0.map(|part| part.node).collect(),
                _ => Vec::new(),
            };
            for capability in added {
                if self
                    .text(capability)
                    .is_some_and(|text| text == "CAP_SYS_ADMIN")
                {
                    let at = self.span(capability);
                    self.say(
                        Diagnostic::error(
                            "E0710",
                            "`CAP_SYS_ADMIN` lets a container gain privileges",
                        )
                        .label(at, "added here")
                        .label(no, "must not gain privileges")
                        .help("remove one of them"),
                    );
                }
            }
        }
        self.never_root(node);
    }

    pub(super) fn pod_security_context(&mut self, node: V::Node) {
        self.never_root(node);
    }

    fn never_root(&mut self, node: V::Node) {
        if let (Some(not), Some(user)) =
            (self.get(node, "runAsNonRoot"), self.get(node, "runAsUser"))
            && self.view.flag(not) == Some(true)
            && self.view.int(user) == Some(0)
        {
            let (not, user) = (self.span(not), self.span(user));
            self.say(
                Diagnostic::error("E0710", "user 0 is root, who must not run this")
                    .label(user, "root")
                    .label(not, "not as root")
                    .help("choose another user"),
            );
        }
    }

    pub(super) fn pod_spec(&mut self, node: V::Node) {
        self.whole_pod(node);
        self.devices(node);
        let mut names: HashMap<String, (Span, &str)> = HashMap::new();
        let mut host_ports: HashMap<(i64, String), Span> = HashMap::new();
        let host_network = self.flag_of(node, "hostNetwork") == Some(true);
        for field in ["initContainers", "containers", "ephemeralContainers"] {
            for container in self.elements(node, field).0 {
                if let Some(name) = self.get(container, "name")
                    && let Some(text) = self.text(name)
                {
                    let at = self.span(name);
                    // Within one list the list's key says it.
                    if let Some((first, list)) = names.insert(text.to_string(), (at, field))
                        && list != field
                    {
                        self.twice("container name", &text, at, first);
                    }
                }
                if field == "initContainers" {
                    self.init_container(container);
                }
                let sidecar = self.slot(container, "restartPolicy").is_set();
                for port in self.elements(container, "ports").0 {
                    self.host_port(
                        port,
                        host_network,
                        field == "initContainers" && !sidecar,
                        &mut host_ports,
                    );
                }
                self.claims(node, container);
            }
        }
        if let (Some(shared), Some(host)) = (
            self.get(node, "shareProcessNamespace"),
            self.get(node, "hostPID"),
        ) && self.view.flag(shared) == Some(true)
            && self.view.flag(host) == Some(true)
        {
            let (shared, host) = (self.span(shared), self.span(host));
            self.say(
                Diagnostic::error(
                    "E0710",
                    "processes are shared with the node or in the pod, not both",
                )
                .label(shared, "in the pod")
                .label(host, "with the node"),
            );
        }
        if let Some(policy) = self.get(node, "dnsPolicy")
            && self.text(policy).is_some_and(|text| text == "None")
        {
            let empty = match self.at(node, &["dnsConfig", "nameservers"]) {
                Slot::Absent => true,
                Slot::Unknown => false,
                Slot::Is(list) => self.view.count(list).len == 0 && self.view.count(list).all,
            };
            if empty {
                let at = self.span(policy);
                self.say(
                    Diagnostic::error(
                        "E0711",
                        "the DNS policy `None` needs `dnsConfig.nameservers`",
                    )
                    .label(at, "no DNS of the cluster"),
                );
            }
        }
    }

    fn init_container(&mut self, container: V::Node) {
        if !self.slot(container, "restartPolicy").is_absent() {
            return;
        }
        for field in [
            "lifecycle",
            "livenessProbe",
            "readinessProbe",
            "startupProbe",
        ] {
            if let Some(value) = self.get(container, field) {
                let at = self.span(value);
                self.say(
                    Diagnostic::error("E0710", format!("an init container has no `{field}`"))
                        .label(at, "it runs to its end")
                        .help(
                            "set `restartPolicy = \"Always\"` to make it a sidecar, or remove this",
                        ),
                );
            }
        }
    }

    fn host_port(
        &mut self,
        port: V::Node,
        host_network: bool,
        is_init: bool,
        seen: &mut HashMap<(i64, String), Span>,
    ) {
        let Some(value) = self.get(port, "hostPort") else {
            return;
        };
        let Some(host) = self.view.int(value) else {
            return;
        };
        let at = self.span(value);
        if host_network
            && let Some(container) = self.get(port, "containerPort")
            && self
                .view
                .int(container)
                .is_some_and(|number| number != host)
        {
            let container = self.span(container);
            self.say(
                Diagnostic::error(
                    "E0710",
                    "in the node's network `hostPort` is the container's port",
                )
                .label(at, format!("{host}"))
                .label(container, "another port")
                .help("remove `hostPort`, or make them equal"),
            );
        }
        let protocol = self
            .text_of(port, "protocol")
            .map_or("TCP".into(), |p| p.to_string());
        let ip = self
            .text_of(port, "hostIP")
            .map_or(String::new(), |p| p.to_string());
        // Init containers are gone before the others come.
        if !is_init && let Some(first) = seen.insert((host, format!("{protocol} {ip}")), at) {
            self.twice("host port", &host.to_string(), at, first);
        }
    }

    /// Resource claims of a container are declared by its pod.
    fn claims(&mut self, pod: V::Node, container: V::Node) {
        let claims = match self.at(container, &["resources", "claims"]) {
            Slot::Is(list) => list,
            _ => return,
        };
        let (declared, all) = self.named(pod, "resourceClaims");
        if !all {
            return;
        }
        let parts: Vec<V::Node> = self.parts(claims).0.map(|part| part.node).collect();
        for claim in parts {
            let Some(name) = self.get(claim, "name") else {
                continue;
            };
            let Some(text) = self.text(name) else {
                continue;
            };
            if !declared.iter().any(|name| *name == text) {
                let at = self.span(name);
                self.undeclared(
                    "resourceClaim",
                    &text,
                    at,
                    declared.iter().map(String::as_str),
                    "this pod",
                );
            }
        }
    }

    /// The names of a list's elements, and whether these are all.
    pub(super) fn named(&self, of: V::Node, field: &str) -> (Vec<String>, bool) {
        let (nodes, mut all) = self.elements(of, field);
        let mut names = Vec::with_capacity(nodes.len());
        for node in nodes {
            match self.text_of(node, "name") {
                Some(name) => names.push(name.into_owned()),
                None => all = false,
            }
        }
        (names, all)
    }

    /// Volumes that containers mount are declared by the pod, or made from the claims of a StatefulSet.
    pub(super) fn mounts(&mut self, pod: V::Node, claims: (&[String], bool)) {
        let (mut volumes, all) = self.named(pod, "volumes");
        volumes.extend_from_slice(claims.0);
        if !all || !claims.1 {
            return;
        }
        for field in ["initContainers", "containers", "ephemeralContainers"] {
            for container in self.elements(pod, field).0 {
                for list in ["volumeMounts", "volumeDevices"] {
                    for mount in self.elements(container, list).0 {
                        let Some(name) = self.get(mount, "name") else {
                            continue;
                        };
                        let Some(text) = self.text(name) else {
                            continue;
                        };
                        if volumes.iter().any(|volume| *volume == text) {
                            continue;
                        }
                        let at = self.span(name);
                        self.undeclared(
                            "volume",
                            &text,
                            at,
                            volumes.iter().map(String::as_str),
                            "this pod",
                        );
                    }
                }
            }
        }
    }

    pub(super) fn pod(&mut self, node: V::Node) {
        if let Some(spec) = self.get(node, "spec") {
            self.mounts(spec, (&[], true));
        }
    }

    pub(super) fn toleration(&mut self, node: V::Node) {
        let operator = self.text_of(node, "operator");
        if let Some(kind) = self.get(node, "operator")
            && operator.as_deref().is_some_and(|text| text != "Exists")
            && self.slot(node, "key").is_absent()
        {
            let at = self.span(kind);
            self.say(
                Diagnostic::error("E0711", "a toleration without `key` is of every taint")
                    .label(at, "compares with no key")
                    .help("add `key = \"…\"`, or write \"Exists\""),
            );
        }
        if let (Some("Exists"), Some(value)) = (operator.as_deref(), self.get(node, "value"))
            && self.text(value).is_none_or(|text| !text.is_empty())
        {
            let at = self.span(value);
            self.say(
                Diagnostic::error("E0710", "the operator `Exists` compares with no value")
                    .label(at, "`value`")
                    .help("remove it, or use `Equal`"),
            );
        }
        if let Some(seconds) = self.get(node, "tolerationSeconds")
            && !matches!(self.slot(node, "effect"), Slot::Unknown)
        {
            let effect = self.get(node, "effect");
            let text = effect.and_then(|effect| self.text(effect));
            if effect.is_none() || text.is_some_and(|text| text != "NoExecute") {
                let at = self.span(seconds);
                self.say(
                    Diagnostic::error(
                        "E0710",
                        "`tolerationSeconds` belongs to the effect `NoExecute`",
                    )
                    .label(at, "for another effect")
                    .help("set `effect = \"NoExecute\"`"),
                );
            }
        }
    }

    /// Operators of selectors and whether they take values (apimachinery pkg/apis/meta/v1/validation).
    pub(super) fn selector_requirement(&mut self, node: V::Node) {
        let Some(operator) = self.get(node, "operator") else {
            return;
        };
        let Some(text) = self.text(operator) else {
            return;
        };
        let (values, all) = self.elements(node, "values");
        let at = self.span(operator);
        match &*text {
            "In" | "NotIn" if values.is_empty() && all => self.say(
                Diagnostic::error("E0711", format!("the operator `{text}` needs `values`"))
                    .label(at, "in what?"),
            ),
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let values = self.get(node, "values").map_or(at, |list| self.span(list));
                self.say(
                    Diagnostic::error("E0710", format!("the operator `{text}` takes no values"))
                        .label(values, "`values`")
                        .label(at, "the operator")
                        .help("remove them, or use `In`"),
                );
            }
            _ => {}
        }
    }
}
