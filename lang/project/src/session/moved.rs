//! What an edit moved in a text, and which changes of environments it touched.
//!
//! An edit replaces some bytes; all behind them is where it was, a few bytes further on. In a file with a thousand changes
//! of apps an edit touches one: what is known of the others stays, at its new place. Knows no types.

use ordain_lang_syntax::{Diagnostic, FileId, Name, Span};

use super::graph::{Graph, Set};
use super::outline::{OpOutline, Outline};

/// Some bytes of a file were replaced by others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moved {
    pub(crate) file: FileId,
    /// The first byte that is not as before.
    from: u32,
    /// Behind the last one, in the old text and in the new one.
    old_end: u32,
    new_end: u32,
}

impl Moved {
    /// Compares two texts of a file.
    pub(super) fn between(file: FileId, old: &str, new: &str) -> Moved {
        let (old, new) = (old.as_bytes(), new.as_bytes());
        let in_front = old.iter().zip(new).take_while(|(a, b)| a == b).count();
        let rest = old.len().min(new.len()) - in_front;
        let behind = old.iter().rev().zip(new.iter().rev());
        let behind = behind.take(rest).take_while(|(a, b)| a == b).count();
        let (mut from, mut old_end, mut new_end) =
            (in_front, old.len() - behind, new.len() - behind);
        // Lines begin alike: what was put in front of one, or taken away there, looks as if that happened inside.
        let longer = match (old_end - from, new_end - from) {
            (0, _) => Some((new, new_end)),
            (_, 0) => Some((old, old_end)),
            _ => None,
        };
        if let Some((text, end)) = longer {
            let line = text[..from].iter().rposition(|byte| *byte == b'\n');
            let back = from - line.map_or(0, |at| at + 1);
            if end - from >= back && text[from - back..from] == text[end - back..end] {
                (from, old_end, new_end) = (from - back, old_end - back, new_end - back);
            }
        }
        let at = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Moved {
            file,
            from: at(from),
            old_end: at(old_end),
            new_end: at(new_end),
        }
    }

    /// Whether nothing has another place.
    pub(super) fn is_still(&self) -> bool {
        self.old_end == self.new_end
    }

    /// Where the text under a span is now; none when it is not the same any more.
    pub(crate) fn place(&self, span: Span) -> Option<Span> {
        if span.file != self.file || span.end <= self.from {
            return Some(span);
        }
        (span.start >= self.old_end).then(|| Span {
            start: span.start - self.old_end + self.new_end,
            end: span.end - self.old_end + self.new_end,
            ..span
        })
    }

    /// Moves a span. Returns whether its text is the same.
    pub(crate) fn apply(&self, span: &mut Span) -> bool {
        let place = self.place(*span);
        *span = place.unwrap_or(*span);
        place.is_some()
    }

    /// Whether a place of the old text is behind the edit, or in it.
    pub(crate) fn reaches(&self, span: Span) -> bool {
        span.file == self.file && span.end > self.from
    }

    /// Whether something remembers a place behind the edit, or in it: asked with the file, and what it is behind.
    pub(super) fn reaches_any(&self, points_to: impl FnOnce(FileId, u32) -> bool) -> bool {
        points_to(self.file, self.from)
    }

    /// Whether the edit is in a span, so that its text is another one.
    fn changes(&self, span: Span, is_new: bool) -> bool {
        let end = if is_new { self.new_end } else { self.old_end };
        span.end > self.from && span.start < end
    }
}

/// An edit that touches nothing but what environments change in apps.
#[derive(Debug)]
pub(super) struct Patch {
    pub(super) moved: Moved,
    /// The touched changes, at their old places.
    old: Vec<Span>,
    /// The apps that they are of, before and after.
    pub(super) apps: Set,
    /// Whether there are changes of what is no app.
    pub(super) has_strangers: bool,
}

