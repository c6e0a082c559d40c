//! Which app an object belongs to.

use std::collections::{BTreeMap, BTreeSet};

use crate::object::Object;
use crate::write::text;
use crate::yaml::Node;

/// Labels that say which app an object is part of, the most telling first: a release of Helm is one app.
const LABELS: [&str; 5] = [
    "app.kubernetes.io/instance",
    "app.kubernetes.io/part-of",
    "app.kubernetes.io/name",
    "app",
    "k8s-app",
];
/// The app of definitions, which come before all else and are longer than all else.
const DEFINITIONS: &str = "crds";

/// An app of the result.
pub(crate) struct App {
    /// Its name in the language.
    pub(crate) name: String,
    /// Its objects by number, in the order of the input.
    pub(crate) objects: Vec<usize>,
}

/// Distributes objects over apps.
pub(crate) fn apps(objects: &[&Object], default: &str) -> Vec<App> {
    let is_definition = |object: &Object| object.kind == "CustomResourceDefinition";
    let splits = objects.iter().any(|object| !is_definition(object));
    let labels: Vec<Option<String>> = objects.iter().map(|object| label(&object.node)).collect();
    let known: BTreeSet<&str> = labels.iter().flatten().map(String::as_str).collect();
    let only = match known.first() {
        Some(only) if known.len() == 1 => Some(*only),
        _ => None,
    };
    let mut apps: Vec<App> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for (at, object) in objects.iter().copied().enumerate() {
        let named = if known.contains(object.name.as_str()) {
            Some(object.name.as_str())
        } else {
            None
        };
        let name = match &labels[at] {
            _ if splits && is_definition(object) => DEFINITIONS,
            Some(label) => label,
            None => named.or(only).unwrap_or(default),
        };
        let name = text::identifier(name);
        let place = *places.entry(name.clone()).or_insert(apps.len());
        if place == apps.len() {
            apps.push(App {
                name,
                objects: Vec::new(),
            });
        }
        apps[place].objects.push(at);
    }
    apps
}

fn label(node: &Node) -> Option<String> {
    let labels = node.get("metadata")?.get("labels")?;
    LABELS
        .iter()
        .find_map(|label| labels.get(label)?.str())
        .filter(|label| !label.is_empty())
        .map(str::to_owned)
}
