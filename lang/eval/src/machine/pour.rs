//! Values into a [`Sink`]: absent fields are left out, objects begin with `apiVersion`, `kind` and
//! `metadata`, everything else keeps the order it was written in.

use ordain_lang_syntax::{Diagnostic, Span};
use ordain_lang_types::ty::Origin;
use ordain_lang_types::{Ty, TyKind};

use super::Machine;
use super::show::MASK;
use crate::emit::{JsonText, Sink, YamlText};
use crate::limits;
use crate::num::duration::Duration;
use crate::value::{RecId, Reported, Res, Value};

/// How values are poured.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pour<'a> {
    /// What stands for a secret.
    pub(crate) secrets: Secrets,
    /// The namespace of objects which name none and live in one.
    pub(crate) namespace: Option<&'a str>,
    /// The type of the Kubernetes field that holds the value.
    pub(crate) field: Option<Ty>,
    /// A null that a `{ … }` without a type says is kept: in documents it may mean something.
    pub(crate) nulls: bool,
}

/// What stands for a secret where values are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Secrets {
    /// Always the same: for snapshots.
    #[default]
    Masked,
    /// Something that changes with it, so that a checksum over the text does too.
    Marked,
    /// The reference that is exchanged for the value when the object is applied.
    Referenced,
    /// Its number between two characters that no text has, to be found again.
    Numbered,
}

/// Stand around the number of a secret in a text that is taken apart again: private characters.
pub(super) const NUMBERED: (char, char) = ('\u{F8A0}', '\u{F8A1}');

/// A sink for nothing, to evaluate a value to its leaves.
pub(crate) struct Nowhere;

impl Sink for Nowhere {
    fn null(&mut self) {}
    fn bool(&mut self, _: bool) {}
    fn int(&mut self, _: i64) {}
    fn float(&mut self, _: f64) {}
    fn str(&mut self, _: &str) {}
    fn map(&mut self, _: bool) {}
    fn key(&mut self, _: &str) {}
    fn list(&mut self, _: bool) {}
    fn end(&mut self) {}
}

impl<'p> Machine<'p> {
    /// Pours any value. On an error the sink is left with half a value.
    pub(crate) fn pour<S: Sink>(&mut self, value: Value, sink: &mut S, how: Pour<'_>) -> Res<()> {
        if !matches!(value, Value::List(_) | Value::Map(_) | Value::Rec(_)) {
            return self.pour_one(value, sink, how);
        }
        self.deeper()?;
        let poured = self.pour_one(value, sink, how);
        self.depth -= 1;
        poured
    }

    fn pour_one<S: Sink>(&mut self, value: Value, sink: &mut S, how: Pour<'_>) -> Res<()> {
        match value {
            Value::Null => sink.null(),
            Value::Bool(value) => sink.bool(value),
            Value::Int(value) => sink.int(value),
            Value::Float(value) => sink.float(value),
            Value::Str(text) | Value::Quantity(text) => {
                self.writes(0, self.text(text).len())?;
                sink.str(self.text(text));
            }
            Value::Duration(nanos) => sink.str(&Duration(nanos).to_string()),
            Value::List(list) => {
                let part = self.heap.list_part(list);
                self.writes(part.len as usize, 0)?;
                sink.list(part.len == 0);
                let mut result = Ok(());
                for at in part.range() {
                    result = result.and(self.pour(self.heap.items[at].value, sink, how));
                }
                sink.end();
                return result;
            }
            Value::Map(map) => {
                let part = self.heap.map_part(map);
                self.writes(part.len as usize, 0)?;
                sink.map(part.len == 0);
                let mut result = Ok(());
                for at in part.range() {
                    let entry = self.heap.entries[at];
                    sink.key(self.text(entry.key));
                    result = result.and(self.pour(entry.value, sink, how));
                }
                sink.end();
                return result;
            }
            Value::Rec(rec) => {
                let def = self.def(self.heap.rec(rec).def);
                return match def.gvk() {
                    Some(_) => self.pour_object(rec, sink, how),
                    None => self.pour_record(rec, sink, how),
                };
            }
            Value::Secret(index) => {
                let secret = &self.heap.secrets[index as usize];
                match how.secrets {
                    Secrets::Masked => sink.str(MASK),
                    Secrets::Referenced => sink.str(&secret.encode()),
                    Secrets::Numbered => {
                        sink.str(&format!("{}{index}{}", NUMBERED.0, NUMBERED.1));
                    }
                    Secrets::Marked => {
                        let digests = secret.references();
                        let digests = digests.iter().map(|r| r.digest.as_str());
                        let digests: Vec<&str> = digests.collect();
                        sink.str(&format!("{MASK} {}", digests.join(" ")));
                    }
                }
            }
            Value::Forced(index) => {
                return self.pour(self.heap.forced[index as usize].1, sink, how);
            }
            Value::Fn(_) | Value::Closure(_) => {
                return Err(self.report(
                    Diagnostic::error("E0514", "a function cannot be part of an object")
                        .note("call it, or leave the field out"),
                ));
            }
            Value::Default | Value::Thunk(_) | Value::Running(_) | Value::Failed => {
                return Err(Reported);
            }
        }
        Ok(())
    }

