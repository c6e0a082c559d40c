//! Where something stands in a text, and the text with something put in, taken out or replaced there. Knows the
//! lossless tree, and not what anything means.

use ordain_lang_syntax::{Child, FileId, Node, NodeKind, Tree, parse};
use std::ops::Range;

/// A source with its tree.
pub(super) struct Text<'t> {
    pub(super) text: &'t str,
    tree: Tree,
}

/// A node that is a value and nothing that is worked out.
const LITERALS: [NodeKind; 5] = [
    NodeKind::Literal,
    NodeKind::String,
    NodeKind::List,
    NodeKind::Record,
    NodeKind::Unary,
];

impl<'t> Text<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let tree = parse(FileId(0), text).tree();
        Self { text, tree }
    }

    /// The nodes around a place, the outermost first.
    pub(super) fn around(&self, place: &Range<usize>) -> Vec<Node<'_>> {
        let mut found = vec![self.tree.root()];
        while let Some(node) = found.last() {
            let inner = nodes(*node).find(|inner| {
                let range = inner.range();
                range.start <= place.start && place.end <= range.end
            });
            match inner {
                Some(inner) => found.push(inner),
                None => break,
            }
        }
        found
    }

    /// The items of the file.
    pub(super) fn items(&self) -> impl Iterator<Item = Node<'_>> {
        nodes(self.tree.root())
    }

    /// What a node says.
    pub(super) fn of(&self, node: Node<'_>) -> &'t str {
        &self.text[node.range()]
    }

    /// The number of spaces before the line of a place.
    pub(super) fn indent(&self, at: usize) -> usize {
        let start = self.text[..at].rfind('\n').map_or(0, |at| at + 1);
        let line = &self.text[start..];
        line.len() - line.trim_start_matches(' ').len()
    }

    /// The text with something else in a place.
    pub(super) fn replaced(&self, place: Range<usize>, new: &str) -> String {
        let mut text = self.text.to_owned();
        text.replace_range(place, new);
        text
    }

    /// The text with one more entry at the end of braces or brackets.
    pub(super) fn extended(&self, body: Node<'_>, entry: &str) -> String {
        let range = body.range();
        let close = range.end - 1;
        let inner = &self.text[range.start + 1..close];
        let has_lines = inner.contains('\n') || entry.contains('\n');
        let end = range.start + 1 + inner.trim_end().len();
        let new = match (inner.trim().is_empty(), has_lines) {
            (true, false) if self.text[range.clone()].starts_with('{') => format!(" {entry} "),
            (true, false) => entry.to_owned(),
            (is_empty, true) => {
                let pad = " ".repeat(self.indent(close));
                let comma = match is_empty || inner.trim_end().ends_with(',') {
                    _ if inner.contains('\n') => "",
                    true => "",
                    false => ",",
                };
                format!("{comma}\n{pad}  {entry}\n{pad}")
            }
            (false, false) => {
                let comma = match inner.trim_end().ends_with(',') {
                    true => "",
                    false => ",",
                };
                let space = &inner[inner.trim_end().len()..];
                format!("{comma} {entry}{space}")
            }
        };
        self.replaced(end..close, &new)
    }

    /// The text without an entry of braces or brackets.
    pub(super) fn without(&self, entry: Node<'_>) -> String {
        let range = entry.range();
        let text = self.text;
        let start = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
        let after = &text[range.end..];
        let comma = after.trim_start_matches([' ', '\t']);
        let comma = comma.strip_prefix(',').unwrap_or(comma);
        let rest = comma.trim_start_matches([' ', '\t']);
        let is_alone = text[start..range.start].trim().is_empty();
        if is_alone && rest.starts_with('\n') {
            return self.replaced(start..text.len() - rest.len() + 1, "");
        }
        if after.trim_start_matches([' ', '\t']).starts_with(',') {
            return self.replaced(range.start..text.len() - rest.len(), "");
        }
        let before = text[..range.start].trim_end();
        let before = before.strip_suffix(',').unwrap_or(before);
        self.replaced(before.len()..range.end, "")
    }
}

/// The nodes directly below a node.
pub(super) fn nodes(node: Node<'_>) -> impl DoubleEndedIterator<Item = Node<'_>> {
    let children: Vec<Node<'_>> = (node.children())
        .filter_map(|child| match child {
            Child::Node(node) => Some(node),
            Child::Token(_) => None,
        })
        .collect();
    children.into_iter()
}

/// The literal which a field, or the expression itself, is.
pub(super) fn value(node: Node<'_>) -> Option<Node<'_>> {
    let node = match node.kind() {
        NodeKind::Field | NodeKind::FieldDecl | NodeKind::Let => nodes(node).next_back()?,
        _ => node,
    };
    LITERALS.contains(&node.kind()).then_some(node)
}

/// The braces or brackets of a value, a field or an amendment.
pub(super) fn body(node: Node<'_>, wanted: NodeKind) -> Option<Node<'_>> {
    match node.kind() {
        kind if kind == wanted => Some(node),
        NodeKind::Field
        | NodeKind::FieldDecl
        | NodeKind::Let
        | NodeKind::Export
        | NodeKind::Amend
        | NodeKind::App
        | NodeKind::Env => body(nodes(node).next_back()?, wanted),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text with an entry added to, or taken from, the innermost braces or brackets around `at`.
    fn check(text: &str, at: &str, wanted: &str) {
        let found = text.find(at).expect("it is there");
        let place = found..found + at.len();
        let text = Text::new(text);
        let around = text.around(&place);
        let kinds = [NodeKind::Record, NodeKind::List];
        let edited = match kinds.contains(&around[around.len() - 1].kind()) {
            true => text.extended(around[around.len() - 1], "z = 9"),
            false => {
                let node = around
                    .iter()
                    .rev()
                    .find(|node| node.kind() == NodeKind::Field);
                text.without(*node.expect("a field"))
            }
        };
        assert_eq!(edited, wanted);
    }

    #[test]
    fn entries_come_and_go() {
        check(
            "let a = { b = 1 }\n",
            "{ b = 1 }",
            "let a = { b = 1, z = 9 }\n",
        );
        check("let a = {}\n", "{}", "let a = { z = 9 }\n");
        check(
            "let a = {\n  b = 1\n}\n",
            "{\n  b = 1\n}",
            "let a = {\n  b = 1\n  z = 9\n}\n",
        );
        check("let a = { b = 1, c = 2 }\n", "1", "let a = { c = 2 }\n");
        check("let a = { b = 1, c = 2 }\n", "2", "let a = { b = 1 }\n");
        check(
            "let a = {\n  b = 1 // one\n  c = 2,\n}\n",
            "2",
            "let a = {\n  b = 1 // one\n}\n",
        );
    }
}
