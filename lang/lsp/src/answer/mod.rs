//! The protocol: what a message asks, whom it concerns, and the answer in the protocol's words.

mod coloring;
pub(crate) mod convert;
mod moving;
mod requests;
mod sync;

use std::collections::HashMap;
use std::path::PathBuf;

use lsp_server::{Notification, Request};
use lsp_types::notification::{self, Notification as _};
use lsp_types::request::{self, Request as _};
use lsp_types::{InitializeParams, ServerCapabilities};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::capabilities::{self, Client};
use crate::provided::Provided;
use crate::uri;
use crate::workspace::{Open, Pending, Workspace};

pub(crate) use sync::publish_step;

/// Why a request has no answer.
pub(crate) type Failure = (lsp_server::ErrorCode, String);

/// Everything between two messages.
pub(crate) struct Server {
    workspace: Workspace,
    client: Client,
    provided: Provided,
    /// Folders to open after the start.
    folders: Vec<PathBuf>,
    outbox: Vec<Notification>,
    /// The last semantic tokens of each document, for deltas.
    tokens: HashMap<String, (String, Vec<lsp_types::SemanticToken>)>,
    next_result: u64,
    next_request: i32,
}

impl Server {
    /// Reads what the editor can do and shows.
    pub(crate) fn new(params: InitializeParams) -> Server {
        let client = Client::read(&params);
        let folder = params
            .initialization_options
            .as_ref()
            .and_then(|options| options.get("providedFolder")?.as_str().map(PathBuf::from));
        let provided = Provided::new(
            client.virtual_documents,
            folder.unwrap_or_else(Provided::default_folder),
        );
        let mut folders: Vec<PathBuf> = params
            .workspace_folders
            .iter()
            .flatten()
            .filter_map(|folder| uri::path(folder.uri.as_str()))
            .collect();
        #[allow(deprecated, reason = "older editors send nothing else")]
        if folders.is_empty() {
            folders.extend(
                params
                    .root_uri
                    .iter()
                    .filter_map(|root| uri::path(root.as_str())),
            );
        }
        let workspace = Workspace {
            encoding: client.encoding,
            ..Workspace::default()
        };
        Server {
            workspace,
            client,
            provided,
            folders,
            outbox: Vec::new(),
            tokens: HashMap::new(),
            next_result: 0,
            next_request: 0,
        }
    }

    /// What is told to the editor.
    pub(crate) fn capabilities(&self) -> ServerCapabilities {
        capabilities::server(&self.client)
    }

    /// Requests to the editor at the start: to be told of changes on disk.
    pub(crate) fn registrations(&mut self) -> Vec<Request> {
        if !self.client.watches {
            return Vec::new();
        }
        let watchers = [
            "**/*.ord",
            "**/ordain.toml",
            "**/ordain.lock",
            "**/*.yaml",
            "**/*.yml",
            "**/*.json",
        ]
        .map(|glob| serde_json::json!({ "globPattern": glob }));
        let params = serde_json::json!({
            "registrations": [{
                "id": "watch",
                "method": notification::DidChangeWatchedFiles::METHOD,
                "registerOptions": { "watchers": watchers },
            }],
        });
        let method = request::RegisterCapability::METHOD.to_owned();
        vec![Request::new(self.request_id(), method, params)]
    }

    fn request_id(&mut self) -> lsp_server::RequestId {
        self.next_request += 1;
        format!("ordain-{}", self.next_request).into()
    }

    /// Opens the folders that the editor shows.
    pub(crate) fn open_folders(&mut self) {
        for folder in std::mem::take(&mut self.folders) {
            self.workspace.add_folder(folder);
        }
    }

    /// Whether something is still to be published.
    pub(crate) fn has_pending(&self) -> bool {
        self.workspace
            .projects
            .values()
            .any(|open| open.pending != Pending::Nothing)
    }

    /// Stops trying to publish what could not be.
    pub(crate) fn give_up_pending(&mut self) {
        for open in self.workspace.projects.values_mut() {
            open.pending = Pending::Nothing;
        }
    }

    /// Forgets everything but the documents, after something went wrong in the middle.
    pub(crate) fn start_over(&mut self) {
        let documents: Vec<_> = self.workspace.documents.drain().collect();
        let folders = std::mem::take(&mut self.workspace.folders);
        let published: Vec<_> = std::mem::take(&mut self.workspace.projects)
            .into_iter()
            .map(|(key, open)| (key, open.published))
            .collect();
        for folder in folders {
            self.workspace.add_folder(folder);
        }
        for (_, document) in documents {
            self.workspace
                .did_open(document.uri, document.version, document.text);
        }
        for (key, published) in published {
            if let Some(open) = self.workspace.projects.get_mut(&key) {
                open.published = published;
                // What failed once fails again; the next change tries.
                open.pending = Pending::Nothing;
            }
        }
    }

