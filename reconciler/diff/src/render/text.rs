//! A diff for a terminal: terse, in the order of apps, with the effects of each object before its fields.

use std::fmt::Write as _;

use serde_json::Value;

use crate::{Change, Diff, Field, Level, ObjectDiff, Verb};

use super::value::{line, lines, not_compared, totals};

/// How the text is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct TextOptions {
    /// With ANSI colors.
    pub color: bool,
}

/// Writes a diff as text.
#[must_use]
pub fn text(diff: &Diff, options: TextOptions) -> String {
    let mut out = Text {
        text: String::new(),
        color: options.color,
    };
    out.diff(diff);
    out.text
}

/// Select Graphic Rendition (ECMA-48).
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const BOLD: &str = "1";
const DIM: &str = "2";

struct Text {
    text: String,
    color: bool,
}

impl Text {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn paint(&self, style: &str, text: &str) -> String {
        match self.color {
            true => format!("\x1b[{style}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }

    fn diff(&mut self, diff: &Diff) {
        let unknown = not_compared(diff);
        if diff.is_empty() {
            let objects = diff.live_totals.unwrap_or(diff.totals).unchanged;
            self.line(&format!("no changes ({objects} objects)"));
            unknown.iter().for_each(|text| self.line(text));
            return;
        }
        let mut heading = None;
        for object in &diff.objects {
            if heading != Some((&object.env, &object.app)) {
                let title = self.paint(BOLD, &format!("{}/{}", object.env, object.app));
                self.line(&title);
                heading = Some((&object.env, &object.app));
                self.held(diff, object);
            }
            self.object(object, diff);
        }
        self.line(&totals(&diff.totals));
        if let (Some(live), Some(side)) = (&diff.live_totals, &diff.live) {
            self.line(&format!("applied to {side}: {}", totals(live)));
        }
        unknown.iter().for_each(|text| self.line(text));
    }

    fn held(&mut self, diff: &Diff, object: &ObjectDiff) {
        let of_app = |held: &&crate::Held| held.env == object.env && held.app == object.app;
        for held in diff.held.iter().filter(of_app) {
            for reason in &held.reasons {
                let text = format!("  ! waits for an approval: {reason}");
                let text = self.paint(YELLOW, &text);
                self.line(&text);
            }
            if let Some(hash) = &held.hash {
                self.line(&format!("  ! `ordain approve {hash}` allows it, or a commit with the trailer `Approve-Plan: {hash}`"));
            }
        }
    }

    fn object(&mut self, object: &ObjectDiff, diff: &Diff) {
        let verb = match object.is_live_only() {
            true => object.real_verb(),
            false => object.verb,
        };
        let mut head = format!("  {} {}", verb.sign(), object.key);
        head = match verb {
            Verb::Create => self.paint(GREEN, &head),
            Verb::Delete | Verb::Refused => self.paint(RED, &head),
            _ => self.paint(YELLOW, &head),
        };
        if let Some(app) = &object.moved_from {
            let _ = write!(head, ", moved from app {app}");
        }
        if let Some(at) = &object.at {
            head.push_str(&self.paint(DIM, &format!("  ({at})")));
        }
        self.line(&head);
        for effect in &object.effects {
            let style = match effect.level {
                Level::Note => BOLD,
                Level::Warning => YELLOW,
                Level::Danger => RED,
            };
            let words = self.paint(style, &format!("! {}", effect.effect.words()));
            let mut text = format!("      {words}: {}", effect.message.replace('\n', " "));
            let shown = |field: &Field| field.place() == effect.at.as_deref();
            let is_shown = effect.at == object.at || object.all_fields().any(shown);
            if let Some(at) = effect.at.as_deref().filter(|_| !is_shown) {
                text.push_str(&self.paint(DIM, &format!("  ({at})")));
            }
            self.line(&text);
        }
        object.fields.iter().for_each(|field| self.field(field));
        if let Some(live) = &object.live {
            self.live(object, live, diff);
        }
    }

    /// What is live, where it says more than the comparison of the sources.
    fn live(&mut self, object: &ObjectDiff, live: &crate::LiveDiff, diff: &Diff) {
        let reason = live.reason.as_deref().map(|text| text.replace('\n', " "));
        let Some(side) = &diff.live else {
            // It is the base, and was told.
            if let Some(reason) = reason.filter(|_| {
                object
                    .effects
                    .iter()
                    .all(|e| Some(&e.message) != live.reason.as_ref())
            }) {
                self.line(&format!("      {reason}"));
            }
            return;
        };
        let known = values(&object.fields);
        let more = live
            .fields
            .iter()
            .filter(|field| !known.contains(&(&field.path, &field.change)));
        let more: Vec<&Field> = more.collect();
        if live.verb == object.verb && more.is_empty() {
            return;
        }
        let what = match live.verb {
            Verb::Create => "it does not exist yet",
            Verb::Update | Verb::Replace if more.is_empty() => "it differs in the same",
            Verb::Update => "it differs besides in",
            Verb::Replace => "it is replaced for",
            Verb::Delete => "it exists and goes",
            Verb::Held => "it stays until the plan is approved",
            Verb::Refused => "it is refused",
            Verb::Keep => "it stays",
            Verb::Unchanged if reason.is_some() => "it may be like this already",
            Verb::Unchanged => "it is like this already",
        };
        let mut text = format!("      on {side}: {what}");
        if let Some(reason) = reason.filter(|_| live.verb != Verb::Refused) {
            let _ = write!(text, " ({reason})");
        }
        let text = self.paint(BOLD, &text);
        self.line(&text);
        more.into_iter().for_each(|field| self.field(field));
    }

    fn field(&mut self, field: &Field) {
        let path = &field.path;
        let mut at = field
            .place()
            .map_or_else(String::new, |at| self.paint(DIM, &format!("  ({at})")));
        if let (Some(now), Some(was)) = (&field.at, &field.was_at)
            && now != was
        {
            at = self.paint(DIM, &format!("  ({now}, was {was})"));
        }
        let text = match &field.change {
            Change::Added { new } => self.paint(GREEN, &format!("+ {path}: {}", line(new))),
            Change::Removed { old } => self.paint(RED, &format!("- {path}: {}", line(old))),
            Change::Changed {
                old: Value::String(old),
                new: Value::String(new),
            } if old.contains('\n') || new.contains('\n') => {
                self.line(&format!("      ~ {path}:{at}"));
                for (mark, text) in lines(&field.change) {
                    let text = format!("          {mark} {text}");
                    let text = match mark {
                        '+' => self.paint(GREEN, &text),
                        '-' => self.paint(RED, &text),
                        _ => text,
                    };
                    self.line(&text);
                }
                return;
            }
            Change::Changed { old, new } => {
                let (old, new) = (self.paint(RED, &line(old)), self.paint(GREEN, &line(new)));
                format!("~ {path}: {old} -> {new}")
            }
        };
        self.line(&format!("      {text}{at}"));
    }
}

/// The changes alone, without their lines.
fn values(fields: &[Field]) -> Vec<(&str, &Change)> {
    fields
        .iter()
        .map(|field| (field.path.as_str(), &field.change))
        .collect()
}
