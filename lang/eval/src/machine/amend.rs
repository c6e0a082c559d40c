//! Amending: `base { … }` and the blocks of environments.
//!
//! A change never touches what it changes: records, maps and lists on its path are copied, the
//! rest is shared. Within one block a copy is made once. A change of a field that is late-bound
//! (a default, an app's field) is not carried out but noted, so that what derives from other
//! changed fields follows; [`Machine::field`] carries it out.

use ordain_lang_syntax::{Diagnostic, Span};
use ordain_lang_types::TyKind;
use ordain_lang_types::hir::{Amend, AmendKind, AmendOp, ExprId, ListKey, Step};
use ordain_lang_types::ty::{RecordId, Ty};

use super::{Change, Cx, Machine};
use crate::heap::{Cell, Entry, Item, Thunk};
use crate::provenance::{Copied, Prov};
use crate::value::{ListId, MapId, RecId, Reported, Res, Value};

/// A container that was made by the running block, so that it may be changed in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fresh {
    Rec(RecId),
    Map(MapId),
    List(ListId),
}

impl<'p> Machine<'p> {
    /// A copy of a value with the changes of a block.
    pub(crate) fn amend(&mut self, value: Value, amend: &'p Amend, ty: Ty, cx: Cx) -> Res {
        let outer = std::mem::take(&mut self.fresh);
        let value = self.block(value, amend, ty, cx);
        self.fresh = outer;
        value
    }

    /// Carries out a noted change.
    pub(super) fn change(&mut self, value: Value, change: Change<'p>, ty: Ty, cx: Cx) -> Res {
        match change {
            Change::Op(op, skip) => self.op(value, &op.path[skip as usize..], op, ty, cx),
            Change::Block(amend, create, span) => {
                let value = self.or_empty(value, create, span);
                self.block(value, amend, create, cx)
            }
            Change::Append(expr, span) => {
                let added = self.eval(expr, cx)?;
                self.append(value, added, ty, span)
            }
        }
    }

    /// All changes of a block, also those behind one that failed, so that all mistakes are told.
    fn block(&mut self, mut value: Value, amend: &'p Amend, ty: Ty, cx: Cx) -> Res {
        let mut failed = false;
        for op in &amend.ops {
            match self.op(value, &op.path, op, ty, cx) {
                Ok(changed) => value = changed,
                Err(Reported) => failed = true,
            }
        }
        if failed { Err(Reported) } else { Ok(value) }
    }

    fn op(&mut self, value: Value, path: &'p [Step], op: &'p AmendOp, ty: Ty, cx: Cx) -> Res {
        let Some((step, rest)) = path.split_first() else {
            return self.here(value, op, ty, cx);
        };
        match step {
            Step::Field(def, pos) => self.at_field(value, *def, *pos, rest, op, cx),
            Step::MapKey(key) => self.at_key(value, *key, rest, op, ty, cx),
            Step::ListKey(key) => self.at_element(value, key, rest, op, ty, cx),
            Step::Index(index) => {
                let index = self.eval(*index, cx)?;
                let element = self.get_index(value, index, op.span)?;
                let (Value::List(list), Value::Int(n)) = (value, index) else {
                    return Err(Reported);
                };
                let at = self.item(list, n).ok_or(Reported)?;
                let list = self.fresh_list(list);
                self.at_item(list, at, element, rest, op, ty, cx)
            }
            Step::Object(key) => {
                let Value::List(list) = value else {
                    return Err(Reported);
                };
                let at = self.find_object(list, key, cx)?;
                let element = self.heap.list(list)[at].value;
                let list = self.fresh_list(list);
                self.at_item(list, at, element, rest, op, ty, cx)
            }
        }
    }

