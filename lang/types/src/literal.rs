//! Quantities, durations and times as text: whether they are well formed, and how long a duration is.
//!
//! Facts: k8s.io/apimachinery/pkg/api/resource/quantity.go, Go's time.ParseDuration and RFC 3339.

/// Suffixes of a quantity.
const QUANTITY_SUFFIXES: [&str; 15] = [
    "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi",
];

/// Checks the text of a quantity: `2`, `0.5`, `500m`, `256Mi`, `1e3`.
///
/// # Errors
/// What is wrong with it.
pub fn check_quantity(text: &str) -> Result<(), String> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = unsigned
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(digits);
    let good_number = number.bytes().any(|b| b.is_ascii_digit())
        && number.bytes().filter(|b| *b == b'.').count() <= 1;
    if !good_number {
        return Err("a number with a unit such as `500m` or `256Mi` is meant".into());
    }
    if QUANTITY_SUFFIXES.contains(&suffix) || suffix == "Ei" {
        return Ok(());
    }
    if let Some(exponent) = suffix.strip_prefix(['e', 'E'])
        && exponent.parse::<i32>().is_ok()
    {
        return Ok(());
    }
    let meant = match suffix.to_ascii_lowercase().as_str() {
        "kb" | "ki" | "kib" => "Ki",
        "mb" | "mi" | "mib" => "Mi",
        "gb" | "gi" | "gib" | "g" => "Gi",
        "tb" | "ti" | "tib" | "t" => "Ti",
        "k" => "k",
        _ => {
            return Err(format!(
                "`{suffix}` is no unit of a quantity; they are m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei"
            ));
        }
    };
    Err(format!(
        "`{suffix}` is no unit of a quantity, did you mean `{number}{meant}`?"
    ))
}

/// Billionths of a quantity, to compare two; none for what is no quantity, or too large.
#[must_use]
pub fn quantity_nanos(text: &str) -> Option<i128> {
    const ONE: i128 = 1_000_000_000;
    /// Digits after the point that can matter: those of a billionth of `Ei`.
    const DIGITS: usize = 27;
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(digits);
    let scale = match suffix {
        "n" => 1,
        "u" => 1_000,
        "m" => 1_000_000,
        "" => ONE,
        "Ki" => ONE << 10,
        "Mi" => ONE << 20,
        "Gi" => ONE << 30,
        "Ti" => ONE << 40,
        "Pi" => ONE << 50,
        "Ei" => ONE << 60,
        _ => {
            let power = match suffix {
                "k" => 3,
                "M" => 6,
                "G" => 9,
                "T" => 12,
                "P" => 15,
                "E" => 18,
                _ => suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?,
            };
            if !(-9..=18).contains(&power) {
                return None;
            }
            10_i128.pow(u32::try_from(power + 9).ok()?)
        }
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut nanos = match whole {
        "" => 0,
        whole => whole.parse::<i128>().ok()?.checked_mul(scale)?,
    };
    let mut unit = scale;
    for digit in fraction.bytes().take(DIGITS) {
        // Binary units are no multiples of ten; what is cut off is less than a billionth of the unit.
        unit /= 10;
        nanos = nanos.checked_add(i128::from(digit.checked_sub(b'0')?) * unit)?;
    }
    Some(if negative { -nanos } else { nanos })
}

/// Nanoseconds of a duration: `30s`, `1h30m`, `250ms`, and whole days `7d`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let meant = || "a duration such as `30s` or `1h30m` is meant".to_owned();
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(meant());
    }
    let mut total = 0_f64;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(meant)?;
        let number: f64 = rest[..digits].parse().map_err(|_| meant())?;
        let after = &rest[digits..];
        let unit_len = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let scale = match &after[..unit_len] {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            "d" => 86_400e9,
            unit => {
                return Err(format!(
                    "`{unit}` is no unit of time; they are ns, us, ms, s, m, h, d"
                ));
            }
        };
        total += number * scale;
        rest = &after[unit_len..];
    }
    if total > i64::MAX as f64 {
        return Err("it is longer than 292 years".into());
    }
    let nanos = total.round() as i64;
    Ok(if negative { -nanos } else { nanos })
}

