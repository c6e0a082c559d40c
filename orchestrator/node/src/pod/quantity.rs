//! Reads Kubernetes quantities (`100m`, `1.5Gi`, `2e3`) as exact thousandths.

/// Returns a quantity in thousandths, rounded up, or `None` when the text is not one.
/// Syntax: apimachinery pkg/api/resource/quantity.go.
pub fn milli(text: &str) -> Option<i128> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-')));
    let (number, suffix) = text.split_at(end.unwrap_or(text.len()));
    let (numerator, denominator): (i128, i128) = match suffix {
        "" => (1, 1),
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1000),
        "k" => (1000, 1),
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
        other => {
            let exponent: i32 = other.strip_prefix(['e', 'E'])?.parse().ok()?;
            let power = 10i128.checked_pow(exponent.unsigned_abs())?;
            if exponent < 0 { (1, power) } else { (power, 1) }
        }
    };
    let negative = number.starts_with('-');
    let digits = number.trim_start_matches(['+', '-']);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && part.is_empty() {
        return None;
    }
    let scale = 10i128.checked_pow(u32::try_from(part.len()).ok()?)?;
    let value: i128 = format!("{whole}{part}").parse().ok()?;
    let top = value.checked_mul(1000)?.checked_mul(numerator)?;
    let bottom = scale.checked_mul(denominator)?;
    let rounded = (top + bottom - 1).div_euclid(bottom);
    Some(if negative { -rounded } else { rounded })
}

/// Returns a quantity in whole units, rounded up.
pub fn units(text: &str) -> Option<i64> {
    let milli = milli(text)?;
    i64::try_from((milli + 999).div_euclid(1000)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_exactly() {
        for (text, expect) in [
            ("0", Some(0)),
            ("100m", Some(100)),
            ("1", Some(1000)),
            ("1.5", Some(1500)),
            ("0.0001", Some(1)),
            ("1Ki", Some(1_024_000)),
            ("1.5Gi", Some(1_610_612_736_000)),
            ("2e3", Some(2_000_000)),
            ("1E", Some(1_000_000_000_000_000_000_000)),
            (".5", Some(500)),
            ("-1", Some(-1000)),
            ("", None),
            ("x", None),
            ("1Q", None),
            ("1e99", None),
        ] {
            assert_eq!(milli(text), expect, "{text}");
        }
        assert_eq!(units("1500m"), Some(2));
    }
}
