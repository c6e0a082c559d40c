//! Arithmetic: which operands go together, and the bounds of what they compute.

use ordain_lang_syntax::ast::{BinaryOp, Expr, ExprKind as ExprAst, UnitClass};
use ordain_lang_syntax::{Diagnostic, Span};

use super::Want;
use crate::checker::{Checker, Scope};
use crate::constant::Constant;
use crate::hir::{BinOp, ExprId, ExprKind};
use crate::relate::Misfit;
use crate::ty::{IntRange, Ty, TyKind};

impl<'a> Checker<'a> {
    /// Both sides of an operator: `1m` is a minute beside a Duration.
    pub(super) fn sides(
        &mut self,
        sc: &mut Scope,
        left: &'a Expr,
        right: &'a Expr,
    ) -> (ExprId, ExprId) {
        let is_either =
            |e: &Expr| matches!(&e.kind, ExprAst::Unit(unit) if unit.class == UnitClass::Either);
        let swapped = is_either(left);
        let (first, second) = if swapped {
            (right, left)
        } else {
            (left, right)
        };
        let a = self.infer(sc, first);
        let hint = self.types.without_optional(self.hir.ty(a));
        let b = match is_either(second) {
            true => self.operand(sc, second, Some(hint)),
            false => self.infer(sc, second),
        };
        if swapped { (b, a) } else { (a, b) }
    }

    /// An operand: `30m` is minutes where the result is to be a Duration.
    fn operand(&mut self, sc: &mut Scope, e: &'a Expr, hint: Option<Ty>) -> ExprId {
        let duration = hint.filter(|ty| matches!(self.kind(*ty), TyKind::Duration));
        match (duration, &e.kind) {
            (Some(_), ExprAst::Unit(unit)) if unit.class == UnitClass::Either => {
                self.unit(unit, Some(Ty::DURATION), Want::new(Ty::DURATION), e.span)
            }
            (Some(hint), ExprAst::Binary { .. }) => self.infer_hinted(sc, e, hint),
            _ => self.infer(sc, e),
        }
    }

    /// Whether a type, or what a function of it takes or gives, could not be typed, which was told.
    fn is_unknown(&self, ty: Ty) -> bool {
        match self.kind(ty) {
            TyKind::Error => true,
            TyKind::Fn(params, result) => {
                params.iter().any(|p| self.is_unknown(*p)) || self.is_unknown(*result)
            }
            _ => false,
        }
    }

