//! `if`, `match`, `let … in`, and what conditions say about presence.

use ordain_lang_syntax::ast::{
    self, BinaryOp, Binding, Expr, ExprKind as Ast, PatternKind, UnaryOp,
};
use ordain_lang_syntax::{Diagnostic, Span};

use super::Want;
use super::name::dotted;
use crate::checker::{Checker, Scope};
use crate::constant::Constant;
use crate::hir::{Arm, ExprId, ExprKind, Pattern, Slot};
use crate::relate::{Fit, Misfit};
use crate::restrict::int_range;
use crate::ty::{IntRange, Ty, TyKind};

/// What a condition says about presence: expressions that are there when it holds, and when it does not.
#[derive(Clone, Default, Debug)]
pub(crate) struct Facts {
    when_true: Vec<String>,
    when_false: Vec<String>,
}

impl<'a> Checker<'a> {
    /// A condition. An absent Bool counts as false.
    pub(crate) fn condition(&mut self, sc: &mut Scope, e: &'a Expr) -> (ExprId, Facts) {
        let id = self.infer(sc, e);
        let optional = self.types.optional(Ty::BOOL);
        let id = match self.hir.ty(id) {
            ty if ty == optional => id,
            Ty::ANY => self.coerce(id, Want::new(Ty::BOOL)),
            _ => self.coerce(id, Want::new(Ty::BOOL)),
        };
        (id, facts(e))
    }

    /// Remembers what a condition says, for the expressions that follow.
    pub(crate) fn assume(&mut self, sc: &mut Scope, facts: Facts, holds: bool) {
        sc.present.extend(if holds {
            facts.when_true
        } else {
            facts.when_false
        });
    }

    pub(super) fn check_if(
        &mut self,
        sc: &mut Scope,
        condition: &'a Expr,
        then: &'a Expr,
        otherwise: Option<&'a Expr>,
        want: Option<Want>,
        span: Span,
    ) -> ExprId {
        let (condition, facts) = self.condition(sc, condition);
        let present = sc.present.len();
        self.assume(sc, facts.clone(), true);
        let then = self.branch_value(sc, then, want);
        sc.present.truncate(present);
        self.assume(sc, facts, false);
        let otherwise = match otherwise {
            Some(e) => self.branch_value(sc, e, want),
            None => {
                let null = self.add(ExprKind::Null, Ty::NULL, span);
                match want {
                    // The element of a list that is left out has no type of its own to fit.
                    Some(want)
                        if matches!(self.fit(Ty::NULL, want.ty), Fit::No(_))
                            && want.ty != Ty::ERROR =>
                    {
                        self.report(
                            Diagnostic::error("E0214", format!("an `if` without `else` is absent when its condition does not hold, a `{}` is needed", self.show(want.ty)))
                                .label(span, "no `else`")
                                .help("add `else …`"),
                        );
                        self.error
                    }
                    _ => null,
                }
            }
        };
        sc.present.truncate(present);
        let ty = match want {
            Some(want) if !matches!(self.kind(want.ty), TyKind::Any) => {
                if then == self.error && otherwise == self.error {
                    return self.error;
                }
                want.ty
            }
            _ => self.join(self.hir.ty(then), self.hir.ty(otherwise)),
        };
        self.add(ExprKind::If(condition, then, otherwise), ty, span)
    }

    fn branch_value(&mut self, sc: &mut Scope, e: &'a Expr, want: Option<Want>) -> ExprId {
        match want {
            Some(want) => self.check(sc, e, want),
            None => self.infer(sc, e),
        }
    }

    /// `let name = value` in scope: its slot and value.
    pub(crate) fn bind_let(&mut self, sc: &mut Scope, binding: &'a Binding) -> (Slot, ExprId) {
        let value = match &binding.ty {
            Some(te) => {
                let ty = {
                    let types = sc.types();
                    self.resolve(&types, te)
                };
                let value = self.check(sc, &binding.value, Want::at(ty, te.span));
                let slot = sc.bind(binding.name, ty, true);
                return (slot, value);
            }
            None => self.infer(sc, &binding.value),
        };
        let ty = self.hir.ty(value);
        (sc.bind(binding.name, ty, true), value)
    }

