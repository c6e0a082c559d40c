//! Expressions with operators, by precedence climbing.

use super::Parser;
use crate::ast::{BinaryOp, Expr, ExprKind, UnaryOp};
use crate::kind::{NodeKind, TokenKind as T};
use crate::parser::MAX_DEPTH;
use crate::{Diagnostic, Span};

/// How tightly comparisons bind; they do not chain.
const COMPARE: u8 = 5;
/// How tightly `..` binds: looser than `+`, tighter than comparisons.
const RANGE: u8 = 7;
/// How tightly a prefix `not` binds: looser than comparisons.
const NOT: u8 = 4;

/// The operator that a token is, and how tightly it binds.
fn operator(kind: T) -> Option<(BinaryOp, u8)> {
    Some(match kind {
        T::Or | T::PipePipe => (BinaryOp::Or, 2),
        T::And | T::AmpAmp => (BinaryOp::And, 3),
        T::EqEq => (BinaryOp::Eq, COMPARE),
        T::Ne => (BinaryOp::Ne, COMPARE),
        T::Lt => (BinaryOp::Lt, COMPARE),
        T::Le => (BinaryOp::Le, COMPARE),
        T::Gt => (BinaryOp::Gt, COMPARE),
        T::Ge => (BinaryOp::Ge, COMPARE),
        T::In => (BinaryOp::In, COMPARE),
        T::Coalesce => (BinaryOp::Coalesce, 6),
        T::Plus => (BinaryOp::Add, 8),
        T::Minus => (BinaryOp::Sub, 8),
        T::Star => (BinaryOp::Mul, 9),
        T::Slash => (BinaryOp::Div, 9),
        T::Percent => (BinaryOp::Rem, 9),
        _ => return None,
    })
}

/// The type in `Box<Int> { … }`, which reads as a comparison.
fn generic_name(left: &Expr) -> Option<&'static str> {
    let ExprKind::Binary {
        op: BinaryOp::Lt,
        left,
        ..
    } = &left.kind
    else {
        return None;
    };
    match &left.kind {
        ExprKind::Name(name) if name.starts_with(|c: char| c.is_ascii_uppercase()) => {
            Some(name.as_str())
        }
        _ => None,
    }
}

