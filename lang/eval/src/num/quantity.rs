//! Kubernetes quantities (`500m`, `256Mi`, `1.5Gi`, `2e3`) and exact arithmetic on them.
//!
//! Source: k8s.io/apimachinery/pkg/api/resource/quantity.go. Amounts are held in
//! billionths, the finest suffix (`n`), so that every suffix is a whole number.

use std::cmp::Ordering;
use std::fmt;

/// Which suffixes a quantity is written with; results keep the left operand's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `n u m k M G T P E`, powers of ten.
    Decimal,
    /// `Ki Mi Gi Ti Pi Ei`, powers of 1024.
    Binary,
}

/// An exact amount with the family of suffixes it prints in.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

const ONE: i128 = 1_000_000_000;

const DECIMAL: [(&str, i128); 9] = [
    ("E", ONE * 1_000_000_000_000_000_000),
    ("P", ONE * 1_000_000_000_000_000),
    ("T", ONE * 1_000_000_000_000),
    ("G", ONE * 1_000_000_000),
    ("M", ONE * 1_000_000),
    ("k", ONE * 1_000),
    ("", ONE),
    ("m", ONE / 1_000),
    ("u", ONE / 1_000_000),
];

const BINARY: [(&str, i128); 6] = [
    ("Ei", ONE << 60),
    ("Pi", ONE << 50),
    ("Ti", ONE << 40),
    ("Gi", ONE << 30),
    ("Mi", ONE << 20),
    ("Ki", ONE << 10),
];

impl Quantity {
    /// Reads a quantity as the API server does.
    ///
    /// Returns `None` for text that is no quantity, or one too large for 2^63.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let end = text
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '+' | '-' | '.')))
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (negative, digits) = match number.as_bytes().first()? {
            b'-' => (true, &number[1..]),
            b'+' => (false, &number[1..]),
            _ => (false, number),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let (scale, format) = Self::scale(suffix)?;
        let mut nanos = 0_i128;
        if !whole.is_empty() {
            nanos = whole.parse::<i128>().ok()?.checked_mul(scale)?;
        }
        // Precision below a billionth is rounded up, as the API server does.
        let mut unit = scale;
        for (i, digit) in fraction.bytes().enumerate() {
            let digit = i128::from(digit - b'0');
            if unit % 10 == 0 {
                unit /= 10;
                nanos = nanos.checked_add(digit * unit)?;
            } else if unit > 1 {
                let rest: i128 = fraction[i..]
                    .get(..18.min(fraction.len() - i))?
                    .parse()
                    .ok()?;
                let base = 10_i128.pow(u32::try_from(18.min(fraction.len() - i)).ok()?);
                nanos = nanos.checked_add((rest.checked_mul(unit)? + base - 1) / base)?;
                break;
            } else if digit != 0 {
                nanos += 1;
                break;
            }
        }
        (nanos <= i128::from(i64::MAX) * ONE).then_some(Self {
            nanos: if negative { -nanos } else { nanos },
            format,
        })
    }

    fn scale(suffix: &str) -> Option<(i128, Format)> {
        if let Some((_, scale)) = BINARY.iter().find(|(s, _)| *s == suffix) {
            return Some((*scale, Format::Binary));
        }
        if suffix == "n" {
            return Some((1, Format::Decimal));
        }
        if let Some((_, scale)) = DECIMAL.iter().find(|(s, _)| *s == suffix) {
            return Some((*scale, Format::Decimal));
        }
        let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
        match exponent {
            0..=18 => Some((ONE * 10_i128.pow(exponent.unsigned_abs()), Format::Decimal)),
            -9..=-1 => Some((ONE / 10_i128.pow(exponent.unsigned_abs()), Format::Decimal)),
            _ => None,
        }
    }

    /// A whole number as a quantity.
    #[must_use]
    pub fn from_int(value: i64) -> Self {
        Self {
            nanos: i128::from(value) * ONE,
            format: Format::Decimal,
        }
    }

    /// The sum, in the left operand's format; `None` when it leaves the range.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        self.with(self.nanos.checked_add(other.nanos)?)
    }

    /// The difference, in the left operand's format.
    #[must_use]
    pub fn minus(self, other: Self) -> Option<Self> {
        self.with(self.nanos.checked_sub(other.nanos)?)
    }

    /// This amount times a number.
    #[must_use]
    pub fn times(self, factor: f64) -> Option<Self> {
        if factor.fract() == 0.0 && factor.abs() < 9e15 {
            return self.with(self.nanos.checked_mul(factor as i128)?);
        }
        let product = self.nanos as f64 * factor;
        (product.abs() < 9.2e27).then(|| Self {
            nanos: product.ceil() as i128,
            ..self
        })
    }

    /// This amount divided by a number, rounded up; `None` for zero.
    #[must_use]
    pub fn over(self, divisor: f64) -> Option<Self> {
        if divisor == 0.0 {
            return None;
        }
        if divisor.fract() == 0.0 && divisor.abs() < 9e15 {
            let d = divisor as i128;
            let up = i128::from(self.nanos % d != 0 && (self.nanos < 0) == (d < 0));
            return self.with(self.nanos / d + up);
        }
        self.times(1.0 / divisor)
    }

    /// How many times `other` fits into this amount.
    #[must_use]
    pub fn ratio(self, other: Self) -> Option<f64> {
        (other.nanos != 0).then(|| self.nanos as f64 / other.nanos as f64)
    }

    /// The amount in whole units, rounded up, as Kubernetes' `Value()`.
    #[must_use]
    pub fn whole(self) -> i64 {
        i64::try_from(self.nanos.div_euclid(ONE) + i128::from(self.nanos.rem_euclid(ONE) != 0))
            .unwrap_or(i64::MAX)
    }

    fn with(self, nanos: i128) -> Option<Self> {
        (nanos.abs() <= i128::from(i64::MAX) * ONE).then_some(Self { nanos, ..self })
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}
impl Eq for Quantity {}
impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

