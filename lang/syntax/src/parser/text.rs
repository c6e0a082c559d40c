//! Strings and text blocks: from tokens to text and interpolated parts.

use super::Parser;
use crate::ast::{Expr, ExprKind, StrPart};
use crate::kind::{NodeKind, TokenKind as T};
use crate::literal::{BadLiteral, block_indent, strip_block, unescape};
use crate::{Diagnostic, Span};

/// The remedy where a brace was meant as such.
const LITERAL_BRACE: &str = "an expression stands in `{…}`; a literal brace is written `\\{`";

/// A piece of a string as it stands in the source.
enum Piece {
    Text(u32, u32),
    Expr(Expr),
}

impl Parser<'_> {
    /// Reads a string; the current token is its opening quote.
    pub(super) fn string(&mut self) -> Expr {
        let start = self.start();
        let open = self.bump();
        let is_block = open.end - open.start == 3;
        let mut pieces = Vec::new();
        while !self.is_lost {
            match self.peek() {
                T::StrText => {
                    let token = self.bump();
                    pieces.push(Piece::Text(token.start, token.end));
                }
                T::InterpOpen => pieces.push(Piece::Expr(self.interpolation())),
                T::QuoteEnd => {
                    self.bump();
                    break;
                }
                // The lexer has reported that the string has no end.
                _ => break,
            }
        }
        let span = self.finish(start, NodeKind::String);
        let kind = self.string_kind(is_block, pieces);
        Expr {
            id: self.id(),
            span,
            kind,
        }
    }

    fn interpolation(&mut self) -> Expr {
        let start = self.start();
        let partner = self.partner[self.at];
        self.bump();
        let outside = self.enter_brackets();
        let said = self.diagnostics.len();
        let mut expr = self.expr();
        self.leave_brackets(outside);
        if partner == u32::MAX {
            // The lexer has reported that it has no end: what else is wrong in it does not count.
            if self.diagnostics.len() > said || !matches!(self.peek(), T::QuoteEnd) {
                expr.kind = ExprKind::Error;
            }
            self.diagnostics.truncate(said);
            while !matches!(self.peek(), T::QuoteEnd | T::Eof) && self.same_line() {
                self.at += 1;
            }
            self.is_lost = false;
        } else {
            if self.peek() != T::InterpClose {
                self.unexpected("`}`");
            }
            if let Some(first) = self.diagnostics.get_mut(said) {
                // Perhaps no expression was meant: this is one mistake, whatever is in it.
                first.help.get_or_insert_with(|| LITERAL_BRACE.into());
                self.diagnostics.truncate(said + 1);
                let end = self.span_of(self.tokens[partner as usize]);
                self.pasted
                    .push(Span::new(self.file, start.offset, end.end));
                expr.kind = ExprKind::Error;
            }
            // The string goes on after it, whatever went wrong in it.
            self.at = self.at.max(partner as usize);
            self.is_lost = false;
            self.bump();
        }
        self.finish(start, NodeKind::Interpolation);
        expr
    }

    fn string_kind(&mut self, is_block: bool, pieces: Vec<Piece>) -> ExprKind {
        let source = self.source;
        let raw = |start: u32, end: u32| {
            std::str::from_utf8(&source[start as usize..end as usize]).unwrap_or("\u{fffd}")
        };
        let indent = if is_block {
            let texts: Vec<Option<&str>> = pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(start, end) => Some(raw(*start, *end)),
                    Piece::Expr(_) => None,
                })
                .collect();
            block_indent(&texts)
        } else {
            0
        };
        let mut parts = Vec::with_capacity(pieces.len());
        for (nth, piece) in pieces.into_iter().enumerate() {
            match piece {
                Piece::Expr(expr) => parts.push(StrPart::Expr(expr)),
                Piece::Text(start, end) => {
                    let text = raw(start, end);
                    let mut bad = Vec::new();
                    let value = if is_block {
                        let stripped = strip_block(text, indent, nth == 0);
                        // Places inside a stripped block are not kept; the piece is named whole.
                        unescape(&stripped, |_, _, what| bad.push((start, end, what)))
                    } else {
                        unescape(text, |from, to, what| {
                            bad.push((start + from as u32, start + to as u32, what));
                        })
                    };
                    for (start, end, what) in bad {
                        self.bad_escape(Span::new(self.file, start, end), what);
                    }
                    parts.push(StrPart::Text(value));
                }
            }
        }
        match parts.len() {
            0 => ExprKind::Str("".into()),
            1 if matches!(parts[0], StrPart::Text(_)) => match parts.remove(0) {
                StrPart::Text(text) => ExprKind::Str(text),
                StrPart::Expr(_) => ExprKind::Error,
            },
            _ => ExprKind::Interp(parts.into()),
        }
    }

    fn bad_escape(&mut self, span: Span, what: BadLiteral) {
        self.report(match what {
            BadLiteral::Escape => Diagnostic::error("E0007", "unknown escape in a string")
                .label(span, "this escape")
                .help("known are \\n \\t \\r \\\" \\\\ \\{ \\} \\$ \\/ \\b \\f \\0 and \\u{…}; a backslash itself is written \\\\"),
            BadLiteral::Unicode => Diagnostic::error("E0007", "no such character")
                .label(span, "this escape")
                .help("write the code point in hexadecimal: \\u{1F600}"),
        });
    }

    /// Reads a string that must be plain: a name, a path, a code.
    pub(super) fn plain_string(&mut self, what: &str) -> (Box<str>, Span) {
        if self.is_lost || self.peek() != T::Quote {
            self.unexpected(&format!("{what}, in quotation marks"));
            return ("".into(), self.before());
        }
        let expr = self.string();
        match expr.kind {
            ExprKind::Str(text) => (text, expr.span),
            _ => {
                self.report(
                    Diagnostic::error("E0013", format!("{what} must be a plain string"))
                        .label(expr.span, "an expression stands in it")
                        .help("write a literal `{` as `\\{`"),
                );
                ("".into(), expr.span)
            }
        }
    }
}
