//! Breaks lines that are too wide: the widest bracket of the line is opened, one element per line.
//!
//! It only adds line ends between pieces; what is written on the lines is decided afterwards.

use ordain_lang_syntax::{NodeKind as N, TokenKind as T};

use crate::flat::Piece;
use crate::indent::{Indent, content, is_close, is_open};
use crate::space;

/// The widest line, in characters.
const WIDTH: usize = 100;
/// Up to this many brackets beside each other on a line, they are opened one by one.
const FEW: usize = 16;

/// Adds line ends where lines are too wide and hold brackets that can be opened.
pub(crate) fn wrap(pieces: &mut [Piece]) {
    let content = content(pieces.iter());
    let mut indent = Indent::default();
    let mut at = 0;
    while at < pieces.len() {
        let next = content[at];
        let start = indent.new_line(&pieces[at], pieces.get(next));
        let mut end = line_end(pieces, at);
        while width(&pieces[at..end], start) > WIDTH {
            let groups = groups(&pieces[at..end]);
            if groups.is_empty() {
                break;
            }
            open_some(&mut pieces[at..end], &groups);
            end = line_end(pieces, at);
        }
        for piece in &pieces[at..end] {
            indent.pass(piece);
        }
        at = end;
    }
}

/// The first piece after this one that begins a line.
fn line_end(pieces: &[Piece], at: usize) -> usize {
    (at + 1..pieces.len())
        .find(|next| {
            pieces[*next].lines_before > 0
                || matches!(pieces[*next - 1].kind, T::LineComment | T::DocComment)
        })
        .unwrap_or(pieces.len())
}

/// How wide a line is up to its first line end, which may lie inside a text block. A comment at its end does not count:
/// breaking the line would not make it shorter.
fn width(line: &[Piece], indent: usize) -> usize {
    let mut width = indent;
    for (at, piece) in line.iter().enumerate() {
        if piece.kind == T::LineComment && at > 0 {
            break;
        }
        let before = at.checked_sub(1).map(|before| &line[before]);
        if before.is_some_and(|before| space::stands(before, piece)) {
            width += 1;
        }
        match piece.text.split_once('\n') {
            Some((first, _)) => return width + first.chars().count(),
            None => width += piece.text.chars().count(),
        }
    }
    width
}

/// The first and last pieces of the outermost brackets of a line that can be opened.
fn groups(line: &[Piece]) -> Vec<(usize, usize)> {
    let mut partner = vec![0; line.len()];
    let mut open: Vec<usize> = Vec::new();
    for (at, piece) in line.iter().enumerate() {
        if is_open(piece.kind) {
            open.push(at);
        } else if is_close(piece.kind)
            && let Some(first) = open.pop()
        {
            partner[first] = at;
        }
    }
    let mut found = Vec::new();
    // Line ends may not stand in the expressions of one-line strings.
    let mut strings = 0_usize;
    let mut at = 0;
    while at < line.len() {
        let last = partner[at];
        match line[at].kind {
            T::InterpOpen => strings += 1,
            T::InterpClose => strings = strings.saturating_sub(1),
            _ if strings == 0 && last > at + 1 && can_open(&line[at]) => {
                // A list of one record, or a call with one, is opened at the record: `[{ … }]`.
                let (mut first, mut end) = (at, last);
                while partner[first + 1] + 1 == end && can_open(&line[first + 1]) && end > first + 3
                {
                    (first, end) = (first + 1, end - 1);
                }
                found.push((first, end));
                at = last;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Opens the widest of the brackets, or all when there are many, so that no line is looked at too often.
fn open_some(line: &mut [Piece], groups: &[(usize, usize)]) {
    let width = |(first, last): (usize, usize)| -> usize {
        line[first..last]
            .iter()
            .map(|piece| piece.text.chars().count())
            .sum()
    };
    let widest = groups.iter().copied().max_by_key(|group| width(*group));
    if groups.len() <= FEW
        && let Some((first, last)) = widest
    {
        open(&mut line[first..=last]);
        return;
    }
    for (first, last) in groups {
        open(&mut line[*first..=*last]);
    }
}

fn can_open(piece: &Piece) -> bool {
    matches!(
        (piece.kind, piece.parent),
        (T::LBrace, N::Record | N::RecordType | N::Block | N::Match)
            | (T::LBracket, N::List)
            | (T::LParen, N::Args | N::Params)
    )
}

/// Puts every element of a bracket on a line of its own.
fn open(group: &mut [Piece]) {
    let last = group.len() - 1;
    let parent = group[0].parent;
    let mut depth = 0_usize;
    for at in 0..=last {
        if is_close(group[at].kind) {
            depth -= 1;
        }
        let separates = at > 0 && group[at - 1].kind == T::Comma && group[at - 1].parent == parent;
        if at == 1 || at == last || (depth == 1 && separates) {
            group[at].lines_before = group[at].lines_before.max(1);
        }
        if is_open(group[at].kind) {
            depth += 1;
        }
    }
}