impl Patch {
    /// Compares two states of a file. None when more may be touched than changes of apps.
    pub(super) fn of(
        graph: &Graph,
        file: FileId,
        (old, old_text): (&Outline, &str),
        (new, new_text): (&Outline, &str),
    ) -> Option<Patch> {
        let moved = Moved::between(file, old_text, new_text);
        if !old.has_same_names(new) || old.envs.len() != new.envs.len() {
            return None;
        }
        let suites = |outline: &Outline| -> Vec<Span> {
            outline.suites.iter().map(|suite| suite.span).collect()
        };
        moved.keeps(&suites(old), &suites(new))?;
        moved.keeps(&old.plain, &new.plain)?;
        let kinds = |outline: &Outline| -> Vec<(usize, bool)> {
            let suites = outline.suites.iter();
            suites.map(|suite| (suite.item, suite.is_policy)).collect()
        };
        if kinds(old) != kinds(new) {
            return None;
        }
        let mut patch = Patch {
            moved,
            old: Vec::new(),
            apps: Set::new(),
            has_strangers: false,
        };
        for (old, new) in old.envs.iter().zip(&new.envs) {
            if old.item != new.item || old.others.len() != new.others.len() {
                return None;
            }
            moved.keeps(&old.frame, &new.frame)?;
            let mut after = new.ops.iter().peekable();
            let mut fresh: Vec<&OpOutline> = Vec::new();
            for op in &old.ops {
                let place = moved
                    .place(op.span)
                    .filter(|_| !moved.changes(op.span, false));
                if let Some(place) = place {
                    let is_before = |new: &&OpOutline| new.span.start < place.start;
                    fresh.extend(std::iter::from_fn(|| after.next_if(is_before)));
                    let is_it = |new: &&OpOutline| new.span == place && new.target == op.target;
                    if after
                        .next_if(is_it)
                        .is_some_and(|new| !moved.changes(new.span, true))
                    {
                        continue;
                    }
                }
                // A setting is everybody's.
                patch.apps.insert(graph.app(op.target.as_str())?);
                patch.old.push(op.span);
            }
            for op in fresh.into_iter().chain(after) {
                match graph.app(op.target.as_str()) {
                    Some(app) => _ = patch.apps.insert(app),
                    None if is_setting(op.target) => return None,
                    // The checker says that there is no such app.
                    None => patch.has_strangers = true,
                }
            }
        }
        Some(patch)
    }

    /// Whether a place of the old text was in a touched change.
    pub(super) fn is_gone(&self, span: Span) -> bool {
        let mut old = self.old.iter();
        old.any(|op| op.file == span.file && op.start <= span.start && span.end <= op.end)
    }
}

impl Moved {
    /// Whether these are the same, at their new places.
    fn keeps(&self, old: &[Span], new: &[Span]) -> Option<()> {
        let is_same = |(old, new): (&Span, &Span)| {
            !self.changes(*old, false)
                && !self.changes(*new, true)
                && self.place(*old) == Some(*new)
        };
        let are_same = old.len() == new.len() && old.iter().zip(new).all(is_same);
        are_same.then_some(())
    }
}

/// Whether an environment says something of itself by this name.
fn is_setting(name: Name) -> bool {
    ["cluster", "namespace", "kubernetes"].contains(&name.as_str())
}

/// Moves findings to where what they speak of is now; those of touched changes are left out. None when one of them may be
/// about something else, or is a mistake.
pub(super) fn moved(found: &[Diagnostic], patches: &[Patch]) -> Option<Vec<Diagnostic>> {
    let mut kept = Vec::with_capacity(found.len());
    for one in found {
        let mut one = one.clone();
        let mut is_gone = false;
        for label in &mut one.labels {
            for patch in patches {
                if patch.is_gone(label.span) {
                    is_gone = true;
                    break;
                }
                if !patch.moved.apply(&mut label.span) {
                    return None;
                }
            }
        }
        match is_gone {
            true if one.is_error() => return None,
            true => {}
            false => kept.push(one),
        }
    }
    Some(kept)
}
