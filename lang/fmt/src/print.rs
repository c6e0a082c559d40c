//! From tokens to lines.

use ordain_lang_syntax::{NodeKind as N, TokenKind as T};

use crate::flat::Piece;
use crate::space;

/// Spaces per level.
const INDENT: usize = 2;

struct Printer {
    out: String,
    /// Indentation of the line being written.
    indent: usize,
    /// For every open bracket, the indentation of the line it was opened on.
    open: Vec<usize>,
}

/// Writes all pieces.
pub(crate) fn print(pieces: &[Piece]) -> String {
    let keep: Vec<&Piece> = (0..pieces.len())
        .filter(|at| !is_needless(pieces, *at))
        .map(|at| &pieces[at])
        .collect();
    let mut printer = Printer {
        out: String::new(),
        indent: 0,
        open: Vec::new(),
    };
    // Line ends before a comma that was left out belong to what follows it.
    let mut lines: Vec<u8> = Vec::with_capacity(keep.len());
    let mut carried = 0;
    for (at, piece) in pieces.iter().enumerate() {
        if is_needless(pieces, at) {
            carried = carried.max(piece.lines_before);
        } else {
            lines.push(piece.lines_before.max(carried));
            carried = 0;
        }
    }
    for (at, piece) in keep.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| keep[before]);
        printer.piece(before, piece, lines[at], &keep[at + 1..]);
    }
    if !printer.out.is_empty() {
        printer.out.push('\n');
    }
    printer.out
}

/// Whether a piece is a comma that the end of the line, or of the brackets, says already.
fn is_needless(pieces: &[Piece], at: usize) -> bool {
    let piece = &pieces[at];
    if piece.kind != T::Comma || piece.in_json {
        return false;
    }
    let separates = matches!(
        piece.parent,
        N::Record
            | N::RecordType
            | N::Block
            | N::List
            | N::Args
            | N::Params
            | N::Match
            | N::Refinements
            | N::File
    );
    let mut lines = 0;
    let mut rest = pieces[at + 1..].iter();
    let next = loop {
        let Some(next) = rest.next() else {
            return separates;
        };
        lines += next.lines_before;
        if !next.kind.is_trivia() {
            break next;
        }
    };
    if matches!(next.kind, T::RBrace | T::RBracket | T::RParen) {
        return separates;
    }
    // What could go on with the expression before it needs the comma.
    let begins_afresh = (next.kind.is_word() && !matches!(next.kind, T::And | T::Or | T::In))
        || matches!(
            next.kind,
            T::Quote | T::LBrace | T::LBracket | T::Ellipsis | T::Int | T::Float | T::Unit
        );
    separates && lines > 0 && begins_afresh && next.begins
}

fn is_open(kind: T) -> bool {
    matches!(kind, T::LBrace | T::LBracket | T::LParen)
}

fn is_close(kind: T) -> bool {
    matches!(kind, T::RBrace | T::RBracket | T::RParen)
}

impl Printer {
    fn piece(&mut self, before: Option<&Piece>, piece: &Piece, lines: u8, rest: &[&Piece]) {
        let in_string = matches!(piece.kind, T::StrText | T::QuoteEnd | T::InterpOpen)
            && before.is_some_and(|before| {
                matches!(before.kind, T::Quote | T::StrText | T::InterpClose)
            });
        match before {
            None => {}
            Some(_) if in_string => {}
            Some(before) => {
                let forced = matches!(before.kind, T::LineComment | T::DocComment);
                let wanted = if forced { lines.max(1) } else { lines };
                if wanted == 0 {
                    if space::between(before, piece) {
                        self.out.push(' ');
                    }
                } else {
                    self.new_line(before, piece, wanted, rest);
                }
            }
        }
        if is_close(piece.kind) {
            self.open.pop();
        }
        self.out.push_str(&piece.text);
        if is_open(piece.kind) {
            self.open.push(self.indent);
        }
    }

    fn new_line(&mut self, before: &Piece, piece: &Piece, lines: u8, rest: &[&Piece]) {
        let hugs = is_open(before.kind) || is_close(piece.kind);
        self.out.push('\n');
        if lines > 1 && !hugs {
            self.out.push('\n');
        }
        let level = match self.open.last() {
            Some(opened) if is_close(piece.kind) => *opened,
            Some(opened) => opened + INDENT + self.continued(piece, rest),
            None => self.continued(piece, rest),
        };
        self.indent = level;
        self.out.extend(std::iter::repeat_n(' ', level));
    }

    /// The extra indentation of a line that goes on with what the line before began.
    fn continued(&self, piece: &Piece, rest: &[&Piece]) -> usize {
        let begins = if piece.kind.is_trivia() {
            // A comment stands where the next token will stand.
            rest.iter()
                .find(|next| !next.kind.is_trivia())
                .is_none_or(|next| next.begins || is_close(next.kind))
        } else {
            piece.begins
        };
        if begins { 0 } else { INDENT }
    }
}
