//! Documents to Kubernetes objects: lists are taken apart, what is no object is told and left out.

use std::collections::HashMap;

use ordain_lang_syntax::{Diagnostic, FileId, Span};

use ordain_schemas::{Table, WATCH_EVENT, is_message};

use crate::yaml::{self, Document, Node, Value};

/// An object of the input.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    /// Empty where there is none.
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
    /// The whole object.
    pub(crate) node: Node,
    /// What stood before it.
    pub(crate) comments: Vec<String>,
    /// Where its kind is said.
    pub(crate) span: Span,
    /// The environment that it belongs to, by number; 0 without environments.
    pub(crate) env: usize,
}

/// What tells objects of a set apart. The version is no part of it: one object can be read in several.
pub(crate) type Identity = (String, String, Option<String>, String);

impl Object {
    /// What tells the object from others.
    pub(crate) fn identity(&self) -> Identity {
        let group = self
            .api_version
            .rsplit_once('/')
            .map_or("", |(group, _)| group);
        (
            group.to_owned(),
            self.kind.clone(),
            self.namespace.clone(),
            self.name.clone(),
        )
    }

    /// How messages call it: `Deployment shop/web`.
    pub(crate) fn shown(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{}", self.kind, self.name),
            None => format!("{} {}", self.kind, self.name),
        }
    }
}

/// Groups whose documents are read by tools and never by the API server.
const TOOLS: [&str; 2] = ["kustomize.config.k8s.io", "kind.x-k8s.io"];

