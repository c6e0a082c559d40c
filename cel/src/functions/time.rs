//! Durations and timestamps. Time zones are UTC or an offset: names of zones would need a database.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use crate::error::EvalError;
use crate::eval::Result;
use crate::value::Value;

/// A calendar date, for checking a text: `2026-01-31`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Date(jiff::civil::Date);

impl FromStr for Date {
    type Err = EvalError;

    fn from_str(text: &str) -> std::result::Result<Date, EvalError> {
        let wrong = || EvalError::new(format!("{text:?} is no date"));
        if text.len() != 10 || !text.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
            return Err(wrong());
        }
        text.parse().map(Date).map_err(|_| wrong())
    }
}

/// An RFC 3339 time; none when the text is something else.
#[must_use]
pub fn timestamp(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let shape = bytes.len() >= 20
        && bytes[4] == b'-'
        && matches!(bytes[10], b'T' | b't' | b' ')
        && !text.contains('[');
    if !shape {
        return None;
    }
    text.parse().ok()
}

/// A duration as Go writes it (`1h30m`, `1.5s`, `-20ms`), in nanoseconds; none when the text is something else.
#[must_use]
pub fn duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let length = rest
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .unwrap_or(rest.len());
        let number = &rest[..length];
        rest = &rest[length..];
        let (unit, nanos): (&str, i128) = [
            ("ns", 1),
            ("us", 1_000),
            ("µs", 1_000),
            ("μs", 1_000),
            ("ms", 1_000_000),
            ("s", 1_000_000_000),
            ("m", 60_000_000_000),
            ("h", 3_600_000_000_000),
        ]
        .into_iter()
        .find(|(unit, _)| rest.starts_with(unit))?;
        rest = &rest[unit.len()..];
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && part.is_empty() || whole.len() > 19 || part.contains('.') {
            return None;
        }
        let whole: i128 = if whole.is_empty() {
            0
        } else {
            whole.parse().ok()?
        };
        total = total.checked_add(whole.checked_mul(nanos)?)?;
        let part = &part[..part.len().min(15)];
        if !part.is_empty() {
            total += part.parse::<i128>().ok()? * nanos / 10i128.pow(part.len() as u32);
        }
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

/// A duration as CEL writes it: in seconds.
pub(crate) fn show(nanos: i64) -> String {
    let (sign, size) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
    let (seconds, part) = (size / 1_000_000_000, size % 1_000_000_000);
    match part {
        0 => format!("{sign}{seconds}s"),
        part => format!(
            "{sign}{seconds}.{}s",
            format!("{part:09}").trim_end_matches('0')
        ),
    }
}

pub(super) fn call(name: &str, args: &[Value]) -> Option<Result> {
    Some(match (name, args) {
        ("duration", [Value::Duration(_)]) | ("timestamp", [Value::Timestamp(_)]) => {
            Ok(args[0].clone())
        }
        ("duration", [Value::String(text)]) => match duration(text) {
            Some(nanos) => Ok(Value::Duration(nanos)),
            None => Err(EvalError::new(format!("{text:?} is no duration"))),
        },
        ("timestamp", [Value::String(text)]) => match timestamp(text) {
            Some(at) => Ok(Value::Timestamp(at)),
            None => Err(EvalError::new(format!("{text:?} is no timestamp"))),
        },
        ("timestamp", [Value::Int(seconds)]) => match Timestamp::from_second(*seconds) {
            Ok(at) => Ok(Value::Timestamp(at)),
            Err(_) => Err(EvalError::new("the timestamp is out of range")),
        },
        (_, [Value::Duration(nanos)]) => {
            let seconds = nanos / 1_000_000_000;
            Ok(Value::Int(match name {
                "getHours" => seconds / 3600,
                "getMinutes" => seconds / 60,
                "getSeconds" => seconds,
                "getMilliseconds" => nanos / 1_000_000,
                _ => return None,
            }))
        }
        (_, [Value::Timestamp(at), rest @ ..]) => {
            let zone = match rest {
                [] => TimeZone::UTC,
                [Value::String(zone)] => match offset(zone) {
                    Some(offset) => TimeZone::fixed(offset),
                    None => {
                        return Some(Err(EvalError::new(format!(
                            "the time zone {zone:?} is no offset such as +02:00"
                        ))));
                    }
                },
                _ => return None,
            };
            let local = at.to_zoned(zone).datetime();
            Ok(Value::Int(match name {
                "getFullYear" => i64::from(local.year()),
                "getMonth" => i64::from(local.month()) - 1,
                "getDate" => i64::from(local.day()),
                "getDayOfMonth" => i64::from(local.day()) - 1,
                "getDayOfWeek" => i64::from(local.weekday().to_sunday_zero_offset()),
                "getDayOfYear" => i64::from(local.day_of_year()) - 1,
                "getHours" => i64::from(local.hour()),
                "getMinutes" => i64::from(local.minute()),
                "getSeconds" => i64::from(local.second()),
                "getMilliseconds" => i64::from(local.millisecond()),
                _ => return None,
            }))
        }
        _ => return None,
    })
}

/// `UTC`, `+02:00`, `-08:00`
fn offset(zone: &str) -> Option<Offset> {
    if matches!(zone, "UTC" | "Z" | "") {
        return Some(Offset::UTC);
    }
    let (sign, rest) = match zone.as_bytes().first()? {
        b'-' => (-1, &zone[1..]),
        b'+' => (1, &zone[1..]),
        _ => (1, zone),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if !(0..24).contains(&hours) || !(0..60).contains(&minutes) {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}
