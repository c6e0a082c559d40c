//! Kubernetes quantities as numbers (apimachinery `pkg/api/resource/quantity.go`), for comparing and adding them.

/// Suffixes and what they multiply by, in thousandths.
const SUFFIXES: [(&str, i128); 14] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("Ei", 1 << 60),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000),
    ("m", 0),
    ("", 1),
];

/// Reads a quantity in thousandths; `None` when it is none, or is written with an exponent.
pub(super) fn parse(text: &str) -> Option<i128> {
    let (suffix, factor) = SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix))?;
    let number = text.strip_suffix(suffix)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 18 || !digits(whole) || !digits(part) {
        return None;
    }
    let thousandths: i128 = format!("{part:0<3}")[..3].parse().ok()?;
    let value = whole.parse::<i128>().ok()? * 1000 + thousandths;
    Some(match factor {
        0 => value / 1000,
        factor => value * factor,
    })
}

/// Writes thousandths for people: cores in `m` or whole, bytes in the largest whole binary unit.
pub(super) fn show(value: i128, is_bytes: bool) -> String {
    if !is_bytes {
        return match value % 1000 {
            0 => (value / 1000).to_string(),
            _ => format!("{value}m"),
        };
    }
    let bytes = value / 1000;
    let unit = [("Gi", 30), ("Mi", 20), ("Ki", 10)];
    let fits = unit
        .iter()
        .find(|(_, bits)| bytes > 0 && bytes % (1 << bits) == 0);
    match fits {
        Some((unit, bits)) => format!("{}{unit}", bytes >> bits),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_and_shown() {
        assert_eq!(parse("100m"), Some(100));
        assert_eq!(parse("1.5"), Some(1500));
        assert_eq!(parse("2Gi"), Some(2048 * 1024 * 1024 * 1000));
        assert_eq!(parse("1k"), Some(1_000_000));
        assert_eq!(parse("1e3"), None);
        assert_eq!(parse("x"), None);
        assert_eq!(show(1500, false), "1500m");
        assert_eq!(show(parse("3Gi").expect("a quantity"), true), "3Gi");
    }
}
