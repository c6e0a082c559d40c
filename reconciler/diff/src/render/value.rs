//! Values and changed lines as people read them, shared by the renderers.

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::{Change, Diff, Totals};

/// Characters of a value shown on one line; the rest is cut.
const VALUE_CHARS_MAX: usize = 100;

/// Lines shown of one text or value that changed.
const LINES_MAX: usize = 40;

/// A value on one line.
pub(crate) fn line(value: &Value) -> String {
    cut(&value.to_string())
}

pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

/// A change as lines with `-`, `+` or a space before each: the changed lines of a text with one line around them,
/// lists and maps as indented JSON, everything else on one line for each side.
pub(crate) fn lines(change: &Change) -> Vec<(char, String)> {
    let text = |value: &Value| match value {
        Value::String(text) if text.contains('\n') => Some(text.clone()),
        Value::Object(map) if !map.is_empty() => serde_json::to_string_pretty(value).ok(),
        Value::Array(items) if !items.is_empty() => match items.iter().all(is_plain) {
            true => None,
            false => serde_json::to_string_pretty(value).ok(),
        },
        _ => None,
    };
    let one = |value: &Value| text(value).unwrap_or_else(|| line(value));
    let mut all: Vec<(char, String)> = match change {
        Change::Added { new } => one(new).lines().map(|line| ('+', cut(line))).collect(),
        Change::Removed { old } => one(old).lines().map(|line| ('-', cut(line))).collect(),
        // Masked values: that they differ is all there is to say.
        Change::Changed { old, new } if old == new => vec![('-', line(old)), ('+', line(new))],
        Change::Changed { old, new } => {
            let (old, new) = (one(old), one(new));
            let diff = TextDiff::from_lines(&old, &new);
            let groups = diff.grouped_ops(1);
            let changes = groups.iter().flatten().flat_map(|op| diff.iter_changes(op));
            changes
                .map(|change| {
                    let mark = match change.tag() {
                        ChangeTag::Delete => '-',
                        ChangeTag::Insert => '+',
                        ChangeTag::Equal => ' ',
                    };
                    (mark, cut(change.value().trim_end_matches('\n')))
                })
                .collect()
        }
    };
    if all.len() > LINES_MAX {
        let more = all.len() - LINES_MAX;
        all.truncate(LINES_MAX);
        all.push((' ', format!("… and {more} more lines")));
    }
    all
}

fn is_plain(value: &Value) -> bool {
    !value.is_object() && !value.is_array()
}

/// `2 to create, 1 to change, 0 to delete, 5 unchanged`.
pub(crate) fn totals(totals: &Totals) -> String {
    let refused = match totals.refused {
        0 => String::new(),
        refused => format!(", {refused} refused"),
    };
    format!(
        "{} to create, {} to change, {} to delete{refused}, {} unchanged",
        totals.create, totals.update, totals.delete, totals.unchanged
    )
}

/// What was not compared, when something was not.
pub(crate) fn not_compared(diff: &Diff) -> Option<String> {
    match diff.not_compared {
        0 => None,
        1 => Some("1 secret value could not be compared: only its digest is known here".to_owned()),
        many => Some(format!(
            "{many} secret values could not be compared: only their digests are known here"
        )),
    }
}