    pub(super) fn arithmetic(
        &mut self,
        sc: &mut Scope,
        (op, op_span): (BinaryOp, Span),
        left: &'a Expr,
        right: &'a Expr,
        hint: Option<Ty>,
        span: Span,
    ) -> ExprId {
        // `{ a = 1 } + { … }` where a map is expected: both are such maps.
        let hint = hint.map(|h| self.types.without_optional(h));
        let pushes = hint.filter(|h| {
            op == BinaryOp::Add && matches!(self.kind(*h), TyKind::Map(..) | TyKind::List(_))
        });
        let (a, b) = match pushes {
            Some(hint) => {
                let part = match self.kind(hint).clone() {
                    TyKind::List(list) => self.types.intern(TyKind::List(crate::ty::ListTy {
                        len: crate::ty::LenRange::ALL,
                        ..list
                    })),
                    _ => self.types.without_extra(hint),
                };
                (
                    self.check(sc, left, Want::new(part)),
                    self.check(sc, right, Want::new(part)),
                )
            }
            None if hint.is_some_and(|ty| matches!(self.kind(ty), TyKind::Duration)) => {
                (self.operand(sc, left, hint), self.operand(sc, right, hint))
            }
            None => self.sides(sc, left, right),
        };
        let made = match op {
            BinaryOp::Add => BinOp::Add,
            BinaryOp::Sub => BinOp::Sub,
            BinaryOp::Mul => BinOp::Mul,
            BinaryOp::Div => BinOp::Div,
            _ => BinOp::Rem,
        };
        let (ta, tb) = (self.hir.ty(a), self.hir.ty(b));
        if self.is_unknown(ta) || self.is_unknown(tb) {
            return self.error;
        }
        if matches!(made, BinOp::Div | BinOp::Rem) && self.constant(b) == Some(Constant::Int(0)) {
            self.report(
                Diagnostic::error("E0230", "division by zero")
                    .label(right.span, "this is zero")
                    .label(op_span, "divided here"),
            );
            return self.error;
        }
        for (id, ty) in [(a, ta), (b, tb)] {
            if let TyKind::Optional(inner) = *self.kind(ty) {
                return self.mismatch(id, Want::new(inner), Misfit::Absent);
            }
            if let TyKind::Secret(_) = self.kind(ty) {
                let shown = self.show(ty);
                self.report(
                    Diagnostic::error("E0207", "a secret cannot be computed with")
                        .label(self.hir.span(id), format!("this is `{shown}`")),
                );
                return self.error;
            }
        }
        let Some((a, b, ty)) = self.arithmetic_type(made, a, b) else {
            let (shown_a, shown_b) = (self.show(ta), self.show(tb));
            let sign = ["+", "-", "*", "/", "%"][match made {
                BinOp::Add => 0,
                BinOp::Sub => 1,
                BinOp::Mul => 2,
                BinOp::Div => 3,
                _ => 4,
            }];
            let mut diagnostic = Diagnostic::error(
                "E0215",
                format!("`{sign}` does not fit `{shown_a}` and `{shown_b}`"),
            )
            .label(op_span, "this operator")
            .label(left.span, format!("this is `{shown_a}`"))
            .label(right.span, format!("this is `{shown_b}`"));
            let string = |ty: Ty| matches!(self.kind(ty), TyKind::String(_) | TyKind::Enum(_));
            if made == BinOp::Add && (string(ta) || string(tb)) {
                diagnostic = diagnostic.help("make it part of the string: `\"… {value}\"`");
            }
            let numbers = match (self.kind(ta), self.kind(tb)) {
                (TyKind::Duration, TyKind::Duration) => {
                    Some("take the numbers: `.seconds()`, `.milliseconds()`")
                }
                (TyKind::Quantity, TyKind::Quantity) => Some("take the numbers: `.value()`"),
                _ => None,
            };
            if let Some(help) = numbers {
                diagnostic = diagnostic.help(help);
            }
            if [ta, tb]
                .iter()
                .any(|ty| matches!(self.kind(*ty), TyKind::Fn(..)))
            {
                diagnostic = diagnostic.help("call the function: `…()`");
            }
            self.report(diagnostic);
            return self.error;
        };
        self.add(ExprKind::Binary(made, a, b), ty, span)
    }

