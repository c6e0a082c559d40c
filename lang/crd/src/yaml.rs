//! YAML with the place of every key and value, so that a rule can be pointed at where it is written.
//!
//! Scalars mean what `kubectl` takes them for. Knows nothing of CustomResourceDefinitions.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::Value as Json;

use crate::problem::{Place, Problem};

/// The largest file that is read: several times the largest bundles of CRDs there are.
pub const MAX_BYTES: usize = 32 << 20;
/// The most keys and values of a file, those that aliases repeat included.
pub const MAX_NODES: usize = 2_000_000;
/// How deep values may be nested. Schemas written for Kubernetes stay below 60.
pub const MAX_DEPTH: usize = 160;

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Yaml,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Yaml {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key and its place.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) name: String,
}

impl Node {
    /// What it is, in messages.
    pub(crate) fn what(&self) -> &'static str {
        match &self.value {
            Yaml::Null => "nothing",
            Yaml::Bool(_) => "a boolean",
            Yaml::Int(_) => "an integer",
            Yaml::Float(_) => "a number",
            Yaml::Str(_) => "a string",
            Yaml::List(_) => "a list",
            Yaml::Map(_) => "a mapping",
        }
    }

    /// The value under a key.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        self.entry(name).map(|(_, node)| node)
    }

    /// The key and the value under it.
    pub(crate) fn entry(&self, name: &str) -> Option<(&Key, &Node)> {
        match &self.value {
            Yaml::Map(entries) => entries
                .iter()
                .find(|(key, _)| key.name == name)
                .map(|(key, node)| (key, node)),
            _ => None,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.value {
            Yaml::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Without its places.
    pub(crate) fn json(&self) -> Json {
        match &self.value {
            Yaml::Null => Json::Null,
            Yaml::Bool(b) => Json::Bool(*b),
            Yaml::Int(n) => Json::from(*n),
            Yaml::Float(f) => Json::from(*f),
            Yaml::Str(text) => Json::String(text.clone()),
            Yaml::List(items) => Json::Array(items.iter().map(Node::json).collect()),
            Yaml::Map(entries) => Json::Object(
                entries
                    .iter()
                    .map(|(key, node)| (key.name.clone(), node.json()))
                    .collect(),
            ),
        }
    }
}

/// A collection whose end has not been seen.
enum Open {
    List(Place, usize, Vec<Node>),
    Map(Place, usize, Vec<(Key, Node)>, Option<Key>),
}

/// Reads all documents of a text. What is wrong ends the reading; the documents before it are kept.
pub(crate) fn read(text: &str, problems: &mut Vec<Problem>) -> Vec<Node> {
    let start = Place { start: 0, end: 0 };
    if text.len() > MAX_BYTES {
        problems.push(Problem::error(
            "E0856",
            format!("the file is larger than {} MiB", MAX_BYTES >> 20),
            start,
            "this file",
        ));
        return Vec::new();
    }
    let mut reader = Reader {
        documents: Vec::new(),
        open: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
    };
    for next in Parser::new_from_str(text) {
        let (event, span) = match next {
            Ok(next) => next,
            Err(error) => {
                let at = error.marker().byte_offset().unwrap_or(0).min(text.len());
                problems.push(Problem::error(
                    "E0852",
                    "the file is no valid YAML",
                    Place::at(at),
                    error.info(),
                ));
                break;
            }
        };
        let place = span.byte_range().map_or(start, |range| Place {
            start: range.start.min(text.len()) as u32,
            end: range.end.min(text.len()) as u32,
        });
        if let Err(problem) = reader.event(event, place) {
            problems.push(problem);
            break;
        }
    }
    reader.documents
}

struct Reader {
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl Reader {
    fn event(&mut self, event: Event<'_>, place: Place) -> Result<(), Problem> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.map(|tag| tag.to_string());
                let is_text = style != ScalarStyle::Plain
                    || tag.as_deref().is_some_and(|tag| tag.ends_with("str"));
                let value = match is_text {
                    true => Yaml::Str(text.into_owned()),
                    false => plain(&text),
                };
                self.node(Node { place, value }, anchor)?;
            }
            Event::SequenceStart(_, anchor, _) => {
                self.deeper(place)?;
                self.open.push(Open::List(place, anchor, Vec::new()));
            }
            Event::MappingStart(_, anchor, _) => {
                self.deeper(place)?;
                self.open.push(Open::Map(place, anchor, Vec::new(), None));
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (start, anchor, value) = match self.open.pop() {
                    Some(Open::List(start, anchor, items)) => (start, anchor, Yaml::List(items)),
                    Some(Open::Map(start, anchor, entries, _)) => {
                        (start, anchor, Yaml::Map(entries))
                    }
                    None => return Ok(()),
                };
                let place = Place {
                    start: start.start,
                    end: place.end.max(start.start),
                };
                self.node(Node { place, value }, anchor)?;
            }
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id).cloned() else {
                    return Err(Problem::error(
                        "E0852",
                        "the file is no valid YAML",
                        place,
                        "an alias of a value that it is part of",
                    ));
                };
                self.count(size(&node), place)?;
                self.node(Node { place, ..node }, 0)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn deeper(&mut self, place: Place) -> Result<(), Problem> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Problem::error(
                "E0856",
                format!("values are nested deeper than {MAX_DEPTH} levels"),
                place,
                "here",
            ));
        }
        Ok(())
    }

    fn count(&mut self, more: usize, place: Place) -> Result<(), Problem> {
        self.nodes = self.nodes.saturating_add(more);
        if self.nodes > MAX_NODES {
            return Err(Problem::error(
                "E0856",
                format!("the file has more than {MAX_NODES} values"),
                place,
                "reached here",
            ));
        }
        Ok(())
    }

    /// Puts a finished value where it belongs.
    fn node(&mut self, node: Node, anchor: usize) -> Result<(), Problem> {
        self.count(1, node.place)?;
        if anchor != 0 {
            // What an alias repeats is counted there; nesting through aliases is bounded by the depth of the parts.
            if depth(&node) + self.open.len() > MAX_DEPTH {
                return Err(Problem::error(
                    "E0856",
                    format!("values are nested deeper than {MAX_DEPTH} levels"),
                    node.place,
                    "here",
                ));
            }
            self.count(size(&node), node.place)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.documents.push(node),
            Some(Open::List(_, _, items)) => items.push(node),
            Some(Open::Map(_, _, entries, waiting)) => match waiting.take() {
                Some(key) => entries.push((key, node)),
                None => {
                    let name = match &node.value {
                        Yaml::Str(text) => text.clone(),
                        Yaml::Null => String::new(),
                        Yaml::List(_) | Yaml::Map(_) => {
                            return Err(Problem::error(
                                "E0852",
                                "the file is no valid YAML for Kubernetes",
                                node.place,
                                "a key is a string",
                            ));
                        }
                        _ => node.json().to_string(),
                    };
                    *waiting = Some(Key {
                        place: node.place,
                        name,
                    });
                }
            },
        }
        Ok(())
    }
}

