//! Values known before evaluation, and the rules they keep or break.

use std::sync::Arc;

use ordain_lang_syntax::{Name, Span};

use crate::checker::Checker;
use crate::extra::Measured;
use crate::hir::{ExprId, ExprKind, Part};
use crate::literal::{check_quantity, check_time, parse_duration};
use crate::refine::{StringFault, check_string};
use crate::ty::{IntRange, Literal, Ty, TyKind};

/// A text longer than this is no constant to the checker: evaluation, which counts what it makes, judges it.
const CONSTANT_BYTES_MAX: usize = 1 << 16;

/// A value known before evaluation.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Constant {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<str>),
    Quantity(Arc<str>),
    Duration(i64),
}

/// A rule which a constant broke.
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    /// What is wrong, as a sentence.
    pub(crate) message: String,
    /// What stands at the place of the value.
    pub(crate) label: String,
    pub(crate) help: Option<String>,
}

impl Constant {
    /// The value as written.
    pub(crate) fn show(&self) -> String {
        match self {
            Constant::Null => "null".into(),
            Constant::Bool(value) => value.to_string(),
            Constant::Int(value) => value.to_string(),
            Constant::Float(value) => value.to_string(),
            Constant::Str(text) => {
                /// Longer texts are cut in messages.
                const SHOWN: usize = 40;
                match text.char_indices().nth(SHOWN) {
                    Some((at, _)) => format!("\"{}…\"", &text[..at]),
                    None => format!("\"{text}\""),
                }
            }
            Constant::Quantity(text) => text.to_string(),
            Constant::Duration(nanos) => format!("{}s", *nanos as f64 / 1e9),
        }
    }
}

