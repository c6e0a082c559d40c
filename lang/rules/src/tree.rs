//! What an object looks like to the rules: fields, elements, texts, and the lines that set them.

use crate::facts::Place;

/// A tree of values in any form.
pub trait Tree {
    /// A value inside of it.
    type Node: Copy;

    /// Returns a field or entry; nothing when it is not there or null.
    fn get(&self, node: Self::Node, key: &str) -> Option<Self::Node>;

    /// Returns the elements of a list; none of anything else.
    fn items(&self, node: Self::Node) -> impl Iterator<Item = Self::Node>;

    /// Returns the entries of a map; none of anything else.
    fn entries(&self, node: Self::Node) -> impl Iterator<Item = (&str, Self::Node)>;

    /// Returns the text of a string.
    fn text(&self, node: Self::Node) -> Option<&str>;

    /// Returns an integer.
    fn int(&self, node: Self::Node) -> Option<i64>;

    /// Returns whether the value is `true`.
    fn is_true(&self, node: Self::Node) -> bool;

    /// Returns where the value was set.
    fn place(&self, node: Self::Node) -> Option<Place>;

    /// Follows a path of fields.
    fn find(&self, node: Self::Node, path: &[&str]) -> Option<Self::Node> {
        path.iter().try_fold(node, |node, key| self.get(node, key))
    }

    /// Returns the text at a path of fields.
    fn text_at(&self, node: Self::Node, path: &[&str]) -> Option<&str> {
        self.text(self.find(node, path)?)
    }
}
