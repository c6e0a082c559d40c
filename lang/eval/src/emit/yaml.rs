//! YAML text, written straight from events, in the shape `kubectl get -o yaml` uses:
//! two spaces per level, list dashes at the column of their key.
//!
//! A string is left plain only where both YAML 1.1 (go-yaml, PyYAML) and YAML 1.2 read it
//! back as the same string; whether it must be quoted is decided in [`super::scalar`].

use super::json;
use super::scalar;
use super::sink::Sink;
use std::fmt::Write as _;

/// Writes YAML documents into a buffer it owns.
#[derive(Debug, Default)]
pub struct YamlText {
    out: String,
    open: Vec<Open>,
    place: Place,
    has_document: bool,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    map: bool,
    indent: usize,
}

/// Where the next value stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// At the start of a document.
    #[default]
    Root,
    /// Behind `key:`, nothing written after the colon yet.
    Key,
    /// In a list: the dash is still to be written.
    Item,
    /// In a map whose first key stays on the line of a dash.
    Dash,
    /// In a map: the next event is a key on its own line.
    Line,
}

impl YamlText {
    /// Creates an empty writer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a new document; the separator is written between documents, not before the first.
    pub fn document(&mut self) {
        if std::mem::replace(&mut self.has_document, true) {
            self.out.push_str("---\n");
        }
        self.place = Place::Root;
    }

    /// The text written so far; every document ends with a newline.
    #[must_use]
    pub fn finish(self) -> String {
        self.out
    }

    /// How many bytes of text wait to be given out.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.out.len()
    }

    /// Gives out the text that was written since the last call, and goes on behind it.
    pub fn give<R>(&mut self, to: impl FnOnce(&str) -> R) -> R {
        let result = to(&self.out);
        self.out.clear();
        result
    }

    fn spaces(&mut self, count: usize) {
        const PAD: &str = "                                ";
        let mut left = count;
        while left > 0 {
            let n = left.min(PAD.len());
            self.out.push_str(&PAD[..n]);
            left -= n;
        }
    }

    /// Writes what stands before a scalar or an empty container.
    fn lead(&mut self) {
        match self.place {
            Place::Key => self.out.push(' '),
            Place::Item => {
                let indent = self.open.last().map_or(0, |o| o.indent);
                self.spaces(indent);
                self.out.push_str("- ");
            }
            Place::Dash | Place::Line | Place::Root => {}
        }
    }

    fn after(&mut self) {
        self.place = match self.open.last() {
            None => Place::Root,
            Some(open) if open.map => Place::Line,
            Some(_) => Place::Item,
        };
    }

    fn scalar(&mut self, text: &str) {
        self.lead();
        self.out.push_str(text);
        self.out.push('\n');
        self.after();
    }

    fn begin(&mut self, map: bool, empty: bool) {
        if empty {
            self.lead();
            self.out.push_str(if map { "{}\n" } else { "[]\n" });
            self.open.push(Open { map, indent: 0 });
            return;
        }
        let around = self.open.last().copied();
        let indent = match (self.place, around) {
            // A dash stands at the column of its key: `key:` then `- item`.
            (Place::Key, Some(o)) => {
                self.out.push('\n');
                if map { o.indent + 2 } else { o.indent }
            }
            (Place::Item, Some(o)) => {
                self.spaces(o.indent);
                if map {
                    self.out.push_str("- ");
                } else {
                    self.out.push_str("-\n");
                }
                o.indent + 2
            }
            _ => 0,
        };
        let dash = self.place == Place::Item && map;
        self.open.push(Open { map, indent });
        self.place = match (map, dash) {
            (true, true) => Place::Dash,
            (true, false) => Place::Line,
            (false, _) => Place::Item,
        };
    }

    /// Writes a string value; `indent` is that of the map or list it stands in.
    fn text(&mut self, value: &str) {
        self.lead();
        let indent = match (self.place, self.open.last()) {
            (Place::Root, _) | (_, None) => 2,
            (_, Some(open)) => open.indent + 2,
        };
        if scalar::is_block(value) {
            self.block(value, indent);
        } else {
            scalar::write(&mut self.out, value);
            self.out.push('\n');
        }
        self.after();
    }

    /// A literal block scalar; the chomping indicator keeps the final newlines exact.
    fn block(&mut self, value: &str, indent: usize) {
        let body = value.trim_end_matches('\n');
        self.out.push_str(match value.len() - body.len() {
            0 => "|-\n",
            1 => "|\n",
            _ => "|+\n",
        });
        for line in body.split('\n') {
            if !line.is_empty() {
                self.spaces(indent);
                self.out.push_str(line);
            }
            self.out.push('\n');
        }
        for _ in 1..(value.len() - body.len()) {
            self.out.push('\n');
        }
    }
}

impl Sink for YamlText {
    fn null(&mut self) {
        self.scalar("null");
    }
    fn bool(&mut self, value: bool) {
        self.scalar(if value { "true" } else { "false" });
    }
    fn int(&mut self, value: i64) {
        self.lead();
        let _ = writeln!(self.out, "{value}");
        self.after();
    }
    fn float(&mut self, value: f64) {
        self.lead();
        json::float(&mut self.out, value);
        self.out.push('\n');
        self.after();
    }
    fn str(&mut self, value: &str) {
        self.text(value);
    }
    fn map(&mut self, empty: bool) {
        self.begin(true, empty);
    }
    fn key(&mut self, key: &str) {
        if self.place != Place::Dash {
            let indent = self.open.last().map_or(0, |o| o.indent);
            self.spaces(indent);
        }
        scalar::write(&mut self.out, key);
        self.out.push(':');
        self.place = Place::Key;
    }
    fn list(&mut self, empty: bool) {
        self.begin(false, empty);
    }
    fn end(&mut self) {
        self.open.pop();
        self.after();
    }
}
