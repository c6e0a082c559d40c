//! Expressions: types flow down where one is expected and up where none is.
//!
//! `check` pushes the expected type into literals, branches and comprehension bodies; `infer` finds the type of the rest;
//! `coerce` compares the two and says what is left to check at run time.

mod access;
mod amend;
mod arithmetic;
mod call;
mod control;
mod fields;
mod generic;
mod hidden;
mod list;
mod map;
mod method;
mod name;
mod ops;
mod record;
mod select;
mod text;

pub(crate) use amend::Place;
pub(crate) use method::listed;
pub(crate) use record::{Op, Pm};

use std::sync::Arc;

use ordain_lang_syntax::ast::{Expr, ExprKind as Ast};
use ordain_lang_syntax::{Diagnostic, Span};

use crate::checker::{Checker, NESTING_LIMIT, Scope};
use crate::constant::{Constant, Fault};
use crate::hir::{ExprId, ExprKind};
use crate::relate::{Fit, Misfit};
use crate::ty::{Origin, RecordId, Ty, TyKind};

/// The rule that expects a type: where to point when a value breaks it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    None,
    /// A field of a record.
    Field(RecordId, u32),
    /// A declaration in a source.
    At(Span),
}

/// What is expected of an expression.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want {
    pub(crate) ty: Ty,
    pub(crate) rule: Rule,
}

impl Want {
    pub(crate) fn new(ty: Ty) -> Want {
        Want {
            ty,
            rule: Rule::None,
        }
    }

    pub(crate) fn at(ty: Ty, span: Span) -> Want {
        Want {
            ty,
            rule: Rule::At(span),
        }
    }

    /// The same rule for a part of the value.
    pub(crate) fn part(self, ty: Ty) -> Want {
        Want {
            ty,
            rule: self.rule,
        }
    }
}

impl<'a> Checker<'a> {
    /// Checks an expression against an expected type.
    pub(crate) fn check(&mut self, sc: &mut Scope, e: &'a Expr, want: Want) -> ExprId {
        if !self.enter(e) {
            return self.error;
        }
        self.note_want(e.span, want.ty);
        let id = self.check_inner(sc, e, want);
        self.nested -= 1;
        self.note_expr(e.span, self.hir.ty(id));
        id
    }

    /// Goes one level deeper; not past the limit.
    fn enter(&mut self, e: &Expr) -> bool {
        if self.nested >= NESTING_LIMIT {
            if self.nested == NESTING_LIMIT && !self.told_nesting {
                self.told_nesting = true;
                self.report(
                    Diagnostic::error("E0004", "this is nested too deeply")
                        .label(e.span, format!("{NESTING_LIMIT} levels deep"))
                        .help("give a part of it a name: `let part = …`"),
                );
            }
            return false;
        }
        self.nested += 1;
        true
    }

    fn check_inner(&mut self, sc: &mut Scope, e: &'a Expr, want: Want) -> ExprId {
        match &e.kind {
            Ast::Error => self.error,
            Ast::Record(record) => {
                self.note_braces(record.span, want.ty);
                let members = self.members(&record.members);
                self.construct(sc, want, &members, record.span)
            }
            Ast::List(elements) => self.check_list(sc, elements, want, e.span),
            Ast::If {
                condition,
                then,
                otherwise,
            } => self.check_if(
                sc,
                condition,
                then,
                otherwise.as_deref(),
                Some(want),
                e.span,
            ),
            Ast::Match { value, arms } => self.check_match(sc, value, arms, Some(want), e.span),
            Ast::Let { binding, body } => self.check_let(sc, binding, body, Some(want), e.span),
            Ast::Lambda { params, body } => self.lambda(sc, params, body, Some(want), e.span).0,
            Ast::Unit(unit) => self.unit(unit, Some(want.ty), want, e.span),
            Ast::Binary { .. }
                if matches!(self.kind(want.ty), TyKind::Quantity | TyKind::Duration) =>
            {
                let plain = self.types.without_extra(want.ty);
                let id = self.infer_hinted(sc, e, plain);
                self.coerce(id, want)
            }
            _ => {
                let id = self.infer_hinted(sc, e, want.ty);
                self.coerce(id, want)
            }
        }
    }

