//! Operators: arithmetic on numbers, quantities and durations, comparison, deep equality.

use std::cmp::Ordering;

use ordain_lang_syntax::{Diagnostic, Span};
use ordain_lang_types::hir::BinOp;
use ordain_lang_types::ty::Origin;

use super::Machine;
use crate::heap::Item;
use crate::num::quantity::Quantity;
use crate::value::{Reported, Res, Value};

/// A number as a float, where the other operand is one.
fn float(value: Value) -> Option<f64> {
    match value {
        Value::Int(n) => Some(n as f64),
        Value::Float(f) => Some(f),
        _ => None,
    }
}

impl<'p> Machine<'p> {
    pub(super) fn operate(&mut self, op: BinOp, left: Value, right: Value, span: Span) -> Res {
        if let (Value::Str(text), Value::Str(_)) = (left, right) {
            self.reads_text(text)?;
        }
        match op {
            BinOp::Eq => Ok(Value::Bool(self.equal(left, right)?)),
            BinOp::Ne => Ok(Value::Bool(!self.equal(left, right)?)),
            BinOp::Lt => Ok(Value::Bool(
                self.compare(left, right) == Some(Ordering::Less),
            )),
            BinOp::Le => Ok(Value::Bool(
                self.compare(left, right).is_some_and(Ordering::is_le),
            )),
            BinOp::Gt => Ok(Value::Bool(
                self.compare(left, right) == Some(Ordering::Greater),
            )),
            BinOp::Ge => Ok(Value::Bool(
                self.compare(left, right).is_some_and(Ordering::is_ge),
            )),
            BinOp::In => self.is_in(left, right),
            _ => self.arithmetic(op, left, right, span),
        }
    }

    fn is_in(&mut self, needle: Value, hay: Value) -> Res {
        let found = match (needle, hay) {
            (needle, Value::List(list)) => {
                let items = self.heap.list(list).to_vec();
                self.reads(items.len())?;
                let mut found = false;
                for item in items {
                    if self.equal(item.value, needle)? {
                        found = true;
                        break;
                    }
                }
                found
            }
            (Value::Str(key), Value::Map(map)) => self.map_find(map, self.text(key)).is_some(),
            (Value::Str(part), Value::Str(text)) => {
                self.reads_text(text)?;
                self.text(text).contains(self.text(part))
            }
            _ => false,
        };
        Ok(Value::Bool(found))
    }

    fn arithmetic(&mut self, op: BinOp, left: Value, right: Value, span: Span) -> Res {
        match (left, right) {
            (Value::Int(a), Value::Int(b)) => {
                let result = match op {
                    BinOp::Add => a.checked_add(b),
                    BinOp::Sub => a.checked_sub(b),
                    BinOp::Mul => a.checked_mul(b),
                    BinOp::Div | BinOp::Rem if b == 0 => return Err(self.by_zero(span)),
                    // Floored, so that `%` is never negative for a positive divisor.
                    BinOp::Div => a.checked_div_euclid(b).map(|q| {
                        if b < 0 && a.rem_euclid(b) != 0 {
                            q - 1
                        } else {
                            q
                        }
                    }),
                    _ => a
                        .checked_rem_euclid(b)
                        .map(|r| if b < 0 && r != 0 { r + b } else { r }),
                };
                match result {
                    Some(number) => Ok(Value::Int(number)),
                    None => Err(self.overflow("the result needs more than 64 bits", span)),
                }
            }
            (Value::Str(a), Value::Str(b)) if op == BinOp::Add => {
                let joined = [self.text(a), self.text(b)].concat();
                Ok(Value::Str(self.heap.add_text(&joined)))
            }
            (Value::List(a), Value::List(b)) if op == BinOp::Add => {
                let items: Vec<Item> = self
                    .heap
                    .list(a)
                    .iter()
                    .chain(self.heap.list(b))
                    .copied()
                    .collect();
                Ok(Value::List(self.heap.add_list(items)))
            }
            (Value::Map(a), Value::Map(b)) if op == BinOp::Add => Ok(self.merge_entries(a, b)),
            (Value::Quantity(_), _) | (_, Value::Quantity(_)) => {
                self.quantities(op, left, right, span)
            }
            (Value::Duration(_), _) | (_, Value::Duration(_)) => {
                self.durations(op, left, right, span)
            }
            _ => {
                let (Some(a), Some(b)) = (float(left), float(right)) else {
                    return Err(Reported);
                };
                if b == 0.0 && matches!(op, BinOp::Div | BinOp::Rem) {
                    return Err(self.by_zero(span));
                }
                let result = match op {
                    BinOp::Add => a + b,
                    BinOp::Sub => a - b,
                    BinOp::Mul => a * b,
                    BinOp::Div => a / b,
                    _ => a.rem_euclid(b),
                };
                if result.is_finite() {
                    Ok(Value::Float(result))
                } else {
                    Err(self.overflow("the result is no finite number", span))
                }
            }
        }
    }

