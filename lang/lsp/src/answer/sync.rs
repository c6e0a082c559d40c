//! Texts in, diagnostics out.

use lsp_types::notification::PublishDiagnostics;
use lsp_types::{
    DidChangeTextDocumentParams, DidChangeWatchedFilesParams, DidChangeWorkspaceFoldersParams,
    DidCloseTextDocumentParams, DidOpenTextDocumentParams, DidSaveTextDocumentParams,
    FileChangeType, PublishDiagnosticsParams,
};
use ordain_lang_project::BuildOptions;
use ordain_lang_syntax::Diagnostic;

use super::Server;
use crate::places::Places;
use crate::position::apply;
use crate::report;
use crate::uri;
use crate::workspace::{Key, Pending};

pub(super) fn did_open(server: &mut Server, params: DidOpenTextDocumentParams) {
    let document = params.text_document;
    server
        .workspace
        .did_open(document.uri, document.version, document.text);
}

pub(super) fn did_change(server: &mut Server, params: DidChangeTextDocumentParams) {
    let name = uri::same(&params.text_document.uri);
    let encoding = server.workspace.encoding;
    let Some(document) = server.workspace.documents.get(&name) else {
        return;
    };
    let key = document.key.clone();
    first_look(server, &key);
    let Some(document) = server.workspace.documents.get_mut(&name) else {
        return;
    };
    for change in params.content_changes {
        apply(&mut document.text, change.range, &change.text, encoding);
    }
    document.version = params.text_document.version;
    let (text, key, path) = (
        document.text.clone(),
        document.key.clone(),
        document.path.clone(),
    );
    server.workspace.set_text(&key, &path, Some(&text));
}

pub(super) fn did_close(server: &mut Server, params: DidCloseTextDocumentParams) {
    server.tokens.remove(&uri::same(&params.text_document.uri));
    if let Some(key) = server.workspace.did_close(&params.text_document.uri) {
        close(server, &key);
    }
}

pub(super) fn did_save(server: &mut Server, params: DidSaveTextDocumentParams) {
    // The text is known; other tools may have changed what it stands among.
    let name = uri::same(&params.text_document.uri);
    let Some(document) = server.workspace.documents.get(&name) else {
        return;
    };
    let (key, path) = (document.key.clone(), document.path.clone());
    if let Some(open) = server.workspace.projects.get_mut(&key) {
        open.session.refresh(&[path]);
        open.touch();
    }
}

pub(super) fn files_changed(server: &mut Server, params: DidChangeWatchedFilesParams) {
    let changed: Vec<_> = params
        .changes
        .iter()
        .filter_map(|change| {
            let is_new_or_gone = change.typ != FileChangeType::CHANGED;
            Some((uri::path(change.uri.as_str())?, is_new_or_gone))
        })
        .collect();
    self::changed(server, &changed);
}

/// Files came, went or changed on disk; with whether they came or went.
pub(super) fn changed(server: &mut Server, files: &[(std::path::PathBuf, bool)]) {
    for key in server.workspace.files_changed(files) {
        close(server, &key);
    }
}

pub(super) fn folders_changed(server: &mut Server, params: DidChangeWorkspaceFoldersParams) {
    for folder in params.event.added {
        if let Some(path) = uri::path(folder.uri.as_str()) {
            server.workspace.add_folder(path);
        }
    }
    for folder in params.event.removed {
        if let Some(path) = uri::path(folder.uri.as_str()) {
            for key in server.workspace.remove_folder(&path) {
                close(server, &key);
            }
        }
    }
}

/// Forgets a project, and takes its diagnostics away.
fn close(server: &mut Server, key: &Key) {
    let Some(open) = server.workspace.projects.remove(key) else {
        return;
    };
    for document in open.published.keys() {
        if let Ok(uri) = document.parse() {
            server.send::<PublishDiagnostics>(PublishDiagnosticsParams {
                uri,
                diagnostics: Vec::new(),
                version: None,
            });
        }
    }
}

/// Does the next piece of publishing: the checks of one project, or its build.
pub(crate) fn publish_step(server: &mut Server) {
    let next = server
        .workspace
        .projects
        .iter()
        // What can be said at once comes before what takes longer.
        .filter(|(_, open)| open.pending != Pending::Nothing)
        .min_by_key(|(_, open)| open.pending == Pending::Build)
        .map(|(key, _)| key.clone());
    if let Some(key) = next {
        publish_of(server, &key);
    }
}