impl Checker<'_> {
    /// The value of an expression, when it is known: literals, constants, and what is made of them.
    pub(crate) fn constant(&self, id: ExprId) -> Option<Constant> {
        Some(match self.hir.kind(id) {
            ExprKind::Null => Constant::Null,
            ExprKind::Bool(value) => Constant::Bool(*value),
            ExprKind::Int(value) => Constant::Int(*value),
            ExprKind::Float(value) => Constant::Float(*value),
            ExprKind::Str(text) => Constant::Str(Arc::clone(text)),
            ExprKind::Quantity(text) => Constant::Quantity(Arc::clone(text)),
            ExprKind::Duration(nanos) => Constant::Duration(*nanos),
            ExprKind::Let(id) => self.lets.get(id.index())?.constant.clone()?,
            ExprKind::Check(inner, ..) => self.constant(*inner)?,
            ExprKind::Neg(inner) => match self.constant(*inner)? {
                Constant::Int(value) => Constant::Int(value.checked_neg()?),
                Constant::Float(value) => Constant::Float(-value),
                _ => return None,
            },
            ExprKind::Interp(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        Part::Text(part) => text.push_str(part),
                        Part::Expr(id) => match self.constant(*id)? {
                            Constant::Str(part) => text.push_str(&part),
                            Constant::Int(value) => text.push_str(&value.to_string()),
                            Constant::Bool(value) => text.push_str(&value.to_string()),
                            _ => return None,
                        },
                    }
                    if text.len() > CONSTANT_BYTES_MAX {
                        return None;
                    }
                }
                Constant::Str(text.into())
            }
            _ => return None,
        })
    }

    /// The integers that an expression can be.
    pub(crate) fn int_range_of(&self, id: ExprId) -> Option<IntRange> {
        if let Some(Constant::Int(value)) = self.constant(id) {
            return Some(IntRange {
                min: value,
                max: value,
            });
        }
        match self.kind(self.hir.ty(id)) {
            TyKind::Int(range) => Some(*range),
            TyKind::Literal(Literal::Int(value)) => Some(IntRange {
                min: *value,
                max: *value,
            }),
            _ => None,
        }
    }

    /// A constant where a type is expected: the constant in the type's form, or the rule it breaks; none when the
    /// constant is of another type altogether.
    pub(crate) fn constant_as(
        &mut self,
        value: &Constant,
        ty: Ty,
        at: Span,
    ) -> Option<Result<ExprId, Fault>> {
        let base = self.types.without_extra(ty);
        if base != ty {
            let made = self.constant_as(value, base, at);
            let fault = self.extra_fault(value, ty);
            return match (made, fault) {
                (Some(Ok(_)), Some(fault)) => Some(Err(fault)),
                // A quantity has no form of its own to be made into.
                (None, Some(fault)) => Some(Err(fault)),
                (made, _) => made,
            };
        }
        let kind = self.kind(ty).clone();
        Some(match (value, kind) {
            (Constant::Quantity(text), TyKind::Quantity) => {
                Ok(self.add(ExprKind::Quantity(Arc::clone(text)), ty, at))
            }
            (Constant::Duration(nanos), TyKind::Duration) => {
                Ok(self.add(ExprKind::Duration(*nanos), ty, at))
            }
            (Constant::Int(value), TyKind::Int(range)) => {
                if range.contains(*value) {
                    return Some(Ok(self.add(ExprKind::Int(*value), ty, at)));
                }
                Err(out_of_range(*value, range))
            }
            (Constant::Int(value), TyKind::Literal(Literal::Int(only))) => {
                if *value == only {
                    return Some(Ok(self.add(ExprKind::Int(*value), ty, at)));
                }
                Err(not_a_member(&value.to_string(), &only.to_string(), None))
            }
            (Constant::Int(value), TyKind::Quantity) => {
                Ok(self.add(ExprKind::Quantity(value.to_string().into()), ty, at))
            }
            (Constant::Float(value), TyKind::Quantity) => {
                Ok(self.add(ExprKind::Quantity(value.to_string().into()), ty, at))
            }
            (Constant::Int(_) | Constant::Float(_), TyKind::Float(range)) => {
                let value = match value {
                    Constant::Int(value) => *value as f64,
                    Constant::Float(value) => *value,
                    _ => 0.0,
                };
                if range.contains(value) {
                    return Some(Ok(self.add(ExprKind::Float(value), ty, at)));
                }
                Err(Fault {
                    code: "E0203",
                    message: format!("{value} is outside {}..={}", range.min(), range.max()),
                    label: "out of range".into(),
                    help: Some(format!(
                        "use a number from {} to {}",
                        range.min(),
                        range.max()
                    )),
                })
            }
            (Constant::Bool(value), TyKind::Literal(Literal::Bool(only))) => {
                if *value == only {
                    return Some(Ok(self.add(ExprKind::Bool(*value), ty, at)));
                }
                Err(not_a_member(&value.to_string(), &only.to_string(), None))
            }
            (Constant::Str(text), TyKind::String(rule)) => match check_string(&rule, text) {
                Ok(()) => Ok(self.add(ExprKind::Str(Arc::clone(text)), ty, at)),
                Err(fault) => Err(string_fault(&fault, text, &rule)),
            },
            (Constant::Str(text), TyKind::Enum(members)) => {
                if members.iter().any(|m| *m == **text) {
                    return Some(Ok(self.add(ExprKind::Str(Arc::clone(text)), ty, at)));
                }
                Err(enum_fault(text, &members))
            }
            (Constant::Str(text), TyKind::IntOrString) => {
                Ok(self.add(ExprKind::Str(Arc::clone(text)), ty, at))
            }
            (Constant::Str(text), TyKind::Quantity) => match check_quantity(text) {
                Ok(()) => Ok(self.add(ExprKind::Quantity(Arc::clone(text)), ty, at)),
                Err(why) => Err(bad_literal(text, "Quantity", why)),
            },
            (Constant::Str(text), TyKind::Duration) => match parse_duration(text) {
                Ok(nanos) => Ok(self.add(ExprKind::Duration(nanos), ty, at)),
                Err(why) => Err(bad_literal(text, "Duration", why)),
            },
            (Constant::Str(text), TyKind::Time | TyKind::MicroTime) => match check_time(text) {
                Ok(()) => Ok(self.add(ExprKind::Str(Arc::clone(text)), ty, at)),
                Err(why) => Err(bad_literal(text, "Time", why)),
            },
            _ => return None,
        })
    }
}