    /// Finds the type of an expression; the expected type only helps to choose an instance of a generic.
    pub(super) fn infer_hinted(&mut self, sc: &mut Scope, e: &'a Expr, hint: Ty) -> ExprId {
        match &e.kind {
            Ast::Call { callee, args } => self.call(sc, callee, args, Some(hint), e.span),
            Ast::Amend { base, body } => self.amend_expr(sc, base, body, Some(hint), e.span),
            Ast::Binary {
                op,
                op_span,
                left,
                right,
            } => self.binary(sc, (*op, *op_span), left, right, Some(hint), e.span),
            // What is expected tells whether a word without quotes may be a text.
            Ast::Name(name) => self.name(sc, *name, Some(hint), e.span),
            _ => self.infer(sc, e),
        }
    }

    /// Finds the type of an expression.
    pub(crate) fn infer(&mut self, sc: &mut Scope, e: &'a Expr) -> ExprId {
        if !self.enter(e) {
            return self.error;
        }
        let id = self.infer_inner(sc, e);
        self.nested -= 1;
        self.note_expr(e.span, self.hir.ty(id));
        id
    }

    fn infer_inner(&mut self, sc: &mut Scope, e: &'a Expr) -> ExprId {
        let span = e.span;
        match &e.kind {
            Ast::Error => self.error,
            Ast::Null => self.add(ExprKind::Null, Ty::NULL, span),
            Ast::Bool(value) => self.add(ExprKind::Bool(*value), Ty::BOOL, span),
            Ast::Int(value) => self.add(ExprKind::Int(*value), Ty::INT, span),
            Ast::Float(value) => self.add(ExprKind::Float(*value), Ty::FLOAT, span),
            Ast::Unit(unit) => self.unit(unit, None, Want::new(Ty::QUANTITY), span),
            Ast::Str(text) | Ast::Regex(text) => {
                self.add(ExprKind::Str(Arc::from(&**text)), Ty::STRING, span)
            }
            Ast::Interp(parts) => self.interp(sc, parts, span),
            Ast::Name(name) => self.name(sc, *name, None, span),
            Ast::Field {
                base,
                name,
                is_safe: _,
            } => self.field_expr(sc, base, *name, span),
            Ast::Index { base, selector } => self.index_expr(sc, base, selector, span),
            Ast::Call { callee, args } => self.call(sc, callee, args, None, span),
            Ast::Amend { base, body } => self.amend_expr(sc, base, body, None, span),
            Ast::Record(record) => {
                let members = self.members(&record.members);
                self.construct_free(sc, &members, record.span)
            }
            Ast::List(elements) => self.infer_list(sc, elements, span),
            Ast::If {
                condition,
                then,
                otherwise,
            } => self.check_if(sc, condition, then, otherwise.as_deref(), None, span),
            Ast::Match { value, arms } => self.check_match(sc, value, arms, None, span),
            Ast::Let { binding, body } => self.check_let(sc, binding, body, None, span),
            Ast::Lambda { params, body } => self.lambda(sc, params, body, None, span).0,
            Ast::Unary { op, operand } => self.unary(sc, *op, operand, span),
            Ast::Binary {
                op,
                op_span,
                left,
                right,
            } => self.binary(sc, (*op, *op_span), left, right, None, span),
            Ast::Range {
                low,
                high,
                is_inclusive,
            } => self.range(sc, low.as_deref(), high.as_deref(), *is_inclusive, span),
        }
    }

