//! Statements of tests and policies.

use super::Parser;
use super::record::Body;
use crate::ast::{Expr, Stmt, StmtKind};
use crate::kind::{NodeKind, TokenKind as T};

impl Parser<'_> {
    /// `{ statements }`.
    pub(super) fn stmts(&mut self) -> Vec<Stmt> {
        let start = self.start();
        let open = self.here();
        let mut stmts = Vec::new();
        if self.enter() {
            if self.expect(T::LBrace) {
                self.sequence(T::RBrace, "a statement", |parser| stmts.push(parser.stmt()));
                self.close(open, T::RBrace);
                self.finish(start, NodeKind::Block);
            }
            self.leave();
        }
        stmts
    }

    fn stmt(&mut self) -> Stmt {
        let start = self.start();
        let (kind, node) = match self.peek() {
            T::Let => (StmtKind::Let(self.binding()), NodeKind::Let),
            T::Assert => return self.assert_stmt(),
            T::Snapshot => {
                self.bump();
                (StmtKind::Snapshot(self.expr()), NodeKind::Snapshot)
            }
            T::Must => {
                self.bump();
                self.expect(T::Fail);
                let code = (self.peek() == T::Quote).then(|| self.plain_string("a code"));
                let body = self.record(Body::Plain);
                (StmtKind::MustFail { code, body }, NodeKind::MustFail)
            }
            T::For => {
                self.bump();
                let (clauses, condition) = self.for_clauses();
                let body = self.stmts();
                (
                    StmtKind::For {
                        clauses,
                        condition,
                        body,
                    },
                    NodeKind::For,
                )
            }
            T::If => return self.if_stmt(),
            T::Deny | T::Warn => {
                let is_warning = self.bump().kind == T::Warn;
                let condition = self.eat(T::If).then(|| self.condition());
                let message = match &condition {
                    Some(_) => self.message(),
                    None => Some(self.expr()),
                };
                (
                    StmtKind::Deny {
                        is_warning,
                        condition,
                        message,
                    },
                    NodeKind::Deny,
                )
            }
            _ => {
                self.unexpected(
                    "a statement (assert, snapshot, must fail, deny, warn, let, for or if)",
                );
                (StmtKind::Error, NodeKind::Error)
            }
        };
        let span = self.finish(start, node);
        Stmt {
            id: self.id(),
            span,
            kind,
        }
    }

    fn assert_stmt(&mut self) -> Stmt {
        let assert = self.assert();
        Stmt {
            id: self.id(),
            span: assert.span,
            kind: StmtKind::Assert(assert),
        }
    }

    fn if_stmt(&mut self) -> Stmt {
        let start = self.start();
        self.bump();
        let condition = self.head();
        let then = self.stmts();
        let otherwise = if self.eat(T::Else) {
            if self.peek() == T::If && self.enter() {
                let nested = self.if_stmt();
                self.leave();
                vec![nested]
            } else {
                self.stmts()
            }
        } else {
            Vec::new()
        };
        let span = self.finish(start, NodeKind::If);
        Stmt {
            id: self.id(),
            span,
            kind: StmtKind::If {
                condition,
                then,
                otherwise,
            },
        }
    }

    /// The message after a comma, if there is one.
    pub(super) fn message(&mut self) -> Option<Expr> {
        // A comma also separates members; a message is a string on the same line or the next.
        (self.peek() == T::Comma && self.peek_at(1) == T::Quote && self.eat(T::Comma))
            .then(|| self.expr())
    }
}