    /// The amount of a quantity or a number.
    pub(super) fn amount(&self, value: Value) -> Option<Quantity> {
        match value {
            Value::Quantity(text) => Quantity::parse(self.text(text)),
            Value::Int(n) => Some(Quantity::from_int(n)),
            Value::Float(f) => Quantity::from_int(1).times(f),
            _ => None,
        }
    }

    fn quantities(&mut self, op: BinOp, left: Value, right: Value, span: Span) -> Res {
        let result = match (op, left, right) {
            (BinOp::Add, ..) => self
                .amount(left)
                .zip(self.amount(right))
                .and_then(|(a, b)| a.plus(b)),
            (BinOp::Sub, ..) => self
                .amount(left)
                .zip(self.amount(right))
                .and_then(|(a, b)| a.minus(b)),
            (BinOp::Mul, Value::Quantity(_), _) => self
                .amount(left)
                .zip(float(right))
                .and_then(|(q, n)| q.times(n)),
            (BinOp::Mul, ..) => self
                .amount(right)
                .zip(float(left))
                .and_then(|(q, n)| q.times(n)),
            (BinOp::Div, Value::Quantity(_), Value::Quantity(_)) => {
                let ratio = self
                    .amount(left)
                    .zip(self.amount(right))
                    .and_then(|(a, b)| a.ratio(b));
                return match ratio {
                    Some(ratio) => Ok(Value::Float(ratio)),
                    None => Err(self.by_zero(span)),
                };
            }
            (BinOp::Div, ..) => {
                if float(right) == Some(0.0) {
                    return Err(self.by_zero(span));
                }
                self.amount(left)
                    .zip(float(right))
                    .and_then(|(q, n)| q.over(n))
            }
            _ => return Err(Reported),
        };
        match result {
            Some(quantity) => {
                let text = quantity.to_string();
                Ok(Value::Quantity(self.heap.add_text(&text)))
            }
            None => Err(self.overflow("the quantity is larger than 2^63", span)),
        }
    }

    fn durations(&mut self, op: BinOp, left: Value, right: Value, span: Span) -> Res {
        let result = match (op, left, right) {
            (BinOp::Add, Value::Duration(a), Value::Duration(b)) => a.checked_add(b),
            (BinOp::Sub, Value::Duration(a), Value::Duration(b)) => a.checked_sub(b),
            (BinOp::Mul, Value::Duration(d), Value::Int(n))
            | (BinOp::Mul, Value::Int(n), Value::Duration(d)) => d.checked_mul(n),
            (BinOp::Mul, Value::Duration(d), Value::Float(f))
            | (BinOp::Mul, Value::Float(f), Value::Duration(d)) => scaled(d, f),
            (BinOp::Div, Value::Duration(a), Value::Duration(b)) => {
                if b == 0 {
                    return Err(self.by_zero(span));
                }
                return Ok(Value::Float(a as f64 / b as f64));
            }
            (BinOp::Div, Value::Duration(_), n) if float(n) == Some(0.0) => {
                return Err(self.by_zero(span));
            }
            (BinOp::Div, Value::Duration(d), Value::Int(n)) => d.checked_div(n),
            (BinOp::Div, Value::Duration(d), Value::Float(f)) => scaled(d, 1.0 / f),
            _ => return Err(Reported),
        };
        match result {
            Some(nanos) => Ok(Value::Duration(nanos)),
            None => Err(self.overflow("the duration is longer than 292 years", span)),
        }
    }

    pub(super) fn negate(&mut self, value: Value, span: Span) -> Res {
        match value {
            Value::Int(n) => match n.checked_neg() {
                Some(n) => Ok(Value::Int(n)),
                None => Err(self.overflow("the result needs more than 64 bits", span)),
            },
            Value::Float(f) => Ok(Value::Float(-f)),
            Value::Duration(d) => Ok(Value::Duration(-d)),
            Value::Quantity(_) => self.quantities(BinOp::Sub, Value::Int(0), value, span),
            _ => Err(Reported),
        }
    }

    pub(super) fn by_zero(&mut self, span: Span) -> Reported {
        self.report(Diagnostic::error("E0230", "division by zero").label(span, "the divisor is 0"))
    }

    fn overflow(&mut self, message: &str, span: Span) -> Reported {
        self.report(Diagnostic::error("E0233", message).label(span, "computed here"))
    }

