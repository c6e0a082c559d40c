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

    /// How many bytes of text wait to be given out.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.out.len()
    }

    /// Gives out the text that was written since the last call, and goes on behind it; what is open stays open.
    pub fn give<R>(&mut self, to: impl FnOnce(&str) -> R) -> R {
        let result = to(&self.out);
        self.out.clear();
        result
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
        if !self.pretty {
            return;
        }
        let mut spaces = 2 * self.open.len();
        let first = spaces.min(LINE.len() - 1);
        self.out.push_str(&LINE[..=first]);
        spaces -= first;
        self.out.extend(std::iter::repeat_n(' ', spaces));
    }
}

/// A new line, and spaces for as deep as objects are nested as a rule.
const LINE: &str = "\n                                                                ";

/// Appends `text` as a JSON string with its quotes.
pub(crate) fn quote(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = special(rest.as_bytes()) {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            byte => {
                let _ = write!(out, "\\u{byte:04x}");
            }
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

/// Where the first byte stands that a JSON string cannot hold as it is: a quote, a backslash, a control character.
fn special(bytes: &[u8]) -> Option<usize> {
    let is_special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    let (eights, rest) = bytes.as_chunks::<8>();
    for (number, eight) in eights.iter().enumerate() {
        if may_be_special(u64::from_le_bytes(*eight))
            && let Some(at) = eight.iter().position(is_special)
        {
            return Some(number * 8 + at);
        }
    }
    let at = rest.iter().position(is_special)?;
    Some(bytes.len() - rest.len() + at)
}

/// Whether one of eight bytes is special; it may say so where none is, but never misses one.
///
/// A byte below `n` (of at most 128) borrows from its highest bit when `n` is taken away, and a byte that is XORed
/// with itself is below 1 ("Determine if a word has a byte less than n", Bit Twiddling Hacks).
fn may_be_special(eight: u64) -> bool {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHEST: u64 = ONES << 7;
    let below = |eight: u64, n: u64| eight.wrapping_sub(ONES * n) & !eight & HIGHEST;
    let control = below(eight, 0x20);
    let quote = below(eight ^ (ONES * u64::from(b'"')), 1);
    let backslash = below(eight ^ (ONES * u64::from(b'\\')), 1);
    control | quote | backslash != 0
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
