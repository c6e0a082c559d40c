//! Layout: what stands on one line and what is broken over several, in the form that `ordain fmt` leaves as it is.
//!
//! While it writes, it notes from where in the input each part came, so that a mistake found in the written program can
//! be shown where it was made.

use ordain_lang_syntax::Span;

use super::text;

/// The widest line, in characters.
const WIDTH: usize = 100;
/// The widest record or list that is kept on one line although it nests another.
const INLINE: usize = 72;
/// Spaces per level.
const INDENT: usize = 2;

/// Something to write.
#[derive(Clone, Debug)]
pub(crate) enum Doc {
    /// A text without line ends.
    Atom(String),
    /// A text block: its lines.
    Block(Vec<String>),
    /// `head { members }`; `head` may be empty.
    Record(String, Vec<Member>),
    /// `[ items ]`.
    List(Vec<Item>),
}

/// A member of a record: a field that is set, amended, appended to or deleted.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// What stands before the value, such as `spec.replicas =`; all of it when there is no value.
    pub(crate) head: String,
    pub(crate) doc: Option<Doc>,
    pub(crate) before: Vec<String>,
    pub(crate) behind: Option<String>,
    /// Where it comes from.
    pub(crate) origin: Option<Span>,
}

/// An element of a list.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) doc: Doc,
    pub(crate) before: Vec<String>,
    pub(crate) behind: Option<String>,
    pub(crate) origin: Option<Span>,
}

impl Member {
    /// A member without comments.
    pub(crate) fn new(head: impl Into<String>, doc: Doc) -> Member {
        Member {
            head: head.into(),
            doc: Some(doc),
            before: Vec::new(),
            behind: None,
            origin: None,
        }
    }

    fn has_comments(&self) -> bool {
        !self.before.is_empty() || self.behind.is_some()
    }
}

impl Item {
    /// An element without comments.
    pub(crate) fn new(doc: Doc) -> Item {
        Item {
            doc,
            before: Vec::new(),
            behind: None,
            origin: None,
        }
    }

    fn has_comments(&self) -> bool {
        !self.before.is_empty() || self.behind.is_some()
    }
}

/// A text being written.
#[derive(Default)]
pub(crate) struct Page {
    pub(crate) out: String,
    /// Offsets at which something begins, in rising order, and where it comes from.
    pub(crate) origins: Vec<(usize, Span)>,
    line_start: usize,
}

impl Page {
    /// Writes a text as it is.
    pub(crate) fn raw(&mut self, text: &str) {
        self.out.push_str(text);
        if let Some(end) = self.out.rfind('\n') {
            self.line_start = end + 1;
        }
    }

    pub(crate) fn line(&mut self, indent: usize) {
        self.out.push('\n');
        self.line_start = self.out.len();
        self.out.extend(std::iter::repeat_n(' ', indent));
    }

    fn column(&self) -> usize {
        self.out[self.line_start..].chars().count()
    }

    pub(crate) fn comes_from(&mut self, origin: Option<Span>) {
        if let Some(span) = origin {
            self.origins.push((self.out.len(), span));
        }
    }

    /// Writes a value at the end of the current line, whose indentation is given.
    // Recursion is as deep as the value, which the reader bounds.
    pub(crate) fn doc(&mut self, doc: &Doc, indent: usize) {
        let column = self.column();
        if !matches!(doc, Doc::Atom(_)) && fits(doc, column) {
            self.flat(doc);
            return;
        }
        match doc {
            Doc::Atom(text) => self.out.push_str(text),
            Doc::Block(lines) => self.block(lines, indent + INDENT),
            Doc::Record(head, members) => {
                self.out.push_str(head);
                if !head.is_empty() {
                    self.out.push(' ');
                }
                self.out.push('{');
                for member in members {
                    self.member(member, indent + INDENT);
                }
                self.line(indent);
                self.out.push('}');
            }
            Doc::List(items) => {
                self.out.push('[');
                if let [only] = &items[..]
                    && !only.has_comments()
                    && matches!(only.doc, Doc::Record(..))
                {
                    self.comes_from(only.origin);
                    self.doc(&only.doc, indent);
                    self.out.push(']');
                    return;
                }
                for (nth, item) in items.iter().enumerate() {
                    self.comments(&item.before, indent + INDENT);
                    self.line(indent + INDENT);
                    self.comes_from(item.origin);
                    self.doc(&item.doc, indent + INDENT);
                    // A sign at the beginning of the next line would go on with this one.
                    let next = items.get(nth + 1);
                    if next.is_some_and(
                        |next| matches!(&next.doc, Doc::Atom(text) if !begins_afresh(text)),
                    ) {
                        self.out.push(',');
                    }
                    self.behind(item.behind.as_deref());
                }
                self.line(indent);
                self.out.push(']');
            }
        }
    }

