//! Whether a space stands between two tokens of one line.

use ordain_lang_syntax::{NodeKind as N, TokenKind as T};

use crate::flat::Piece;

/// Decides for two neighbors on one line.
pub(crate) fn stands(left: &Piece, right: &Piece) -> bool {
    !in_string(left, right) && (wanted(left, right) || would_merge(left, right))
}

/// Whether the place between two neighbors belongs to the text of a string.
pub(crate) fn in_string(left: &Piece, right: &Piece) -> bool {
    matches!(right.kind, T::StrText | T::QuoteEnd | T::InterpOpen)
        && matches!(left.kind, T::Quote | T::StrText | T::InterpClose)
}

/// Whether two tokens would be read as another one without a space: `1.. ..2`.
fn would_merge(left: &Piece, right: &Piece) -> bool {
    let (Some(last), Some(first)) = (left.text.chars().last(), right.text.chars().next()) else {
        return false;
    };
    left.kind != T::StrText
        && right.kind != T::StrText
        && matches!(
            (last, first),
            ('.', '.' | '=') | ('?', '.' | '?') | ('/', '/' | '*')
        )
}

fn wanted(left: &Piece, right: &Piece) -> bool {
    use T as K;
    if left.kind.is_trivia() || right.kind.is_trivia() {
        return true;
    }
    // Inside strings everything is as it is.
    if matches!(left.kind, K::Quote | K::StrText | K::InterpOpen)
        || matches!(
            right.kind,
            K::QuoteEnd | K::StrText | K::InterpOpen | K::InterpClose
        )
        || (left.kind == K::InterpClose && right.parent == N::String)
    {
        return false;
    }
    match (left.kind, right.kind) {
        (K::LBrace, K::RBrace) => return false,
        (K::LBrace, _) | (_, K::RBrace) => return true,
        (_, K::Comma | K::Semicolon | K::RParen | K::RBracket) | (K::LParen | K::LBracket, _) => {
            return false;
        }
        (_, K::Colon) => return false,
        (K::Comma | K::Colon, _) => return true,
        (K::Dot | K::QuestionDot | K::Ellipsis, _) | (_, K::Dot | K::QuestionDot) => return false,
        (_, K::DotDot | K::DotDotEq) | (K::DotDot | K::DotDotEq, _) => {
            return !matches!((left.parent, right.parent), (N::Range, _) | (_, N::Range));
        }
        _ => {}
    }
    if right.kind == K::Question || (right.kind == K::Coalesce && right.parent == N::OptionalType) {
        return false;
    }
    let is_angle = |piece: &Piece| {
        matches!(piece.kind, K::Lt | K::Gt) && matches!(piece.parent, N::TypeArgs | N::TypeParams)
    };
    if is_angle(right) || (is_angle(left) && left.kind == K::Lt) {
        return false;
    }
    if is_angle(left) && right.kind == K::LParen {
        return false;
    }
    if right.kind == K::LParen && matches!(right.parent, N::Args | N::Params | N::Refinements) {
        // A lambda's parameters stand where a value stands.
        return right.parent == N::Params && left.parent != N::FnDecl;
    }
    if right.kind == K::LBracket && matches!(right.parent, N::Selector | N::Index) {
        return matches!(left.kind, K::Delete | K::Final) && left.parent != N::Path;
    }
    if left.kind == K::Minus && matches!(left.parent, N::Unary | N::Literal | N::LiteralType) {
        return false;
    }
    true
}
