//! Volumes and claims on them.
//!
//! pkg/apis/core/validation/validation.go ValidatePersistentVolumeClaimSpec, ValidatePersistentVolumeSpec,
//! validateHostPathVolumeSource, validatePathNoBacksteps.

use ordain_lang_syntax::Diagnostic;

use super::{Judge, Slot, View};
use crate::literal::quantity_nanos;

impl<V: View> Judge<'_, V> {
    pub(super) fn claim_spec(&mut self, node: V::Node) {
        self.access_modes(node, "a volume claim");
        self.data_sources(node);
        let storage = self.at(node, &["resources", "requests", "storage"]);
        self.amount(
            node,
            storage,
            "a volume claim",
            "resources.requests.storage",
        );
    }

    pub(super) fn storage_class(&mut self, node: V::Node) {
        let Some(parameters) = self.get(node, "parameters") else {
            return;
        };
        for part in self.parts(parameters).0 {
            if part.key.is_empty() {
                self.say(
                    Diagnostic::error("E0205", "a parameter has a name")
                        .label(part.key_span, "empty"),
                );
            }
        }
    }

    /// What a claim is filled from, said twice, is the same.
    fn data_sources(&mut self, node: V::Node) {
        let (Some(one), Some(other)) = (
            self.get(node, "dataSource"),
            self.get(node, "dataSourceRef"),
        ) else {
            return;
        };
        for field in ["kind", "name"] {
            let (a, b) = (self.text_of(one, field), self.text_of(other, field));
            if let (Some(a), Some(b)) = (a, b)
                && a != b
            {
                let (one, other) = (self.span(one), self.span(other));
                self.say(
                    Diagnostic::error("E0710", "`dataSource` and `dataSourceRef` are different")
                        .label(other, "this one")
                        .label(one, "and this one")
                        .help("remove `dataSource`"),
                );
                return;
            }
        }
    }

    pub(super) fn volume_spec(&mut self, node: V::Node) {
        self.access_modes(node, "a persistent volume");
        if let Some(local) = self.get(node, "local")
            && self.slot(node, "nodeAffinity").is_absent()
        {
            let at = self.span(local);
            self.say(
                Diagnostic::error("E0711", "a local volume needs `nodeAffinity`")
                    .label(at, "on which node?"),
            );
        }
        if let (Slot::Is(path), Some(policy)) = (
            self.at(node, &["hostPath", "path"]),
            self.get(node, "persistentVolumeReclaimPolicy"),
        ) && self.text(path).is_some_and(|text| text == "/")
            && self.text(policy).is_some_and(|text| text == "Recycle")
        {
            let (at, path) = (self.span(policy), self.span(path));
            self.say(
                Diagnostic::error("E0710", "a whole node cannot be recycled")
                    .label(at, "everything is removed")
                    .label(path, "of the node"),
            );
        }
        let storage = self.at(node, &["capacity", "storage"]);
        self.amount(node, storage, "a persistent volume", "capacity.storage");
    }

    fn amount(&mut self, node: V::Node, storage: Slot<V::Node>, what: &str, field: &str) {
        match storage {
            Slot::Unknown => {}
            Slot::Absent => {
                let at = self.span(node);
                self.say(
                    Diagnostic::error("E0711", format!("{what} needs `{field}`"))
                        .label(at, "how much is not said")
                        .help(format!("add `{field} = 1Gi`")),
                );
            }
            Slot::Is(storage) => {
                let nanos = self.text(storage).as_deref().and_then(quantity_nanos);
                if nanos.is_some_and(|n| n <= 0) {
                    let at = self.span(storage);
                    self.say(
                        Diagnostic::error("E0203", format!("`{field}` must be more than 0"))
                            .label(at, "not more than 0"),
                    );
                }
            }
        }
    }

    fn access_modes(&mut self, node: V::Node, what: &str) {
        let (modes, all) = self.elements(node, "accessModes");
        if modes.is_empty() && all {
            let at = self.span(node);
            self.say(
                Diagnostic::error("E0711", format!("{what} needs an access mode"))
                    .label(at, "without `accessModes`")
                    .help("add `accessModes = [\"ReadWriteOnce\"]`"),
            );
        }
        if modes.len() < 2 {
            return;
        }
        for mode in modes {
            if self
                .text(mode)
                .is_some_and(|text| text == "ReadWriteOncePod")
            {
                let at = self.span(mode);
                self.say(
                    Diagnostic::error("E0710", "`ReadWriteOncePod` stands alone")
                        .label(at, "beside another mode")
                        .help("remove the other modes"),
                );
            }
        }
    }

    pub(super) fn host_path(&mut self, node: V::Node) {
        let Some(path) = self.get(node, "path") else {
            return;
        };
        let Some(text) = self.text(path) else { return };
        // Nodes with Windows have drives.
        let drive = text.as_bytes().get(1) == Some(&b':');
        let why = if text.split('/').any(|step| step == "..") {
            "it has a step back: `..`"
        } else if !text.starts_with('/') && !drive {
            "it must begin with `/`"
        } else {
            return;
        };
        let at = self.span(path);
        self.say(
            Diagnostic::error("E0205", format!("\"{text}\" is no path of a node: {why}"))
                .label(at, "no such path"),
        );
    }

    pub(super) fn volume_mount(&mut self, node: V::Node) {
        if let Some(path) = self.get(node, "mountPath")
            && self.text(path).is_some_and(|text| text.is_empty())
        {
            let at = self.span(path);
            self.say(Diagnostic::error("E0205", "`mountPath` is empty").label(at, "no path"));
        }
        let Some(path) = self.get(node, "subPath") else {
            return;
        };
        let Some(text) = self.text(path) else { return };
        if text.starts_with('/') || text.split('/').any(|step| step == "..") {
            let at = self.span(path);
            self.say(
                Diagnostic::error("E0205", format!("\"{text}\" is no path in a volume"))
                    .label(at, "it would leave the volume")
                    .help("write a relative path without `..`"),
            );
        }
    }
}
