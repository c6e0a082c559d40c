//! A secrets file as it lies in the repository: its keys in the clear, its values as ciphertext.

use serde_yaml::Value as Yaml;
use sha2::{Digest, Sha256};

use crate::age;
use crate::error::{AgeError, DocumentError};
use crate::metadata::Metadata;
use crate::value::{Encrypted, Kind};

/// Bytes of a secrets file; a larger one is refused before it is read.
const BYTES_MAX: usize = 1 << 20;

/// How deep values may nest.
const DEPTH_MAX: usize = 32;

/// How a secrets file is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// A SOPS document in YAML.
    Yaml,
    /// A SOPS document in JSON.
    Json,
    /// A SOPS document of lines `KEY=value`.
    Dotenv,
    /// One value: a whole file encrypted by age.
    Age,
}

impl Format {
    /// The format by a file's ending.
    ///
    /// # Errors
    /// When the ending is none of those that are known.
    pub fn of(path: &str) -> Result<Self, DocumentError> {
        match path.rsplit('.').next().unwrap_or_default() {
            "yaml" | "yml" => Ok(Format::Yaml),
            "json" => Ok(Format::Json),
            "env" => Ok(Format::Dotenv),
            "age" => Ok(Format::Age),
            _ => Err(DocumentError::Ending),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Yaml => "YAML",
            Format::Json => "JSON",
            Format::Dotenv => "dotenv",
            Format::Age => "age",
        }
    }
}

/// A value of the tree, as written.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Map(Vec<(String, Node)>),
    List(Vec<Node>),
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Null,
}

/// What keys a document has, without its values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Keys in the order of the file.
    Map(Vec<(String, Shape)>),
    /// Elements in their order.
    List(Vec<Shape>),
    /// A value.
    Leaf(Leaf),
}

/// What is known of a value without opening it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// What it was before it was encrypted.
    pub kind: Kind,
    /// Changes when the ciphertext does.
    pub digest: String,
}

/// A value with its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Keys and positions from the root.
    pub path: Vec<String>,
    /// What is known of it.
    pub leaf: Leaf,
    /// Whether it stands in the clear although it should not.
    pub is_plain: bool,
}

/// A secrets file that was read but not opened.
#[derive(Clone, Debug)]
pub struct Document {
    pub(crate) format: Format,
    pub(crate) root: Vec<(String, Node)>,
    pub(crate) metadata: Metadata,
    /// The file as it is; bytes for age.
    pub(crate) text: Vec<u8>,
}

impl Document {
    /// Reads a file.
    ///
    /// # Errors
    /// When it is too large, malformed, or nothing encrypted it. No error shows a value.
    pub fn parse(format: Format, bytes: &[u8]) -> Result<Self, DocumentError> {
        if bytes.len() > BYTES_MAX {
            return Err(DocumentError::TooLarge { max: BYTES_MAX });
        }
        if format == Format::Age {
            if !age::is_age(bytes) {
                return Err(AgeError::NotAge.into());
            }
            return Ok(Document {
                format,
                root: Vec::new(),
                metadata: Metadata::new(),
                text: bytes.to_vec(),
            });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| DocumentError::NotText)?;
        let mut root = match format {
            Format::Dotenv => dotenv(text)?,
            Format::Json => json(text)?,
            _ => yaml(text)?,
        };
        let at = root
            .iter()
            .position(|(key, _)| key == "sops")
            .ok_or(DocumentError::NotEncrypted)?;
        let (_, Node::Map(raw)) = root.remove(at) else {
            return Err(DocumentError::NotEncrypted);
        };
        Ok(Document {
            format,
            root,
            metadata: Metadata::read(raw)?,
            text: bytes.to_vec(),
        })
    }

    /// How it is written.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Who can open it: age recipients as written. Those of an `.age` file are not known.
    #[must_use]
    pub fn recipients(&self) -> Vec<String> {
        self.metadata.age.iter().map(|(to, _)| to.clone()).collect()
    }

    /// Its keys.
    #[must_use]
    pub fn shape(&self) -> Shape {
        if self.format == Format::Age {
            return Shape::Leaf(Leaf {
                kind: Kind::Str,
                digest: digest(&self.text),
            });
        }
        shape_of_map(&self.root)
    }

    /// Its values in the order of the file.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        if let (Format::Age, Shape::Leaf(leaf)) = (self.format, self.shape()) {
            entries.push(Entry {
                path: Vec::new(),
                leaf,
                is_plain: false,
            });
        }
        each(&self.root, &mut |path, node| {
            entries.push(Entry {
                path: path.to_vec(),
                leaf: leaf(node),
                is_plain: self.is_plain(path, node),
            });
        });
        entries
    }

    /// Whether a value stands in the clear although it should not.
    pub(crate) fn is_plain(&self, path: &[String], node: &Node) -> bool {
        match node {
            Node::Null => false,
            Node::Text(text) if text.is_empty() || Encrypted::parse(text).is_some() => false,
            _ => self.metadata.is_secret(path) == Some(true),
        }
    }
}

