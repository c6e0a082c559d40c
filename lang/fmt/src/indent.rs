//! How far a line is indented. Knows nothing of what makes a line end.

use ordain_lang_syntax::TokenKind as T;

use crate::flat::Piece;

/// Spaces per level.
const INDENT: usize = 2;

/// The brackets that are open while pieces go by.
#[derive(Default)]
pub(crate) struct Indent {
    /// Indentation of the current line.
    line: usize,
    /// For every open bracket, the indentation of the line it was opened on.
    open: Vec<usize>,
}

impl Indent {
    /// Begins a line with a piece and returns its indentation. `next` is the piece itself, or for a comment the first
    /// piece behind it that is none: a comment stands where that one will stand.
    pub(crate) fn new_line(&mut self, piece: &Piece, next: Option<&Piece>) -> usize {
        let begins =
            next.is_none_or(|next| next.begins || (piece.kind.is_trivia() && is_close(next.kind)));
        let continued = if begins { 0 } else { INDENT };
        self.line = match self.open.last() {
            Some(opened) if is_close(piece.kind) => *opened,
            Some(opened) => opened + INDENT + continued,
            None => continued,
        };
        self.line
    }

    /// Passes over a piece.
    pub(crate) fn pass(&mut self, piece: &Piece) {
        if is_close(piece.kind) {
            self.open.pop();
        } else if is_open(piece.kind) {
            self.open.push(self.line);
        }
    }
}

/// For every piece the number of the first from it on that is no comment.
pub(crate) fn content<'p>(
    pieces: impl DoubleEndedIterator<Item = &'p Piece> + ExactSizeIterator,
) -> Vec<usize> {
    let mut next = pieces.len();
    let mut content = vec![next; next];
    for (at, piece) in pieces.enumerate().rev() {
        if !piece.kind.is_trivia() {
            next = at;
        }
        content[at] = next;
    }
    content
}

pub(crate) fn is_open(kind: T) -> bool {
    matches!(kind, T::LBrace | T::LBracket | T::LParen)
}

pub(crate) fn is_close(kind: T) -> bool {
    matches!(kind, T::RBrace | T::RBracket | T::RParen)
}
