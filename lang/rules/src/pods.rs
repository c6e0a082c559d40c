//! What a pod spec refers to.

use crate::facts::Need;
use crate::gather::{
    CLAIM, CONFIG_MAP, Kind, PRIORITY_CLASS, RUNTIME_CLASS, Reading, SECRET, SERVICE_ACCOUNT,
};
use crate::tree::Tree;

/// Adds the references of a pod spec; returns the names of its containers' ports.
pub(crate) fn read<T: Tree>(reading: &mut Reading<'_, T>, spec: T::Node) -> Vec<Box<str>> {
    let tree = reading.tree;
    for (field, target) in [
        ("serviceAccountName", &SERVICE_ACCOUNT),
        ("priorityClassName", &PRIORITY_CLASS),
        ("runtimeClassName", &RUNTIME_CLASS),
    ] {
        reading.one(spec, &[field], target, field);
    }
    for secret in reading.list(spec, &["imagePullSecrets"]) {
        reading.one(secret, &["name"], &SECRET, "imagePullSecrets");
    }
    for volume in reading.list(spec, &["volumes"]) {
        read_volume(reading, volume);
    }
    let mut ports = Vec::new();
    for list in ["containers", "initContainers"] {
        for container in reading.list(spec, &[list]) {
            read_container(reading, container);
            for port in reading.list(container, &["ports"]) {
                ports.extend(tree.text_at(port, &["name"]).map(Box::from));
            }
        }
    }
    ports
}

fn read_volume<T: Tree>(reading: &mut Reading<'_, T>, volume: T::Node) {
    let tree = reading.tree;
    if let Some(source) = tree.get(volume, "configMap") {
        with_items(reading, source, "name", &CONFIG_MAP, "configMap");
    }
    if let Some(source) = tree.get(volume, "secret") {
        with_items(reading, source, "secretName", &SECRET, "secret");
    }
    if let Some(claim) = tree.get(volume, "persistentVolumeClaim") {
        reading.one(claim, &["claimName"], &CLAIM, "claimName");
    }
    if let Some(template) = tree.find(volume, &["ephemeral", "volumeClaimTemplate"]) {
        reading.storage_class(template);
    }
    if let Some(secret) = tree.find(volume, &["csi", "nodePublishSecretRef"]) {
        reading.one(secret, &["name"], &SECRET, "nodePublishSecretRef");
    }
    for source in reading.list(volume, &["projected", "sources"]) {
        if let Some(source) = tree.get(source, "configMap") {
            with_items(reading, source, "name", &CONFIG_MAP, "configMap");
        }
        if let Some(source) = tree.get(source, "secret") {
            with_items(reading, source, "name", &SECRET, "secret");
        }
    }
}

/// A volume's source with the keys that it takes, if it does not take all.
fn with_items<T: Tree>(
    reading: &mut Reading<'_, T>,
    source: T::Node,
    name: &str,
    target: &Kind,
    field: &'static str,
) {
    let tree = reading.tree;
    let Some(name) = tree.get(source, name) else {
        return;
    };
    if is_optional(tree, source) {
        return;
    }
    reading.refer(name, target, None, field);
    for item in reading.list(source, &["items"]) {
        if let Some(key) = tree.get(item, "key")
            && let Some(text) = tree.text(key)
        {
            let place = tree.place(key);
            reading.refer(name, target, Some((Need::Key(text.into()), place)), field);
        }
    }
}

fn read_container<T: Tree>(reading: &mut Reading<'_, T>, container: T::Node) {
    let tree = reading.tree;
    for source in reading.list(container, &["envFrom"]) {
        for (field, target) in [("configMapRef", &CONFIG_MAP), ("secretRef", &SECRET)] {
            if let Some(source) = tree.get(source, field)
                && !is_optional(tree, source)
            {
                reading.one(source, &["name"], target, field);
            }
        }
    }
    for variable in reading.list(container, &["env"]) {
        let Some(from) = tree.get(variable, "valueFrom") else {
            continue;
        };
        for (field, target) in [("configMapKeyRef", &CONFIG_MAP), ("secretKeyRef", &SECRET)] {
            let Some(source) = tree.get(from, field) else {
                continue;
            };
            let (Some(name), Some(key)) = (tree.get(source, "name"), tree.get(source, "key"))
            else {
                continue;
            };
            if !is_optional(tree, source)
                && let Some(text) = tree.text(key)
            {
                let place = tree.place(key);
                reading.refer(name, target, Some((Need::Key(text.into()), place)), field);
            }
        }
    }
}

/// Whether the reference may lead nowhere.
fn is_optional<T: Tree>(tree: &T, source: T::Node) -> bool {
    tree.get(source, "optional")
        .is_some_and(|node| tree.is_true(node))
}
