//! Sources as a report shows them: nothing that steers a terminal, and no line wider than a screen can hold. A generated
//! file may be one line of a megabyte, and a mistake in it is still one place.

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};
use std::collections::BTreeMap;
use std::ops::Range;

/// Bytes of a line that are shown whole.
const COLUMNS_MAX: usize = 160;
/// Bytes shown before a place in a longer line.
const BEFORE: usize = 40;
/// Bytes shown of a longer line.
const SHOWN: usize = 120;
/// Lines of a place that is marked whole; of a longer one the first line is.
const LINES_MAX: usize = 12;
/// Stands where something is left out.
const CUT: &str = "…";

/// A text to show, and where the places are in it.
#[derive(Debug)]
pub(crate) struct Excerpt {
    name: String,
    text: String,
    /// How many characters a line lost at its beginning, by its number from 0.
    shifts: BTreeMap<usize, usize>,
}

impl Excerpt {
    /// Prepares a source for its places; what is `hidden` shows as `*`. A place that is not shown, because it shares a very long line with an earlier one,
    /// has no range; the caller makes an excerpt of its own for it.
    pub(crate) fn new(
        name: &str,
        text: &str,
        places: &[Range<usize>],
        hidden: &[Range<usize>],
    ) -> (Self, Vec<Option<Range<usize>>>) {
        let text = hide(text, hidden);
        // Each of these bytes is one byte and so is its stand-in: places stay right.
        let text = text.replace(
            |c: char| c.is_ascii_control() && !matches!(c, '\n' | '\r' | '\t'),
            "?",
        );
        let places: Vec<Range<usize>> = places
            .iter()
            .map(|p| shorten(&text, p.start.min(text.len())..p.end.min(text.len())))
            .collect();
        let (text, shifts, places) = narrow(text, &places);
        let name = name.to_owned();
        (Self { name, text, shifts }, places)
    }
}

/// Puts a `*` for each hidden byte, but keeps line ends.
fn hide(text: &str, hidden: &[Range<usize>]) -> String {
    let mut text = text.to_owned();
    for range in hidden {
        let Some(secret) = text.get(range.clone()) else {
            continue;
        };
        let stars: String = secret
            .bytes()
            .map(|byte| if byte == b'\n' { '\n' } else { '*' })
            .collect();
        text.replace_range(range.clone(), &stars);
    }
    text
}

/// Cuts a place of very many lines to its first line.
fn shorten(text: &str, place: Range<usize>) -> Range<usize> {
    let Some(inside) = text.get(place.clone()) else {
        return place;
    };
    if inside.matches('\n').count() < LINES_MAX {
        return place;
    }
    let end = inside.find('\n').unwrap_or(inside.len());
    place.start..place.start + inside[..end].trim_end().len()
}

type Narrowed = (String, BTreeMap<usize, usize>, Vec<Option<Range<usize>>>);

