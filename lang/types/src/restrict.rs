//! Restrictions of types: ranges, lengths, regular expressions and formats, in parentheses after a type.

use std::sync::Arc;

use ordain_lang_syntax::ast::{Expr, ExprKind as Ast, Refinement, UnaryOp};
use ordain_lang_syntax::{Diagnostic, Name, Span};

use crate::checker::Checker;
use crate::extra::Extra;
use crate::suggest::nearest;
use crate::ty::{FloatRange, Format, IntRange, LenRange, ListTy, Literal, StringRule, Ty, TyKind};

impl<'a> Checker<'a> {
    pub(crate) fn literal_type(&mut self, expr: &'a Expr) -> Ty {
        match &expr.kind {
            Ast::Null => Ty::NULL,
            Ast::Str(text) => self.types.intern(TyKind::Enum([Name::new(text)].into())),
            Ast::Bool(value) => self.types.intern(TyKind::Literal(Literal::Bool(*value))),
            _ => match int_constant(expr) {
                Some(value) => self.types.intern(TyKind::Literal(Literal::Int(value))),
                None => {
                    self.bad_refinement(
                        expr.span,
                        "only strings, integers, booleans and null are types",
                        None,
                    );
                    Ty::ERROR
                }
            },
        }
    }

    pub(crate) fn bad_refinement(&mut self, span: Span, message: &str, help: Option<&str>) {
        let mut diagnostic = Diagnostic::error("E0223", message).label(span, "here");
        if let Some(help) = help {
            diagnostic = diagnostic.help(help);
        }
        self.report(diagnostic);
    }

    /// A type with restrictions.
    pub(crate) fn refine(&mut self, base: Ty, refinements: &'a [Refinement]) -> Ty {
        refinements
            .iter()
            .fold(base, |ty, refinement| self.refine_by(ty, refinement))
    }

