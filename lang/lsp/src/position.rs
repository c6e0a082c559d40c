//! Places in a text: byte offsets, as the compiler counts, and lines with columns, as the protocol does.
//!
//! A column counts UTF-16 code units, or bytes when the editor offers UTF-8. Every conversion clamps: a place
//! beyond a line is the line's end, beyond the text it is the text's end. Knows no project.

use std::ops::Range;

use lsp_types::{Position, PositionEncodingKind};

/// What a column counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Encoding {
    /// Bytes.
    Utf8,
    /// UTF-16 code units, the protocol's default.
    #[default]
    Utf16,
}

impl Encoding {
    /// Chooses from what the editor offers.
    pub(crate) fn choose(offered: Option<&[PositionEncodingKind]>) -> Encoding {
        match offered {
            Some(kinds) if kinds.contains(&PositionEncodingKind::UTF8) => Encoding::Utf8,
            _ => Encoding::Utf16,
        }
    }

    /// Returns the protocol's name.
    pub(crate) fn kind(self) -> PositionEncodingKind {
        match self {
            Encoding::Utf8 => PositionEncodingKind::UTF8,
            Encoding::Utf16 => PositionEncodingKind::UTF16,
        }
    }

    /// Returns how many units a text has.
    pub(crate) fn len(self, text: &str) -> u32 {
        let len = match self {
            Encoding::Utf8 => text.len(),
            Encoding::Utf16 => text.chars().map(char::len_utf16).sum(),
        };
        u32::try_from(len).unwrap_or(u32::MAX)
    }
}

/// The lines of a text, to convert many places of it.
pub(crate) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
    encoding: Encoding,
}

impl<'t> Lines<'t> {
    /// Finds the lines of a text. A line ends with `\n`, `\r\n` or `\r`, as the protocol has it.
    pub(crate) fn new(text: &'t str, encoding: Encoding) -> Lines<'t> {
        let bytes = text.as_bytes();
        let mut starts = vec![0];
        for (at, byte) in bytes.iter().enumerate() {
            if *byte == b'\n' || (*byte == b'\r' && bytes.get(at + 1) != Some(&b'\n')) {
                starts.push(at + 1);
            }
        }
        Lines {
            text,
            starts,
            encoding,
        }
    }

    /// Returns a line without its end; empty beyond the last.
    fn line(&self, line: usize) -> (usize, &'t str) {
        let Some(&start) = self.starts.get(line) else {
            return (self.text.len(), "");
        };
        let end = self
            .starts
            .get(line + 1)
            .map_or(self.text.len(), |end| *end);
        (start, self.text[start..end].trim_end_matches(['\n', '\r']))
    }

    /// Converts a place to a byte offset; always at the boundary of a character.
    pub(crate) fn offset(&self, position: Position) -> usize {
        let (start, line) = self.line(position.line as usize);
        let mut units = 0;
        for (at, c) in line.char_indices() {
            let wide = match self.encoding {
                Encoding::Utf8 => c.len_utf8(),
                Encoding::Utf16 => c.len_utf16(),
            };
            // A place inside a character is before it.
            if units + wide > position.character as usize {
                return start + at;
            }
            units += wide;
        }
        start + line.len()
    }

    /// Converts a byte offset to a place.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let offset = floor(self.text, offset);
        let line = self.starts.partition_point(|start| *start <= offset).max(1) - 1;
        let start = self.starts[line];
        Position {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            character: self.encoding.len(&self.text[start..offset]),
        }
    }

    /// Returns the line of a byte offset, from 0.
    pub(crate) fn line_of(&self, offset: usize) -> u32 {
        let line = self.starts.partition_point(|start| *start <= offset);
        u32::try_from(line.max(1) - 1).unwrap_or(u32::MAX)
    }

    /// Returns how many columns a range of bytes has.
    pub(crate) fn width(&self, range: Range<usize>) -> u32 {
        self.encoding.len(self.text.get(range).unwrap_or(""))
    }

    /// Converts a range of bytes.
    pub(crate) fn range(&self, range: Range<usize>) -> lsp_types::Range {
        lsp_types::Range {
            start: self.position(range.start),
            end: self.position(range.end.max(range.start)),
        }
    }

    /// Converts a range of places.
    pub(crate) fn offsets(&self, range: lsp_types::Range) -> Range<usize> {
        let start = self.offset(range.start);
        start..self.offset(range.end).max(start)
    }
}

/// The last character boundary at or before an offset.
fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// Applies an editor's change to a text: a range of places, or all of it.
pub(crate) fn apply(
    text: &mut String,
    range: Option<lsp_types::Range>,
    new: &str,
    encoding: Encoding,
) {
    match range {
        Some(range) => {
            let range = Lines::new(text, encoding).offsets(range);
            text.replace_range(range, new);
        }
        None => {
            text.clear();
            text.push_str(new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(line: u32, character: u32) -> Position {
        Position { line, character }
    }

    #[test]
    fn columns_count_utf16_units() {
        let lines = Lines::new("a𝄞b\r\nß\n", Encoding::Utf16);
        assert_eq!(lines.offset(at(0, 3)), 5);
        assert_eq!(lines.position(5), at(0, 3));
        // Inside the surrogate pair.
        assert_eq!(lines.offset(at(0, 2)), 1);
        assert_eq!(lines.offset(at(1, 9)), 10);
        assert_eq!(lines.offset(at(9, 9)), 11);
        assert_eq!(Lines::new("a𝄞b", Encoding::Utf8).position(5), at(0, 5));
    }

    proptest! {
        #[test]
        fn places_and_offsets_agree(text in "[a-cßé𝄞\\r\\n ]{0,40}", offset in 0usize..60) {
            for encoding in [Encoding::Utf8, Encoding::Utf16] {
                let lines = Lines::new(&text, encoding);
                let offset = floor(&text, offset);
                let back = lines.offset(lines.position(offset));
                // Between `\r` and `\n` there is no place; the end of the line stands for it.
                prop_assert!(back == offset || text[back..offset].trim_matches('\r').is_empty());
            }
        }

        #[test]
        fn any_change_applies(text in "[aß𝄞\\n]{0,20}", a in 0u32..5, b in 0u32..9, c in 0u32..5, d in 0u32..9) {
            let mut changed = text.clone();
            let range = lsp_types::Range { start: at(a, b), end: at(c, d) };
            apply(&mut changed, Some(range), "x", Encoding::Utf16);
            prop_assert!(changed.contains('x'));
        }
    }
}