    /// Writes a member on a line of its own.
    pub(crate) fn member(&mut self, member: &Member, indent: usize) {
        self.comments(&member.before, indent);
        self.line(indent);
        self.comes_from(member.origin);
        self.out.push_str(&member.head);
        if let Some(doc) = &member.doc {
            self.out.push(' ');
            self.doc(doc, indent);
        }
        self.behind(member.behind.as_deref());
    }

    pub(crate) fn comments(&mut self, comments: &[String], indent: usize) {
        for comment in comments {
            self.line(indent);
            self.out.push_str(&text::comment(comment));
        }
    }

    fn behind(&mut self, comment: Option<&str>) {
        if let Some(comment) = comment {
            self.out.push(' ');
            self.out.push_str(&text::comment(comment));
        }
    }

    fn block(&mut self, lines: &[String], indent: usize) {
        self.out.push_str("\"\"\"");
        let last = lines.len().saturating_sub(1);
        for (nth, line) in lines.iter().enumerate() {
            if line.is_empty() && nth < last {
                self.line(0);
            } else {
                self.line(indent);
                self.out.push_str(line);
            }
        }
        self.out.push_str("\"\"\"");
    }

    fn flat(&mut self, doc: &Doc) {
        match doc {
            Doc::Atom(text) => self.out.push_str(text),
            Doc::Block(_) => {}
            Doc::Record(head, members) => {
                self.out.push_str(head);
                if !head.is_empty() {
                    self.out.push(' ');
                }
                self.out
                    .push_str(if members.is_empty() { "{" } else { "{ " });
                for (nth, member) in members.iter().enumerate() {
                    if nth > 0 {
                        self.out.push_str(", ");
                    }
                    self.comes_from(member.origin);
                    self.out.push_str(&member.head);
                    if let Some(doc) = &member.doc {
                        self.out.push(' ');
                        self.flat(doc);
                    }
                }
                self.out
                    .push_str(if members.is_empty() { "}" } else { " }" });
            }
            Doc::List(items) => {
                self.out.push('[');
                for (nth, item) in items.iter().enumerate() {
                    if nth > 0 {
                        self.out.push_str(", ");
                    }
                    self.comes_from(item.origin);
                    self.flat(&item.doc);
                }
                self.out.push(']');
            }
        }
    }
}

/// Whether what begins like this on a new line cannot go on with the line before, so that no comma is needed.
fn begins_afresh(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '"' | '{' | '['))
}

/// Whether a value is written on one line that is `column` wide so far.
fn fits(doc: &Doc, column: usize) -> bool {
    let room = WIDTH.saturating_sub(column);
    match doc {
        Doc::Atom(_) => true,
        Doc::Block(_) => false,
        Doc::Record(..) | Doc::List(_) if is_empty(doc) => true,
        // Whole objects are not squeezed.
        Doc::Record(head, members) if !head.is_empty() => {
            let is_small =
                matches!(&members[..], [only] if only.doc.as_ref().is_none_or(is_simple));
            is_small && width(doc, room.min(INLINE)).is_some()
        }
        Doc::Record(_, members) => {
            let is_simple = members.iter().all(|m| m.doc.as_ref().is_none_or(is_simple));
            width(
                doc,
                if is_simple {
                    room.min(80)
                } else {
                    room.min(INLINE)
                },
            )
            .is_some()
        }
        Doc::List(items) => {
            let simple = items.iter().all(|item| is_simple(&item.doc));
            let many_records = items.len() > 1 && !simple;
            !many_records && width(doc, if simple { room } else { room.min(INLINE) }).is_some()
        }
    }
}

fn is_empty(doc: &Doc) -> bool {
    match doc {
        Doc::Record(_, members) => members.is_empty(),
        Doc::List(items) => items.is_empty(),
        Doc::Atom(_) | Doc::Block(_) => false,
    }
}

fn is_simple(doc: &Doc) -> bool {
    matches!(doc, Doc::Atom(_)) || is_empty(doc)
}

/// The width of a value on one line, when it can stand there and is no wider than `room`.
fn width(doc: &Doc, room: usize) -> Option<usize> {
    let mut used = 0_usize;
    let mut add = |more: usize| {
        used += more;
        (used <= room).then_some(())
    };
    match doc {
        Doc::Atom(text) => add(text.chars().count())?,
        Doc::Block(_) => return None,
        Doc::Record(head, members) => {
            add(head.chars().count() + 4)?;
            for member in members {
                if member.has_comments() {
                    return None;
                }
                add(member.head.chars().count() + 3)?;
                if let Some(doc) = &member.doc {
                    add(width(doc, room)?)?;
                }
            }
        }
        Doc::List(items) => {
            add(2)?;
            for item in items {
                if item.has_comments() {
                    return None;
                }
                add(width(&item.doc, room)? + 2)?;
            }
        }
    }
    Some(used)
}
