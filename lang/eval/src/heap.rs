//! Where values live: growing tables, freed all at once when an app's evaluation is over.
//!
//! Numbers instead of references keep values `Copy`, allow late-bound records that point at
//! each other, and cost nothing to drop. The heap knows no semantics.

use std::collections::HashMap;

use crate::machine::{Change, Fresh};
use crate::provenance::Prov;
use crate::value::{ListId, MapId, RecId, Text, Value};
use ordain_lang_secrets::Template;
use ordain_lang_syntax::Span;
use ordain_lang_types::hir::ExprId;
use ordain_lang_types::ty::RecordId;

/// A field of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    /// Its position in the record's definition.
    pub(crate) pos: u32,
    /// Its provenance, by number; 0 is none.
    pub(crate) at: u32,
    pub(crate) value: Value,
}

/// An element of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub(crate) at: u32,
    pub(crate) value: Value,
}

/// An entry of a map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Text,
    pub(crate) at: u32,
    pub(crate) value: Value,
}

/// A range of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Part {
    pub(crate) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }
}

/// A record: its definition and the fields that are set or defaulted, in the order of output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rec {
    pub(crate) def: RecordId,
    pub(crate) cells: Part,
    /// Where it was made.
    pub(crate) span: Span,
    /// Somebody read it, so its rules are checked at the end.
    pub(crate) seen: bool,
}

/// A local variable: its value, and the number of the provenance of what it was set to; 0 is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local {
    pub(crate) value: Value,
    pub(crate) at: u32,
}

impl Local {
    /// Of a slot that nothing was put into.
    pub(crate) const NULL: Local = Local {
        value: Value::Null,
        at: 0,
    };
}

impl From<Value> for Local {
    fn from(value: Value) -> Self {
        Local { value, at: 0 }
    }
}

impl From<Item> for Local {
    fn from(item: Item) -> Self {
        Local {
            value: item.value,
            at: item.at,
        }
    }
}

impl From<Entry> for Local {
    fn from(entry: Entry) -> Self {
        Local {
            value: entry.value,
            at: entry.at,
        }
    }
}

/// What was removed from a container, so that it can be told who did it: the field or key, and the
/// provenance by number.
pub(crate) type Graves = Vec<(Box<str>, u32)>;

/// A lambda.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closure {
    /// The lambda expression.
    pub(crate) expr: ExprId,
    /// Captured values, in `frames`.
    pub(crate) captures: Part,
    /// The record in whose body the lambda stands.
    pub(crate) this: Option<RecId>,
}

/// A change which waits until the field it changes is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thunk<'p> {
    /// What is changed: again a state of a field.
    pub(crate) base: Value,
    pub(crate) change: Change<'p>,
    /// The frame of the change's expressions, in `frames`.
    pub(crate) frame: Part,
    pub(crate) this: Option<RecId>,
    pub(crate) layer: u32,
}

/// All tables.
#[derive(Debug, Default)]
pub(crate) struct Heap<'p> {
    text: String,
    texts: Vec<Part>,
    pub(crate) items: Vec<Item>,
    pub(crate) lists: Vec<Part>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) maps: Vec<Part>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) recs: Vec<Rec>,
    /// What a field was and what became of it.
    pub(crate) forced: Vec<(Value, Value)>,
    pub(crate) frames: Vec<Local>,
    pub(crate) closures: Vec<Closure>,
    pub(crate) thunks: Vec<Thunk<'p>>,
    pub(crate) secrets: Vec<Template>,
    pub(crate) provs: Vec<Prov>,
    pub(crate) graves: HashMap<Fresh, Graves>,
}

/// The length of a table as a number for [`Part`]; [`Heap::size`] is limited far below.
fn at<T>(table: &[T]) -> u32 {
    u32::try_from(table.len()).unwrap_or(u32::MAX)
}

impl<'p> Heap<'p> {
    pub(crate) fn new() -> Self {
        Self {
            provs: vec![Prov::NONE],
            ..Self::default()
        }
    }

    /// How much is on the heap: cells of all tables, and bytes of text.
    pub(crate) fn size(&self) -> (usize, usize) {
        let cells = self.items.len() + self.entries.len() + self.cells.len() + self.frames.len();
        (
            cells + self.recs.len() + self.thunks.len() + self.texts.len() + self.provs.len(),
            self.text.len(),
        )
    }

    pub(crate) fn own(&self, index: u32) -> &str {
        self.texts
            .get(index as usize)
            .map_or("", |part| &self.text[part.range()])
    }

    pub(crate) fn add_text(&mut self, text: &str) -> Text {
        let start = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.text.push_str(text);
        self.texts.push(Part {
            start,
            len: u32::try_from(text.len()).unwrap_or(0),
        });
        Text::Own(at(&self.texts) - 1)
    }

    pub(crate) fn add_list(&mut self, items: impl IntoIterator<Item = Item>) -> ListId {
        let start = at(&self.items);
        self.items.extend(items);
        self.lists.push(Part {
            start,
            len: at(&self.items) - start,
        });
        ListId(at(&self.lists) - 1)
    }

    pub(crate) fn list(&self, id: ListId) -> &[Item] {
        &self.items[self.lists[id.0 as usize].range()]
    }

    pub(crate) fn list_part(&self, id: ListId) -> Part {
        self.lists[id.0 as usize]
    }

