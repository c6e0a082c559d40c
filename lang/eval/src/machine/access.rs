//! Reading: fields (evaluating them when they are first asked for), keys, indexes, objects by name.

use ordain_lang_syntax::{Diagnostic, Span};
use ordain_lang_types::hir::{ExprId, ListKey, ObjectKey};
use ordain_lang_types::ty::Origin;

use super::{Cx, Link, Machine, near};
use crate::provenance;
use crate::value::{ListId, MapId, RecId, Reported, Res, Text, Value};

impl<'p> Machine<'p> {
    /// Notes that somebody reads a record from outside: now its rules must hold.
    pub(crate) fn see(&mut self, rec: RecId) {
        let record = *self.heap.rec(rec);
        if !record.seen {
            let ruled = self.info(record.def).ruled;
            self.heap.recs[rec.0 as usize].seen = true;
            if ruled {
                self.unchecked.push(rec);
            }
        }
    }

    /// Takes a record whose rules have not been checked yet.
    pub(crate) fn next_unchecked(&mut self) -> Option<RecId> {
        self.unchecked.pop()
    }

    /// The value of a field, evaluated if need be; null when it is not set.
    pub(crate) fn field(&mut self, rec: RecId, pos: u32, span: Span) -> Res {
        let Some(at) = self.heap.find(rec, pos) else {
            return Ok(self.implied(rec, pos));
        };
        match self.heap.cells[at].value {
            Value::Forced(index) => Ok(self.heap.forced[index as usize].1),
            Value::Failed => Err(Reported),
            Value::Running(_) => {
                let def = self.heap.rec(rec).def;
                Err(self.cycle(Link::Field(def, rec, pos), span))
            }
            state @ (Value::Default | Value::Thunk(_)) => self.force(rec, pos, at, state),
            value => Ok(value),
        }
    }

    /// What a field is that nobody set: an object's `apiVersion` and `kind`, else absent.
    fn implied(&mut self, rec: RecId, pos: u32) -> Value {
        let def = self.def(self.heap.rec(rec).def);
        let Some(gvk) = def.gvk() else {
            return Value::Null;
        };
        let Some(field) = def.fields.get(pos as usize) else {
            return Value::Null;
        };
        match field.name.as_str() {
            "apiVersion" => Value::Str(self.heap.add_text(&gvk.api_version)),
            "kind" => Value::Str(self.heap.add_text(&gvk.kind)),
            _ => Value::Null,
        }
    }

    /// Whether a field has a value though nobody sets it.
    pub(super) fn is_implied(&self, rec: RecId, pos: u32) -> bool {
        let def = self.def(self.heap.rec(rec).def);
        let name = def.fields.get(pos as usize).map(|field| field.name);
        def.gvk().is_some() && name.is_some_and(|name| name == "apiVersion" || name == "kind")
    }

    fn force(&mut self, rec: RecId, pos: u32, at: usize, state: Value) -> Res {
        let index = u32::try_from(self.heap.forced.len()).unwrap_or(u32::MAX);
        self.heap.forced.push((state, Value::Failed));
        self.heap.cells[at].value = Value::Running(index);
        self.links
            .push(Link::Field(self.heap.rec(rec).def, rec, pos));
        let value = self.run_state(state, rec, pos);
        self.links.pop();
        if let Some(at) = self.heap.find(rec, pos) {
            self.heap.cells[at].value = match value {
                Ok(value) => {
                    self.heap.forced[index as usize].1 = value;
                    Value::Forced(index)
                }
                Err(Reported) => Value::Failed,
            };
        }
        value
    }

    /// Evaluates what a field waits for: a default, and the changes made to it since, oldest first.
    fn run_state(&mut self, state: Value, rec: RecId, pos: u32) -> Res {
        let mut thunks = Vec::new();
        let mut state = state;
        while let Value::Thunk(index) = state {
            let thunk = self.heap.thunks[index as usize];
            thunks.push(thunk);
            state = thunk.base;
        }
        let def = self.def(self.heap.rec(rec).def);
        let field = &def.fields[pos as usize];
        let mut value = match state {
            Value::Default => match field.default {
                Some(body) => {
                    let layer = match def.origin {
                        Origin::App => provenance::VALUE,
                        _ => provenance::DEFAULT,
                    };
                    self.body(body, Some(rec), layer)?
                }
                None => Value::Null,
            },
            other => self.settled(other)?,
        };
        if thunks.is_empty() {
            return Ok(value);
        }
        let outer = std::mem::take(&mut self.fresh);
        let mut failed = false;
        for thunk in thunks.into_iter().rev() {
            let base = self.stack.len();
            let frame = thunk.frame.range();
            self.stack.extend_from_slice(&self.heap.frames[frame]);
            let cx = Cx {
                base,
                slots: thunk.frame.len,
                this: thunk.this,
                layer: thunk.layer,
            };
            match self.change(value, thunk.change, field.ty, cx) {
                Ok(changed) => value = changed,
                Err(Reported) => failed = true,
            }
            self.stack.truncate(base);
        }
        self.fresh = outer;
        if failed { Err(Reported) } else { Ok(value) }
    }

