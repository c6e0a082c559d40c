//! What the checker could not prove: refinements of values made at run time, and the rules of
//! whole records, checked once the record was read.

use ordain_lang_syntax::{Diagnostic, Span};
use ordain_lang_types::TyKind;
use ordain_lang_types::extra::Measured;
use ordain_lang_types::hir::{ExprId, ExprKind};
use ordain_lang_types::refine::{StringFault, check_string};
use ordain_lang_types::show::{show_len, show_range};
use ordain_lang_types::ty::{LenRange, Literal, Origin, StringRule, Ty};

use super::show::shortened;
use super::{Cx, Machine};
use crate::provenance::{self, How, Layer};
use crate::value::{RecId, Reported, Res, Value};

/// Parts of a failed condition whose values a message shows.
const SHOWN_PARTS: usize = 6;

impl<'p> Machine<'p> {
    /// Checks the refinements of a value that has the shape of the type.
    pub(super) fn check(&mut self, value: Value, ty: Ty, span: Span, rule: Option<Span>) -> Res {
        match self.fault(value, ty) {
            None => Ok(value),
            Some((code, message)) => Err(self.broken(code, message, ty, span, rule)),
        }
    }

    pub(super) fn broken(
        &mut self,
        code: &'static str,
        message: String,
        ty: Ty,
        span: Span,
        rule: Option<Span>,
    ) -> Reported {
        let mut diagnostic = Diagnostic::error(code, message).label(span, "this value");
        if let Some(rule) = rule {
            diagnostic = diagnostic.label(rule, "the rule");
        }
        let shown = self.program.show(ty);
        self.report(diagnostic.note(format!("expected {shown}")))
    }

    /// The first rule of the type that the value breaks, as code and message.
    pub(super) fn fault(&self, value: Value, ty: Ty) -> Option<(&'static str, String)> {
        let types = &self.program.types;
        if let Some(extra) = types.extra(ty) {
            let base = self.fault(value, types.without_extra(ty));
            return base.or_else(|| extra.broken(self.measured(value)?));
        }
        let broken = |message: String| Some(("E0206", message));
        match (types.kind(ty), value) {
            (TyKind::Optional(inner), value) => match value {
                Value::Null => None,
                value => self.fault(value, *inner),
            },
            // Nobody knows its value yet.
            (TyKind::Secret(_), Value::Secret(_)) => None,
            (TyKind::Secret(inner), value) => self.fault(value, *inner),
            (TyKind::Any | TyKind::Null | TyKind::Error | TyKind::Param(_), _) => None,
            (_, Value::Null) => Some(("E0204", "the value is absent".to_owned())),
            (TyKind::Int(range), Value::Int(n)) if !range.contains(n) => {
                Some(("E0203", format!("{n} is outside {}", show_range(*range))))
            }
            (TyKind::Float(range), Value::Float(f)) if !range.contains(f) => Some((
                "E0203",
                format!("{f} is outside {}..={}", range.min(), range.max()),
            )),
            (TyKind::Float(range), Value::Int(n)) if !range.contains(n as f64) => Some((
                "E0203",
                format!("{n} is outside {}..={}", range.min(), range.max()),
            )),
            (TyKind::String(rule), Value::Str(text)) => {
                self.notes_text(text);
                string_fault(rule, self.text(text))
            }
            (TyKind::Enum(names), Value::Str(text)) => {
                let text = self.text(text);
                if names.iter().any(|name| name.as_str() == text) {
                    return None;
                }
                broken(format!("\"{}\" is not allowed here", shortened(text)))
            }
            (TyKind::Literal(_), value) if !self.is_of(value, ty) => {
                broken(format!("{} is not allowed here", self.show(value)))
            }
            (TyKind::List(list), Value::List(id)) => {
                let items = self.heap.list(id);
                if !list.len.contains(items.len()) {
                    let message = format!("this list has {} elements", items.len());
                    return Some(("E0211", message));
                }
                items
                    .iter()
                    .find_map(|item| self.fault(item.value, list.item))
            }
            (TyKind::Map(key, inner), Value::Map(id)) => {
                self.heap.map(id).iter().find_map(|entry| {
                    self.fault(Value::Str(entry.key), *key)
                        .or_else(|| self.fault(entry.value, *inner))
                })
            }
            (TyKind::Union(members), value) => {
                if members.iter().any(|member| self.is_of(value, *member)) {
                    return None;
                }
                broken(format!(
                    "{} fits none of the alternatives",
                    self.show(value)
                ))
            }
            _ => None,
        }
    }

