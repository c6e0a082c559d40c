//! Changing a document: what is not touched keeps its ciphertext, so that a commit shows what changed.

use zeroize::Zeroizing;

use crate::age;
use crate::document::{Document, Format, Node, each, place};
use crate::emit;
use crate::error::OpenError;
use crate::keys::{Identity, Random, Recipient};
use crate::metadata::Metadata;
use crate::open::{Opened, mac};
use crate::value::{DATA_KEY, Plain, seal};

/// An opened document that is being changed.
pub struct Editor {
    pub(crate) document: Document,
    pub(crate) opened: Opened,
    /// Paths whose value is new.
    touched: Vec<Vec<String>>,
    /// Whether only values were replaced, so that the text around them can stay.
    is_patch: bool,
}

impl Document {
    /// Begins a new document.
    ///
    /// # Errors
    /// For [`Format::Age`], which holds one value: see [`crate::encrypt`].
    pub fn create(
        format: Format,
        recipients: &[Recipient],
        random: &mut dyn Random,
    ) -> Result<Editor, OpenError> {
        if recipients.is_empty() {
            return Err(OpenError::NoRecipient);
        }
        let document = Document {
            format,
            root: Vec::new(),
            metadata: Metadata::new(),
            text: Vec::new(),
        };
        let mut editor = Editor {
            document,
            opened: Opened {
                data_key: Zeroizing::default(),
                values: Vec::new(),
            },
            touched: Vec::new(),
            is_patch: false,
        };
        editor.rotate(recipients, random)?;
        Ok(editor)
    }

    /// Opens the document to change it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn edit(self, identities: &[Identity]) -> Result<Editor, OpenError> {
        let opened = self.open(identities)?;
        Ok(Editor {
            document: self,
            opened,
            touched: Vec::new(),
            is_patch: true,
        })
    }
}

impl Editor {
    /// What the document holds now.
    #[must_use]
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Sets a value; maps on the way are made.
    ///
    /// # Errors
    /// When the path leads through a value, or to a map or list, or the format has no nested keys.
    pub fn set(&mut self, path: &[String], plain: Plain) -> Result<(), OpenError> {
        let cannot = |why| OpenError::CannotSet {
            key: path.join("."),
            why,
        };
        let Some((first, rest)) = path.split_first() else {
            return Err(cannot("a key is needed"));
        };
        if first == "sops" || (self.document.format == Format::Dotenv && first.starts_with("sops_"))
        {
            return Err(cannot("the name belongs to SOPS"));
        }
        if self.document.format == Format::Dotenv
            && (!rest.is_empty() || first.contains(['=', '\n', '#']) || first.is_empty())
        {
            return Err(cannot("a dotenv file has flat keys without `=`"));
        }
        if self.document.metadata.is_secret(path) == Some(false) {
            return Err(cannot("by the file's own rule this key is not encrypted"));
        }
        let (node, is_new) = slot(&mut self.document.root, first, rest)
            .ok_or_else(|| cannot("a value or a list is in the way"))?;
        if matches!(node, Node::Map(_) | Node::List(_)) {
            return Err(cannot("it has keys of its own"));
        }
        let was_empty = matches!(&*node, Node::Text(text) if text.is_empty());
        if is_new {
            // Stands for the value until it is encrypted.
            *node = Node::Text(String::new());
        }
        self.is_patch &=
            !is_new && !was_empty && matches!(node, Node::Text(_)) && !plain.bytes.is_empty();
        match self
            .opened
            .values
            .iter_mut()
            .find(|(known, _)| known == path)
        {
            Some((_, known)) => *known = plain,
            None => self.opened.values.push((path.to_vec(), plain)),
        }
        self.touched.push(path.to_vec());
        Ok(())
    }

    /// Removes a value. A map that is left empty stays.
    ///
    /// # Errors
    /// When there is no such value.
    pub fn remove(&mut self, path: &[String]) -> Result<(), OpenError> {
        let missing = || OpenError::NoKey {
            key: path.join("."),
        };
        let (last, front) = path.split_last().ok_or_else(missing)?;
        let mut map = &mut self.document.root;
        for part in front {
            map = match map.iter_mut().find(|(key, _)| key == part) {
                Some((_, Node::Map(inner))) => inner,
                _ => return Err(missing()),
            };
        }
        let at = map
            .iter()
            .position(|(key, _)| key == last)
            .ok_or_else(missing)?;
        if matches!(map[at].1, Node::Map(_) | Node::List(_)) {
            return Err(missing());
        }
        map.remove(at);
        self.opened.values.retain(|(known, _)| known != path);
        self.is_patch = false;
        Ok(())
    }