    /// The change itself, at its place.
    fn here(&mut self, value: Value, op: &'p AmendOp, ty: Ty, cx: Cx) -> Res {
        match &op.kind {
            AmendKind::Set(expr) | AmendKind::Final(expr) => self.eval(*expr, cx),
            AmendKind::Append(expr) => {
                let added = self.eval(*expr, cx)?;
                self.append(value, added, ty, op.span)
            }
            AmendKind::Amend(amend, create) => {
                let value = self.or_empty(value, *create, op.span);
                self.block(value, amend, *create, cx)
            }
            AmendKind::Delete => Ok(Value::Null),
            AmendKind::When(condition, then, otherwise) => {
                let chosen = if self.condition(*condition, cx)? {
                    then
                } else {
                    otherwise
                };
                self.block(value, chosen, ty, cx)
            }
            AmendKind::For(clause, amend) => {
                let mut value = value;
                let mut failed = false;
                self.each(clause, cx, &mut |m| {
                    match m.block(value, amend, ty, cx) {
                        Ok(changed) => value = changed,
                        Err(Reported) => failed = true,
                    }
                    Ok(())
                })?;
                if failed { Err(Reported) } else { Ok(value) }
            }
            AmendKind::Let(slot, expr) => {
                let bound = self.eval(*expr, cx)?;
                self.set_local(*slot, bound, cx);
                Ok(value)
            }
            AmendKind::Spread(expr) => {
                let added = self.eval(*expr, cx)?;
                self.spread(value, added, op, cx)
            }
        }
    }

    /// What is there, or a new empty value of the type.
    fn or_empty(&mut self, value: Value, ty: Ty, span: Span) -> Value {
        if !matches!(value, Value::Null) {
            return value;
        }
        let program = self.program;
        match program.types.kind(ty) {
            TyKind::Record(def) => {
                let rec = self.new_record(*def, span);
                self.fresh.push(Fresh::Rec(rec));
                Value::Rec(rec)
            }
            TyKind::Optional(inner) | TyKind::Secret(inner) => self.or_empty(value, *inner, span),
            TyKind::List(_) => {
                let list = self.heap.add_list([]);
                self.fresh.push(Fresh::List(list));
                Value::List(list)
            }
            _ => {
                let map = self.heap.add_map([]);
                self.fresh.push(Fresh::Map(map));
                Value::Map(map)
            }
        }
    }

    fn at_field(
        &mut self,
        value: Value,
        def: RecordId,
        pos: u32,
        rest: &'p [Step],
        op: &'p AmendOp,
        cx: Cx,
    ) -> Res {
        let rec = match value {
            Value::Rec(rec) => self.fresh_rec(rec),
            Value::Null => {
                let rec = self.new_record(def, op.span);
                self.fresh.push(Fresh::Rec(rec));
                rec
            }
            _ => return Err(Reported),
        };
        let field = &self.def(def).fields[pos as usize];
        let cell = self.heap.find(rec, pos).map(|at| self.heap.cells[at]);
        let before = cell.map_or(0, |cell| cell.at);
        if field.is_final {
            return Err(self.is_final(&field.name, op.span, field.span));
        }
        self.guard(&field.name, before, op.span)?;
        let whole = rest.is_empty();
        let (value, whole) = match &op.kind {
            AmendKind::Set(expr) | AmendKind::Final(expr) if whole => {
                let value = self.eval(*expr, cx)?;
                let known = cell.map_or(Value::Null, |cell| cell.value);
                self.guard_twice(&field.name, before, known, value, op.span, cx)?;
                (value, true)
            }
            AmendKind::Delete if whole => {
                if field.default.is_none() {
                    let at = self.changed(op, before, true, cx);
                    self.bury(Fresh::Rec(rec), &field.name, at);
                    self.heap.remove_cell(rec, pos);
                    return Ok(Value::Rec(rec));
                }
                (Value::Null, true)
            }
            _ => {
                let nothing = if field.default.is_some() {
                    Value::Default
                } else {
                    Value::Null
                };
                let state = cell.map_or(nothing, |cell| self.heap.unforced(cell.value));
                if matches!(state, Value::Default | Value::Thunk(_)) {
                    let skip = u32::try_from(op.path.len() - rest.len()).unwrap_or(0);
                    let frame = self.frame(cx);
                    let thunk = Thunk {
                        base: state,
                        change: Change::Op(op, skip),
                        frame,
                        this: cx.this,
                        layer: cx.layer,
                    };
                    (self.heap.add_thunk(thunk), false)
                } else {
                    let state = self.settled(state)?;
                    (self.op(state, rest, op, field.ty, cx)?, false)
                }
            }
        };
        let at = self.changed(op, before, whole, cx);
        let cell = Cell { pos, at, value };
        match self.heap.find(rec, pos) {
            Some(known) => self.heap.cells[known] = cell,
            None => {
                self.heap.push_cell(rec, cell);
            }
        }
        Ok(Value::Rec(rec))
    }

