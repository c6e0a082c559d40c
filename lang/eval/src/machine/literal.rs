//! Lists, maps and records as they are written, with loops, conditions and spreads inside.

use ordain_lang_syntax::{Diagnostic, Span};
use ordain_lang_types::hir::{
    ExprId, ExprKind, FieldInit, For, Init, Item as ListItem, MapItem, RecordItem,
};
use ordain_lang_types::ty::RecordId;

use super::{Change, Cx, Machine};
use crate::heap::{Cell, Entry, Item, Local, Part, Thunk};
use crate::provenance::{Copied, Prov};
use crate::value::{RecId, Reported, Res, Text, Value};

/// From this many entries on, a map under construction is searched by a hash table.
const INDEXED: usize = 24;

/// The keys of a map under construction; entries with an explicit key may not meet.
#[derive(Default)]
struct Keys {
    index: Option<std::collections::HashMap<Box<str>, usize>>,
    /// Places of entries that come from a spread, which later entries may override.
    soft: Vec<usize>,
}

impl<'p> Machine<'p> {
    /// Runs `body` once per step of a loop, with its names set.
    pub(super) fn each(
        &mut self,
        clause: &'p For,
        cx: Cx,
        body: &mut dyn FnMut(&mut Self) -> Res<()>,
    ) -> Res<()> {
        let span = self.program.hir.span(clause.over);
        // A range is counted through without making a list of it.
        if let ExprKind::Range(low, high, inclusive) = self.program.hir.kind(clause.over) {
            let (low, high) = self.range_ends(*low, *high, *inclusive, span, cx)?;
            for (at, n) in (low..high).enumerate() {
                let key = Value::Int(i64::try_from(at).unwrap_or(i64::MAX));
                self.step(clause, key, Value::Int(n).into(), span, cx, body)?;
            }
            return Ok(());
        }
        match self.eval(clause.over, cx)? {
            Value::List(list) => {
                let part = self.heap.list_part(list);
                for at in 0..part.len {
                    let item = self.heap.items[(part.start + at) as usize];
                    self.step(
                        clause,
                        Value::Int(i64::from(at)),
                        item.into(),
                        span,
                        cx,
                        body,
                    )?;
                }
            }
            Value::Map(map) => {
                let part = self.heap.map_part(map);
                for at in 0..part.len {
                    let entry = self.heap.entries[(part.start + at) as usize];
                    self.step(clause, Value::Str(entry.key), entry.into(), span, cx, body)?;
                }
            }
            Value::Rec(rec) => {
                self.see(rec);
                for cell in self.heap.cells(rec).to_vec() {
                    let value = self.field(rec, cell.pos, span)?;
                    let def = self.def(self.heap.rec(rec).def);
                    let key = self.heap.add_text(&def.fields[cell.pos as usize].name);
                    let value = Local { value, at: cell.at };
                    self.step(clause, Value::Str(key), value, span, cx, body)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn step(
        &mut self,
        clause: &'p For,
        key: Value,
        value: Local,
        span: Span,
        cx: Cx,
        body: &mut dyn FnMut(&mut Self) -> Res<()>,
    ) -> Res<()> {
        self.turn(span)?;
        self.set_local_at(clause.value, value.value, value.at, cx);
        if let Some(slot) = clause.key {
            // Whoever set the value wrote the key beside it.
            self.set_local_at(slot, key, value.at, cx);
        }
        for condition in &clause.when {
            if !self.condition(*condition, cx)? {
                return Ok(());
            }
        }
        body(self)
    }

    pub(super) fn list_literal(&mut self, items: &'p [ListItem], cx: Cx) -> Res {
        let start = self.items.len();
        let made = self.list_items(items, cx);
        if made.is_err() {
            self.items.truncate(start);
            return Err(Reported);
        }
        let Self { heap, items, .. } = self;
        Ok(Value::List(heap.add_list(items.drain(start..))))
    }

    /// Evaluates every element, also behind one that failed, so that all mistakes are told.
    fn list_items(&mut self, items: &'p [ListItem], cx: Cx) -> Res<()> {
        let mut result = Ok(());
        for item in items {
            let one = match item {
                ListItem::Expr(expr) => self.eval(*expr, cx).map(|value| {
                    let at = self.made(*expr, self.program.hir.span(*expr), cx);
                    self.items.push(Item { at, value });
                }),
                ListItem::Spread(expr) => self.eval(*expr, cx).and_then(|value| {
                    if let Value::List(list) = value {
                        let part = self.heap.list_part(list);
                        let more = self.items.len() + part.range().len();
                        self.room(more, 0, self.program.hir.span(*expr))?;
                        self.items.extend_from_slice(&self.heap.items[part.range()]);
                    }
                    Ok(())
                }),
                ListItem::For(clause, items) => {
                    let mut inner = Ok(());
                    let turned = self.each(clause, cx, &mut |m| {
                        inner = m.list_items(items, cx).and(inner);
                        Ok(())
                    });
                    turned.and(inner)
                }
                ListItem::If(condition, then, otherwise) => match self.condition(*condition, cx) {
                    Ok(true) => self.list_items(then, cx),
                    Ok(false) => self.list_items(otherwise, cx),
                    Err(Reported) => Err(Reported),
                },
            };
            result = result.and(one);
        }
        result
    }

    pub(super) fn map_literal(&mut self, items: &'p [MapItem], cx: Cx) -> Res {
        let start = self.entries.len();
        let mut keys = Keys::default();
        let made = self.map_items(items, start, &mut keys, cx);
        if made.is_err() {
            self.entries.truncate(start);
            return Err(Reported);
        }
        let Self { heap, entries, .. } = self;
        Ok(Value::Map(heap.add_map(entries.drain(start..))))
    }

    fn map_items(
        &mut self,
        items: &'p [MapItem],
        start: usize,
        keys: &mut Keys,
        cx: Cx,
    ) -> Res<()> {
        let mut result = Ok(());
        for item in items {
            let one = match item {
                MapItem::Entry(key, value) => self.map_entry(*key, *value, start, keys, cx),
                MapItem::Spread(expr) => self.eval(*expr, cx).and_then(|value| {
                    self.map_spread(value, start, keys, self.program.hir.span(*expr))
                }),
                MapItem::For(clause, items) => {
                    let mut inner = Ok(());
                    let turned = self.each(clause, cx, &mut |m| {
                        inner = m.map_items(items, start, keys, cx).and(inner);
                        Ok(())
                    });
                    turned.and(inner)
                }
                MapItem::If(condition, then, otherwise) => match self.condition(*condition, cx) {
                    Ok(true) => self.map_items(then, start, keys, cx),
                    Ok(false) => self.map_items(otherwise, start, keys, cx),
                    Err(Reported) => Err(Reported),
                },
                MapItem::Let(slot, value) => self
                    .eval(*value, cx)
                    .map(|value| self.set_local(*slot, value, cx)),
            };
            result = result.and(one);
        }
        result
    }

    fn map_entry(
        &mut self,
        key_expr: ExprId,
        value_expr: ExprId,
        start: usize,
        keys: &mut Keys,
        cx: Cx,
    ) -> Res<()> {
        let key = self.eval_text(key_expr, cx)?;
        let value = self.eval(value_expr, cx)?;
        let span = self.program.hir.span(key_expr);
        let at = self.made(value_expr, span, cx);
        let Some(known) = self.known_key(start, keys, key) else {
            self.entries.push(Entry { key, at, value });
            return Ok(());
        };
        if let Some(soft) = keys.soft.iter().position(|place| *place == known) {
            keys.soft.swap_remove(soft);
            self.entries[known] = Entry { key, at, value };
            return Ok(());
        }
        let before = self.heap.provs[self.entries[known].at as usize].span;
        let name = self.text(key).to_owned();
        let mut diagnostic = Diagnostic::error("E0212", format!("the key `{name}` is given twice"))
            .label(span, "here again");
        if before != span && before != Prov::NONE.span {
            diagnostic = diagnostic.label(before, "first here");
        }
        Err(self.report(diagnostic))
    }

    fn map_spread(&mut self, value: Value, start: usize, keys: &mut Keys, span: Span) -> Res<()> {
        let added: Vec<Entry> = match value {
            Value::Map(map) => self.heap.map(map).to_vec(),
            Value::Rec(rec) => self.record_entries(rec, span)?,
            _ => Vec::new(),
        };
        for entry in added {
            match self.known_key(start, keys, entry.key) {
                Some(known) => self.entries[known] = entry,
                None => {
                    self.entries.push(entry);
                    keys.soft.push(self.entries.len() - 1);
                }
            }
        }
        Ok(())
    }

    /// The fields of a record that have a value, as entries of a map.
    pub(super) fn record_entries(&mut self, rec: RecId, span: Span) -> Res<Vec<Entry>> {
        self.see(rec);
        let mut entries = Vec::new();
        for cell in self.heap.cells(rec).to_vec() {
            let value = self.field(rec, cell.pos, span)?;
            if !matches!(value, Value::Null) {
                let def = self.def(self.heap.rec(rec).def);
                let key = self.heap.add_text(&def.fields[cell.pos as usize].name);
                entries.push(Entry {
                    key,
                    at: cell.at,
                    value,
                });
            }
        }
        Ok(entries)
    }

    fn known_key(&self, start: usize, keys: &mut Keys, key: Text) -> Option<usize> {
        let count = self.entries.len() - start;
        let text = self.text(key);
        if count < INDEXED {
            let found = self.entries[start..]
                .iter()
                .position(|e| self.text(e.key) == text)?;
            return Some(start + found);
        }
        let index = keys
            .index
            .get_or_insert_with(std::collections::HashMap::new);
        for (at, entry) in self.entries.iter().enumerate().skip(start + index.len()) {
            index.insert(self.text(entry.key).into(), at);
        }
        index.get(text).copied()
    }

    pub(super) fn record_literal(
        &mut self,
        def: RecordId,
        items: &'p [RecordItem],
        span: Span,
        cx: Cx,
    ) -> Res {
        let start = self.cells.len();
        let told = self.diagnostics.len();
        let made = self.record_items(def, items, start, cx);
        if self.diagnostics.len() > told {
            self.name_object(def, start, told, span);
        }
        if made.is_err() {
            self.cells.truncate(start);
            return Err(Reported);
        }
        for pos in &self.info(def).defaults {
            if !self.cells[start..].iter().any(|cell| cell.pos == *pos) {
                self.cells.push(Cell {
                    pos: *pos,
                    at: 0,
                    value: Value::Default,
                });
            }
        }
        self.room(0, 0, span)?;
        let Self { heap, cells, .. } = self;
        Ok(Value::Rec(heap.add_rec(def, span, cells.drain(start..))))
    }

    /// Adds which object they are about to the diagnostics made while its literal was evaluated.
    fn name_object(&mut self, def: RecordId, start: usize, told: usize, span: Span) {
        let info = self.info(def);
        let (Some(gvk), Some(metadata)) = (self.def(def).gvk(), info.metadata) else {
            return;
        };
        let meta = self.cells[start..]
            .iter()
            .find(|cell| cell.pos == metadata)
            .map(|c| c.value);
        let name = match (meta, info.name) {
            (Some(Value::Rec(meta)), Some((_, name, _))) => self.field(meta, name, span).ok(),
            _ => None,
        };
        let name = name.and_then(|name| self.str_of(name)).unwrap_or_default();
        for diagnostic in &mut self.diagnostics[told..] {
            if diagnostic.object.is_none() {
                diagnostic.object = Some(format!("{} {name}", gvk.kind).trim_end().to_owned());
            }
        }
    }

    fn record_items(
        &mut self,
        def: RecordId,
        items: &'p [RecordItem],
        start: usize,
        cx: Cx,
    ) -> Res<()> {
        let mut result = Ok(());
        for item in items {
            let one = match item {
                RecordItem::Field(init) => self.record_field(def, init, start, cx),
                RecordItem::Let(slot, value) => self
                    .eval(*value, cx)
                    .map(|value| self.set_local(*slot, value, cx)),
                RecordItem::If(condition, then, otherwise) => {
                    match self.condition(*condition, cx) {
                        Ok(true) => self.record_items(def, then, start, cx),
                        Ok(false) => self.record_items(def, otherwise, start, cx),
                        Err(Reported) => Err(Reported),
                    }
                }
                RecordItem::Spread(expr) => self.eval(*expr, cx).map(|value| {
                    let Value::Rec(rec) = value else { return };
                    for cell in self.heap.cells(rec).to_vec() {
                        let value = self.heap.unforced(cell.value);
                        if !matches!(value, Value::Default) {
                            self.put_cell(start, Cell { value, ..cell });
                        }
                    }
                }),
            };
            result = result.and(one);
        }
        result
    }

    fn put_cell(&mut self, start: usize, cell: Cell) {
        match self.cells[start..]
            .iter_mut()
            .find(|known| known.pos == cell.pos)
        {
            Some(known) => *known = cell,
            None => self.cells.push(cell),
        }
    }

    fn record_field(
        &mut self,
        def: RecordId,
        init: &'p FieldInit,
        start: usize,
        cx: Cx,
    ) -> Res<()> {
        let pos = init.field;
        match &init.init {
            Init::Set(expr) => {
                let value = self.eval(*expr, cx)?;
                let at = self.made(*expr, init.span, cx);
                self.put_cell(start, Cell { pos, at, value });
            }
            Init::Final(expr) => {
                let value = self.eval(*expr, cx)?;
                let prov = Prov {
                    is_final: true,
                    ..Prov::set(init.span, cx.layer)
                };
                let at = self.heap.add_prov(prov);
                self.put_cell(start, Cell { pos, at, value });
            }
            Init::Amend(amend, create) => {
                let change = Change::Block(amend, *create, init.span);
                return self.record_change(def, init, start, change, cx);
            }
            Init::Append(expr) => {
                let change = Change::Append(*expr, init.span);
                return self.record_change(def, init, start, change, cx);
            }
        }
        Ok(())
    }

    /// A change of what a field is so far. A default waits, because it depends on the finished
    /// record; anything else is changed at once.
    fn record_change(
        &mut self,
        def: RecordId,
        init: &'p FieldInit,
        start: usize,
        change: Change<'p>,
        cx: Cx,
    ) -> Res<()> {
        let pos = init.field;
        let known = self.cells[start..]
            .iter()
            .find(|cell| cell.pos == pos)
            .copied();
        let field = &self.def(def).fields[pos as usize];
        let nothing = if field.default.is_some() {
            Value::Default
        } else {
            Value::Null
        };
        let (base, before) = known.map_or((nothing, 0), |cell| (cell.value, cell.at));
        let value = if matches!(base, Value::Default | Value::Thunk(_)) {
            let frame = self.frame(cx);
            let thunk = Thunk {
                base,
                change,
                frame,
                this: cx.this,
                layer: cx.layer,
            };
            self.heap.add_thunk(thunk)
        } else {
            let outer = std::mem::take(&mut self.fresh);
            let changed = self.change(base, change, field.ty, cx);
            self.fresh = outer;
            changed?
        };
        let prov = Prov {
            before,
            whole: false,
            ..Prov::set(init.span, cx.layer)
        };
        let at = self.heap.add_prov(prov);
        self.put_cell(start, Cell { pos, at, value });
        Ok(())
    }

    /// The number of the provenance of a value that was just evaluated and is set at a place.
    pub(super) fn made(&mut self, expr: ExprId, span: Span, cx: Cx) -> u32 {
        match self.copied_from(expr, cx) {
            Copied::NONE => self.prov(expr, span, cx.layer),
            from => self.heap.add_prov(Prov {
                from,
                ..Prov::set(span, cx.layer)
            }),
        }
    }

    /// What the expression just evaluated is a plain copy of.
    pub(super) fn copied_from(&self, expr: ExprId, cx: Cx) -> Copied {
        match self.program.hir.kind(expr) {
            ExprKind::Field(..) | ExprKind::SelfField(_) => self
                .last_read
                .map_or(Copied::NONE, |(rec, pos)| Copied::field(rec, pos)),
            ExprKind::Local(slot) => Copied::prov(self.local_at(*slot, cx)),
            ExprKind::Check(inner, ..) | ExprKind::Convert(inner, ..) => {
                self.copied_from(*inner, cx)
            }
            _ => Copied::NONE,
        }
    }

    /// A copy of the current frame, for what is evaluated later.
    pub(super) fn frame(&mut self, cx: Cx) -> Part {
        let frame = &self.stack[cx.base..cx.base + cx.slots as usize];
        self.heap.add_frame(frame)
    }
}
