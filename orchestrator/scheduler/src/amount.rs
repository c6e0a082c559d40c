//! Resource quantities as numbers.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// An amount of a resource in thousandths of its unit, so that CPU counts in millicores and
/// memory still fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(pub i128);

impl Amount {
    /// Reads a quantity; `None` when it is none. Parts of a thousandth are rounded up, as
    /// upstream's `MilliValue` does.
    pub fn parse(quantity: &Quantity) -> Option<Amount> {
        let text = quantity.0.trim();
        let digits = text.find(|c: char| !matches!(c, '0'..='9' | '.' | '+' | '-'));
        let (number, suffix) = text.split_at(digits.unwrap_or(text.len()));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let negative = whole.starts_with('-');
        let whole = whole.trim_start_matches(['+', '-']);
        if whole.is_empty() && fraction.is_empty() || fraction.len() > 18 {
            return None;
        }
        let mantissa: i128 = format!("0{whole}{fraction}").parse().ok()?;
        // The value is mantissa * up / down thousandths.
        let (up, down) = scale(suffix)?;
        let down = down.checked_mul(10_i128.checked_pow(fraction.len() as u32)?)?;
        let thousandths = mantissa.checked_mul(up)?;
        let rounded = thousandths.checked_add(down - 1)? / down;
        Some(Amount(if negative { -rounded } else { rounded }))
    }
}

/// Returns by what a suffix multiplies and divides, in thousandths.
/// Kubernetes `apimachinery/pkg/api/resource/suffix.go`.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    let binary = |power: u32| Some((1000 * 1024_i128.pow(power), 1));
    let decimal = |power: u32| Some((10_i128.pow(power + 3), 1));
    match suffix {
        "n" => Some((1, 1_000_000)),
        "u" => Some((1, 1000)),
        "m" => Some((1, 1)),
        "" => decimal(0),
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
        exponent => {
            let power: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            match u32::try_from(power + 3) {
                Ok(power @ 0..=24) => Some((10_i128.pow(power), 1)),
                Ok(_) => None,
                Err(_) => Some((1, 10_i128.checked_pow((-power - 3).unsigned_abs())?)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

    use super::Amount;

    #[test]
    fn quantities_are_read_in_all_their_forms() {
        let read = |text: &str| Amount::parse(&Quantity(text.into())).map(|amount| amount.0);
        for (text, expected) in [
            ("0", 0),
            ("1", 1000),
            ("100m", 100),
            ("0.5", 500),
            (".5", 500),
            ("1.0001", 1001),
            ("1n", 1),
            ("1500u", 2),
            ("2k", 2_000_000),
            ("1Ki", 1_024_000),
            ("1.5Gi", 1_610_612_736_000),
            ("1e3", 1_000_000),
            ("12E-1", 1200),
            ("1E", 1_000_000_000_000_000_000_000),
            ("-1", -1000),
        ] {
            assert_eq!(read(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "x",
            "1x",
            "1.2.3",
            "m",
            "1ee3",
            "99999999999999999999999999999999999999",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
