//! Strings, regular expressions, and Kubernetes' named formats
//! (cel-go/ext/strings.go, k8s.io/apiserver/pkg/cel/library/regex.go and format.go).

use regex::{Regex, RegexBuilder};

use crate::error::EvalError;
use crate::eval::{Machine, Result};
use crate::value::Value;

/// How large a compiled regular expression may be.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// Compiles a regular expression.
pub(crate) fn regex(text: &str) -> std::result::Result<Regex, String> {
    RegexBuilder::new(text)
        .size_limit(MAX_REGEX_BYTES)
        .build()
        .map_err(|error| {
            let why = error.to_string();
            let why = why
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ");
            format!("/{text}/ is no regular expression: {why}")
        })
}

/// Standard base64, with or without its padding; none when the text is something else.
#[must_use]
pub fn base64(text: &str) -> Option<Vec<u8>> {
    let body = text.trim_end_matches('=');
    if text.len() - body.len() > 2 || body.len() % 4 == 1 {
        return None;
    }
    let (mut bits, mut count, mut out) = (0u32, 0, Vec::with_capacity(body.len() * 3 / 4));
    for b in body.bytes() {
        let six = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(out)
}

fn int(n: usize) -> Value {
    Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

pub(super) fn call(
    machine: &mut Machine<'_>,
    name: &str,
    args: &[Value],
    known: Option<&Regex>,
) -> Option<Result> {
    Some(match (name, args) {
        ("string", [value]) => string_of(value)?,
        ("bytes", [Value::String(text)]) => Ok(Value::bytes(text.as_bytes())),
        ("bytes", [Value::Bytes(bytes)]) => Ok(Value::Bytes(bytes.clone())),
        ("contains", [Value::String(text), Value::String(part)]) => {
            Ok(Value::Bool(text.contains(&**part)))
        }
        ("startsWith", [Value::String(text), Value::String(part)]) => {
            Ok(Value::Bool(text.starts_with(&**part)))
        }
        ("endsWith", [Value::String(text), Value::String(part)]) => {
            Ok(Value::Bool(text.ends_with(&**part)))
        }
        (
            "matches" | "find" | "findAll",
            [Value::String(text), Value::String(pattern), rest @ ..],
        ) => {
            let made;
            let regex = match known {
                Some(regex) => regex,
                None => {
                    // Compiling is dear.
                    if let Err(error) = machine.charge(100 + pattern.len() as u64 * 10) {
                        return Some(Err(error));
                    }
                    made = match regex(pattern) {
                        Ok(regex) => regex,
                        Err(why) => return Some(Err(EvalError::new(why))),
                    };
                    &made
                }
            };
            if let Err(error) =
                machine.charge((text.len() as u64 + 1) * (pattern.len() as u64 / 4 + 1) / 10)
            {
                return Some(Err(error));
            }
            match (name, rest) {
                ("matches", []) => Ok(Value::Bool(regex.is_match(text))),
                ("find", []) => Ok(Value::string(regex.find(text).map_or("", |m| m.as_str()))),
                ("findAll", []) => Ok(Value::list(
                    regex.find_iter(text).map(|m| Value::string(m.as_str())),
                )),
                ("findAll", [Value::Int(most)]) => {
                    let most = usize::try_from(*most).unwrap_or(usize::MAX);
                    Ok(Value::list(
                        regex
                            .find_iter(text)
                            .take(most)
                            .map(|m| Value::string(m.as_str())),
                    ))
                }
                _ => return None,
            }
        }
        ("lowerAscii", [Value::String(text)]) => Ok(Value::string(text.to_ascii_lowercase())),
        ("upperAscii", [Value::String(text)]) => Ok(Value::string(text.to_ascii_uppercase())),
        ("trim", [Value::String(text)]) => Ok(Value::string(text.trim())),
        ("reverse", [Value::String(text)]) => {
            Ok(Value::string(text.chars().rev().collect::<String>()))
        }
        ("strings.quote", [Value::String(text)]) => Ok(Value::string(format!("{:?}", &**text))),
        ("charAt", [Value::String(text), Value::Int(at)]) => {
            let length = text.chars().count();
            match usize::try_from(*at).ok().filter(|at| *at <= length) {
                Some(at) => Ok(Value::string(
                    text.chars().nth(at).map(String::from).unwrap_or_default(),
                )),
                None => Err(out_of_range(*at)),
            }
        }
        ("indexOf" | "lastIndexOf", [Value::String(text), Value::String(part), rest @ ..]) => {
            position(name == "lastIndexOf", text, part, rest)?
        }
        ("substring", [Value::String(text), Value::Int(from), rest @ ..]) => {
            let characters: Vec<char> = text.chars().collect();
            let to = match rest {
                [] => characters.len() as i64,
                [Value::Int(to)] => *to,
                _ => return None,
            };
            match (usize::try_from(*from), usize::try_from(to)) {
                (Ok(from), Ok(to)) if from <= to && to <= characters.len() => Ok(Value::string(
                    characters[from..to].iter().collect::<String>(),
                )),
                _ => Err(out_of_range(*from)),
            }
        }
        (
            "replace",
            [
                Value::String(text),
                Value::String(old),
                Value::String(new),
                rest @ ..,
            ],
        ) => {
            let most = match rest {
                [] => usize::MAX,
                [Value::Int(n)] => usize::try_from(*n).unwrap_or(usize::MAX),
                _ => return None,
            };
            let most_found = most.min(if old.is_empty() {
                text.chars().count() + 1
            } else {
                text.len() / old.len()
            });
            if let Err(error) =
                machine.charge((most_found as u64).saturating_mul(new.len() as u64) / 10)
            {
                return Some(Err(error));
            }
            Ok(Value::string(text.replacen(&**old, new, most)))
        }
        ("split", [Value::String(text), Value::String(by), rest @ ..]) => {
            let most = match rest {
                [] => -1,
                [Value::Int(n)] => *n,
                _ => return None,
            };
            if let Err(error) = machine.charge(text.len() as u64) {
                return Some(Err(error));
            }
            Ok(Value::list(
                split(text, by, most).into_iter().map(Value::string),
            ))
        }
        ("join", [Value::List(items), rest @ ..]) => {
            let by: &str = match rest {
                [] => "",
                [Value::String(by)] => by,
                _ => return None,
            };
            let mut out = String::new();
            for (at, item) in items.iter().enumerate() {
                let Value::String(text) = item else {
                    return None;
                };
                if let Err(error) = machine.charge((text.len() + by.len()) as u64 / 10) {
                    return Some(Err(error));
                }
                if at > 0 {
                    out.push_str(by);
                }
                out.push_str(text);
            }
            Ok(Value::string(out))
        }
        ("format", [Value::String(text), Value::List(values)]) => format(machine, text, values),
        ("format.named", [Value::String(wanted)]) => {
            let found = FORMATS.iter().find(|f| ***f == **wanted);
            Ok(found.map_or(Value::Optional(None), |f| Value::some(Value::Format(f))))
        }
        (name, []) if name.starts_with("format.") => {
            let found = FORMATS.iter().find(|f| ***f == name["format.".len()..]);
            Ok(Value::Format(found?))
        }
        ("validate", [Value::Format(format), Value::String(text)]) => {
            Ok(match format_fault(format, text) {
                None => Value::Optional(None),
                Some(why) => Value::some(Value::list([Value::string(why)])),
            })
        }
        _ => return None,
    })
}

fn out_of_range(at: i64) -> EvalError {
    EvalError::new(format!("index out of range: {at}"))
}

fn string_of(value: &Value) -> Option<Result> {
    Some(Ok(match value {
        Value::String(_) => value.clone(),
        Value::Double(d) => Value::string(d.to_string()),
        Value::Uint(n) => Value::string(n.to_string()),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::string(text),
            Err(_) => return Some(Err(EvalError::new("the bytes are not UTF-8"))),
        },
        Value::Bool(_)
        | Value::Int(_)
        | Value::Timestamp(_)
        | Value::Duration(_)
        | Value::Ip(_)
        | Value::Cidr(..)
        | Value::Url(_) => Value::string(format!("{value:?}")),
        _ => return None,
    }))
}

/// Where a part is, counted in characters; -1 when it is nowhere.
fn position(last: bool, text: &str, part: &str, rest: &[Value]) -> Option<Result> {
    let count = |bytes: usize| int(text[..bytes].chars().count());
    let from = match rest {
        [] => None,
        [Value::Int(at)] => Some(*at),
        _ => return None,
    };
    let length = text.chars().count();
    let byte = match from {
        None => None,
        Some(at) => match usize::try_from(at).ok().filter(|at| *at <= length) {
            Some(at) => Some(
                text.char_indices()
                    .nth(at)
                    .map_or(text.len(), |(byte, _)| byte),
            ),
            None => return Some(Err(out_of_range(at))),
        },
    };
    let found = match (last, byte) {
        (false, None) => text.find(part),
        (false, Some(byte)) => text[byte..].find(part).map(|at| at + byte),
        (true, None) => text.rfind(part),
        (true, Some(byte)) => {
            // It may begin at the place, and reach beyond it.
            let end = (byte..=text.len())
                .find(|end| *end >= byte + part.len() && text.is_char_boundary(*end));
            text[..end.unwrap_or(text.len())].rfind(part)
        }
    };
    Some(Ok(found.map_or(Value::Int(-1), count)))
}

fn split(text: &str, by: &str, most: i64) -> Vec<String> {
    if most == 0 {
        return Vec::new();
    }
    let pieces: Vec<String> = match by.is_empty() {
        true => text.chars().map(String::from).collect(),
        false => text.split(by).map(str::to_owned).collect(),
    };
    match usize::try_from(most) {
        Ok(most) if pieces.len() > most => {
            let mut kept = pieces[..most - 1].to_vec();
            kept.push(pieces[most - 1..].join(by));
            kept
        }
        _ => pieces,
    }
}

/// `"%s has %d".format([name, count])`
fn format(machine: &mut Machine<'_>, text: &str, values: &[Value]) -> Result {
    /// Digits after the point that anybody asks for.
    const MAX_PRECISION: usize = 100;
    let mut out = String::new();
    let mut values = values.iter();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let mut precision = None;
        if let Some(digits) = rest.strip_prefix('.') {
            let length = digits.bytes().take_while(u8::is_ascii_digit).count();
            precision = digits[..length]
                .parse::<usize>()
                .ok()
                .map(|p| p.min(MAX_PRECISION));
            rest = &digits[length..];
        }
        let Some(verb) = rest.chars().next() else {
            return Err(EvalError::new("`%` stands at the end of the format"));
        };
        rest = &rest[verb.len_utf8()..];
        if verb == '%' {
            out.push('%');
            continue;
        }
        let value = values
            .next()
            .ok_or_else(|| EvalError::new("the format has more places than values"))?;
        machine.charge(value.weight())?;
        let number = match value {
            Value::Int(n) => Some(*n as f64),
            Value::Uint(n) => Some(*n as f64),
            Value::Double(d) => Some(*d),
            _ => None,
        };
        match (verb, value) {
            ('s', Value::String(text)) => out.push_str(text),
            ('s', value) => out.push_str(&format!("{value:?}").replace('"', "")),
            ('d', Value::Int(n)) => out.push_str(&n.to_string()),
            ('d', Value::Uint(n)) => out.push_str(&n.to_string()),
            ('f', _) if number.is_some() => {
                let (precision, number) = (precision.unwrap_or(6), number.unwrap_or(0.0));
                out.push_str(&format!("{number:.precision$}"));
            }
            ('e', _) if number.is_some() => {
                let (precision, number) = (precision.unwrap_or(6), number.unwrap_or(0.0));
                out.push_str(&format!("{number:.precision$e}"));
            }
            ('b', Value::Int(n)) => out.push_str(&format!("{n:b}")),
            ('b', Value::Bool(b)) => out.push_str(if *b { "1" } else { "0" }),
            ('o', Value::Int(n)) => out.push_str(&format!("{n:o}")),
            ('x', Value::Int(n)) => out.push_str(&format!("{n:x}")),
            ('X', Value::Int(n)) => out.push_str(&format!("{n:X}")),
            ('x', Value::String(text)) => {
                text.bytes().for_each(|b| out.push_str(&format!("{b:02x}")))
            }
            ('X', Value::String(text)) => {
                text.bytes().for_each(|b| out.push_str(&format!("{b:02X}")))
            }
            _ => {
                return Err(EvalError::new(format!(
                    "`%{verb}` does not take {}",
                    value.type_name()
                )));
            }
        }
    }
    out.push_str(rest);
    Ok(Value::string(out))
}

