//! One expression to one value.

use ordain_lang_syntax::{Diagnostic, Span};
use ordain_lang_types::hir::{Arm, BinOp, Body, ExprId, ExprKind, Part, Pattern, Slot};
use ordain_lang_types::program::FnId;
use ordain_lang_types::ty::RecordId;

use super::{Cx, Machine};
use crate::heap::{Closure, Item, Local};
use crate::limits;
use crate::value::{Reported, Res, Text, Value};

impl<'p> Machine<'p> {
    /// Evaluates an expression in its surroundings.
    pub(crate) fn eval(&mut self, id: ExprId, cx: Cx) -> Res {
        let program = self.program;
        // What needs no depth: most of what there is.
        match program.hir.kind(id) {
            ExprKind::Null => return Ok(Value::Null),
            ExprKind::Bool(value) => return Ok(Value::Bool(*value)),
            ExprKind::Int(value) => return Ok(Value::Int(*value)),
            ExprKind::Float(value) => return Ok(Value::Float(*value)),
            ExprKind::Str(_) => return Ok(Value::Str(Text::Lit(id))),
            ExprKind::Quantity(_) => return Ok(Value::Quantity(Text::Lit(id))),
            ExprKind::Duration(nanos) => return Ok(Value::Duration(*nanos)),
            ExprKind::Local(slot) => return Ok(self.local(*slot, cx)),
            ExprKind::Fn(id) => return Ok(Value::Fn(*id)),
            ExprKind::Secret(reference) => return Ok(self.secret(reference)),
            ExprKind::Error => return Err(Reported),
            _ => {}
        }
        if self.depth >= limits::MAX_DEPTH {
            return Err(self.too_deep(program.hir.span(id)));
        }
        self.depth += 1;
        let value = self.eval_deep(id, cx);
        self.depth -= 1;
        value
    }

    pub(super) fn local(&self, slot: Slot, cx: Cx) -> Value {
        self.stack[cx.base + slot.0 as usize].value
    }

    /// The provenance of a local, by number; 0 is none.
    pub(super) fn local_at(&self, slot: Slot, cx: Cx) -> u32 {
        self.stack[cx.base + slot.0 as usize].at
    }

    /// Sets a local to a value with the provenance of what it was set to.
    pub(super) fn set_local_at(&mut self, slot: Slot, value: Value, at: u32, cx: Cx) {
        self.stack[cx.base + slot.0 as usize] = Local { value, at };
    }

    /// The provenance of the value that an expression just evaluated to, for a local or parameter. Records,
    /// lists and maps know where their parts come from.
    fn source(&mut self, expr: ExprId, value: Value, cx: Cx) -> u32 {
        let is_scalar = matches!(
            value,
            Value::Bool(_)
                | Value::Int(_)
                | Value::Float(_)
                | Value::Str(_)
                | Value::Quantity(_)
                | Value::Duration(_)
        );
        match self.program.hir.kind(expr) {
            _ if !is_scalar => 0,
            ExprKind::Local(slot) => self.local_at(*slot, cx),
            _ => self.made(expr, self.program.hir.span(expr), cx),
        }
    }

    pub(super) fn set_local(&mut self, slot: Slot, value: Value, cx: Cx) {
        self.stack[cx.base + slot.0 as usize] = value.into();
    }

