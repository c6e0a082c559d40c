//! Operators, and the bounds of what they compute.

use ordain_lang_syntax::ast::{BinaryOp, Expr, ExprKind as ExprAst, UnaryOp, UnitClass};
use ordain_lang_syntax::{Diagnostic, Span};

use super::Want;
use crate::checker::{Checker, Scope};
use crate::constant::Constant;
use crate::hir::{BinOp, ExprId, ExprKind};
use crate::relate::{Fit, Misfit};
use crate::ty::{IntRange, Ty, TyKind};

impl<'a> Checker<'a> {
    pub(super) fn unary(
        &mut self,
        sc: &mut Scope,
        op: UnaryOp,
        operand: &'a Expr,
        span: Span,
    ) -> ExprId {
        match op {
            UnaryOp::Not => {
                let (id, _) = self.condition(sc, operand);
                self.add(ExprKind::Not(id), Ty::BOOL, span)
            }
            UnaryOp::Neg => {
                let id = self.infer(sc, operand);
                let ty = self.hir.ty(id);
                match self.kind(ty).clone() {
                    TyKind::Int(range) => {
                        let range = match (range.max.checked_neg(), range.min.checked_neg()) {
                            (Some(min), Some(max)) if range != IntRange::ALL => {
                                IntRange { min, max }
                            }
                            _ => IntRange::ALL,
                        };
                        let ty = self.types.intern(TyKind::Int(range));
                        self.add(ExprKind::Neg(id), ty, span)
                    }
                    TyKind::Float(_) => self.add(ExprKind::Neg(id), Ty::FLOAT, span),
                    TyKind::Quantity | TyKind::Duration | TyKind::Any => {
                        self.add(ExprKind::Neg(id), ty, span)
                    }
                    TyKind::Error => self.error,
                    _ => {
                        let shown = self.show(ty);
                        self.report(
                            Diagnostic::error(
                                "E0215",
                                format!("`-` needs a number, this is `{shown}`"),
                            )
                            .label(operand.span, format!("this is `{shown}`")),
                        );
                        self.error
                    }
                }
            }
        }
    }

    pub(super) fn binary(
        &mut self,
        sc: &mut Scope,
        (op, op_span): (BinaryOp, Span),
        left: &'a Expr,
        right: &'a Expr,
        hint: Option<Ty>,
        span: Span,
    ) -> ExprId {
        match op {
            BinaryOp::And | BinaryOp::Or => {
                let (a, facts) = self.condition(sc, left);
                let present = sc.present.len();
                self.assume(sc, facts, op == BinaryOp::And);
                let (b, _) = self.condition(sc, right);
                sc.present.truncate(present);
                let op = if op == BinaryOp::And {
                    BinOp::And
                } else {
                    BinOp::Or
                };
                self.add(ExprKind::Binary(op, a, b), Ty::BOOL, span)
            }
            BinaryOp::Coalesce => self.coalesce(sc, left, right, hint, span),
            BinaryOp::Eq | BinaryOp::Ne => self.equal(sc, op, left, right, span),
            BinaryOp::In => self.contained(sc, left, right, span),
            BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => {
                self.compare(sc, op, left, right, span)
            }
            _ => self.arithmetic(sc, (op, op_span), left, right, hint, span),
        }
    }

    fn coalesce(
        &mut self,
        sc: &mut Scope,
        left: &'a Expr,
        right: &'a Expr,
        hint: Option<Ty>,
        span: Span,
    ) -> ExprId {
        let a = self.infer(sc, left);
        let from = self.hir.ty(a);
        let inner = self.types.without_optional(from);
        let (b, ty) = match self.kind(inner) {
            TyKind::Error | TyKind::Any | TyKind::Null | TyKind::Param(_) => {
                let b = match hint {
                    Some(hint) => self.check(sc, right, Want::new(hint)),
                    None => self.infer(sc, right),
                };
                let ty = if inner == Ty::NULL {
                    self.hir.ty(b)
                } else {
                    inner
                };
                (b, ty)
            }
            _ => {
                // The other value may have any value of the plain type, not only those of its refinement.
                let optional = self.types.optional(inner);
                let wide = self.widened(optional);
                let b = self.check(sc, right, Want::new(wide));
                let other = self.hir.ty(b);
                let ty = self.join(inner, other);
                let ty = if matches!(self.kind(other), TyKind::Optional(_) | TyKind::Null) {
                    ty
                } else {
                    self.types.without_optional(ty)
                };
                (b, ty)
            }
        };
        self.add(ExprKind::Binary(BinOp::Coalesce, a, b), ty, span)
    }

