//! Bytes to tokens, with nom. Every byte ends up in exactly one token, whatever the input is.
//!
//! Strings are read in a mode of their own, because an interpolation holds ordinary tokens, which
//! may hold strings again; the modes are a stack, so nesting costs no recursion.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::{digit1, hex_digit1, oct_digit1, one_of};
use nom::combinator::{opt, recognize};
use nom::multi::many0_count;
use nom::sequence::{pair, preceded};
use nom::{IResult, Parser};

use crate::kind::TokenKind as T;

/// A token: its kind and where it ends. It begins where the one before it ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token {
    /// What it is.
    pub kind: T,
    /// Offset after its last byte.
    pub end: u32,
}

/// What the lexer itself finds wrong; the parser words it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Problem {
    /// A string, text block or regular expression without an end.
    Unterminated(&'static str),
    /// A `/* */` comment without an end.
    UnterminatedComment,
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// A character that means nothing here.
    Character,
}

/// The result of lexing.
pub(crate) struct Lexed {
    pub(crate) tokens: Vec<Token>,
    /// Problems with the byte range they concern.
    pub(crate) problems: Vec<(Problem, u32, u32)>,
}

type Bytes<'a> = &'a [u8];
type Read<'a, O> = IResult<Bytes<'a>, O, ()>;

/// What is being read besides ordinary tokens, innermost last.
#[derive(Clone, Copy)]
enum Mode {
    Str {
        is_block: bool,
        start: usize,
    },
    Interp {
        is_block: bool,
        braces: u32,
        start: usize,
    },
}

/// Splits a source into tokens.
pub(crate) fn lex(source: &[u8]) -> Lexed {
    let mut lexer = Lexer {
        source,
        at: 0,
        previous: T::Eof,
        modes: Vec::new(),
        tokens: Vec::with_capacity(source.len() / 4 + 8),
        problems: Vec::new(),
    };
    lexer.run();
    Lexed {
        tokens: lexer.tokens,
        problems: lexer.problems,
    }
}

struct Lexer<'a> {
    source: Bytes<'a>,
    at: usize,
    /// The last token that is not trivia.
    previous: T,
    modes: Vec<Mode>,
    tokens: Vec<Token>,
    problems: Vec<(Problem, u32, u32)>,
}

