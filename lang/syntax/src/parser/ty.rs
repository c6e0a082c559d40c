//! Types, record types and their fields.

use super::Parser;
use crate::ast::{
    Assert, ExprKind, FieldDecl, Ident, NamePath, RecordType, Refinement, TypeExpr, TypeKind,
};
use crate::kind::{NodeKind, TokenKind as T};
use crate::{Diagnostic, Name};

impl Parser<'_> {
    /// Reads a type.
    pub(super) fn ty(&mut self) -> TypeExpr {
        let start = self.start();
        if !self.enter() {
            return self.error_type();
        }
        self.eat(T::Pipe);
        let first = self.postfix_type();
        let ty = if self.peek() == T::Pipe && !self.is_lost {
            let mut members = Vec::new();
            let mut push = |ty: TypeExpr| match ty.kind {
                TypeKind::Union(inner) => members.extend(inner),
                _ => members.push(ty),
            };
            push(first);
            while self.eat(T::Pipe) {
                push(self.postfix_type());
            }
            let span = self.finish(start, NodeKind::UnionType);
            TypeExpr {
                id: self.id(),
                span,
                kind: TypeKind::Union(members),
            }
        } else {
            first
        };
        self.leave();
        ty
    }

    /// A type in a pattern, where `|` separates alternatives.
    pub(super) fn ty_pattern(&mut self) -> TypeExpr {
        self.postfix_type()
    }

    fn error_type(&mut self) -> TypeExpr {
        let span = self.before();
        TypeExpr {
            id: self.id(),
            span,
            kind: TypeKind::Error,
        }
    }

    fn postfix_type(&mut self) -> TypeExpr {
        let start = self.start();
        let mut ty = self.atom_type();
        let mut marks = 0;
        while matches!(self.peek(), T::Question | T::Coalesce) && self.same_line() && !self.is_lost
        {
            self.bump();
            marks += 1;
            if marks == 1 {
                let span = self.finish(start, NodeKind::OptionalType);
                ty = TypeExpr {
                    id: self.id(),
                    span,
                    kind: TypeKind::Optional(Box::new(ty)),
                };
            }
        }
        ty
    }

    fn atom_type(&mut self) -> TypeExpr {
        let start = self.start();
        if self.is_lost {
            return self.error_type();
        }
        let kind = match self.peek() {
            T::LBrace => {
                let record = self.record_type();
                return TypeExpr {
                    id: self.id(),
                    span: record.span,
                    kind: TypeKind::Record(record),
                };
            }
            T::LParen => return self.paren_type(),
            T::Quote | T::Int | T::Float | T::Unit | T::Minus | T::True | T::False | T::Null => {
                let value = self.literal();
                if matches!(value.kind, ExprKind::Interp(_)) {
                    self.report(
                        Diagnostic::error("E0013", "a literal type must be a plain string")
                            .label(value.span, "an expression stands in it"),
                    );
                }
                let span = self.finish(start, NodeKind::LiteralType);
                return TypeExpr {
                    id: self.id(),
                    span,
                    kind: TypeKind::Literal(Box::new(value)),
                };
            }
            kind if kind.is_word() && !kind.is_reserved() => {
                let path = self.name_path("a type");
                let args = self.type_args();
                let refinements = self.refinements();
                TypeKind::Named {
                    path,
                    args,
                    refinements,
                }
            }
            _ => {
                self.unexpected("a type");
                return self.error_type();
            }
        };
        let span = self.finish(start, NodeKind::NamedType);
        TypeExpr {
            id: self.id(),
            span,
            kind,
        }
    }

    /// `a.b.c`.
    pub(super) fn name_path(&mut self, expected: &str) -> NamePath {
        let first = self.ident(expected);
        let mut parts = vec![first];
        while self.peek() == T::Dot && self.eat(T::Dot) {
            parts.push(self.ident("a name"));
        }
        let span = first.span.to(parts[parts.len() - 1].span);
        NamePath { parts, span }
    }

    fn type_args(&mut self) -> Vec<TypeExpr> {
        let mut args = Vec::new();
        if self.peek() == T::Lt && self.same_line() {
            let start = self.start();
            self.eat(T::Lt);
            loop {
                args.push(self.ty());
                if !self.eat(T::Comma) {
                    break;
                }
            }
            self.expect(T::Gt);
            self.finish(start, NodeKind::TypeArgs);
        }
        args
    }

    fn refinements(&mut self) -> Vec<Refinement> {
        let mut refinements = Vec::new();
        if self.peek() == T::LParen && self.same_line() && !self.is_lost {
            let start = self.start();
            let open = self.here();
            self.bump();
            self.sequence(
                T::RParen,
                "a range, a regular expression or a literal",
                |parser| {
                    let start = parser.start();
                    let name = if parser.peek().is_word() && parser.peek_at(1) == T::Eq {
                        let name = parser.ident("a name");
                        parser.bump();
                        Some(name)
                    } else {
                        None
                    };
                    let value = parser.expr();
                    let span = parser.finish(start, NodeKind::Refinement);
                    refinements.push(Refinement {
                        id: parser.id(),
                        span,
                        name,
                        value,
                    });
                },
            );
            self.close(open, T::RParen);
            self.finish(start, NodeKind::Refinements);
        }
        refinements
    }

    /// `(A, B) -> C`, or a type in parentheses.
    fn paren_type(&mut self) -> TypeExpr {
        let start = self.start();
        let open = self.here();
        self.bump();
        let mut params = Vec::new();
        self.sequence(T::RParen, "a type", |parser| params.push(parser.ty()));
        self.close(open, T::RParen);
        if self.eat(T::Arrow) {
            let result = Box::new(self.postfix_type());
            let span = self.finish(start, NodeKind::FunctionType);
            return TypeExpr {
                id: self.id(),
                span,
                kind: TypeKind::Function { params, result },
            };
        }
        self.finish(start, NodeKind::ParenType);
        match (params.pop(), params.is_empty()) {
            (Some(ty), true) => ty,
            _ => {
                self.unexpected("`->`");
                self.error_type()
            }
        }
    }

    /// `{ fields and assertions }`.
    pub(super) fn record_type(&mut self) -> RecordType {
        let start = self.start();
        let open = self.here();
        let (mut fields, mut asserts) = (Vec::new(), Vec::new());
        if self.expect(T::LBrace) {
            self.sequence(T::RBrace, "a field", |parser| {
                let is_assert = parser.peek() == T::Assert
                    && !matches!(parser.peek_at(1), T::Colon | T::Question);
                if is_assert {
                    asserts.push(parser.assert());
                } else {
                    fields.push(parser.field_decl());
                }
            });
            self.close(open, T::RBrace);
        }
        let span = self.finish(start, NodeKind::RecordType);
        RecordType {
            fields,
            asserts,
            span,
        }
    }

    fn field_decl(&mut self) -> FieldDecl {
        let doc = self.doc();
        let start = self.start();
        let is_final = self.peek() == T::Final
            && (self.peek_at(1).is_word() || self.peek_at(1) == T::Quote)
            && self.eat(T::Final);
        let name = if self.peek() == T::Quote {
            let (text, span) = self.plain_string("a field name");
            Ident {
                name: Name::new(&text),
                span,
            }
        } else {
            self.ident("a field name")
        };
        let question = (self.peek() == T::Question).then(|| self.here());
        if let Some(span) = question {
            self.bump();
            self.report(
                Diagnostic::error(
                    "E0014",
                    "the mark of an optional field stands behind its type",
                )
                .label(span, "not here")
                .help(format!("write `{}: T?`", name.name)),
            );
        }
        let ty = if self.peek() == T::Eq && !self.is_lost {
            self.report(
                Diagnostic::error("E0008", format!("the field `{}` has no type", name.name))
                    .label(name.span, "declared here")
                    .help(format!("write `{}: Type = default`", name.name)),
            );
            self.error_type()
        } else {
            if self.peek().is_word() && self.same_line() && !self.is_lost {
                // `name Type`: what is meant is plain, so that only the colon is missed.
                self.unexpected(T::Colon.text());
                self.is_lost = false;
            } else {
                self.expect(T::Colon);
            }
            let ty = self.ty();
            match question {
                Some(span) => TypeExpr {
                    id: self.id(),
                    span: span.to(ty.span),
                    kind: TypeKind::Optional(Box::new(ty)),
                },
                None => ty,
            }
        };
        let default = self.eat(T::Eq).then(|| self.value_after_eq());
        let span = self.finish(start, NodeKind::FieldDecl);
        FieldDecl {
            id: self.id(),
            span,
            doc,
            is_final,
            name,
            ty,
            default,
        }
    }

    /// `assert condition, "message"`; the current token is `assert`.
    pub(super) fn assert(&mut self) -> Assert {
        let start = self.start();
        self.bump();
        let condition = self.condition();
        let message = self.message();
        let span = self.finish(start, NodeKind::Assert);
        Assert {
            id: self.id(),
            span,
            condition,
            message,
        }
    }
}
