//! Formatting as small edits, so that cursors and folds stay where they are.

use ordain_lang_syntax::{FileId, Span};
use similar::{DiffOp, TextDiff};

use super::Edit;

/// Returns the edits that format a text, or that of some of its bytes; none when it cannot be read.
pub(crate) fn format(
    file: FileId,
    text: &str,
    only: Option<std::ops::Range<usize>>,
) -> Option<Vec<Edit>> {
    let formatted = ordain_lang_fmt::format(text).ok()?;
    if formatted == text {
        return Some(Vec::new());
    }
    let diff = TextDiff::from_lines(text, &formatted);
    let starts = |lines: &[&str]| -> Vec<usize> {
        let mut starts = vec![0];
        for line in lines {
            starts.push(starts.last().copied().unwrap_or(0) + line.len());
        }
        starts
    };
    let old_lines: Vec<&str> = diff.iter_old_slices().collect();
    let new_lines: Vec<&str> = diff.iter_new_slices().collect();
    let (old, new) = (starts(&old_lines), starts(&new_lines));
    let mut edits = Vec::new();
    for op in diff.ops() {
        if matches!(op, DiffOp::Equal { .. }) {
            continue;
        }
        let (from, to) = (op.old_range(), op.new_range());
        let span = Span::new(file, old[from.start] as u32, old[from.end] as u32);
        let is_wanted = only
            .as_ref()
            .is_none_or(|only| span.start as usize <= only.end && only.start <= span.end as usize);
        if is_wanted {
            edits.push(Edit::new(span, &formatted[new[to.start]..new[to.end]]));
        }
    }
    Some(edits)
}
