//! Values made to be of a type, deeply: untyped data and anonymous records become records, maps
//! and objects; numbers become quantities where a quantity is wanted.

use ordain_lang_syntax::{Diagnostic, Name, Span};
use ordain_lang_types::TyKind;
use ordain_lang_types::literal::{check_quantity, parse_duration};
use ordain_lang_types::ty::{Origin, RecordId, Ty};

use super::{Machine, near};
use crate::emit::json;
use crate::heap::{Cell, Entry, Item};
use crate::identity::is_watch_event;
use crate::value::{MapId, RecId, Reported, Res, Value};

impl<'p> Machine<'p> {
    pub(super) fn convert(&mut self, value: Value, ty: Ty, span: Span, rule: Option<Span>) -> Res {
        let converted = self.shape(value, ty, span, rule)?;
        self.check(converted, ty, span, rule)
    }

    fn shape(&mut self, value: Value, ty: Ty, span: Span, rule: Option<Span>) -> Res {
        let program = self.program;
        Ok(match (program.types.kind(ty), value) {
            (TyKind::Any | TyKind::Error | TyKind::Param(_) | TyKind::Never, value) => value,
            (TyKind::Optional(_) | TyKind::Null, Value::Null) => Value::Null,
            (TyKind::Optional(inner), value) => self.convert(value, *inner, span, rule)?,
            (TyKind::Secret(_), value @ Value::Secret(_)) => value,
            (TyKind::Secret(_), Value::Null) => Value::Null,
            (TyKind::Secret(_), _) => {
                return Err(self.report(
                    Diagnostic::error("E0803", "a secret is written in the clear")
                        .label(span, "everybody who reads the repository reads this")
                        .help("encrypt it with `ordain secret set FILE KEY` and use the file"),
                ));
            }
            // Absence is told by the check that follows.
            (_, Value::Null) => Value::Null,
            (TyKind::Quantity, Value::Int(n)) => {
                Value::Quantity(self.heap.add_text(&n.to_string()))
            }
            (TyKind::Quantity, Value::Float(f)) => {
                let mut text = String::new();
                json::float(&mut text, f);
                Value::Quantity(self.heap.add_text(&text))
            }
            (TyKind::Quantity, Value::Str(text)) => match check_quantity(self.text(text)) {
                Ok(()) => Value::Quantity(text),
                Err(why) => {
                    let message = format!("\"{}\" is no quantity: {why}", self.text(text));
                    return Err(self.broken("E0213", message, ty, span, rule));
                }
            },
            (TyKind::Duration, Value::Str(text)) => match parse_duration(self.text(text)) {
                Ok(nanos) => Value::Duration(nanos),
                Err(why) => {
                    let message = format!("\"{}\" is no duration: {why}", self.text(text));
                    return Err(self.broken("E0213", message, ty, span, rule));
                }
            },
            (TyKind::Float(_), Value::Int(n)) => Value::Float(n as f64),
            (TyKind::List(list), Value::List(id)) => {
                let mut items = self.heap.list(id).to_vec();
                let mut result = Ok(());
                for item in &mut items {
                    match self.convert(item.value, list.item, span, rule) {
                        Ok(value) => *item = Item { value, ..*item },
                        Err(Reported) => result = Err(Reported),
                    }
                }
                result?;
                Value::List(self.heap.add_list(items))
            }
            (TyKind::Map(_, inner), Value::Map(id)) => {
                let entries = self.heap.map(id).to_vec();
                self.convert_entries(entries, *inner, span, rule)?
            }
            (TyKind::Map(_, inner), Value::Rec(rec)) => {
                let entries = self.record_entries(rec, span)?;
                self.convert_entries(entries, *inner, span, rule)?
            }
            (TyKind::Record(def), Value::Rec(rec)) if self.heap.rec(rec).def == *def => value,
            (TyKind::Record(def), Value::Rec(rec)) => {
                let entries = self.record_entries(rec, span)?;
                let at = self.heap.rec(rec).span;
                Value::Rec(self.convert_record(*def, entries, at, rule)?)
            }
            (TyKind::Record(def), Value::Map(map)) => {
                let entries = self.heap.map(map).to_vec();
                Value::Rec(self.convert_record(*def, entries, span, rule)?)
            }
            (TyKind::Object, Value::Map(map)) => self.convert_object(map, span)?,
            (TyKind::Union(members), value) => {
                if members.iter().any(|member| self.is_of(value, *member)) {
                    return Ok(value);
                }
                let fits = members.iter().find(|member| self.could_be(value, **member));
                match fits {
                    Some(member) => self.convert(value, *member, span, rule)?,
                    None => value,
                }
            }
            (_, value) => {
                if self.is_shape(value, ty) {
                    return Ok(value);
                }
                let message = format!("expected {}, found {}", program.show(ty), self.show(value));
                return Err(self.broken("E0202", message, ty, span, rule));
            }
        })
    }