    pub(super) fn check_let(
        &mut self,
        sc: &mut Scope,
        binding: &'a Binding,
        body: &'a Expr,
        want: Option<Want>,
        span: Span,
    ) -> ExprId {
        let mark = sc.mark();
        let (slot, value) = self.bind_let(sc, binding);
        let body = self.branch_value(sc, body, want);
        self.leave(sc, mark);
        let ty = self.hir.ty(body);
        self.add(ExprKind::LetIn(slot, value, body), ty, span)
    }

    /// Warns of an arm whose every constant an earlier arm without a condition matches; notes its own.
    fn seen_before(
        &mut self,
        patterns: &[Pattern],
        arm: &'a ast::Arm,
        seen: &mut Vec<(Constant, Constant, Span)>,
    ) {
        let mut first = None;
        let mut is_new = false;
        for (pattern, place) in patterns.iter().zip(&arm.patterns) {
            let (low, high) = match pattern {
                Pattern::Value(id) => match self.constant(*id) {
                    Some(value) => (value.clone(), value),
                    None => {
                        is_new = true;
                        continue;
                    }
                },
                Pattern::Range(low, high) => (Constant::Int(*low), Constant::Int(*high)),
                _ => {
                    is_new = true;
                    continue;
                }
            };
            let covering = seen
                .iter()
                .find(|(from, to, _)| match (from, to, &low, &high) {
                    (
                        Constant::Int(from),
                        Constant::Int(to),
                        Constant::Int(low),
                        Constant::Int(high),
                    ) => from <= low && high <= to,
                    (from, _, low, _) => from == low,
                });
            match covering {
                Some((_, _, span)) => first = first.or(Some(*span)),
                None => is_new = true,
            }
            if arm.guard.is_none() {
                seen.push((low, high, place.span));
            }
        }
        let (Some(first), false, Some(place)) = (first, is_new, arm.patterns.first()) else {
            return;
        };
        self.report(
            Diagnostic::warning("W0201", "this arm is never reached")
                .label(place.span, "matched before")
                .label(first, "by this arm")
                .help("remove it"),
        );
    }

    pub(super) fn check_match(
        &mut self,
        sc: &mut Scope,
        value: &'a Expr,
        arms: &'a [ast::Arm],
        want: Option<Want>,
        span: Span,
    ) -> ExprId {
        let value_id = self.infer(sc, value);
        let value_ty = self.hir.ty(value_id);
        let mut rest = Rest::of(self, value_ty);
        // Of a value without a known type nothing can be said.
        let known = !rest.is_empty();
        let mut seen: Vec<(Constant, Constant, Span)> = Vec::new();
        let mut made = Vec::with_capacity(arms.len());
        let mut ty = want.map_or(Ty::NEVER, |w| w.ty);
        for arm in arms {
            let mark = sc.mark();
            if known && rest.is_empty() {
                let first = arm.patterns.first().map_or(span, |p| p.span);
                self.report(
                    Diagnostic::warning("W0201", "this arm is never reached")
                        .label(first, "the arms before it match everything")
                        .help("remove it"),
                );
            }
            let patterns: Vec<Pattern> = arm
                .patterns
                .iter()
                .map(|p| self.pattern_of(sc, p, value_ty, &mut rest, arm.guard.is_some()))
                .collect();
            self.seen_before(&patterns, arm, &mut seen);
            let pattern = match <[Pattern; 1]>::try_from(patterns) {
                Ok([one]) => one,
                Err(many) => Pattern::Or(many.into()),
            };
            let present = sc.present.len();
            let guard = arm.guard.as_ref().map(|g| {
                let (id, facts) = self.condition(sc, g);
                self.assume(sc, facts, true);
                id
            });
            let body = self.branch_value(sc, &arm.body, want);
            sc.present.truncate(present);
            if want.is_none() {
                ty = self.join(ty, self.hir.ty(body));
            }
            self.leave(sc, mark);
            made.push(Arm {
                pattern,
                guard,
                body,
            });
        }
        if value_ty != Ty::ERROR && !rest.is_empty() {
            let missing = rest.show();
            self.report(
                Diagnostic::error("E0216", format!("this match has no arm for {missing}"))
                    .label(value.span, format!("this is `{}`", self.show(value_ty)))
                    .help("add the arm, or `_ => …` for all others"),
            );
            return self.error;
        }
        self.add(ExprKind::Match(value_id, made.into()), ty, span)
    }

