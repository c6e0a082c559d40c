//! Text to tokens (cel-spec, doc/langdef.md, "Syntax").

use std::sync::Arc;

use crate::error::CompileError;
use crate::value::Value;

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Token {
    Name(Arc<str>),
    /// A field's name between backquotes.
    Quoted(Arc<str>),
    Literal(Value),
    /// An operator or bracket.
    Sign(&'static str),
    End,
}

/// Longer ones first.
const SIGNS: [&str; 30] = [
    "&&", "||", "==", "!=", "<=", ">=", ".?", "[?", "{?", "+", "-", "*", "/", "%", "!", "<", ">",
    "(", ")", "[", "]", "{", "}", ".", ",", "?", ":", "=", "&", "|",
];

/// Reads all tokens with their offsets; the last one is [`Token::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, CompileError> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if c.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let (token, length) = if let Some(found) = string(rest, at)? {
            found
        } else if c.is_ascii_digit()
            || c == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())
        {
            number(rest, at)?
        } else if c.is_ascii_alphabetic() || c == '_' {
            let length = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            let token = match &rest[..length] {
                "true" => Token::Literal(Value::Bool(true)),
                "false" => Token::Literal(Value::Bool(false)),
                "null" => Token::Literal(Value::Null),
                "in" => Token::Sign("in"),
                name => Token::Name(name.into()),
            };
            (token, length)
        } else if c == '`' {
            let Some(end) = rest[1..].find('`') else {
                return Err(CompileError::new(at, "a backquote has no end"));
            };
            (Token::Quoted(rest[1..=end].into()), end + 2)
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            (Token::Sign(sign), sign.len())
        } else {
            return Err(CompileError::new(at, format!("`{c}` means nothing here")));
        };
        out.push((token, at));
        at += length;
    }
    out.push((Token::End, text.len()));
    Ok(out)
}

fn number(rest: &str, at: usize) -> Result<(Token, usize), CompileError> {
    let bytes = rest.as_bytes();
    let wrong = |what: &str| CompileError::new(at, format!("this number is too large for {what}"));
    if rest.starts_with("0x") || rest.starts_with("0X") {
        let digits = bytes[2..]
            .iter()
            .take_while(|b| b.is_ascii_hexdigit())
            .count();
        let text = &rest[2..2 + digits];
        return match bytes.get(2 + digits) {
            Some(b'u' | b'U') => {
                let n = u64::from_str_radix(text, 16).map_err(|_| wrong("uint"))?;
                Ok((Token::Literal(Value::Uint(n)), 3 + digits))
            }
            _ => {
                let n = i64::from_str_radix(text, 16).map_err(|_| wrong("int"))?;
                Ok((Token::Literal(Value::Int(n)), 2 + digits))
            }
        };
    }
    let digits = |from: usize| {
        bytes[from.min(bytes.len())..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let mut length = digits(0);
    let mut is_double = false;
    if bytes.get(length) == Some(&b'.') && digits(length + 1) > 0 {
        is_double = true;
        length += 1 + digits(length + 1);
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let exponent = digits(length + 1 + sign);
        if exponent > 0 {
            is_double = true;
            length += 1 + sign + exponent;
        }
    }
    let text = &rest[..length];
    if is_double {
        let value = text
            .parse()
            .map_err(|_| CompileError::new(at, "this is no number"))?;
        return Ok((Token::Literal(Value::Double(value)), length));
    }
    if matches!(bytes.get(length), Some(b'u' | b'U')) {
        let value = text.parse().map_err(|_| wrong("uint"))?;
        return Ok((Token::Literal(Value::Uint(value)), length + 1));
    }
    match text.parse::<u64>() {
        Ok(n) => match i64::try_from(n) {
            Ok(n) => Ok((Token::Literal(Value::Int(n)), length)),
            // The smallest integer is written with a minus in front.
            Err(_) if n == i64::MIN.unsigned_abs() => Ok((Token::Literal(Value::Uint(n)), length)),
            Err(_) => Err(wrong("int")),
        },
        Err(_) => Err(wrong("int")),
    }
}

/// A string or bytes literal, when one begins here.
fn string(rest: &str, at: usize) -> Result<Option<(Token, usize)>, CompileError> {
    let prefix = rest
        .bytes()
        .take_while(|b| matches!(b, b'r' | b'R' | b'b' | b'B'))
        .count();
    if prefix > 2 {
        return Ok(None);
    }
    let flags = rest[..prefix].to_ascii_lowercase();
    let body = &rest[prefix..];
    let Some(quote) = ["\"\"\"", "'''", "\"", "'"]
        .into_iter()
        .find(|q| body.starts_with(q))
    else {
        return Ok(None);
    };
    let (is_raw, is_bytes) = (flags.contains('r'), flags.contains('b'));
    let mut out: Vec<u8> = Vec::new();
    let mut inner = quote.len();
    loop {
        let tail = &body[inner..];
        if tail.starts_with(quote) {
            inner += quote.len();
            break;
        }
        let Some(c) = tail.chars().next() else {
            return Err(CompileError::new(at, "a string has no end"));
        };
        if (c == '\n' || c == '\r') && quote.len() == 1 {
            return Err(CompileError::new(at, "a string has no end on its line"));
        }
        if c != '\\' || is_raw {
            out.extend_from_slice(&tail.as_bytes()[..c.len_utf8()]);
            inner += c.len_utf8();
            // In a raw string the quote after a backslash is still part of it.
            if c == '\\' && tail[1..].starts_with(['"', '\'']) {
                out.push(tail.as_bytes()[1]);
                inner += 1;
            }
            continue;
        }
        let (bytes, length) = escape(tail, is_bytes)
            .ok_or_else(|| CompileError::new(at + prefix + inner, "there is no such escape"))?;
        out.extend(bytes);
        inner += length;
    }
    let value = match is_bytes {
        true => Value::bytes(out),
        false => match String::from_utf8(out) {
            Ok(text) => Value::string(text),
            Err(_) => return Err(CompileError::new(at, "the string is not UTF-8")),
        },
    };
    Ok(Some((Token::Literal(value), prefix + inner)))
}

/// What an escape stands for, and how long it is.
fn escape(tail: &str, is_bytes: bool) -> Option<(Vec<u8>, usize)> {
    let code =
        |digits: std::ops::Range<usize>, radix| u32::from_str_radix(tail.get(digits)?, radix).ok();
    let character = |code: u32| {
        let mut buffer = [0; 4];
        Some(
            char::from_u32(code)?
                .encode_utf8(&mut buffer)
                .as_bytes()
                .to_vec(),
        )
    };
    let byte_or_character = |code: u32| match is_bytes {
        true => Some(vec![u8::try_from(code).ok()?]),
        false => character(code),
    };
    Some(match tail.as_bytes().get(1)? {
        b'a' => (vec![7], 2),
        b'b' => (vec![8], 2),
        b'f' => (vec![12], 2),
        b'n' => (vec![b'\n'], 2),
        b'r' => (vec![b'\r'], 2),
        b't' => (vec![b'\t'], 2),
        b'v' => (vec![11], 2),
        same @ (b'\\' | b'?' | b'"' | b'\'' | b'`') => (vec![*same], 2),
        b'x' | b'X' => (byte_or_character(code(2..4, 16)?)?, 4),
        b'u' if !is_bytes => (character(code(2..6, 16)?)?, 6),
        b'U' if !is_bytes => (character(code(2..10, 16)?)?, 10),
        b'0'..=b'3' => (byte_or_character(code(1..4, 8)?)?, 4),
        _ => return None,
    })
}