    pub(crate) fn refine_by(&mut self, base: Ty, refinement: &'a Refinement) -> Ty {
        // What one restriction changes, another beside it keeps: `Int(multiple = 2, 1..=10)`.
        if let Some(extra) = self.types.extra(base).cloned() {
            let inner = self.types.without_extra(base);
            let refined = self.refine_by(inner, refinement);
            return match (&extra, self.types.extra(refined).is_some()) {
                (Extra::Named(_), _) | (_, true) => refined,
                _ => self.types.restricted(refined, extra),
            };
        }
        let value = &refinement.value;
        let name = refinement.name.map(|n| n.name.as_str());
        let kind = self.types.kind(base).clone();
        match (kind, name, &value.kind) {
            (TyKind::Error, ..) | (_, _, Ast::Error) => base,
            (TyKind::Int(_), Some("multiple"), _) => match int_constant(value) {
                Some(of) if of > 0 => self.types.restricted(base, Extra::Multiple(of)),
                _ => {
                    self.bad_refinement(
                        value.span,
                        "a multiple of a whole number above 0 is meant",
                        Some("write `Int(multiple = 2)`"),
                    );
                    base
                }
            },
            (TyKind::Quantity, None | Some("range"), _) => match quantity_range(value) {
                Some((min, max)) if is_ordered(&min, &max) => {
                    self.types.restricted(base, Extra::Quantity { min, max })
                }
                Some(_) => self.empty_range(base, value.span),
                None => self.no_range(base, value.span, "Quantity(128Mi..=4Gi)"),
            },
            (TyKind::Duration, None | Some("range"), _) => match duration_range(value) {
                Some((min, max)) if min <= max => {
                    self.types.restricted(base, Extra::Duration { min, max })
                }
                Some(_) => self.empty_range(base, value.span),
                None => self.no_range(base, value.span, "Duration(1s..=1h)"),
            },
            (TyKind::Map(..), None | Some("length"), _) => match len_range(value) {
                Some(len) => self.types.restricted(base, Extra::Entries(len)),
                None => self.no_range(base, value.span, "Map<String, Int>(1..=3)"),
            },
            (TyKind::Int(_), None | Some("range"), _) => match int_range(value) {
                Some(range) if range.min <= range.max => self.types.intern(TyKind::Int(range)),
                Some(_) => self.empty_range(base, value.span),
                None => self.no_range(base, value.span, "Int(1..=100)"),
            },
            (TyKind::Float(_), None | Some("range"), _) => match float_range(value) {
                Some(range) if range.min() <= range.max() => {
                    self.types.intern(TyKind::Float(range))
                }
                Some(_) => self.empty_range(base, value.span),
                None => self.no_range(base, value.span, "Float(0.0..=1.0)"),
            },
            (TyKind::String(rule), None | Some("pattern"), Ast::Regex(pattern)) => {
                if let Err(why) = crate::refine::check_pattern(pattern) {
                    self.bad_refinement(
                        value.span,
                        &format!("this regular expression cannot be read: {why}"),
                        None,
                    );
                    return base;
                }
                self.types.intern(TyKind::String(StringRule {
                    pattern: Some(Arc::from(&**pattern)),
                    ..rule
                }))
            }
            (TyKind::String(rule), None | Some("length"), Ast::Range { .. } | Ast::Int(_)) => {
                match len_range(value) {
                    Some(len) => {
                        let max_len = (len.max != u32::MAX).then_some(len.max);
                        self.types.intern(TyKind::String(StringRule {
                            min_len: len.min,
                            max_len,
                            ..rule
                        }))
                    }
                    None => self.no_range(base, value.span, "String(1..=63)"),
                }
            }
            (TyKind::String(rule), Some("format"), Ast::Str(format)) => {
                match format_named(format) {
                    Some(format) => self.types.intern(TyKind::String(StringRule {
                        format: Some(format),
                        ..rule
                    })),
                    None => {
                        let near = nearest(format, FORMATS.iter().map(|(name, _)| *name));
                        let help = near.map(|n| format!("did you mean \"{n}\"?"));
                        self.bad_refinement(
                            value.span,
                            &format!("there is no format \"{format}\""),
                            help.as_deref(),
                        );
                        base
                    }
                }
            }
            (TyKind::List(list), None | Some("length"), _) => match len_range(value) {
                Some(len) => self.types.intern(TyKind::List(ListTy { len, ..list })),
                None => self.no_range(base, value.span, "List<String>(1..=3)"),
            },
            (TyKind::Optional(inner), ..) => {
                let inner = self.refine_by(inner, refinement);
                self.types.optional(inner)
            }
            (TyKind::String(_), ..) => {
                self.bad_refinement(
                    value.span,
                    "a String is restricted by a regular expression, a length or a format",
                    Some("write `String(/^[a-z]+$/)`, `String(1..=63)` or `String(format = \"hostname\")`"),
                );
                base
            }
            _ => {
                let shown = self.show(base);
                self.bad_refinement(
                    refinement.span,
                    &format!("`{shown}` cannot be restricted like this"),
                    None,
                );
                base
            }
        }
    }

    pub(crate) fn empty_range(&mut self, base: Ty, span: Span) -> Ty {
        self.bad_refinement(
            span,
            "this range is empty",
            Some("put the smaller bound first"),
        );
        base
    }

    pub(crate) fn no_range(&mut self, base: Ty, span: Span, example: &str) -> Ty {
        let shown = self.show(base);
        self.bad_refinement(
            span,
            &format!("`{shown}` is restricted by a range of constants"),
            Some(&format!("write `{example}`")),
        );
        base
    }
}

/// Formats by the names which `String(format = "…")` takes.
const FORMATS: [(&str, Format); 15] = [
    ("name", Format::Name),
    ("dns-label", Format::DnsLabel),
    ("hostname", Format::Hostname),
    ("image", Format::Image),
    ("env-name", Format::EnvName),
    ("label-key", Format::LabelKey),
    ("label-value", Format::LabelValue),
    ("port-name", Format::PortName),
    ("ip", Format::Ip),
    ("cidr", Format::Cidr),
    ("url", Format::Url),
    ("cron", Format::Cron),
    ("base64", Format::Base64),
    ("absolute-path", Format::AbsolutePath),
    ("time-zone", Format::TimeZone),
];

fn format_named(name: &str) -> Option<Format> {
    FORMATS
        .iter()
        .find(|(n, _)| *n == name)
        .map(|(_, format)| *format)
}