    /// The fields of a record that have a value, evaluated, on the stack of half-poured records.
    fn set_fields(&mut self, rec: RecId, nulls: bool) -> Res<usize> {
        self.see(rec);
        if self.judging {
            self.note_ruled(rec);
        }
        let record = *self.heap.rec(rec);
        let def = self.def(record.def);
        let start = self.pouring.len();
        let mut result = Ok(());
        for at in 0..record.cells.len as usize {
            let cell = self.heap.cells(rec)[at];
            match self.field(rec, cell.pos, record.span) {
                Ok(Value::Null) if !(nulls && matches!(def.origin, Origin::Anonymous)) => {}
                Ok(value) => {
                    let field = &def.fields[cell.pos as usize];
                    self.pouring.push((field.name, field.ty, value));
                }
                Err(Reported) => result = Err(Reported),
            }
        }
        for pos in &def.required {
            if self.heap.find(rec, *pos).is_none() && !self.is_implied(rec, *pos) {
                result = Err(self.missing(rec, *pos));
            }
        }
        if self.judging && def.gvk().is_none() && result.is_ok() {
            result = self.check_lengths(rec);
        }
        if result.is_err() {
            self.pouring.truncate(start);
        }
        result.map(|()| start)
    }

    fn pour_record<S: Sink>(&mut self, rec: RecId, sink: &mut S, how: Pour<'_>) -> Res<()> {
        let start = match self.set_fields(rec, how.nulls) {
            Ok(start) => start,
            Err(Reported) => {
                sink.null();
                return Err(Reported);
            }
        };
        let end = self.pouring.len();
        sink.map(start == end);
        let mut result = Ok(());
        let def = self.def(self.heap.rec(rec).def);
        let is_kubernetes = matches!(def.origin, Origin::Kubernetes(_));
        for at in start..end {
            let (name, ty, value) = self.pouring[at];
            sink.key(name.as_str());
            let inner = Pour {
                field: is_kubernetes.then_some(ty),
                ..how
            };
            result = result.and(self.pour(value, sink, inner));
        }
        self.pouring.truncate(start);
        sink.end();
        result
    }

    /// Whether a part of an object, whose field says its kind already (a claim template), says it on its own: only
    /// where it is written.
    fn says(&self, rec: RecId, field: Option<Ty>, name: &str) -> bool {
        let def = self.heap.rec(rec).def;
        let mut holder = field;
        while let Some(ty) = holder {
            holder = match self.program.types.kind(ty) {
                TyKind::Optional(inner) => Some(*inner),
                TyKind::List(list) => Some(list.item),
                TyKind::Record(known) if *known == def => {
                    let position = self.position(def, name);
                    return self
                        .heap
                        .cells(rec)
                        .iter()
                        .any(|cell| Some(cell.pos) == position && cell.at != 0);
                }
                _ => None,
            };
        }
        true
    }