    /// Whether a value is of a type, refinements included.
    pub(super) fn is_of(&self, value: Value, ty: Ty) -> bool {
        let types = &self.program.types;
        if let Some(extra) = types.extra(ty) {
            let kept = self
                .measured(value)
                .is_none_or(|measured| extra.broken(measured).is_none());
            return kept && self.is_of(value, types.without_extra(ty));
        }
        let shape = match (types.kind(ty), value) {
            (TyKind::Any | TyKind::Error | TyKind::Param(_), _) => true,
            (TyKind::Optional(inner), value) => {
                return matches!(value, Value::Null) || self.is_of(value, *inner);
            }
            (TyKind::Null, Value::Null)
            | (TyKind::Bool, Value::Bool(_))
            | (TyKind::Int(_), Value::Int(_))
            | (TyKind::Float(_), Value::Float(_) | Value::Int(_))
            | (TyKind::String(_) | TyKind::Enum(_), Value::Str(_))
            | (TyKind::Time | TyKind::MicroTime, Value::Str(_))
            | (TyKind::Quantity, Value::Quantity(_))
            | (TyKind::Duration, Value::Duration(_))
            | (TyKind::IntOrString, Value::Int(_) | Value::Str(_))
            | (TyKind::Fn(..), Value::Fn(_) | Value::Closure(_))
            | (TyKind::Secret(_), Value::Secret(_)) => true,
            (TyKind::Literal(literal), value) => match (literal, value) {
                (Literal::Bool(a), Value::Bool(b)) => *a == b,
                (Literal::Int(a), Value::Int(b)) => *a == b,
                (Literal::Str(a), Value::Str(b)) => a.as_str() == self.text(b),
                _ => false,
            },
            (TyKind::List(list), Value::List(id)) => {
                return self
                    .heap
                    .list(id)
                    .iter()
                    .all(|item| self.is_of(item.value, list.item));
            }
            (TyKind::Map(_, inner), Value::Map(id)) => {
                return self
                    .heap
                    .map(id)
                    .iter()
                    .all(|e| self.is_of(e.value, *inner));
            }
            (TyKind::Record(def), Value::Rec(rec)) => return self.heap.rec(rec).def == *def,
            (TyKind::Object, Value::Rec(rec)) => {
                return self.def(self.heap.rec(rec).def).gvk().is_some();
            }
            (TyKind::Union(members), value) => {
                return members.iter().any(|member| self.is_of(value, *member));
            }
            _ => false,
        };
        shape && self.fault(value, ty).is_none()
    }

    /// Whether values of a type have a rule of their length.
    pub(super) fn is_counted(&self, ty: Ty) -> bool {
        let types = &self.program.types;
        match types.kind(ty) {
            TyKind::Optional(inner) => self.is_counted(*inner),
            TyKind::List(list) => list.len != LenRange::ALL,
            TyKind::Map(..) => types.extra(ty).is_some(),
            _ => false,
        }
    }

    /// The lengths of a record's lists and maps after every change to them.
    pub(super) fn check_lengths(&mut self, rec: RecId) -> Res<()> {
        let record = *self.heap.rec(rec);
        let def = self.def(record.def);
        let info = self.info(record.def);
        let mut result = Ok(());
        for pos in &info.counted {
            let Ok(value) = self.field(rec, *pos, record.span) else {
                continue;
            };
            let field = &def.fields[*pos as usize];
            let types = &self.program.types;
            let plain = types.without_optional(field.ty);
            let message = match (types.kind(plain), value) {
                (TyKind::List(list), Value::List(id)) => match self.heap.list(id).len() {
                    len if list.len.contains(len) => continue,
                    0 if list.len.max == u32::MAX => "this list may not be empty".to_owned(),
                    len => format!(
                        "this list has {len} elements, {} are allowed",
                        show_len(list.len)
                    ),
                },
                (TyKind::Map(..), Value::Map(id)) => {
                    let measured = Measured::Entries(self.heap.map(id).len());
                    match types.extra(plain).and_then(|extra| extra.broken(measured)) {
                        Some((_, message)) => message,
                        None => continue,
                    }
                }
                _ => continue,
            };
            let set = self.heap.find(rec, *pos).map(|at| self.heap.cells[at].at);
            let at = match set {
                Some(at) if at != 0 => self.heap.provs[at as usize].span,
                _ => record.span,
            };
            result = Err(self.broken("E0211", message, field.ty, at, field.span));
        }
        result
    }

