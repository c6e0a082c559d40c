//! What may be written at a place.
//!
//! A name is put where the cursor stands and the file is read and checked with it, so that the parser says what kind
//! of place it is and the checker which type is expected: no second grammar is kept for half-written programs.

mod members;
mod names;
mod paths;
mod references;
mod strings;
mod types;
mod values;

use ordain_lang_project::Files;
use ordain_lang_syntax::ast::{ExprKind, ItemKind, SegmentKind, TypeKind, UseTarget};
use ordain_lang_syntax::{FileId, Parsed, Span, TokenKind};

use super::Edit;
use crate::nodes::{Node, path_at};
use crate::objects::Known;
use crate::view::View;

/// The name that stands in for what is being written; nobody's own.
const MARK: &str = "ordainCursor";
/// How many proposals are given; typing on makes them fewer.
const ITEMS_MAX: usize = 1_500;

/// What a proposal is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub(crate) enum Kind {
    Field,
    Method,
    Function,
    Variable,
    Constant,
    Type,
    Module,
    EnumMember,
    Value,
    Unit,
    Keyword,
    Snippet,
    Reference,
    Environment,
    App,
    File,
    Folder,
}

/// A proposal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Proposal {
    /// What is shown.
    pub(crate) label: String,
    /// What it is.
    pub(crate) kind: Kind,
    /// Its type, in short.
    pub(crate) detail: String,
    /// Its documentation, in Markdown.
    pub(crate) doc: Option<String>,
    /// What is written; with `$0` and `${1:…}` when `is_snippet`.
    pub(crate) insert: String,
    /// Whether `insert` has places to fill in.
    pub(crate) is_snippet: bool,
    /// Smaller comes first.
    pub(crate) rank: u8,
    /// What else changes, such as an import.
    pub(crate) also: Vec<Edit>,
    /// Whether it should not be used any more.
    pub(crate) is_deprecated: bool,
}

impl Proposal {
    /// A proposal that writes its label.
    fn new(label: impl Into<String>, kind: Kind, detail: impl Into<String>) -> Proposal {
        let label = label.into();
        Proposal {
            insert: label.clone(),
            label,
            kind,
            detail: detail.into(),
            doc: None,
            is_snippet: false,
            rank: 5,
            also: Vec::new(),
            is_deprecated: false,
        }
    }

    fn ranked(mut self, rank: u8) -> Proposal {
        self.rank = rank;
        self
    }

    fn documented(mut self, doc: Option<String>) -> Proposal {
        self.doc = doc;
        self
    }

    fn snippet(mut self, insert: impl Into<String>) -> Proposal {
        self.insert = insert.into();
        self.is_snippet = true;
        self
    }

    fn inserting(mut self, insert: impl Into<String>) -> Proposal {
        self.insert = insert.into();
        self
    }
}

/// A file as it would be with a name where the cursor is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Typed {
    /// The text with the name.
    pub(crate) text: String,
    /// A place inside the name, or inside the string that is written.
    pub(crate) offset: u32,
    /// What the proposal takes the place of, in the file as it is.
    pub(crate) replaced: Span,
    /// What is written already.
    pub(crate) prefix: String,
    /// Whether a string is being written.
    pub(crate) in_string: bool,
    /// What follows on the line.
    follows: String,
}