    /// Makes a value fit what is expected, or reports that it does not.
    pub(crate) fn coerce(&mut self, id: ExprId, want: Want) -> ExprId {
        let from = self.hir.ty(id);
        let span = self.hir.span(id);
        if from == Ty::ERROR || want.ty == Ty::ERROR || from == want.ty {
            return id;
        }
        let plain = self.types.without_optional(want.ty);
        if let TyKind::Secret(_) = self.kind(plain)
            && !matches!(
                self.kind(self.types.without_optional(from)),
                TyKind::Secret(_) | TyKind::Null | TyKind::Any | TyKind::Never
            )
        {
            let why = match self.holds_secret(from, 0) {
                true => Misfit::Type,
                false => Misfit::Plain,
            };
            return self.mismatch(id, want, why);
        }
        if let Some(constant) = self.constant(id) {
            let plain = self.types.without_optional(want.ty);
            let tried = match self.kind(plain).clone() {
                TyKind::Union(members) => self.constant_in_union(&constant, &members, span),
                _ => self.constant_as(&constant, plain, span),
            };
            match tried {
                Some(Ok(made)) => return made,
                Some(Err(fault)) => return self.fault(fault, id, want),
                None => {}
            }
        }
        let mut fit = self.fit(from, want.ty);
        // Arithmetic knows the bounds of its result better than its type does.
        if fit == Fit::Check
            && let (Some(range), TyKind::Int(bounds)) = (
                self.int_range_of(id),
                self.kind(self.types.without_optional(want.ty)),
            )
            && bounds.covers(range)
        {
            fit = Fit::Proven;
        }
        let rule = self.rule_span(want.rule);
        match fit {
            Fit::Proven => id,
            Fit::Check => self.add(ExprKind::Check(id, want.ty, rule), want.ty, span),
            Fit::Convert => self.add(ExprKind::Convert(id, want.ty, rule), want.ty, span),
            Fit::No(why) => self.mismatch(id, want, why),
        }
    }

    /// A constant where one of several types is expected: the first that it fits; a broken rule only when no other fits.
    fn constant_in_union(
        &mut self,
        value: &Constant,
        members: &[Ty],
        span: Span,
    ) -> Option<Result<ExprId, Fault>> {
        let mut first = None;
        for member in members {
            match self.constant_as(value, *member, span) {
                Some(Ok(made)) => return Some(Ok(made)),
                Some(Err(fault)) if first.is_none() => first = Some(Err(fault)),
                _ => {}
            }
        }
        let plain = |ty: &Ty| self.fit_of_constant(value, *ty);
        if members.iter().any(plain) {
            return None;
        }
        // Of several literals all are named.
        let literals: Option<Vec<String>> = members
            .iter()
            .map(|ty| matches!(self.kind(*ty), TyKind::Literal(_)).then(|| self.show(*ty)))
            .collect();
        match (first, literals) {
            (Some(Err(_)), Some(literals)) => Some(Err(crate::constant::not_a_member(
                &value.show(),
                &literals.join(", "),
                None,
            ))),
            (first, _) => first,
        }
    }

    fn fit_of_constant(&self, value: &Constant, ty: Ty) -> bool {
        matches!(
            (value, self.kind(ty)),
            (Constant::Bool(_), TyKind::Bool)
                | (Constant::Null, TyKind::Null)
                | (Constant::Quantity(_), TyKind::Quantity)
                | (Constant::Duration(_), TyKind::Duration)
        )
    }

    /// Where the rule stands, when it stands in a source.
    pub(crate) fn rule_span(&self, rule: Rule) -> Option<Span> {
        match rule {
            Rule::None => None,
            Rule::At(span) => Some(span),
            Rule::Field(record, at) => self.types.record(record).fields.get(at as usize)?.span,
        }
    }

    /// Adds the place of the rule, or a sentence about it when it stands in no source.
    pub(crate) fn with_rule(&self, diagnostic: Diagnostic, want: Want) -> Diagnostic {
        match want.rule {
            Rule::None => diagnostic,
            Rule::At(span) => {
                diagnostic.label(span, format!("`{}` is expected here", self.show(want.ty)))
            }
            Rule::Field(record, at) => {
                let def = self.types.record(record);
                let Some(field) = def.fields.get(at as usize) else {
                    return diagnostic;
                };
                let shown = self.show(field.ty);
                match field.span {
                    Some(span) => diagnostic.label(span, format!("`{}` is `{shown}`", field.name)),
                    None => match def.origin {
                        Origin::App => diagnostic,
                        _ => diagnostic
                            .note(format!("`{}` of {} is `{shown}`", field.name, def.name)),
                    },
                }
            }
        }
    }

