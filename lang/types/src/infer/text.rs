//! Literals with units, and strings with expressions in them.

use std::sync::Arc;

use ordain_lang_syntax::ast::{Expr, ExprKind as ExprKindAst, StrPart, UnitClass, UnitLit};
use ordain_lang_syntax::{Diagnostic, Span};

use super::Want;
use crate::checker::{Checker, Scope};
use crate::hir::{ExprId, ExprKind, Part};
use crate::literal::{check_quantity, parse_duration};
use crate::ty::{Ty, TyKind};

impl<'a> Checker<'a> {
    /// A number with a unit, as the expected type reads it.
    pub(super) fn unit(
        &mut self,
        unit: &UnitLit,
        expected: Option<Ty>,
        want: Want,
        span: Span,
    ) -> ExprId {
        let expected = expected.map(|ty| match self.kind(ty) {
            TyKind::Optional(inner) | TyKind::Secret(inner) => *inner,
            _ => ty,
        });
        let duration = match unit.class {
            UnitClass::Duration => true,
            UnitClass::Quantity => false,
            UnitClass::Either => {
                expected.is_some_and(|ty| matches!(self.kind(ty), TyKind::Duration))
            }
        };
        let id = if duration {
            match parse_duration(&unit.text) {
                Ok(nanos) => self.add(ExprKind::Duration(nanos), Ty::DURATION, span),
                Err(why) => return self.bad_unit(&unit.text, "Duration", &why, span),
            }
        } else {
            match check_quantity(&unit.text) {
                Ok(()) => self.add(
                    ExprKind::Quantity(Arc::from(&*unit.text)),
                    Ty::QUANTITY,
                    span,
                ),
                Err(why) => return self.bad_unit(&unit.text, "Quantity", &why, span),
            }
        };
        match expected {
            Some(_) => self.coerce(id, want),
            None => id,
        }
    }

    pub(super) fn bad_unit(&mut self, text: &str, what: &str, why: &str, span: Span) -> ExprId {
        self.report(
            Diagnostic::error("E0213", format!("`{text}` is no {what}: {why}"))
                .label(span, format!("no {what}")),
        );
        self.error
    }

    pub(super) fn interp(&mut self, sc: &mut Scope, parts: &'a [StrPart], span: Span) -> ExprId {
        let mut made = Vec::with_capacity(parts.len());
        let mut failed = false;
        // A text with a secret in it is one.
        let mut secret = false;
        for part in parts {
            match part {
                StrPart::Text(text) => made.push(Part::Text(Arc::from(&**text))),
                StrPart::Expr(e) => {
                    let said = self.diagnostics.len();
                    let id = self.infer(sc, e);
                    self.perhaps_a_brace(e, said);
                    match self.kind(self.hir.ty(id)) {
                        TyKind::Secret(inner) if self.is_scalar(*inner) => secret = true,
                        _ => failed |= !self.printable(id),
                    }
                    made.push(Part::Expr(id));
                }
            }
        }
        let ty = match (failed, secret) {
            (true, _) => Ty::ERROR,
            (_, true) => self.types.intern(TyKind::Secret(Ty::STRING)),
            _ => Ty::STRING,
        };
        self.add(ExprKind::Interp(made.into()), ty, span)
    }

    /// A name that nobody knows may be no name: text pasted from elsewhere has braces too.
    fn perhaps_a_brace(&mut self, e: &Expr, said: usize) {
        if let ExprKindAst::Name(_) = e.kind
            && let Some(first) = self.diagnostics.get_mut(said)
            && first.code == "E0101"
        {
            let literal = "for a literal brace, write `\\{`";
            first.help = Some(match first.help.take() {
                Some(help) => format!("{help} Or, {literal}"),
                None => literal.to_owned(),
            });
        }
    }

    fn is_scalar(&self, ty: Ty) -> bool {
        matches!(
            self.kind(ty),
            TyKind::Int(_) | TyKind::Float(_) | TyKind::Bool | TyKind::String(_) | TyKind::Enum(_)
        )
    }

    /// Whether a value can stand in a string; reports when it cannot.
    pub(crate) fn printable(&mut self, id: ExprId) -> bool {
        let ty = self.hir.ty(id);
        let span = self.hir.span(id);
        let shown = self.show(ty);
        let diagnostic = match self.kind(ty) {
            TyKind::Error => return false,
            TyKind::Int(_)
            | TyKind::Float(_)
            | TyKind::Bool
            | TyKind::String(_)
            | TyKind::Enum(_)
            | TyKind::Literal(_)
            | TyKind::Quantity
            | TyKind::Duration
            | TyKind::Time
            | TyKind::MicroTime
            | TyKind::IntOrString
            | TyKind::Any
            | TyKind::Never
            | TyKind::Param(_) => return true,
            TyKind::Optional(_) | TyKind::Null => {
                Diagnostic::error("E0214", "this may be absent, a string needs a value")
                    .label(span, format!("this is `{shown}`"))
                    .help("say what is meant when it is absent: `{… ?? \"\"}`")
            }
            TyKind::Secret(_) => {
                Diagnostic::error("E0207", "a secret cannot become part of a string")
                    .label(span, format!("this is `{shown}`"))
                    .help("refer to it by a Secret object")
            }
            TyKind::Union(members) => {
                let all = members.iter().all(|m| {
                    matches!(
                        self.kind(*m),
                        TyKind::Int(_)
                            | TyKind::Float(_)
                            | TyKind::Bool
                            | TyKind::String(_)
                            | TyKind::Enum(_)
                            | TyKind::Literal(_)
                    )
                });
                if all {
                    return true;
                }
                Diagnostic::error("E0220", format!("`{shown}` cannot stand in a string"))
                    .label(span, "here")
            }
            _ => Diagnostic::error("E0220", format!("`{shown}` cannot stand in a string"))
                .label(span, format!("this is `{shown}`"))
                .help("pick a field of it, or write `.to_json()`"),
        };
        self.report(diagnostic);
        false
    }
}
