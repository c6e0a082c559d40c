//! Tokens to trees: recursive descent with recovery.
//!
//! The lexer is nom; here the work is to go on after a mistake, which combinators that stop at the
//! first failure do not help with. One rule keeps follow-on noise away: after an error the parser is
//! *lost* and says nothing more until a member, element, statement or item begins again.

mod arms;
mod exempt;
mod expr;
mod foreign;
mod item;
mod operand;
mod record;
mod recover;
mod stmt;
mod text;
mod ty;

use crate::ast::{File, Ident, NodeId};
use crate::kind::{NodeKind, TokenKind as T};
use crate::lexer::{Token, lex};
use crate::tree::{Entry, Tree};
use crate::{Diagnostic, FileId, Name, Parsed, Span};

/// How deeply expressions, types and blocks may nest. Consumers walk the tree by recursion; real
/// specifications stay below twenty, the deepest CRD schemas below seventy.
pub const MAX_DEPTH: u32 = 128;

/// Bytes of a source. The largest that an import makes, of CRDs with all their texts, have some two million.
pub const MAX_BYTES: usize = 16 << 20;

/// Reads a source. Never fails: what cannot be read becomes error nodes and diagnostics.
pub fn parse(file: FileId, source: impl AsRef<[u8]>) -> Parsed {
    parse_bytes(file, source.as_ref())
}

fn parse_bytes(file: FileId, source: &[u8]) -> Parsed {
    let length = source.len();
    let is_too_long = length > MAX_BYTES;
    let source = if is_too_long { &[][..] } else { source };
    let lexed = lex(source);
    let tokens = significant(source, &lexed.tokens);
    let mut parser = Parser {
        file,
        source,
        partner: partners(&tokens),
        tokens,
        at: 0,
        nodes: Vec::with_capacity(lexed.tokens.len() / 3 + 8),
        next_id: 0,
        diagnostics: Vec::new(),
        is_lost: false,
        depth: 0,
        height: 0,
        no_brace: false,
        no_in: false,
        unclosed_at: usize::MAX,
        is_unbalanced: false,
        brackets: 0,
        pasted: Vec::new(),
    };
    parser.is_unbalanced = parser
        .tokens
        .iter()
        .zip(&parser.partner)
        .any(|(token, partner)| {
            *partner == u32::MAX
                && matches!(
                    token.kind,
                    T::LBrace | T::LBracket | T::LParen | T::RBrace | T::RBracket | T::RParen
                )
        });
    if is_too_long {
        let start = Span {
            file,
            start: 0,
            end: 0,
        };
        parser.report(
            Diagnostic::error(
                "E0907",
                format!("the file has {length} bytes, {MAX_BYTES} are allowed"),
            )
            .label(start, "not read")
            .help(
                "divide it into modules; a text that is data is a file of its own, for `use text`",
            ),
        );
    }
    parser.lexer_problems(&lexed.problems);
    let by_lexer = parser.diagnostics.len();
    let items = parser.file_items();
    parser.forget_pasted(by_lexer);
    let end = lexed.tokens.len() as u32;
    parser.nodes.push(Entry {
        kind: NodeKind::File,
        first: 0,
        end,
        below: 0,
    });
    let mut diagnostics = parser.diagnostics;
    diagnostics.sort_by_key(|diagnostic| diagnostic.span().map(|span| span.start));
    Parsed {
        file: File {
            id: file,
            items,
            nodes: parser.next_id,
        },
        tokens: lexed.tokens,
        entries: parser.nodes,
        diagnostics,
    }
}

impl Parsed {
    /// Builds the lossless tree. Separate, because a build never needs it.
    pub fn tree(&self) -> Tree {
        Tree::build(self.tokens.clone(), self.entries.clone())
    }
}

/// A token that is not trivia.
#[derive(Clone, Copy, Debug)]
struct Tok {
    kind: T,
    /// Whether a line ends between the token before and this one.
    new_line: bool,
    /// Whether doc comments stand directly before it.
    has_doc: bool,
    start: u32,
    end: u32,
    /// Its number among all tokens.
    raw: u32,
}

/// Picks the tokens that are not trivia; the last one is the end of the file.
fn significant(source: &[u8], tokens: &[Token]) -> Vec<Tok> {
    let mut out = Vec::with_capacity(tokens.len() / 2 + 2);
    let (mut start, mut new_line, mut has_doc) = (0, true, false);
    for (raw, token) in tokens.iter().enumerate() {
        if token.kind.is_trivia() {
            has_doc |= token.kind == T::DocComment;
            let holds_line_end = || {
                source[start as usize..token.end as usize]
                    .iter()
                    .any(|byte| matches!(byte, b'\n' | b'\r'))
            };
            new_line = new_line || (token.kind != T::LineComment && holds_line_end());
        } else {
            out.push(Tok {
                kind: token.kind,
                new_line,
                has_doc,
                start,
                end: token.end,
                raw: raw as u32,
            });
            (new_line, has_doc) = (false, false);
        }
        start = token.end;
    }
    let raw = tokens.len() as u32;
    out.push(Tok {
        kind: T::Eof,
        new_line: true,
        has_doc,
        start,
        end: start,
        raw,
    });
    out
}

