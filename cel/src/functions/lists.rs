//! Lists and sets (k8s.io/apiserver/pkg/cel/library/lists.go, cel-go/ext/lists.go and sets.go).

use std::cmp::Ordering;

use crate::error::EvalError;
use crate::eval::{Machine, Result};
use crate::operators;
use crate::value::Value;

pub(super) fn call(machine: &mut Machine<'_>, name: &str, args: &[Value]) -> Option<Result> {
    // What looks at pairs of elements costs as much.
    let pairs = match (name, args) {
        ("distinct", [Value::List(items)]) => {
            (items.len() as u64).saturating_mul(items.len() as u64)
        }
        (
            "sets.contains" | "sets.equivalent" | "sets.intersects",
            [Value::List(a), Value::List(b)],
        ) => (a.len() as u64).saturating_mul(b.len() as u64),
        _ => 0,
    };
    if let Err(error) = machine.charge(pairs) {
        return Some(Err(error));
    }
    Some(match (name, args) {
        ("isSorted", [Value::List(items)]) => {
            for pair in items.windows(2) {
                match pair[0].order(&pair[1]) {
                    Some(Ordering::Greater) => return Some(Ok(Value::Bool(false))),
                    Some(_) => {}
                    None => return Some(Err(EvalError::new("the elements have no order"))),
                }
            }
            Ok(Value::Bool(true))
        }
        ("sum", [Value::List(items)]) => sum(machine, items),
        ("min" | "max", [Value::List(items)]) => {
            let wanted = if name == "min" {
                Ordering::Less
            } else {
                Ordering::Greater
            };
            let mut best: Option<&Value> = None;
            for item in items.iter() {
                best = match best.map(|b| item.order(b)) {
                    None => Some(item),
                    Some(None) => return Some(Err(EvalError::new("the elements have no order"))),
                    Some(Some(found)) if found == wanted => Some(item),
                    Some(Some(_)) => best,
                };
            }
            best.cloned()
                .ok_or_else(|| EvalError::new(format!("`{name}` of an empty list")))
        }
        ("indexOf", [Value::List(items), value]) => {
            Ok(index(items.iter().position(|i| i == value)))
        }
        ("lastIndexOf", [Value::List(items), value]) => {
            Ok(index(items.iter().rposition(|i| i == value)))
        }
        ("slice", [Value::List(items), Value::Int(from), Value::Int(to)]) => {
            match (usize::try_from(*from), usize::try_from(*to)) {
                (Ok(from), Ok(to)) if from <= to && to <= items.len() => {
                    Ok(Value::list(items[from..to].to_vec()))
                }
                _ => Err(EvalError::new(format!("no slice from {from} to {to}"))),
            }
        }
        ("first" | "last", [Value::List(items)]) => {
            let found = if name == "first" {
                items.first()
            } else {
                items.last()
            };
            Ok(found.map_or(Value::Optional(None), |v| Value::some(v.clone())))
        }
        ("reverse", [Value::List(items)]) => Ok(Value::list(items.iter().rev().cloned())),
        ("distinct", [Value::List(items)]) => {
            let mut kept: Vec<Value> = Vec::new();
            for item in items.iter() {
                if !kept.contains(item) {
                    kept.push(item.clone());
                }
            }
            Ok(Value::list(kept))
        }
        ("flatten", [Value::List(items)]) => flatten(machine, items, 1),
        ("flatten", [Value::List(items), Value::Int(depth)]) => flatten(machine, items, *depth),
        ("sort", [Value::List(items)]) => {
            if items
                .windows(2)
                .any(|pair| pair[0].order(&pair[1]).is_none())
            {
                return Some(Err(EvalError::new("the elements have no order")));
            }
            let mut sorted = items.to_vec();
            sorted.sort_by(|a, b| a.order(b).unwrap_or(Ordering::Equal));
            Ok(Value::list(sorted))
        }
        ("sets.contains", [Value::List(all), Value::List(some)]) => {
            Ok(Value::Bool(some.iter().all(|item| all.contains(item))))
        }
        ("sets.equivalent", [Value::List(a), Value::List(b)]) => {
            let within = |a: &[Value], b: &[Value]| a.iter().all(|item| b.contains(item));
            Ok(Value::Bool(within(a, b) && within(b, a)))
        }
        ("sets.intersects", [Value::List(a), Value::List(b)]) => {
            Ok(Value::Bool(a.iter().any(|item| b.contains(item))))
        }
        _ => return None,
    })
}

fn index(found: Option<usize>) -> Value {
    Value::Int(found.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1))
}

fn sum(machine: &mut Machine<'_>, items: &[Value]) -> Result {
    let Some((first, rest)) = items.split_first() else {
        return Ok(Value::Int(0));
    };
    if !matches!(
        first,
        Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::Duration(_)
    ) {
        return Err(EvalError::new(format!(
            "{} cannot be summed up",
            first.type_name()
        )));
    }
    let mut total = first.clone();
    for item in rest {
        total = operators::binary(machine, crate::ast::Op::Add, total, item.clone())?;
    }
    Ok(total)
}

fn flatten(machine: &mut Machine<'_>, items: &[Value], depth: i64) -> Result {
    /// As deep as an expression may be nested.
    const MOST: i64 = crate::program::MAX_DEPTH as i64;
    let mut out = items.to_vec();
    for _ in 0..depth.clamp(0, MOST) {
        if !out.iter().any(|item| matches!(item, Value::List(_))) {
            break;
        }
        let mut next = Vec::with_capacity(out.len());
        for item in &out {
            match item {
                Value::List(inner) => next.extend(inner.iter().cloned()),
                other => next.push(other.clone()),
            }
        }
        machine.charge(next.len() as u64)?;
        out = next;
    }
    Ok(Value::list(out))
}