    /// The field that a rule is about, as the beginning of a sentence.
    fn subject(&self, rule: Rule) -> String {
        let Rule::Field(record, at) = rule else {
            return String::new();
        };
        let field = self.types.record(record).fields.get(at as usize);
        field.map(|f| format!("`{}`: ", f.name)).unwrap_or_default()
    }

    /// Reports a constant that breaks a rule.
    pub(crate) fn fault(&mut self, fault: Fault, id: ExprId, want: Want) -> ExprId {
        let span = self.hir.span(id);
        let subject = self.subject(want.rule);
        let mut diagnostic = Diagnostic::error(fault.code, format!("{subject}{}", fault.message))
            .label(span, fault.label);
        diagnostic = self.with_rule(diagnostic, want);
        diagnostic.help = fault.help;
        // A constant of another place: show where its value comes from.
        if let ExprKind::Let(from) = self.hir.kind(id)
            && let Some(item) = self.lets.get(from.index())
        {
            diagnostic = diagnostic.label(item.value.span, "the value comes from here");
        }
        self.report(diagnostic);
        self.error
    }

    /// Reports a value of the wrong type.
    pub(crate) fn mismatch(&mut self, id: ExprId, want: Want, why: Misfit) -> ExprId {
        let from = self.hir.ty(id);
        let span = self.hir.span(id);
        let (found, expected) = (self.show(from), self.show(want.ty));
        let constant = self.constant(id);
        let diagnostic = match why {
            Misfit::Secret => Diagnostic::error(
                "E0207",
                format!("a secret cannot become a plain `{expected}`"),
            )
            .label(span, format!("this is `{found}`"))
            .help("refer to it by a Secret object, or give the field the type `Secret<…>`"),
            Misfit::Plain => Diagnostic::error("E0803", "a secret is written in the clear")
                .label(span, "everybody who reads the repository reads this")
                .help(
                    "encrypt it with `ordain secret set secrets/app.enc.yaml KEY`, and write \
                     `use secrets \"secrets/app.enc.yaml\" as vault` and `vault.KEY`",
                ),
            Misfit::Absent if constant == Some(Constant::Null) => {
                Diagnostic::error("E0214", format!("null where a `{expected}` is needed"))
                    .label(span, "absent")
                    .help("give a value")
            }
            Misfit::Absent => Diagnostic::error(
                "E0214",
                format!("this may be absent, a `{expected}` is needed"),
            )
            .label(span, format!("this is `{found}`"))
            .help("say what is meant when it is absent: `… ?? value`"),
            Misfit::Range => Diagnostic::error("E0203", format!("no `{found}` is a `{expected}`"))
                .label(span, format!("this is `{found}`")),
            Misfit::Type => {
                let label = match &constant {
                    Some(value) if *value != Constant::Null => {
                        format!("{} is of type {found}", value.show())
                    }
                    _ => format!("this is `{found}`"),
                };
                let subject = self.subject(want.rule);
                let diagnostic = Diagnostic::error(
                    "E0202",
                    format!("{subject}expected `{expected}`, found `{found}`"),
                )
                .label(span, label);
                let seconds = self.seconds_help(want, constant.as_ref());
                match seconds.or_else(|| self.conversion_help(from, want.ty, constant.as_ref())) {
                    Some(help) => diagnostic.help(help),
                    None => diagnostic,
                }
            }
        };
        let diagnostic = self.with_rule(diagnostic, want);
        self.report(diagnostic);
        self.error
    }

    /// What to do about a duration where a field counts seconds.
    fn seconds_help(&self, want: Want, value: Option<&Constant>) -> Option<String> {
        let (Some(Constant::Duration(nanos)), Rule::Field(record, at)) = (value, want.rule) else {
            return None;
        };
        let field = self.types.record(record).fields.get(at as usize)?;
        let counts = field
            .name
            .as_str()
            .to_ascii_lowercase()
            .ends_with("seconds");
        (counts && nanos % 1_000_000_000 == 0)
            .then(|| format!("it counts seconds: write `{}`", nanos / 1_000_000_000))
    }