/// For every bracket the number of its partner; `u32::MAX` without one.
fn partners(tokens: &[Tok]) -> Vec<u32> {
    let mut partner = vec![u32::MAX; tokens.len()];
    let mut open: Vec<u32> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            T::LBrace | T::LBracket | T::LParen | T::InterpOpen => open.push(at as u32),
            T::RBrace | T::RBracket | T::RParen | T::InterpClose => {
                let wanted = opening(token.kind);
                if open
                    .last()
                    .is_some_and(|top| tokens[*top as usize].kind == wanted)
                {
                    if let Some(top) = open.pop() {
                        partner[top as usize] = at as u32;
                        partner[at] = top;
                    }
                } else if let Some(nth) = open
                    .iter()
                    .rposition(|top| tokens[*top as usize].kind == wanted)
                    && open.len() - nth <= 3
                {
                    // The brackets between were never closed.
                    partner[open[nth] as usize] = at as u32;
                    partner[at] = open[nth];
                    open.truncate(nth);
                }
            }
            _ => {}
        }
    }
    partner
}

fn opening(closing: T) -> T {
    match closing {
        T::RBrace => T::LBrace,
        T::RBracket => T::LBracket,
        T::RParen => T::LParen,
        _ => T::InterpOpen,
    }
}

struct Parser<'a> {
    file: FileId,
    source: &'a [u8],
    tokens: Vec<Tok>,
    partner: Vec<u32>,
    at: usize,
    nodes: Vec<Entry>,
    next_id: u32,
    diagnostics: Vec<Diagnostic>,
    /// An error was reported and no fresh start was found yet.
    is_lost: bool,
    /// How deep the parser is in nested constructs.
    depth: u32,
    /// Greatest height of the expression trees finished in the construct being read.
    height: u32,
    /// `{` after an operand begins a body, not an amendment (`for x in xs { … }`).
    no_brace: bool,
    /// `in` after an operand ends it (`let x = a in b`).
    no_in: bool,
    /// Where a bracket was last said to be unclosed: one message per place.
    unclosed_at: usize,
    /// Whether a bracket of the file has no partner.
    is_unbalanced: bool,
    /// How many brackets are open around the current token.
    brackets: u32,
    /// What was told as pasted from elsewhere.
    pasted: Vec<Span>,
}

/// Marks where a tree node begins.
#[derive(Clone, Copy)]
struct Start {
    raw: u32,
    offset: u32,
}

