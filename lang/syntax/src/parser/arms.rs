//! `match`: its arms and their patterns.

use super::Parser;
use crate::ast::{Arm, Expr, ExprKind, Pattern, PatternKind};
use crate::kind::{NodeKind, TokenKind as T};

impl Parser<'_> {
    /// Reads `match value { pattern => value }`.
    pub(super) fn match_expr(&mut self) -> ExprKind {
        self.bump();
        let value = Box::new(self.head());
        let open = self.here();
        let mut arms = Vec::new();
        if self.expect(T::LBrace) {
            self.sequence(T::RBrace, "an arm", |parser| {
                let start = parser.start();
                let mut patterns = vec![parser.pattern()];
                while parser.eat(T::Pipe) {
                    patterns.push(parser.pattern());
                }
                let guard = parser.eat(T::If).then(|| parser.head());
                parser.expect(T::FatArrow);
                let body = parser.expr();
                parser.finish(start, NodeKind::Arm);
                arms.push(Arm {
                    patterns,
                    guard,
                    body,
                });
            });
            self.close(open, T::RBrace);
        }
        ExprKind::Match { value, arms }
    }

    fn pattern(&mut self) -> Pattern {
        let start = self.start();
        let kind = match self.peek() {
            _ if self.is_lost => PatternKind::Error,
            T::Quote
            | T::Int
            | T::Float
            | T::Unit
            | T::Minus
            | T::True
            | T::False
            | T::Null
            | T::DotDot
            | T::DotDotEq => {
                let is_range = |kind: T| matches!(kind, T::DotDot | T::DotDotEq);
                let low = (!is_range(self.peek())).then(|| self.literal());
                let kind = self.peek();
                match low {
                    Some(value) if !is_range(kind) => PatternKind::Value(value),
                    low => {
                        self.bump();
                        let high = matches!(self.peek(), T::Int | T::Float | T::Unit | T::Minus)
                            .then(|| Box::new(self.literal()));
                        let span = self.finish(start, NodeKind::Range);
                        let kind = ExprKind::Range {
                            low: low.map(Box::new),
                            high,
                            is_inclusive: kind == T::DotDotEq,
                        };
                        let id = self.id();
                        PatternKind::Value(Expr { id, span, kind })
                    }
                }
            }
            kind if kind.is_word() && !kind.is_reserved() => {
                let text = self.text(self.token()).to_owned();
                if text == "_" {
                    self.bump();
                    PatternKind::Any
                } else if self.peek_at(1) == T::Dot
                    || text.starts_with(|first: char| first.is_ascii_uppercase())
                {
                    let ty = self.ty_pattern();
                    let name = self.eat(T::As).then(|| self.ident("a name"));
                    PatternKind::Type(ty, name)
                } else {
                    PatternKind::Bind(self.ident("a name"))
                }
            }
            _ => {
                self.unexpected("a pattern");
                PatternKind::Error
            }
        };
        let span = self.finish(start, NodeKind::Pattern);
        Pattern {
            id: self.id(),
            span,
            kind,
        }
    }
}
