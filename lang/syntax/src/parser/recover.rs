//! Going on after a mistake: what is skipped, where something new begins, and what is said about
//! brackets, depth and the lexer's findings.

use super::{MAX_DEPTH, Parser, Tok, opening};
use crate::kind::TokenKind as T;
use crate::lexer::Problem;
use crate::{Diagnostic, Span};

/// The word of this language for an item of another.
pub(super) fn foreign(word: &str) -> Option<T> {
    Some(match word {
        "const" | "var" | "val" | "local" => T::Let,
        "func" | "def" | "fun" | "function" => T::Fn,
        "class" | "schema" | "struct" | "interface" | "record" => T::Type,
        "environment" => T::Env,
        _ => return None,
    })
}

/// A character as messages show it: what cannot be seen by its escape.
fn visible(c: char) -> String {
    match c {
        '\'' | '"' | '\\' => c.to_string(),
        c => c.escape_debug().to_string(),
    }
}

impl Parser<'_> {
    /// Goes one level deeper; false when that is too deep (reported, and the construct skipped).
    pub(super) fn enter(&mut self) -> bool {
        if self.is_lost {
            return false;
        }
        if self.depth >= MAX_DEPTH {
            self.too_deep(self.here());
            return false;
        }
        self.depth += 1;
        true
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    pub(super) fn too_deep(&mut self, span: Span) {
        self.lose(
            Diagnostic::error("E0004", format!("nested more than {MAX_DEPTH} levels deep"))
                .label(span, "too deep here")
                .help("move an inner part into a `let` or a function of its own"),
        );
        // An unclosed run of brackets has no fresh start; the rest of the file is given up.
        let partner = self.partner[self.at];
        match self.tokens.get(partner as usize) {
            Some(_) if partner as usize > self.at => self.at = partner as usize + 1,
            _ if matches!(
                self.peek(),
                T::LBrace | T::LBracket | T::LParen | T::InterpOpen
            ) =>
            {
                self.at = self.tokens.len() - 1;
                self.unclosed_at = self.at;
            }
            _ => {}
        }
    }

    /// After an error: skips to where something new may begin inside brackets that `close` ends: at
    /// the closing bracket, after a comma, at the first token of a line, or where an item begins at
    /// the left margin. `before` is where the failed construct began; recovery goes beyond it.
    pub(super) fn recover(&mut self, close: T, before: usize) {
        if !self.is_lost {
            return;
        }
        loop {
            let token = self.token();
            let kind = token.kind;
            if kind == T::Eof || kind == close || self.item_at_margin() {
                break;
            }
            if matches!(kind, T::RBrace | T::RBracket | T::RParen | T::InterpClose)
                && self.partner[self.at] != u32::MAX
            {
                // Ours was never closed; somebody further out wants this one.
                break;
            }
            if self.at > before && (kind == T::Comma || (token.new_line && self.starts_line(kind)))
            {
                break;
            }
            self.skip_group();
        }
        self.is_lost = false;
    }

    /// What holds before a `{` or an `in` does not hold inside brackets.
    pub(super) fn enter_brackets(&mut self) -> (bool, bool) {
        self.brackets += 1;
        (
            std::mem::take(&mut self.no_brace),
            std::mem::take(&mut self.no_in),
        )
    }

    pub(super) fn leave_brackets(&mut self, outside: (bool, bool)) {
        self.brackets -= 1;
        (self.no_brace, self.no_in) = outside;
    }

    /// Reads what stands between brackets, one element after another, and goes on after mistakes.
    /// Elements are separated by commas or new lines. The opening bracket is already read.
    pub(super) fn sequence(&mut self, close: T, what: &str, mut element: impl FnMut(&mut Self)) {
        let outside = self.enter_brackets();
        let mut wants_separator = false;
        while !self.is_lost {
            let token = self.token();
            if token.kind == close || token.kind == T::Eof || self.item_at_margin() {
                break;
            }
            if matches!(token.kind, T::Comma | T::Semicolon) {
                if !wants_separator || token.kind == T::Semicolon {
                    self.unexpected(if wants_separator {
                        "`,` or a new line"
                    } else {
                        what
                    });
                    self.is_lost = false;
                }
                self.at += 1;
                wants_separator = false;
                continue;
            }
            if matches!(
                token.kind,
                T::RBrace | T::RBracket | T::RParen | T::InterpClose
            ) {
                if self.partner[self.at] != u32::MAX {
                    break;
                }
                self.unmatched();
                continue;
            }
            if close == T::RBrace && self.template(what) {
                wants_separator = true;
                continue;
            }
            let before = self.at;
            let after_brace =
                before.checked_sub(1).map(|at| self.tokens[at].kind) == Some(T::RBrace);
            if wants_separator && !token.new_line && !after_brace {
                self.unexpected("`,` or a new line");
            } else {
                element(self);
                wants_separator = true;
            }
            self.recover(close, before);
        }
        self.leave_brackets(outside);
    }

    /// Expects the end of a bracket that holds one thing, which began at `before`.
    pub(super) fn end_of_bracket(&mut self, close: T, before: usize) {
        let ends = self.peek() == close || self.peek() == T::Eof || self.item_at_margin();
        if !ends {
            self.unexpected(close.text());
        }
        self.recover(close, before);
    }

    /// Reports a closing bracket that nothing opened, and goes past it.
    pub(super) fn unmatched(&mut self) {
        let token = self.bump();
        if !self.is_lost {
            let text = token.kind.text();
            self.report(
                Diagnostic::error("E0009", format!("{text} closes nothing"))
                    .label(self.span_of(token), "no bracket is open here"),
            );
        }
    }

    /// Whether a token at the beginning of a line may begin a member, element or statement.
    pub(super) fn starts_line(&self, kind: T) -> bool {
        kind.is_word()
            || matches!(
                kind,
                T::Quote | T::Ellipsis | T::LBrace | T::LBracket | T::Int
            )
    }

    /// Skips a token, or a bracket with all that it holds.
    pub(super) fn skip_group(&mut self) {
        let partner = self.partner[self.at];
        let target = if partner != u32::MAX && partner as usize > self.at {
            partner as usize + 1
        } else {
            self.at + 1
        };
        if self.peek() != T::Eof {
            // Never beyond an item at the margin: then the bracket was not meant to hold it.
            let mut at = self.at + 1;
            while at < target && !(self.is_unbalanced && self.item_at(at)) {
                at += 1;
            }
            self.at = at;
        }
    }

    /// Whether an item begins here at the left margin of a file whose brackets do not match: then
    /// the open ones are taken to lack their ends. Where they match, indentation means nothing.
    pub(super) fn item_at_margin(&self) -> bool {
        self.is_unbalanced && self.item_at(self.at)
    }

    pub(super) fn item_at(&self, at: usize) -> bool {
        let Some(token) = self.tokens.get(at) else {
            return false;
        };
        let is_margin =
            token.start == 0 || self.source.get(token.start as usize - 1) == Some(&b'\n');
        if !is_margin || !token.kind.is_word() {
            return false;
        }
        let next = self.tokens.get(at + 1).map_or(T::Eof, |token| token.kind);
        match token.kind {
            T::Type | T::Fn | T::App | T::Env | T::Use | T::Let => next.is_word(),
            T::Export => next.is_word() || matches!(next, T::LBrace | T::LBracket),
            T::Test | T::Policy => next == T::Quote,
            T::External | T::Allow => next.is_word(),
            T::Ident => next.is_word() && foreign(self.text(*token)).is_some(),
            _ => false,
        }
    }

    /// Expects the end of a bracket that began at `open`.
    pub(super) fn close(&mut self, open: Span, kind: T) {
        if self.is_lost || self.eat(kind) {
            return;
        }
        // One message per place, and none when its own line already has one.
        let is_said = self
            .diagnostics
            .last()
            .and_then(Diagnostic::span)
            .is_some_and(|said| {
                said.start >= open.start
                    && !self.source[open.start as usize..said.start as usize].contains(&b'\n')
            });
        if self.unclosed_at == self.at || is_said {
            self.is_lost = true;
            return;
        }
        self.unclosed_at = self.at;
        if let Some((culprit, taken)) = self.culprit(open) {
            let text = culprit.kind.text();
            let diagnostic = Diagnostic::error("E0003", format!("{text} is never closed"))
                .label(self.span_of(culprit), "opened here")
                .label(
                    self.span_of(taken),
                    "this closes an outer one, by its indentation",
                );
            self.lose(diagnostic);
            return;
        }
        let found = self.describe(self.token());
        let diagnostic =
            Diagnostic::error("E0003", format!("{} is never closed", opening(kind).text()))
                .label(open, "opened here")
                .label(
                    self.before(),
                    format!("expected {} before {found}", kind.text()),
                );
        self.lose(diagnostic);
    }

    /// When the bracket at `open` has no end, an inner one may have taken it: the innermost whose end
    /// stands at the beginning of a line that is less indented than the line it was opened on.
    fn culprit(&self, open: Span) -> Option<(Tok, Tok)> {
        let first = self
            .tokens
            .partition_point(|token| token.start <= open.start);
        (first..self.at)
            .rev()
            .filter(|at| self.partner[*at] as usize > *at)
            .filter_map(|at| {
                Some((
                    self.tokens[at],
                    *self.tokens.get(self.partner[at] as usize)?,
                ))
            })
            .find(|(from, to)| {
                let (_, opened) = self.line_start(*from);
                let (is_first, closed) = self.line_start(*to);
                is_first && closed < opened
            })
    }

    /// Whether a token is the first of its line, and how far that line is indented.
    fn line_start(&self, token: Tok) -> (bool, usize) {
        let before = &self.source[..token.start as usize];
        let line = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let indent = self.source[line..]
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        (line + indent == token.start as usize, indent)
    }

    pub(super) fn lexer_problems(&mut self, problems: &[(Problem, u32, u32)]) {
        for (problem, start, end) in problems {
            let span = Span::new(self.file, *start, *end);
            let diagnostic = match problem {
                Problem::Unterminated(what) => {
                    Diagnostic::error("E0005", format!("the {what} has no end"))
                        .label(span, "begins here")
                        .help(match *what {
                            "string" => "close it with `\"` on the same line; texts of several lines go between `\"\"\"`",
                            "text block" => "close it with `\"\"\"`",
                            "expression in the string" => "close it with `}`; a literal brace is written `\\{`",
                            "`[` of the regular expression" => "close it with `]`; a literal one is written `\\[`",
                            _ => "close it with `/` on the same line",
                        })
                }
                Problem::UnterminatedComment => {
                    Diagnostic::error("E0005", "the comment has no end").label(span, "begins here").help("close it with `*/`")
                }
                Problem::NotUtf8 => Diagnostic::error("E0002", "the text is not UTF-8").label(span, "these bytes"),
                Problem::Character => {
                    let text = String::from_utf8_lossy(&self.source[span.range()]).into_owned();
                    // What follows a `#` is a comment, which has nothing to do with it.
                    let length = if text.starts_with('#') { 1 } else { 8 };
                    let shown: String = text.chars().take(length).map(visible).collect();
                    let help = match text.chars().next() {
                        Some('“' | '”' | '„' | '‘' | '’' | '«' | '»') => "strings stand between straight quotation marks: `\"`",
                        Some('\'') => "strings stand between `\"`",
                        Some('#') => "comments begin with `//`",
                        _ => "names are made of letters, digits and `_`; other characters go into quoted strings",
                    };
                    Diagnostic::error("E0002", format!("`{shown}` means nothing here")).label(span, "").help(help)
                }
            };
            self.diagnostics.push(diagnostic);
        }
    }
}
