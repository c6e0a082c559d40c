//! `+=`, and merging as the API server does it: records by field, maps by key, lists of objects
//! by the keys of their type, everything else replaced.

use ordain_lang_syntax::{Name, Span};
use ordain_lang_types::TyKind;
use ordain_lang_types::hir::BinOp;
use ordain_lang_types::ty::Ty;

use super::Machine;
use crate::heap::{Cell, Entry, Item};
use crate::value::{ListId, MapId, RecId, Res, Value};

impl<'p> Machine<'p> {
    /// `base += added`.
    pub(super) fn append(&mut self, base: Value, added: Value, ty: Ty, span: Span) -> Res {
        match (base, added) {
            (Value::Null, added) => Ok(added),
            (base, Value::Null) => Ok(base),
            (Value::List(base), Value::List(added)) => {
                let keys = self.list_keys(ty);
                if keys.is_empty() {
                    let set = self.is_set(ty);
                    let mut items = self.heap.list(base).to_vec();
                    for item in self.heap.list(added).to_vec() {
                        if !(set && self.is_among(&items, item.value)?) {
                            items.push(item);
                        }
                    }
                    return Ok(Value::List(self.heap.add_list(items)));
                }
                self.merge_lists(base, added, &keys, self.value_ty(ty), span)
            }
            (Value::Map(base), Value::Map(added)) => Ok(self.merge_entries(base, added)),
            (Value::Rec(base), Value::Rec(added)) => self.merge_records(base, added, span),
            (base, added) => self.operate(BinOp::Add, base, added, span),
        }
    }

    fn list_keys(&self, ty: Ty) -> Vec<Name> {
        let types = &self.program.types;
        match types.kind(types.without_optional(ty)) {
            TyKind::List(list) => list.keys.to_vec(),
            _ => Vec::new(),
        }
    }

    fn is_set(&self, ty: Ty) -> bool {
        let types = &self.program.types;
        matches!(types.kind(types.without_optional(ty)), TyKind::List(list) if list.set)
    }

    fn is_among(&mut self, items: &[Item], value: Value) -> Res<bool> {
        for item in items {
            if self.equal(item.value, value)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Entries of both maps; those of the right one win.
    pub(super) fn merge_entries(&mut self, base: MapId, added: MapId) -> Value {
        let mut entries = self.heap.map(base).to_vec();
        for entry in self.heap.map(added).to_vec() {
            let key = self.text(entry.key);
            match entries.iter().position(|known| self.text(known.key) == key) {
                Some(at) => {
                    entries[at] = Entry {
                        key: entries[at].key,
                        ..entry
                    }
                }
                None => entries.push(entry),
            }
        }
        Value::Map(self.heap.add_map(entries))
    }

    fn merge(&mut self, base: Value, added: Value, ty: Ty, span: Span) -> Res {
        match (base, added) {
            (Value::Rec(base), Value::Rec(added)) => self.merge_records(base, added, span),
            (Value::Map(base), Value::Map(added)) => Ok(self.merge_entries(base, added)),
            (Value::List(base), Value::List(added)) => {
                let keys = self.list_keys(ty);
                if keys.is_empty() {
                    return Ok(Value::List(added));
                }
                self.merge_lists(base, added, &keys, self.value_ty(ty), span)
            }
            (_, added) => Ok(added),
        }
    }

    fn merge_records(&mut self, base: RecId, added: RecId, span: Span) -> Res {
        let (record, other) = (*self.heap.rec(base), *self.heap.rec(added));
        if record.def != other.def {
            return Ok(Value::Rec(added));
        }
        let def = self.def(record.def);
        let mut cells: Vec<Cell> = self
            .heap
            .cells(base)
            .iter()
            .map(|cell| Cell {
                value: self.heap.unforced(cell.value),
                ..*cell
            })
            .collect();
        for cell in self.heap.cells(added).to_vec() {
            let state = self.heap.unforced(cell.value);
            if matches!(state, Value::Default) {
                continue;
            }
            match cells.iter().position(|known| known.pos == cell.pos) {
                None => cells.push(Cell {
                    value: state,
                    ..cell
                }),
                Some(at) => {
                    let late = |v: Value| matches!(v, Value::Default | Value::Thunk(_));
                    let value = if late(cells[at].value) || late(state) {
                        state
                    } else {
                        let ty = def.fields[cell.pos as usize].ty;
                        self.merge(cells[at].value, state, ty, span)?
                    };
                    cells[at] = Cell { value, ..cell };
                }
            }
        }
        Ok(Value::Rec(self.heap.add_rec(
            record.def,
            record.span,
            cells,
        )))
    }

    fn merge_lists(
        &mut self,
        base: ListId,
        added: ListId,
        keys: &[Name],
        item_ty: Ty,
        span: Span,
    ) -> Res {
        let mut items = self.heap.list(base).to_vec();
        let mut names = Vec::with_capacity(items.len());
        for item in &items {
            names.push(self.element_key(item.value, keys, span)?);
        }
        for item in self.heap.list(added).to_vec() {
            let name = self.element_key(item.value, keys, span)?;
            match names.iter().position(|known| *known == name) {
                Some(at) => {
                    let value = self.merge(items[at].value, item.value, item_ty, span)?;
                    items[at] = Item { at: item.at, value };
                }
                None => {
                    items.push(item);
                    names.push(name);
                }
            }
        }
        Ok(Value::List(self.heap.add_list(items)))
    }

    fn element_key(&mut self, value: Value, keys: &[Name], span: Span) -> Res<Vec<String>> {
        let Value::Rec(rec) = value else {
            return Ok(Vec::new());
        };
        let def = self.def(self.heap.rec(rec).def);
        let mut texts = Vec::with_capacity(keys.len());
        for key in keys {
            let value = match def.field(*key) {
                Some(pos) => self.field(rec, pos, span)?,
                None => Value::Null,
            };
            texts.push(match value {
                // The only list-map key of the core API with a default (core/v1 ContainerPort, ServicePort).
                Value::Null if *key == "protocol" => "TCP".to_owned(),
                value => self.plain_text(value),
            });
        }
        Ok(texts)
    }
}