    fn eval_deep(&mut self, id: ExprId, cx: Cx) -> Res {
        let program = self.program;
        let span = program.hir.span(id);
        match program.hir.kind(id) {
            ExprKind::Interp(parts) => self.interpolate(parts, span, cx),
            ExprKind::List(items) => self.list_literal(items, cx),
            ExprKind::Map(items) => self.map_literal(items, cx),
            ExprKind::Record(def, items) => self.record_literal(*def, items, span, cx),
            ExprKind::Amend(base, amend) => {
                let value = self.eval(*base, cx)?;
                self.amend(value, amend, program.hir.ty(id), cx)
            }
            ExprKind::SelfField(pos) => match cx.this {
                Some(this) => {
                    let value = self.field(this, *pos, span);
                    self.last_read = Some((this, *pos));
                    value
                }
                None => Err(Reported),
            },
            ExprKind::SelfValue => cx.this.map(Value::Rec).ok_or(Reported),
            ExprKind::Let(constant) => self.constant(*constant, span),
            ExprKind::App(app) => self.app(*app, span).map(Value::Rec),
            ExprKind::Objects => Ok(self.known_objects()),
            ExprKind::Field(base, pos) => {
                let base = self.eval(*base, cx)?;
                self.get_field(base, *pos, span)
            }
            ExprKind::DynField(base, name) => {
                let base = self.eval(*base, cx)?;
                self.get_named(base, name.as_str(), span)
            }
            ExprKind::MapGet(base, key) => {
                let (base, key) = self.pair(*base, *key, cx)?;
                self.get_key(base, key, span)
            }
            ExprKind::Index(base, index) => {
                let (base, index) = self.pair(*base, *index, cx)?;
                self.get_index(base, index, span)
            }
            ExprKind::Lookup(base, key) => {
                let base = self.eval(*base, cx)?;
                self.lookup(base, key, cx)
            }
            ExprKind::Object(base, key) => match self.eval(*base, cx)? {
                Value::List(list) => {
                    let at = self.find_object(list, key, cx)?;
                    Ok(self.heap.list(list)[at].value)
                }
                _ => Ok(Value::Null),
            },
            ExprKind::Call(callee, args) => self.call(*callee, args, span, cx),
            ExprKind::Builtin(builtin, args) => self.builtin(*builtin, args, id, cx),
            ExprKind::OfKind(list, record) => {
                let list = self.eval(*list, cx)?;
                Ok(self.of_kind(list, *record))
            }
            ExprKind::CallValue(callee, args) => {
                let callee = self.eval(*callee, cx)?;
                let mut values = Vec::with_capacity(args.len());
                for arg in args {
                    let value = self.eval(*arg, cx)?;
                    let at = self.source(*arg, value, cx);
                    values.push(Local { value, at });
                }
                self.apply(callee, &values, cx.layer)
            }
            ExprKind::Lambda { captures, .. } => {
                let values: Vec<Local> = captures
                    .iter()
                    .map(|(outer, _)| self.stack[cx.base + outer.0 as usize])
                    .collect();
                let captures = self.heap.add_frame(&values);
                Ok(self.heap.add_closure(Closure {
                    expr: id,
                    captures,
                    this: cx.this,
                }))
            }
            ExprKind::LetIn(slot, expr, body) => {
                let value = self.eval(*expr, cx)?;
                let at = self.source(*expr, value, cx);
                self.set_local_at(*slot, value, at, cx);
                self.eval(*body, cx)
            }
            ExprKind::If(condition, then, otherwise) => {
                let chosen = if self.condition(*condition, cx)? {
                    then
                } else {
                    otherwise
                };
                self.eval(*chosen, cx)
            }
            ExprKind::Match(value, arms) => self.match_arms(*value, arms, span, cx),
            ExprKind::Not(operand) => Ok(Value::Bool(!self.condition(*operand, cx)?)),
            ExprKind::Neg(operand) => {
                let value = self.eval(*operand, cx)?;
                self.negate(value, span)
            }
            ExprKind::Binary(op, left, right) => self.binary(*op, *left, *right, span, cx),
            ExprKind::Range(low, high, inclusive) => {
                let (low, high) = self.range_ends(*low, *high, *inclusive, span, cx)?;
                Ok(Value::List(self.heap.add_list((low..high).map(|n| Item {
                    at: 0,
                    value: Value::Int(n),
                }))))
            }
            ExprKind::Check(inner, ty, rule) => {
                let value = self.eval(*inner, cx)?;
                self.check(value, *ty, span, *rule)
            }
            ExprKind::Convert(inner, ty, rule) => {
                let value = self.eval(*inner, cx)?;
                self.convert(value, *ty, span, *rule)
            }
            _ => self.eval(id, cx),
        }
    }

    fn pair(&mut self, left: ExprId, right: ExprId, cx: Cx) -> Res<(Value, Value)> {
        let left = self.eval(left, cx)?;
        Ok((left, self.eval(right, cx)?))
    }

    pub(crate) fn condition(&mut self, expr: ExprId, cx: Cx) -> Res<bool> {
        Ok(matches!(self.eval(expr, cx)?, Value::Bool(true)))
    }

    fn interpolate(&mut self, parts: &'p [Part], span: Span, cx: Cx) -> Res {
        let mut values = Vec::with_capacity(parts.len());
        for part in parts {
            if let Part::Expr(expr) = part {
                values.push(self.eval(*expr, cx)?);
            }
        }
        if values.iter().any(|value| matches!(value, Value::Secret(_))) {
            return self.interpolate_secret(parts, &values, span);
        }
        let mut values = values.into_iter();
        let mut scratch = String::new();
        for part in parts {
            match part {
                Part::Text(text) => scratch.push_str(text),
                Part::Expr(_) => {
                    let value = values.next().unwrap_or(Value::Null);
                    self.write_plain(&mut scratch, value);
                    self.room(0, scratch.len(), span)?;
                }
            }
        }
        Ok(Value::Str(self.heap.add_text(&scratch)))
    }

    /// The half-open range of two ends; E0503 when it is absurdly long.
    pub(super) fn range_ends(
        &mut self,
        low: ExprId,
        high: ExprId,
        inclusive: bool,
        span: Span,
        cx: Cx,
    ) -> Res<(i64, i64)> {
        let (Value::Int(low), Value::Int(high)) = self.pair(low, high, cx)? else {
            return Err(Reported);
        };
        let end = if inclusive {
            high.saturating_add(1)
        } else {
            high
        };
        if end > low && end.abs_diff(low) > limits::MAX_RANGE {
            return Err(self.report(
                Diagnostic::error(
                    "E0503",
                    format!("a range of more than {} elements", limits::MAX_RANGE),
                )
                .label(span, format!("from {low} to {high}")),
            ));
        }
        Ok((low, end.max(low)))
    }

