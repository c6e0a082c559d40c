//! Messages whose JSON form is a string or a number: quantities, times, `IntOrString`. It does not
//! know where they stand.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    ProtobufError,
    wire::{Fields, Wire, malformed, text},
};
use crate::quantity;

/// Decodes a quantity to its canonical form; the empty message is zero.
pub(super) fn quantity_of(bytes: &[u8], place: &str) -> Result<Value, ProtobufError> {
    let mut value = String::from("0");
    for part in Fields::of(bytes, place) {
        if let (1, Wire::Bytes(bytes)) = part? {
            let text = text(bytes, place)?;
            if !text.is_empty() {
                value = quantity::canonical(&text)
                    .map_err(|_| malformed(place, "a quantity is malformed"))?;
            }
        }
    }
    Ok(value.into())
}

/// Decodes the union of an integer and a string.
pub(super) fn int_or_string(bytes: &[u8], place: &str) -> Result<Value, ProtobufError> {
    let (mut is_string, mut number, mut string) = (false, 0, String::new());
    for part in Fields::of(bytes, place) {
        match part? {
            (1, Wire::Varint(kind)) => is_string = kind != 0,
            #[expect(clippy::cast_possible_truncation, reason = "int32 is sent as 64 bits")]
            (2, Wire::Varint(value)) => number = value.cast_signed() as i32,
            (3, Wire::Bytes(bytes)) => string = text(bytes, place)?,
            _ => {}
        }
    }
    Ok(if is_string {
        string.into()
    } else {
        number.into()
    })
}

/// Decodes seconds and nanoseconds; the zero time of Go is an empty message.
pub(super) fn time_of(
    bytes: &[u8],
    place: &str,
    format: fn(Timestamp) -> String,
) -> Result<Value, ProtobufError> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let (mut seconds, mut nanos) = (0, 0);
    for part in Fields::of(bytes, place) {
        match part? {
            (1, Wire::Varint(value)) => seconds = value.cast_signed(),
            #[expect(clippy::cast_possible_truncation, reason = "int32 is sent as 64 bits")]
            (2, Wire::Varint(value)) => nanos = value.cast_signed() as i32,
            _ => {}
        }
    }
    let time = Timestamp::new(seconds, nanos);
    time.map(|time| format(time).into())
        .map_err(|_| malformed(place, "a time is out of range"))
}

/// Decodes a duration of nanoseconds to Go's notation.
pub(super) fn duration_of(bytes: &[u8], place: &str) -> Result<Value, ProtobufError> {
    let mut nanos = 0i64;
    for part in Fields::of(bytes, place) {
        if let (1, Wire::Varint(value)) = part? {
            nanos = value.cast_signed();
        }
    }
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    Ok(if rest == 0 {
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        match (hours, minutes) {
            (0, 0) => format!("{seconds}s"),
            (0, _) => format!("{minutes}m{seconds}s"),
            _ => format!("{hours}h{minutes}m{seconds}s"),
        }
    } else {
        format!("{nanos}ns")
    }
    .into())
}
