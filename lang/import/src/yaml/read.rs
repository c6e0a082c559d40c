//! Events of the YAML parser to documents: anchors, merge keys and comments are resolved here.
//!
//! What is wrong in one document is reported with its place; the other documents of the stream are read.

use std::collections::HashMap;

use granit_parser::{Event, Parser, Placement, ScalarStyle, StrInput, Tag};
use ordain_lang_syntax::{Diagnostic, FileId, Span};

use super::remedy;
use super::scalar::{self, Bad};
use super::{Entry, Node, Value};

/// What helps where a key is no string.
const KEYS: &str =
    "write it between quotes when it is meant as a text; Kubernetes knows no other keys";

/// How many values a file may hold, aliases written out: a real install manifest has a hundred thousand.
const MAX_NODES: usize = 2_000_000;
/// How deeply maps and lists may nest: the deepest CRD schemas have about a hundred levels.
const MAX_NESTING: usize = 200;
/// How many comment lines may follow each other: a licence has two hundred.
const MAX_COMMENT_LINES: usize = 10_000;

/// A document of a stream, with the comments that stand behind its content.
pub(crate) struct Document {
    pub(crate) root: Node,
    pub(crate) after: Vec<String>,
}

/// Reads a stream of documents. What is wrong is told through `diagnostics`; a document with a mistake in it is left out.
pub(crate) fn read(file: FileId, text: &str, diagnostics: &mut Vec<Diagnostic>) -> Vec<Document> {
    let options = granit_parser::options! {
        // As libyaml does, whose Go port kubectl uses.
        block_scalar_eof_without_line_feed: true,
        max_buffered_comment_events: MAX_COMMENT_LINES,
        flow_nesting_limit: MAX_NESTING,
        block_nesting_limit: MAX_NESTING,
    };
    let mut reader = Reader {
        file,
        text,
        parser: Parser::new_from_str_with_options(text, options),
        pending: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        diagnostics: Vec::new(),
    };
    let documents = reader.stream();
    // The escapes of JSON are not all YAML's: pairs of surrogates are JSON's alone.
    let is_json = text
        .trim_start_matches('\u{feff}')
        .trim_start()
        .starts_with(['{', '[']);
    if is_json
        && reader.diagnostics.iter().any(|d| d.code == "E0950")
        && let Ok(json) = serde_json::from_str::<serde_json::Value>(text)
    {
        let span = Span::new(file, 0, text.len() as u32);
        return vec![Document {
            root: from_json(json, span),
            after: Vec::new(),
        }];
    }
    diagnostics.append(&mut reader.diagnostics);
    documents
}

/// A value of JSON as a node. Recursion is bounded: `serde_json` refuses more than 128 levels.
fn from_json(json: serde_json::Value, span: Span) -> Node {
    use serde_json::Value as Json;
    let value = match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(value),
        Json::Number(number) => match number.as_i64() {
            Some(value) => Value::Int(value, false),
            None => Value::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::Str(text),
        Json::Array(items) => Value::List(
            items
                .into_iter()
                .map(|item| from_json(item, span))
                .collect(),
        ),
        Json::Object(fields) => {
            let entry = |(key, value)| Entry {
                key,
                key_span: span,
                node: from_json(value, span),
            };
            Value::Map(fields.into_iter().map(entry).collect())
        }
    };
    Node::plain(span, value)
}

/// A mistake was told; the document cannot be used.
struct Told;

type Res<T> = Result<T, Told>;

struct Reader<'t> {
    file: FileId,
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    /// Comments that wait for what they are about.
    pending: Vec<String>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    diagnostics: Vec<Diagnostic>,
}

impl<'t> Reader<'t> {
    fn stream(&mut self) -> Vec<Document> {
        let mut documents = Vec::new();
        loop {
            let event = match self.parser.next_event() {
                None => break,
                Some(Ok((event, _))) => event,
                Some(Err(error)) => {
                    self.scan_error(&error);
                    if !self.recover() {
                        break;
                    }
                    continue;
                }
            };
            match event {
                Event::StreamEnd => break,
                Event::Comment(text, _) => self.pending.push(text.trim_end().to_owned()),
                Event::DocumentStart(..) => match self.document() {
                    Ok(Some(root)) => documents.push(Document {
                        root,
                        after: Vec::new(),
                    }),
                    Ok(None) => {}
                    Err(Told) => {
                        if !self.recover() {
                            break;
                        }
                    }
                },
                Event::DocumentEnd => {
                    if let Some(last) = documents.last_mut() {
                        last.after.append(&mut self.pending);
                    }
                }
                _ => {}
            }
            if self.nodes > MAX_NODES {
                break;
            }
        }
        if let Some(last) = documents.last_mut() {
            last.after.append(&mut self.pending);
        }
        documents
    }

    /// Goes on at the next document.
    fn recover(&mut self) -> bool {
        self.pending.clear();
        matches!(self.parser.proceed_next_document(), Ok(true))
    }

