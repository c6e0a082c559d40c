//! Source texts and places in them. Offsets are bytes; lines and columns are computed on demand,
//! only when a diagnostic is shown. Knows nothing of where a text came from.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// A source file, numbered by [`Sources`] in the order of adding.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
pub struct FileId(pub u32);

/// A range of bytes in a file: `start..end`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// Offset of the first byte.
    pub start: u32,
    /// Offset after the last byte.
    pub end: u32,
}

impl Span {
    /// Makes a span from byte offsets.
    pub fn new(file: FileId, start: u32, end: u32) -> Self {
        Span { file, start, end }
    }

    /// Returns the smallest span that covers both; both must lie in the same file.
    pub fn to(self, other: Span) -> Span {
        Span {
            file: self.file,
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }

    /// Returns the span as a range of `usize`, for slicing a text.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Returns the empty span at the end of this one: the place where something is missing.
    pub fn after(self) -> Span {
        Span {
            start: self.end,
            ..self
        }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}..{}", self.file.0, self.start, self.end)
    }
}

/// A place as people count: both start at 1; the column counts characters, not bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct LineCol {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// The texts of one run, by [`FileId`].
#[derive(Clone, Default, Debug)]
pub struct Sources {
    files: Vec<File>,
}

#[derive(Clone, Debug)]
struct File {
    path: Arc<str>,
    text: Arc<str>,
    /// Offsets at which lines begin; filled when first asked for.
    lines: std::sync::OnceLock<Arc<[u32]>>,
}

impl Sources {
    /// Makes an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text under the path that diagnostics show, and numbers it.
    pub fn add(&mut self, path: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> FileId {
        let id = FileId(u32::try_from(self.files.len()).expect("fewer than four billion files"));
        self.files.push(File {
            path: path.into(),
            text: text.into(),
            lines: std::sync::OnceLock::new(),
        });
        id
    }

    /// Replaces the text of a file, which keeps its number and path.
    pub fn set_text(&mut self, file: FileId, text: impl Into<Arc<str>>) {
        if let Some(file) = self.files.get_mut(file.0 as usize) {
            file.text = text.into();
            file.lines = std::sync::OnceLock::new();
        }
    }

    /// Returns the path under which the file was added; `"?"` for a number that was never given.
    pub fn path(&self, file: FileId) -> &str {
        self.files
            .get(file.0 as usize)
            .map_or("?", |file| &file.path)
    }

    /// Returns the text of a file; empty for a number that was never given.
    pub fn text(&self, file: FileId) -> &str {
        self.files
            .get(file.0 as usize)
            .map_or("", |file| &file.text)
    }

    /// Returns the text of a file to keep, however the file changes; empty for a number that was never given.
    pub fn shared_text(&self, file: FileId) -> Arc<str> {
        let file = self.files.get(file.0 as usize);
        file.map_or_else(|| Arc::from(""), |file| Arc::clone(&file.text))
    }

    /// Returns the text under a span; empty when the span does not fit the text.
    pub fn slice(&self, span: Span) -> &str {
        self.text(span.file).get(span.range()).unwrap_or("")
    }

    /// Returns all files in the order of their numbers.
    pub fn files(&self) -> impl Iterator<Item = (FileId, &str)> {
        self.files
            .iter()
            .enumerate()
            .map(|(at, file)| (FileId(at as u32), &*file.path))
    }

    /// Returns how many files there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Returns whether no file was added.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Returns line and column of a byte offset (the span's start).
    pub fn line_col(&self, span: Span) -> LineCol {
        let Some(file) = self.files.get(span.file.0 as usize) else {
            return LineCol { line: 1, column: 1 };
        };
        let lines = file.lines.get_or_init(|| {
            std::iter::once(0)
                .chain(file.text.bytes().enumerate().filter_map(|(at, byte)| {
                    (byte == b'\n').then_some(u32::try_from(at + 1).unwrap_or(u32::MAX))
                }))
                .collect()
        });
        let line = lines.partition_point(|start| *start <= span.start).max(1);
        let start = lines[line - 1] as usize;
        let end = (span.start as usize).min(file.text.len());
        let column = String::from_utf8_lossy(&file.text.as_bytes()[start..end])
            .chars()
            .count();
        LineCol {
            line: line as u32,
            column: column as u32 + 1,
        }
    }

    /// Returns `path:line` of a span, as provenance and reports print it.
    pub fn place(&self, span: Span) -> String {
        format!("{}:{}", self.path(span.file), self.line_col(span).line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_characters() {
        let mut sources = Sources::new();
        let file = sources.add("a.ord", "ä = 1\nbc = 2\n");
        let at = |start| sources.line_col(Span::new(file, start, start));
        assert_eq!(at(0), LineCol { line: 1, column: 1 });
        assert_eq!(at(3), LineCol { line: 1, column: 3 });
        assert_eq!(at(7), LineCol { line: 2, column: 1 });
        assert_eq!(at(99), LineCol { line: 3, column: 1 });
    }
}
