//! Operators on two values; what overflows fails.

use std::cmp::Ordering;

use jiff::{SignedDuration, Timestamp};

use crate::ast::Op;
use crate::error::EvalError;
use crate::eval::{Machine, Result};
use crate::value::{Key, Value};

pub(crate) fn overflow() -> EvalError {
    EvalError::new("the number is out of range")
}

pub(crate) fn binary(machine: &mut Machine<'_>, op: Op, left: Value, right: Value) -> Result {
    match op {
        Op::Eq => Ok(Value::Bool(left == right)),
        Op::Ne => Ok(Value::Bool(left != right)),
        Op::Lt => order(&left, &right, Ordering::is_lt),
        Op::Le => order(&left, &right, Ordering::is_le),
        Op::Gt => order(&left, &right, Ordering::is_gt),
        Op::Ge => order(&left, &right, Ordering::is_ge),
        Op::In => contains(machine, &left, &right),
        Op::Add => add(machine, left, right),
        _ => arithmetic(op, &left, &right),
    }
}

fn order(left: &Value, right: &Value, holds: impl Fn(Ordering) -> bool) -> Result {
    if let (Value::Double(a), Value::Double(b)) = (left, right)
        && (a.is_nan() || b.is_nan())
    {
        return Ok(Value::Bool(false));
    }
    match left.order(right) {
        Some(found) => Ok(Value::Bool(holds(found))),
        None => Err(mismatch("compared", left, right)),
    }
}

fn mismatch(what: &str, left: &Value, right: &Value) -> EvalError {
    EvalError::new(format!(
        "{} and {} cannot be {what}",
        left.type_name(),
        right.type_name()
    ))
}

/// `element in list`, `key in map`
pub(crate) fn contains(machine: &mut Machine<'_>, element: &Value, range: &Value) -> Result {
    match range {
        Value::List(items) => {
            machine.charge(items.len() as u64)?;
            Ok(Value::Bool(items.contains(element)))
        }
        Value::Map(entries) => Ok(Value::Bool(
            Key::of(element).is_some_and(|key| entries.contains_key(&key)),
        )),
        other => Err(EvalError::new(format!(
            "{} has no elements",
            other.type_name()
        ))),
    }
}

fn add(machine: &mut Machine<'_>, left: Value, right: Value) -> Result {
    machine.charge(match (&left, &right) {
        (Value::String(_) | Value::Bytes(_) | Value::List(_), _) => left.weight() + right.weight(),
        _ => 0,
    })?;
    match (&left, &right) {
        (Value::Int(a), Value::Int(b)) => a.checked_add(*b).map(Value::Int).ok_or_else(overflow),
        (Value::Uint(a), Value::Uint(b)) => a.checked_add(*b).map(Value::Uint).ok_or_else(overflow),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a + b)),
        (Value::String(a), Value::String(b)) => Ok(Value::string(format!("{a}{b}"))),
        (Value::Bytes(a), Value::Bytes(b)) => Ok(Value::bytes([&**a, &**b].concat())),
        (Value::List(a), Value::List(b)) => Ok(Value::list(a.iter().chain(b.iter()).cloned())),
        (Value::Duration(a), Value::Duration(b)) => {
            a.checked_add(*b).map(Value::Duration).ok_or_else(overflow)
        }
        (Value::Timestamp(at), Value::Duration(by))
        | (Value::Duration(by), Value::Timestamp(at)) => later(*at, *by),
        _ => Err(mismatch("added", &left, &right)),
    }
}

fn later(at: Timestamp, by: i64) -> Result {
    at.checked_add(SignedDuration::from_nanos(by))
        .map(Value::Timestamp)
        .map_err(|_| overflow())
}

fn arithmetic(op: Op, left: &Value, right: &Value) -> Result {
    let zero = || EvalError::new("division by zero");
    match (op, left, right) {
        (Op::Sub, Value::Int(a), Value::Int(b)) => {
            a.checked_sub(*b).map(Value::Int).ok_or_else(overflow)
        }
        (Op::Mul, Value::Int(a), Value::Int(b)) => {
            a.checked_mul(*b).map(Value::Int).ok_or_else(overflow)
        }
        (Op::Div | Op::Rem, Value::Int(_), Value::Int(0))
        | (Op::Div | Op::Rem, Value::Uint(_), Value::Uint(0)) => Err(zero()),
        (Op::Div, Value::Int(a), Value::Int(b)) => {
            a.checked_div(*b).map(Value::Int).ok_or_else(overflow)
        }
        (Op::Rem, Value::Int(a), Value::Int(b)) => {
            a.checked_rem(*b).map(Value::Int).ok_or_else(overflow)
        }
        (Op::Sub, Value::Uint(a), Value::Uint(b)) => {
            a.checked_sub(*b).map(Value::Uint).ok_or_else(overflow)
        }
        (Op::Mul, Value::Uint(a), Value::Uint(b)) => {
            a.checked_mul(*b).map(Value::Uint).ok_or_else(overflow)
        }
        (Op::Div, Value::Uint(a), Value::Uint(b)) => Ok(Value::Uint(a / b)),
        (Op::Rem, Value::Uint(a), Value::Uint(b)) => Ok(Value::Uint(a % b)),
        (Op::Sub, Value::Double(a), Value::Double(b)) => Ok(Value::Double(a - b)),
        (Op::Mul, Value::Double(a), Value::Double(b)) => Ok(Value::Double(a * b)),
        (Op::Div, Value::Double(a), Value::Double(b)) => Ok(Value::Double(a / b)),
        (Op::Sub, Value::Duration(a), Value::Duration(b)) => {
            a.checked_sub(*b).map(Value::Duration).ok_or_else(overflow)
        }
        (Op::Sub, Value::Timestamp(a), Value::Duration(b)) => {
            later(*a, b.checked_neg().ok_or_else(overflow)?)
        }
        (Op::Sub, Value::Timestamp(a), Value::Timestamp(b)) => {
            let between = a.as_nanosecond() - b.as_nanosecond();
            i64::try_from(between)
                .map(Value::Duration)
                .map_err(|_| overflow())
        }
        _ => Err(mismatch("calculated with", left, right)),
    }
}