/// An integer written out, perhaps negative.
pub(crate) fn int_constant(expr: &Expr) -> Option<i64> {
    match &expr.kind {
        Ast::Int(value) => Some(*value),
        Ast::Unary {
            op: UnaryOp::Neg,
            operand,
        } => int_constant(operand)?.checked_neg(),
        _ => None,
    }
}

fn float_constant(expr: &Expr) -> Option<f64> {
    match &expr.kind {
        Ast::Float(value) => Some(*value),
        Ast::Unary {
            op: UnaryOp::Neg,
            operand,
        } => Some(-float_constant(operand)?),
        _ => int_constant(expr).map(|value| value as f64),
    }
}

pub(crate) fn int_range(expr: &Expr) -> Option<IntRange> {
    let Ast::Range {
        low,
        high,
        is_inclusive,
    } = &expr.kind
    else {
        let value = int_constant(expr)?;
        return Some(IntRange {
            min: value,
            max: value,
        });
    };
    let min = low.as_deref().map_or(Some(i64::MIN), int_constant)?;
    let max = match high.as_deref() {
        None => i64::MAX,
        Some(high) if *is_inclusive => int_constant(high)?,
        Some(high) => int_constant(high)?.checked_sub(1)?,
    };
    Some(IntRange { min, max })
}

fn float_range(expr: &Expr) -> Option<FloatRange> {
    let Ast::Range { low, high, .. } = &expr.kind else {
        return None;
    };
    let min = low
        .as_deref()
        .map_or(Some(f64::NEG_INFINITY), float_constant)?;
    let max = high
        .as_deref()
        .map_or(Some(f64::INFINITY), float_constant)?;
    Some(FloatRange::new(min, max))
}

/// The bounds of a range, both inside; the upper one must be written `..=`, since quantities have no neighbors.
fn bounds(expr: &Expr) -> Option<(Option<&Expr>, Option<&Expr>)> {
    let Ast::Range {
        low,
        high,
        is_inclusive,
    } = &expr.kind
    else {
        return None;
    };
    let (low, high) = (low.as_deref(), high.as_deref());
    (*is_inclusive || high.is_none()).then_some((low, high))
}

/// The bounds of a quantity as written; an open end has none.
type Bounds = (Option<Arc<str>>, Option<Arc<str>>);

fn quantity_range(expr: &Expr) -> Option<Bounds> {
    let text = |bound: Option<&Expr>| match bound.map(|b| &b.kind) {
        None => Some(None),
        Some(Ast::Unit(unit)) => {
            crate::literal::quantity_nanos(&unit.text).map(|_| Some(Arc::from(&*unit.text)))
        }
        Some(Ast::Int(value)) => Some(Some(Arc::from(value.to_string()))),
        Some(Ast::Float(value)) => Some(Some(Arc::from(value.to_string()))),
        Some(_) => None,
    };
    let (low, high) = bounds(expr)?;
    Some((text(low)?, text(high)?))
}

fn is_ordered(min: &Option<Arc<str>>, max: &Option<Arc<str>>) -> bool {
    let nanos =
        |bound: &Option<Arc<str>>| bound.as_deref().and_then(crate::literal::quantity_nanos);
    match (nanos(min), nanos(max)) {
        (Some(min), Some(max)) => min <= max,
        _ => true,
    }
}

fn duration_range(expr: &Expr) -> Option<(i64, i64)> {
    let nanos = |bound: Option<&Expr>, open: i64| match bound.map(|b| &b.kind) {
        None => Some(open),
        Some(Ast::Unit(unit)) => crate::literal::parse_duration(&unit.text).ok(),
        Some(Ast::Int(0)) => Some(0),
        Some(_) => None,
    };
    let (low, high) = bounds(expr)?;
    Some((nanos(low, i64::MIN)?, nanos(high, i64::MAX)?))
}

fn len_range(expr: &Expr) -> Option<LenRange> {
    let range = int_range(expr)?;
    let min = u32::try_from(range.min.max(0)).ok()?;
    let max = if range.max == i64::MAX {
        u32::MAX
    } else {
        u32::try_from(range.max).ok()?
    };
    (min <= max).then_some(LenRange { min, max })
}
