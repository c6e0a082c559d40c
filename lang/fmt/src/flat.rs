//! The tree as a list of tokens that know what they are part of.

use std::borrow::Cow;

use ordain_lang_syntax::{Child, Node, NodeKind as N, TokenKind as T, Tree};

/// A token or comment with its surroundings.
pub(crate) struct Piece {
    pub(crate) kind: T,
    pub(crate) text: String,
    /// The node it stands in directly.
    pub(crate) parent: N,
    /// Line ends before it: 0, 1, or 2 for one or more blank lines.
    pub(crate) lines_before: u8,
    /// Whether it is the first token of an item, member, element, statement, argument or arm.
    pub(crate) begins: bool,
    /// Whether it is in something written as JSON, whose commas stay.
    pub(crate) in_json: bool,
}

/// Lists all tokens but white space.
pub(crate) fn flatten(tree: &Tree, source: &[u8]) -> Vec<Piece> {
    let mut flat = Flat {
        source,
        pieces: Vec::new(),
        lines: 0,
        begins: false,

        in_json: false,
    };
    flat.node(tree.root());
    flat.pieces
}

struct Flat<'s> {
    source: &'s [u8],
    pieces: Vec<Piece>,
    lines: u8,
    begins: bool,
    in_json: bool,
}

/// Whether the node's children are separated by commas or new lines.
fn is_sequence(kind: N) -> bool {
    matches!(
        kind,
        N::File
            | N::Record
            | N::RecordType
            | N::Block
            | N::List
            | N::Args
            | N::Params
            | N::Match
            | N::Refinements
    )
}

impl Flat<'_> {
    // Recursion is bounded: the parser refuses what nests deeper than its limit.
    fn node(&mut self, node: Node<'_>) {
        let kind = node.kind();
        let was_json = self.in_json;
        self.in_json |= kind == N::Record
            && node
                .children()
                .any(|child| matches!(child, Child::Node(inner) if is_json(inner)));
        let mut is_open = kind == N::File;
        for child in node.children() {
            match child {
                Child::Node(inner) => {
                    if is_open && is_sequence(kind) {
                        self.begins = true;
                    }
                    self.node(inner);
                }
                Child::Token(token) => {
                    let bytes = token.text(self.source);
                    if token.kind == T::Whitespace {
                        self.lines = self.lines.saturating_add(line_ends(bytes)).min(2);
                        continue;
                    }
                    let is_comment = token.kind.is_trivia();
                    let text = String::from_utf8_lossy(bytes);
                    let text = if text.contains("\r\n") {
                        Cow::Owned(text.replace("\r\n", "\n"))
                    } else {
                        text
                    };
                    let text = if is_comment { text.trim_end() } else { &text };
                    self.pieces.push(Piece {
                        kind: token.kind,
                        text: text.to_owned(),
                        parent: kind,
                        lines_before: self.lines,
                        begins: !is_comment && self.begins,

                        in_json: self.in_json,
                    });
                    self.lines = 0;
                    if !is_comment {
                        self.begins = false;
                        is_open |= matches!(token.kind, T::LBrace | T::LBracket | T::LParen);
                    }
                }
            }
        }
        self.in_json = was_json;
    }
}

/// How many lines end in white space: `\n`, `\r\n` and `\r` alone each end one; two stand for more.
fn line_ends(bytes: &[u8]) -> u8 {
    let mut ends = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte == b'\n' || (*byte == b'\r' && bytes.get(at + 1) != Some(&b'\n')) {
            ends = (ends + 1).min(2);
        }
    }
    ends
}

/// `"name": value`.
fn is_json(field: Node<'_>) -> bool {
    field.kind() == N::Field
        && field.children().any(|child| matches!(child, Child::Token(token) if token.kind == T::Colon))
        && field.children().any(|child| {
            matches!(child, Child::Node(path) if path.kind() == N::Path
                && path.children().any(|inner| matches!(inner, Child::Node(node) if node.kind() == N::String)))
        })
}