    /// Makes a new data key for these recipients, and so a new ciphertext of every value.
    ///
    /// # Errors
    /// When the document can be opened by other means than age, which would be lost.
    pub fn rotate(
        &mut self,
        recipients: &[Recipient],
        random: &mut dyn Random,
    ) -> Result<(), OpenError> {
        if self.document.metadata.has_other_keys() {
            return Err(OpenError::CannotSet {
                key: "sops".to_owned(),
                why: "it is also encrypted for other keys than age; rotate it with `sops`",
            });
        }
        if recipients.is_empty() {
            return Err(OpenError::NoRecipient);
        }
        let mut key = Zeroizing::new([0; DATA_KEY]);
        random.fill(&mut *key);
        self.document.metadata.age = recipients
            .iter()
            .map(|to| {
                (
                    to.to_string(),
                    age::armor(&age::encrypt(&[*to], &*key, random)),
                )
            })
            .collect();
        self.opened.data_key = key;
        self.touched = self
            .opened
            .values
            .iter()
            .map(|(path, _)| path.clone())
            .collect();
        self.is_patch = false;
        Ok(())
    }

    /// Encrypts what changed and writes the file. `now` is in RFC 3339, in whole seconds.
    ///
    /// # Errors
    /// When the file has comments and would have to be written anew.
    pub fn finish(mut self, now: &str, random: &mut dyn Random) -> Result<Vec<u8>, OpenError> {
        self.in_order();
        let key = self.opened.data_key.clone();
        let mut patches = Vec::new();
        for path in std::mem::take(&mut self.touched) {
            if self.document.metadata.is_secret(&path) == Some(false) {
                continue;
            }
            let Ok(plain) = self.opened.get(&path) else {
                continue;
            };
            let sealed = seal(plain, &key, &place(&path, &self.document.root), random);
            if let Some(Node::Text(text)) = node_mut(&mut self.document.root, &path) {
                patches.push((std::mem::replace(text, sealed.clone()), sealed));
            }
        }
        let before = (
            self.document.metadata.mac.clone(),
            self.document.metadata.last_modified.clone(),
        );
        let mac = mac(&self.document, &self.opened.values);
        self.document.metadata.last_modified = now.to_owned();
        self.document.metadata.mac = seal(&Plain::text(&mac), &key, now, random);
        patches.push((before.0, self.document.metadata.mac.clone()));
        if self.is_patch
            && let Some(text) = patched(&self.document.text, &patches, &before.1, now)
        {
            return Ok(text);
        }
        if self.document.format != Format::Json && has_comments(&self.document.text) {
            return Err(OpenError::Comments);
        }
        Ok(emit::document(&self.document).into_bytes())
    }

    /// The MAC is made in the order of the file: values that were added go to their places.
    fn in_order(&mut self) {
        let mut order = Vec::new();
        each(&self.document.root, &mut |path, _| {
            order.push(path.to_vec())
        });
        let place = |path: &Vec<String>| order.iter().position(|known| known == path);
        self.opened.values.sort_by_key(|(path, _)| place(path));
    }
}

/// The node at a path, and whether it is new. `None` when something other than a map is on the way.
fn slot<'a>(
    map: &'a mut Vec<(String, Node)>,
    first: &str,
    rest: &[String],
) -> Option<(&'a mut Node, bool)> {
    let at = map.iter().position(|(key, _)| key == first);
    let (at, is_new) = match at {
        Some(at) => (at, matches!(map[at].1, Node::Null)),
        None => {
            map.push((first.to_owned(), Node::Null));
            (map.len() - 1, true)
        }
    };
    let node = &mut map[at].1;
    let Some((next, rest)) = rest.split_first() else {
        return Some((node, is_new));
    };
    if is_new {
        *node = Node::Map(Vec::new());
    }
    match node {
        Node::Map(inner) => slot(inner, next, rest),
        Node::List(list) if rest.is_empty() => {
            let at: usize = next.parse().ok()?;
            Some((list.get_mut(at)?, false))
        }
        _ => None,
    }
}

pub(crate) fn node_mut<'a>(
    root: &'a mut [(String, Node)],
    path: &[String],
) -> Option<&'a mut Node> {
    let (first, rest) = path.split_first()?;
    let mut node = root
        .iter_mut()
        .find(|(key, _)| key == first)
        .map(|(_, node)| node)?;
    for part in rest {
        node = match node {
            Node::Map(map) => map
                .iter_mut()
                .find(|(key, _)| key == part)
                .map(|(_, node)| node)?,
            Node::List(list) => list.get_mut(part.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(node)
}

/// Replaces ciphertexts in the text itself: each is there once, since it has a nonce of its own.
fn patched(text: &[u8], patches: &[(String, String)], before: &str, now: &str) -> Option<Vec<u8>> {
    let mut text = std::str::from_utf8(text).ok()?.to_owned();
    for (old, new) in patches {
        if old.is_empty() || text.matches(old.as_str()).count() != 1 {
            return None;
        }
        text = text.replacen(old.as_str(), new, 1);
    }
    let at = text.rfind("lastmodified")?;
    let start = at + text[at..].find(before)?;
    text.replace_range(start..start + before.len(), now);
    Some(text.into_bytes())
}

fn has_comments(text: &[u8]) -> bool {
    String::from_utf8_lossy(text)
        .lines()
        .any(|line| line.trim_start().starts_with('#'))
}