    fn at_key(
        &mut self,
        value: Value,
        key: ExprId,
        rest: &'p [Step],
        op: &'p AmendOp,
        ty: Ty,
        cx: Cx,
    ) -> Res {
        let key = self.eval_text(key, cx)?;
        let map = match value {
            Value::Map(map) => self.fresh_map(map),
            Value::Null => {
                let map = self.heap.add_map([]);
                self.fresh.push(Fresh::Map(map));
                map
            }
            Value::Rec(rec) => {
                let def = self.heap.rec(rec).def;
                let name = self.text(key);
                let pos = self
                    .def(def)
                    .fields
                    .iter()
                    .position(|f| f.name.as_str() == name);
                let Some(pos) = pos else {
                    return Err(self.no_such_field(def, name.to_owned(), op.span));
                };
                return self.at_field(value, def, pos as u32, rest, op, cx);
            }
            _ => return Err(Reported),
        };
        let found = self.map_find(map, self.text(key));
        let known = found.map(|at| self.heap.map(map)[at]);
        let before = known.map_or(0, |entry| entry.at);
        let name = self.text(key).to_owned();
        self.guard(&name, before, op.span)?;
        let whole = rest.is_empty();
        let value = match &op.kind {
            AmendKind::Set(expr) | AmendKind::Final(expr) if whole => {
                let value = self.eval(*expr, cx)?;
                if let Some(known) = known {
                    self.guard_twice(&name, before, known.value, value, op.span, cx)?;
                }
                value
            }
            AmendKind::Delete if whole => {
                match found {
                    Some(at) => {
                        let prov = self.changed(op, before, true, cx);
                        self.bury(Fresh::Map(map), &name, prov);
                        self.heap.remove_entry(map, at);
                    }
                    None => self.nothing_to_delete(map, key, op.span),
                }
                return Ok(Value::Map(map));
            }
            _ => {
                let ty = self.value_ty(ty);
                self.op(
                    known.map_or(Value::Null, |entry| entry.value),
                    rest,
                    op,
                    ty,
                    cx,
                )?
            }
        };
        let at = self.changed(op, before, whole, cx);
        match found {
            Some(place) => *self.heap.entry_mut(map, place) = Entry { key, at, value },
            None => self.heap.push_entry(map, Entry { key, at, value }),
        }
        Ok(Value::Map(map))
    }

    fn at_element(
        &mut self,
        value: Value,
        key: &'p ListKey,
        rest: &'p [Step],
        op: &'p AmendOp,
        ty: Ty,
        cx: Cx,
    ) -> Res {
        let list = match value {
            Value::List(list) => list,
            Value::Null => self.heap.add_list([]),
            _ => return Err(Reported),
        };
        let wanted = self.eval_keys(key, cx)?;
        if let Some(at) = self.find_keyed(list, key, &wanted)? {
            let element = self.heap.list(list)[at].value;
            let before = self.heap.list(list)[at].at;
            let list = self.fresh_list(list);
            if matches!(op.kind, AmendKind::Delete) && rest.is_empty() {
                let name: Vec<&str> = wanted.iter().map(|(_, text)| text.as_str()).collect();
                let name = name.join(",");
                let prov = self.changed(op, before, true, cx);
                self.bury(Fresh::List(list), &name, prov);
            }
            return self.at_item(list, at, element, rest, op, ty, cx);
        }
        if let (AmendKind::Set(expr) | AmendKind::Final(expr), true) = (&op.kind, rest.is_empty()) {
            let value = self.eval(*expr, cx)?;
            let value = self.with_keys(value, key, cx)?;
            let list = self.fresh_list(list);
            let at = self.changed(op, 0, true, cx);
            self.heap.push_item(list, Item { at, value });
            return Ok(Value::List(list));
        }
        let known = self.element_names(list, key)?;
        let name: Vec<&str> = wanted.iter().map(|(_, text)| text.as_str()).collect();
        Err(self.nothing_to_amend(&name.join(", "), &known, key.span))
    }

