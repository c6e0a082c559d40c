//! From the documents of a file to its CustomResourceDefinitions: names, scope and versions.
//!
//! What the API server would refuse is a problem at its place; reading goes on with the rest.

use std::sync::Arc;

use crate::crd::{Crd, Version};
use crate::near::nearest;
use crate::problem::{Place, Problem};
use crate::read_schema;
use crate::yaml::{self, Node, Yaml};

/// How many mistakes of a file are told: more are of no use to anybody.
pub const MAX_PROBLEMS: usize = 1000;

/// The kind that is looked for.
const KIND: &str = "CustomResourceDefinition";
/// Its API group.
const GROUP: &str = "apiextensions.k8s.io/";

/// Reads the CustomResourceDefinitions of a file: every YAML document of that kind, also inside a `List`. Other
/// documents are left out.
///
/// Never fails and never panics, whatever the text is: what is wrong is told, each mistake at its place. A definition
/// with mistakes is given back as far as it could be read.
#[must_use]
pub fn parse(text: &str) -> (Vec<Crd>, Vec<Problem>) {
    let mut problems = Vec::new();
    let documents = yaml::read(text, &mut problems);
    let mut crds = Vec::new();
    for document in &documents {
        document_of(document, &mut crds, &mut problems);
    }
    problems.truncate(MAX_PROBLEMS);
    if crds.is_empty() && problems.is_empty() {
        let first = documents
            .iter()
            .find(|d| !matches!(d.value, Yaml::Null))
            .map_or(Place::default(), first_key);
        problems.push(
            Problem::error(
                "E0851",
                format!("the file has no {KIND}"),
                first,
                "its first document",
            )
            .help(
                "name the file that `kubectl get crd NAME -o yaml` or the operator's release gives",
            ),
        );
    }
    (crds, problems)
}

/// The first key of a mapping, which shows a long value better than all of it.
pub(crate) fn first_key(node: &Node) -> Place {
    match &node.value {
        Yaml::Map(entries) => entries.first().map_or(node.place, |(key, _)| key.place),
        _ => node.place,
    }
}

fn document_of(node: &Node, crds: &mut Vec<Crd>, problems: &mut Vec<Problem>) {
    let kind = node.get("kind").and_then(Node::as_str).unwrap_or_default();
    if kind == "List" || kind == "CustomResourceDefinitionList" {
        if let Some(Yaml::List(items)) = node.get("items").map(|items| &items.value) {
            for item in items {
                document_of(item, crds, problems);
            }
        }
        return;
    }
    if kind != KIND {
        return;
    }
    let version = node.get("apiVersion");
    match version.and_then(Node::as_str) {
        Some("apiextensions.k8s.io/v1") => {}
        Some("apiextensions.k8s.io/v1beta1") => {
            let place = version.map_or(node.place, |v| v.place);
            problems.push(
                Problem::error(
                    "E0855",
                    "CustomResourceDefinitions of v1beta1 are not served since Kubernetes 1.22",
                    place,
                    "this version",
                )
                .help("use the operator's definition for `apiextensions.k8s.io/v1`"),
            );
            return;
        }
        _ => {
            let place = version.map_or(first_key(node), |v| v.place);
            problems.push(
                Problem::error(
                    "E0853",
                    format!("a {KIND} has the API version `{GROUP}v1`"),
                    place,
                    "here",
                )
                .help(format!("write `apiVersion: {GROUP}v1`")),
            );
            return;
        }
    }
    let mut reader = Reader { problems };
    crds.extend(reader.crd(node));
}

/// Reads one definition.
struct Reader<'p> {
    problems: &'p mut Vec<Problem>,
}

