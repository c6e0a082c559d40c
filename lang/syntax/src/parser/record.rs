//! Records and their members, and the heads of comprehensions.

use super::Parser;
use crate::ast::{
    Expr, ExprKind, Field, FieldOp, ForClause, Member, MemberKind, Record, Segment, SegmentKind,
    Selector, TypeKind,
};
use crate::kind::{NodeKind, TokenKind as T};
use crate::{Diagnostic, Name};

/// Whose members braces hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// A value's, or a change's.
    Plain,
    /// An app's.
    App,
    /// An environment's.
    Env,
}

impl Parser<'_> {
    /// `{ members }`. In the body of an app fields may have types.
    pub(super) fn record(&mut self, body: Body) -> Record {
        let start = self.start();
        let members = self.member_block(body);
        let span = self.finish(start, NodeKind::Record);
        Record {
            id: self.id(),
            span,
            members,
        }
    }

    fn member_block(&mut self, body: Body) -> Vec<Member> {
        let open = self.here();
        let mut members = Vec::new();
        if self.enter() {
            if self.expect(T::LBrace) {
                self.sequence(T::RBrace, "a field", |parser| {
                    members.push(parser.member(body))
                });
                self.close(open, T::RBrace);
            }
            self.leave();
        }
        members
    }

    fn member(&mut self, body: Body) -> Member {
        let doc = self.doc();
        let start = self.start();
        let next = self.peek_at(1);
        let is_field = matches!(next, T::Eq | T::Colon | T::PlusEq | T::Dot);
        let (kind, node) = match self.peek() {
            T::Ellipsis => {
                self.bump();
                (MemberKind::Spread(self.expr()), NodeKind::Spread)
            }
            T::For if !is_field => {
                self.bump();
                let (clauses, condition) = self.for_clauses();
                let body = self.block_members();
                (
                    MemberKind::For {
                        clauses,
                        condition,
                        body,
                    },
                    NodeKind::For,
                )
            }
            T::If if !is_field => return self.if_member(),
            T::Let if next.is_word() => (MemberKind::Let(self.binding()), NodeKind::Let),
            T::Delete if next.is_word() || next == T::Quote => {
                self.bump();
                (MemberKind::Delete(self.path()), NodeKind::Delete)
            }
            T::External | T::Allow if body != Body::Plain && self.at_exemption() => {
                let exemption = self.exemption();
                return Member {
                    id: self.id(),
                    span: exemption.span,
                    kind: MemberKind::Exempt(exemption),
                };
            }
            kind if kind.is_word() || matches!(kind, T::Quote | T::LBracket) => (
                MemberKind::Field(self.field(doc, body == Body::App)),
                NodeKind::Field,
            ),
            _ => {
                self.unexpected("a field");
                (MemberKind::Error, NodeKind::Error)
            }
        };
        let span = self.finish(start, node);
        Member {
            id: self.id(),
            span,
            kind,
        }
    }

    /// The members of a `for` or `if` block.
    fn block_members(&mut self) -> Vec<Member> {
        let start = self.start();
        let members = self.member_block(Body::Plain);
        self.finish(start, NodeKind::Block);
        members
    }

    fn if_member(&mut self) -> Member {
        let start = self.start();
        self.bump();
        let condition = self.head();
        let then = self.block_members();
        let otherwise = if self.eat(T::Else) {
            if self.peek() == T::If && self.enter() {
                let nested = self.if_member();
                self.leave();
                vec![nested]
            } else {
                self.block_members()
            }
        } else {
            Vec::new()
        };
        let span = self.finish(start, NodeKind::If);
        Member {
            id: self.id(),
            span,
            kind: MemberKind::If {
                condition,
                then,
                otherwise,
            },
        }
    }

    fn field(&mut self, doc: Option<Box<str>>, is_app: bool) -> Field {
        let next = self.peek_at(1);
        let is_final =
            self.peek() == T::Final && (next.is_word() || next == T::Quote) && self.eat(T::Final);
        let is_quoted = self.peek() == T::Quote;
        let mut path = self.path();
        self.dashed_name(&mut path);
        let mut ty = None;
        let op = match self.peek() {
            _ if self.is_lost => FieldOp::Declare,
            T::Eq => {
                self.bump();
                FieldOp::Set(self.value_after_eq())
            }
            T::PlusEq => {
                self.bump();
                FieldOp::Append(self.value_after_eq())
            }
            T::LBrace => FieldOp::Amend(self.record(Body::Plain)),
            T::Colon if is_quoted && path.len() == 1 => {
                self.bump();
                FieldOp::Set(self.value_after_eq())
            }
            T::Colon if is_app && path.len() == 1 => {
                self.bump();
                ty = Some(self.ty());
                if self.eat(T::Eq) {
                    FieldOp::Set(self.value_after_eq())
                } else {
                    FieldOp::Declare
                }
            }
            T::Colon => self.colon_field(),
            _ => {
                let before = self.diagnostics.len();
                self.unexpected("`=`, `+=` or `{` after the field");
                let word = match path.as_slice() {
                    [
                        Segment {
                            kind: SegmentKind::Name(name),
                            ..
                        },
                    ] => name.as_str(),
                    _ => "",
                };
                if let ("elif" | "elsif" | "elseif", Some(told)) =
                    (word, self.diagnostics.get_mut(before))
                {
                    told.help = Some("write `else if`, on the line of the `}`".into());
                }
                FieldOp::Declare
            }
        };
        if matches!(op, FieldOp::Declare) && ty.is_none() {
            // An error, said already: a value that nobody complains about.
            let span = self.before();
            let error = Expr {
                id: self.id(),
                span,
                kind: ExprKind::Error,
            };
            return Field {
                doc,
                is_final,
                path,
                ty,
                op: FieldOp::Set(error),
            };
        }
        Field {
            doc,
            is_final,
            path,
            ty,
            op,
        }
    }

    /// `name: value`, as YAML writes it, or `name: Type = value` where no type belongs.
    fn colon_field(&mut self) -> FieldOp {
        let colon = self.here();
        self.bump();
        if self.at_yaml() {
            return FieldOp::Set(self.yaml_block(colon));
        }
        let at = (
            self.at,
            self.nodes.len(),
            self.next_id,
            self.diagnostics.len(),
        );
        let ty = self.ty();
        if self.peek() == T::Eq && !self.is_lost {
            if !matches!(ty.kind, TypeKind::Error) {
                self.report(
                    Diagnostic::error("E0008", "fields of a value have no types of their own")
                        .label(ty.span, "a type")
                        .help("leave the type out; it comes from the type of the value"),
                );
            }
            self.bump();
            return FieldOp::Set(self.value_after_eq());
        }
        // Not a type after all: read it again as a value.
        self.at = at.0;
        self.nodes.truncate(at.1);
        self.next_id = at.2;
        self.diagnostics.truncate(at.3);
        self.is_lost = false;
        self.report(
            Diagnostic::error("E0008", "a field is set with `=`")
                .label(colon, "`:` stands between a name and its type")
                .help("write `name = value`; in pasted JSON the name is quoted: `\"name\": value`"),
        );
        FieldOp::Set(self.value_after_eq())
    }

    /// The value after `=`. When the line ends there and a new field begins, the value is missing.
    pub(super) fn value_after_eq(&mut self) -> Expr {
        let token = self.token();
        let missing = token.new_line
            && token.kind.is_word()
            && matches!(self.peek_at(1), T::Eq | T::PlusEq | T::Colon);
        if (missing || matches!(token.kind, T::RBrace | T::Comma)) && !self.is_lost {
            let span = self.before();
            let at = self
                .at
                .checked_sub(1)
                .map_or(span, |at| self.span_of(self.tokens[at]));
            self.lose(
                Diagnostic::error("E0001", "expected a value, found the end of the field")
                    .label(at, "a value is missing after this"),
            );
            return Expr {
                id: self.id(),
                span,
                kind: ExprKind::Error,
            };
        }
        self.expr()
    }

    /// `a.b["c"].d`.
    fn path(&mut self) -> Vec<Segment> {
        let start = self.start();
        let mut path = Vec::new();
        loop {
            path.push(self.segment());
            while self.peek() == T::LBracket && self.same_line() && !self.is_lost {
                let start = self.start();
                let selector = self.selector();
                let span = self.finish(start, NodeKind::Selector);
                let kind = SegmentKind::Select(Box::new(selector));
                path.push(Segment {
                    id: self.id(),
                    span,
                    kind,
                });
            }
            if !(self.peek() == T::Dot && self.eat(T::Dot)) {
                break;
            }
        }
        self.finish(start, NodeKind::Path);
        path
    }

    fn segment(&mut self) -> Segment {
        match self.peek() {
            T::Quote if !self.is_lost => {
                let key = self.string();
                let span = key.span;
                let kind = match key.kind {
                    ExprKind::Str(text) => SegmentKind::Name(Name::new(&text)),
                    kind => SegmentKind::Computed(Expr { kind, ..key }),
                };
                Segment {
                    id: self.id(),
                    span,
                    kind,
                }
            }
            T::LBracket if !self.is_lost => {
                let start = self.start();
                let selector = self.selector();
                let span = self.finish(start, NodeKind::Selector);
                let kind = match selector {
                    Selector::Key(expr) => SegmentKind::Computed(expr),
                    object @ (Selector::Object { .. } | Selector::Keys(_)) => {
                        SegmentKind::Select(Box::new(object))
                    }
                };
                Segment {
                    id: self.id(),
                    span,
                    kind,
                }
            }
            _ => {
                let name = self.ident("a field name");
                Segment {
                    id: self.id(),
                    span: name.span,
                    kind: SegmentKind::Name(name.name),
                }
            }
        }
    }

    /// `["main"]`, `[0]`, `[k8s.Deployment "shop"]`; the current token is `[`.
    pub(super) fn selector(&mut self) -> Selector {
        let open = self.here();
        self.bump();
        let outside = self.enter_brackets();
        let before = self.at;
        let first = self.expr();
        let selector = if self.peek() == T::Quote && self.same_line() && !self.is_lost {
            Selector::Object {
                kind: first,
                name: self.string(),
            }
        } else if self.peek() == T::Comma && !self.is_lost {
            let mut keys = vec![first];
            while self.eat(T::Comma) {
                keys.push(self.expr());
            }
            Selector::Keys(keys)
        } else {
            Selector::Key(first)
        };
        self.end_of_bracket(T::RBracket, before);
        self.leave_brackets(outside);
        self.close(open, T::RBracket);
        selector
    }

    /// `k, v in m, x in v if condition`; stops before the body. The `for` is read already.
    pub(super) fn for_clauses(&mut self) -> (Vec<ForClause>, Option<Expr>) {
        let mut clauses = Vec::new();
        loop {
            let start = self.start();
            let first = self.ident("a name");
            let second = self.eat(T::Comma).then(|| self.ident("a name"));
            self.expect(T::In);
            let iter = self.head();
            self.finish(start, NodeKind::ForClause);
            clauses.push(ForClause {
                id: self.id(),
                first,
                second,
                iter,
            });
            if !self.eat(T::Comma) {
                break;
            }
        }
        let condition = self.eat(T::If).then(|| self.head());
        (clauses, condition)
    }

    /// An expression before a `{` that begins a body.
    pub(super) fn head(&mut self) -> Expr {
        let no_brace = std::mem::replace(&mut self.no_brace, true);
        let expr = self.condition();
        self.no_brace = no_brace;
        expr
    }

    /// An expression that `=` cannot follow: who writes it there compares.
    pub(super) fn condition(&mut self) -> Expr {
        let expr = self.expr();
        if self.peek() == T::Eq && !self.is_lost {
            let span = self.here();
            self.report(
                Diagnostic::error("E0012", "`=` sets a field and compares nothing")
                    .label(span, "here")
                    .help("write `==`"),
            );
            self.bump();
            let right = self.expr();
            let span = expr.span.to(right.span);
            return self.grown(span, ExprKind::Error);
        }
        expr
    }
}
