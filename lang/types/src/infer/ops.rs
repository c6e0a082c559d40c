//! Operators that compare, choose and look for; arithmetic is beside this.

use ordain_lang_syntax::ast::{BinaryOp, Expr, UnaryOp};
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
    pub(super) fn widened(&mut self, ty: Ty) -> Ty {
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

    /// The value of an expression that may be absent, which is a mistake where it is evaluated.
    fn there(&mut self, id: ExprId) -> ExprId {
        match *self.kind(self.hir.ty(id)) {
            TyKind::Optional(inner) => {
                let span = self.hir.span(id);
                self.add(ExprKind::Check(id, inner, None), inner, span)
            }
            _ => id,
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
        let (mut a, mut b) = self.sides(sc, left, right);
        if sc.in_test {
            (a, b) = (self.there(a), self.there(b));
        }
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
    pub(super) fn alike(
        &mut self,
        a: ExprId,
        b: ExprId,
        span: Span,
        what: &str,
    ) -> Option<(ExprId, ExprId)> {
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
        let (a, b) = self.sides(sc, left, right);
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
}