fn narrow(text: String, places: &[Range<usize>]) -> Narrowed {
    let whole = |text, places: &[Range<usize>]| {
        let places = places.iter().cloned().map(Some).collect();
        (text, BTreeMap::new(), places)
    };
    if !text.lines().any(|line| line.len() > COLUMNS_MAX) {
        return whole(text, places);
    }
    let mut out = String::with_capacity(text.len().min(1 << 16));
    let mut shifts = BTreeMap::new();
    let mut moved: Vec<Option<Range<usize>>> = vec![None; places.len()];
    let mut begins: Vec<Option<usize>> = vec![None; places.len()];
    let mut start = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let content = line.trim_end_matches(['\n', '\r']);
        let ending = &line[content.len()..];
        // A text may end without a line end, and a place may be that end.
        let last = start + line.len() == text.len() && ending.is_empty();
        let range = start..start + line.len() + usize::from(last);
        let first = places.iter().find(|p| range.contains(&p.start));
        let at = first.map_or(0, |p| p.start - start);
        let (low, high) = window(content, at);
        let base = out.len();
        if low > 0 {
            out.push_str(CUT);
            let lost = content[..low].chars().count();
            shifts.insert(number, lost.saturating_sub(1));
        }
        // Where a byte of the line now stands, when it is shown.
        let head = out.len() - base;
        let place_of = |at: usize| {
            let inside = at.checked_sub(start)?;
            (low..=high)
                .contains(&inside)
                .then(|| base + head + inside - low)
        };
        for (index, place) in places.iter().enumerate() {
            if range.contains(&place.start) {
                begins[index] = place_of(place.start);
            }
            let Some(begin) = begins[index] else { continue };
            if moved[index].is_none() && place.end <= start + line.len() {
                let end = place_of(place.end).unwrap_or(base + head + high - low);
                moved[index] = Some(begin..end.max(begin));
            }
        }
        out.push_str(&content[low..high]);
        if high < content.len() {
            out.push_str(CUT);
        }
        out.push_str(ending);
        start += line.len();
    }
    for (place, moved) in places.iter().zip(&mut moved) {
        if place.start == text.len() && moved.is_none() {
            *moved = Some(out.len()..out.len());
        }
    }
    (out, shifts, moved)
}

/// Returns which bytes of a line are shown: all of a short one, or some around a place.
fn window(line: &str, at: usize) -> (usize, usize) {
    if line.len() <= COLUMNS_MAX {
        return (0, line.len());
    }
    let mut low = at.saturating_sub(BEFORE);
    let mut high = (low + SHOWN).min(line.len());
    while !line.is_char_boundary(low) {
        low -= 1;
    }
    while !line.is_char_boundary(high) {
        high += 1;
    }
    (low, high)
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let inner = self.text.read_span(span, before, after)?;
        // Without lines around it the place itself is asked for, to say its line and column.
        let shift = match (before, after) {
            (0, 0) => self.shifts.get(&inner.line()).copied().unwrap_or(0),
            _ => 0,
        };
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            inner.data(),
            *inner.span(),
            inner.line(),
            inner.column() + shift,
            inner.line_count(),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_lines_stay() {
        let (excerpt, places) =
            Excerpt::new("a", "ab\ncd\u{1}\n", std::slice::from_ref(&(3..5)), &[]);
        assert_eq!(excerpt.text, "ab\ncd?\n");
        assert_eq!(places, [Some(3..5)]);
    }

    #[test]
    fn a_place_in_a_long_line_keeps_its_text() {
        let text = format!(
            "first\n{}here{}there\nlast",
            "ä".repeat(500),
            "x".repeat(5000)
        );
        let at = text.find("here").expect("it is there");
        let far = text.find("there").expect("it is there");
        let (excerpt, places) = Excerpt::new("a", &text, &[at..at + 4, far..far + 5, 0..5], &[]);
        assert!(excerpt.text.len() < 400);
        let shown = places[0].clone().expect("the first place is shown");
        assert_eq!(&excerpt.text[shown], "here");
        assert_eq!(places[1], None, "too far from the first");
        assert_eq!(places[2], Some(0..5));
        assert_eq!(excerpt.text.lines().count(), 3);
        assert_eq!(excerpt.shifts.len(), 1);
    }

    #[test]
    fn a_place_of_many_lines_is_marked_at_its_first() {
        let text = "let a = {\n".to_owned() + &"  x = 1\n".repeat(50) + "}\n";
        let (_, places) = Excerpt::new("a", &text, std::slice::from_ref(&(8..text.len() - 1)), &[]);
        assert_eq!(places, [Some(8..9)]);
    }

    #[test]
    fn a_place_at_the_end_of_the_text_is_shown() {
        let text = "x".repeat(1000);
        let (excerpt, places) = Excerpt::new("a", &text, std::slice::from_ref(&(1000..1000)), &[]);
        let place = places[0].clone().expect("it is shown");
        assert!(place.end <= excerpt.text.len());
    }
}
