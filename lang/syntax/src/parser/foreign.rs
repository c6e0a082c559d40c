//! What is pasted from elsewhere: YAML, templates of Helm, separators of other languages. Each is told once and gone
//! past whole, so that its lines are not told one by one.

use super::Parser;
use crate::ast::{Expr, Segment, SegmentKind};
use crate::kind::TokenKind as T;
use crate::{Diagnostic, Name, Span};

/// What to do with YAML.
const YAML_HELP: &str = "`ordain import FILE` turns YAML into this language; by hand, fields are written \
    `name = value`, records `{ … }` and lists `[…]`";

impl Parser<'_> {
    /// Whether a template (`{{ .Values.name }}`) begins here. Two braces side by side begin nothing else.
    fn at_template(&self) -> bool {
        let [first, second, third, fourth] = [0, 1, 2, 3].map(|n| self.peek_at(n));
        let touching = self
            .tokens
            .get(self.at + 1)
            .is_some_and(|next| next.start == self.token().end);
        first == T::LBrace
            && second == T::LBrace
            && touching
            && match third {
                T::Dot | T::Minus | T::Invalid => true,
                third => {
                    third.is_word()
                        && !matches!(fourth, T::Eq | T::PlusEq | T::Dot | T::LBrace | T::Colon)
                }
            }
    }

    /// Tells a template that stands where a value or a field is meant, and goes past it. False when there is none.
    pub(super) fn template(&mut self, expected: &str) -> bool {
        if self.is_lost || !self.at_template() {
            return false;
        }
        let start = self.here();
        self.skip_group();
        let span = start.to(self.last());
        self.pasted.push(span);
        self.report(
            Diagnostic::error("E0001", format!("expected {expected}, found a template"))
                .label(span, "`{{ … }}` means nothing here")
                .help("write the value itself: a field or parameter (`name`), or a string with it (`\"{name}-web\"`); what is only there sometimes is written `if condition { … }`"),
        );
        true
    }

    /// Tells an element of a list that is written as in YAML (`- name: value`), and goes past the rest of the list.
    pub(super) fn yaml_element(&mut self, close: T) -> bool {
        let is_key = |n: usize| self.peek_at(n).is_word() && self.peek_at(n + 1) == T::Colon;
        if self.is_lost || self.peek() != T::Minus || !self.token().new_line || !is_key(1) {
            return false;
        }
        let start = self.here();
        while !self.yaml_ends() && self.peek() != close {
            self.skip_group();
        }
        self.told_yaml(start, start);
        true
    }

    /// Whether what follows the `:` of a field is a block of YAML on lines of its own.
    pub(super) fn at_yaml(&self) -> bool {
        let token = self.token();
        token.new_line
            && match token.kind {
                T::Minus => true,
                kind => (kind.is_word() || kind == T::Quote) && self.is_yaml_key(),
            }
            && !self.yaml_ends()
    }

    /// Whether a key and its colon stand here, whether the key is quoted or not.
    fn is_yaml_key(&self) -> bool {
        match self.peek() {
            T::Quote => self.peek_at(2) == T::QuoteEnd && self.peek_at(3) == T::Colon,
            _ => self.peek_at(1) == T::Colon,
        }
    }

    /// Tells the block of YAML after the `:` of a field, and goes past its lines: those that are indented further than
    /// the field, and the elements of a list at the same place.
    pub(super) fn yaml_block(&mut self, colon: Span) -> Expr {
        let begin = self.indent_of(colon.start);
        while !self.yaml_ends() {
            let token = self.token();
            let indent = self.indent_of(token.start);
            let is_out =
                token.new_line && (indent < begin || (indent == begin && token.kind != T::Minus));
            if is_out {
                break;
            }
            self.skip_group();
        }
        self.told_yaml(colon, colon);
        self.error_expr()
    }

    fn told_yaml(&mut self, at: Span, start: Span) {
        self.pasted.push(start.to(self.last()));
        self.report(
            Diagnostic::error("E0008", "this is YAML")
                .label(at, "YAML begins here")
                .help(YAML_HELP),
        );
    }

    fn yaml_ends(&self) -> bool {
        let is_close = matches!(
            self.peek(),
            T::RBrace | T::RBracket | T::RParen | T::InterpClose
        );
        self.peek() == T::Eof || is_close || self.item_at_margin()
    }

    /// How far the line of a place is indented.
    fn indent_of(&self, at: u32) -> usize {
        let before = &self.source[..at as usize];
        let line = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        self.source[line..]
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count()
    }

    /// Tells a name with `-` in it that lacks its quotation marks (`max-age = 3`), and reads it as if it had them.
    pub(super) fn dashed_name(&mut self, path: &mut [Segment]) {
        let touches = |at: usize| {
            let before = at.checked_sub(1).map(|before| self.tokens[before].end);
            before == Some(self.tokens[at].start)
        };
        let mut at = self.at;
        while self.tokens[at].kind == T::Minus
            && touches(at)
            && self
                .tokens
                .get(at + 1)
                .is_some_and(|next| next.kind.is_word())
            && touches(at + 1)
        {
            at += 2;
        }
        let Some(Segment {
            kind: SegmentKind::Name(name),
            span,
            ..
        }) = path.last_mut()
        else {
            return;
        };
        if self.is_lost || at == self.at {
            return;
        }
        *span = span.to(self.span_of(self.tokens[at - 1]));
        let text = String::from_utf8_lossy(&self.source[span.range()]).into_owned();
        *name = Name::new(&text);
        let diagnostic = Diagnostic::error("E0001", format!("expected a name, found `{text}`"))
            .label(*span, "a name with `-` in it is quoted")
            .help(format!("write `\"{text}\"`"));
        self.at = at;
        self.report(diagnostic);
    }

    /// Tells a number that begins with a zero: elsewhere that is an octal one, here it would be another number.
    pub(super) fn octal(&mut self, text: &str, span: Span) {
        let digits = text.trim_start_matches('-').trim_start_matches('0');
        let is_octal = !digits.is_empty() && digits.bytes().all(|b| (b'0'..=b'7').contains(&b));
        let help = match is_octal {
            true => {
                format!("write `0o{digits}` for the octal number, `{digits}` for the decimal one")
            }
            false => format!("write `{}`", if digits.is_empty() { "0" } else { digits }),
        };
        self.report(
            Diagnostic::error("E0006", format!("`{text}` begins with a zero"))
                .label(span, "octal or decimal?")
                .help(help),
        );
    }

    /// The token that was read last.
    fn last(&self) -> Span {
        match self.at.checked_sub(1) {
            Some(at) => self.span_of(self.tokens[at]),
            None => self.before(),
        }
    }

    /// Drops what the lexer said of places that were told as something else. `first` is how many of the diagnostics are
    /// the lexer's.
    pub(super) fn forget_pasted(&mut self, first: usize) {
        if self.pasted.is_empty() {
            return;
        }
        let mut at = 0;
        self.diagnostics.retain(|diagnostic| {
            at += 1;
            at > first
                || !diagnostic.span().is_some_and(|span| {
                    let mut pasted = self.pasted.iter();
                    pasted.any(|p| p.start <= span.start && span.start < p.end)
                })
        });
    }
}
