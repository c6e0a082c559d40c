//! Quantities such as `500m` and `1Gi`: read, compare, add, and write in canonical form. It does
//! not know which resource a quantity measures.
//!
//! Grammar and canonical form: k8s.io/apimachinery/pkg/api/resource/quantity.go.

use std::{cmp::Ordering, fmt, str::FromStr};

use serde_json::Value;

/// Billionths in one, the finest step of a quantity; anything finer is rounded away from zero.
const NANO: i128 = 1_000_000_000;
/// The largest amount, 2^63 - 1; larger ones are cut to it.
const AMOUNT_MAX: i128 = i64::MAX as i128 * NANO;

/// Which suffixes a quantity is written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `Ki`, `Mi`, `Gi`, …
    BinarySi,
    /// `m`, `k`, `M`, …
    DecimalSi,
    /// `e3`, `e6`, …
    DecimalExponent,
}

/// An amount with the notation that it is written in. Equality and order look at the amount only.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nano: i128,
    format: Format,
}

/// The text is not a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)]
pub struct QuantityError;

impl Quantity {
    /// The amount 0, written `0`.
    pub const ZERO: Quantity = Quantity {
        nano: 0,
        format: Format::DecimalSi,
    };

    /// Returns a whole amount.
    pub fn new(amount: i64, format: Format) -> Quantity {
        Quantity {
            nano: i128::from(amount) * NANO,
            format,
        }
    }

    /// Returns an amount of thousandths: 500 is `500m`.
    pub fn from_milli(milli: i64) -> Quantity {
        Quantity {
            nano: i128::from(milli) * (NANO / 1000),
            format: Format::DecimalSi,
        }
    }

    /// Reads a quantity of an object: a string, or a number.
    ///
    /// # Errors
    /// When the value is neither, or the text is malformed.
    pub fn from_value(value: &Value) -> Result<Quantity, QuantityError> {
        match value {
            Value::String(text) => text.parse(),
            Value::Number(number) => number.to_string().parse(),
            _ => Err(QuantityError),
        }
    }

    /// Returns the amount, rounded up to a whole number.
    pub fn value(self) -> i64 {
        clamp(div_ceil(self.nano, NANO))
    }

    /// Returns the amount in thousandths, rounded up.
    pub fn milli_value(self) -> i64 {
        clamp(div_ceil(self.nano, NANO / 1000))
    }

    /// Tells whether the amount is 0.
    pub fn is_zero(self) -> bool {
        self.nano == 0
    }

    /// Returns the sum, in the notation of `self` unless `self` is 0.
    #[must_use]
    pub fn plus(self, other: Quantity) -> Quantity {
        let format = if self.is_zero() {
            other.format
        } else {
            self.format
        };
        Quantity {
            nano: (self.nano + other.nano).clamp(-AMOUNT_MAX, AMOUNT_MAX),
            format,
        }
    }

    /// Returns the difference, in the notation of `self` unless `self` is 0.
    #[must_use]
    pub fn minus(self, other: Quantity) -> Quantity {
        self.plus(Quantity {
            nano: -other.nano,
            format: other.format,
        })
    }
}

/// Returns the canonical form of a quantity: `1000m` becomes `1`, `0.5` becomes `500m`.
///
/// # Errors
/// When the text is malformed.
pub fn canonical(text: &str) -> Result<String, QuantityError> {
    Ok(text.parse::<Quantity>()?.to_string())
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Quantity, QuantityError> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let negative = text.starts_with('-');
        let end = unsigned
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return Err(QuantityError);
        }
        let (factor, exponent, format) = suffix_scale(suffix)?;
        let nano = scale(whole, fraction, factor, exponent);
        Ok(Quantity {
            nano: if negative { -nano } else { nano },
            format,
        })
    }
}

/// Returns the binary factor, the decimal exponent and the notation of a suffix.
fn suffix_scale(suffix: &str) -> Result<(i128, i32, Format), QuantityError> {
    let decimal = |exponent| Ok((1, exponent, Format::DecimalSi));
    let binary = |power: u32| Ok((1i128 << (10 * power), 0, Format::BinarySi));
    match suffix {
        "" => decimal(0),
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => {
            let digits = suffix.strip_prefix(['e', 'E']).ok_or(QuantityError)?;
            let exponent = digits.parse::<i32>().map_err(|_| QuantityError)?;
            Ok((1, exponent, Format::DecimalExponent))
        }
    }
}