/// Reads the objects of a file.
pub(crate) fn objects(
    file: FileId,
    text: &str,
    env: usize,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Object> {
    let mut objects = Vec::new();
    for Document { root, after } in yaml::read(file, text, diagnostics) {
        let before = objects.len();
        take(root, env, &mut objects, diagnostics);
        if let Some(last) = objects[before..].last_mut() {
            last.comments.extend(after);
        }
    }
    objects
}

/// Takes one document, or one element of a list.
// Recursion is as deep as lists of lists, which the reader bounds.
fn take(mut node: Node, env: usize, objects: &mut Vec<Object>, diagnostics: &mut Vec<Diagnostic>) {
    if let Value::List(items) = node.value {
        // `ordain build --format json` and `kubectl get -o json` of several make lists.
        for item in items {
            take(item, env, objects, diagnostics);
        }
        return;
    }
    let text = |node: &Node, key: &str| node.get(key).and_then(Node::str).map(str::to_owned);
    let (api_version, kind) = match is_watch_event(&node) {
        // What a watch sends says nothing of itself.
        true => (Some(String::new()), Some(WATCH_EVENT.to_owned())),
        false => (text(&node, "apiVersion"), text(&node, "kind")),
    };
    let (Some(api_version), Some(kind)) = (api_version, kind) else {
        let help = match node.value {
            Value::Map(_) => "an object says its `apiVersion` and its `kind`",
            _ => "an object is a map with `apiVersion`, `kind` and `metadata`",
        };
        diagnostics.push(
            Diagnostic::warning("W0951", "this is no Kubernetes object; it is left out")
                .label(first_line(&node), "this document")
                .help(help),
        );
        return;
    };
    let kind_span = node.get("kind").map_or(node.span, |node| node.span);
    let group = api_version.split('/').next().unwrap_or_default();
    if TOOLS.contains(&group) {
        diagnostics.push(
            Diagnostic::warning(
                "W0951",
                format!("a `{kind}` is read by a tool and never by the API server; it is left out"),
            )
            .label(kind_span, "this document")
            .help("import what the tool makes of it, such as the output of `kubectl kustomize`"),
        );
        return;
    }
    if is_list(&node, &kind) {
        let element = kind.strip_suffix("List").unwrap_or_default().to_owned();
        let Value::Map(entries) = node.value else {
            return;
        };
        let items = entries.into_iter().find(|entry| entry.key == "items");
        let Some(Value::List(items)) = items.map(|entry| entry.node.value) else {
            return;
        };
        for mut item in items {
            // The elements of a `DeploymentList` need not repeat what they are.
            if !element.is_empty()
                && item.get("kind").is_none()
                && let Value::Map(entries) = &mut item.value
            {
                let entry = |key: &str, text: &str| yaml::Entry {
                    key: key.to_owned(),
                    key_span: kind_span,
                    node: Node::plain(kind_span, Value::Str(text.to_owned())),
                };
                entries.retain(|entry| entry.key != "apiVersion");
                entries.insert(0, entry("apiVersion", &api_version));
                entries.insert(1, entry("kind", &element));
            }
            take(item, env, objects, diagnostics);
        }
        return;
    }
    let metadata = node.get("metadata");
    let name = metadata.and_then(|metadata| text(metadata, "name"));
    let namespace = metadata.and_then(|metadata| text(metadata, "namespace"));
    let mut comments = std::mem::take(&mut node.before);
    if let Value::Map(entries) = &mut node.value {
        // A typed object does not write these two, so what was said about them is said about it.
        for entry in entries
            .iter_mut()
            .filter(|entry| matches!(entry.key.as_str(), "apiVersion" | "kind"))
        {
            comments.append(&mut entry.node.before);
            comments.extend(entry.node.behind.take());
        }
    }
    objects.push(Object {
        api_version,
        kind,
        name: name.unwrap_or_default(),
        namespace,
        comments,
        span: kind_span,
        env,
        node,
    });
}

/// `List`, and `DeploymentList` and its like: with items and without a name.
fn is_list(node: &Node, kind: &str) -> bool {
    let has_items = matches!(
        node.get("items").map(|node| &node.value),
        Some(Value::List(_) | Value::Null)
    );
    let name = node
        .get("metadata")
        .and_then(|metadata| metadata.get("name"));
    kind.ends_with("List") && has_items && name.is_none()
}

/// What a watch sends: a `type` and an `object`.
fn is_watch_event(node: &Node) -> bool {
    let has_object = matches!(
        node.get("object").map(|node| &node.value),
        Some(Value::Map(_))
    );
    let has_type = node.get("type").and_then(Node::str).is_some();
    has_object && has_type && node.entries().is_some_and(|entries| entries.len() == 2)
}

/// The place of a document without its many lines.
fn first_line(node: &Node) -> Span {
    match &node.value {
        Value::Map(entries) => entries.first().map_or(node.span, |entry| entry.key_span),
        _ => node.span,
    }
}

/// Leaves out what has no name and needs one, and all but one object of each identity and environment: of equal ones
/// the first, of different ones the last, as `kubectl apply` does; those are told.
pub(crate) fn without_twins(
    objects: Vec<Object>,
    table: &Table,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Object> {
    let mut known: HashMap<(usize, Identity), usize> = HashMap::new();
    let mut out: Vec<Object> = Vec::with_capacity(objects.len());
    for object in objects {
        if object.name.is_empty() && is_message(table, &object.api_version, &object.kind) {
            // Messages have no identity, so none is another's twin.
            out.push(object);
            continue;
        }
        if object.name.is_empty() {
            let generates = object
                .node
                .get("metadata")
                .and_then(|metadata| metadata.get("generateName"))
                .is_some();
            let help = match generates {
                true => {
                    "set `metadata.name`: a name made by the cluster cannot be compared with it"
                }
                false => "set `metadata.name`: it is how the object is found in the cluster",
            };
            diagnostics.push(
                Diagnostic::error(
                    "E0956",
                    format!("a `{}` without a name; it is left out", object.kind),
                )
                .label(object.span, "this object")
                .help(help),
            );
            continue;
        }
        let key = (object.env, object.identity());
        let Some(&at) = known.get(&key) else {
            known.insert(key, out.len());
            out.push(object);
            continue;
        };
        if out[at].node.json() == object.node.json() {
            continue;
        }
        diagnostics.push(
            Diagnostic::error(
                "E0955",
                format!("`{}` is there twice, and differs", object.shown()),
            )
            .label(object.span, "this one is taken")
            .label(out[at].span, "this one is left out")
            .help("remove one of them from the input"),
        );
        out[at] = object;
    }
    out
}