impl Lexer<'_> {
    fn run(&mut self) {
        // A byte order mark, as some editors write it.
        if self.source.starts_with(b"\xef\xbb\xbf") {
            self.push(T::Whitespace, 3);
        }
        while self.at < self.source.len() {
            let before = self.at;
            match self.modes.last().copied() {
                Some(Mode::Str { is_block, .. }) => self.string(is_block),
                Some(Mode::Interp { is_block, .. }) => {
                    if !is_block && matches!(self.source[self.at], b'\n' | b'\r') {
                        self.abandon_string();
                    } else {
                        self.token();
                    }
                }
                None => self.token(),
            }
            debug_assert!(self.at >= before);
        }
        while let Some(mode) = self.modes.pop() {
            if let Mode::Str { is_block, start } = mode {
                self.unterminated(is_block, start);
                break;
            }
        }
    }

    fn push(&mut self, kind: T, end: usize) {
        self.at = end;
        self.tokens.push(Token {
            kind,
            end: end as u32,
        });
        if !kind.is_trivia() {
            self.previous = kind;
        }
    }

    fn problem(&mut self, problem: Problem, start: usize, end: usize) {
        self.problems.push((problem, start as u32, end as u32));
    }

    fn unterminated(&mut self, is_block: bool, start: usize) {
        let what = if is_block { "text block" } else { "string" };
        let end = if is_block { start + 3 } else { self.at };
        self.problem(Problem::Unterminated(what), start, end);
    }

    /// A one-line string ends with its line, also when an interpolation in it is still open.
    fn abandon_string(&mut self) {
        let (mut innermost, mut outermost) = (None, None);
        while let Some(
            Mode::Interp {
                is_block: false, ..
            }
            | Mode::Str {
                is_block: false, ..
            },
        ) = self.modes.last()
        {
            match self.modes.pop() {
                Some(Mode::Str { start, .. }) => innermost = innermost.or(Some(start)),
                Some(Mode::Interp { start, .. }) => outermost = Some(start),
                None => {}
            }
        }
        match (outermost, innermost) {
            (Some(start), _) => self.open_expression(start),
            (None, Some(start)) => self.unterminated(false, start),
            (None, None) => {}
        }
    }

    /// The `{` at `start`, in a string, has no end.
    fn open_expression(&mut self, start: usize) {
        self.problem(
            Problem::Unterminated("expression in the string"),
            start,
            start + 1,
        );
    }

    /// Reads on inside a string, up to its end or the next interpolation.
    fn string(&mut self, is_block: bool) {
        let source = self.source;
        let begin = self.at;
        let mut at = begin;
        loop {
            let Some(&byte) = source.get(at) else {
                self.text_until(begin, at);
                return;
            };
            match byte {
                b'"' if !is_block || source[at..].starts_with(b"\"\"\"") => {
                    self.text_until(begin, at);
                    self.modes.pop();
                    self.push(T::QuoteEnd, at + if is_block { 3 } else { 1 });
                    return;
                }
                b'\n' | b'\r' if !is_block => {
                    self.text_until(begin, at);
                    self.abandon_string();
                    return;
                }
                b'\\' => {
                    at += 1;
                    if source
                        .get(at)
                        .is_some_and(|next| is_block || !matches!(next, b'\n' | b'\r'))
                    {
                        // The brace of `\u{e4}` belongs to the escape.
                        at += 1 + usize::from(source[at..].starts_with(b"u{"));
                    }
                }
                b'{' => {
                    let run = source[at..]
                        .iter()
                        .take_while(|byte| **byte == b'{')
                        .count();
                    let after_dollar = at > begin && source[at - 1] == b'$';
                    if run == 1
                        && !after_dollar
                        && source
                            .get(at + 1)
                            .is_some_and(|next| is_word_start(*next) || *next == b'(')
                    {
                        self.text_until(begin, at);
                        self.modes.push(Mode::Interp {
                            is_block,
                            braces: 0,
                            start: at,
                        });
                        self.push(T::InterpOpen, at + 1);
                        return;
                    }
                    at += run;
                }
                _ => at += 1,
            }
        }
    }

    fn text_until(&mut self, begin: usize, end: usize) {
        if end > begin {
            self.push(T::StrText, end);
            if std::str::from_utf8(&self.source[begin..end]).is_err() {
                self.problem(Problem::NotUtf8, begin, end);
            }
        }
    }

    /// Reads one ordinary token.
    fn token(&mut self) {
        let start = self.at;
        let rest = &self.source[start..];
        let length = |rest: Bytes<'_>| self.source.len() - rest.len();
        match rest[0] {
            b' ' | b'\t' | b'\n' | b'\r' => {
                // Inside an interpolation of a one-line string the line's end is looked at first.
                let one_line = matches!(
                    self.modes.last(),
                    Some(Mode::Interp {
                        is_block: false,
                        ..
                    })
                );
                let end = start
                    + rest
                        .iter()
                        .take_while(|byte| {
                            matches!(byte, b' ' | b'\t')
                                || (!one_line && matches!(byte, b'\n' | b'\r'))
                        })
                        .count();
                self.push(T::Whitespace, end);
            }
            b'/' if rest.starts_with(b"//") => {
                let end = length(line(rest));
                let is_doc = rest.starts_with(b"///") && !rest.starts_with(b"////");
                if std::str::from_utf8(&self.source[start..end]).is_err() {
                    self.problem(Problem::NotUtf8, start, end);
                }
                self.push(
                    if is_doc {
                        T::DocComment
                    } else {
                        T::LineComment
                    },
                    end,
                );
            }
            b'/' if rest.starts_with(b"/*") => self.block_comment(),
            b'/' if !self.previous.ends_operand() => match regex(rest) {
                Ok((rest, _)) => {
                    let end = length(rest);
                    if std::str::from_utf8(&self.source[start..end]).is_err() {
                        self.problem(Problem::NotUtf8, start, end);
                    }
                    self.push(T::Regex, end);
                }
                Err(_) => {
                    let end = length(line(rest));
                    let slash = self.source[start + 1..end].iter().rposition(|b| *b == b'/');
                    // With a `/` behind it, a `[` was left open.
                    let (what, end) = match slash {
                        Some(at) => ("`[` of the regular expression", start + at + 2),
                        None => ("regular expression", end),
                    };
                    self.problem(Problem::Unterminated(what), start, end);
                    self.push(T::Regex, end);
                }
            },
            // No string begins right after an operand: this ends the string around the expression, whose `}` lacks.
            b'"' if self.at_outer_quote() => {
                if let Some(Mode::Interp { start, .. }) = self.modes.pop() {
                    self.open_expression(start);
                }
                self.modes.pop();
                self.push(T::QuoteEnd, start + 1);
            }
            b'"' => {
                let is_block = rest.starts_with(b"\"\"\"");
                self.modes.push(Mode::Str { is_block, start });
                self.push(T::Quote, start + if is_block { 3 } else { 1 });
            }
            b'0'..=b'9' => {
                let (rest, kind) = number(rest).unwrap_or((&rest[1..], T::Int));
                let end = length(rest);
                self.push(kind, end);
            }
            byte if is_word_start(byte) => {
                let (rest, word) = word(rest).unwrap_or((&rest[1..], &rest[..1]));
                let (end, kind) = (length(rest), T::word(word));
                self.push(kind, end);
            }
            b'{' => {
                if let Some(Mode::Interp { braces, .. }) = self.modes.last_mut() {
                    *braces += 1;
                }
                self.push(T::LBrace, start + 1);
            }
            b'}' => match self.modes.last_mut() {
                Some(Mode::Interp { braces: 0, .. }) => {
                    self.modes.pop();
                    self.push(T::InterpClose, start + 1);
                }
                Some(Mode::Interp { braces, .. }) => {
                    *braces -= 1;
                    self.push(T::RBrace, start + 1);
                }
                _ => self.push(T::RBrace, start + 1),
            },
            _ => match punctuation(rest) {
                Ok((rest, kind)) => {
                    let end = length(rest);
                    self.push(kind, end);
                }
                Err(_) => self.invalid(),
            },
        }
    }

    /// Whether a quotation mark here, in an expression of a one-line string, ends that string.
    fn at_outer_quote(&self) -> bool {
        let in_string = matches!(
            self.modes.last(),
            Some(Mode::Interp {
                is_block: false,
                ..
            })
        );
        let touches = self
            .tokens
            .last()
            .is_some_and(|last| !last.kind.is_trivia());
        in_string && touches && self.previous.ends_operand()
    }

    fn block_comment(&mut self) {
        let start = self.at;
        let (mut at, mut depth) = (start + 2, 1_u32);
        while depth > 0 {
            let rest = &self.source[at.min(self.source.len())..];
            if rest.is_empty() {
                self.problem(Problem::UnterminatedComment, start, start + 2);
                at = self.source.len();
                break;
            } else if rest.starts_with(b"*/") {
                (at, depth) = (at + 2, depth - 1);
            } else if rest.starts_with(b"/*") {
                (at, depth) = (at + 2, depth + 1);
            } else {
                at += 1;
            }
        }
        if std::str::from_utf8(&self.source[start..at]).is_err() {
            self.problem(Problem::NotUtf8, start, at);
        }
        self.push(T::BlockComment, at);
    }

    /// Takes a whole run of what means nothing, so that it is one problem.
    fn invalid(&mut self) {
        let start = self.at;
        let rest = &self.source[start..];
        let on_line = self.source.len() - start - line(rest).len();
        let run = match rest[0] {
            b'#' => on_line,
            // `'text'`, as other languages write strings.
            b'\'' => rest[1..on_line]
                .iter()
                .position(|byte| *byte == b'\'')
                .map_or(1, |at| at + 2),
            _ => rest
                .iter()
                .take_while(|byte| {
                    !byte.is_ascii() || (byte.is_ascii_control() && !byte.is_ascii_whitespace())
                })
                .count()
                .max(1),
        };
        let problem = match std::str::from_utf8(&rest[..run]) {
            Ok(_) => Problem::Character,
            Err(_) => Problem::NotUtf8,
        };
        self.problem(problem, start, start + run);
        self.push(T::Invalid, start + run);
    }
}

fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn word(input: Bytes<'_>) -> Read<'_, Bytes<'_>> {
    take_while1(is_word_byte).parse(input)
}

/// What is left after the current line; the line's end stays.
fn line(input: Bytes<'_>) -> Bytes<'_> {
    let read: Read<'_, Bytes<'_>> = take_while(|byte| byte != b'\n' && byte != b'\r').parse(input);
    read.map_or(&[], |(rest, _)| rest)
}

/// `/pattern/` on one line; a backslash takes the next byte with it, `[/]` needs none.
fn regex(input: Bytes<'_>) -> Read<'_, Bytes<'_>> {
    let escaped = recognize(pair(tag(&b"\\"[..]), nom::bytes::complete::take(1_usize)));
    let class = recognize((
        tag(&b"["[..]),
        many0_count(alt((
            recognize(pair(tag(&b"\\"[..]), nom::bytes::complete::take(1_usize))),
            take_while1(|byte| !matches!(byte, b']' | b'\\' | b'\n' | b'\r')),
        ))),
        tag(&b"]"[..]),
    ));
    let plain = take_while1(|byte| !matches!(byte, b'/' | b'\\' | b'[' | b'\n' | b'\r'));
    recognize((
        tag(&b"/"[..]),
        many0_count(alt((escaped, class, plain))),
        tag(&b"/"[..]),
    ))
    .parse(input)
}

/// Digits with `_` between them.
fn digits(input: Bytes<'_>) -> Read<'_, Bytes<'_>> {
    recognize(pair(
        digit1,
        take_while(|byte: u8| byte.is_ascii_digit() || byte == b'_'),
    ))
    .parse(input)
}

/// `8080`, `0x1f`, `1.5`, `1e3`, `256Mi`, `1h30m`. What cannot be a unit is left to the parser to
/// refuse, so that `2xl` is one mistake and not two tokens.
fn number(input: Bytes<'_>) -> Read<'_, T> {
    let radix = alt((
        recognize(preceded(tag(&b"0x"[..]), hex_digit1)),
        recognize(preceded(tag(&b"0o"[..]), oct_digit1)),
        recognize(preceded(
            tag(&b"0b"[..]),
            take_while1(|byte| matches!(byte, b'0' | b'1')),
        )),
    ));
    let fraction = recognize(pair(tag(&b"."[..]), digits));
    let exponent = recognize((one_of(&b"eE"[..]), opt(one_of(&b"+-"[..])), digit1));
    let (rest, _) = alt((radix, digits)).parse(input)?;
    let (rest, fraction) = opt(fraction).parse(rest)?;
    let (rest, exponent) = opt(exponent).parse(rest)?;
    let (rest, unit) = take_while(is_word_byte).parse(rest)?;
    let kind = if !unit.is_empty() {
        T::Unit
    } else if fraction.is_some() || exponent.is_some() {
        T::Float
    } else {
        T::Int
    };
    Ok((rest, kind))
}

/// Longest match first.
fn punctuation(input: Bytes<'_>) -> Read<'_, T> {
    const THREE: [(&[u8], T); 2] = [(b"...", T::Ellipsis), (b"..=", T::DotDotEq)];
    const TWO: [(&[u8], T); 12] = [
        (b"..", T::DotDot),
        (b"?.", T::QuestionDot),
        (b"??", T::Coalesce),
        (b"==", T::EqEq),
        (b"!=", T::Ne),
        (b"<=", T::Le),
        (b">=", T::Ge),
        (b"+=", T::PlusEq),
        (b"->", T::Arrow),
        (b"=>", T::FatArrow),
        (b"&&", T::AmpAmp),
        (b"||", T::PipePipe),
    ];
    for (text, kind) in THREE.into_iter().chain(TWO) {
        if let Some(rest) = input.strip_prefix(text) {
            return Ok((rest, kind));
        }
    }
    let kind = match input.first() {
        Some(b'[') => T::LBracket,
        Some(b']') => T::RBracket,
        Some(b'(') => T::LParen,
        Some(b')') => T::RParen,
        Some(b',') => T::Comma,
        Some(b':') => T::Colon,
        Some(b';') => T::Semicolon,
        Some(b'.') => T::Dot,
        Some(b'=') => T::Eq,
        Some(b'<') => T::Lt,
        Some(b'>') => T::Gt,
        Some(b'+') => T::Plus,
        Some(b'-') => T::Minus,
        Some(b'*') => T::Star,
        Some(b'/') => T::Slash,
        Some(b'%') => T::Percent,
        Some(b'?') => T::Question,
        Some(b'|') => T::Pipe,
        Some(b'!') => T::Bang,
        Some(b'@') => T::At,
        _ => return Err(nom::Err::Error(())),
    };
    Ok((&input[1..], kind))
}