/// The canonical form: no fraction, the largest suffix that keeps the number whole.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        if self.format == Format::Binary {
            for (suffix, scale) in BINARY {
                if self.nanos % scale == 0 {
                    return write!(f, "{}{suffix}", self.nanos / scale);
                }
            }
        }
        for (suffix, scale) in DECIMAL {
            // A binary amount that is no multiple of 1024 is printed plain, not as `3M`.
            if self.format == Format::Binary && scale > ONE {
                continue;
            }
            if self.nanos % scale == 0 {
                return write!(f, "{}{suffix}", self.nanos / scale);
            }
        }
        write!(f, "{}n", self.nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::Quantity;

    fn q(text: &str) -> Quantity {
        Quantity::parse(text).expect("the tests write valid quantities")
    }

    #[test]
    fn canonical_forms_are_kubernetes_own() {
        for (written, canonical) in [
            ("500m", "500m"),
            ("1500m", "1500m"),
            ("2000m", "2"),
            ("0.5", "500m"),
            ("1.5Gi", "1536Mi"),
            ("1024Mi", "1Gi"),
            ("1000", "1k"),
            ("2e3", "2k"),
            ("0", "0"),
            ("-1Ki", "-1Ki"),
            ("1n", "1n"),
            (".5", "500m"),
        ] {
            assert_eq!(q(written).to_string(), canonical, "{written}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in [
            "",
            "m",
            "1 Mi",
            "1mi",
            "1e",
            "1e99",
            "--1",
            "1.2.3",
            "9999999999999999999",
        ] {
            assert!(Quantity::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn arithmetic_keeps_the_left_format() {
        assert_eq!(
            q("256Mi").times(2.0).map(|q| q.to_string()).as_deref(),
            Some("512Mi")
        );
        assert_eq!(
            q("1").plus(q("500m")).map(|q| q.to_string()).as_deref(),
            Some("1500m")
        );
        assert_eq!(
            q("1Gi").over(4.0).map(|q| q.to_string()).as_deref(),
            Some("256Mi")
        );
        assert_eq!(
            q("1").minus(q("2")).map(|q| q.to_string()).as_deref(),
            Some("-1")
        );
        assert!(q("1Gi") > q("1G"));
        assert!(q("1").over(0.0).is_none());
    }
}