/// Puts a name where the cursor is in a text, which is parsed already.
pub(crate) fn typed(file: FileId, text: &str, parsed: &Parsed, offset: usize) -> Typed {
    let offset = offset.min(text.len());
    if let Some(typed) = in_string(file, text, parsed, offset) {
        return typed;
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let start = text[..offset]
        .char_indices()
        .rev()
        .take_while(|(_, c)| is_word(*c))
        .last()
        .map_or(offset, |(at, _)| at);
    let end = text[offset..]
        .char_indices()
        .find(|(_, c)| !is_word(*c))
        .map_or(text.len(), |(at, _)| offset + at);
    let mut with = String::with_capacity(text.len() + MARK.len());
    with.push_str(&text[..start]);
    with.push_str(MARK);
    with.push_str(&text[end..]);
    Typed {
        text: with,
        offset: start as u32 + 1,
        replaced: Span::new(file, start as u32, end as u32),
        prefix: text[start..offset].to_owned(),
        in_string: false,
        follows: rest_of_line(text, end),
    }
}

fn rest_of_line(text: &str, from: usize) -> String {
    let rest = &text[from..];
    let line = rest.lines().next().unwrap_or("");
    line.trim().to_owned()
}

/// The content of the string around the cursor; a string without an end on its line ends at the cursor.
fn in_string(file: FileId, text: &str, parsed: &Parsed, offset: usize) -> Option<Typed> {
    let tree = parsed.tree();
    let mut start = 0;
    let mut content: Option<(usize, usize, bool)> = None;
    let tokens = tree.tokens();
    for (at, token) in tokens.iter().enumerate() {
        let end = token.end as usize;
        match token.kind {
            TokenKind::Quote if end == offset => {
                // Nothing between the quotes yet.
                let next = tokens.get(at + 1).map(|token| token.kind);
                match next {
                    Some(TokenKind::QuoteEnd) => content = Some((end, end, true)),
                    Some(TokenKind::StrText) => {}
                    _ => content = Some((end, end, false)),
                }
            }
            TokenKind::StrText if start <= offset && offset <= end => {
                let follows = tokens.get(at + 1).map(|token| token.kind);
                let is_closed = follows == Some(TokenKind::QuoteEnd);
                let before = at.checked_sub(1).map(|at| tokens[at].kind);
                let is_whole = before == Some(TokenKind::Quote)
                    && (is_closed || follows != Some(TokenKind::InterpOpen));
                // Behind `{` an expression begins.
                if text[..offset].ends_with('{') {
                    return None;
                }
                if is_whole && !text[start..end].contains('\n') {
                    content = Some((start, end, is_closed));
                } else if is_whole && !is_closed {
                    content = Some((start, offset, false));
                } else {
                    // Inside a text block or between interpolations nothing is proposed.
                    content = Some((offset, offset, true));
                }
            }
            _ => {}
        }
        start = end;
    }
    let (from, to, is_closed) = content?;
    let mut with = text.to_owned();
    if !is_closed {
        with.insert(offset.max(from), '"');
    }
    Some(Typed {
        text: with,
        offset: from as u32,
        replaced: Span::new(file, from as u32, to.max(from) as u32),
        prefix: text[from..offset.max(from)].to_owned(),
        in_string: true,
        follows: rest_of_line(text, to.max(from)),
    })
}

/// Returns what may be written; `view` is of the text with the name in it, `files` are those of its project or folder.
pub(crate) fn complete(
    view: &View<'_>,
    typed: &Typed,
    known: &Known,
    files: &dyn Files,
) -> Vec<Proposal> {
    let Some(tree) = view.tree() else {
        return Vec::new();
    };
    let path = path_at(tree, typed.offset);
    let at = At {
        view,
        typed,
        known,
        files,
        path: &path,
    };
    let mut found = match typed.in_string {
        true => strings::content(&at),
        false => at.by_place(),
    };
    // Two ways to the same proposal are one.
    let mut seen = std::collections::HashSet::new();
    found.retain(|proposal| seen.insert((proposal.label.clone(), proposal.insert.clone())));
    found.sort_by(|a, b| (a.rank, &a.label).cmp(&(b.rank, &b.label)));
    if found.len() > ITEMS_MAX {
        // The editor would filter them itself, but gets no more than these.
        found.retain(|proposal| {
            crate::features::symbols::rank(&typed.prefix, &proposal.label).is_some()
        });
        found.truncate(ITEMS_MAX);
    }
    found
}

/// The place that is completed.
struct At<'a, 'v> {
    view: &'a View<'v>,
    typed: &'a Typed,
    known: &'a Known,
    files: &'a dyn Files,
    path: &'a [Node<'v>],
}

impl<'v> At<'_, 'v> {
    fn by_place(&self) -> Vec<Proposal> {
        let Some(Node::Item(item)) = self.path.first() else {
            return names::items();
        };
        match &item.kind {
            ItemKind::Error => return names::items(),
            ItemKind::Use(used) => {
                return match &used.target {
                    UseTarget::Module(path) => names::modules(self, path),
                    UseTarget::Crd { .. } | UseTarget::Text { .. } | UseTarget::Secrets { .. } => {
                        Vec::new()
                    }
                };
            }
            ItemKind::Env(env) if env.extends.is_some_and(|base| self.is_mark(base.span)) => {
                return names::environments(self, Some(env.name.name));
            }
            ItemKind::Test(test) if test.env.is_some_and(|env| self.is_mark(env.span)) => {
                return names::environments(self, None);
            }
            _ => {}
        }
        for (depth, node) in self.path.iter().enumerate().rev() {
            match node {
                Node::Segment(segment) if self.is_mark(segment.span) => {
                    if let SegmentKind::Name(_) = segment.kind {
                        return members::at_segment(self, depth, segment.span);
                    }
                }
                Node::FieldDecl(field) if self.is_mark(field.name.span) => {
                    return names::keywords(&["assert", "final"]);
                }
                Node::Type(ty) => {
                    if let TypeKind::Named { path, .. } = &ty.kind
                        && path.parts.iter().any(|part| self.is_mark(part.span))
                    {
                        let in_pattern = depth
                            .checked_sub(1)
                            .is_some_and(|outer| matches!(self.path[outer], Node::Pattern(_)));
                        return match in_pattern {
                            true => values::patterns(self),
                            false => types::named(self, path),
                        };
                    }
                }
                Node::Pattern(pattern) if self.is_mark(pattern.span) => {
                    return values::patterns(self);
                }
                Node::Expr(expr) => match &expr.kind {
                    ExprKind::Name(_) if self.is_mark(expr.span) => {
                        return values::at_name(self, depth, expr);
                    }
                    ExprKind::Field { base, name, .. } if self.is_mark(name.span) => {
                        return members::of_value(self, base);
                    }
                    _ => {}
                },
                Node::Stmt(_) => return names::statements(item),
                _ => {}
            }
        }
        if self.path.len() == 1 {
            match &item.kind {
                ItemKind::Test(_) | ItemKind::Policy(_) => return names::statements(item),
                _ => {}
            }
        }
        Vec::new()
    }

    /// Whether the name that stands in for the cursor is here.
    fn is_mark(&self, span: Span) -> bool {
        span.start < self.typed.offset
            && self.typed.offset <= span.end
            && self.view.slice(span).contains(MARK)
    }
}