impl Parser<'_> {
    fn peek(&self) -> T {
        self.tokens[self.at].kind
    }

    /// The kind of the token `n` further on.
    fn peek_at(&self, n: usize) -> T {
        self.tokens
            .get(self.at + n)
            .map_or(T::Eof, |token| token.kind)
    }

    fn token(&self) -> Tok {
        self.tokens[self.at]
    }

    fn span_of(&self, token: Tok) -> Span {
        Span::new(self.file, token.start, token.end)
    }

    fn here(&self) -> Span {
        self.span_of(self.token())
    }

    /// Whether the current token is on the line on which the one before it ended.
    fn same_line(&self) -> bool {
        !self.token().new_line
    }

    fn bump(&mut self) -> Tok {
        let token = self.tokens[self.at];
        if token.kind != T::Eof {
            self.at += 1;
        }
        token
    }

    fn eat(&mut self, kind: T) -> bool {
        let found = self.peek() == kind && !self.is_lost;
        if found {
            self.at += 1;
        }
        found
    }

    fn text(&self, token: Tok) -> &str {
        std::str::from_utf8(&self.source[token.start as usize..token.end as usize])
            .unwrap_or("\u{fffd}")
    }

    fn id(&mut self) -> NodeId {
        let id = NodeId(self.next_id);
        self.next_id += 1;
        id
    }

    fn start(&self) -> Start {
        let token = self.token();
        Start {
            raw: token.raw,
            offset: token.start,
        }
    }

    /// Finishes a tree node that reaches to the last token read, and returns its span.
    fn finish(&mut self, start: Start, kind: NodeKind) -> Span {
        let (end, raw) = match self.at.checked_sub(1).map(|at| self.tokens[at]) {
            Some(last) if last.raw >= start.raw => (last.end, last.raw + 1),
            _ => (start.offset, start.raw),
        };
        if raw > start.raw {
            self.nodes.push(Entry {
                kind,
                first: start.raw,
                end: raw,
                below: 0,
            });
        }
        Span::new(self.file, start.offset, end)
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Reports a mistake that makes the rest of the construct unreadable.
    fn lose(&mut self, diagnostic: Diagnostic) {
        if !self.is_lost {
            self.diagnostics.push(diagnostic);
            self.is_lost = true;
        }
    }

    /// Says what was expected where something else stands.
    fn unexpected(&mut self, expected: &str) {
        if self.is_lost {
            return;
        }
        let token = self.token();
        if token.kind == T::Invalid {
            // The lexer has said so already.
            self.is_lost = true;
            return;
        }
        let found = self.describe(token);
        // The end of the file is an empty line that nobody sees.
        let place = match token.kind {
            T::Eof => self.before(),
            _ => self.here(),
        };
        let mut diagnostic =
            Diagnostic::error("E0001", format!("expected {expected}, found {found}"))
                .label(place, format!("expected {expected}"));
        if let Some(help) = self.hint(token, expected) {
            diagnostic = diagnostic.help(help);
        }
        self.lose(diagnostic);
    }

    /// The remedy for what people bring along from other languages.
    fn hint(&self, token: Tok, expected: &str) -> Option<&'static str> {
        let after_brace = self
            .at
            .checked_sub(1)
            .is_some_and(|at| self.tokens[at].kind == T::RBrace);
        let kind_before = |n: usize| {
            let at = self.at.checked_sub(n)?;
            Some(self.tokens[at].kind)
        };
        let (before, before_last) = (kind_before(1), kind_before(2));
        Some(match (token.kind, self.text(token)) {
            (T::Semicolon, _) => "members are separated by new lines or commas",
            (T::Colon, _) if expected == "a new line" => {
                "strings stand between `\"`; a type stands before the `=`: `let name: Type = value`"
            }
            _ if expected == "a value" && before == Some(T::Percent) => {
                "a percentage is a text: `\"50%\"`"
            }
            (T::Comma, _) if expected != "a value" => "remove it",
            (T::Arrow, _) => "a function is written `x => …`",
            (T::For, _) if expected == "`,` or a new line" => {
                "write the loop first: `[for x in xs => …]`"
            }
            (T::Ellipsis, _) if expected == "a value" => {
                "all elements of a list are added by braces: `for x in xs { ...list }`"
            }
            (T::Question, _) => "a choice is written `if condition then a else b`",
            (T::Minus, _) if token.new_line => {
                "lists are written `[a, b]`; to subtract, put `-` at the end of the line before"
            }
            (T::LBrace, _) if expected == T::Eq.text() => {
                "a function is written `fn name(parameter: Type) -> Type = value`"
            }
            (T::Eq, _) if expected == T::LBrace.text() => "the `{` follows without `=`",
            (T::Ident | T::Colon | T::Lt, "exends" | "extend" | "inherits" | ":" | "<")
                if expected == T::LBrace.text() && before_last == Some(T::Env) =>
            {
                "an environment is written `env name extends base { … }`"
            }
            (T::Ident, "elif" | "elsif" | "elseif") if after_brace => "write `else if`",
            (T::Ident, "mut" | "var" | "const" | "val") => "write `let`: nothing is ever changed",
            _ if expected == "`,` or a new line" => "members are separated by new lines or commas",
            _ => return None,
        })
    }

    fn describe(&self, token: Tok) -> String {
        match token.kind {
            T::Eof => "the end of the file".into(),
            T::Quote | T::QuoteEnd | T::StrText => "a string".into(),
            kind if kind.is_word() && kind != T::Ident => {
                format!("the word `{}`", self.text(token))
            }
            _ => format!("`{}`", self.text(token)),
        }
    }

    fn expect(&mut self, kind: T) -> bool {
        let found = self.eat(kind);
        if !found {
            self.unexpected(kind.text());
        }
        found
    }

    /// Reads a name; keywords are names here.
    fn ident(&mut self, expected: &str) -> Ident {
        if !self.is_lost && self.peek().is_word() {
            let token = self.bump();
            return Ident {
                name: Name::new(self.text(token)),
                span: self.span_of(token),
            };
        }
        self.unexpected(expected);
        Ident {
            name: Name::new(""),
            span: self.before(),
        }
    }

    /// The empty place after the token that was read last.
    fn before(&self) -> Span {
        match self.at.checked_sub(1).map(|at| self.tokens[at]) {
            Some(last) => Span::new(self.file, last.end, last.end),
            None => Span::new(self.file, 0, 0),
        }
    }

    /// The text of the doc comments before the current token.
    fn doc(&self) -> Option<Box<str>> {
        let token = self.token();
        if !token.has_doc {
            return None;
        }
        let before = self.at.checked_sub(1).map_or(0, |at| self.tokens[at].end);
        let between =
            std::str::from_utf8(&self.source[before as usize..token.start as usize]).ok()?;
        let lines: Vec<&str> = between
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("///"))
            .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end())
            .collect();
        Some(lines.join("\n").into())
    }
}
