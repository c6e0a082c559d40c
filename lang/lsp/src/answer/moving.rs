//! Files that get another path: renaming a module, and what an editor asks and tells when its user moves files.

use lsp_types::{
    DocumentChangeOperation, DocumentChanges, FileRename, OneOf,
    OptionalVersionedTextDocumentIdentifier, RenameFile, RenameFileOptions, RenameFilesParams,
    ResourceOp, TextDocumentEdit, TextDocumentPositionParams, WorkspaceEdit,
};

use super::Server;
use super::requests::{Answer, refused, with_view};
use crate::features::moves::{self, Change, Move, Rewritten};
use crate::features::references::RenameError;
use crate::places::Places;
use crate::trial::first_new_error;
use crate::uri;
use crate::view::Reach;
use crate::workspace::Key;

/// Renames the module or folder that is named at a place. None when something else stands there.
pub(super) fn module(
    server: &mut Server,
    at: &TextDocumentPositionParams,
    new: &str,
) -> Answer<Option<WorkspaceEdit>> {
    let found = with_view(server, at, Reach::Whole, |view, places, offset| {
        let named = moves::named(view, offset)?;
        let change = named.and_then(|named| moves::rename(view, &named, new));
        Some(change.map(|change| (edit(&change.rewritten, places), change)))
    })?;
    let Some(found) = found.flatten() else {
        return Ok(None);
    };
    let (edit, change) = found.map_err(|error| refused(&error))?;
    let given = |text: String| refused(&RenameError::Given(text));
    let (key, _) = server.workspace.place(&at.text_document.uri);
    let Some(open) = server.workspace.projects.get_mut(&key) else {
        return Ok(None);
    };
    if let Some(broken) = first_new_error(open, &change.rewritten.modules, &change.moves) {
        return Err(refused(&RenameError::Breaks(broken)));
    }
    let Key::Folder(root) = key else {
        return Ok(Some(edit));
    };
    if let Some(one) = change.moves.first() {
        if !server.client.renames_files {
            return Err(given(format!(
                "this editor cannot rename files for a language server: move `{}` to `{}` by hand",
                one.from, one.to
            )));
        }
        if root.join(&one.to).exists() {
            return Err(given(format!("there is already `{}`", one.to)));
        }
    }
    Ok(Some(with_moves(server, edit, &change, &root)))
}

fn edit(rewritten: &Rewritten, places: &Places<'_>) -> WorkspaceEdit {
    let all = rewritten.modules.iter().chain(&rewritten.paths);
    places.edits(all.cloned().collect())
}

/// The edits, and after them the moves: an editor does one after the other.
fn with_moves(
    server: &Server,
    edit: WorkspaceEdit,
    change: &Change,
    root: &std::path::Path,
) -> WorkspaceEdit {
    if change.moves.is_empty() {
        return edit;
    }
    let mut edits: Vec<_> = edit.changes.into_iter().flatten().collect();
    edits.sort_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
    let edits = edits.into_iter().map(|(document, edits)| {
        let open = server.workspace.documents.get(&uri::same(&document));
        DocumentChangeOperation::Edit(TextDocumentEdit {
            text_document: OptionalVersionedTextDocumentIdentifier {
                version: open.map(|open| open.version),
                uri: open.map_or(document, |open| open.uri.clone()),
            },
            edits: edits.into_iter().map(OneOf::Left).collect(),
        })
    });
    let moves = change.moves.iter().map(|one| {
        DocumentChangeOperation::Op(ResourceOp::Rename(RenameFile {
            old_uri: uri::of(&root.join(&one.from)),
            new_uri: uri::of(&root.join(&one.to)),
            options: Some(RenameFileOptions {
                overwrite: Some(false),
                ignore_if_exists: Some(false),
            }),
            annotation_id: None,
        }))
    });
    WorkspaceEdit {
        document_changes: Some(DocumentChanges::Operations(edits.chain(moves).collect())),
        ..WorkspaceEdit::default()
    }
}

/// The moves of an editor's files that stay in a project.
fn inside(files: &[FileRename], root: &std::path::Path) -> Vec<Move> {
    let path = |text: &str| {
        let path = uri::path(text)?;
        let inside = path.strip_prefix(root).ok()?;
        let inside = inside.to_string_lossy().replace('\\', "/");
        let inside = inside.trim_matches('/');
        (!inside.is_empty()).then(|| inside.to_owned())
    };
    let one = |file: &FileRename| {
        Some(Move {
            from: path(&file.old_uri)?,
            to: path(&file.new_uri)?,
        })
    };
    files.iter().filter_map(one).collect()
}

/// What is to be written otherwise before the user's files move.
#[allow(
    clippy::mutable_key_type,
    reason = "the protocol's own map; a URI's text never changes"
)]
pub(super) fn will_rename(
    server: &mut Server,
    params: RenameFilesParams,
) -> Answer<Option<WorkspaceEdit>> {
    let encoding = server.workspace.encoding;
    let mut changes = std::collections::HashMap::new();
    for (key, open) in &mut server.workspace.projects {
        let Key::Folder(root) = key else { continue };
        let moves = inside(&params.files, root);
        let first = open.session.project().modules.first();
        let Some(file) = first.map(|module| module.file) else {
            continue;
        };
        if moves.is_empty() {
            continue;
        }
        let rewritten = moves::rewrite(&open.view(file, Reach::Whole), &moves, false);
        // Where the module's new name means something else already, it keeps its old one there.
        let is_fine = first_new_error(open, &rewritten.modules, &moves).is_none();
        let rewritten = match is_fine {
            true => rewritten,
            false => moves::rewrite(&open.view(file, Reach::Whole), &moves, true),
        };
        let places = Places::new(open.session.project(), key, &server.provided, encoding);
        changes.extend(edit(&rewritten, &places).changes.into_iter().flatten());
    }
    Ok((!changes.is_empty()).then(|| WorkspaceEdit {
        changes: Some(changes),
        ..WorkspaceEdit::default()
    }))
}

/// The user's files have moved.
pub(super) fn did_rename(server: &mut Server, params: RenameFilesParams) {
    let paths = params.files.iter().flat_map(|file| {
        let both = [&file.old_uri, &file.new_uri];
        both.into_iter().filter_map(|text| uri::path(text))
    });
    let changed: Vec<_> = paths.map(|path| (path, true)).collect();
    super::sync::changed(server, &changed);
}
