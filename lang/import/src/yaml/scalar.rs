//! What a plain scalar means, as the YAML parser of sigs.k8s.io/yaml (goyaml.v2, `resolve.go`) has it.

use super::Value;

/// Why a scalar has no JSON value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bad {
    /// `.nan` and `.inf`.
    NotFinite,
    /// An integer beyond 64 bits.
    TooLarge,
    /// `!!int` and the like on a text that is none.
    Tag,
    /// `!!binary` whose bytes are no text.
    Binary,
}

/// The value of a scalar without quotes and without a tag.
pub(crate) fn plain(text: &str) -> Result<Value, Bad> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Value::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Value::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF"
        | "-.inf" | "-.Inf" | "-.INF" => return Err(Bad::NotFinite),
        _ => match text.as_bytes()[0] {
            b'0'..=b'9' | b'+' | b'-' | b'.' => match number(text)? {
                Some(value) => value,
                None => Value::Str(text.to_owned()),
            },
            _ => Value::Str(text.to_owned()),
        },
    })
}

/// The value of a scalar with a tag of the core schema (`!!str`).
pub(crate) fn tagged(tag: &str, text: &str) -> Result<Value, Bad> {
    match (tag, plain(text)) {
        ("str", _) => Ok(Value::Str(text.to_owned())),
        ("binary", _) => binary(text).map(Value::Str).ok_or(Bad::Binary),
        ("null", Ok(Value::Null)) => Ok(Value::Null),
        ("bool", Ok(value @ Value::Bool(_))) | ("int", Ok(value @ Value::Int(..))) => Ok(value),
        ("float", Ok(value @ (Value::Int(..) | Value::Float(_)))) => Ok(value),
        // kubectl keeps what looks like a time as its text.
        ("timestamp", _) => Ok(Value::Str(text.to_owned())),
        (_, Err(bad)) => Err(bad),
        _ => Err(Bad::Tag),
    }
}

/// A number as Go's `strconv.ParseInt(text, 0, 64)` and then the float of YAML read it.
fn number(text: &str) -> Result<Option<Value>, Bad> {
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    let (negative, digits) = match plain.as_bytes() {
        [b'-', ..] => (true, &plain[1..]),
        [b'+', ..] => (false, &plain[1..]),
        _ => (false, &plain[..]),
    };
    let with_base = |prefixes: [&str; 2], base: u32| {
        let rest = prefixes
            .iter()
            .find_map(|prefix| digits.strip_prefix(prefix))?;
        let is_digits = !rest.is_empty() && rest.chars().all(|c| c.is_digit(base));
        is_digits.then_some((rest, base))
    };
    let octal = || {
        let rest = digits.strip_prefix('0')?;
        let is_octal = !rest.is_empty() && rest.bytes().all(|b| (b'0'..=b'7').contains(&b));
        is_octal.then_some((rest, 8))
    };
    let decimal = || {
        let is_decimal = !digits.is_empty()
            && digits.bytes().all(|b| b.is_ascii_digit())
            && (digits == "0" || !digits.starts_with('0'));
        is_decimal.then_some((digits, 10))
    };
    let whole = with_base(["0x", "0X"], 16)
        .or_else(|| with_base(["0o", "0O"], 8))
        .or_else(|| with_base(["0b", "0B"], 2))
        .or_else(octal)
        .or_else(decimal);
    if let Some((digits, base)) = whole {
        let value = i128::from_str_radix(digits, base).map_err(|_| Bad::TooLarge)?;
        let value = if negative { -value } else { value };
        let value = i64::try_from(value).map_err(|_| Bad::TooLarge)?;
        return Ok(Some(Value::Int(value, base == 8 && !negative)));
    }
    if !is_float(digits) {
        return Ok(None);
    }
    let value: f64 = plain.parse().map_err(|_| Bad::NotFinite)?;
    if !value.is_finite() {
        return Err(Bad::NotFinite);
    }
    // Go writes a whole number without a fraction, so that is what the API server gets.
    let is_whole = value.fract() == 0.0 && value.abs() < LARGEST_EXACT;
    Ok(Some(if is_whole {
        Value::Int(value as i64, false)
    } else {
        Value::Float(value)
    }))
}

/// 2^53: integers below it are exact in a float of 64 bits.
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

/// `^(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`.
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_mantissa = is_digits(whole)
        && is_digits(fraction)
        && if whole.is_empty() {
            !fraction.is_empty()
        } else {
            true
        };
    let is_exponent = exponent.is_none_or(|text| {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        !digits.is_empty() && is_digits(digits)
    });
    is_mantissa && is_exponent
}

/// The text that standard base64 holds.
fn binary(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0);
    let mut padding = 0;
    for byte in text.bytes().filter(|b| !b.is_ascii_whitespace()) {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padding += 1;
                continue;
            }
            _ => return None,
        };
        if padding > 0 {
            return None;
        }
        bits = (bits << 6) | u32::from(six);
        count += 1;
        if count % 4 != 1 {
            bytes.push((bits >> (6 - 2 * ((count - 1) % 4))) as u8);
        }
    }
    let is_whole = (count + padding) % 4 == 0 && padding <= 2 && count % 4 != 1;
    is_whole.then(|| String::from_utf8(bytes).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match plain(text) {
            Ok(Value::Str(_)) => "string".into(),
            Ok(value) => format!("{value:?}"),
            Err(bad) => format!("{bad:?}"),
        }
    }

    #[test]
    fn plain_scalars_are_read_as_kubectl_does() {
        for (text, value) in [
            ("yes", "Bool(true)"),
            ("Off", "Bool(false)"),
            ("y", "Bool(true)"),
            ("yEs", "string"),
            ("~", "Null"),
            ("", "Null"),
            ("0644", "Int(420, true)"),
            ("0o644", "Int(420, true)"),
            ("0x1F", "Int(31, false)"),
            ("0b11", "Int(3, false)"),
            ("1_000", "Int(1000, false)"),
            ("+1", "Int(1, false)"),
            ("-7", "Int(-7, false)"),
            ("08", "Int(8, false)"),
            ("1.0", "Int(1, false)"),
            ("1.5", "Float(1.5)"),
            ("1.", "Int(1, false)"),
            (".5", "Float(0.5)"),
            ("1e3", "Int(1000, false)"),
            ("1e-3", "Float(0.001)"),
            ("1e400", "NotFinite"),
            (".inf", "NotFinite"),
            ("9223372036854775807", "Int(9223372036854775807, false)"),
            ("9223372036854775808", "TooLarge"),
            ("1.2.3", "string"),
            ("12:30", "string"),
            ("2001-01-01", "string"),
            ("2001-01-01T01:01:01Z", "string"),
            ("-", "string"),
            (".", "string"),
            ("500m", "string"),
            ("1Gi", "string"),
            ("0x", "string"),
            ("1e", "string"),
        ] {
            assert_eq!(shown(text), value, "{text}");
        }
    }

    #[test]
    fn tags_say_what_a_scalar_is() {
        assert!(matches!(tagged("str", "1"), Ok(Value::Str(text)) if text == "1"));
        assert!(matches!(tagged("binary", "aGVs\nbG8="), Ok(Value::Str(text)) if text == "hello"));
        assert!(matches!(tagged("binary", "aGVsbG8"), Err(Bad::Binary)));
        assert!(matches!(tagged("binary", "/w=="), Err(Bad::Binary)));
        assert!(matches!(tagged("int", "x"), Err(Bad::Tag)));
        assert!(matches!(tagged("float", "1"), Ok(Value::Int(1, false))));
    }
}