/// The place of a value as its encryption knows it: elements of a list have that of the list.
pub(crate) fn place(path: &[String], root: &[(String, Node)]) -> String {
    let mut place = String::new();
    let mut at: Option<&Node> = None;
    for part in path {
        let in_list = matches!(at, Some(Node::List(_)));
        at = match at {
            None => find(root, part),
            Some(Node::Map(map)) => find(map, part),
            Some(Node::List(list)) => part.parse::<usize>().ok().and_then(|n| list.get(n)),
            Some(_) => None,
        };
        if !in_list {
            place.push_str(part);
            place.push(':');
        }
    }
    place
}

pub(crate) fn find<'a>(map: &'a [(String, Node)], key: &str) -> Option<&'a Node> {
    map.iter()
        .find(|(name, _)| name == key)
        .map(|(_, node)| node)
}

/// Calls with every value and its path, in the order of the file. Empty maps and lists have none.
pub(crate) fn each(root: &[(String, Node)], call: &mut dyn FnMut(&[String], &Node)) {
    fn walk(path: &mut Vec<String>, node: &Node, call: &mut dyn FnMut(&[String], &Node)) {
        match node {
            Node::Map(map) => {
                for (key, node) in map {
                    path.push(key.clone());
                    walk(path, node, call);
                    path.pop();
                }
            }
            Node::List(list) => {
                for (at, node) in list.iter().enumerate() {
                    path.push(at.to_string());
                    walk(path, node, call);
                    path.pop();
                }
            }
            Node::Null => {}
            leaf => call(path, leaf),
        }
    }
    let mut path = Vec::new();
    for (key, node) in root {
        path.push(key.clone());
        walk(&mut path, node, call);
        path.pop();
    }
}

fn shape_of_map(map: &[(String, Node)]) -> Shape {
    let known = map.iter().filter(|(_, node)| !matches!(node, Node::Null));
    Shape::Map(
        known
            .map(|(key, node)| (key.clone(), shape(node)))
            .collect(),
    )
}

fn shape(node: &Node) -> Shape {
    match node {
        Node::Map(map) => shape_of_map(map),
        Node::List(list) => Shape::List(list.iter().map(shape).collect()),
        scalar => Shape::Leaf(leaf(scalar)),
    }
}

fn leaf(node: &Node) -> Leaf {
    let kind = match node {
        Node::Text(text) => Encrypted::parse(text).map_or(Kind::Str, |value| value.kind),
        Node::Int(_) => Kind::Int,
        Node::Float(_) => Kind::Float,
        Node::Bool(_) => Kind::Bool,
        _ => Kind::Str,
    };
    let text = match node {
        Node::Text(text) => text.clone(),
        other => spelled(other).unwrap_or_default(),
    };
    Leaf {
        kind,
        digest: digest(text.as_bytes()),
    }
}

/// A plain scalar as SOPS spells it for the MAC (`sops.go`, `ToBytes`).
pub(crate) fn spelled(node: &Node) -> Option<String> {
    match node {
        Node::Text(text) => Some(text.clone()),
        Node::Int(n) => Some(n.to_string()),
        Node::Float(f) => Some(f.to_string()),
        Node::Bool(true) => Some("True".into()),
        Node::Bool(false) => Some("False".into()),
        Node::Null | Node::Map(_) | Node::List(_) => None,
    }
}

/// The first half of a SHA-256, in hexadecimal: enough to see a change.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

pub(crate) fn yaml(text: &str) -> Result<Vec<(String, Node)>, DocumentError> {
    // The parser's message may quote the text: only its place is passed on.
    let value: Yaml = serde_yaml::from_str(text).map_err(|error| DocumentError::Syntax {
        format: Format::Yaml.name(),
        place: error.location().map_or_else(String::new, |at| {
            format!(" (line {}, column {})", at.line(), at.column())
        }),
    })?;
    match from_yaml(value, 0)? {
        Node::Map(map) => Ok(map),
        _ => Err(DocumentError::Structure("its root is no map of keys")),
    }
}