/// The named formats.
const FORMATS: [&str; 13] = [
    "dns1123Label",
    "dns1123Subdomain",
    "dns1035Label",
    "qualifiedName",
    "dns1123LabelPrefix",
    "dns1123SubdomainPrefix",
    "dns1035LabelPrefix",
    "labelValue",
    "uri",
    "uuid",
    "byte",
    "date",
    "datetime",
];

fn format_fault(format: &str, text: &str) -> Option<String> {
    let label = |text: &str, most: usize| {
        (1..=most).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-')
    };
    let subdomain = |text: &str| text.len() <= 253 && text.split('.').all(|part| label(part, 253));
    let letter = |text: &str| text.starts_with(|c: char| c.is_ascii_lowercase());
    let name = |text: &str| {
        let edge = |c: char| c.is_ascii_alphanumeric();
        (1..=63).contains(&text.len())
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            && text.starts_with(edge)
            && text.ends_with(edge)
    };
    // A prefix may end where a generated name goes on.
    let prefix = text.strip_suffix('-').unwrap_or(text);
    let good = match format {
        "dns1123Label" => label(text, 63),
        "dns1123Subdomain" => subdomain(text),
        "dns1035Label" => label(text, 63) && letter(text),
        "dns1123LabelPrefix" => label(prefix, 63),
        "dns1123SubdomainPrefix" => subdomain(prefix),
        "dns1035LabelPrefix" => label(prefix, 63) && letter(prefix),
        "qualifiedName" => match text.split_once('/') {
            Some((front, back)) => subdomain(front) && name(back),
            None => name(text),
        },
        "labelValue" => text.is_empty() || name(text),
        "uri" => text.starts_with('/') || super::network::parse_url(text).is_some(),
        "uuid" => {
            let groups: Vec<usize> = text.split('-').map(str::len).collect();
            groups == [8, 4, 4, 4, 12] && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
        }
        "byte" => base64(text).is_some(),
        "date" => text.parse::<super::time::Date>().is_ok(),
        "datetime" => super::time::timestamp(text).is_some(),
        _ => true,
    };
    (!good).then(|| format!("{text:?} is no {format}"))
}
