//! JSON text, written straight from events (RFC 8259). Compact or with two-space indentation.
//!
//! It does not build a tree and does not sort keys.

use super::sink::Sink;
use std::fmt::Write as _;

/// Writes JSON text into a buffer it owns.
#[derive(Debug, Default)]
pub struct JsonText {
    out: String,
    pretty: bool,
    // One entry per open container: is it a map, and has something been written into it.
    open: Vec<(bool, bool)>,
    after_key: bool,
}

impl JsonText {
    /// Creates a writer; `pretty` asks for one line per item and two spaces per level.
    #[must_use]
    pub fn new(pretty: bool) -> Self {
        Self {
            pretty,
            ..Self::default()
        }
    }

    /// The text written so far, without a final newline.
    #[must_use]
    pub fn finish(self) -> String {
        self.out
    }

    /// How many bytes the text has that was not taken.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.out.len()
    }

    /// The text written since the last call; what is open stays open.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    fn before(&mut self) {
        if std::mem::take(&mut self.after_key) {
            return;
        }
        if let Some((_, some)) = self.open.last_mut() {
            if std::mem::replace(some, true) {
                self.out.push(',');
            }
            self.line();
        }
    }

    fn line(&mut self) {
        if self.pretty {
            self.out.push('\n');
            for _ in 0..self.open.len() {
                self.out.push_str("  ");
            }
        }
    }
}

/// Appends `text` as a JSON string with its quotes.
pub(crate) fn quote(out: &mut String, text: &str) {
    out.push('"');
    let mut from = 0;
    for (i, b) in text.bytes().enumerate() {
        if b >= 0x20 && b != b'"' && b != b'\\' {
            continue;
        }
        out.push_str(&text[from..i]);
        from = i + 1;
        match b {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => {
                let _ = write!(out, "\\u{b:04x}");
            }
        }
    }
    out.push_str(&text[from..]);
    out.push('"');
}

/// Appends a float so that it reads back as a float (`1.0`, never `1`).
pub(crate) fn float(out: &mut String, value: f64) {
    match serde_json::Number::from_f64(value) {
        Some(number) => {
            let _ = write!(out, "{number}");
        }
        None => out.push_str("null"),
    }
}

impl Sink for JsonText {
    fn null(&mut self) {
        self.before();
        self.out.push_str("null");
    }
    fn bool(&mut self, value: bool) {
        self.before();
        self.out.push_str(if value { "true" } else { "false" });
    }
    fn int(&mut self, value: i64) {
        self.before();
        let _ = write!(self.out, "{value}");
    }
    fn float(&mut self, value: f64) {
        self.before();
        float(&mut self.out, value);
    }
    fn str(&mut self, value: &str) {
        self.before();
        quote(&mut self.out, value);
    }
    fn map(&mut self, _empty: bool) {
        self.before();
        self.out.push('{');
        self.open.push((true, false));
    }
    fn key(&mut self, key: &str) {
        self.before();
        quote(&mut self.out, key);
        self.out.push_str(if self.pretty { ": " } else { ":" });
        self.after_key = true;
    }
    fn list(&mut self, _empty: bool) {
        self.before();
        self.out.push('[');
        self.open.push((false, false));
    }
    fn end(&mut self) {
        if let Some((map, some)) = self.open.pop() {
            if some {
                self.line();
            }
            self.out.push(if map { '}' } else { ']' });
        }
    }
}
