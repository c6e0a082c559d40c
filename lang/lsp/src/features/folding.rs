//! What can be folded: brackets over several lines, runs of comments, and the imports at the top.
//!
//! It reads tokens alone, so a broken file still folds where its brackets close.

use ordain_lang_syntax::{NodeKind, Parsed, TokenKind};

/// What a fold hides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FoldKind {
    /// Braces, brackets, parentheses or a text block.
    Region,
    /// Comments.
    Comment,
    /// `use` items.
    Imports,
}

/// A fold from one line to another, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fold {
    /// The line that stays.
    pub(crate) first: u32,
    /// The last line that is hidden.
    pub(crate) last: u32,
    /// What is hidden.
    pub(crate) kind: FoldKind,
}

/// Returns the folds of a file in order.
pub(crate) fn folds(parsed: &Parsed, text: &str) -> Vec<Fold> {
    let starts: Vec<usize> = std::iter::once(0)
        .chain(text.match_indices('\n').map(|(at, _)| at + 1))
        .collect();
    let line = |offset: usize| starts.partition_point(|s| *s <= offset).saturating_sub(1) as u32;
    let mut folds = Vec::new();
    let mut open: Vec<(TokenKind, u32)> = Vec::new();
    let mut comments: Option<(u32, u32)> = None;
    let mut start = 0;
    let tree = parsed.tree();
    let close_comments = |comments: &mut Option<(u32, u32)>, folds: &mut Vec<Fold>| {
        if let Some((first, last)) = comments.take()
            && last > first
        {
            let kind = FoldKind::Comment;
            folds.push(Fold { first, last, kind });
        }
    };
    for token in tree.tokens() {
        let end = token.end as usize;
        let (first, last) = (line(start), line(end.saturating_sub(1).max(start)));
        let source = text.get(start..end).unwrap_or("");
        start = end;
        match token.kind {
            TokenKind::Whitespace => {
                // A blank line ends a run of comments.
                if source.matches('\n').count() > 1 {
                    close_comments(&mut comments, &mut folds);
                }
                continue;
            }
            TokenKind::LineComment | TokenKind::DocComment | TokenKind::BlockComment => {
                comments = Some((comments.map_or(first, |(begun, _)| begun), last));
                continue;
            }
            TokenKind::LBrace | TokenKind::LBracket | TokenKind::LParen | TokenKind::Quote => {
                open.push((token.kind, first));
            }
            TokenKind::RBrace | TokenKind::RBracket | TokenKind::RParen | TokenKind::QuoteEnd => {
                let opens = match token.kind {
                    TokenKind::RBrace => TokenKind::LBrace,
                    TokenKind::RBracket => TokenKind::LBracket,
                    TokenKind::RParen => TokenKind::LParen,
                    _ => TokenKind::Quote,
                };
                // What was never closed in between is given up.
                if let Some(at) = open.iter().rposition(|(kind, _)| *kind == opens) {
                    let (_, begun) = open[at];
                    open.truncate(at);
                    // The line of the closing bracket stays visible.
                    if first > begun + 1 {
                        folds.push(Fold {
                            first: begun,
                            last: first - 1,
                            kind: FoldKind::Region,
                        });
                    }
                }
            }
            _ => {}
        }
        close_comments(&mut comments, &mut folds);
    }
    close_comments(&mut comments, &mut folds);
    let mut imports: Option<(u32, u32)> = None;
    for child in tree.root().children() {
        if let ordain_lang_syntax::Child::Node(node) = child
            && node.kind() == NodeKind::Use
        {
            let range = node.range();
            let body = text.get(range.clone()).unwrap_or("");
            let from = range.start + (body.len() - body.trim_start().len());
            let to = range.start + body.trim_end().len();
            let first = imports.map_or(line(from), |(first, _)| first);
            imports = Some((first, line(to.saturating_sub(1).max(from))));
        }
    }
    if let Some((first, last)) = imports
        && last > first
    {
        let kind = FoldKind::Imports;
        folds.push(Fold { first, last, kind });
    }
    folds.sort_by_key(|fold| (fold.first, std::cmp::Reverse(fold.last)));
    folds.dedup_by_key(|fold| fold.first);
    folds
}