impl Checker<'_> {
    /// What a constant breaks of the rule beside a type's kind.
    fn extra_fault(&self, value: &Constant, ty: Ty) -> Option<Fault> {
        let extra = self.types.extra(ty)?;
        let text;
        let measured = match value {
            Constant::Int(value) if matches!(self.kind(ty), TyKind::Quantity) => {
                text = value.to_string();
                Measured::Quantity(&text)
            }
            Constant::Float(value) => {
                text = value.to_string();
                Measured::Quantity(&text)
            }
            Constant::Int(value) => Measured::Int(*value),
            Constant::Quantity(text) | Constant::Str(text) => Measured::Quantity(text),
            Constant::Duration(nanos) => Measured::Duration(*nanos),
            _ => return None,
        };
        let (code, message) = extra.broken(measured)?;
        Some(Fault {
            code,
            message,
            label: "out of range".into(),
            help: extra.help(),
        })
    }
}

fn out_of_range(value: i64, range: IntRange) -> Fault {
    let help = match (range.min, range.max) {
        (i64::MIN, max) => format!("use {max} or less"),
        (min, i64::MAX) => format!("use {min} or more"),
        (min, max) => format!("use a number from {min} to {max}"),
    };
    Fault {
        code: "E0203",
        message: format!("{value} is outside {}", crate::show::show_range(range)),
        label: "out of range".into(),
        help: Some(help),
    }
}

fn string_fault(fault: &StringFault, text: &Arc<str>, rule: &crate::ty::StringRule) -> Fault {
    let shown = Constant::Str(Arc::clone(text)).show();
    match fault {
        StringFault::Pattern(pattern) => Fault {
            code: "E0205",
            message: format!("{shown} does not match /{pattern}/"),
            label: "does not match".into(),
            help: None,
        },
        StringFault::Format(name, why) => Fault {
            code: "E0205",
            message: format!("{shown} is no {name}: {why}"),
            label: format!("no {name}"),
            help: match *name {
                "k8s.Base64" => Some("make base64 of a text with `.base64()`".to_owned()),
                _ => dollar_help(text),
            },
        },
        StringFault::Length(len) => {
            let allowed = crate::ty::LenRange {
                min: rule.min_len,
                max: rule.max_len.unwrap_or(u32::MAX),
            };
            Fault {
                code: "E0211",
                message: format!(
                    "this string has {len} characters, {} are allowed",
                    crate::show::show_len(allowed)
                ),
                label: format!("{len} characters"),
                help: None,
            }
        }
    }
}

/// What is meant by `"${name}"`, which in other languages is a value in a string.
pub(crate) fn dollar_help(text: &str) -> Option<String> {
    let is_meant = text.contains("${");
    is_meant.then(|| "a value in a string stands in braces alone: `{name}`, without `$`".to_owned())
}

fn enum_fault(text: &str, members: &[Name]) -> Fault {
    /// How many values a help lists.
    const LISTED: usize = 12;
    let near = crate::suggest::nearest(text, members.iter().map(|m| m.as_str()));
    let mut listed: Vec<String> = members
        .iter()
        .take(LISTED)
        .map(|m| format!("{:?}", m.as_str()))
        .collect();
    if members.len() > LISTED {
        listed.push("…".into());
    }
    not_a_member(&format!("{text:?}"), &listed.join(", "), near)
}

pub(crate) fn not_a_member(value: &str, allowed: &str, near: Option<&str>) -> Fault {
    Fault {
        code: "E0206",
        message: format!("{value} is not allowed here; allowed: {allowed}"),
        label: "not one of the allowed values".into(),
        help: Some(match near {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("use one of {allowed}"),
        }),
    }
}

fn bad_literal(text: &str, what: &str, why: String) -> Fault {
    Fault {
        code: "E0213",
        message: format!("\"{text}\" is no {what}: {why}"),
        label: format!("no {what}"),
        help: None,
    }
}
