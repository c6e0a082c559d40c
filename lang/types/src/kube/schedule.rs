//! Where pods may run, and what a whole pod rules out: affinity, spreading, gates, systems.
//!
//! pkg/apis/core/validation/validation.go ValidateTolerations, ValidateNodeSelectorRequirement, validateNodeFieldSelector,
//! validateTopologySpreadConstraints, validateSchedulingGates, validateSysctls, validateHostUsers, validateWindows,
//! validateLinux, validatePodResources.

use std::collections::HashMap;

use ordain_lang_syntax::{Diagnostic, Span};

use super::{Judge, Slot, View};
use crate::literal::quantity_nanos;

/// Fields of security contexts that Windows does not know.
const NOT_ON_WINDOWS: [&str; 16] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "fsGroupChangePolicy",
    "sysctls",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "fsGroup",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "seLinuxChangePolicy",
];
/// How long a pod has to end when nobody says it, in seconds.
const GRACE: i64 = 30;
/// The lists of a pod's containers.
const CONTAINERS: [&str; 2] = ["initContainers", "containers"];

impl<V: View> Judge<'_, V> {
    /// A `Gt` or `Lt` of a node selector compares with one value.
    pub(super) fn node_requirement(&mut self, node: V::Node) {
        self.selector_requirement(node);
        let Some(operator) = self.get(node, "operator") else {
            return;
        };
        let Some(text) = self.text(operator) else {
            return;
        };
        let (values, all) = self.elements(node, "values");
        if matches!(&*text, "Gt" | "Lt") && (values.len() > 1 || (all && values.is_empty())) {
            let at = self.span(operator);
            self.say(
                Diagnostic::error("E0711", format!("the operator `{text}` needs one value"))
                    .label(at, "compared with what?")
                    .help("write `values = [\"4\"]`"),
            );
        }
    }

    /// Fields of a node that can be asked for: its name.
    pub(super) fn node_selector_term(&mut self, node: V::Node) {
        for field in self.elements(node, "matchFields").0 {
            let Some(key) = self.get(field, "key") else {
                continue;
            };
            let Some(text) = self.text(key) else { continue };
            if text != "metadata.name" {
                let at = self.span(key);
                self.say(
                    Diagnostic::error("E0205", format!("a node is not chosen by \"{text}\""))
                        .label(at, "no such field")
                        .help("write `metadata.name`, or use `matchExpressions` for labels"),
                );
            }
        }
    }

    pub(super) fn spread(&mut self, node: V::Node) {
        if let (Some(domains), Some(when)) = (
            self.get(node, "minDomains"),
            self.get(node, "whenUnsatisfiable"),
        ) && self.text(when).is_some_and(|text| text == "ScheduleAnyway")
        {
            let (at, when) = (self.span(domains), self.span(when));
            self.say(
                Diagnostic::error("E0710", "`minDomains` belongs to `DoNotSchedule`")
                    .label(at, "`minDomains`")
                    .label(when, "scheduled anyway")
                    .help("remove one of them"),
            );
        }
        if let Some(keys) = self.get(node, "matchLabelKeys")
            && self.view.count(keys).len > 0
            && self.slot(node, "labelSelector").is_absent()
        {
            let at = self.span(keys);
            self.say(
                Diagnostic::error("E0711", "`matchLabelKeys` needs a `labelSelector`")
                    .label(at, "added to nothing"),
            );
        }
    }

    /// What a pod rules out as a whole.
    pub(super) fn whole_pod(&mut self, node: V::Node) {
        if let Some(gates) = self.get(node, "schedulingGates")
            && self.view.count(gates).len > 0
        {
            self.either(
                node,
                "schedulingGates",
                "nodeName",
                "a pod with a node is scheduled already",
            );
        }
        self.own_users(node);
        self.sysctls(node);
        self.system(node);
        self.sleeps(node);
        self.pod_resources(node);
    }

    fn own_users(&mut self, node: V::Node) {
        let Some(own) = self.get(node, "hostUsers") else {
            return;
        };
        if self.view.flag(own) != Some(false) {
            return;
        }
        for field in ["hostPID", "hostIPC"] {
            let Some(shared) = self.get(node, field) else {
                continue;
            };
            if self.view.flag(shared) == Some(true) {
                let (at, own) = (self.span(shared), self.span(own));
                self.say(
                    Diagnostic::error(
                        "E0710",
                        format!("a pod with users of its own cannot have `{field}`"),
                    )
                    .label(at, "shared with the node")
                    .label(own, "users of its own")
                    .help("remove one of them"),
                );
            }
        }
    }

    fn sysctls(&mut self, node: V::Node) {
        let Some(context) = self.get(node, "securityContext") else {
            return;
        };
        let mut names: HashMap<String, Span> = HashMap::new();
        for sysctl in self.elements(context, "sysctls").0 {
            let Some(name) = self.get(sysctl, "name") else {
                continue;
            };
            let Some(text) = self.text(name) else {
                continue;
            };
            let text = text.replace('/', ".");
            let at = self.span(name);
            let (field, what) = if text.starts_with("net.") {
                ("hostNetwork", "network")
            } else if ["kernel.shm", "kernel.msg", "fs.mqueue."]
                .iter()
                .any(|start| text.starts_with(start))
                || text == "kernel.sem"
            {
                ("hostIPC", "memory")
            } else {
                ("", "")
            };
            if let Some(shared) = self.get(node, field).filter(|_| !field.is_empty())
                && self.view.flag(shared) == Some(true)
            {
                let shared = self.span(shared);
                self.say(
                    Diagnostic::error("E0710", format!("`{text}` would change the node's {what}"))
                        .label(at, "set here")
                        .label(shared, "shared with the node"),
                );
            }
            if let Some(first) = names.insert(text.clone(), at) {
                self.twice("setting", &text, at, first);
            }
        }
    }

    fn system(&mut self, node: V::Node) {
        let context = self.get(node, "securityContext");
        let mut contexts: Vec<V::Node> = context.into_iter().collect();
        for list in CONTAINERS {
            for container in self.elements(node, list).0 {
                contexts.extend(self.get(container, "securityContext"));
            }
        }
        let process = context
            .and_then(|context| self.at(context, &["windowsOptions", "hostProcess"]).known());
        if let Some(process) = process
            && self.view.flag(process) == Some(true)
            && self.slot(node, "hostNetwork").is_absent()
        {
            let at = self.span(process);
            self.say(
                Diagnostic::error("E0711", "a process of the node needs `hostNetwork`")
                    .label(at, "runs on the node")
                    .help("add `hostNetwork = true`"),
            );
        }
        let Slot::Is(name) = self.at(node, &["os", "name"]) else {
            return;
        };
        let foreign: &[&str] = match self.text(name).as_deref() {
            Some("windows") => &NOT_ON_WINDOWS,
            Some("linux") => &["windowsOptions"],
            _ => return,
        };
        let mut found: Vec<(V::Node, &str)> = Vec::new();
        for context in contexts {
            found.extend(
                foreign
                    .iter()
                    .filter_map(|field| Some((self.get(context, field)?, *field))),
            );
        }
        for (value, field) in found {
            let (at, name) = (self.span(value), self.span(name));
            self.say(
                Diagnostic::error("E0710", format!("`{field}` belongs to another system"))
                    .label(at, format!("`{field}`"))
                    .label(name, "the pod's system")
                    .help("remove one of them"),
            );
        }
    }

    /// Hooks that sleep end before the pod must.
    fn sleeps(&mut self, node: V::Node) {
        let grace = match self.slot(node, "terminationGracePeriodSeconds") {
            Slot::Absent => GRACE,
            Slot::Unknown => return,
            Slot::Is(grace) => match self.view.int(grace) {
                Some(seconds) => seconds,
                None => return,
            },
        };
        for list in CONTAINERS {
            for container in self.elements(node, list).0 {
                for hook in ["postStart", "preStop"] {
                    let path = ["lifecycle", hook, "sleep", "seconds"];
                    let Slot::Is(seconds) = self.at(container, &path) else {
                        continue;
                    };
                    if self.view.int(seconds).is_some_and(|sleep| sleep > grace) {
                        let at = self.span(seconds);
                        self.say(
                            Diagnostic::error(
                                "E0710",
                                format!(
                                    "the hook sleeps longer than the {grace} s the pod has to end"
                                ),
                            )
                            .label(at, "too long")
                            .help("raise `terminationGracePeriodSeconds`"),
                        );
                    }
                }
            }
        }
    }

    /// Resources of the pod as a whole hold those of its containers.
    fn pod_resources(&mut self, node: V::Node) {
        let Some(whole) = self.get(node, "resources") else {
            return;
        };
        let containers = self.elements(node, "containers").0;
        for field in ["requests", "limits"] {
            let Some(map) = self.get(whole, field) else {
                continue;
            };
            for part in self.parts(map).0 {
                let name = &*part.key;
                let at = self.span(part.node);
                if !matches!(name, "cpu" | "memory") && !name.starts_with("hugepages-") {
                    self.say(
                        Diagnostic::error(
                            "E0708",
                            format!("a pod as a whole has no resource `{name}`"),
                        )
                        .label(part.key_span, "of containers only")
                        .help("write cpu, memory or hugepages-SIZE; others belong to a container"),
                    );
                    continue;
                }
                let amount = |node: V::Node| self.text(node).as_deref().and_then(quantity_nanos);
                let Some(have) = amount(part.node) else {
                    continue;
                };
                let wanted: Vec<i128> = containers
                    .iter()
                    .filter_map(|container| {
                        amount(self.at(*container, &["resources", field, name]).known()?)
                    })
                    .collect();
                let need = match field {
                    "requests" => wanted.iter().sum::<i128>(),
                    _ => wanted.into_iter().max().unwrap_or(0),
                };
                if need > have {
                    let message = match field {
                        "requests" => format!("the containers request more `{name}` than the pod"),
                        _ => format!("a container's limit of `{name}` is above the pod's"),
                    };
                    self.say(Diagnostic::error("E0701", message).label(at, "of the whole pod"));
                }
            }
        }
    }
}
