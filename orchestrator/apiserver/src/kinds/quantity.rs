//! Quantities as far as validation needs them: is it one, and which of two is larger.

use serde_json::Value;

/// Returns the amount of a quantity (`500m`, `1Gi`, `2`, `1e3`), or `None` when it is none.
pub(crate) fn parse(value: &Value) -> Option<f64> {
    if let Some(number) = value.as_f64() {
        return Some(number);
    }
    let text = value.as_str()?;
    let end = text
        .char_indices()
        .find(|(i, c)| !(c.is_ascii_digit() || *c == '.' || (*i == 0 && matches!(c, '+' | '-'))))
        .map_or(text.len(), |(i, _)| i);
    let (number, suffix) = text.split_at(end);
    let number: f64 = number.parse().ok()?;
    let scale = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024.0f64.powi(2),
        "Gi" => 1024.0f64.powi(3),
        "Ti" => 1024.0f64.powi(4),
        "Pi" => 1024.0f64.powi(5),
        "Ei" => 1024.0f64.powi(6),
        exponent => {
            let digits = exponent.strip_prefix(['e', 'E'])?;
            10.0f64.powi(digits.parse::<i32>().ok().filter(|e| e.abs() < 100)?)
        }
    };
    Some(number * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read() {
        for (text, amount) in [
            ("1", Some(1.0)),
            ("500m", Some(0.5)),
            ("1Ki", Some(1024.0)),
            ("1e3", Some(1000.0)),
            ("2E", Some(2e18)),
            ("-1", Some(-1.0)),
            ("", None),
            ("1 Gi", None),
            ("abc", None),
            ("1Zi", None),
        ] {
            assert_eq!(parse(&text.into()), amount, "{text}");
        }
        assert_eq!(parse(&2.into()), Some(2.0));
    }
}