    /// Sets the fields that name an element, where the element leaves them out.
    fn with_keys(&mut self, value: Value, key: &'p ListKey, cx: Cx) -> Res {
        let Value::Rec(rec) = value else {
            return Ok(value);
        };
        let missing: Vec<(u32, ExprId)> = key
            .keys
            .iter()
            .filter(|(pos, _, _)| self.heap.find(rec, *pos).is_none())
            .map(|(pos, expr, _)| (*pos, *expr))
            .collect();
        if missing.is_empty() {
            return Ok(value);
        }
        let record = *self.heap.rec(rec);
        let mut cells = Vec::with_capacity(missing.len() + record.cells.len as usize);
        for (pos, expr) in missing {
            let value = self.eval(expr, cx)?;
            let at = self.prov(expr, key.span, cx.layer);
            cells.push(Cell { pos, at, value });
        }
        cells.extend_from_slice(self.heap.cells(rec));
        Ok(Value::Rec(self.heap.add_rec(
            record.def,
            record.span,
            cells,
        )))
    }

    fn element_names(&mut self, list: ListId, key: &'p ListKey) -> Res<Vec<String>> {
        let mut names = Vec::new();
        for at in 0..self.heap.list(list).len() {
            let Value::Rec(rec) = self.heap.list(list)[at].value else {
                continue;
            };
            let mut name = Vec::new();
            for (pos, _, default) in &key.keys {
                let value = self.field(rec, *pos, key.span)?;
                name.push(match (value, default) {
                    (Value::Null, Some(default)) => default.to_string(),
                    (value, _) => self.plain_text(value),
                });
            }
            names.push(name.join(", "));
        }
        Ok(names)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a place, a change and its surroundings"
    )]
    fn at_item(
        &mut self,
        list: ListId,
        at: usize,
        element: Value,
        rest: &'p [Step],
        op: &'p AmendOp,
        ty: Ty,
        cx: Cx,
    ) -> Res {
        let before = self.heap.list(list)[at].at;
        let whole = rest.is_empty();
        self.guard("element", before, op.span)?;
        let value = match &op.kind {
            AmendKind::Set(expr) | AmendKind::Final(expr) if whole => self.eval(*expr, cx)?,
            AmendKind::Delete if whole => {
                self.heap.remove_item(list, at);
                return Ok(Value::List(list));
            }
            _ => {
                let ty = self.value_ty(ty);
                self.op(element, rest, op, ty, cx)?
            }
        };
        let prov = self.changed(op, before, whole, cx);
        *self.heap.item_mut(list, at) = Item { at: prov, value };
        Ok(Value::List(list))
    }

    /// `...other` in a block: every field or entry that the other value has is set.
    fn spread(&mut self, value: Value, added: Value, op: &'p AmendOp, cx: Cx) -> Res {
        match (value, added) {
            (Value::Rec(rec), Value::Rec(other)) => {
                let rec = self.fresh_rec(rec);
                for cell in self.heap.cells(other).to_vec() {
                    let state = self.heap.unforced(cell.value);
                    if matches!(state, Value::Default) {
                        continue;
                    }
                    let before = self
                        .heap
                        .find(rec, cell.pos)
                        .map(|at| self.heap.cells[at].at);
                    let at = self.changed(op, before.unwrap_or(0), true, cx);
                    let cell = Cell {
                        pos: cell.pos,
                        at,
                        value: state,
                    };
                    match self.heap.find(rec, cell.pos) {
                        Some(known) => self.heap.cells[known] = cell,
                        None => {
                            self.heap.push_cell(rec, cell);
                        }
                    }
                }
                Ok(Value::Rec(rec))
            }
            (Value::Map(_) | Value::Null, Value::Map(_)) => {
                self.append(value, added, Ty::ERROR, op.span)
            }
            (value, _) => Ok(value),
        }
    }

    /// The type of the elements of a list or the values of a map.
    pub(super) fn value_ty(&self, ty: Ty) -> Ty {
        let types = &self.program.types;
        match types.kind(types.without_optional(ty)) {
            TyKind::List(list) => list.item,
            TyKind::Map(_, value) => *value,
            _ => Ty::ERROR,
        }
    }

    fn fresh_rec(&mut self, rec: RecId) -> RecId {
        if self.fresh.contains(&Fresh::Rec(rec)) {
            return rec;
        }
        let record = *self.heap.rec(rec);
        let cells: Vec<Cell> = self
            .heap
            .cells(rec)
            .iter()
            .map(|cell| Cell {
                value: self.heap.unforced(cell.value),
                ..*cell
            })
            .collect();
        let copy = self.heap.add_rec(record.def, record.span, cells);
        self.inherit(Fresh::Rec(rec), Fresh::Rec(copy));
        self.fresh.push(Fresh::Rec(copy));
        copy
    }

    fn fresh_map(&mut self, map: MapId) -> MapId {
        if self.fresh.contains(&Fresh::Map(map)) {
            return map;
        }
        let entries = self.heap.map(map).to_vec();
        let copy = self.heap.add_map(entries);
        self.inherit(Fresh::Map(map), Fresh::Map(copy));
        self.fresh.push(Fresh::Map(copy));
        copy
    }

    fn fresh_list(&mut self, list: ListId) -> ListId {
        if self.fresh.contains(&Fresh::List(list)) {
            return list;
        }
        let items = self.heap.list(list).to_vec();
        let copy = self.heap.add_list(items);
        self.inherit(Fresh::List(list), Fresh::List(copy));
        self.fresh.push(Fresh::List(copy));
        copy
    }

    /// Remembers that something was removed.
    fn bury(&mut self, of: Fresh, name: &str, at: u32) {
        let graves = self.heap.graves.entry(of).or_default();
        graves.retain(|(known, _)| **known != *name);
        graves.push((name.into(), at));
    }

    /// A copy lacks what was removed from the original.
    fn inherit(&mut self, from: Fresh, of: Fresh) {
        if let Some(graves) = self.heap.graves.get(&from).cloned() {
            self.heap.graves.insert(of, graves);
        }
    }

    fn changed(&mut self, op: &'p AmendOp, before: u32, whole: bool, cx: Cx) -> u32 {
        let from = match &op.kind {
            AmendKind::Set(expr) | AmendKind::Final(expr) if whole => self.copied_from(*expr, cx),
            _ => Copied::NONE,
        };
        let is_final = matches!(op.kind, AmendKind::Final(_)) && whole;
        self.heap.add_prov(Prov {
            before,
            is_final,
            whole,
            is_deleted: whole && matches!(op.kind, AmendKind::Delete),
            from,
            ..Prov::set(op.span, cx.layer)
        })
    }

    /// Refuses to change what an earlier layer made final.
    fn guard(&mut self, name: &str, before: u32, span: Span) -> Res<()> {
        let prov = self.heap.provs[before as usize];
        if prov.is_final {
            Err(self.is_final(name, span, Some(prov.span)))
        } else {
            Ok(())
        }
    }

    /// Refuses two different values for one field in one environment.
    fn guard_twice(
        &mut self,
        name: &str,
        before: u32,
        known: Value,
        value: Value,
        span: Span,
        cx: Cx,
    ) -> Res<()> {
        let prov = self.heap.provs[before as usize];
        if before == 0
            || !prov.whole
            || prov.layer != cx.layer
            || cx.layer <= crate::provenance::DEFAULT
        {
            return Ok(());
        }
        let known = self.settled(known)?;
        if self.equal(known, value)? {
            return Ok(());
        }
        let (first, second) = (self.show(known), self.show(value));
        Err(self.report(
            Diagnostic::error("E0512", format!("this environment sets `{name}` twice"))
                .label(span, format!("{second} here"))
                .label(prov.span, format!("{first} here"))
                .help("keep one of them, or move one to an environment that extends this one"),
        ))
    }
}
