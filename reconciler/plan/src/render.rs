//! Plans and differences as text. Clear without colour; the program that prints may add some.

use std::fmt::{self, Write as _};

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::{Action, Change, FieldChange, Plan, Verb};

/// Characters of a value shown on one line; the rest is cut.
const VALUE_CHARS_MAX: usize = 100;

/// Lines shown of one text that changed.
const TEXT_LINES_MAX: usize = 40;

/// Digits of a plan's hash that are enough to approve it.
const HASH_SHORT: usize = 12;

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}: {}", self.owner, summary(self))?;
        for action in &self.actions {
            action_lines(out, action)?;
        }
        if !self.held.is_empty() {
            for reason in &self.held {
                writeln!(out, "  ! held: {reason}")?;
            }
            let hash = &self.hash;
            writeln!(
                out,
                "  ! `ordain approve {}` allows it, or a commit with the trailer `Approve-Plan: {hash}`",
                hash.get(..HASH_SHORT).unwrap_or(hash)
            )?;
        }
        Ok(())
    }
}

fn summary(plan: &Plan) -> String {
    let parts: Vec<_> = [
        (Verb::Create, "to create"),
        (Verb::Update, "to change"),
        (Verb::Replace, "to replace"),
        (Verb::Delete, "to delete"),
        (Verb::Held, "held back"),
        (Verb::Release, "left behind"),
        (Verb::Refused, "refused"),
        (Verb::Blocked, "blocked"),
        (Verb::Skipped, "left alone"),
        (Verb::Unchanged, "unchanged"),
    ]
    .into_iter()
    .filter_map(|(verb, words)| match plan.count(verb) {
        0 => None,
        count => Some(format!("{count} {words}")),
    })
    .collect();
    if parts.is_empty() {
        "nothing to do".to_owned()
    } else {
        parts.join(", ")
    }
}

fn action_lines(out: &mut impl fmt::Write, action: &Action) -> fmt::Result {
    let mark = match action.verb {
        Verb::Create => '+',
        Verb::Update => '~',
        Verb::Replace => '±',
        Verb::Delete => '-',
        Verb::Held | Verb::Refused | Verb::Blocked => '!',
        Verb::Keep | Verb::Forget | Verb::Release | Verb::Skipped => '=',
        Verb::Unchanged => return Ok(()),
    };
    write!(out, "  {mark} {}", action.key)?;
    let told = ["checked", "moves"]
        .iter()
        .any(|start| action.reason.starts_with(start));
    if !matches!(action.verb, Verb::Create | Verb::Update) || told {
        write!(out, ": {}", action.reason)?;
    }
    if let Some(at) = &action.at {
        write!(out, "  ({at})")?;
    }
    out.write_char('\n')?;
    change_lines(out, &action.changes)?;
    for taken in &action.taken {
        let since = taken
            .time
            .as_ref()
            .map_or_else(String::new, |time| format!(", who wrote it at {time}"));
        writeln!(
            out,
            "      takes {} from {}{since}",
            taken.fields.join(", "),
            taken.manager
        )?;
    }
    Ok(())
}

pub(crate) fn change_lines(out: &mut impl fmt::Write, changes: &[FieldChange]) -> fmt::Result {
    for FieldChange { path, change, at } in changes {
        let at = at.as_ref().map_or(String::new(), |at| format!("  ({at})"));
        match change {
            Change::Added { new } => writeln!(out, "      + {path}: {}{at}", value(new))?,
            Change::Removed { old } => writeln!(out, "      - {path}: {}{at}", value(old))?,
            Change::Changed {
                old: Value::String(old),
                new: Value::String(new),
            } if old.contains('\n') || new.contains('\n') => {
                writeln!(out, "      ~ {path}:{at}")?;
                text_lines(out, old, new)?;
            }
            Change::Changed { old, new } => {
                writeln!(out, "      ~ {path}: {} -> {}{at}", value(old), value(new))?;
            }
        }
    }
    Ok(())
}

/// The changed lines of a text with one line around them.
fn text_lines(out: &mut impl fmt::Write, old: &str, new: &str) -> fmt::Result {
    let diff = TextDiff::from_lines(old, new);
    let mut shown = 0;
    for group in diff.grouped_ops(1) {
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            if shown == TEXT_LINES_MAX {
                return writeln!(out, "          …");
            }
            let mark = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let line = change.value().trim_end_matches('\n');
            writeln!(out, "          {mark} {}", cut(line))?;
            shown += 1;
        }
    }
    Ok(())
}

fn value(value: &Value) -> String {
    cut(&value.to_string())
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        None => text.to_owned(),
        Some((at, _)) => {
            let mut cut = text[..at].to_owned();
            let _ = cut.write_char('…');
            cut
        }
    }
}