fn size(node: &Node) -> usize {
    match &node.value {
        Yaml::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Yaml::Map(entries) => 1 + entries.iter().map(|(_, n)| 1 + size(n)).sum::<usize>(),
        _ => 1,
    }
}

fn depth(node: &Node) -> usize {
    match &node.value {
        Yaml::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Yaml::Map(entries) => 1 + entries.iter().map(|(_, n)| depth(n)).max().unwrap_or(0),
        _ => 0,
    }
}

/// A scalar without quotes, as Kubernetes' YAML reader resolves it (sigs.k8s.io/yaml/goyaml.v2/resolve.go).
fn plain(text: &str) -> Yaml {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Yaml::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => {
            return Yaml::Bool(true);
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => {
            return Yaml::Bool(false);
        }
        _ => {}
    }
    if let Some(number) = integer(text) {
        return Yaml::Int(number);
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))
        && text.bytes().any(|b| b.is_ascii_digit())
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    match text.parse::<f64>() {
        Ok(number) if numeric && number.is_finite() => Yaml::Float(number),
        _ => Yaml::Str(text.to_owned()),
    }
}

fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let radix = |prefix: &str, radix| {
        let digits = digits.strip_prefix(prefix)?;
        i64::from_str_radix(digits, radix).ok()
    };
    let number = radix("0x", 16)
        .or_else(|| radix("0o", 8))
        .or_else(|| radix("0b", 2))
        .or_else(|| match digits.bytes().all(|b| b.is_ascii_digit()) {
            true if !digits.is_empty() => digits.parse().ok(),
            _ => None,
        })?;
    number.checked_mul(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Vec<Json> {
        let mut problems = Vec::new();
        let documents = read(text, &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        documents.iter().map(Node::json).collect()
    }

    #[test]
    fn scalars_mean_what_kubectl_takes_them_for() {
        let found = json("[1, -2, 0x1f, 1.5, 1e3, yes, 'yes', ~, 1.2.3, 10m, '', -a]");
        let wanted = serde_json::json!([
            1, -2, 31, 1.5, 1000.0, true, "yes", null, "1.2.3", "10m", "", "-a"
        ]);
        assert_eq!(found, [wanted]);
    }

    #[test]
    fn places_are_bytes() {
        let text = "ä: 1\nspec:\n  replicas: 3\n";
        let mut problems = Vec::new();
        let documents = read(text, &mut problems);
        let (key, node) = documents[0]
            .get("spec")
            .and_then(|s| s.entry("replicas"))
            .expect("there");
        assert_eq!(&text[key.place.range()], "replicas");
        assert_eq!(&text[node.place.range()], "3");
    }

    #[test]
    fn laughs_are_limited() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..30 {
            let item = format!("*a{}", level - 1);
            text.push_str(&format!(
                "a{level}: &a{level} [{}]\n",
                [item.as_str(); 10].join(", ")
            ));
        }
        let mut problems = Vec::new();
        read(&text, &mut problems);
        assert_eq!(problems[0].code, "E0856");
    }
}