    fn of_kind(&mut self, list: Value, record: RecordId) -> Value {
        let Value::List(list) = list else {
            return Value::Null;
        };
        let of_kind: Vec<Item> = self
            .heap
            .list(list)
            .iter()
            .filter(|item| matches!(item.value, Value::Rec(r) if self.heap.rec(r).def == record))
            .copied()
            .collect();
        Value::List(self.heap.add_list(of_kind))
    }

    fn call(&mut self, id: FnId, args: &'p [Option<ExprId>], span: Span, cx: Cx) -> Res {
        self.turn(span)?;
        let function = &self.program.fns[id.index()];
        let base = self.stack.len();
        for arg in args {
            let value = match arg {
                Some(arg) => match self.eval(*arg, cx) {
                    Ok(value) => Local {
                        value,
                        at: self.source(*arg, value, cx),
                    },
                    Err(Reported) => {
                        self.stack.truncate(base);
                        return Err(Reported);
                    }
                },
                None => Local::NULL,
            };
            self.stack.push(value);
        }
        let inner = Cx {
            base,
            slots: function.body.slots,
            this: None,
            layer: cx.layer,
        };
        self.stack
            .resize(base + function.body.slots as usize, Local::NULL);
        self.calls.push(span);
        let mut value = Ok(Value::Null);
        for (at, param) in function.params.iter().enumerate() {
            if let (None, Some(default)) = (args.get(at).copied().flatten(), param.default) {
                match self.eval(default, inner) {
                    Ok(default) => self.stack[base + at] = default.into(),
                    Err(Reported) => value = Err(Reported),
                }
            }
        }
        if value.is_ok() {
            value = self.eval(function.body.expr, inner);
        }
        self.calls.pop();
        self.stack.truncate(base);
        value
    }

    /// Calls a function value.
    pub(super) fn apply(&mut self, callee: Value, args: &[Local], layer: u32) -> Res {
        let base = self.stack.len();
        self.stack.extend_from_slice(args);
        let (body, this): (Body, _) = match callee {
            Value::Fn(id) => (self.program.fns[id.index()].body, None),
            Value::Closure(index) => {
                let closure = self.heap.closures[index as usize];
                let ExprKind::Lambda { body, captures, .. } = self.program.hir.kind(closure.expr)
                else {
                    return Err(Reported);
                };
                self.stack.resize(base + body.slots as usize, Local::NULL);
                let values = &self.heap.frames[closure.captures.range()];
                for ((_, inner), value) in captures.iter().zip(values) {
                    self.stack[base + inner.0 as usize] = *value;
                }
                (*body, closure.this)
            }
            _ => return Err(Reported),
        };
        self.stack.resize(base + body.slots as usize, Local::NULL);
        let value = self.eval(
            body.expr,
            Cx {
                base,
                slots: body.slots,
                this,
                layer,
            },
        );
        self.stack.truncate(base);
        value
    }

    fn match_arms(&mut self, value: ExprId, arms: &'p [Arm], span: Span, cx: Cx) -> Res {
        let value = self.eval(value, cx)?;
        for arm in arms {
            if !self.pattern(&arm.pattern, value, cx)? {
                continue;
            }
            let holds = match arm.guard {
                Some(guard) => self.condition(guard, cx)?,
                None => true,
            };
            if holds {
                return self.eval(arm.body, cx);
            }
        }
        let shown = self.show(value);
        Err(self.report(
            Diagnostic::error("E0216", format!("no arm matches {shown}"))
                .label(span, "none of these arms fits")
                .help("add an arm for it, or `_` for everything else"),
        ))
    }

    fn pattern(&mut self, pattern: &'p Pattern, value: Value, cx: Cx) -> Res<bool> {
        Ok(match pattern {
            Pattern::Wild => true,
            Pattern::Value(wanted) => {
                let wanted = self.eval(*wanted, cx)?;
                self.equal(value, wanted)?
            }
            Pattern::Range(low, high) => {
                matches!(value, Value::Int(n) if (*low..=*high).contains(&n))
            }
            Pattern::Bind(slot, ty) => {
                let fits = ty.is_none_or(|ty| self.is_of(value, ty));
                if fits {
                    self.set_local(*slot, value, cx);
                }
                fits
            }
            Pattern::Type(ty) => self.is_of(value, *ty),
            Pattern::Or(patterns) => {
                for pattern in patterns {
                    if self.pattern(pattern, value, cx)? {
                        return Ok(true);
                    }
                }
                false
            }
        })
    }

    fn binary(&mut self, op: BinOp, left: ExprId, right: ExprId, span: Span, cx: Cx) -> Res {
        match op {
            BinOp::And => {
                let holds = self.condition(left, cx)? && self.condition(right, cx)?;
                Ok(Value::Bool(holds))
            }
            BinOp::Or => {
                let holds = self.condition(left, cx)? || self.condition(right, cx)?;
                Ok(Value::Bool(holds))
            }
            BinOp::Coalesce => match self.eval(left, cx)? {
                Value::Null => self.eval(right, cx),
                value => Ok(value),
            },
            _ => {
                let (left, right) = self.pair(left, right, cx)?;
                self.operate(op, left, right, span)
            }
        }
    }
}
