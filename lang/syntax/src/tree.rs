//! The lossless tree: every token of a source, trivia included, under nodes that nest.
//!
//! It is kept as two flat vectors: tokens, and nodes in preorder with the range of tokens that each
//! covers. It does not hold the text; callers pass the source it was made from.

use crate::kind::{NodeKind, TokenKind};
use crate::lexer::Token;

/// The lossless tree of one source.
#[derive(Clone, Debug)]
pub struct Tree {
    tokens: Vec<Token>,
    nodes: Vec<Entry>,
}

/// A node: its kind, its tokens, and how many nodes are below it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: NodeKind,
    pub(crate) first: u32,
    pub(crate) end: u32,
    pub(crate) below: u32,
}

impl Tree {
    /// Puts nodes, given in the order in which the parser finished them, into preorder.
    pub(crate) fn build(tokens: Vec<Token>, mut nodes: Vec<Entry>) -> Tree {
        // Of two nodes over the same tokens the one finished later is the outer one.
        nodes.reverse();
        nodes.sort_by(|a, b| a.first.cmp(&b.first).then(b.end.cmp(&a.end)));
        let mut open: Vec<usize> = Vec::new();
        for at in 0..nodes.len() {
            while open.last().is_some_and(|outer| {
                nodes[*outer].end <= nodes[at].first && nodes[at].first < nodes[at].end
            }) || open
                .last()
                .is_some_and(|outer| nodes[*outer].end < nodes[at].end)
            {
                open.pop();
            }
            for outer in &open {
                nodes[*outer].below += 1;
            }
            open.push(at);
        }
        Tree { tokens, nodes }
    }

    /// Returns the node of the whole file.
    pub fn root(&self) -> Node<'_> {
        Node { tree: self, at: 0 }
    }

    /// Returns all tokens in order.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }
}

/// A node of a [`Tree`].
#[derive(Clone, Copy, Debug)]
pub struct Node<'t> {
    tree: &'t Tree,
    at: usize,
}

/// A token of a [`Tree`], with its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TreeToken {
    /// What it is.
    pub kind: TokenKind,
    /// Offset of its first byte.
    pub start: u32,
    /// Offset after its last byte.
    pub end: u32,
}

impl TreeToken {
    /// Returns the token's bytes.
    pub fn text<'s>(&self, source: &'s [u8]) -> &'s [u8] {
        source
            .get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

/// A child of a node.
#[derive(Clone, Copy, Debug)]
pub enum Child<'t> {
    /// A node.
    Node(Node<'t>),
    /// A token that stands directly in the parent.
    Token(TreeToken),
}

impl<'t> Node<'t> {
    fn entry(self) -> Entry {
        self.tree.nodes[self.at]
    }

    /// Returns what the node is.
    pub fn kind(self) -> NodeKind {
        self.entry().kind
    }

    /// Returns the byte range of the node.
    pub fn range(self) -> std::ops::Range<usize> {
        let entry = self.entry();
        start_of(&self.tree.tokens, entry.first)..start_of(&self.tree.tokens, entry.end)
    }

    /// Returns the children, nodes and tokens, in the order of the source.
    pub fn children(self) -> impl Iterator<Item = Child<'t>> {
        let entry = self.entry();
        let tree = self.tree;
        let mut token = entry.first;
        let mut node = self.at + 1;
        let last = self.at + 1 + entry.below as usize;
        std::iter::from_fn(move || {
            if node < last && tree.nodes[node].first <= token {
                let child = Node { tree, at: node };
                token = tree.nodes[node].end.max(token);
                node += 1 + tree.nodes[node].below as usize;
                return Some(Child::Node(child));
            }
            if token >= entry.end {
                return None;
            }
            let found = tree.tokens[token as usize];
            let start = start_of(&tree.tokens, token) as u32;
            token += 1;
            Some(Child::Token(TreeToken {
                kind: found.kind,
                start,
                end: found.end,
            }))
        })
    }

    /// Appends the text of the node, by walking it down to its tokens.
    pub fn write_text(self, source: &[u8], out: &mut Vec<u8>) {
        let mut open: Vec<Box<dyn Iterator<Item = Child<'t>> + 't>> =
            vec![Box::new(self.children())];
        while let Some(children) = open.last_mut() {
            match children.next() {
                Some(Child::Token(token)) => out.extend_from_slice(token.text(source)),
                Some(Child::Node(node)) => open.push(Box::new(node.children())),
                None => {
                    open.pop();
                }
            }
        }
    }

    /// Writes nodes and tokens one per line, indented, for tests and `--debug` output.
    pub fn dump(self, source: &[u8]) -> String {
        use std::fmt::Write as _;
        let mut out = format!("{:?}\n", self.kind());
        let mut open: Vec<Box<dyn Iterator<Item = Child<'t>> + 't>> =
            vec![Box::new(self.children())];
        while let Some(children) = open.last_mut() {
            match children.next() {
                Some(Child::Token(token)) if token.kind == TokenKind::Whitespace => {}
                Some(Child::Token(token)) => {
                    let text = String::from_utf8_lossy(token.text(source)).into_owned();
                    let _ = writeln!(out, "{:1$}{2:?} {text:?}", "", open.len() * 2, token.kind);
                }
                Some(Child::Node(node)) => {
                    let _ = writeln!(out, "{:1$}{2:?}", "", open.len() * 2, node.kind());
                    open.push(Box::new(node.children()));
                }
                None => {
                    open.pop();
                }
            }
        }
        out
    }
}

/// Where the token with this number begins; the end of the text for the number after the last.
fn start_of(tokens: &[Token], at: u32) -> usize {
    match at.checked_sub(1) {
        Some(before) => tokens
            .get(before as usize)
            .map_or(0, |token| token.end as usize),
        None => 0,
    }
}
