//! What the server can do, and what the editor says it can.

use lsp_types::{
    ClientCapabilities, CodeActionKind, CodeActionOptions, CodeActionProviderCapability,
    CompletionOptions, FileOperationFilter, FileOperationPattern, FileOperationPatternKind,
    FileOperationRegistrationOptions, FoldingRangeProviderCapability, HoverProviderCapability,
    InitializeParams, OneOf, RenameOptions, ResourceOperationKind,
    SelectionRangeProviderCapability, SemanticTokensFullOptions, SemanticTokensOptions,
    ServerCapabilities, SignatureHelpOptions, TextDocumentSyncCapability, TextDocumentSyncKind,
    TextDocumentSyncOptions, TextDocumentSyncSaveOptions, TypeDefinitionProviderCapability,
    WorkDoneProgressOptions, WorkspaceFileOperationsServerCapabilities,
    WorkspaceFoldersServerCapabilities, WorkspaceServerCapabilities,
};

use crate::position::Encoding;
use crate::report::Shown;

/// What the editor can show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    /// What columns count.
    pub(crate) encoding: Encoding,
    /// Diagnostics' extras.
    pub(crate) shown: Shown,
    /// Completions with places to fill in.
    pub(crate) snippets: bool,
    /// Changes on disk are told when asked for.
    pub(crate) watches: bool,
    /// Edits may rename files.
    pub(crate) renames_files: bool,
    /// Symbols as a tree.
    pub(crate) hierarchical_symbols: bool,
    /// The editor asks for the text of `ordain-std:` documents.
    pub(crate) virtual_documents: bool,
}

impl Client {
    /// Reads the editor's capabilities.
    pub(crate) fn read(params: &InitializeParams) -> Client {
        let ClientCapabilities {
            workspace,
            text_document,
            general,
            ..
        } = &params.capabilities;
        let text = text_document.as_ref();
        let published = text.and_then(|t| t.publish_diagnostics.as_ref());
        let item = text
            .and_then(|t| t.completion.as_ref())
            .and_then(|c| c.completion_item.as_ref());
        let offered = general
            .as_ref()
            .and_then(|g| g.position_encodings.as_deref());
        let workspace = workspace.as_ref();
        let option = |name: &str| {
            let options = params.initialization_options.as_ref()?;
            options.get(name)?.as_bool()
        };
        Client {
            encoding: Encoding::choose(offered),
            shown: Shown {
                related: published.is_some_and(|p| p.related_information == Some(true)),
                pages: published.is_some_and(|p| p.code_description_support == Some(true)),
                tags: published.is_some_and(|p| p.tag_support.is_some()),
            },
            snippets: item.is_some_and(|i| i.snippet_support == Some(true)),
            watches: workspace
                .and_then(|w| w.did_change_watched_files)
                .is_some_and(|w| w.dynamic_registration == Some(true)),
            renames_files: workspace
                .and_then(|w| w.workspace_edit.as_ref())
                .is_some_and(|edit| {
                    let known = edit.resource_operations.iter().flatten();
                    edit.document_changes == Some(true)
                        && known
                            .into_iter()
                            .any(|one| *one == ResourceOperationKind::Rename)
                }),
            hierarchical_symbols: text
                .and_then(|t| t.document_symbol.as_ref())
                .is_some_and(|s| s.hierarchical_document_symbol_support == Some(true)),
            virtual_documents: option("virtualDocuments") == Some(true),
        }
    }
}

/// What is told to the editor.
pub(crate) fn server(client: &Client) -> ServerCapabilities {
    let progress = WorkDoneProgressOptions::default();
    ServerCapabilities {
        position_encoding: Some(client.encoding.kind()),
        text_document_sync: Some(TextDocumentSyncCapability::Options(
            TextDocumentSyncOptions {
                open_close: Some(true),
                change: Some(TextDocumentSyncKind::INCREMENTAL),
                save: Some(TextDocumentSyncSaveOptions::Supported(true)),
                ..TextDocumentSyncOptions::default()
            },
        )),
        completion_provider: Some(CompletionOptions {
            trigger_characters: Some([".", "\"", "[", "(", "/"].map(str::to_owned).to_vec()),
            ..CompletionOptions::default()
        }),
        hover_provider: Some(HoverProviderCapability::Simple(true)),
        signature_help_provider: Some(SignatureHelpOptions {
            trigger_characters: Some(vec!["(".to_owned(), ",".to_owned()]),
            ..SignatureHelpOptions::default()
        }),
        definition_provider: Some(OneOf::Left(true)),
        type_definition_provider: Some(TypeDefinitionProviderCapability::Simple(true)),
        references_provider: Some(OneOf::Left(true)),
        document_highlight_provider: Some(OneOf::Left(true)),
        document_symbol_provider: Some(OneOf::Left(true)),
        workspace_symbol_provider: Some(OneOf::Left(true)),
        code_action_provider: Some(CodeActionProviderCapability::Options(CodeActionOptions {
            code_action_kinds: Some(vec![CodeActionKind::QUICKFIX]),
            ..CodeActionOptions::default()
        })),
        document_formatting_provider: Some(OneOf::Left(true)),
        document_range_formatting_provider: Some(OneOf::Left(true)),
        rename_provider: Some(OneOf::Right(RenameOptions {
            prepare_provider: Some(true),
            work_done_progress_options: progress,
        })),
        folding_range_provider: Some(FoldingRangeProviderCapability::Simple(true)),
        selection_range_provider: Some(SelectionRangeProviderCapability::Simple(true)),
        semantic_tokens_provider: Some(
            SemanticTokensOptions {
                legend: crate::answer::convert::legend(),
                range: Some(true),
                full: Some(SemanticTokensFullOptions::Delta { delta: Some(true) }),
                work_done_progress_options: progress,
            }
            .into(),
        ),
        inlay_hint_provider: Some(OneOf::Left(true)),
        workspace: Some(WorkspaceServerCapabilities {
            workspace_folders: Some(WorkspaceFoldersServerCapabilities {
                supported: Some(true),
                change_notifications: Some(OneOf::Left(true)),
            }),
            file_operations: Some(WorkspaceFileOperationsServerCapabilities {
                will_rename: Some(moved()),
                did_rename: Some(moved()),
                ..WorkspaceFileOperationsServerCapabilities::default()
            }),
        }),
        ..ServerCapabilities::default()
    }
}

/// The files whose moves change what is written elsewhere: modules, CRDs and secrets, and the folders they are in.
fn moved() -> FileOperationRegistrationOptions {
    let filter = |glob: &str, kind| FileOperationFilter {
        scheme: Some("file".to_owned()),
        pattern: FileOperationPattern {
            glob: glob.to_owned(),
            matches: Some(kind),
            options: None,
        },
    };
    FileOperationRegistrationOptions {
        filters: vec![
            filter(
                "**/*.{ord,yaml,yml,json,env}",
                FileOperationPatternKind::File,
            ),
            filter("**", FileOperationPatternKind::Folder),
        ],
    }
}