    /// Notifications to send.
    pub(crate) fn take_notifications(&mut self) -> Vec<Notification> {
        std::mem::take(&mut self.outbox)
    }

    fn send<N: notification::Notification>(&mut self, params: N::Params) {
        self.outbox
            .push(Notification::new(N::METHOD.to_owned(), params));
    }

    fn open_of(&mut self, document: &lsp_types::Uri) -> Option<(&mut Open, String)> {
        let (key, path) = self.workspace.open(document);
        Some((self.workspace.projects.get_mut(&key)?, path))
    }
}

fn read<T: DeserializeOwned>(params: Value) -> Result<T, Failure> {
    serde_json::from_value(params)
        .map_err(|error| (lsp_server::ErrorCode::InvalidParams, error.to_string()))
}

fn written<T: serde::Serialize>(answer: T) -> Result<Value, Failure> {
    serde_json::to_value(answer)
        .map_err(|error| (lsp_server::ErrorCode::InternalError, error.to_string()))
}

/// Takes note of what the editor tells.
pub(crate) fn notification(server: &mut Server, note: Notification) {
    // A notification that cannot be read has nobody to tell.
    let _ = match note.method.as_str() {
        notification::DidOpenTextDocument::METHOD => {
            read(note.params).map(|params| sync::did_open(server, params))
        }
        notification::DidChangeTextDocument::METHOD => {
            read(note.params).map(|params| sync::did_change(server, params))
        }
        notification::DidCloseTextDocument::METHOD => {
            read(note.params).map(|params| sync::did_close(server, params))
        }
        notification::DidSaveTextDocument::METHOD => {
            read(note.params).map(|params| sync::did_save(server, params))
        }
        notification::DidChangeWatchedFiles::METHOD => {
            read(note.params).map(|params| sync::files_changed(server, params))
        }
        notification::DidRenameFiles::METHOD => {
            read(note.params).map(|params| moving::did_rename(server, params))
        }
        notification::DidChangeWorkspaceFolders::METHOD => {
            read(note.params).map(|params| sync::folders_changed(server, params))
        }
        _ => Ok(()),
    };
}

/// Answers a request.
pub(crate) fn request(server: &mut Server, request: Request) -> Result<Value, Failure> {
    macro_rules! answer {
        ($function:path) => {
            written($function(server, read(request.params)?)?)
        };
    }
    match request.method.as_str() {
        request::Completion::METHOD => answer!(requests::completion),
        request::HoverRequest::METHOD => answer!(requests::hover),
        request::SignatureHelpRequest::METHOD => answer!(requests::signature),
        request::GotoDefinition::METHOD => answer!(requests::definition),
        request::GotoTypeDefinition::METHOD => answer!(requests::type_definition),
        request::References::METHOD => answer!(requests::references),
        request::DocumentHighlightRequest::METHOD => answer!(requests::highlight),
        request::PrepareRenameRequest::METHOD => answer!(requests::prepare_rename),
        request::Rename::METHOD => answer!(requests::rename),
        request::WillRenameFiles::METHOD => answer!(moving::will_rename),
        request::DocumentSymbolRequest::METHOD => answer!(requests::document_symbols),
        request::WorkspaceSymbolRequest::METHOD => answer!(requests::workspace_symbols),
        request::CodeActionRequest::METHOD => answer!(requests::code_actions),
        request::Formatting::METHOD => answer!(requests::format),
        request::RangeFormatting::METHOD => answer!(requests::format_range),
        request::FoldingRangeRequest::METHOD => answer!(requests::folding),
        request::SelectionRangeRequest::METHOD => answer!(requests::selection),
        request::SemanticTokensFullRequest::METHOD => answer!(coloring::full),
        request::SemanticTokensFullDeltaRequest::METHOD => answer!(coloring::delta),
        request::SemanticTokensRangeRequest::METHOD => answer!(coloring::range),
        request::InlayHintRequest::METHOD => answer!(requests::inlay_hints),
        "ordain/settled" => {
            // For scripts: everything known is published before the answer.
            while server.has_pending() {
                publish_step(server);
            }
            Ok(Value::Null)
        }
        "ordain/providedText" => answer!(provided_text),
        method => Err((
            lsp_server::ErrorCode::MethodNotFound,
            format!("`{method}` is not known"),
        )),
    }
}

/// The text of a document that comes with the program, for editors that show it themselves.
#[derive(serde::Deserialize)]
struct ProvidedParams {
    uri: String,
}

fn provided_text(_: &mut Server, params: ProvidedParams) -> Result<Option<String>, Failure> {
    let prefix = format!("{}:///", uri::VIRTUAL);
    let name = params.uri.strip_prefix(&prefix);
    Ok(name.and_then(crate::provided::text).map(str::to_owned))
}