    fn document(&mut self) -> Res<Option<Node>> {
        self.anchors.clear();
        let told = self.diagnostics.len();
        let root = self.node()?;
        // Two equal keys leave no doubt about where the document ends, but about what it says.
        if self.diagnostics.len() > told {
            return Ok(None);
        }
        let is_empty = matches!(root.value, Value::Null);
        if is_empty {
            // Comments alone: they belong to what follows.
            self.pending.extend(root.before);
            return Ok(None);
        }
        Ok(Some(root))
    }

    fn next(&mut self) -> Res<(Event<'t>, granit_parser::Span)> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                self.scan_error(&error);
                Err(Told)
            }
            None => Err(Told),
        }
    }

    /// The next event that is no comment; comments wait for their node.
    fn next_content(&mut self) -> Res<(Event<'t>, granit_parser::Span)> {
        loop {
            match self.next()? {
                (Event::Comment(text, _), _) => self.pending.push(text.trim_end().to_owned()),
                content => return Ok(content),
            }
        }
    }

    /// The comment behind a value on its line.
    fn behind(&mut self) -> Option<String> {
        let is_behind = matches!(
            self.parser.peek(),
            Some(Ok((Event::Comment(_, Placement::Right), _)))
        );
        if !is_behind {
            return None;
        }
        match self.parser.next_event() {
            Some(Ok((Event::Comment(text, _), _))) => Some(text.trim_end().to_owned()),
            _ => None,
        }
    }

    fn node(&mut self) -> Res<Node> {
        let content = self.next_content()?;
        self.node_from(content)
    }

    // Recursion is bounded by the parser's own nesting limits.
    fn node_from(&mut self, (event, at): (Event<'t>, granit_parser::Span)) -> Res<Node> {
        let span = self.span(&at);
        let before = std::mem::take(&mut self.pending);
        let first = self.nodes;
        self.count(1, span)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (self.scalar(&text, style, tag.as_deref(), span)?, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (Value::List(self.list()?), anchor),
            Event::MappingStart(_, anchor, _) => (Value::Map(self.map()?), anchor),
            Event::Alias(anchor) => {
                let Some((node, nodes)) = self.anchors.get(&anchor).cloned() else {
                    self.invalid(
                        "an alias stands inside what it names",
                        span,
                        "this alias",
                        "write out what it stands for",
                    );
                    return Err(Told);
                };
                self.count(nodes, span)?;
                (node.value, 0)
            }
            _ => {
                let help = "write a value, or `null`";
                self.invalid("a value is missing", span, "here", help);
                return Err(Told);
            }
        };
        let behind = self.behind();
        let node = Node {
            span,
            value,
            before,
            behind,
        };
        if anchor != 0 {
            let mut bare = node.clone();
            bare.forget_comments();
            self.anchors.insert(anchor, (bare, self.nodes - first));
        }
        Ok(node)
    }

    fn list(&mut self) -> Res<Vec<Node>> {
        let mut items = Vec::new();
        loop {
            match self.next_content()? {
                (Event::SequenceEnd, _) => return Ok(items),
                content => items.push(self.node_from(content)?),
            }
        }
    }

    fn map(&mut self) -> Res<Vec<Entry>> {
        let mut map = Keys::default();
        loop {
            let content = self.next_content()?;
            let (key, key_span, is_merge) = match content {
                (Event::MappingEnd, _) => return Ok(map.entries),
                (Event::Scalar(text, style, anchor, tag), at) => {
                    let span = self.span(&at);
                    let is_merge = text == "<<" && style == ScalarStyle::Plain && tag.is_none();
                    let value = self.scalar(&text, style, tag.as_deref(), span)?;
                    if anchor != 0 {
                        self.anchors
                            .insert(anchor, (Node::plain(span, value.clone()), 1));
                    }
                    (self.key(value, span)?, span, is_merge)
                }
                (Event::Alias(anchor), at) => {
                    let span = self.span(&at);
                    let value = self
                        .anchors
                        .get(&anchor)
                        .map(|(node, _)| node.value.clone());
                    (self.key(value.unwrap_or(Value::Null), span)?, span, false)
                }
                (_, at) => {
                    let span = self.span(&at);
                    self.invalid("a key must be a string", span, "this key", KEYS);
                    return Err(Told);
                }
            };
            let before = std::mem::take(&mut self.pending);
            let mut node = self.node()?;
            let inner = std::mem::take(&mut node.before);
            // What stands between a key and the lines of its value is about the first of them.
            let first = match &mut node.value {
                Value::Map(entries) => entries.first_mut().map(|entry| &mut entry.node),
                Value::List(items) => items.first_mut(),
                _ => None,
            };
            node.before = before;
            match first {
                Some(first) => {
                    first.before.splice(..0, inner);
                }
                None => node.before.extend(inner),
            }
            if is_merge {
                self.merge(&mut map, node)?;
                continue;
            }
            if let Some(first) = map.add(key.clone(), key_span, node, false) {
                self.diagnostics.push(
                    Diagnostic::error("E0951", format!("the key `{key}` stands twice in one map"))
                        .label(key_span, "here again")
                        .label(first, "first here")
                        .help("remove one of them: kubectl takes the last, the API server may refuse both"),
                );
            }
        }
    }

    /// `<<: *base` and `<<: [*one, *two]`: what the map says itself wins, then what comes first.
    fn merge(&mut self, map: &mut Keys, node: Node) -> Res<()> {
        let span = node.span;
        let sources = match node.value {
            Value::List(items) => items,
            _ => vec![node],
        };
        for source in sources {
            let Value::Map(entries) = source.value else {
                self.invalid(
                    "only maps can be merged with `<<`",
                    span,
                    "this is no map",
                    "let it name a map, or a list of maps",
                );
                return Err(Told);
            };
            for entry in entries {
                map.add(entry.key, entry.key_span, entry.node, true);
            }
        }
        Ok(())
    }

    /// A key as JSON has it: numbers and booleans become their text.
    fn key(&mut self, value: Value, span: Span) -> Res<String> {
        Ok(match value {
            Value::Str(text) | Value::Name(text) => text,
            Value::Int(value, _) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Null | Value::List(_) | Value::Map(_) => {
                self.invalid("a key must be a string", span, "this key", KEYS);
                return Err(Told);
            }
        })
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: Span,
    ) -> Res<Value> {
        let read = match tag {
            Some(tag) => match tag.suffix_in_namespace("tag:yaml.org,2002:") {
                Some(suffix) => scalar::tagged(&suffix, text),
                // `!` alone makes a string; tags of programs mean nothing to Kubernetes.
                None => Ok(Value::Str(text.to_owned())),
            },
            None if style == ScalarStyle::Plain => scalar::plain(text),
            None => Ok(Value::Str(text.to_owned())),
        };
        read.map_err(|bad| {
            let message = match bad {
                Bad::NotFinite => "JSON, and so Kubernetes, has no such number",
                Bad::TooLarge => "the number does not fit 64 bits",
                Bad::Tag => "the value is not what its tag says",
                Bad::Binary => "the bytes of `!!binary` are no text",
            };
            self.error("E0953", message, span, "this value");
            Told
        })
    }

    fn count(&mut self, more: usize, span: Span) -> Res<()> {
        self.nodes = self.nodes.saturating_add(more);
        if self.nodes > MAX_NODES {
            let message =
                format!("the file holds more than {MAX_NODES} values with its aliases written out");
            self.error("E0954", &message, span, "the rest is not read");
            return Err(Told);
        }
        Ok(())
    }

    fn error(&mut self, code: &'static str, message: &str, span: Span, label: &str) {
        self.diagnostics
            .push(Diagnostic::error(code, message).label(span, label));
    }

    /// Tells what is YAML, but nothing that an object could be read from.
    fn invalid(&mut self, message: &str, span: Span, label: &str, help: &str) {
        self.diagnostics.push(
            Diagnostic::error("E0950", message)
                .label(span, label)
                .help(help),
        );
    }

    fn scan_error(&mut self, error: &granit_parser::ScanError) {
        let at = error
            .marker()
            .byte_offset()
            .unwrap_or(0)
            .min(self.text.len());
        let span = Span::new(self.file, at as u32, at as u32);
        let start = self.text[..at].rfind('\n').map_or(0, |end| end + 1);
        let line = self.text[start..].lines().next().unwrap_or_default();
        let diagnostic = Diagnostic::error("E0950", "this is not valid YAML")
            .label(span, error.info())
            .help(remedy::of(&error.info(), line, at - start));
        self.diagnostics.push(diagnostic);
    }

    fn span(&self, at: &granit_parser::Span) -> Span {
        let range = at.byte_range().unwrap_or(0..0);
        let end = self.text.len();
        // A block's span may reach over the comments behind it; its first line is enough to point at.
        let start = range.start.min(end);
        Span::new(self.file, start as u32, range.end.clamp(start, end) as u32)
    }
}

/// The entries of a map being read.
#[derive(Default)]
struct Keys {
    entries: Vec<Entry>,
    /// Place in `entries`, and whether it came from a merge.
    known: HashMap<String, (usize, bool)>,
}

impl Keys {
    /// Adds an entry; returns where the key stood before when that is a mistake.
    fn add(&mut self, key: String, key_span: Span, node: Node, is_merged: bool) -> Option<Span> {
        let next = self.entries.len();
        match self.known.get_mut(&key) {
            None => {
                self.known.insert(key.clone(), (next, is_merged));
                self.entries.push(Entry {
                    key,
                    key_span,
                    node,
                });
            }
            Some((at, was_merged)) => {
                if is_merged {
                    return None;
                }
                if !*was_merged {
                    return Some(self.entries[*at].key_span);
                }
                *was_merged = false;
                self.entries[*at] = Entry {
                    key,
                    key_span,
                    node,
                };
            }
        }
        None
    }
}
