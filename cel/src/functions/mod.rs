//! The functions: names, how many arguments they take, and who answers for them.
//!
//! A receiver is the first argument, so `a.f(b)` and `f(a, b)` are one call.

mod lists;
pub(crate) mod network;
mod numbers;
pub(crate) mod text;
pub(crate) mod time;

use regex::Regex;

use crate::error::EvalError;
use crate::eval::{Machine, Result};
use crate::value::Value;

/// Each function with the fewest and the most arguments, the receiver counted.
const FUNCTIONS: &[(&str, usize, usize)] = &[
    // The language's own.
    ("size", 1, 1),
    ("type", 1, 1),
    ("dyn", 1, 1),
    ("int", 1, 1),
    ("uint", 1, 1),
    ("double", 1, 1),
    ("string", 1, 1),
    ("bytes", 1, 1),
    ("bool", 1, 1),
    ("duration", 1, 1),
    ("timestamp", 1, 1),
    ("matches", 2, 2),
    ("contains", 2, 2),
    ("startsWith", 2, 2),
    ("endsWith", 2, 2),
    ("getFullYear", 1, 2),
    ("getMonth", 1, 2),
    ("getDate", 1, 2),
    ("getDayOfMonth", 1, 2),
    ("getDayOfWeek", 1, 2),
    ("getDayOfYear", 1, 2),
    ("getHours", 1, 2),
    ("getMinutes", 1, 2),
    ("getSeconds", 1, 2),
    ("getMilliseconds", 1, 2),
    // Strings.
    ("charAt", 2, 2),
    ("indexOf", 2, 3),
    ("lastIndexOf", 2, 3),
    ("join", 1, 2),
    ("lowerAscii", 1, 1),
    ("upperAscii", 1, 1),
    ("replace", 3, 4),
    ("split", 2, 3),
    ("substring", 2, 3),
    ("trim", 1, 1),
    ("reverse", 1, 1),
    ("format", 2, 2),
    ("strings.quote", 1, 1),
    ("find", 2, 2),
    ("findAll", 2, 3),
    // Lists and sets.
    ("isSorted", 1, 1),
    ("sum", 1, 1),
    ("min", 1, 1),
    ("max", 1, 1),
    ("slice", 3, 3),
    ("distinct", 1, 1),
    ("flatten", 1, 2),
    ("sort", 1, 1),
    ("first", 1, 1),
    ("last", 1, 1),
    ("sets.contains", 2, 2),
    ("sets.equivalent", 2, 2),
    ("sets.intersects", 2, 2),
    // Optional values.
    ("optional.of", 1, 1),
    ("optional.ofNonZeroValue", 1, 1),
    ("optional.none", 0, 0),
    ("hasValue", 1, 1),
    ("value", 1, 1),
    ("or", 2, 2),
    ("orValue", 2, 2),
    // Quantities and versions.
    ("quantity", 1, 1),
    ("isQuantity", 1, 1),
    ("isInteger", 1, 1),
    ("asInteger", 1, 1),
    ("asApproximateFloat", 1, 1),
    ("sign", 1, 1),
    ("add", 2, 2),
    ("sub", 2, 2),
    ("isLessThan", 2, 2),
    ("isGreaterThan", 2, 2),
    ("compareTo", 2, 2),
    ("semver", 1, 1),
    ("isSemver", 1, 1),
    ("major", 1, 1),
    ("minor", 1, 1),
    ("patch", 1, 1),
    // Networks.
    ("url", 1, 1),
    ("isURL", 1, 1),
    ("getScheme", 1, 1),
    ("getHost", 1, 1),
    ("getHostname", 1, 1),
    ("getPort", 1, 1),
    ("getEscapedPath", 1, 1),
    ("getQuery", 1, 1),
    ("ip", 1, 1),
    ("isIP", 1, 1),
    ("ip.isCanonical", 1, 1),
    ("family", 1, 1),
    ("isUnspecified", 1, 1),
    ("isLoopback", 1, 1),
    ("isLinkLocalMulticast", 1, 1),
    ("isLinkLocalUnicast", 1, 1),
    ("isGlobalUnicast", 1, 1),
    ("cidr", 1, 1),
    ("isCIDR", 1, 1),
    ("containsIP", 2, 2),
    ("containsCIDR", 2, 2),
    ("masked", 1, 1),
    ("prefixLength", 1, 1),
    // Named formats.
    ("format.named", 1, 1),
    ("format.dns1123Label", 0, 0),
    ("format.dns1123Subdomain", 0, 0),
    ("format.dns1035Label", 0, 0),
    ("format.qualifiedName", 0, 0),
    ("format.dns1123LabelPrefix", 0, 0),
    ("format.dns1123SubdomainPrefix", 0, 0),
    ("format.dns1035LabelPrefix", 0, 0),
    ("format.labelValue", 0, 0),
    ("format.uri", 0, 0),
    ("format.uuid", 0, 0),
    ("format.byte", 0, 0),
    ("format.date", 0, 0),
    ("format.datetime", 0, 0),
    ("validate", 2, 2),
];