impl Parser<'_> {
    /// Reads an expression.
    pub(super) fn expr(&mut self) -> Expr {
        self.expr_above(0)
    }

    pub(super) fn error_expr(&mut self) -> Expr {
        let span = self.before();
        Expr {
            id: self.id(),
            span,
            kind: ExprKind::Error,
        }
    }

    /// Expects the `else` of a value.
    pub(super) fn expect_else(&mut self) {
        if !self.eat(T::Else) && !self.is_lost {
            let found = self.describe(self.token());
            let diagnostic = Diagnostic::error("E0001", format!("expected `else`, found {found}"))
                .label(self.before(), "a value otherwise is missing after this")
                .help("write `else …`, perhaps `else null`; in a list or a record, `if condition { … }` leaves it out");
            self.lose(diagnostic);
        }
    }

    /// `?[`, which other languages have. The `[` is read as ever.
    pub(super) fn question_index(&mut self) {
        let span = self.here();
        self.report(
            Diagnostic::error("E0001", "`?` stands before `.` only")
                .label(span, "here")
                .help("write `[…]` without it: what is chosen from something absent is absent"),
        );
        self.bump();
    }

    /// Reads an expression whose operators bind more tightly than `floor`.
    fn expr_above(&mut self, floor: u8) -> Expr {
        if !self.enter() {
            return self.error_expr();
        }
        let outer_height = std::mem::take(&mut self.height);
        let expr = self.climb(floor);
        self.height = outer_height.max(self.height + 1);
        if self.height > MAX_DEPTH {
            self.too_deep(expr.span);
        }
        self.leave();
        expr
    }

    fn climb(&mut self, floor: u8) -> Expr {
        let start = self.start();
        let mut left = self.prefix();
        let mut compared: Option<Span> = None;
        while !self.is_lost {
            let kind = self.peek();
            if matches!(kind, T::DotDot | T::DotDotEq) && floor < RANGE {
                self.bump();
                let high = self.range_end();
                let span = self.finish(start, NodeKind::Range);
                let is_inclusive = kind == T::DotDotEq;
                let low = Some(Box::new(left));
                left = self.grown(
                    span,
                    ExprKind::Range {
                        low,
                        high,
                        is_inclusive,
                    },
                );
                continue;
            }
            let Some((op, power)) = operator(kind) else {
                break;
            };
            if power <= floor || (kind == T::In && self.no_in) {
                break;
            }
            // At the beginning of a line `-` begins a value of its own, such as the next element of a list.
            if kind == T::Minus && self.token().new_line {
                break;
            }
            let op_span = self.here();
            if matches!(kind, T::AmpAmp | T::PipePipe) {
                let word = if op == BinaryOp::And { "and" } else { "or" };
                self.foreign_operator(op_span, word);
            }
            let mut chained = false;
            if power == COMPARE {
                if let Some(before) = compared {
                    chained = true;
                    let help = match generic_name(&left) {
                        Some(name) => format!(
                            "type arguments are found from the fields: write `{name} {{ … }}`, or `let x: {name}<…> = {{ … }}`"
                        ),
                        None => "write `a < b and b < c`".to_owned(),
                    };
                    self.report(
                        Diagnostic::error("E0012", "comparisons do not chain")
                            .label(op_span, "second comparison")
                            .label(before, "first comparison")
                            .help(help),
                    );
                }
                compared = Some(op_span);
            }
            self.bump();
            let right = Box::new(self.expr_above(power));
            let span = self.finish(start, NodeKind::Binary);
            // What a chain would mean is anybody's guess: no type follows from it.
            let kind = match chained {
                true => ExprKind::Error,
                false => ExprKind::Binary {
                    op,
                    op_span,
                    left: Box::new(left),
                    right,
                },
            };
            left = self.grown(span, kind);
        }
        left
    }

    /// Makes a node over what was read so far, one level higher.
    pub(super) fn grown(&mut self, span: Span, kind: ExprKind) -> Expr {
        self.height += 1;
        if self.height > MAX_DEPTH {
            self.too_deep(span);
        }
        Expr {
            id: self.id(),
            span,
            kind,
        }
    }

    fn foreign_operator(&mut self, span: Span, word: &str) {
        self.report(
            Diagnostic::error("E0011", format!("the operator is written `{word}`"))
                .label(span, "here")
                .help(format!("write `{word}`")),
        );
    }

    fn range_end(&mut self) -> Option<Box<Expr>> {
        let kind = self.peek();
        let begins = self.same_line()
            && (matches!(
                kind,
                T::Int | T::Float | T::Unit | T::Minus | T::LParen | T::Quote
            ) || (kind.is_word() && !kind.is_reserved()));
        begins.then(|| Box::new(self.expr_above(RANGE)))
    }

    fn prefix(&mut self) -> Expr {
        let start = self.start();
        let kind = self.peek();
        match kind {
            T::Minus => {
                // A negative literal is a literal, so that the least integer can be written.
                if matches!(self.peek_at(1), T::Int | T::Float) {
                    let literal = self.literal();
                    return self.postfix(start, literal);
                }
                self.bump();
                let operand = Box::new(self.expr_above(9));
                let span = self.finish(start, NodeKind::Unary);
                Expr {
                    id: self.id(),
                    span,
                    kind: ExprKind::Unary {
                        op: UnaryOp::Neg,
                        operand,
                    },
                }
            }
            T::Not | T::Bang => {
                if kind == T::Bang {
                    self.foreign_operator(self.here(), "not");
                }
                self.bump();
                let operand = Box::new(self.expr_above(NOT));
                let span = self.finish(start, NodeKind::Unary);
                Expr {
                    id: self.id(),
                    span,
                    kind: ExprKind::Unary {
                        op: UnaryOp::Not,
                        operand,
                    },
                }
            }
            T::DotDot | T::DotDotEq => {
                self.bump();
                let high = self.range_end();
                let span = self.finish(start, NodeKind::Range);
                let is_inclusive = kind == T::DotDotEq;
                Expr {
                    id: self.id(),
                    span,
                    kind: ExprKind::Range {
                        low: None,
                        high,
                        is_inclusive,
                    },
                }
            }
            _ => {
                let operand = self.operand();
                self.postfix(start, operand)
            }
        }
    }
}