    /// The type that an arithmetic operator gives, with the operands in its form.
    fn arithmetic_type(&mut self, op: BinOp, a: ExprId, b: ExprId) -> Option<(ExprId, ExprId, Ty)> {
        let (ta, tb) = (self.hir.ty(a), self.hir.ty(b));
        if ta == Ty::ANY || tb == Ty::ANY {
            return Some((a, b, Ty::ANY));
        }
        if let (Some(x), Some(y)) = (self.int_range_of(a), self.int_range_of(b)) {
            let range = bounds(op, x, y).unwrap_or(IntRange::ALL);
            return Some((a, b, self.types.intern(TyKind::Int(range))));
        }
        let (ka, kb) = (self.kind(ta).clone(), self.kind(tb).clone());
        let number = |k: &TyKind| matches!(k, TyKind::Int(_) | TyKind::Float(_));
        Some(match (&ka, &kb) {
            _ if number(&ka) && number(&kb) => (
                self.coerce(a, Want::new(Ty::FLOAT)),
                self.coerce(b, Want::new(Ty::FLOAT)),
                Ty::FLOAT,
            ),
            (TyKind::Quantity, TyKind::Quantity) | (TyKind::Duration, TyKind::Duration)
                if matches!(op, BinOp::Add | BinOp::Sub) =>
            {
                (a, b, ta)
            }
            (TyKind::Quantity, _) if number(&kb) && matches!(op, BinOp::Add | BinOp::Sub) => {
                (a, self.coerce(b, Want::new(Ty::QUANTITY)), ta)
            }
            (TyKind::Quantity | TyKind::Duration, _)
                if number(&kb) && matches!(op, BinOp::Mul | BinOp::Div) =>
            {
                (a, b, ta)
            }
            (_, TyKind::Quantity | TyKind::Duration) if number(&ka) && op == BinOp::Mul => {
                (a, b, tb)
            }
            (TyKind::String(_) | TyKind::Enum(_), TyKind::String(_) | TyKind::Enum(_))
                if op == BinOp::Add =>
            {
                (a, b, Ty::STRING)
            }
            (TyKind::List(x), TyKind::List(y)) if op == BinOp::Add => {
                let (x, y) = (x.clone(), y.clone());
                let item = self.join(x.item, y.item);
                let keyed = if x.item == Ty::NEVER { y.clone() } else { x };
                let ty = self.types.intern(TyKind::List(crate::ty::ListTy {
                    item,
                    len: crate::ty::LenRange::ALL,
                    ..keyed
                }));
                (a, b, ty)
            }
            (TyKind::Map(..) | TyKind::Record(_), TyKind::Map(..) | TyKind::Record(_))
                if op == BinOp::Add =>
            {
                let (a, b) = (self.as_map(a, ta), self.as_map(b, tb));
                let (TyKind::Map(ka, va), TyKind::Map(kb, vb)) = (
                    self.kind(self.hir.ty(a)).clone(),
                    self.kind(self.hir.ty(b)).clone(),
                ) else {
                    return None;
                };
                let (key, value) = (self.join(ka, kb), self.join(va, vb));
                let ty = self.types.intern(TyKind::Map(key, value));
                (a, b, ty)
            }
            (TyKind::Param(_), TyKind::Param(_)) if ta == tb => (a, b, ta),
            _ => return None,
        })
    }

    pub(super) fn range(
        &mut self,
        sc: &mut Scope,
        low: Option<&'a Expr>,
        high: Option<&'a Expr>,
        inclusive: bool,
        span: Span,
    ) -> ExprId {
        let (Some(low), Some(high)) = (low, high) else {
            self.report(
                Diagnostic::error("E0219", "a range to go through needs both ends")
                    .label(span, "open")
                    .help("write `0..10`"),
            );
            return self.error;
        };
        let a = self.check(sc, low, Want::new(Ty::INT));
        let b = self.check(sc, high, Want::new(Ty::INT));
        let item = match (self.int_range_of(a), self.int_range_of(b)) {
            (Some(x), Some(y)) => {
                let max = if inclusive {
                    y.max
                } else {
                    y.max.saturating_sub(1)
                };
                match x.min <= max {
                    true => self.types.intern(TyKind::Int(IntRange { min: x.min, max })),
                    false => Ty::INT,
                }
            }
            _ => Ty::INT,
        };
        let ty = self.types.list(item);
        self.add(ExprKind::Range(a, b, inclusive), ty, span)
    }
}

/// The bounds of an operation on integers in bounds; none when it may overflow.
fn bounds(op: BinOp, x: IntRange, y: IntRange) -> Option<IntRange> {
    if x == IntRange::ALL && y == IntRange::ALL {
        return None;
    }
    match op {
        BinOp::Add => Some(IntRange {
            min: x.min.checked_add(y.min)?,
            max: x.max.checked_add(y.max)?,
        }),
        BinOp::Sub => Some(IntRange {
            min: x.min.checked_sub(y.max)?,
            max: x.max.checked_sub(y.min)?,
        }),
        BinOp::Mul => {
            let corners = [
                x.min.checked_mul(y.min)?,
                x.min.checked_mul(y.max)?,
                x.max.checked_mul(y.min)?,
                x.max.checked_mul(y.max)?,
            ];
            Some(IntRange {
                min: *corners.iter().min()?,
                max: *corners.iter().max()?,
            })
        }
        BinOp::Div if y.min == y.max && y.min > 0 => Some(IntRange {
            min: x.min.div_euclid(y.min),
            max: x.max.div_euclid(y.min),
        }),
        // Floored: the remainder has the divisor's sign.
        BinOp::Rem if y.min > 0 => Some(IntRange {
            min: 0,
            max: (y.max - 1).min(if x.min >= 0 { x.max } else { i64::MAX }),
        }),
        _ => None,
    }
}