    /// The order of two values of one ordered type.
    pub(super) fn compare(&self, left: Value, right: Value) -> Option<Ordering> {
        match (left, right) {
            (Value::Int(a), Value::Int(b)) => Some(a.cmp(&b)),
            (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(&b)),
            (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(&b)),
            (Value::Str(a), Value::Str(b)) => Some(self.text(a).cmp(self.text(b))),
            (Value::Quantity(_), _) | (_, Value::Quantity(_)) => {
                Some(self.amount(left)?.cmp(&self.amount(right)?))
            }
            _ => float(left)?.partial_cmp(&float(right)?),
        }
    }

    /// Deep equality; a field that is not set equals one that is null.
    pub(crate) fn equal(&mut self, left: Value, right: Value) -> Res<bool> {
        if !matches!(left, Value::List(_) | Value::Map(_) | Value::Rec(_)) {
            return self.equal_one(left, right);
        }
        self.deeper()?;
        let same = self.equal_one(left, right);
        self.depth -= 1;
        same
    }

    fn equal_one(&mut self, left: Value, right: Value) -> Res<bool> {
        match (left, right) {
            (Value::Null, Value::Null) => Ok(true),
            (Value::Str(a), Value::Str(b)) => {
                if a == b || self.text(a).len() != self.text(b).len() {
                    return Ok(a == b);
                }
                self.reads_text(a)?;
                Ok(self.text(a) == self.text(b))
            }
            (Value::List(a), Value::List(b)) => {
                let (a, b) = (self.heap.list(a).to_vec(), self.heap.list(b).to_vec());
                self.reads(a.len().saturating_add(b.len()))?;
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (a, b) in a.iter().zip(&b) {
                    if !self.equal(a.value, b.value)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Value::Map(a), Value::Map(b)) => {
                let entries = self.heap.map(a).to_vec();
                self.reads(entries.len())?;
                if entries.len() != self.heap.map(b).len() {
                    return Ok(false);
                }
                for entry in entries {
                    let Some(at) = self.map_find(b, self.text(entry.key)) else {
                        return Ok(false);
                    };
                    let other = self.heap.map(b)[at].value;
                    if !self.equal(entry.value, other)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Value::Rec(a), Value::Rec(b)) => {
                if a == b {
                    return Ok(true);
                }
                let record = *self.heap.rec(a);
                if record.def != self.heap.rec(b).def {
                    let literal = self.is_literal(left) || self.is_literal(right);
                    return Ok(literal && self.equal_entries(left, right)?);
                }
                for pos in 0..self.def(record.def).fields.len() as u32 {
                    let one = self.field(a, pos, record.span)?;
                    let other = self.field(b, pos, record.span)?;
                    if !self.equal(one, other)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            // A literal for which no type was expected.
            (Value::Map(_), other @ Value::Rec(_)) | (other @ Value::Rec(_), Value::Map(_)) => {
                Ok(self.is_literal(other) && self.equal_entries(left, right)?)
            }
            (Value::Secret(a), Value::Secret(b)) => {
                // The same reference: values are not known.
                Ok(self.heap.secrets[a as usize] == self.heap.secrets[b as usize])
            }
            (Value::Fn(a), Value::Fn(b)) => Ok(a == b),
            _ => Ok(self.compare(left, right) == Some(Ordering::Equal)),
        }
    }

    /// Whether it is a record that was made without a type.
    fn is_literal(&self, value: Value) -> bool {
        matches!(value, Value::Rec(rec)
            if matches!(self.def(self.heap.rec(rec).def).origin, Origin::Anonymous))
    }

    /// Compares records and maps by their entries, whatever made them. What is absent equals null.
    fn equal_entries(&mut self, left: Value, right: Value) -> Res<bool> {
        let (mut left, mut right) = (self.named_entries(left)?, self.named_entries(right)?);
        if left.len() != right.len() {
            return Ok(false);
        }
        left.sort_by(|a, b| a.0.cmp(&b.0));
        right.sort_by(|a, b| a.0.cmp(&b.0));
        for ((name, one), (other_name, other)) in left.into_iter().zip(right) {
            if name != other_name || !self.equal(one, other)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn named_entries(&mut self, value: Value) -> Res<Vec<(String, Value)>> {
        let mut entries = Vec::new();
        match value {
            Value::Map(map) => {
                for entry in self.heap.map(map) {
                    entries.push((self.text(entry.key).to_owned(), entry.value));
                }
            }
            Value::Rec(rec) => {
                let record = *self.heap.rec(rec);
                for pos in 0..self.def(record.def).fields.len() as u32 {
                    let name = self.def(record.def).fields[pos as usize].name;
                    let found = self.field(rec, pos, record.span)?;
                    entries.push((name.as_str().to_owned(), found));
                }
            }
            _ => {}
        }
        entries.retain(|(_, value)| !matches!(value, Value::Null));
        Ok(entries)
    }
}

fn scaled(nanos: i64, factor: f64) -> Option<i64> {
    let result = nanos as f64 * factor;
    (result.abs() < i64::MAX as f64).then_some(result as i64)
}