    /// What to do about a value of the wrong type.
    fn conversion_help(&self, from: Ty, to: Ty, value: Option<&Constant>) -> Option<String> {
        let to = self.types.without_optional(to);
        Some(match (self.kind(from), self.kind(to), value) {
            (TyKind::Fn(params, ret), _, _) if !matches!(self.fit(*ret, to), Fit::No(_)) => {
                match params.is_empty() {
                    true => "call it: `…()`".into(),
                    false => "call it with its arguments: `…(…)`".into(),
                }
            }
            (TyKind::Secret(_), TyKind::Union(_), _) => {
                "write `.base64()`, or set `stringData` instead".into()
            }
            (_, TyKind::Int(_), Some(Constant::Str(text))) if text.parse::<i64>().is_ok() => {
                format!("remove the quotes: `{text}`")
            }
            (_, TyKind::Bool, Some(Constant::Str(text))) if matches!(&**text, "true" | "false") => {
                format!("remove the quotes: `{text}`")
            }
            (_, TyKind::Int(_), Some(Constant::Str(_))) => "write a whole number".into(),
            (TyKind::Optional(_), TyKind::Bool, _) => {
                "ask whether it is there: `… != null`".into()
            }
            (_, TyKind::Bool, Some(_)) => "write `true` or `false`".into(),
            (_, TyKind::Int(_), Some(Constant::Float(_))) => "write a whole number".into(),
            (_, TyKind::Int(_), Some(Constant::Quantity(text))) => {
                format!("write a plain number, not the quantity `{text}`")
            }
            (
                _,
                TyKind::String(_) | TyKind::Enum(_),
                Some(
                    Constant::Int(_)
                    | Constant::Bool(_)
                    | Constant::Float(_)
                    | Constant::Quantity(_)
                    | Constant::Duration(_),
                ),
            ) => {
                format!(
                    "write it in quotes: \"{}\"",
                    value.map(Constant::show).unwrap_or_default()
                )
            }
            (
                TyKind::Int(_)
                | TyKind::Bool
                | TyKind::Float(_)
                | TyKind::Quantity
                | TyKind::Duration,
                TyKind::String(_),
                None,
            ) => "make it a string: `\"{…}\"`".into(),
            (_, TyKind::List(list), _) if !matches!(self.kind(from), TyKind::List(_)) => {
                let _ = list;
                "write a list: `[…]`".into()
            }
            (TyKind::List(_), TyKind::Map(..), _) => "write a map: `{ key = value }`".into(),
            (TyKind::List(list), _, _) => match self.fit(list.item, to) {
                Fit::No(_) => "one value is meant, not a list".into(),
                _ => "one value is meant, not a list; in a list, write `...` in front to add all its elements".into(),
            },
            (TyKind::Record(a), TyKind::Record(b), _) => return self.record_misfit(*a, *b),
            (TyKind::Int(_) | TyKind::Float(_), TyKind::Duration, Some(value)) => {
                format!("write a unit: `{}s`", value.show())
            }
            (_, TyKind::Record(_), Some(_)) => "write its fields in braces: `{ … }`".into(),
            (TyKind::Object, TyKind::Record(_), _) => {
                "pick the kind: `….of(k8s.Deployment)`".into()
            }
            _ => return None,
        })
    }

    /// What keeps a record without a name from being one of a type.
    fn record_misfit(&self, from: RecordId, to: RecordId) -> Option<String> {
        let (from, to) = (self.types.record(from), self.types.record(to));
        if from.origin != Origin::Anonymous {
            return None;
        }
        for field in &from.fields {
            let Some(at) = to.field(field.name) else {
                return Some(format!("{} has no field `{}`", to.name, field.name));
            };
            let wanted = to.fields[at as usize].ty;
            if let Fit::No(_) = self.fit(field.ty, wanted) {
                let (found, wanted) = (self.show(field.ty), self.show(wanted));
                return Some(format!(
                    "its `{}` is `{found}`, `{wanted}` is needed",
                    field.name
                ));
            }
        }
        let missing = to.required.iter().map(|at| to.fields[*at as usize].name);
        let missing = missing
            .into_iter()
            .find(|name| from.field(*name).is_none())?;
        Some(format!("add `{missing}`"))
    }
}
