//! Durations (`30s`, `1h30m`, `250ms`) as Go's `time.ParseDuration` and `metav1.Duration` read them,
//! plus `d` for days in source text.

use std::fmt;

/// A length of time in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub i64);

const UNITS: [(&str, i64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

impl Duration {
    /// Reads a duration; `None` for text that is none or leaves 292 years.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Some(Self(0));
        }
        if rest.is_empty() {
            return None;
        }
        let mut total = 0_i64;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
            let number = &rest[..end];
            rest = &rest[end..];
            let unit_end = rest
                .find(|c: char| c.is_ascii_digit() || c == '.')
                .unwrap_or(rest.len());
            let (_, scale) = UNITS.iter().find(|(unit, _)| *unit == &rest[..unit_end])?;
            rest = &rest[unit_end..];
            let nanos = match number.split_once('.') {
                None => number.parse::<i64>().ok()?.checked_mul(*scale)?,
                Some(_) => {
                    let value = number.parse::<f64>().ok()? * *scale as f64;
                    (value < i64::MAX as f64).then_some(value as i64)?
                }
            };
            total = total.checked_add(nanos)?;
        }
        Some(Self(if negative { -total } else { total }))
    }

    /// Whole seconds, if it is a whole number of them.
    #[must_use]
    pub fn whole_seconds(self) -> Option<i64> {
        (self.0 % 1_000_000_000 == 0).then_some(self.0 / 1_000_000_000)
    }
}

/// Go's `Duration.String`, which is also how `metav1.Duration` is stored: `1h30m0s`, `250ms`.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let nanos = self.0.unsigned_abs();
        let fraction =
            |f: &mut fmt::Formatter<'_>, whole: u64, rest: u64, width: usize, unit: &str| {
                write!(f, "{whole}")?;
                if rest > 0 {
                    let digits = format!("{rest:0width$}");
                    write!(f, ".{}", digits.trim_end_matches('0'))?;
                }
                f.write_str(unit)
            };
        match nanos {
            0..1_000 => write!(f, "{nanos}ns"),
            1_000..1_000_000 => fraction(f, nanos / 1_000, nanos % 1_000, 3, "µs"),
            1_000_000..1_000_000_000 => fraction(f, nanos / 1_000_000, nanos % 1_000_000, 6, "ms"),
            _ => {
                let seconds = nanos / 1_000_000_000;
                let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
                if hours > 0 {
                    write!(f, "{hours}h")?;
                }
                if hours > 0 || minutes > 0 {
                    write!(f, "{minutes}m")?;
                }
                fraction(f, seconds % 60, nanos % 1_000_000_000, 9, "s")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Duration;

    #[test]
    fn reads_and_prints_as_go_does() {
        for (written, printed) in [
            ("30s", "30s"),
            ("90s", "1m30s"),
            ("1h30m", "1h30m0s"),
            ("250ms", "250ms"),
            ("1.5s", "1.5s"),
            ("2d", "48h0m0s"),
            ("0", "0s"),
            ("-5m", "-5m0s"),
            ("1500us", "1.5ms"),
        ] {
            let duration = Duration::parse(written).expect("the tests write valid durations");
            assert_eq!(duration.to_string(), printed, "{written}");
        }
        for text in ["", "5", "s", "1x", "1s2", "99999999d"] {
            assert_eq!(Duration::parse(text), None, "{text}");
        }
    }
}