    fn pattern_of(
        &mut self,
        sc: &mut Scope,
        pattern: &'a ast::Pattern,
        ty: Ty,
        rest: &mut Rest,
        guarded: bool,
    ) -> Pattern {
        match &pattern.kind {
            PatternKind::Error => {
                rest.clear();
                Pattern::Wild
            }
            PatternKind::Any => {
                if !guarded {
                    rest.clear();
                }
                Pattern::Wild
            }
            PatternKind::Bind(name) => {
                let bound = if rest.null {
                    ty
                } else {
                    self.types.without_optional(ty)
                };
                if !guarded {
                    rest.clear();
                }
                Pattern::Bind(sc.bind(*name, bound, false), None)
            }
            PatternKind::Value(e) => {
                if let Ast::Range { .. } = e.kind {
                    let plain = self.types.without_optional(ty);
                    if !matches!(
                        self.kind(plain),
                        TyKind::Int(_) | TyKind::IntOrString | TyKind::Any | TyKind::Error
                    ) {
                        let shown = self.show(ty);
                        self.report(
                            Diagnostic::error(
                                "E0202",
                                format!("a range matches an Int, this is `{shown}`"),
                            )
                            .label(pattern.span, "a range"),
                        );
                    }
                    return match int_range(e) {
                        Some(range) => {
                            if !guarded {
                                rest.take_range(range);
                            }
                            Pattern::Range(range.min, range.max)
                        }
                        None => {
                            self.report(
                                Diagnostic::error("E0223", "a range of constants is meant")
                                    .label(pattern.span, "here"),
                            );
                            Pattern::Wild
                        }
                    };
                }
                let id = self.infer(sc, e);
                if let Some(constant) = self.constant(id) {
                    if constant == Constant::Null {
                        if !guarded {
                            rest.null = false;
                        }
                        return Pattern::Value(id);
                    }
                    let plain = self.types.without_optional(ty);
                    let fits = match self.kind(plain).clone() {
                        TyKind::Union(members) => members.iter().any(|m| {
                            matches!(self.constant_as(&constant, *m, e.span), Some(Ok(_)))
                        }),
                        _ => match self.constant_as(&constant, plain, e.span) {
                            Some(Ok(_)) => true,
                            Some(Err(fault)) => {
                                self.fault(fault, id, Want::new(ty));
                                true
                            }
                            None => !matches!(self.fit(self.hir.ty(id), plain), Fit::No(_)),
                        },
                    };
                    if !fits {
                        self.mismatch(id, Want::new(plain), Misfit::Type);
                    }
                    if !guarded {
                        rest.take(&constant);
                    }
                }
                Pattern::Value(id)
            }
            PatternKind::Type(te, name) => {
                let wanted = {
                    let types = sc.types();
                    self.resolve(&types, te)
                };
                if !guarded {
                    rest.take_type(self, wanted);
                }
                match name {
                    Some(name) => Pattern::Bind(sc.bind(*name, wanted, false), Some(wanted)),
                    None => Pattern::Type(wanted),
                }
            }
        }
    }
}

/// The values that no arm has matched yet.
struct Rest {
    null: bool,
    /// Members of an enum, a Bool or a union of literals, as they are shown.
    values: Vec<String>,
    /// Types of a union.
    types: Vec<(Ty, String)>,
    /// Integers.
    ints: Vec<IntRange>,
    /// Values that only a catch-all matches.
    open: bool,
}

impl Rest {
    fn of(checker: &Checker<'_>, ty: Ty) -> Rest {
        let mut rest = Rest {
            null: false,
            values: Vec::new(),
            types: Vec::new(),
            ints: Vec::new(),
            open: false,
        };
        rest.include(checker, ty);
        rest
    }

    fn include(&mut self, checker: &Checker<'_>, ty: Ty) {
        match checker.kind(ty) {
            TyKind::Optional(inner) => {
                self.null = true;
                self.include(checker, *inner);
            }
            TyKind::Null => self.null = true,
            TyKind::Int(range) => self.ints.push(*range),
            TyKind::Bool => self.values.extend(["true".to_owned(), "false".to_owned()]),
            TyKind::Enum(members) => self
                .values
                .extend(members.iter().map(|m| format!("{:?}", m.as_str()))),
            TyKind::Literal(literal) => self.values.push(crate::show::show_literal(literal)),
            TyKind::Union(members) => {
                for member in members {
                    match checker.kind(*member) {
                        TyKind::Literal(_) | TyKind::Enum(_) | TyKind::Bool => {
                            self.include(checker, *member)
                        }
                        _ => self.types.push((*member, checker.show(*member))),
                    }
                }
            }
            TyKind::IntOrString => {
                self.types.push((Ty::INT, "Int".into()));
                self.types.push((Ty::STRING, "String".into()));
            }
            TyKind::Error | TyKind::Never => {}
            _ => {
                self.open = true;
                self.types.push((ty, "other values".into()));
            }
        }
    }