    /// A type without its refinements.
    fn widened(&mut self, ty: Ty) -> Ty {
        match self.kind(ty).clone() {
            TyKind::Int(_) => Ty::INT,
            TyKind::Float(_) => Ty::FLOAT,
            TyKind::String(_) | TyKind::Enum(_) => Ty::STRING,
            TyKind::Quantity => Ty::QUANTITY,
            TyKind::Duration => Ty::DURATION,
            TyKind::Map(..) => self.types.without_extra(ty),
            TyKind::Optional(inner) => {
                let inner = self.widened(inner);
                self.types.optional(inner)
            }
            _ => ty,
        }
    }

    /// Whether an expression's values can be ordered; reports when not.
    pub(super) fn ordered(&mut self, id: ExprId) -> bool {
        let ty = self.hir.ty(id);
        match self.kind(ty) {
            TyKind::Int(_)
            | TyKind::Float(_)
            | TyKind::Quantity
            | TyKind::Duration
            | TyKind::String(_)
            | TyKind::Enum(_)
            | TyKind::Literal(_)
            | TyKind::Time
            | TyKind::MicroTime
            | TyKind::Any
            | TyKind::Param(_)
            | TyKind::Error => true,
            TyKind::Optional(inner) => {
                let inner = *inner;
                self.mismatch(id, Want::new(inner), Misfit::Absent);
                false
            }
            _ => {
                let shown = self.show(ty);
                self.report(
                    Diagnostic::error("E0215", format!("`{shown}` has no order"))
                        .label(self.hir.span(id), format!("this is `{shown}`")),
                );
                false
            }
        }
    }

    fn compare(
        &mut self,
        sc: &mut Scope,
        op: BinaryOp,
        left: &'a Expr,
        right: &'a Expr,
        span: Span,
    ) -> ExprId {
        let a = self.infer(sc, left);
        let b = self.infer(sc, right);
        let (good_a, good_b) = (self.ordered(a), self.ordered(b));
        if !good_a || !good_b {
            return self.error;
        }
        let Some((a, b)) = self.alike(a, b, span, "compared") else {
            return self.error;
        };
        let op = match op {
            BinaryOp::Lt => BinOp::Lt,
            BinaryOp::Le => BinOp::Le,
            BinaryOp::Gt => BinOp::Gt,
            _ => BinOp::Ge,
        };
        self.add(ExprKind::Binary(op, a, b), Ty::BOOL, span)
    }

    /// Two values in one form: a number becomes a quantity or float beside one. None after a report.
    fn alike(&mut self, a: ExprId, b: ExprId, span: Span, what: &str) -> Option<(ExprId, ExprId)> {
        let (ta, tb) = (self.hir.ty(a), self.hir.ty(b));
        if ta == Ty::ERROR || tb == Ty::ERROR {
            return None;
        }
        let (wa, wb) = (self.widened(ta), self.widened(tb));
        if wa == wb || ta == Ty::ANY || tb == Ty::ANY {
            return Some((a, b));
        }
        let convert = |c: &mut Self, id: ExprId, to: Ty| c.coerce(id, Want::new(to));
        match (self.kind(wa), self.kind(wb)) {
            (TyKind::Int(_) | TyKind::Float(_), TyKind::Quantity) => {
                Some((convert(self, a, Ty::QUANTITY), b))
            }
            (TyKind::Quantity, TyKind::Int(_) | TyKind::Float(_)) => {
                Some((a, convert(self, b, Ty::QUANTITY)))
            }
            (TyKind::Int(_), TyKind::Float(_)) => Some((convert(self, a, Ty::FLOAT), b)),
            (TyKind::Float(_), TyKind::Int(_)) => Some((a, convert(self, b, Ty::FLOAT))),
            (TyKind::Literal(_), _) | (_, TyKind::Literal(_))
                if !matches!(self.fit(ta, wb).min(self.fit(tb, wa)), Fit::No(_)) =>
            {
                Some((a, b))
            }
            _ => {
                let (shown_a, shown_b) = (self.show(ta), self.show(tb));
                self.report(
                    Diagnostic::error(
                        "E0215",
                        format!("`{shown_a}` and `{shown_b}` cannot be {what}"),
                    )
                    .label(span, "of different types")
                    .label(self.hir.span(a), format!("this is `{shown_a}`"))
                    .label(self.hir.span(b), format!("this is `{shown_b}`")),
                );
                None
            }
        }
    }