    /// Appends to a list that nobody else holds.
    pub(crate) fn push_item(&mut self, id: ListId, item: Item) {
        let part = self.lists[id.0 as usize];
        if part.start + part.len != at(&self.items) {
            let start = at(&self.items);
            self.items.extend_from_within(part.range());
            self.lists[id.0 as usize].start = start;
        }
        self.items.push(item);
        self.lists[id.0 as usize].len += 1;
    }

    pub(crate) fn remove_item(&mut self, id: ListId, index: usize) {
        let part = self.lists[id.0 as usize];
        self.items[part.range()][index..].rotate_left(1);
        self.lists[id.0 as usize].len -= 1;
    }

    pub(crate) fn item_mut(&mut self, id: ListId, index: usize) -> &mut Item {
        let part = self.lists[id.0 as usize];
        &mut self.items[part.start as usize + index]
    }

    pub(crate) fn add_map(&mut self, entries: impl IntoIterator<Item = Entry>) -> MapId {
        let start = at(&self.entries);
        self.entries.extend(entries);
        self.maps.push(Part {
            start,
            len: at(&self.entries) - start,
        });
        MapId(at(&self.maps) - 1)
    }

    pub(crate) fn map(&self, id: MapId) -> &[Entry] {
        &self.entries[self.maps[id.0 as usize].range()]
    }

    pub(crate) fn map_part(&self, id: MapId) -> Part {
        self.maps[id.0 as usize]
    }

    /// Appends to a map that nobody else holds.
    pub(crate) fn push_entry(&mut self, id: MapId, entry: Entry) {
        let part = self.maps[id.0 as usize];
        if part.start + part.len != at(&self.entries) {
            let start = at(&self.entries);
            self.entries.extend_from_within(part.range());
            self.maps[id.0 as usize].start = start;
        }
        self.entries.push(entry);
        self.maps[id.0 as usize].len += 1;
    }

    pub(crate) fn remove_entry(&mut self, id: MapId, index: usize) {
        let part = self.maps[id.0 as usize];
        self.entries[part.range()][index..].rotate_left(1);
        self.maps[id.0 as usize].len -= 1;
    }

    pub(crate) fn entry_mut(&mut self, id: MapId, index: usize) -> &mut Entry {
        let part = self.maps[id.0 as usize];
        &mut self.entries[part.start as usize + index]
    }

    pub(crate) fn add_rec(
        &mut self,
        def: RecordId,
        span: Span,
        cells: impl IntoIterator<Item = Cell>,
    ) -> RecId {
        let start = at(&self.cells);
        self.cells.extend(cells);
        let cells = Part {
            start,
            len: at(&self.cells) - start,
        };
        self.recs.push(Rec {
            def,
            cells,
            span,
            seen: false,
        });
        RecId(at(&self.recs) - 1)
    }

    pub(crate) fn rec(&self, id: RecId) -> &Rec {
        &self.recs[id.0 as usize]
    }

    pub(crate) fn cells(&self, id: RecId) -> &[Cell] {
        &self.cells[self.recs[id.0 as usize].cells.range()]
    }

    /// The place of a field in `cells`, when the record has it.
    pub(crate) fn find(&self, id: RecId, pos: u32) -> Option<usize> {
        let part = self.recs[id.0 as usize].cells;
        let found = self.cells[part.range()]
            .iter()
            .position(|cell| cell.pos == pos)?;
        Some(part.start as usize + found)
    }

    /// Appends a field to a record that nobody else holds; gives its place in `cells`.
    pub(crate) fn push_cell(&mut self, id: RecId, cell: Cell) -> usize {
        let part = self.recs[id.0 as usize].cells;
        if part.start + part.len != at(&self.cells) {
            let start = at(&self.cells);
            self.cells.extend_from_within(part.range());
            self.recs[id.0 as usize].cells.start = start;
        }
        self.cells.push(cell);
        self.recs[id.0 as usize].cells.len += 1;
        self.cells.len() - 1
    }

    /// Takes a field out of a record that nobody else holds.
    pub(crate) fn remove_cell(&mut self, id: RecId, pos: u32) {
        let part = self.recs[id.0 as usize].cells;
        let cells = &mut self.cells[part.range()];
        if let Some(found) = cells.iter().position(|cell| cell.pos == pos) {
            cells[found..].rotate_left(1);
            self.recs[id.0 as usize].cells.len -= 1;
        }
    }

    pub(crate) fn add_frame(&mut self, values: &[Local]) -> Part {
        let start = at(&self.frames);
        self.frames.extend_from_slice(values);
        Part {
            start,
            len: at(&self.frames) - start,
        }
    }

    pub(crate) fn add_closure(&mut self, closure: Closure) -> Value {
        self.closures.push(closure);
        Value::Closure(at(&self.closures) - 1)
    }

    pub(crate) fn add_thunk(&mut self, thunk: Thunk<'p>) -> Value {
        self.thunks.push(thunk);
        Value::Thunk(at(&self.thunks) - 1)
    }

    pub(crate) fn add_secret(&mut self, secret: Template) -> Value {
        self.secrets.push(secret);
        Value::Secret(at(&self.secrets) - 1)
    }

    pub(crate) fn add_prov(&mut self, prov: Prov) -> u32 {
        self.provs.push(prov);
        at(&self.provs) - 1
    }

    /// What a field was before it was evaluated, so that an amended copy evaluates it anew.
    pub(crate) fn unforced(&self, value: Value) -> Value {
        match value {
            Value::Forced(index) | Value::Running(index) => self.forced[index as usize].0,
            other => other,
        }
    }
}
