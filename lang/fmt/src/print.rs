//! From tokens to lines.

use ordain_lang_syntax::{NodeKind as N, TokenKind as T};

use crate::flat::Piece;
use crate::indent::{Indent, content, is_close, is_open};
use crate::space;

/// Writes all pieces.
pub(crate) fn print(pieces: &[Piece]) -> String {
    let keep: Vec<&Piece> = (0..pieces.len())
        .filter(|at| !is_needless(pieces, *at))
        .map(|at| &pieces[at])
        .collect();
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
    let content = content(keep.iter().copied());
    let mut out = String::new();
    let mut indent = Indent::default();
    for (at, piece) in keep.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| keep[before]);
        let lines = match before {
            // A comment ends its line.
            Some(before) if matches!(before.kind, T::LineComment | T::DocComment) => {
                lines[at].max(1)
            }
            _ => lines[at],
        };
        let next = keep.get(content[at]).copied();
        match before {
            None => {}
            Some(before) if lines == 0 || space::in_string(before, piece) => {
                out.push_str(if space::stands(before, piece) {
                    " "
                } else {
                    ""
                });
            }
            Some(before) => {
                let hugs = is_open(before.kind) || is_close(piece.kind);
                out.push('\n');
                if lines > 1 && !hugs {
                    out.push('\n');
                }
                let level = indent.new_line(piece, next);
                out.extend(std::iter::repeat_n(' ', level));
            }
        }
        indent.pass(piece);
        out.push_str(&piece.text);
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
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