/// The function with a name that takes so many arguments.
pub(crate) fn find(name: &str, args: usize) -> Option<&'static str> {
    let fits =
        |(n, least, most): &&(&str, usize, usize)| *n == name && (*least..=*most).contains(&args);
    FUNCTIONS.iter().find(fits).map(|(name, ..)| *name)
}

/// Every function, with the fewest and the most arguments.
#[cfg(test)]
pub(crate) fn all() -> impl Iterator<Item = (&'static str, usize, usize)> {
    FUNCTIONS.iter().copied()
}

/// How many arguments a function takes, in words; none when there is no such function.
pub(crate) fn named(name: &str) -> Option<String> {
    let (_, least, most) = FUNCTIONS.iter().find(|(n, ..)| *n == name)?;
    Some(match least == most {
        true => least.to_string(),
        false => format!("{least} to {most}"),
    })
}

/// Calls a function.
pub(crate) fn call(
    machine: &mut Machine<'_>,
    name: &'static str,
    args: Vec<Value>,
    regex: Option<&Regex>,
) -> Result {
    machine.charge(args.iter().map(Value::weight).sum())?;
    let answered = match core(name, &args) {
        None => text::call(machine, name, &args, regex),
        some => some,
    };
    let answered = answered.or_else(|| lists::call(machine, name, &args));
    let answered = answered.or_else(|| time::call(name, &args));
    let answered = answered.or_else(|| numbers::call(name, &args));
    let answered = answered.or_else(|| network::call(name, &args));
    answered.unwrap_or_else(|| {
        let types: Vec<&str> = args.iter().map(Value::type_name).collect();
        Err(EvalError::new(format!(
            "`{name}` does not take {}",
            types.join(", ")
        )))
    })
}

/// Conversions and optional values.
fn core(name: &str, args: &[Value]) -> Option<Result> {
    Some(match (name, args) {
        ("dyn", [value]) => Ok(value.clone()),
        ("type", [value]) => Ok(Value::Type(value.type_name())),
        ("size", [value]) => {
            let size = match value {
                Value::String(text) => text.chars().count(),
                Value::Bytes(bytes) => bytes.len(),
                Value::List(items) => items.len(),
                Value::Map(entries) => entries.len(),
                _ => return None,
            };
            Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
        }
        ("bool", [Value::Bool(b)]) => Ok(Value::Bool(*b)),
        ("bool", [Value::String(text)]) => match &**text {
            "true" | "True" | "TRUE" | "t" | "1" => Ok(Value::Bool(true)),
            "false" | "False" | "FALSE" | "f" | "0" => Ok(Value::Bool(false)),
            _ => Err(EvalError::new(format!("{text:?} is no bool"))),
        },
        ("optional.of", [value]) => Ok(Value::some(value.clone())),
        ("optional.none", []) => Ok(Value::Optional(None)),
        ("optional.ofNonZeroValue", [value]) => Ok(match is_zero(value) {
            true => Value::Optional(None),
            false => Value::some(value.clone()),
        }),
        ("hasValue", [Value::Optional(inner)]) => Ok(Value::Bool(inner.is_some())),
        ("value", [Value::Optional(inner)]) => match inner {
            Some(value) => Ok((**value).clone()),
            None => Err(EvalError::new("the optional value is absent")),
        },
        ("or", [first @ Value::Optional(inner), other @ Value::Optional(_)]) => Ok(match inner {
            Some(_) => first.clone(),
            None => other.clone(),
        }),
        ("orValue", [Value::Optional(inner), other]) => Ok(match inner {
            Some(value) => (**value).clone(),
            None => other.clone(),
        }),
        _ => return None,
    })
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null | Value::Optional(None) => true,
        Value::Bool(b) => !b,
        Value::Int(n) => *n == 0,
        Value::Uint(n) => *n == 0,
        Value::Double(d) => *d == 0.0,
        Value::String(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        Value::Duration(nanos) => *nanos == 0,
        _ => false,
    }
}
