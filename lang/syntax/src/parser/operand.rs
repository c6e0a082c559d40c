//! Operands: literals, names, brackets, `if`, `match`, lambdas; and what may follow an operand.

use super::record::Body;
use super::{Parser, Start};
use crate::ast::{Arg, Element, Expr, ExprKind, Ident, Param, UnitLit};
use crate::kind::{NodeKind, TokenKind as T};
use crate::literal;
use crate::{Diagnostic, Name};

impl Parser<'_> {
    /// Reads an operand without what may follow it.
    pub(super) fn operand(&mut self) -> Expr {
        if self.is_lost {
            return self.error_expr();
        }
        if self.item_at_margin() || (self.brackets == 0 && self.item_at(self.at)) {
            let place = self
                .at
                .checked_sub(1)
                .map_or(self.here(), |at| self.span_of(self.tokens[at]));
            self.lose(
                Diagnostic::error("E0001", "expected a value, found the next item")
                    .label(place, "a value is missing after this"),
            );
            return self.error_expr();
        }
        let start = self.start();
        let (kind, node) = match self.peek() {
            T::Quote => return self.string(),
            T::Int | T::Float | T::Unit | T::True | T::False | T::Null => return self.literal(),
            T::Regex => (self.regex(), NodeKind::Literal),
            T::LBrace if self.template("a value") => return self.error_expr(),
            T::LBrace => {
                let record = self.record(Body::Plain);
                return Expr {
                    id: self.id(),
                    span: record.span,
                    kind: ExprKind::Record(record),
                };
            }
            T::LBracket => (self.list(), NodeKind::List),
            T::LParen if !self.no_brace && self.is_lambda() => (self.lambda(), NodeKind::Lambda),
            T::LParen => return self.paren(),
            T::If => (self.if_expr(), NodeKind::IfExpr),
            T::Match => (self.match_expr(), NodeKind::Match),
            T::Let => {
                let no_in = std::mem::replace(&mut self.no_in, true);
                let binding = Box::new(self.binding());
                self.no_in = no_in;
                self.expect(T::In);
                (
                    ExprKind::Let {
                        binding,
                        body: Box::new(self.expr()),
                    },
                    NodeKind::LetExpr,
                )
            }
            T::Fn if self.peek_at(1) == T::LParen => {
                self.bump();
                (self.lambda(), NodeKind::Lambda)
            }
            kind if kind.is_word() && !kind.is_reserved() => {
                // In a loop's head or an arm's guard the arrow begins what comes after it.
                if self.peek_at(1) == T::FatArrow && !self.no_brace {
                    let name = self.ident("a parameter");
                    self.bump();
                    let param = Param {
                        id: self.id(),
                        span: name.span,
                        name,
                        ty: None,
                        default: None,
                    };
                    let body = Box::new(self.expr());
                    (
                        ExprKind::Lambda {
                            params: vec![param],
                            body,
                        },
                        NodeKind::Lambda,
                    )
                } else {
                    let token = self.bump();
                    (ExprKind::Name(Name::new(self.text(token))), NodeKind::Name)
                }
            }
            _ => {
                self.unexpected("a value");
                return self.error_expr();
            }
        };
        let span = self.finish(start, node);
        Expr {
            id: self.id(),
            span,
            kind,
        }
    }

    /// Reads a literal, perhaps a negative number.
    pub(super) fn literal(&mut self) -> Expr {
        if self.peek() == T::Quote {
            return self.string();
        }
        let start = self.start();
        let minus = self.eat(T::Minus);
        let token = self.token();
        let mut text = self.text(token).to_owned();
        if minus {
            text.insert(0, '-');
        }
        let span = self.span_of(token);
        let kind = match token.kind {
            T::True => ExprKind::Bool(true),
            T::False => ExprKind::Bool(false),
            T::Null => ExprKind::Null,
            T::Int if literal::looks_octal(&text) => {
                self.octal(&text, span);
                ExprKind::Error
            }
            T::Int => literal::int(&text).map_or_else(
                || {
                    self.report(
                        Diagnostic::error("E0006", "the number does not fit 64 bits")
                            .label(span, "between -2^63 and 2^63 - 1"),
                    );
                    ExprKind::Error
                },
                ExprKind::Int,
            ),
            T::Float => literal::float(&text).map_or_else(
                || {
                    self.report(
                        Diagnostic::error("E0006", "the number is too large").label(span, ""),
                    );
                    ExprKind::Error
                },
                ExprKind::Float,
            ),
            T::Unit => {
                let plain: String = text.chars().filter(|c| *c != '_').collect();
                match literal::unit(plain.strip_prefix('-').unwrap_or(&plain)) {
                    Ok(class) => ExprKind::Unit(Box::new(UnitLit {
                        text: plain.into(),
                        class,
                    })),
                    Err(unit) => {
                        let mut diagnostic =
                            Diagnostic::error("E0006", format!("there is no unit `{unit}`"))
                                .label(span, "this number");
                        diagnostic.help = Some(match literal::suggest_unit(unit) {
                            Some(known) => format!("write `{known}`"),
                            None => {
                                "quantities end in m, k, M, G, T, Ki, Mi, Gi or Ti, durations in \
                                     ms, s, m, h or d; a name that begins with a digit is quoted"
                                    .into()
                            }
                        });
                        self.report(diagnostic);
                        ExprKind::Error
                    }
                }
            }
            _ => {
                self.unexpected("a literal");
                return self.error_expr();
            }
        };
        self.bump();
        let span = self.finish(start, NodeKind::Literal);
        Expr {
            id: self.id(),
            span,
            kind,
        }
    }

    fn regex(&mut self) -> ExprKind {
        let token = self.bump();
        let text = self.text(token);
        let pattern = text.strip_prefix('/').unwrap_or(text);
        ExprKind::Regex(
            pattern
                .strip_suffix('/')
                .unwrap_or(pattern)
                .replace("\\/", "/")
                .into(),
        )
    }

    fn paren(&mut self) -> Expr {
        let start = self.start();
        let open = self.here();
        self.bump();
        let outside = self.enter_brackets();
        let before = self.at;
        let expr = self.expr();
        self.end_of_bracket(T::RParen, before);
        self.leave_brackets(outside);
        self.close(open, T::RParen);
        self.finish(start, NodeKind::Paren);
        expr
    }

    /// Whether the parentheses here are the parameters of a lambda.
    fn is_lambda(&self) -> bool {
        let partner = self.partner[self.at] as usize;
        self.tokens
            .get(partner.saturating_add(1))
            .is_some_and(|token| token.kind == T::FatArrow)
    }

    fn lambda(&mut self) -> ExprKind {
        let params = self.params();
        self.expect(T::FatArrow);
        ExprKind::Lambda {
            params,
            body: Box::new(self.expr()),
        }
    }

    fn list(&mut self) -> ExprKind {
        let open = self.here();
        self.bump();
        let mut elements = Vec::new();
        self.sequence(T::RBracket, "an element", |parser| {
            elements.push(parser.element())
        });
        self.close(open, T::RBracket);
        ExprKind::List(elements)
    }

    fn element(&mut self) -> Element {
        if self.template("an element") || self.yaml_element(T::RBracket) {
            return Element::Item(self.error_expr());
        }
        let start = self.start();
        match self.peek() {
            T::Ellipsis => {
                self.bump();
                let value = self.expr();
                self.finish(start, NodeKind::Spread);
                Element::Spread(value)
            }
            T::For => {
                self.bump();
                let (clauses, condition) = self.for_clauses();
                let body = if self.eat(T::FatArrow) {
                    self.expr()
                } else {
                    self.block()
                };
                let span = self.finish(start, NodeKind::For);
                Element::For {
                    id: self.id(),
                    span,
                    clauses,
                    condition,
                    body: Box::new(body),
                }
            }
            T::If => {
                let kind = self.if_expr();
                match kind {
                    ExprKind::If {
                        condition,
                        then,
                        otherwise: None,
                    } => {
                        let span = self.finish(start, NodeKind::If);
                        Element::If {
                            id: self.id(),
                            span,
                            condition: *condition,
                            body: then,
                        }
                    }
                    kind => {
                        let span = self.finish(start, NodeKind::IfExpr);
                        Element::Item(Expr {
                            id: self.id(),
                            span,
                            kind,
                        })
                    }
                }
            }
            _ => Element::Item(self.expr()),
        }
    }

    /// `if a then b else c` or `if a { b } else { c }`; the current token is `if`.
    fn if_expr(&mut self) -> ExprKind {
        self.bump();
        let condition = Box::new(self.head());
        if self.eat(T::Then) {
            let then = Box::new(self.expr());
            self.expect_else();
            return ExprKind::If {
                condition,
                then,
                otherwise: Some(Box::new(self.expr())),
            };
        }
        if self.peek() != T::LBrace {
            self.unexpected("`then` or `{`");
        }
        let then = Box::new(self.block());
        let otherwise = self.eat(T::Else).then(|| {
            if self.peek() == T::If {
                Box::new(self.expr())
            } else {
                Box::new(self.block())
            }
        });
        ExprKind::If {
            condition,
            then,
            otherwise,
        }
    }

    /// `{ … }` as a value: a record, or any expression in braces.
    fn block(&mut self) -> Expr {
        if self.is_lost || self.peek() != T::LBrace {
            self.unexpected("`{`");
            return self.error_expr();
        }
        if self.block_is_record() {
            let record = self.record(Body::Plain);
            return Expr {
                id: self.id(),
                span: record.span,
                kind: ExprKind::Record(record),
            };
        }
        let start = self.start();
        let open = self.here();
        self.bump();
        let outside = self.enter_brackets();
        let before = self.at;
        let expr = self.expr();
        self.end_of_bracket(T::RBrace, before);
        self.leave_brackets(outside);
        self.close(open, T::RBrace);
        self.finish(start, NodeKind::Block);
        expr
    }

    /// Whether the braces here hold members. `name = …`, `"name": …`, `a.b { … }` are members;
    /// `k8s.Service { … }` is a value, known by the capital letter that begins a type's name.
    fn block_is_record(&self) -> bool {
        let mut at = self.at + 1;
        let kind = |at: usize| self.tokens.get(at).map_or(T::Eof, |token| token.kind);
        match kind(at) {
            T::RBrace | T::Ellipsis | T::For | T::If | T::Let => return true,
            T::Delete | T::Final if kind(at + 1).is_word() => return true,
            _ => {}
        }
        let mut names_type;
        loop {
            names_type = false;
            match kind(at) {
                word if word.is_word() => {
                    let text = self.text(self.tokens[at]);
                    names_type = text.starts_with(|first: char| first.is_ascii_uppercase())
                        && text.contains(|c: char| c.is_ascii_lowercase());
                    at += 1;
                }
                T::Quote => {
                    while !matches!(kind(at), T::QuoteEnd | T::Eof) {
                        let partner = self.partner[at] as usize;
                        at = if kind(at) == T::InterpOpen && partner < self.tokens.len() {
                            partner + 1
                        } else {
                            at + 1
                        };
                    }
                    at += 1;
                }
                T::LBracket => {}
                _ => return false,
            }
            while kind(at) == T::LBracket {
                let partner = self.partner[at] as usize;
                if partner <= at || partner >= self.tokens.len() {
                    return false;
                }
                names_type = false;
                at = partner + 1;
            }
            if kind(at) != T::Dot {
                break;
            }
            at += 1;
        }
        match kind(at) {
            T::Eq | T::Colon | T::PlusEq => true,
            T::LBrace => !names_type,
            _ => false,
        }
    }

    /// Reads what follows an operand: `.name`, `[…]`, `(…)`, `{ … }`.
    pub(super) fn postfix(&mut self, start: Start, mut base: Expr) -> Expr {
        while !self.is_lost {
            let kind = self.peek();
            base = match kind {
                T::Dot | T::QuestionDot => {
                    self.bump();
                    let name = self.field_name();
                    let span = self.finish(start, NodeKind::FieldAccess);
                    let is_safe = kind == T::QuestionDot;
                    self.grown(
                        span,
                        ExprKind::Field {
                            base: Box::new(base),
                            name,
                            is_safe,
                        },
                    )
                }
                T::Question if self.peek_at(1) == T::LBracket && self.same_line() => {
                    self.question_index();
                    base
                }
                T::LBracket if self.same_line() => {
                    let selector = Box::new(self.selector());
                    let span = self.finish(start, NodeKind::Index);
                    self.grown(
                        span,
                        ExprKind::Index {
                            base: Box::new(base),
                            selector,
                        },
                    )
                }
                T::LParen if self.same_line() => {
                    let args = self.args();
                    let span = self.finish(start, NodeKind::Call);
                    self.grown(
                        span,
                        ExprKind::Call {
                            callee: Box::new(base),
                            args,
                        },
                    )
                }
                T::LBrace if self.same_line() && !self.no_brace && can_be_amended(&base) => {
                    let body = self.record(Body::Plain);
                    let span = self.finish(start, NodeKind::Amend);
                    self.grown(
                        span,
                        ExprKind::Amend {
                            base: Box::new(base),
                            body,
                        },
                    )
                }
                _ => break,
            };
        }
        base
    }

    /// The name after a dot; may be quoted.
    fn field_name(&mut self) -> Ident {
        if self.peek() == T::Quote {
            let (text, span) = self.plain_string("a field name");
            return Ident {
                name: Name::new(&text),
                span,
            };
        }
        self.ident("a field name")
    }

    fn args(&mut self) -> Vec<Arg> {
        let start = self.start();
        let open = self.here();
        self.bump();
        let mut args = Vec::new();
        self.sequence(T::RParen, "an argument", |parser| {
            let start = parser.start();
            let name = if parser.peek().is_word() && parser.peek_at(1) == T::Eq {
                let name = parser.ident("a parameter");
                parser.bump();
                Some(name)
            } else {
                None
            };
            let value = parser.expr();
            parser.finish(start, NodeKind::Arg);
            args.push(Arg { name, value });
        });
        self.close(open, T::RParen);
        self.finish(start, NodeKind::Args);
        args
    }
}

/// Whether a `{` after this operand amends it; a literal before a brace is a slip.
fn can_be_amended(base: &Expr) -> bool {
    matches!(
        base.kind,
        ExprKind::Name(_)
            | ExprKind::Field { .. }
            | ExprKind::Index { .. }
            | ExprKind::Call { .. }
            | ExprKind::Amend { .. }
            | ExprKind::Record(_)
            | ExprKind::If { .. }
            | ExprKind::Match { .. }
    )
}