impl Reader<'_> {
    fn crd(&mut self, node: &Node) -> Option<Crd> {
        let spec = self.map(node, "spec")?;
        let name = node
            .get("metadata")
            .and_then(|m| m.get("name"))
            .and_then(Node::as_str)
            .unwrap_or_default();
        let group = self.text(spec, "group");
        let names = self.map(spec, "names");
        let kind = names.and_then(|names| self.text(names, "kind"));
        let plural = names.and_then(|names| self.text(names, "plural"));
        let namespaced = self.scope(spec);
        let versions = self.versions(spec);
        let (group, names, (kind, kind_place), plural) = (group?, names?, kind?, plural?);
        let wanted = format!("{}.{}", plural.0, group.0);
        if name != wanted {
            let place = node.get("metadata").map_or(first_key(node), |m| {
                m.get("name").map_or(first_key(m), |n| n.place)
            });
            self.problems.push(
                Problem::error(
                    "E0853",
                    format!("the {KIND} must be named `{wanted}`"),
                    place,
                    "its name",
                )
                .label(plural.1, "the plural, which the name begins with")
                .help(format!("write `name: {wanted}`")),
            );
        }
        let optional = |key: &str| names.get(key).and_then(Node::as_str).map(Arc::<str>::from);
        let short_names = match names.get("shortNames").map(|n| &n.value) {
            Some(Yaml::List(items)) => items
                .iter()
                .filter_map(Node::as_str)
                .map(Arc::from)
                .collect(),
            _ => Vec::new(),
        };
        Some(Crd {
            name: name.into(),
            place: first_key(spec),
            singular: optional("singular").unwrap_or_else(|| kind.to_lowercase().into()),
            list_kind: optional("listKind").unwrap_or_else(|| format!("{kind}List").into()),
            group: group.0,
            kind,
            kind_place,
            plural: plural.0,
            short_names,
            namespaced: namespaced?,
            versions: versions?,
        })
    }

    /// A key that must be there, with a mapping behind it.
    fn map<'n>(&mut self, node: &'n Node, key: &str) -> Option<&'n Node> {
        let found = self.present(node, key)?;
        if matches!(found.value, Yaml::Map(_)) {
            return Some(found);
        }
        self.wrong(key, found, "a mapping");
        None
    }

    /// A key that must be there, with a string behind it.
    fn text(&mut self, node: &Node, key: &str) -> Option<(Arc<str>, Place)> {
        let found = self.present(node, key)?;
        match found.as_str() {
            Some(text) if !text.is_empty() => Some((text.into(), found.place)),
            _ => {
                self.wrong(key, found, "a string");
                None
            }
        }
    }

    fn present<'n>(&mut self, node: &'n Node, key: &str) -> Option<&'n Node> {
        let found = node.get(key);
        if found.is_none() {
            let near = match &node.value {
                Yaml::Map(entries) => {
                    nearest(key, entries.iter().map(|(key, _)| key.name.as_str()))
                }
                _ => None,
            };
            let problem = Problem::error(
                "E0853",
                format!("a {KIND} needs `{key}`"),
                first_key(node),
                "missing here",
            );
            self.problems.push(match near {
                Some(near) => problem.help(format!("is `{near}` meant?")),
                None => problem,
            });
        }
        found
    }

    fn wrong(&mut self, key: &str, node: &Node, wanted: &str) {
        self.problems.push(Problem::error(
            "E0853",
            format!("`{key}` is {wanted}"),
            node.place_of_start(),
            format!("this is {}", node.what()),
        ));
    }

    fn scope(&mut self, spec: &Node) -> Option<bool> {
        let (scope, place) = self.text(spec, "scope")?;
        match &*scope {
            "Namespaced" => Some(true),
            "Cluster" => Some(false),
            _ => {
                self.problems.push(
                    Problem::error(
                        "E0853",
                        format!("there is no scope `{scope}`"),
                        place,
                        "this scope",
                    )
                    .help("write `Namespaced` or `Cluster`"),
                );
                None
            }
        }
    }

    fn versions(&mut self, spec: &Node) -> Option<Vec<Version>> {
        let found = self.present(spec, "versions")?;
        let Yaml::List(items) = &found.value else {
            self.wrong("versions", found, "a list");
            return None;
        };
        let mut versions: Vec<Version> = Vec::with_capacity(items.len());
        for item in items {
            let Some(version) = self.version(item) else {
                continue;
            };
            if let Some(first) = versions.iter().find(|v| v.name == version.name) {
                self.problems.push(
                    Problem::error(
                        "E0853",
                        format!("the version `{}` is there twice", version.name),
                        version.place,
                        "again here",
                    )
                    .label(first.place, "first here"),
                );
                continue;
            }
            versions.push(version);
        }
        let stored: Vec<Place> = versions
            .iter()
            .filter(|v| v.storage)
            .map(|v| v.place)
            .collect();
        match stored.as_slice() {
            // With a version that could not be read, the stored one may be that.
            [] if versions.len() < items.len() => {}
            [] => self.problems.push(
                Problem::error(
                    "E0853",
                    "one version must be stored, none is",
                    found.place_of_start(),
                    "these versions",
                )
                .help("write `storage: true` in one of them"),
            ),
            [_] => {}
            [first, second, ..] => self.problems.push(
                Problem::error(
                    "E0853",
                    "one version is stored, not several",
                    *second,
                    "stored as well",
                )
                .label(*first, "stored"),
            ),
        }
        Some(versions)
    }

    fn version(&mut self, node: &Node) -> Option<Version> {
        let (name, place) = self.text(node, "name")?;
        let served = self.flag(node, "served");
        let storage = self.flag(node, "storage");
        let schema = self
            .map(node, "schema")
            .and_then(|schema| self.map(schema, "openAPIV3Schema"));
        let deprecated = node
            .get("deprecated")
            .filter(|d| matches!(d.value, Yaml::Bool(true)))
            .map(|d| {
                let warning = node.get("deprecationWarning").and_then(Node::as_str);
                (d.place, warning.map(Arc::from))
            });
        let schema = read_schema::root(schema?, self.problems);
        Some(Version {
            has_rules: crate::cel::has_rules(&schema),
            name,
            place,
            served: served.unwrap_or((true, place)),
            storage: storage.is_some_and(|(storage, _)| storage),
            deprecated,
            schema: Arc::new(schema),
            has_status: node
                .get("subresources")
                .is_some_and(|s| s.get("status").is_some()),
        })
    }

    fn flag(&mut self, node: &Node, key: &str) -> Option<(bool, Place)> {
        let found = self.present(node, key)?;
        match found.value {
            Yaml::Bool(flag) => Some((flag, found.place)),
            _ => {
                self.wrong(key, found, "true or false");
                None
            }
        }
    }
}

impl Node {
    /// A short place that shows where a value begins.
    pub(crate) fn place_of_start(&self) -> Place {
        match &self.value {
            Yaml::Map(_) => first_key(self),
            Yaml::List(items) => items.first().map_or(self.place, Node::place_of_start),
            _ => self.place,
        }
    }
}