    /// A state that needs no evaluation as a value.
    pub(crate) fn settled(&mut self, state: Value) -> Res {
        match state {
            Value::Forced(index) => Ok(self.heap.forced[index as usize].1),
            Value::Failed | Value::Running(_) | Value::Default | Value::Thunk(_) => Err(Reported),
            value => Ok(value),
        }
    }

    pub(super) fn get_field(&mut self, base: Value, pos: u32, span: Span) -> Res {
        match base {
            Value::Rec(rec) => {
                self.see(rec);
                let value = self.field(rec, pos, span);
                self.last_read = Some((rec, pos));
                value
            }
            _ => {
                self.last_read = None;
                Ok(Value::Null)
            }
        }
    }

    /// A field by name of anything that has names; null when it is not there.
    pub(crate) fn get_named(&mut self, base: Value, name: &str, span: Span) -> Res {
        match base {
            Value::Rec(rec) => {
                self.see(rec);
                let def = self.def(self.heap.rec(rec).def);
                match def
                    .fields
                    .iter()
                    .position(|field| field.name.as_str() == name)
                {
                    Some(pos) => self.field(rec, pos as u32, span),
                    None => Ok(Value::Null),
                }
            }
            Value::Map(map) => Ok(self.map_get(map, name)),
            _ => Ok(Value::Null),
        }
    }

    pub(crate) fn map_find(&self, map: MapId, key: &str) -> Option<usize> {
        self.heap
            .map(map)
            .iter()
            .position(|entry| self.text(entry.key) == key)
    }

    pub(crate) fn map_get(&self, map: MapId, key: &str) -> Value {
        self.map_find(map, key)
            .map_or(Value::Null, |at| self.heap.map(map)[at].value)
    }

    pub(super) fn get_key(&mut self, base: Value, key: Value, span: Span) -> Res {
        match (base, key) {
            (Value::Map(map), Value::Str(key)) => Ok(self.map_get(map, self.text(key))),
            (Value::Map(map), key) => {
                let key = self.plain_text(key);
                Ok(self.map_get(map, &key))
            }
            (Value::Rec(_), Value::Str(key)) => {
                let key = self.text(key).to_owned();
                self.get_named(base, &key, span)
            }
            (Value::List(list), Value::Int(n)) => Ok(self
                .item(list, n)
                .map_or(Value::Null, |at| self.heap.list(list)[at].value)),
            _ => Ok(Value::Null),
        }
    }

    /// The place of an index in a list; negative ones count from the end.
    pub(super) fn item(&self, list: ListId, index: i64) -> Option<usize> {
        let len = self.heap.list(list).len();
        let at = if index < 0 {
            i64::try_from(len).ok()? + index
        } else {
            index
        };
        usize::try_from(at).ok().filter(|at| *at < len)
    }

    pub(super) fn get_index(&mut self, base: Value, index: Value, span: Span) -> Res {
        let (Value::List(list), Value::Int(index)) = (base, index) else {
            return Ok(Value::Null);
        };
        if let Some(at) = self.item(list, index) {
            return Ok(self.heap.list(list)[at].value);
        }
        let len = self.heap.list(list).len();
        Err(self.report(
            Diagnostic::error("E0231", format!("there is no element {index}"))
                .label(span, format!("the list has {len} elements, counted from 0")),
        ))
    }

    /// The keys that name an element, evaluated.
    pub(super) fn eval_keys(&mut self, key: &'p ListKey, cx: Cx) -> Res<Vec<(u32, String)>> {
        let mut keys = Vec::with_capacity(key.keys.len());
        for (pos, expr, _) in &key.keys {
            let value = self.eval(*expr, cx)?;
            keys.push((*pos, self.plain_text(value)));
        }
        Ok(keys)
    }

