//! What volumes hold and how containers mount them.
//!
//! pkg/apis/core/validation/validation.go validateDownwardAPIVolumeFile, validateProjectionSources,
//! validateEphemeralVolumeSource, validateEmptyDirVolumeSource, ValidateVolumeMounts, validateMountRecursiveReadOnly,
//! validateMountPropagation, validateVolumeDevices, validateContainerResourceDivisor.

use std::collections::HashMap;

use ordain_lang_syntax::{Diagnostic, Span};

use super::{Judge, Slot, View};
use crate::literal::quantity_nanos;

/// One of a quantity in the unit of [`quantity_nanos`].
const ONE: i128 = 1_000_000_000;

impl<V: View> Judge<'_, V> {
    /// What a variable takes from its pod is a single value.
    pub(super) fn env_source(&mut self, node: V::Node) {
        let Slot::Is(path) = self.at(node, &["fieldRef", "fieldPath"]) else {
            return;
        };
        let Some(text) = self.text(path) else { return };
        if matches!(&*text, "metadata.labels" | "metadata.annotations") {
            let at = self.span(path);
            self.say(
                Diagnostic::error(
                    "E0205",
                    format!("\"{text}\" is many values, a variable has one"),
                )
                .label(at, "all of them")
                .help(format!("name one: `{text}['KEY']`")),
            );
        }
    }

    /// A file of a volume that is about its pod.
    pub(super) fn downward_file(&mut self, node: V::Node) {
        let field = self.get(node, "fieldRef");
        let resource = self.get(node, "resourceFieldRef");
        match (field, resource) {
            (Some(_), Some(_)) => self.either(
                node,
                "fieldRef",
                "resourceFieldRef",
                "a file has one source",
            ),
            (None, None)
                if self.slot(node, "fieldRef").is_absent()
                    && self.slot(node, "resourceFieldRef").is_absent() =>
            {
                let at = self.span(node);
                self.say(
                    Diagnostic::error("E0702", "a file has one source, this has none")
                        .label(at, "none is set")
                        .help("set one of `fieldRef`, `resourceFieldRef`"),
                );
            }
            _ => {}
        }
        if let Some(field) = field
            && let Some(path) = self.get(field, "fieldPath")
            && let Some(text) = self.text(path)
            && !text.starts_with("metadata.")
        {
            let at = self.span(path);
            self.say(
                Diagnostic::error("E0205", format!("\"{text}\" is no field for a file"))
                    .label(at, "not known before the pod runs")
                    .help("files hold metadata; use a variable for the others"),
            );
        }
        if let Some(resource) = resource
            && self.slot(resource, "containerName").is_absent()
        {
            let at = self.span(resource);
            self.say(
                Diagnostic::error("E0711", "`containerName` is needed here")
                    .label(at, "of which container?")
                    .help("add `containerName = …`"),
            );
        }
    }

    /// Two sources of one volume cannot write the same file.
    pub(super) fn projected(&mut self, node: V::Node) {
        let mut files: HashMap<String, Span> = HashMap::new();
        for source in self.elements(node, "sources").0 {
            let mut paths: Vec<V::Node> = Vec::new();
            for kind in ["secret", "configMap", "downwardAPI"] {
                let Some(part) = self.get(source, kind) else {
                    continue;
                };
                for item in self.elements(part, "items").0 {
                    paths.extend(self.get(item, "path"));
                }
            }
            paths.extend(self.at(source, &["serviceAccountToken", "path"]).known());
            for path in paths {
                let Some(text) = self.text(path) else {
                    continue;
                };
                let at = self.span(path);
                if let Some(first) = files.insert(text.to_string(), at) {
                    self.twice("file", &text, at, first);
                }
            }
        }
    }

    pub(super) fn empty_dir(&mut self, node: V::Node) {
        let Some(limit) = self.get(node, "sizeLimit") else {
            return;
        };
        let amount = self.text(limit);
        if amount
            .as_deref()
            .and_then(quantity_nanos)
            .is_some_and(|n| n < 0)
        {
            let at = self.span(limit);
            self.say(
                Diagnostic::error("E0203", "`sizeLimit` is negative")
                    .label(at, "less than nothing")
                    .help("use 0 or more"),
            );
        }
    }

    /// Mounts that reach into the node need privileges; what is read-only all the way down is read-only at the top.
    pub(super) fn mount_modes(&mut self, node: V::Node) {
        let privileged = match self.at(node, &["securityContext", "privileged"]) {
            Slot::Absent => Some(false),
            Slot::Unknown => None,
            Slot::Is(flag) => self.view.flag(flag),
        };
        for mount in self.elements(node, "volumeMounts").0 {
            let both = self
                .get(mount, "mountPropagation")
                .filter(|way| self.text(*way).is_some_and(|t| t == "Bidirectional"));
            if let Some(way) = both
                && privileged == Some(false)
            {
                let at = self.span(way);
                self.say(
                    Diagnostic::error("E0710", "only a privileged container mounts both ways")
                        .label(at, "into the node as well")
                        .help("set `securityContext.privileged = true`, or use `HostToContainer`"),
                );
            }
            let Some(deep) = self.get(mount, "recursiveReadOnly") else {
                continue;
            };
            if self.text(deep).is_none_or(|text| text == "Disabled") {
                continue;
            }
            let at = self.span(deep);
            let writable = match self.slot(mount, "readOnly") {
                Slot::Absent => true,
                Slot::Unknown => false,
                Slot::Is(flag) => self.view.flag(flag) == Some(false),
            };
            if writable {
                self.say(
                    Diagnostic::error("E0711", "`recursiveReadOnly` needs `readOnly`")
                        .label(at, "read-only below")
                        .help("add `readOnly = true`"),
                );
            }
            if let Some(way) = self.get(mount, "mountPropagation")
                && self.text(way).is_some_and(|text| text != "None")
            {
                let way = self.span(way);
                self.say(
                    Diagnostic::error(
                        "E0710",
                        "`recursiveReadOnly` and propagation exclude each other",
                    )
                    .label(at, "read-only below")
                    .label(way, "propagated"),
                );
            }
        }
    }

    /// Only claims are devices.
    pub(super) fn devices(&mut self, pod: V::Node) {
        let (volumes, _) = self.elements(pod, "volumes");
        for list in ["initContainers", "containers"] {
            for container in self.elements(pod, list).0 {
                for device in self.elements(container, "volumeDevices").0 {
                    let Some(name) = self.get(device, "name") else {
                        continue;
                    };
                    let Some(text) = self.text(name) else {
                        continue;
                    };
                    let volume = volumes
                        .iter()
                        .find(|volume| self.text_of(**volume, "name").is_some_and(|n| n == text));
                    let Some(volume) = volume else { continue };
                    let is_claim = ["persistentVolumeClaim", "ephemeral"]
                        .iter()
                        .any(|source| !self.slot(*volume, source).is_absent());
                    if !is_claim {
                        let (at, volume) = (self.span(name), self.span(*volume));
                        self.say(
                            Diagnostic::error("E0710", format!("the volume `{text}` is no device"))
                                .label(at, "used as a device")
                                .label(volume, "not a claim")
                                .help("mount it with `volumeMounts`"),
                        );
                    }
                }
            }
        }
    }

    /// Units that an amount of a container can be told in.
    pub(super) fn divisor(&mut self, node: V::Node) {
        let (Some(resource), Some(divisor)) =
            (self.text_of(node, "resource"), self.get(node, "divisor"))
        else {
            return;
        };
        let Some(amount) = self.text(divisor).as_deref().and_then(quantity_nanos) else {
            return;
        };
        let good = match resource.ends_with(".cpu") {
            true => [0, ONE / 1000, ONE].contains(&amount),
            false => {
                amount == 0
                    || (0..=6).any(|power| {
                        [1000_i128.pow(power), 1024_i128.pow(power)]
                            .iter()
                            .any(|unit| unit * ONE == amount)
                    })
            }
        };
        if !good {
            let at = self.span(divisor);
            let help = match resource.ends_with(".cpu") {
                true => "write `1` or `1m`",
                false => "write `1`, or one of a unit: `1Mi`",
            };
            self.say(
                Diagnostic::error("E0205", format!("`{resource}` is not told in this unit"))
                    .label(at, "no unit")
                    .help(help),
            );
        }
    }
}