fn from_yaml(value: Yaml, depth: usize) -> Result<Node, DocumentError> {
    if depth > DEPTH_MAX {
        return Err(DocumentError::Structure("its values are nested too deep"));
    }
    Ok(match value {
        Yaml::Null => Node::Null,
        Yaml::Bool(value) => Node::Bool(value),
        Yaml::Number(number) => match number.as_i64() {
            Some(n) => Node::Int(n),
            None => Node::Float(number.as_f64().unwrap_or_default()),
        },
        Yaml::String(text) => Node::Text(text),
        Yaml::Sequence(list) => {
            let list: Result<_, _> = list.into_iter().map(|v| from_yaml(v, depth + 1)).collect();
            Node::List(list?)
        }
        Yaml::Mapping(map) => {
            let map: Result<_, DocumentError> = map
                .into_iter()
                .map(|(key, value)| match key {
                    Yaml::String(key) => Ok((key, from_yaml(value, depth + 1)?)),
                    _ => Err(DocumentError::Structure("one of its keys is no string")),
                })
                .collect();
            Node::Map(map?)
        }
        Yaml::Tagged(_) => return Err(DocumentError::Structure("it uses a YAML tag")),
    })
}

fn json(text: &str) -> Result<Vec<(String, Node)>, DocumentError> {
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| DocumentError::Syntax {
            format: Format::Json.name(),
            place: format!(" (line {}, column {})", error.line(), error.column()),
        })?;
    match from_json(value, 0)? {
        Node::Map(map) => Ok(map),
        _ => Err(DocumentError::Structure("its root is no map of keys")),
    }
}

fn from_json(value: serde_json::Value, depth: usize) -> Result<Node, DocumentError> {
    use serde_json::Value as Json;
    if depth > DEPTH_MAX {
        return Err(DocumentError::Structure("its values are nested too deep"));
    }
    Ok(match value {
        Json::Null => Node::Null,
        Json::Bool(value) => Node::Bool(value),
        Json::Number(number) => match number.as_i64() {
            Some(n) => Node::Int(n),
            None => Node::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Node::Text(text),
        Json::Array(list) => {
            let list: Result<_, _> = list.into_iter().map(|v| from_json(v, depth + 1)).collect();
            Node::List(list?)
        }
        Json::Object(map) => {
            let map: Result<_, DocumentError> = map
                .into_iter()
                .map(|(key, value)| Ok((key, from_json(value, depth + 1)?)))
                .collect();
            Node::Map(map?)
        }
    })
}

/// Lines `KEY=value`; the metadata is flattened into keys that begin with `sops_`
/// (getsops/sops, `stores/dotenv/store.go` and `stores/flatten.go`).
fn dotenv(text: &str) -> Result<Vec<(String, Node)>, DocumentError> {
    let mut root = Vec::new();
    let mut metadata = Node::Map(Vec::new());
    for (at, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=').ok_or_else(|| DocumentError::Syntax {
            format: Format::Dotenv.name(),
            place: format!(" (line {})", at + 1),
        })?;
        let value = Node::Text(value.replace("\\n", "\n"));
        match key.strip_prefix("sops_") {
            Some(flat) => {
                let steps: Vec<&str> = flat.split("__").collect();
                if steps.len() > DEPTH_MAX {
                    return Err(DocumentError::Structure("its values are nested too deep"));
                }
                unflatten(&mut metadata, &steps, value)?;
            }
            None if root.iter().any(|(known, _)| known == key) => {
                return Err(DocumentError::Structure("one of its keys is given twice"));
            }
            None => root.push((key.to_owned(), value)),
        }
    }
    if matches!(&metadata, Node::Map(map) if !map.is_empty()) {
        root.push(("sops".to_owned(), metadata));
    }
    Ok(root)
}

/// `age__list_0__map_recipient`: the first step is a key of the root, others say what they are.
fn unflatten(node: &mut Node, steps: &[&str], value: Node) -> Result<(), DocumentError> {
    const BROKEN: DocumentError = DocumentError::Metadata("has a key that cannot be read");
    let [step, rest @ ..] = steps else {
        *node = value;
        return Ok(());
    };
    if let Some(at) = step.strip_prefix("list_") {
        let at: usize = at.parse().map_err(|_| BROKEN)?;
        if matches!(node, Node::Null) {
            *node = Node::List(Vec::new());
        }
        let Node::List(list) = node else {
            return Err(BROKEN);
        };
        // Keys come in the order of their numbers: 10 before 2.
        if at > 1000 {
            return Err(BROKEN);
        }
        if list.len() <= at {
            list.resize(at + 1, Node::Null);
        }
        return unflatten(&mut list[at], rest, value);
    }
    let key = step.strip_prefix("map_").unwrap_or(step);
    if matches!(node, Node::Null) {
        *node = Node::Map(Vec::new());
    }
    let Node::Map(map) = node else {
        return Err(BROKEN);
    };
    let at = match map.iter().position(|(name, _)| name == key) {
        Some(at) => at,
        None => {
            map.push((key.to_owned(), Node::Null));
            map.len() - 1
        }
    };
    unflatten(&mut map[at].1, rest, value)
}
