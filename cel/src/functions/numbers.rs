//! Numbers, Kubernetes' quantities and semantic versions
//! (k8s.io/apiserver/pkg/cel/library/quantity.go and semverlib.go).

use std::cmp::Ordering;
use std::sync::Arc;

use crate::error::EvalError;
use crate::eval::Result;
use crate::operators::overflow;
use crate::value::Value;

/// Quantities are counted in billionths, the smallest that Kubernetes keeps.
const SCALE: i128 = 1_000_000_000;

/// Reads a quantity; none when the text is something else
/// (k8s.io/apimachinery/pkg/api/resource/quantity.go, ParseQuantity).
fn quantity(text: &str) -> Option<i128> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let length = rest
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(length);
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && part.is_empty() || part.contains('.') || whole.len() > 24 {
        return None;
    }
    let (times, over): (i128, i128) = match suffix {
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1_000),
        "" => (1, 1),
        "k" => (1_000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            match exponent {
                0..=18 => (10i128.pow(exponent.unsigned_abs()), 1),
                -18..=-1 => (1, 10i128.pow(exponent.unsigned_abs())),
                _ => return None,
            }
        }
    };
    let whole: i128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let part = &part[..part.len().min(9)];
    let part: i128 = match part.is_empty() {
        true => 0,
        false => part.parse::<i128>().ok()? * 10i128.pow(9 - part.len() as u32),
    };
    let exact = whole
        .checked_mul(SCALE)?
        .checked_add(part)?
        .checked_mul(times)?;
    // What is smaller than a billionth is rounded up.
    let made = exact / over + i128::from(exact % over != 0);
    Some(if negative { -made } else { made })
}

fn semver(text: &str) -> Option<Value> {
    let (text, _build) = text.split_once('+').unwrap_or((text, ""));
    let (numbers, pre) = text.split_once('-').unwrap_or((text, ""));
    let parts: Vec<&str> = numbers.split('.').collect();
    let [major, minor, patch] = parts.as_slice() else {
        return None;
    };
    let number = |part: &str| match part {
        "0" => Some(0),
        _ if part.starts_with('0') || !part.bytes().all(|b| b.is_ascii_digit()) => None,
        _ => part.parse::<u64>().ok(),
    };
    let version = (
        number(major)?,
        number(minor)?,
        number(patch)?,
        pre.to_owned(),
    );
    Some(Value::Semver(Arc::new(version)))
}

pub(super) fn call(name: &str, args: &[Value]) -> Option<Result> {
    Some(match (name, args) {
        ("int", [value]) => match value {
            Value::Int(n) => Ok(Value::Int(*n)),
            Value::Uint(n) => i64::try_from(*n).map(Value::Int).map_err(|_| overflow()),
            Value::Double(d) if d.is_finite() && d.abs() < 9.2e18 => Ok(Value::Int(*d as i64)),
            Value::Double(_) => Err(overflow()),
            Value::String(text) => text
                .parse()
                .map(Value::Int)
                .map_err(|_| EvalError::new(format!("{text:?} is no int"))),
            Value::Timestamp(at) => Ok(Value::Int(at.as_second())),
            Value::Duration(nanos) => Ok(Value::Int(nanos / 1_000_000_000)),
            _ => return None,
        },
        ("uint", [value]) => match value {
            Value::Uint(n) => Ok(Value::Uint(*n)),
            Value::Int(n) => u64::try_from(*n).map(Value::Uint).map_err(|_| overflow()),
            Value::Double(d) if d.is_finite() && *d >= 0.0 && *d < 1.8e19 => {
                Ok(Value::Uint(*d as u64))
            }
            Value::Double(_) => Err(overflow()),
            Value::String(text) => text
                .parse()
                .map(Value::Uint)
                .map_err(|_| EvalError::new(format!("{text:?} is no uint"))),
            _ => return None,
        },
        ("double", [value]) => match value {
            Value::Double(d) => Ok(Value::Double(*d)),
            Value::Int(n) => Ok(Value::Double(*n as f64)),
            Value::Uint(n) => Ok(Value::Double(*n as f64)),
            Value::String(text) => text
                .parse()
                .map(Value::Double)
                .map_err(|_| EvalError::new(format!("{text:?} is no double"))),
            _ => return None,
        },
        ("quantity", [Value::String(text)]) => match quantity(text) {
            Some(made) => Ok(Value::Quantity(made)),
            None => Err(EvalError::new(format!("{text:?} is no quantity"))),
        },
        ("isQuantity", [Value::String(text)]) => Ok(Value::Bool(quantity(text).is_some())),
        ("isInteger", [Value::Quantity(q)]) => Ok(Value::Bool(
            q % SCALE == 0 && i64::try_from(q / SCALE).is_ok(),
        )),
        ("asInteger", [Value::Quantity(q)]) => match i64::try_from(q / SCALE) {
            Ok(n) if q % SCALE == 0 => Ok(Value::Int(n)),
            _ => Err(EvalError::new("the quantity is no integer")),
        },
        ("asApproximateFloat", [Value::Quantity(q)]) => Ok(Value::Double(*q as f64 / SCALE as f64)),
        ("sign", [Value::Quantity(q)]) => Ok(Value::Int(q.signum() as i64)),
        ("add" | "sub", [Value::Quantity(q), other]) => {
            let by = match other {
                Value::Quantity(by) => *by,
                Value::Int(n) => i128::from(*n) * SCALE,
                _ => return None,
            };
            let made = if name == "add" {
                q.checked_add(by)
            } else {
                q.checked_sub(by)
            };
            made.map(Value::Quantity).ok_or_else(overflow)
        }
        ("semver", [Value::String(text)]) => {
            semver(text).ok_or_else(|| EvalError::new(format!("{text:?} is no semantic version")))
        }
        ("isSemver", [Value::String(text)]) => Ok(Value::Bool(semver(text).is_some())),
        (_, [Value::Semver(v)]) => Ok(Value::Int(match name {
            "major" => v.0 as i64,
            "minor" => v.1 as i64,
            "patch" => v.2 as i64,
            _ => return None,
        })),
        (_, [a, b])
            if matches!(
                (a, b),
                (Value::Quantity(_), Value::Quantity(_)) | (Value::Semver(_), Value::Semver(_))
            ) =>
        {
            let order = a.order(b).unwrap_or(Ordering::Equal);
            match name {
                "isLessThan" => Ok(Value::Bool(order.is_lt())),
                "isGreaterThan" => Ok(Value::Bool(order.is_gt())),
                "compareTo" => Ok(Value::Int(order as i64)),
                _ => return None,
            }
        }
        _ => return None,
    })
}
