//! A whole document in the clear, for an editor, and back.

use zeroize::Zeroizing;

use crate::document::{Format, Node, each, spelled, yaml};
use crate::edit::{Editor, node_mut};
use crate::emit;
use crate::error::OpenError;
use crate::value::{Kind, Plain};

impl Editor {
    /// The document as plain YAML, whatever its own format is.
    #[must_use]
    pub fn to_plain_yaml(&self) -> Zeroizing<String> {
        let mut root = self.document.root.clone();
        for (path, plain) in &self.opened.values {
            if let Some(node) = node_mut(&mut root, path) {
                *node = node_of(plain);
            }
        }
        let mut text = Zeroizing::new(String::new());
        emit::map(&mut text, &root, 0);
        text
    }

    /// Takes over what changed in a text of [`Editor::to_plain_yaml`]: other values, new keys, keys that are gone.
    ///
    /// # Errors
    /// When the text is no YAML, or has what the document cannot have. Its values are in no error.
    pub fn take_plain_yaml(&mut self, text: &str) -> Result<(), OpenError> {
        let root = match text.trim().is_empty() {
            true => Vec::new(),
            false => yaml(text)?,
        };
        let mut wanted = Vec::new();
        each(&root, &mut |path, node| {
            wanted.push((path.to_vec(), plain_of(node)))
        });
        let is_flat = self.document.format == Format::Dotenv;
        for (path, mut plain) in wanted.clone() {
            if is_flat {
                plain.kind = Kind::Str;
            }
            let known = self.opened.get(&path).ok();
            if known.is_none_or(|known| known.kind != plain.kind || known.bytes != plain.bytes) {
                self.set(&path, plain)?;
            }
        }
        let gone: Vec<Vec<String>> = (self.opened.values.iter())
            .map(|(path, _)| path.clone())
            .filter(|path| !wanted.iter().any(|(known, _)| known == path))
            .collect();
        gone.iter().try_for_each(|path| self.remove(path))
    }
}

fn node_of(plain: &Plain) -> Node {
    let text = plain
        .to_text()
        .map_or_else(String::new, |text| text.to_string());
    match plain.kind {
        Kind::Int => text.parse().map_or(Node::Text(text), Node::Int),
        Kind::Float => text.parse().map_or(Node::Text(text), Node::Float),
        Kind::Bool => Node::Bool(text == "true"),
        Kind::Str | Kind::Bytes => Node::Text(text),
    }
}

fn plain_of(node: &Node) -> Plain {
    let kind = match node {
        Node::Int(_) => Kind::Int,
        Node::Float(_) => Kind::Float,
        Node::Bool(_) => Kind::Bool,
        _ => Kind::Str,
    };
    Plain {
        kind,
        bytes: Zeroizing::new(spelled(node).unwrap_or_default().into_bytes()),
    }
}