    /// The place of the element that a key names.
    pub(super) fn find_keyed(
        &mut self,
        list: ListId,
        key: &'p ListKey,
        wanted: &[(u32, String)],
    ) -> Res<Option<usize>> {
        for at in 0..self.heap.list(list).len() {
            let Value::Rec(rec) = self.heap.list(list)[at].value else {
                continue;
            };
            let mut same = true;
            for ((pos, text), (_, _, default)) in wanted.iter().zip(&key.keys) {
                let value = self.field(rec, *pos, key.span)?;
                same &= match (value, default) {
                    (Value::Null, Some(default)) => **default == **text,
                    (Value::Str(own), _) => self.text(own) == text,
                    (value, _) => self.plain_text(value) == *text,
                };
            }
            if same {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    pub(super) fn lookup(&mut self, base: Value, key: &'p ListKey, cx: Cx) -> Res {
        let Value::List(list) = base else {
            return Ok(Value::Null);
        };
        let wanted = self.eval_keys(key, cx)?;
        let found = self.find_keyed(list, key, &wanted)?;
        Ok(found.map_or(Value::Null, |at| self.heap.list(list)[at].value))
    }

    /// The place of an object in a list, by kind and name; E0232 when it is not there.
    pub(super) fn find_object(&mut self, list: ListId, key: &'p ObjectKey, cx: Cx) -> Res<usize> {
        let name = self.eval(key.name, cx)?;
        let name = self.plain_text(name);
        let namespace = match key.namespace {
            Some(expr) => {
                let value = self.eval(expr, cx)?;
                Some(self.plain_text(value))
            }
            None => None,
        };
        let mut others = Vec::new();
        for at in 0..self.heap.list(list).len() {
            let Value::Rec(rec) = self.heap.list(list)[at].value else {
                continue;
            };
            let (own, own_namespace) = self.object_name(rec)?;
            if self.heap.rec(rec).def == key.record
                && own.as_deref() == Some(name.as_str())
                && (namespace.is_none() || namespace == own_namespace)
            {
                return Ok(at);
            }
            let kind = self
                .def(self.heap.rec(rec).def)
                .gvk()
                .map_or("", |gvk| &*gvk.kind);
            others.push(format!("{kind} \"{}\"", own.unwrap_or_default()));
        }
        let kind = &self.def(key.record).name;
        let near = near::nearest(
            &format!("{} \"{name}\"", kind.trim_start_matches("k8s.")),
            &others,
        );
        let mut diagnostic = Diagnostic::error("E0232", format!("there is no {kind} `{name}`"))
            .label(key.span, "no object of the list is this one");
        if !others.is_empty() {
            diagnostic = diagnostic.note(format!("the list has {}", near::some_of(&others)));
        }
        if let Some(near) = near {
            diagnostic = diagnostic.help(format!("did you mean `k8s.{near}`?"));
        }
        Err(self.report(diagnostic))
    }

    /// `metadata.name` and `metadata.namespace` of an object.
    pub(crate) fn object_name(&mut self, rec: RecId) -> Res<(Option<String>, Option<String>)> {
        let record = *self.heap.rec(rec);
        let info = self.info(record.def);
        let (Some(metadata), Some((_, name, namespace))) = (info.metadata, info.name) else {
            return Ok((None, None));
        };
        let Value::Rec(meta) = self.field(rec, metadata, record.span)? else {
            return Ok((None, None));
        };
        let name = self.field(meta, name, record.span)?;
        let namespace = match namespace {
            Some(pos) => self.field(meta, pos, record.span)?,
            None => Value::Null,
        };
        Ok((self.str_of(name), self.str_of(namespace)))
    }

    pub(crate) fn str_of(&self, value: Value) -> Option<String> {
        match value {
            Value::Str(text) => Some(self.text(text).to_owned()),
            _ => None,
        }
    }

    pub(super) fn eval_text(&mut self, expr: ExprId, cx: Cx) -> Res<Text> {
        match self.eval(expr, cx)? {
            Value::Str(text) | Value::Quantity(text) => Ok(text),
            other => {
                let text = self.plain_text(other);
                Ok(self.heap.add_text(&text))
            }
        }
    }
}