    /// Whether a value is of the type but for refinements.
    fn is_shape(&self, value: Value, ty: Ty) -> bool {
        self.is_of(value, ty)
            || matches!(
                (self.program.types.kind(ty), value),
                (TyKind::Int(_), Value::Int(_))
                    | (TyKind::Float(_), Value::Float(_))
                    | (TyKind::String(_) | TyKind::Enum(_), Value::Str(_))
                    | (
                        TyKind::Literal(_),
                        Value::Str(_) | Value::Int(_) | Value::Bool(_)
                    )
            )
    }

    /// Whether an untyped value could be meant for this member of a union.
    fn could_be(&self, value: Value, ty: Ty) -> bool {
        match (self.program.types.kind(ty), value) {
            (TyKind::Record(def), Value::Map(map)) => {
                let def = self.def(*def);
                self.heap.map(map).iter().all(|entry| {
                    let key = self.text(entry.key);
                    def.fields.iter().any(|field| field.name.as_str() == key)
                })
            }
            (TyKind::Map(..), Value::Map(_)) | (TyKind::List(_), Value::List(_)) => true,
            (TyKind::Quantity, Value::Int(_) | Value::Float(_)) => true,
            (TyKind::Quantity, Value::Str(text)) => check_quantity(self.text(text)).is_ok(),
            (TyKind::Duration, Value::Str(text)) => parse_duration(self.text(text)).is_ok(),
            (TyKind::Float(_), Value::Int(_)) => true,
            (TyKind::Object, Value::Map(_)) => true,
            _ => false,
        }
    }

    fn convert_entries(
        &mut self,
        mut entries: Vec<Entry>,
        inner: Ty,
        span: Span,
        rule: Option<Span>,
    ) -> Res {
        let mut result = Ok(());
        for entry in &mut entries {
            let at = self.place(entry.at, span);
            match self.convert(entry.value, inner, at, rule) {
                Ok(value) => *entry = Entry { value, ..*entry },
                Err(Reported) => result = Err(Reported),
            }
        }
        result?;
        Ok(Value::Map(self.heap.add_map(entries)))
    }

    /// Where an entry was written, or else the whole value.
    fn place(&self, at: u32, span: Span) -> Span {
        if at == 0 {
            span
        } else {
            self.heap.provs[at as usize].span
        }
    }

    fn convert_record(
        &mut self,
        def_id: RecordId,
        entries: Vec<Entry>,
        span: Span,
        rule: Option<Span>,
    ) -> Res<RecId> {
        let def = self.def(def_id);
        let mut cells = Vec::with_capacity(entries.len());
        let mut result = Ok(());
        for entry in entries {
            let name = self.text(entry.key);
            let at = self.place(entry.at, span);
            let Some(pos) = def
                .fields
                .iter()
                .position(|field| field.name.as_str() == name)
            else {
                if !is_type_meta(name) {
                    let name = name.to_owned();
                    result = Err(self.unknown_field(&name, def_id, at));
                }
                continue;
            };
            match self.convert(entry.value, def.fields[pos].ty, at, rule) {
                Ok(value) => cells.push(Cell {
                    pos: pos as u32,
                    at: entry.at,
                    value,
                }),
                Err(Reported) => result = Err(Reported),
            }
        }
        for pos in &self.info(def_id).defaults {
            if !cells.iter().any(|cell| cell.pos == *pos) {
                cells.push(Cell {
                    pos: *pos,
                    at: 0,
                    value: Value::Default,
                });
            }
        }
        result?;
        let rec = self.heap.add_rec(def_id, span, cells);
        for pos in &def.required {
            if self.heap.find(rec, *pos).is_none() {
                result = Err(self.missing(rec, *pos));
            }
        }
        result.map(|()| rec)
    }

    fn unknown_field(&mut self, name: &str, def: RecordId, span: Span) -> Reported {
        let def = self.def(def);
        let known: Vec<String> = def
            .fields
            .iter()
            .map(|f| f.name.as_str().to_owned())
            .collect();
        let mut diagnostic =
            Diagnostic::error("E0201", format!("`{}` has no field `{name}`", def.name))
                .label(span, "not a field");
        if let (Origin::Kubernetes(_), Some(rule)) = (&def.origin, def.span) {
            diagnostic = diagnostic.label(rule, "its fields are declared here");
        }
        if let Some(near) = near::nearest(name, &known) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        }
        self.report(diagnostic)
    }

    /// An object that is data stays data: whether it is checked must not depend on what else the program names.
    fn convert_object(&mut self, map: MapId, span: Span) -> Res {
        let is_text = |key: &str| self.str_of(self.map_get(map, key)).is_some();
        let is_object = is_text("apiVersion") && is_text("kind");
        if is_object || is_watch_event(self, map) {
            return Ok(Value::Map(map));
        }
        Err(self.report(
            Diagnostic::error("E0514", "an object needs `apiVersion` and `kind`")
                .label(span, "this value"),
        ))
    }

    /// The position of a field by name.
    pub(crate) fn position(&self, def: RecordId, name: &str) -> Option<u32> {
        self.def(def).field(Name::new(name))
    }
}

/// `apiVersion` and `kind`, which a record's definition carries.
fn is_type_meta(name: &str) -> bool {
    matches!(name, "apiVersion" | "kind")
}