    /// A value as rules beside a type's kind look at it.
    fn measured(&self, value: Value) -> Option<Measured<'_>> {
        Some(match value {
            Value::Int(n) => Measured::Int(n),
            Value::Quantity(text) => Measured::Quantity(self.text(text)),
            Value::Duration(nanos) => Measured::Duration(nanos),
            Value::Map(map) => Measured::Entries(self.heap.map(map).len()),
            _ => return None,
        })
    }

    /// Evaluates every field of a record and checks its asserts.
    pub(crate) fn check_record(&mut self, rec: RecId) -> Res<()> {
        let record = *self.heap.rec(rec);
        let def = self.def(record.def);
        let mut result = Ok(());
        for pos in &def.required {
            let value = self.field(rec, *pos, record.span);
            let missing = matches!(value, Ok(Value::Null));
            result = result.and(value.map(drop));
            if missing {
                result = Err(self.missing(rec, *pos));
            }
        }
        for cell in self.heap.cells(rec).to_vec() {
            result = result.and(self.field(rec, cell.pos, record.span).map(drop));
        }
        result?;
        result = self.check_lengths(rec);
        for assert in &def.asserts {
            let slots = assert.condition.slots;
            let holds = self.in_frame(slots, provenance::DEFAULT, |m, cx| {
                let cx = Cx {
                    this: Some(rec),
                    ..cx
                };
                let holds = m.condition(assert.condition.expr, cx)?;
                let found = if holds {
                    (Vec::new(), None)
                } else {
                    let expr = assert.condition.expr;
                    (m.parts(expr, cx), m.blame(expr, cx))
                };
                Ok((holds, found))
            });
            let (holds, (parts, blame)) = match holds {
                Ok(found) => found,
                Err(Reported) => {
                    result = Err(Reported);
                    continue;
                }
            };
            if holds {
                continue;
            }
            let message = match assert.message {
                Some(body) => {
                    let text = self.body(body, Some(rec), provenance::DEFAULT);
                    text.map(|text| self.plain_text(text)).unwrap_or_default()
                }
                None => format!("an assertion of `{}` does not hold", def.name),
            };
            let mut diagnostic = Diagnostic::error("E0504", message);
            // What an environment changed is to blame before the value that it changed.
            if let Some((span, env)) = blame {
                let name = self.program.envs.get(env).map(|env| env.name.as_str());
                let name = name.unwrap_or_default();
                diagnostic = diagnostic.label(span, format!("changed here, in `{name}`"));
            }
            diagnostic = diagnostic
                .label(record.span, "this value")
                .label(assert.span, "the rule");
            for part in parts {
                diagnostic = diagnostic.note(part);
            }
            result = Err(self.report(diagnostic));
        }
        result
    }

    pub(crate) fn missing(&mut self, rec: RecId, pos: u32) -> Reported {
        let record = *self.heap.rec(rec);
        let def = self.def(record.def);
        let field = &def.fields[pos as usize];
        let mut diagnostic =
            Diagnostic::error("E0204", format!("`{}` needs `{}`", def.name, field.name))
                .label(record.span, format!("`{}` is not set", field.name));
        if let Some(span) = field.span {
            diagnostic = diagnostic.label(span, "declared here");
        }
        if matches!(def.origin, Origin::App) {
            // `replicas: 3` is a type with one value.
            let only = match self.program.types.kind(field.ty) {
                TyKind::Literal(Literal::Bool(value)) => Some(value.to_string()),
                TyKind::Literal(Literal::Int(value)) => Some(value.to_string()),
                TyKind::Literal(Literal::Str(text)) => Some(format!("{:?}", text.as_str())),
                TyKind::Enum(members) if members.len() == 1 => {
                    Some(format!("{:?}", members[0].as_str()))
                }
                _ => None,
            };
            let name = field.name;
            diagnostic = diagnostic.help(match only {
                Some(value) => {
                    format!("`:` stands before a type; to set it, write `{name} = {value}`")
                }
                None => format!("give it a value, or set `{name}` in every environment"),
            });
        }
        self.report(diagnostic)
    }

    /// The values of what a condition is made of: `replicas is 1`.
    pub(super) fn parts(&mut self, condition: ExprId, cx: Cx) -> Vec<String> {
        let mut leaves = Vec::new();
        self.leaves(condition, &mut leaves);
        let mut parts = Vec::new();
        for leaf in leaves.into_iter().take(SHOWN_PARTS) {
            let Some(name) = self.written(leaf, cx) else {
                continue;
            };
            let Ok(value) = self.eval(leaf, cx) else {
                continue;
            };
            let part = format!("`{name}` is {}", self.show(value));
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        parts
    }

    /// The change of an environment that a condition does not hold for: the last one among the fields it
    /// reads. Nothing when no environment changed any.
    fn blame(&mut self, condition: ExprId, cx: Cx) -> Option<(Span, usize)> {
        let mut leaves = Vec::new();
        self.leaves(condition, &mut leaves);
        let mut found: Option<(Span, usize)> = None;
        for leaf in leaves {
            let field = match *self.program.hir.kind(leaf) {
                ExprKind::SelfField(pos) => cx.this.map(|rec| (rec, pos)),
                ExprKind::Field(base, pos) => match self.eval(base, cx) {
                    Ok(Value::Rec(rec)) => Some((rec, pos)),
                    _ => None,
                },
                _ => None,
            };
            let Some((rec, pos)) = field else { continue };
            let mut chain = Vec::new();
            self.field_chain(rec, pos, How::Set, &mut chain);
            // The chain begins with the winner; what it was copied from follows.
            for source in chain {
                match source.layer {
                    Layer::Env(env) if found.is_none_or(|(_, known)| env > known) => {
                        found = Some((source.span, env));
                    }
                    _ => {}
                }
                if source.how != How::From && !matches!(source.layer, Layer::Value) {
                    break;
                }
            }
        }
        found
    }

    fn leaves(&self, expr: ExprId, leaves: &mut Vec<ExprId>) {
        match self.program.hir.kind(expr) {
            ExprKind::Binary(_, left, right) => {
                self.leaves(*left, leaves);
                self.leaves(*right, leaves);
            }
            ExprKind::Not(inner)
            | ExprKind::Neg(inner)
            | ExprKind::Check(inner, ..)
            | ExprKind::Convert(inner, ..) => self.leaves(*inner, leaves),
            ExprKind::SelfField(_) | ExprKind::Field(..) | ExprKind::DynField(..) => {
                leaves.push(expr);
            }
            ExprKind::Builtin(_, args) => {
                for arg in args {
                    self.leaves(*arg, leaves);
                }
            }
            _ => {}
        }
    }

    /// How a leaf of a condition is written, from its names.
    fn written(&self, expr: ExprId, cx: Cx) -> Option<String> {
        match self.program.hir.kind(expr) {
            ExprKind::SelfField(pos) => {
                let def = self.def(self.heap.rec(cx.this?).def);
                Some(def.fields.get(*pos as usize)?.name.as_str().to_owned())
            }
            ExprKind::Field(base, pos) => {
                let record = self.program.types.as_record(self.program.hir.ty(*base))?;
                let field = self.def(record).fields.get(*pos as usize)?.name;
                Some(match self.written(*base, cx) {
                    Some(base) => format!("{base}.{field}"),
                    None => format!(".{field}"),
                })
            }
            ExprKind::DynField(base, name) => Some(format!(
                "{}.{name}",
                self.written(*base, cx).unwrap_or_default()
            )),
            _ => None,
        }
    }
}

fn string_fault(rule: &StringRule, text: &str) -> Option<(&'static str, String)> {
    let fault = check_string(rule, text).err()?;
    let text = shortened(text);
    Some(match fault {
        StringFault::Pattern(pattern) => {
            ("E0205", format!("\"{text}\" does not match /{pattern}/"))
        }
        StringFault::Format(name, why) => ("E0205", format!("\"{text}\" is no {name}: {why}")),
        StringFault::Length(len) => ("E0211", format!("this string has {len} characters")),
    })
}
