//! What one app may take: turns, cells, text, and how much is gone through and written. Every limit is a constant of
//! [`crate::limits`] and ends the app with E0503 or E0502.

use ordain_lang_syntax::{Diagnostic, Span};

use super::Machine;
use crate::limits;
use crate::value::{Reported, Res, Text};

impl Machine<'_> {
    /// Counts a turn of a loop or a call, and looks at the size of the heap.
    pub(crate) fn turn(&mut self, span: Span) -> Res<()> {
        self.turns += 1;
        if self.read.get() > limits::MAX_READ {
            return self.reads(0);
        }
        self.room(0, 0, span)
    }

    /// Looks whether the heap has room for so many more cells and bytes of text. Whatever can grow by doubling asks
    /// before it does: a chain of thirty doublings needs no loop.
    pub(crate) fn room(&mut self, more_cells: usize, more_text: usize, span: Span) -> Res<()> {
        if self.exhausted {
            return Err(Reported);
        }
        let (cells, text) = self.heap.size();
        let (cells, text) = (cells + more_cells, text + more_text);
        let at_stake = if self.turns > limits::MAX_TURNS {
            format!(
                "the loops and calls of one app run more than {} times",
                limits::MAX_TURNS
            )
        } else if cells > limits::MAX_CELLS {
            format!("one app makes more than {} values", limits::MAX_CELLS)
        } else if text > limits::MAX_TEXT {
            format!(
                "one app makes more than {} MiB of text",
                limits::MAX_TEXT >> 20
            )
        } else {
            return Ok(());
        };
        self.exhausted = true;
        Err(self.report(
            Diagnostic::error("E0503", at_stake)
                .label(span, "this is what grows")
                .help("an app of this size is almost always a loop over the wrong list, or values that double"),
        ))
    }

    /// Counts so many elements that are gone through.
    pub(crate) fn reads(&mut self, elements: usize) -> Res<()> {
        self.reads_bytes(elements.saturating_mul(limits::ELEMENT_BYTES))
    }

    /// Counts a text that is gone through.
    pub(crate) fn reads_text(&mut self, text: Text) -> Res<()> {
        let len = self.text(text).len();
        match len > limits::SHORT_TEXT {
            true => self.reads_bytes(len),
            false => Ok(()),
        }
    }

    /// Counts elements and bytes of text that are written.
    pub(crate) fn writes(&mut self, elements: usize, bytes: usize) -> Res<()> {
        let more = elements.saturating_mul(limits::ELEMENT_BYTES) + bytes;
        self.written = self.written.saturating_add(more as u64);
        if self.written <= self.write_limit {
            return Ok(());
        }
        if self.exhausted {
            return Err(Reported);
        }
        self.exhausted = true;
        Err(self.report(
            Diagnostic::error(
                "E0503",
                "one app writes more than it may: its values are shared too often",
            )
            .help("look for a long list or text that stands in another one again and again"),
        ))
    }

    /// Counts a text that is held against a rule; the next turn looks whether it was too much.
    pub(crate) fn notes_text(&self, text: Text) {
        let len = self.text(text).len();
        if len > limits::SHORT_TEXT {
            let cost = len as u64 * limits::RULE_COST;
            self.read.set(self.read.get().saturating_add(cost));
        }
    }

    fn reads_bytes(&mut self, bytes: usize) -> Res<()> {
        self.read.set(self.read.get().saturating_add(bytes as u64));
        if self.read.get() <= limits::MAX_READ {
            return Ok(());
        }
        if self.exhausted {
            return Err(Reported);
        }
        self.exhausted = true;
        let message = format!(
            "one app goes through more than {} MiB of values",
            limits::MAX_READ >> 20
        );
        Err(self.report(Diagnostic::error("E0503", message).help(
            "look for a long list or text that is searched, compared or written again and again; a map finds its key at once",
        )))
    }

    /// Goes one container deeper into a value; the caller comes back by lowering `depth`.
    pub(crate) fn deeper(&mut self) -> Res<()> {
        if self.depth >= limits::MAX_DEPTH {
            let message = format!("a value is nested more than {} deep", limits::MAX_DEPTH);
            return Err(self.report(Diagnostic::error("E0502", message)));
        }
        // Values are shared, so that a small heap can be a huge text: each of forty levels may name the one below twice.
        self.walked += 1;
        if self.walked > limits::MAX_CELLS {
            if self.exhausted {
                return Err(Reported);
            }
            self.exhausted = true;
            let message = format!(
                "one app writes more than {} lists and records",
                limits::MAX_CELLS
            );
            return Err(self.report(
                Diagnostic::error("E0503", message)
                    .help("look for values that contain the one before them more than once"),
            ));
        }
        self.depth += 1;
        Ok(())
    }
}
