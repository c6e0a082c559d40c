//! What the characters of a literal mean: escapes, text blocks, numbers and units.

use crate::ast::UnitClass;

/// What is wrong in a literal, with its byte offset from the literal's start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BadLiteral {
    /// `\q`.
    Escape,
    /// `\u{110000}`, `\ud800`.
    Unicode,
}

/// Resolves the escapes of a piece of string text; tells `bad` where one is wrong.
pub(crate) fn unescape(text: &str, mut bad: impl FnMut(usize, usize, BadLiteral)) -> Box<str> {
    if !text.contains('\\') {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let start = text.len() - rest.len() + at;
        rest = &rest[at + 1..];
        let mut chars = rest.chars();
        let escape = chars.next();
        let simple = match escape {
            Some('n') => Some('\n'),
            Some('t') => Some('\t'),
            Some('r') => Some('\r'),
            Some('b') => Some('\u{8}'),
            Some('f') => Some('\u{c}'),
            Some('0') => Some('\0'),
            Some(same @ ('"' | '\\' | '/' | '{' | '}' | '$')) => Some(same),
            _ => None,
        };
        if let Some(simple) = simple {
            out.push(simple);
            rest = chars.as_str();
        } else if escape == Some('u') {
            let (value, used) = unicode(chars.as_str());
            rest = &chars.as_str()[used..];
            match value {
                Some(value) => out.push(value),
                None => bad(start, text.len() - rest.len(), BadLiteral::Unicode),
            }
        } else {
            rest = chars.as_str();
            bad(start, text.len() - rest.len(), BadLiteral::Escape);
        }
    }
    out.push_str(rest);
    out.into()
}

/// Reads what follows `\u`: `{1F600}`, or four digits as in JSON, with surrogate pairs.
fn unicode(text: &str) -> (Option<char>, usize) {
    if let Some(braced) = text.strip_prefix('{') {
        let Some(end) = braced.find('}') else {
            return (None, 1);
        };
        let value = u32::from_str_radix(&braced[..end], 16)
            .ok()
            .and_then(char::from_u32);
        return (value, end + 2);
    }
    let four = |text: &str| {
        text.get(..4)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
    };
    let Some(high) = four(text) else {
        return (None, 0);
    };
    if !(0xd800..0xdc00).contains(&high) {
        return (char::from_u32(high), 4);
    }
    match text[4..].strip_prefix("\\u").and_then(four) {
        Some(low) if (0xdc00..0xe000).contains(&low) => (
            char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)),
            10,
        ),
        _ => (None, 4),
    }
}

/// How much indentation a text block loses, in bytes: what all its lines that are not blank begin with, and the line of
/// the closing quotes when they stand alone. A tab is no space: lines that begin differently lose what they share.
/// `pieces` are the raw texts between interpolations; an interpolation counts as text.
pub(crate) fn block_indent(pieces: &[Option<&str>]) -> usize {
    let mut lines: Vec<&[u8]> = Vec::new();
    for text in pieces.iter().flatten() {
        let mut parts = text.split('\n');
        // What stands before the first line end goes on a line that began earlier.
        parts.next();
        let parts: Vec<&str> = parts.collect();
        for (at, line) in parts.iter().enumerate() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            let white = line
                .bytes()
                .take_while(|byte| matches!(byte, b' ' | b'\t'))
                .count();
            let ends_piece = at + 1 == parts.len();
            // The end of a piece is followed by an expression, or by the closing quotes.
            if white < line.len() || ends_piece {
                lines.push(&line.as_bytes()[..white]);
            }
        }
    }
    let Some((first, others)) = lines.split_first() else {
        return 0;
    };
    others.iter().fold(first.len(), |len, line| {
        let shared = first[..len].iter().zip(*line);
        shared.take_while(|(a, b)| a == b).count()
    })
}

/// Takes `indent` bytes of white space from the beginning of every line of a piece, makes line
/// ends `\n`, and drops the first line end when the piece is the block's first.
pub(crate) fn strip_block(text: &str, indent: usize, is_first: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for (nth, line) in text.split('\n').enumerate() {
        if nth == 0 {
            let line = line.strip_suffix('\r').unwrap_or(line);
            // The rest of the opening quotes' line: nothing but white space, as a rule.
            out.push_str(
                if is_first && text.contains('\n') && line.trim().is_empty() {
                    ""
                } else {
                    line
                },
            );
            continue;
        }
        if nth > 1 || !is_first || !out.is_empty() {
            out.push('\n');
        }
        let line = line.strip_suffix('\r').unwrap_or(line);
        let white = line
            .bytes()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        out.push_str(&line[white.min(indent)..]);
    }
    out
}