/// Publishes a project that was only just opened. What there is to propose comes from the last state that builds: the
/// state that was opened must not be missed, or whoever types at once is proposed nothing until all is right again.
pub(super) fn first_look(server: &mut Server, key: &Key) {
    while let Some(open) = server.workspace.projects.get(key)
        && open.is_new
        && open.pending != Pending::Nothing
    {
        publish_of(server, key);
    }
}

/// Does the next piece of publishing for one project.
fn publish_of(server: &mut Server, key: &Key) {
    let Some(open) = server.workspace.projects.get_mut(key) else {
        return;
    };
    if open.pending == Pending::Glance {
        open.pending = Pending::Check;
        // A mistake is told where it is made before it is known what follows from it elsewhere.
        if let Some(found) = open.session.glance() {
            publish(server, key, found, true);
            return;
        }
    }
    let found = match open.pending {
        Pending::Glance | Pending::Check => {
            let found = open.session.check();
            if !found.iter().any(Diagnostic::is_error) {
                // What evaluating finds comes with it, so that nothing flickers; unless mistakes hid it anyway: then
                // they go as soon as it is known that they are gone.
                open.pending = Pending::Build;
                if std::mem::take(&mut open.shows_mistakes) {
                    publish(server, key, found.to_vec(), false);
                }
                return;
            }
            open.shows_mistakes = true;
            found
        }
        Pending::Build => {
            let built = open.session.build(&BuildOptions::default());
            if built.is_ok() {
                open.known.take(&built.apps);
            }
            built.diagnostics
        }
        Pending::Nothing => return,
    };
    open.pending = Pending::Nothing;
    open.is_new = false;
    publish(server, key, found.to_vec(), false);
}

/// Sends what changed of a project's diagnostics; `is_part` when they are all of their documents, and not of the others.
fn publish(server: &mut Server, key: &Key, diagnostics: Vec<Diagnostic>, is_part: bool) {
    let (encoding, shown) = (server.workspace.encoding, server.client.shown);
    let Some(open) = server.workspace.projects.get_mut(key) else {
        return;
    };
    let places = Places::new(open.session.project(), key, &server.provided, encoding);
    let mut found = report::by_document(&diagnostics, &places, &server.provided, key, shown);
    let documents = &server.workspace.documents;
    // Documents without a project use each other, and each tells its own mistakes.
    let is_others = |document: &str| {
        let open = document.parse().ok().map(|uri| uri::same(&uri));
        let open = open.and_then(|name| documents.get(&name));
        matches!(key, Key::Document(_)) && open.is_some_and(|open| open.key != *key)
    };
    found.retain(|document, _| !is_others(document));
    match is_part {
        true => {
            let files: Vec<_> = diagnostics.iter().filter_map(Diagnostic::span).collect();
            let is_other = |one: &Diagnostic| {
                let place = one.span();
                place.is_none_or(|place| files.iter().all(|span| span.file != place.file))
            };
            open.diagnostics.retain(is_other);
            open.diagnostics.extend(diagnostics);
        }
        false => open.diagnostics = diagnostics,
    }
    let mut news: Vec<PublishDiagnosticsParams> = Vec::new();
    let mut published = std::mem::take(&mut open.published);
    let is_over = |document: &String| !is_part && !found.contains_key(document);
    for document in published.keys().filter(|document| is_over(document)) {
        if is_others(document) {
            continue;
        }
        if let Ok(uri) = document.parse() {
            news.push(PublishDiagnosticsParams {
                uri,
                diagnostics: Vec::new(),
                version: None,
            });
        }
    }
    published.retain(|document, _| !is_over(document));
    for (document, (uri, diagnostics)) in found {
        let fingerprint = serde_json::to_string(&diagnostics).unwrap_or_default();
        if published.get(&document) == Some(&fingerprint) {
            continue;
        }
        published.insert(document, fingerprint);
        news.push(PublishDiagnosticsParams {
            uri,
            diagnostics,
            version: None,
        });
    }
    open.published = published;
    for mut params in news {
        // An open document is called as the editor calls it, at the version that was looked at.
        if let Some(document) = server.workspace.documents.get(&uri::same(&params.uri)) {
            params.uri = document.uri.clone();
            params.version = Some(document.version);
        }
        server.send::<PublishDiagnostics>(params);
    }
}