/// Returns `whole.fraction * factor * 10^exponent` in billionths, rounded away from zero and cut
/// to the largest amount.
fn scale(whole: &str, fraction: &str, factor: i128, exponent: i32) -> i128 {
    // Digits beyond these could only matter far above the largest or below the smallest amount.
    const DIGITS_MAX: usize = 34;
    let digits: String = whole.chars().chain(fraction.chars()).collect();
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return 0;
    }
    // The position of the decimal point behind the first digit that counts.
    let fraction_digits = i64::try_from(fraction.len()).unwrap_or(i64::MAX);
    let mut exponent = i64::from(exponent)
        .saturating_sub(fraction_digits)
        .saturating_add(9);
    let (kept, cut) = digits.split_at(digits.len().min(DIGITS_MAX));
    exponent = exponent.saturating_add(i64::try_from(cut.len()).unwrap_or(i64::MAX));
    let mut amount: i128 = kept.parse().unwrap_or(AMOUNT_MAX);
    let mut inexact = cut.bytes().any(|digit| digit != b'0');
    while exponent < 0 && amount > 0 {
        // The factor comes in where it loses no digit.
        if amount.checked_mul(factor).is_some() {
            break;
        }
        inexact |= amount % 10 != 0;
        amount /= 10;
        exponent += 1;
    }
    amount = amount.saturating_mul(factor);
    while exponent < 0 && amount > 0 {
        inexact |= amount % 10 != 0;
        amount /= 10;
        exponent += 1;
    }
    while exponent > 0 && amount < AMOUNT_MAX {
        amount = amount.saturating_mul(10);
        exponent -= 1;
    }
    amount.saturating_add(i128::from(inexact)).min(AMOUNT_MAX)
}

fn div_ceil(a: i128, b: i128) -> i128 {
    // Upstream rounds away from zero.
    let (quotient, rest) = (a / b, a % b);
    quotient + rest.signum()
}

fn clamp(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nano == 0 {
            return f.write_str("0");
        }
        let small = self.nano.abs() < 1024 * NANO;
        if self.format == Format::BinarySi && !small {
            let mut amount = div_ceil(self.nano, NANO);
            let mut power = 0;
            while amount % 1024 == 0 && power < 6 {
                amount /= 1024;
                power += 1;
            }
            let suffix = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][power];
            return write!(f, "{amount}{suffix}");
        }
        let (mut amount, mut thousands) = (self.nano, 0);
        while amount % 1000 == 0 && thousands < 9 {
            amount /= 1000;
            thousands += 1;
        }
        let exponent = 3 * (thousands as i32 - 3);
        match self.format {
            Format::DecimalExponent if exponent == 0 => write!(f, "{amount}"),
            Format::DecimalExponent => write!(f, "{amount}e{exponent}"),
            _ => {
                let suffix = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"][thousands];
                write!(f, "{amount}{suffix}")
            }
        }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Quantity) -> bool {
        self.nano == other.nano
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Quantity) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Quantity) -> Ordering {
        self.nano.cmp(&other.nano)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_canonical_form_is_upstreams() {
        let cases = [
            ("0", "0"),
            ("0Gi", "0"),
            ("1", "1"),
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1.5Gi", "1536Mi"),
            ("1024Ki", "1Mi"),
            ("1024", "1024"),
            ("1000", "1k"),
            ("1000k", "1M"),
            ("12e3", "12e3"),
            ("12E3", "12e3"),
            ("1e1", "10"),
            ("0.001", "1m"),
            ("0.0000000001", "1n"),
            ("1500m", "1500m"),
            ("100Ki", "100Ki"),
            ("1000Ki", "1000Ki"),
            ("0.5Ki", "512"),
            ("-1", "-1"),
            ("+5", "5"),
            (".5", "500m"),
            ("5.", "5"),
            ("1E", "1E"),
            ("1Ei", "1Ei"),
            ("100000E", "9223372036854775807"),
            ("0.1Ki", "102400m"),
            ("1.1Gi", "1181116007"),
            ("4e9", "4e9"),
        ];
        for (text, expect) in cases {
            assert_eq!(canonical(text).as_deref(), Ok(expect), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "a",
            "1 Gi",
            "1.2.3",
            ".",
            "1KiB",
            "1K",
            "--1",
            "1e",
            "1e99999999999",
            "Gi",
        ] {
            assert_eq!(canonical(text), Err(QuantityError), "{text}");
        }
    }

    #[test]
    fn amounts_compare_across_notations() {
        let q = |text: &str| text.parse::<Quantity>().expect("a quantity");
        assert!(q("1Gi") > q("1G"));
        assert_eq!(q("1000m"), q("1"));
        assert_eq!(q("100m").milli_value(), 100);
        assert_eq!(q("100m").value(), 1);
        assert_eq!(q("1Gi").plus(q("512Mi")).to_string(), "1536Mi");
        assert_eq!(q("1").minus(q("300m")).to_string(), "700m");
        assert_eq!(Quantity::from_value(&serde_json::json!(2)), Ok(q("2")));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = canonical(&text);
        }

        #[test]
        fn the_canonical_form_is_a_fixed_point(text in "[+-]?[0-9]{1,25}(\\.[0-9]{1,15})?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|e-?[0-9]{1,2})?") {
            let once = canonical(&text).expect("well formed");
            let twice = canonical(&once).expect("still well formed");
            prop_assert_eq!(&once, &twice);
        }
    }
}