    fn clear(&mut self) {
        self.null = false;
        self.values.clear();
        self.types.clear();
        self.ints.clear();
        self.open = false;
    }

    /// Takes integers out; what is left of a range are the parts before and behind them.
    fn take_range(&mut self, taken: IntRange) {
        let mut left = Vec::with_capacity(self.ints.len() + 1);
        for range in self.ints.drain(..) {
            if taken.max < range.min || range.max < taken.min {
                left.push(range);
                continue;
            }
            if range.min < taken.min {
                left.push(IntRange {
                    max: taken.min - 1,
                    ..range
                });
            }
            if taken.max < range.max {
                left.push(IntRange {
                    min: taken.max + 1,
                    ..range
                });
            }
        }
        self.ints = left;
    }

    fn take(&mut self, constant: &Constant) {
        if let Constant::Int(value) = constant {
            self.take_range(IntRange {
                min: *value,
                max: *value,
            });
        }
        let shown = match constant {
            Constant::Str(text) => format!("{:?}", &**text),
            other => other.show(),
        };
        self.values.retain(|v| *v != shown);
    }

    fn take_type(&mut self, checker: &Checker<'_>, ty: Ty) {
        self.types
            .retain(|(member, _)| checker.fit(*member, ty) != Fit::Proven);
        if self.types.is_empty() {
            self.open = false;
        }
        if let TyKind::Int(range) = checker.kind(ty) {
            self.take_range(*range);
        }
        if let TyKind::Enum(_) | TyKind::String(_) = checker.kind(ty) {
            self.values.retain(|v| !v.starts_with('"'));
        }
        if ty == Ty::BOOL {
            self.values.retain(|v| v != "true" && v != "false");
        }
    }

    fn is_empty(&self) -> bool {
        let nothing = self.values.is_empty() && self.types.is_empty() && self.ints.is_empty();
        nothing && !self.null && !self.open
    }

    fn show(&self) -> String {
        let mut shown: Vec<String> = self.values.clone();
        shown.extend(self.types.iter().map(|(_, s)| s.clone()));
        shown.extend(self.ints.iter().map(|range| match *range {
            IntRange {
                min: i64::MIN,
                max: i64::MAX,
            } => "other values".to_owned(),
            IntRange { min, max } if min == max => min.to_string(),
            range => crate::show::show_range(range),
        }));
        if self.null {
            shown.push("null".into());
        }
        shown.join(", ")
    }
}

/// What a condition says about presence.
fn facts(e: &Expr) -> Facts {
    match &e.kind {
        Ast::Binary {
            op, left, right, ..
        } => match op {
            BinaryOp::And => {
                let (mut a, b) = (facts(left), facts(right));
                a.when_true.extend(b.when_true);
                a.when_false.clear();
                a
            }
            BinaryOp::Or => {
                let (mut a, b) = (facts(left), facts(right));
                a.when_false.extend(b.when_false);
                a.when_true.clear();
                a
            }
            BinaryOp::Eq | BinaryOp::Ne => {
                let subject = match (&left.kind, &right.kind) {
                    (_, Ast::Null) => dotted(left),
                    (Ast::Null, _) => dotted(right),
                    _ => None,
                };
                let mut made = Facts::default();
                match (op, subject) {
                    (BinaryOp::Ne, Some(subject)) => made.when_true.push(subject),
                    (BinaryOp::Eq, Some(subject)) => made.when_false.push(subject),
                    // `x == "a"` says that x is there.
                    (BinaryOp::Eq, None) => made.when_true.extend(dotted(left)),
                    _ => {}
                }
                made
            }
            _ => Facts::default(),
        },
        Ast::Unary {
            op: UnaryOp::Not,
            operand,
        } => {
            let inner = facts(operand);
            Facts {
                when_true: inner.when_false,
                when_false: inner.when_true,
            }
        }
        _ => Facts::default(),
    }
}