/// Checks an RFC 3339 instant: `2026-01-31T12:00:00Z`.
///
/// # Errors
/// What is meant.
pub fn check_time(text: &str) -> Result<(), String> {
    let bytes = text.as_bytes();
    let number = |from: usize, len: usize| -> Option<u32> {
        let part = bytes.get(from..from + len)?;
        part.iter().all(u8::is_ascii_digit).then(|| {
            part.iter()
                .fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'))
        })
    };
    let at = |at: usize, any: &[u8]| bytes.get(at).is_some_and(|b| any.contains(b));
    let good = || -> Option<bool> {
        let (month, day) = (number(5, 2)?, number(8, 2)?);
        let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
        number(0, 4)?;
        let marks = at(4, b"-") && at(7, b"-") && at(10, b"Tt ") && at(13, b":") && at(16, b":");
        let mut end = 19;
        if at(end, b".") {
            end += 1;
            while bytes.get(end).is_some_and(u8::is_ascii_digit) {
                end += 1;
            }
        }
        let zone = match bytes.get(end)? {
            b'Z' | b'z' => bytes.len() == end + 1,
            b'+' | b'-' => {
                at(end + 3, b":")
                    && bytes.len() == end + 6
                    && number(end + 1, 2)? < 24
                    && number(end + 4, 2)? < 60
            }
            _ => false,
        };
        Some(
            marks
                && zone
                && (1..=12).contains(&month)
                && (1..=31).contains(&day)
                && hour < 24
                && minute < 60
                && second <= 60,
        )
    };
    match good() {
        Some(true) => Ok(()),
        _ => Err("a time such as `2026-01-31T12:00:00Z` is meant".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities() {
        for good in ["2", "0.5", "500m", "256Mi", "1e3", "-1", "1Ei", "100M"] {
            assert_eq!(check_quantity(good), Ok(()), "{good}");
        }
        for bad in ["", "Mi", "5 Mi", "256MB", "1.2.3", "12parsecs", "1e"] {
            assert!(check_quantity(bad).is_err(), "{bad}");
        }
        assert!(
            check_quantity("256MB")
                .expect_err("bad")
                .contains("`256Mi`")
        );
    }

    #[test]
    fn quantities_compare() {
        let equal = [
            ("1Gi", "1024Mi"),
            ("0.5", "500m"),
            ("1e3", "1k"),
            ("2", "2000000u"),
            ("1.5Gi", "1536Mi"),
        ];
        for (a, b) in equal {
            assert_eq!(quantity_nanos(a), quantity_nanos(b), "{a} is {b}");
            assert!(quantity_nanos(a).is_some(), "{a}");
        }
        assert!(quantity_nanos("1G") < quantity_nanos("1Gi"));
        assert!(quantity_nanos("-1") < quantity_nanos("0"));
        assert_eq!(quantity_nanos("5 Mi"), None);
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("1h30m"), Ok(5_400_000_000_000));
        assert_eq!(parse_duration("250ms"), Ok(250_000_000));
        assert_eq!(parse_duration("-1.5s"), Ok(-1_500_000_000));
        assert!(parse_duration("30").is_err());
        assert!(parse_duration("5 minutes").is_err());
    }

    #[test]
    fn times() {
        assert_eq!(check_time("2026-01-31T12:00:00Z"), Ok(()));
        assert_eq!(check_time("2026-01-31T12:00:00.25+01:00"), Ok(()));
        for bad in [
            "2026-01-31",
            "2026-13-31T12:00:00Z",
            "noon",
            "2026-01-31T12:00:00",
        ] {
            assert!(check_time(bad).is_err(), "{bad}");
        }
    }
}
