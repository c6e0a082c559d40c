//! The values of an assertion's parts, drawn below its text:
//!
//! ```text
//! shop.web.replicas >= 3
//!          │        │
//!          1        false
//! ```

use ordain_lang_eval::Part;
use ordain_lang_syntax::{Sources, Span};

/// A value and the column it belongs to, counted in characters from 0.
struct Mark<'a> {
    column: usize,
    value: &'a str,
}

/// Draws the parts of an assertion below the lines of its text. Nothing, when there are none.
pub(super) fn draw(sources: &Sources, parts: &[Part]) -> Option<String> {
    let whole = parts
        .iter()
        .map(|part| part.span)
        .reduce(|one, other| one.to(other))?;
    let text = sources.text(whole.file);
    let whole = with_brackets(text, whole);
    let mut start = text[..whole.start as usize]
        .rfind('\n')
        .map_or(0, |at| at + 1);
    // Where the first line begins with other words, such as `assert`, they are left out.
    let lead = whole.start as usize - start;
    let mut drawn = Vec::new();
    for (at, line) in text[start..].lines().enumerate() {
        let end = start + line.len();
        if start >= whole.end as usize {
            break;
        }
        let skip = match at {
            0 => lead,
            _ => line
                .char_indices()
                .find(|(at, letter)| *at >= lead || !letter.is_whitespace())
                .map_or(line.len(), |(at, _)| at),
        };
        let cut = (whole.end as usize).min(end).saturating_sub(start);
        let shown = line.get(skip..cut.max(skip)).unwrap_or_default();
        let mut marks: Vec<Mark<'_>> = parts
            .iter()
            .filter_map(|part| {
                let place = anchor(text, part);
                (start + skip..end).contains(&place).then(|| Mark {
                    column: text[start + skip..place].chars().count(),
                    value: &part.value,
                })
            })
            .collect();
        marks.sort_by_key(|mark| mark.column);
        marks.dedup_by_key(|mark| mark.column);
        drawn.push(shown.trim_end().to_owned());
        drawn.extend(rows(&marks));
        // The next line begins behind the line end, which is one byte or two.
        start = text[end..]
            .find('\n')
            .map_or(text.len(), |more| end + more + 1);
    }
    Some(drawn.join("\n"))
}

/// Takes in the brackets around the first operand, which belong to no part.
fn with_brackets(text: &str, span: Span) -> Span {
    let mut open = 0_usize;
    let mut missing = 0;
    for letter in text.get(span.range()).unwrap_or_default().bytes() {
        match letter {
            b'(' => open += 1,
            b')' if open == 0 => missing += 1,
            b')' => open -= 1,
            _ => {}
        }
    }
    let mut start = span.start as usize;
    for _ in 0..missing {
        let before = text[..start].trim_end();
        if !before.ends_with('(') {
            break;
        }
        start = before.len() - 1;
    }
    Span::new(span.file, start as u32, span.end)
}

/// The place of a part that its value belongs to: an operator, or the name after a dot.
fn anchor(text: &str, part: &Part) -> usize {
    let (start, end) = (part.span.start as usize, part.span.end as usize);
    let after = part.after as usize;
    if after <= start {
        return start;
    }
    let rest = text.get(after..end).unwrap_or_default();
    let skipped = rest
        .char_indices()
        .find(|(at, letter)| {
            let next = rest[at + letter.len_utf8()..].chars().next();
            match letter {
                '.' => next == Some('.'),
                '?' => next != Some('.'),
                ')' => false,
                letter => !letter.is_whitespace(),
            }
        })
        .map_or(0, |(at, _)| at);
    after + skipped
}

/// The lines below a text: bars at all marks, then the values from the right to the left.
fn rows(marks: &[Mark<'_>]) -> Vec<String> {
    let mut rows = Vec::new();
    if marks.is_empty() {
        return rows;
    }
    rows.push(row(marks.iter().map(|mark| (mark.column, "│"))));
    let mut left: Vec<&Mark<'_>> = marks.iter().collect();
    while !left.is_empty() {
        let mut placed: Vec<(usize, &str)> = Vec::new();
        let mut waiting: Vec<&Mark<'_>> = Vec::new();
        let mut limit = usize::MAX;
        for mark in left.iter().rev() {
            let end = mark.column + mark.value.chars().count();
            if end < limit {
                placed.push((mark.column, mark.value));
            } else {
                placed.push((mark.column, "│"));
                waiting.push(mark);
            }
            limit = mark.column;
        }
        placed.reverse();
        waiting.reverse();
        rows.push(row(placed.into_iter()));
        left = waiting;
    }
    rows
}

fn row<'a>(pieces: impl Iterator<Item = (usize, &'a str)>) -> String {
    let mut out = String::new();
    let mut width = 0;
    for (column, piece) in pieces {
        while width < column {
            out.push(' ');
            width += 1;
        }
        out.push_str(piece);
        width += piece.chars().count();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str, what: &str, after: usize, value: &str) -> Part {
        let start = text.find(what).expect("it is in the text");
        let file = ordain_lang_syntax::FileId(0);
        Part {
            span: Span::new(file, start as u32, (start + what.len()) as u32),
            after: (start + after) as u32,
            value: value.into(),
        }
    }

    #[test]
    fn values_stand_below_what_they_belong_to() {
        let text = "  assert (a.b + 1) == c.d, \"…\"\n";
        let mut sources = Sources::new();
        sources.add("a.ord", text);
        let parts = [
            part(text, "a.b + 1) == c.d", 7, "false"),
            part(text, "a.b + 1", 3, "2"),
            part(text, "a.b", 1, "1"),
            part(text, "c.d", 1, "a long value"),
        ];
        let drawn = draw(&sources, &parts).expect("there are parts");
        assert_eq!(
            drawn,
            "(a.b + 1) == c.d\n   │ │    │    │\n   1 2    │    a long value\n          false"
        );
    }
}