/// Reads an integer literal. `None` when it does not fit 64 bits.
pub(crate) fn int(text: &str) -> Option<i64> {
    if !text.contains('_') && !text.starts_with('0') {
        return text.parse().ok();
    }
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    match digits.get(..2) {
        Some("0x") => i64::from_str_radix(&digits[2..], 16).ok(),
        Some("0o") => i64::from_str_radix(&digits[2..], 8).ok(),
        Some("0b") => i64::from_str_radix(&digits[2..], 2).ok(),
        _ => digits.parse().ok(),
    }
}

/// Whether an integer begins with a zero, as YAML and shells write octal numbers (`0644`).
pub(crate) fn looks_octal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    digits.len() > 1 && digits[0] == b'0' && digits[1].is_ascii_digit()
}

/// Reads a float literal. `None` when it is not finite.
pub(crate) fn float(text: &str) -> Option<f64> {
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    digits.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Units of quantities, as in apimachinery's `resource.Quantity`.
const QUANTITY: [&str; 15] = [
    "n", "u", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "m",
];
/// Units of durations, as in Go's `time.ParseDuration`, and days.
const DURATION: [&str; 7] = ["ns", "us", "ms", "s", "m", "h", "d"];

/// Says which kind of unit literal a text is; the error is the unit that nobody knows.
pub(crate) fn unit(text: &str) -> Result<UnitClass, &str> {
    let mut parts = 0;
    let mut rest = text;
    let mut class = UnitClass::Duration;
    while !rest.is_empty() {
        let number = rest
            .char_indices()
            .find(|(at, c)| {
                // `1e3Mi` is no Quantity, but `12E` is: an exponent has digits behind it.
                !(c.is_ascii_digit()
                    || matches!(c, '.' | '_')
                    || (matches!(c, 'e' | 'E')
                        && rest[at + 1..].starts_with(|next: char| next.is_ascii_digit())))
            })
            .map_or(rest.len(), |(at, _)| at);
        let unit = rest[number..]
            .find(|c: char| c.is_ascii_digit())
            .map_or(rest.len(), |at| number + at);
        let name = &rest[number..unit];
        parts += 1;
        rest = &rest[unit..];
        let is_duration = DURATION.contains(&name);
        if parts == 1 && rest.is_empty() {
            return match (QUANTITY.contains(&name), is_duration) {
                (true, true) => Ok(UnitClass::Either),
                (true, false) => Ok(UnitClass::Quantity),
                (false, true) => Ok(UnitClass::Duration),
                (false, false) => Err(name),
            };
        }
        if !is_duration {
            return Err(name);
        }
        class = UnitClass::Duration;
    }
    Ok(class)
}

/// Units a writer may have meant by one that nobody knows.
pub(crate) fn suggest_unit(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "MB" | "Mb" | "mb" | "MiB" | "mi" | "MI" => "Mi",
        "GB" | "Gb" | "gb" | "GiB" | "gi" | "GI" | "g" => "Gi",
        "KB" | "Kb" | "kb" | "KiB" | "ki" | "KI" | "K" => "Ki",
        "TB" | "Tb" | "tb" | "TiB" | "ti" | "TI" => "Ti",
        "sec" | "secs" | "second" | "seconds" => "s",
        "min" | "mins" | "minute" | "minutes" => "m",
        "hr" | "hour" | "hours" => "h",
        "day" | "days" => "d",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        let plain = |text| unescape(text, |_, _, bad| panic!("{bad:?}"));
        assert_eq!(&*plain(r#"a\n\t\"\\\{x\}\/"#), "a\n\t\"\\{x}/");
        assert_eq!(&*plain(r"\u00e4\u{1F600}\ud83d\ude00"), "ä😀😀");
        let mut found = Vec::new();
        unescape(r"a\q\ud800\u{zz}", |start, end, bad| {
            found.push((start, end, bad))
        });
        assert_eq!(
            found,
            [
                (1, 3, BadLiteral::Escape),
                (3, 9, BadLiteral::Unicode),
                (9, 15, BadLiteral::Unicode)
            ]
        );
    }

    #[test]
    fn units() {
        assert_eq!(unit("500m"), Ok(UnitClass::Either));
        assert_eq!(unit("256Mi"), Ok(UnitClass::Quantity));
        assert_eq!(unit("1.5Gi"), Ok(UnitClass::Quantity));
        assert_eq!(unit("12E"), Ok(UnitClass::Quantity));
        assert_eq!(unit("30s"), Ok(UnitClass::Duration));
        assert_eq!(unit("1h30m"), Ok(UnitClass::Duration));
        assert_eq!(unit("5MB"), Err("MB"));
        assert_eq!(unit("1Mi5s"), Err("Mi"));
    }

    #[test]
    fn blocks_lose_their_indentation() {
        let check = |raw: &str| {
            let indent = block_indent(&[Some(raw)]);
            strip_block(raw, indent, true)
        };
        assert_eq!(check("\n    a\n      b\n    "), "a\n  b\n");
        assert_eq!(check("\n    a\n\n    b"), "a\n\nb");
        assert_eq!(check("one"), "one");
        assert_eq!(check("\r\n  a\r\n  "), "a\n");
    }
}
