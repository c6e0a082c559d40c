//! Which strings YAML would read as something else, and how they are quoted.
//!
//! Sources: YAML 1.1 type repository (bool, int, float, timestamp, merge, value), which
//! go-yaml and PyYAML still follow in part, and the YAML 1.2.2 core schema. A string is
//! quoted when either reads it as a non-string.

use super::json;

/// Tells whether `text` is best written as a literal block: several lines, all printable,
/// no line with leading or trailing space that a reader or an editor would lose.
pub(super) fn is_block(text: &str) -> bool {
    let body = text.trim_end_matches('\n');
    if !body.contains('\n') {
        return false;
    }
    !text.starts_with([' ', '\n', '\t'])
        && body.split('\n').all(|line| !line.ends_with([' ', '\t']))
        && text.chars().all(|c| c == '\n' || c == '\t' || printable(c))
        && !body.contains("\n---")
        && !body.contains("\n...")
}

/// Writes a scalar in one line: plain where that is safe, otherwise quoted.
pub(super) fn write(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
    } else if text.chars().all(|c| printable(c) && c != '\u{feff}') && !text.contains('\'') {
        // Double quotes are the familiar form; nothing in the string needs an escape beyond JSON's.
        json::quote(out, text);
    } else {
        double(out, text);
    }
}

/// Double quotes with YAML escapes: JSON's, and `\u` for what a YAML stream may not contain.
fn double(out: &mut String, text: &str) {
    use std::fmt::Write as _;
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if printable(c) && c != '\u{feff}' => out.push(c),
            c if (c as u32) < 0x100 => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if (c as u32) < 0x1_0000 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => {
                let _ = write!(out, "\\U{:08x}", c as u32);
            }
        }
    }
    out.push('"');
}

/// YAML 1.2.2 production `c-printable`, without the line breaks and the next-line characters
/// that YAML 1.1 treats as breaks.
fn printable(c: char) -> bool {
    matches!(c, '\u{20}'..='\u{7e}' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}'
        | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

/// Tells whether `text` may stand without quotes, as a value and as a key.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    if first == b' ' || last == b' ' || last == b':' {
        return false;
    }
    match first {
        b',' | b'[' | b']' | b'{' | b'}' | b'#' | b'&' | b'*' | b'!' | b'|' | b'>' | b'\''
        | b'"' | b'%' | b'@' | b'`' => return false,
        b'-' | b'?' | b':'
            if bytes.get(1).is_none_or(|b| *b == b' ') || text.starts_with("---") =>
        {
            return false;
        }
        b'=' | b'<' if matches!(text, "=" | "<<") => return false,
        b'.' if text.starts_with("...") => return false,
        _ => {}
    }
    let mut before = b' ';
    for (i, &b) in bytes.iter().enumerate() {
        match b {
            0..=0x1f | 0x7f => return false,
            b':' if bytes.get(i + 1).is_none_or(|n| *n == b' ') => return false,
            b'#' if before == b' ' => return false,
            0x80.. => {
                return text.chars().all(|c| printable(c) && c != '\u{feff}')
                    && !text.contains(": ")
                    && !text.contains(" #");
            }
            _ => {}
        }
        before = b;
    }
    !is_word(text) && !is_number(bytes) && !is_timestamp(bytes)
}

/// Null and boolean words of YAML 1.1 and 1.2.
fn is_word(text: &str) -> bool {
    if text.len() > 5 {
        return false;
    }
    const WORDS: [&str; 10] = [
        "null", "true", "false", "yes", "no", "on", "off", "y", "n", "~",
    ];
    WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Integers and floats of YAML 1.1 and 1.2, sexagesimals and special floats included.
fn is_number(text: &[u8]) -> bool {
    let body = match text.first() {
        Some(b'+' | b'-') => &text[1..],
        _ => text,
    };
    let Some(&first) = body.first() else {
        return false;
    };
    if first == b'.' && body.len() == 4 {
        let word = body[1..].to_ascii_lowercase();
        if word == b"inf" || word == b"nan" {
            return true;
        }
    }
    if !first.is_ascii_digit() && first != b'.' {
        return false;
    }
    if first == b'0' && body.len() > 2 {
        let rest = &body[2..];
        let radix = |ok: fn(&u8) -> bool| rest.iter().all(|b| ok(b) || *b == b'_');
        match body[1] {
            b'x' | b'X' if radix(u8::is_ascii_hexdigit) => return true,
            b'o' | b'O' if radix(|b| (b'0'..=b'7').contains(b)) => return true,
            b'b' | b'B' if radix(|b| matches!(b, b'0' | b'1')) => return true,
            _ => {}
        }
    }
    decimal(body) || sexagesimal(body)
}

/// `12`, `1_000`, `1.5`, `.5`, `1.`, `1e3`, `1.5E-7`.
fn decimal(body: &[u8]) -> bool {
    let digits = |from: usize| {
        body[from..]
            .iter()
            .take_while(|b| b.is_ascii_digit() || **b == b'_')
            .count()
    };
    let mut at = digits(0);
    let mut some = body[..at].iter().any(u8::is_ascii_digit);
    if body.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        some |= body[at + 1..at + 1 + fraction]
            .iter()
            .any(u8::is_ascii_digit);
        at += 1 + fraction;
    }
    if !some {
        return false;
    }
    if matches!(body.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(body.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        let exponent = digits(at);
        if exponent == 0 {
            return false;
        }
        at += exponent;
    }
    at == body.len()
}

/// `12:30`, `1:20:30.5` (YAML 1.1 base 60).
fn sexagesimal(body: &[u8]) -> bool {
    body.contains(&b':')
        && body.split(|b| *b == b':').all(|part| {
            !part.is_empty()
                && part
                    .iter()
                    .all(|b| b.is_ascii_digit() || matches!(b, b'_' | b'.'))
        })
}

/// `2026-01-31` and everything that goes on from there as a time.
fn is_timestamp(text: &[u8]) -> bool {
    let digits = |from: usize| {
        text[from.min(text.len())..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    if digits(0) != 4 || text.get(4) != Some(&b'-') {
        return false;
    }
    let month = digits(5);
    if !(1..=2).contains(&month) || text.get(5 + month) != Some(&b'-') {
        return false;
    }
    let from = 6 + month;
    let day = digits(from);
    (1..=2).contains(&day)
        && text
            .get(from + day)
            .is_none_or(|b| matches!(b, b'T' | b't' | b' ' | b'\t'))
}
