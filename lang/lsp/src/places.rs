//! From spans of a project to documents and ranges of the protocol.

use std::cell::RefCell;
use std::collections::HashMap;

use lsp_types::{Location, Range, TextEdit, Uri, WorkspaceEdit};
use ordain_lang_project::Project;
use ordain_lang_syntax::{FileId, Span};

use crate::features::Edit;
use crate::position::{Encoding, Lines};
use crate::provided::Provided;
use crate::uri;
use crate::workspace::Key;

/// Knows where a project's files are.
pub(crate) struct Places<'p> {
    project: &'p Project,
    key: &'p Key,
    provided: &'p Provided,
    encoding: Encoding,
    lines: RefCell<HashMap<FileId, std::rc::Rc<Lines<'p>>>>,
}

impl<'p> Places<'p> {
    /// For one project.
    pub(crate) fn new(
        project: &'p Project,
        key: &'p Key,
        provided: &'p Provided,
        encoding: Encoding,
    ) -> Places<'p> {
        Places {
            project,
            key,
            provided,
            encoding,
            lines: RefCell::default(),
        }
    }

    /// The project.
    pub(crate) fn project(&self) -> &'p Project {
        self.project
    }

    /// The lines of a file.
    pub(crate) fn lines(&self, file: FileId) -> std::rc::Rc<Lines<'p>> {
        let mut known = self.lines.borrow_mut();
        let made = || std::rc::Rc::new(Lines::new(self.project.sources.text(file), self.encoding));
        std::rc::Rc::clone(known.entry(file).or_insert_with(made))
    }

    /// The document of a file.
    pub(crate) fn uri(&self, file: FileId) -> Option<Uri> {
        let path = self.project.sources.path(file);
        let is_own = match self.project.modules.iter().find(|m| m.file == file) {
            Some(module) => module.is_own,
            None => path != "?",
        };
        // What comes with the program; a dependency stands in the project's folder.
        if !is_own && crate::provided::text(path).is_some() {
            return self.provided.module(path);
        }
        match self.key {
            Key::Folder(root) => Some(uri::of(&root.join(path))),
            // The files beside a single one are called as its own path is.
            Key::Document(document) => match self.project.modules.first() {
                Some(main) if main.file == file => document.parse().ok(),
                _ => (path != "?").then(|| uri::of(std::path::Path::new(path))),
            },
        }
    }

    /// The range of a span.
    pub(crate) fn range(&self, span: Span) -> Range {
        self.lines(span.file).range(span.range())
    }

    /// The document and range of a span.
    pub(crate) fn location(&self, span: Span) -> Option<Location> {
        Some(Location {
            uri: self.uri(span.file)?,
            range: self.range(span),
        })
    }

    /// The offset of a place in a file.
    pub(crate) fn offset(&self, file: FileId, position: lsp_types::Position) -> u32 {
        u32::try_from(self.lines(file).offset(position)).unwrap_or(u32::MAX)
    }

    /// An edit of one document.
    pub(crate) fn edit(&self, edit: Edit) -> TextEdit {
        TextEdit {
            range: self.range(edit.span),
            new_text: edit.text,
        }
    }

    /// Edits of any documents of the project.
    #[allow(
        clippy::mutable_key_type,
        reason = "the protocol's own map; a URI's text never changes"
    )]
    pub(crate) fn edits(&self, edits: Vec<Edit>) -> WorkspaceEdit {
        let mut changes: HashMap<Uri, Vec<TextEdit>> = HashMap::new();
        for edit in edits {
            if let Some(uri) = self.uri(edit.span.file) {
                changes.entry(uri).or_default().push(self.edit(edit));
            }
        }
        WorkspaceEdit {
            changes: Some(changes),
            ..WorkspaceEdit::default()
        }
    }
}