    fn equal(
        &mut self,
        sc: &mut Scope,
        op: BinaryOp,
        left: &'a Expr,
        right: &'a Expr,
        span: Span,
    ) -> ExprId {
        let a = self.infer(sc, left);
        let b = self.infer(sc, right);
        let (ta, tb) = (self.hir.ty(a), self.hir.ty(b));
        let (pa, pb) = (
            self.types.without_optional(ta),
            self.types.without_optional(tb),
        );
        for (id, ty) in [(a, pa), (b, pb)] {
            if self.holds_secret(ty, 0) {
                let shown = self.show(ty);
                self.report(
                    Diagnostic::error("E0207", "a secret cannot be compared")
                        .label(self.hir.span(id), format!("this is `{shown}`")),
                );
                return self.error;
            }
        }
        let free = |ty: Ty| matches!(ty, Ty::ERROR | Ty::ANY | Ty::NULL | Ty::NEVER);
        if !free(pa) && !free(pb) {
            let comparable = |c: &Self, x: ExprId, x_ty: Ty, y_ty: Ty| {
                // A constant says which values it can equal.
                let _ = x;
                !matches!(c.fit(x_ty, y_ty), Fit::No(Misfit::Type | Misfit::Secret))
            };
            let (wa, wb) = (self.widened(pa), self.widened(pb));
            if !comparable(self, a, wa, wb) && !comparable(self, b, wb, wa) {
                let (shown_a, shown_b) = (self.show(pa), self.show(pb));
                self.report(
                    Diagnostic::error(
                        "E0215",
                        format!("`{shown_a}` and `{shown_b}` are never equal"),
                    )
                    .label(span, "of different types")
                    .label(self.hir.span(a), format!("this is `{shown_a}`"))
                    .label(self.hir.span(b), format!("this is `{shown_b}`")),
                );
                return self.error;
            }
            // A string which an enum does not have is a misspelling.
            for (value, other, ty) in [(b, a, pa), (a, b, pb)] {
                let _ = other;
                if let TyKind::Enum(_) = self.kind(ty)
                    && let Some(constant @ Constant::Str(_)) = self.constant(value)
                    && self.hir.ty(value) == Ty::STRING
                {
                    let at = self.hir.span(value);
                    if let Some(Err(fault)) = self.constant_as(&constant, ty, at) {
                        return self.fault(fault, value, Want::new(ty));
                    }
                }
            }
        }
        let (a, b) = match (self.kind(pa), self.kind(pb)) {
            (TyKind::Quantity, TyKind::Int(_) | TyKind::Float(_)) => {
                (a, self.coerce(b, Want::new(Ty::QUANTITY)))
            }
            (TyKind::Int(_) | TyKind::Float(_), TyKind::Quantity) => {
                (self.coerce(a, Want::new(Ty::QUANTITY)), b)
            }
            (TyKind::Quantity, TyKind::String(_)) if self.constant(b).is_some() => {
                (a, self.coerce(b, Want::new(Ty::QUANTITY)))
            }
            _ => (a, b),
        };
        let op = if op == BinaryOp::Eq {
            BinOp::Eq
        } else {
            BinOp::Ne
        };
        self.add(ExprKind::Binary(op, a, b), Ty::BOOL, span)
    }

    fn contained(&mut self, sc: &mut Scope, left: &'a Expr, right: &'a Expr, span: Span) -> ExprId {
        let b = self.infer(sc, right);
        let tb = self.types.without_optional(self.hir.ty(b));
        let b = self.as_map(b, tb);
        let tb = self.types.without_optional(self.hir.ty(b));
        let wanted = match self.kind(tb) {
            TyKind::List(list) => list.item,
            TyKind::Map(key, _) => *key,
            TyKind::String(_) | TyKind::Enum(_) => Ty::STRING,
            TyKind::Any => Ty::ANY,
            TyKind::Error => Ty::ERROR,
            _ => {
                self.infer(sc, left);
                let shown = self.show(tb);
                self.report(
                    Diagnostic::error(
                        "E0215",
                        format!("`in` looks into a list, a map or a string, this is `{shown}`"),
                    )
                    .label(right.span, format!("this is `{shown}`")),
                );
                return self.error;
            }
        };
        let a = self.infer(sc, left);
        let wide = self.widened(wanted);
        let optional = self.types.optional(wide);
        let a = match self.fit(self.hir.ty(a), optional) {
            Fit::No(why) => self.mismatch(a, Want::new(wide), why),
            _ => a,
        };
        if a == self.error || tb == Ty::ERROR {
            return self.error;
        }
        self.add(ExprKind::Binary(BinOp::In, a, b), Ty::BOOL, span)
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

    fn arithmetic(
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
            None => (self.operand(sc, left, hint), self.operand(sc, right, hint)),
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