    fn pour_object<S: Sink>(&mut self, rec: RecId, sink: &mut S, how: Pour<'_>) -> Res<()> {
        let def = self.def(self.heap.rec(rec).def);
        let Some(gvk) = def.gvk() else {
            return Err(Reported);
        };
        let start = match self.set_fields(rec, how.nulls) {
            Ok(start) => start,
            Err(Reported) => {
                sink.null();
                return Err(Reported);
            }
        };
        let end = self.pouring.len();
        sink.map(false);
        if self.says(rec, how.field, "apiVersion") {
            sink.key("apiVersion");
            sink.str(&gvk.api_version);
        }
        if self.says(rec, how.field, "kind") {
            sink.key("kind");
            sink.str(&gvk.kind);
        }
        let mut result = Ok(());
        let metadata = self.pouring[start..end]
            .iter()
            .find(|(name, ..)| *name == "metadata");
        if let Some((.., metadata)) = metadata.copied() {
            sink.key("metadata");
            let namespace = how.namespace.filter(|_| gvk.namespaced);
            result = result.and(self.pour_metadata(metadata, namespace, sink, how));
        }
        for at in start..end {
            let (name, ty, value) = self.pouring[at];
            if !matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
                sink.key(name.as_str());
                // An object inside an object keeps its own namespace.
                let inner = Pour {
                    namespace: None,
                    field: Some(ty),
                    ..how
                };
                result = result.and(self.pour(value, sink, inner));
            }
        }
        self.pouring.truncate(start);
        sink.end();
        result
    }

    /// Metadata of an object, with the environment's namespace behind the name if it has none.
    fn pour_metadata<S: Sink>(
        &mut self,
        metadata: Value,
        namespace: Option<&str>,
        sink: &mut S,
        how: Pour<'_>,
    ) -> Res<()> {
        let (Value::Rec(rec), Some(namespace)) = (metadata, namespace) else {
            return self.pour(metadata, sink, how);
        };
        let start = match self.set_fields(rec, how.nulls) {
            Ok(start) => start,
            Err(Reported) => {
                sink.null();
                return Err(Reported);
            }
        };
        let end = self.pouring.len();
        let position = |wanted: &str| {
            self.pouring[start..end]
                .iter()
                .position(|(name, ..)| name.as_str() == wanted)
        };
        let has_namespace = position("namespace").is_some();
        let name_at = position("name");
        let after = if has_namespace {
            None
        } else {
            Some(name_at.map_or(start, |at| start + at))
        };
        sink.map(false);
        let mut result = Ok(());
        if name_at.is_none() && !has_namespace {
            sink.key("namespace");
            sink.str(namespace);
        }
        for at in start..end {
            let (name, _, value) = self.pouring[at];
            sink.key(name.as_str());
            result = result.and(self.pour(value, sink, how));
            if after == Some(at) && name_at.is_some() {
                sink.key("namespace");
                sink.str(namespace);
            }
        }
        self.pouring.truncate(start);
        sink.end();
        result
    }

    /// A value as the text of a document, for `to_json` and `to_yaml`.
    pub(super) fn document(&mut self, value: Value, yaml: bool, _span: Span) -> Res<String> {
        let how = Pour {
            secrets: Secrets::Marked,
            nulls: true,
            ..Pour::default()
        };
        // A text of the program has less room than its output.
        let limit = self.write_limit;
        self.write_limit = limit.min(self.written + limits::MAX_TEXT as u64);
        let made = match yaml {
            true => {
                let mut text = YamlText::new();
                let poured = self.pour(value, &mut text, how);
                poured.map(|()| text.finish())
            }
            false => {
                let mut text = JsonText::new(false);
                let poured = self.pour(value, &mut text, how);
                poured.map(|()| text.finish())
            }
        };
        self.write_limit = limit;
        made
    }
}
