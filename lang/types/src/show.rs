//! Types as text, the way a person would write them.

use std::fmt::Write as _;

use crate::extra::Extra;
use crate::ty::{IntRange, LenRange, Literal, StringRule, Ty, TyKind, Types};

/// How many members of an enum are written before `…`.
const SHOWN_MEMBERS: usize = 8;

/// A type as written in a source: `Int(1..=100)`, `List<k8s.Container>`, `"dev" | "prod"`.
#[must_use]
pub fn show(types: &Types, ty: Ty) -> String {
    let mut out = String::new();
    write(types, ty, &mut out);
    out
}

fn write(types: &Types, ty: Ty, out: &mut String) {
    match types.extra(ty) {
        Some(Extra::Named(name)) => return out.push_str(name),
        Some(extra) => {
            let mut base = String::new();
            write(types, types.without_extra(ty), &mut base);
            // `Int(1..=10, multiple = 2)`: one pair of parentheses.
            match base.strip_suffix(')').filter(|_| !base.starts_with('(')) {
                Some(open) => out.push_str(&format!("{open}, {})", extra.show())),
                None => out.push_str(&format!("{base}({})", extra.show())),
            }
            return;
        }
        None => {}
    }
    match types.kind(ty) {
        TyKind::Error => out.push_str("an unknown type"),
        TyKind::Any => out.push_str("Any"),
        TyKind::Never => out.push_str("Nothing"),
        TyKind::Null => out.push_str("null"),
        TyKind::Bool => out.push_str("Bool"),
        TyKind::Int(range) => int(*range, out),
        TyKind::Float(range) => {
            out.push_str("Float");
            if range.min() > f64::NEG_INFINITY || range.max() < f64::INFINITY {
                let _ = write!(out, "({}..={})", range.min(), range.max());
            }
        }
        TyKind::String(rule) => string(rule, out),
        TyKind::Quantity => out.push_str("Quantity"),
        TyKind::Duration => out.push_str("Duration"),
        TyKind::Time => out.push_str("Time"),
        TyKind::MicroTime => out.push_str("MicroTime"),
        TyKind::IntOrString => out.push_str("Int | String"),
        TyKind::Literal(literal) => out.push_str(&show_literal(literal)),
        TyKind::Enum(members) => {
            for (at, member) in members.iter().take(SHOWN_MEMBERS).enumerate() {
                out.push_str(if at == 0 { "" } else { " | " });
                let _ = write!(out, "{:?}", member.as_str());
            }
            if members.len() > SHOWN_MEMBERS {
                out.push_str(" | …");
            }
        }
        TyKind::List(list) => {
            out.push_str("List<");
            write(types, list.item, out);
            out.push('>');
            if list.len != LenRange::ALL {
                let _ = write!(out, "({})", show_len(list.len));
            }
        }
        TyKind::Map(key, value) => {
            out.push_str("Map<");
            write(types, *key, out);
            out.push_str(", ");
            write(types, *value, out);
            out.push('>');
        }
        TyKind::Record(id) => out.push_str(&types.record(*id).name),
        TyKind::Union(members) => {
            for (at, member) in members.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { " | " });
                write(types, *member, out);
            }
        }
        TyKind::Optional(inner) => {
            let many = matches!(
                types.kind(*inner),
                TyKind::Union(_) | TyKind::Fn(..) | TyKind::IntOrString
            ) || matches!(types.kind(*inner), TyKind::Enum(m) if m.len() > 1);
            out.push_str(if many { "(" } else { "" });
            write(types, *inner, out);
            out.push_str(if many { ")?" } else { "?" });
        }
        TyKind::Secret(inner) => {
            out.push_str("Secret<");
            write(types, *inner, out);
            out.push('>');
        }
        TyKind::Fn(params, ret) => {
            out.push('(');
            for (at, param) in params.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                write(types, *param, out);
            }
            out.push_str(") -> ");
            write(types, *ret, out);
        }
        TyKind::Param(name) => out.push_str(name.as_str()),
        TyKind::Object => out.push_str("k8s.Object"),
    }
}

/// A literal as written in a source.
#[must_use]
pub fn show_literal(literal: &Literal) -> String {
    match literal {
        Literal::Bool(value) => value.to_string(),
        Literal::Int(value) => value.to_string(),
        Literal::Str(value) => format!("{:?}", value.as_str()),
    }
}

fn int(range: IntRange, out: &mut String) {
    out.push_str("Int");
    if range != IntRange::ALL {
        let _ = write!(out, "({})", show_range(range));
    }
}

/// A range as written in a source: `1..=100`, `1..`.
#[must_use]
pub fn show_range(range: IntRange) -> String {
    match (range.min, range.max) {
        (i64::MIN, max) => format!("..={max}"),
        (min, i64::MAX) => format!("{min}.."),
        (min, max) => format!("{min}..={max}"),
    }
}

/// A length as written in a source.
#[must_use]
pub fn show_len(len: LenRange) -> String {
    match (len.min, len.max) {
        (min, u32::MAX) => format!("{min}.."),
        (min, max) => format!("{min}..={max}"),
    }
}

fn string(rule: &StringRule, out: &mut String) {
    if let Some(format) = rule.format {
        out.push_str(format.type_name());
    } else {
        out.push_str("String");
    }
    let mut parts = Vec::new();
    if let Some(pattern) = &rule.pattern {
        parts.push(format!("/{pattern}/"));
    }
    if rule.min_len > 0 || rule.max_len.is_some() {
        parts.push(show_len(LenRange {
            min: rule.min_len,
            max: rule.max_len.unwrap_or(u32::MAX),
        }));
    }
    if !parts.is_empty() {
        let _ = write!(out, "({})", parts.join(", "));
    }
}
