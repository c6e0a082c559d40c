//! Values as text: inside interpolated strings, and inside messages. Secrets are masked in both.

use std::fmt::Write as _;

use super::Machine;
use crate::emit::json;
use crate::limits;
use crate::num::duration::Duration;
use crate::value::Value;

/// What stands for a secret wherever it could be read.
pub(crate) const MASK: &str = "***";

/// Characters of a value that a message shows.
const SHOWN: usize = 80;

/// A text as messages show it.
pub(super) fn shortened(text: &str) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]).into(),
        None => text.into(),
    }
}

impl<'p> Machine<'p> {
    /// Appends a scalar as `{…}` in a string shows it.
    pub(crate) fn write_plain(&self, out: &mut String, value: Value) {
        match value {
            Value::Str(text) | Value::Quantity(text) => out.push_str(self.text(text)),
            Value::Bool(value) => out.push_str(if value { "true" } else { "false" }),
            Value::Int(value) => {
                let _ = write!(out, "{value}");
            }
            Value::Float(value) => json::float(out, value),
            Value::Duration(nanos) => {
                let _ = write!(out, "{}", Duration(nanos));
            }
            // What is longer has no room on the heap.
            other => self.write_shown(out, other, limits::MAX_TEXT),
        }
    }

    pub(crate) fn plain_text(&self, value: Value) -> String {
        let mut out = String::new();
        self.write_plain(&mut out, value);
        out
    }

    /// A value as messages show it: JSON, cut where it gets long.
    pub(crate) fn show(&self, value: Value) -> String {
        let mut out = String::new();
        self.write_shown(&mut out, value, SHOWN);
        if out.chars().count() > SHOWN {
            out = out.chars().take(SHOWN - 1).collect();
            out.push('…');
        }
        out
    }

    /// Writes what is evaluated already, until there is more than `limit`; what is not shows as `…`.
    fn write_shown(&self, out: &mut String, value: Value, limit: usize) {
        if out.len() > limit {
            return;
        }
        match value {
            Value::Null => out.push_str("null"),
            Value::Str(text) => json::quote(out, self.text(text)),
            Value::List(list) => {
                out.push('[');
                for (at, item) in self.heap.list(list).iter().enumerate() {
                    if out.len() > limit {
                        break;
                    }
                    out.push_str(if at > 0 { ", " } else { "" });
                    self.write_shown(out, item.value, limit);
                }
                out.push(']');
            }
            Value::Map(map) => {
                out.push_str("{ ");
                for (at, entry) in self.heap.map(map).iter().enumerate() {
                    if out.len() > limit {
                        break;
                    }
                    out.push_str(if at > 0 { ", " } else { "" });
                    json::quote(out, self.text(entry.key));
                    out.push_str(" = ");
                    self.write_shown(out, entry.value, limit);
                }
                out.push_str(" }");
            }
            Value::Rec(rec) => {
                let def = self.def(self.heap.rec(rec).def);
                let _ = write!(out, "{} {{ ", def.name);
                for (at, cell) in self.heap.cells(rec).iter().enumerate() {
                    out.push_str(if at > 0 { ", " } else { "" });
                    let _ = write!(out, "{} = ", def.fields[cell.pos as usize].name);
                    self.write_shown(out, cell.value, limit);
                }
                out.push_str(" }");
            }
            Value::Forced(index) => {
                self.write_shown(out, self.heap.forced[index as usize].1, limit);
            }
            Value::Fn(_) | Value::Closure(_) => out.push_str("a function"),
            Value::Secret(_) => out.push_str(MASK),
            Value::Default | Value::Thunk(_) | Value::Running(_) | Value::Failed => {
                out.push('…');
            }
            scalar => self.write_plain(out, scalar),
        }
    }
}
