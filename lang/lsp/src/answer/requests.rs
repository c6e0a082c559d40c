//! One function for each request: finds the view that it needs, asks the feature, converts the answer.

use lsp_server::ErrorCode;
use lsp_types::{
    CodeAction, CodeActionKind, CodeActionParams, CompletionList, CompletionParams,
    DocumentFormattingParams, DocumentHighlight, DocumentHighlightKind, DocumentHighlightParams,
    DocumentRangeFormattingParams, DocumentSymbolParams, DocumentSymbolResponse, FoldingRange,
    FoldingRangeParams, GotoDefinitionParams, GotoDefinitionResponse, Hover, HoverContents,
    HoverParams, InlayHint, InlayHintLabel, InlayHintParams, InlayHintTooltip, Location,
    LocationLink, ParameterInformation, ParameterLabel, PrepareRenameResponse, ReferenceParams,
    RenameParams, SelectionRange, SelectionRangeParams, SignatureHelp, SignatureHelpParams,
    SignatureInformation, SymbolInformation, TextDocumentPositionParams, TextEdit, Uri,
    WorkspaceEdit, WorkspaceSymbolParams,
};
use ordain_lang_project::Files;
use ordain_lang_syntax::FileId;

use super::convert;
use super::{Failure, Server};
use crate::features::definition::{Definition, Target};
use crate::features::{
    actions, complete, definition as define, folding as fold, format as formatting,
    hover as hovering, inlay, references as refer, selection as select, signature as signing,
    symbols,
};
use crate::objects::Known;
use crate::places::Places;
use crate::view::{Analysis, Reach, View};

pub(super) type Answer<T> = Result<T, Failure>;

/// Calls `ask` with a view of what stands at a position, its places and the offset.
pub(super) fn with_view<T>(
    server: &mut Server,
    at: &TextDocumentPositionParams,
    reach: Reach,
    ask: impl FnOnce(&View<'_>, &Places<'_>, u32) -> T,
) -> Answer<Option<T>> {
    let encoding = server.workspace.encoding;
    let provided = server.provided.clone();
    let Some((open, path)) = server.open_of(&at.text_document.uri) else {
        return Ok(None);
    };
    let key = open.key.clone();
    let Some(file) = source(open, &path) else {
        return Ok(None);
    };
    let project = open.session.project();
    let places = Places::new(project, &key, &provided, encoding);
    let offset = places.offset(file, at.position);
    if let Some(analysis) = Analysis::near(project, file, reach, offset) {
        let view = View {
            project,
            analysis: &analysis,
            file,
        };
        return Ok(Some(ask(&view, &places, offset)));
    }
    let view = open.view(file, reach);
    let places = Places::new(view.project, &key, &provided, encoding);
    Ok(Some(ask(&view, &places, offset)))
}

/// Calls `ask` with a view of a document and its places; no answer for what is no source.
pub(super) fn with_document<T>(
    server: &mut Server,
    document: &Uri,
    reach: Reach,
    ask: impl FnOnce(&View<'_>, &Places<'_>) -> T,
) -> Answer<Option<T>> {
    let encoding = server.workspace.encoding;
    let provided = server.provided.clone();
    let Some((open, path)) = server.open_of(document) else {
        return Ok(None);
    };
    let key = open.key.clone();
    let Some(file) = source(open, &path) else {
        return Ok(None);
    };
    let view = open.view(file, reach);
    let places = Places::new(view.project, &key, &provided, encoding);
    Ok(Some(ask(&view, &places)))
}

/// The number of a document that is a source of the language.
fn source(open: &mut crate::workspace::Open, path: &str) -> Option<FileId> {
    let file = open.file(path)?;
    let is_source = open
        .project()
        .modules
        .iter()
        .any(|module| module.file == file);
    is_source.then_some(file)
}

/// Calls `ask` with what is typed at a place and a view of the text as if it were complete.
fn with_typed<T>(
    server: &mut Server,
    at: &TextDocumentPositionParams,
    ask: impl FnOnce(&View<'_>, &complete::Typed, (&Known, &dyn Files), &Places<'_>) -> T,
) -> Answer<Option<T>> {
    let encoding = server.workspace.encoding;
    let provided = server.provided.clone();
    let (key, _) = server.workspace.open(&at.text_document.uri);
    super::sync::first_look(server, &key);
    let Some((open, path)) = server.open_of(&at.text_document.uri) else {
        return Ok(None);
    };
    let Some(file) = source(open, &path) else {
        return Ok(None);
    };
    let known = std::mem::take(&mut open.known);
    let (project, files) = open.session.project_with_files();
    let places = Places::new(project, &key, &provided, encoding);
    let offset = places.offset(file, at.position) as usize;
    let Some(module) = project.modules.iter().find(|module| module.file == file) else {
        return Ok(None);
    };
    let text = project.sources.text(file);
    let typed = complete::typed(file, text, &module.parsed, offset);
    let analysis = Analysis::with_text(project, file, typed.text.clone(), typed.offset);
    let view = View {
        project,
        analysis: &analysis,
        file,
    };
    let answer = ask(&view, &typed, (&known, files), &places);
    open.known = known;
    Ok(Some(answer))
}

pub(super) fn completion(server: &mut Server, params: CompletionParams) -> Answer<CompletionList> {
    let at = params.text_document_position;
    let snippets = server.client.snippets;
    let key = params.context.and_then(|context| context.trigger_character);
    let found = with_typed(server, &at, |view, typed, (known, files), places| {
        let range = places.range(typed.replaced);
        // A `/` continues a path, and begins nothing elsewhere.
        if key.as_deref() == Some("/") && !typed.in_string {
            return CompletionList::default();
        }
        let found = complete::complete(view, typed, known, files);
        CompletionList {
            // Kubernetes' parts, and functions elsewhere, are proposed only for what was typed so far.
            is_incomplete: typed.prefix.len() < 3,
            items: found
                .into_iter()
                .map(|proposal| convert::completion(proposal, range, snippets, places))
                .collect(),
        }
    })?;
    Ok(found.unwrap_or_default())
}

pub(super) fn hover(server: &mut Server, params: HoverParams) -> Answer<Option<Hover>> {
    let at = params.text_document_position_params;
    let found = with_view(server, &at, Reach::Envs, |view, places, offset| {
        let found = hovering::hover(view, offset)?;
        Some(Hover {
            contents: HoverContents::Markup(convert::markdown(found.text)),
            range: Some(places.range(found.span)),
        })
    })?;
    Ok(found.flatten())
}

pub(super) fn signature(
    server: &mut Server,
    params: SignatureHelpParams,
) -> Answer<Option<SignatureHelp>> {
    let at = params.text_document_position_params;
    let found = with_typed(server, &at, |view, typed, _, _| {
        signing::signature(view, typed.offset)
    })?;
    let Some(found) = found.flatten() else {
        return Ok(None);
    };
    let label = |param: String| ParameterInformation {
        label: ParameterLabel::Simple(param),
        documentation: None,
    };
    let documentation = found
        .doc
        .map(|doc| lsp_types::Documentation::MarkupContent(convert::markdown(doc)));
    Ok(Some(SignatureHelp {
        signatures: vec![SignatureInformation {
            label: found.label,
            documentation,
            parameters: Some(found.params.into_iter().map(label).collect()),
            active_parameter: found.active,
        }],
        active_signature: Some(0),
        active_parameter: found.active,
    }))
}

fn links(found: Option<Definition>, places: &Places<'_>) -> Option<GotoDefinitionResponse> {
    let found = found?;
    let origin = places.range(found.origin);
    let link = |target: &Target| {
        let location = match target {
            Target::Place(span) => places.location(*span)?,
            Target::File(file) => Location {
                uri: places.uri(*file)?,
                range: lsp_types::Range::default(),
            },
        };
        Some(LocationLink {
            origin_selection_range: Some(origin),
            target_uri: location.uri,
            target_range: location.range,
            target_selection_range: location.range,
        })
    };
    let links: Vec<LocationLink> = found.targets.iter().filter_map(link).collect();
    (!links.is_empty()).then_some(GotoDefinitionResponse::Link(links))
}

pub(super) fn definition(
    server: &mut Server,
    params: GotoDefinitionParams,
) -> Answer<Option<GotoDefinitionResponse>> {
    let at = params.text_document_position_params;
    let mut ask = |reach| {
        with_view(server, &at, reach, |view, places, offset| {
            links(define::definition(view, offset), places)
        })
    };
    // Only elements that brackets choose need the environments.
    match ask(Reach::File)?.flatten() {
        Some(found) => Ok(Some(found)),
        None => Ok(ask(Reach::Envs)?.flatten()),
    }
}

pub(super) fn type_definition(
    server: &mut Server,
    params: GotoDefinitionParams,
) -> Answer<Option<GotoDefinitionResponse>> {
    let at = params.text_document_position_params;
    let found = with_view(server, &at, Reach::File, |view, places, offset| {
        links(define::type_definition(view, offset), places)
    })?;
    Ok(found.flatten())
}

pub(super) fn references(
    server: &mut Server,
    params: ReferenceParams,
) -> Answer<Option<Vec<Location>>> {
    let with_definition = params.context.include_declaration;
    let at = params.text_document_position;
    let found = with_view(server, &at, Reach::Whole, |view, places, offset| {
        let uses = refer::references(view, offset, with_definition)?;
        Some(
            uses.iter()
                .filter_map(|found| places.location(found.span))
                .collect(),
        )
    })?;
    Ok(found.flatten())
}

pub(super) fn highlight(
    server: &mut Server,
    params: DocumentHighlightParams,
) -> Answer<Option<Vec<DocumentHighlight>>> {
    let at = params.text_document_position_params;
    with_document(
        server,
        &at.text_document.uri,
        Reach::File,
        |view, places| {
            let offset = places.offset(view.file, at.position);
            let kind = |is_definition| match is_definition {
                true => DocumentHighlightKind::WRITE,
                false => DocumentHighlightKind::READ,
            };
            let uses = refer::highlights(view, offset);
            uses.iter()
                .map(|found| DocumentHighlight {
                    range: places.range(found.span),
                    kind: Some(kind(found.is_definition)),
                })
                .collect()
        },
    )
}

pub(super) fn refused(error: &refer::RenameError) -> Failure {
    (ErrorCode::RequestFailed, error.to_string())
}

pub(super) fn prepare_rename(
    server: &mut Server,
    at: TextDocumentPositionParams,
) -> Answer<Option<PrepareRenameResponse>> {
    let found = with_view(server, &at, Reach::File, |view, places, offset| {
        let (span, placeholder) = refer::prepare(view, offset)?;
        Ok(PrepareRenameResponse::RangeWithPlaceholder {
            range: places.range(span),
            placeholder,
        })
    })?;
    found.transpose().map_err(|error| refused(&error))
}

pub(super) fn rename(server: &mut Server, params: RenameParams) -> Answer<Option<WorkspaceEdit>> {
    let at = params.text_document_position;
    if let Some(module) = super::moving::module(server, &at, &params.new_name)? {
        return Ok(Some(module));
    }
    let found = with_view(server, &at, Reach::Whole, |view, places, offset| {
        let edits = refer::rename(view, offset, &params.new_name)?;
        Ok((places.edits(edits.clone()), edits))
    })?;
    let found = found.transpose().map_err(|error| refused(&error))?;
    let Some((answer, edits)) = found else {
        return Ok(None);
    };
    let (key, _) = server.workspace.place(&at.text_document.uri);
    let workspace = &mut server.workspace;
    if let Some(open) = workspace.projects.get_mut(&key)
        && let Some(broken) = crate::trial::first_new_error(open, &edits, &[])
    {
        return Err(refused(&refer::RenameError::Breaks(broken)));
    }
    Ok(Some(answer))
}

pub(super) fn document_symbols(
    server: &mut Server,
    params: DocumentSymbolParams,
) -> Answer<Option<DocumentSymbolResponse>> {
    let document = params.text_document.uri;
    let is_tree = server.client.hierarchical_symbols;
    with_document(server, &document, Reach::File, |view, places| {
        let tree = view.tree().map(|tree| symbols::of_file(tree, view.text()));
        let tree = tree.unwrap_or_default();
        if is_tree {
            let made = tree
                .into_iter()
                .map(|symbol| convert::symbol(symbol, places));
            return DocumentSymbolResponse::Nested(made.collect());
        }
        let made = tree
            .into_iter()
            .filter_map(|symbol| information(symbol, None, places));
        DocumentSymbolResponse::Flat(made.collect())
    })
}

#[allow(
    deprecated,
    reason = "the protocol's structure has a field that is no longer used"
)]
fn information(
    symbol: symbols::Symbol,
    module: Option<String>,
    places: &Places<'_>,
) -> Option<SymbolInformation> {
    Some(SymbolInformation {
        location: places.location(symbol.name_span)?,
        kind: convert::symbol_kind(symbol.kind),
        name: symbol.name,
        tags: None,
        deprecated: None,
        container_name: module,
    })
}

pub(super) fn workspace_symbols(
    server: &mut Server,
    params: WorkspaceSymbolParams,
) -> Answer<Vec<SymbolInformation>> {
    let encoding = server.workspace.encoding;
    let mut made = Vec::new();
    for (key, open) in &mut server.workspace.projects {
        let project = open.session.project();
        let places = Places::new(project, key, &server.provided, encoding);
        let found = symbols::find(project, &params.query);
        made.extend(
            found
                .into_iter()
                .filter_map(|found| information(found.symbol, Some(found.module), &places)),
        );
    }
    Ok(made)
}

pub(super) fn code_actions(
    server: &mut Server,
    params: CodeActionParams,
) -> Answer<Vec<CodeAction>> {
    let document = params.text_document.uri;
    let (key, _) = server.workspace.open(&document);
    let asked = params.range;
    let only = params.context.only;
    let wants_fixes = only.is_none_or(|kinds| {
        kinds
            .iter()
            .any(|kind| CodeActionKind::QUICKFIX.as_str().starts_with(kind.as_str()))
    });
    if !wants_fixes {
        return Ok(Vec::new());
    }
    let diagnostics = match server.workspace.projects.get_mut(&key) {
        // An editor may ask before the last change was looked at.
        Some(open) if open.pending == crate::workspace::Pending::Check => {
            open.session.check().to_vec()
        }
        Some(open) => open.diagnostics.clone(),
        None => Vec::new(),
    };
    let shown = server.client.shown;
    let provided = server.provided.clone();
    let made = with_document(server, &document, Reach::File, |view, places| {
        let mut made = Vec::new();
        for diagnostic in &diagnostics {
            let Some(span) = diagnostic.span().filter(|span| span.file == view.file) else {
                continue;
            };
            let range = places.range(span);
            if range.end < asked.start || asked.end < range.start {
                continue;
            }
            let about = crate::report::by_document(
                std::slice::from_ref(diagnostic),
                places,
                &provided,
                &key,
                shown,
            );
            let about: Vec<_> = about.into_values().flat_map(|(_, list)| list).collect();
            for action in actions::actions(view, diagnostic) {
                made.push(CodeAction {
                    title: action.title,
                    kind: Some(CodeActionKind::QUICKFIX),
                    diagnostics: Some(about.clone()),
                    edit: Some(places.edits(action.edits)),
                    is_preferred: action.is_preferred.then_some(true),
                    ..CodeAction::default()
                });
            }
        }
        made
    })?;
    Ok(made.unwrap_or_default())
}

pub(super) fn format(
    server: &mut Server,
    params: DocumentFormattingParams,
) -> Answer<Option<Vec<TextEdit>>> {
    edits(server, &params.text_document.uri, None)
}

pub(super) fn format_range(
    server: &mut Server,
    params: DocumentRangeFormattingParams,
) -> Answer<Option<Vec<TextEdit>>> {
    edits(server, &params.text_document.uri, Some(params.range))
}

fn edits(
    server: &mut Server,
    document: &Uri,
    range: Option<lsp_types::Range>,
) -> Answer<Option<Vec<TextEdit>>> {
    let encoding = server.workspace.encoding;
    let provided = server.provided.clone();
    let Some((open, path)) = server.open_of(document) else {
        return Ok(None);
    };
    let key = open.key.clone();
    let Some(file) = source(open, &path) else {
        return Ok(None);
    };
    let project = open.session.project();
    let places = Places::new(project, &key, &provided, encoding);
    let part = range.map(|range| places.lines(file).offsets(range));
    let found = formatting::format(file, project.sources.text(file), part);
    Ok(found.map(|edits| edits.into_iter().map(|edit| places.edit(edit)).collect()))
}

pub(super) fn folding(
    server: &mut Server,
    params: FoldingRangeParams,
) -> Answer<Option<Vec<FoldingRange>>> {
    let document = params.text_document.uri;
    with_document(server, &document, Reach::File, |view, _| {
        let parsed = view.parsed_of(view.file);
        let folds = parsed.map(|parsed| fold::folds(parsed, view.text()));
        folds.into_iter().flatten().map(convert::fold).collect()
    })
}

pub(super) fn selection(
    server: &mut Server,
    params: SelectionRangeParams,
) -> Answer<Option<Vec<SelectionRange>>> {
    let document = params.text_document.uri;
    let positions = params.positions;
    with_document(server, &document, Reach::File, |view, places| {
        let lines = places.lines(view.file);
        let one = |position: &lsp_types::Position| {
            let offset = lines.offset(*position);
            let ranges = view
                .parsed_of(view.file)
                .map(|parsed| select::around(parsed, view.text(), offset))
                .unwrap_or_default();
            let mut made: Option<SelectionRange> = None;
            for range in ranges.into_iter().rev() {
                made = Some(SelectionRange {
                    range: lines.range(range),
                    parent: made.map(Box::new),
                });
            }
            made.unwrap_or(SelectionRange {
                range: lines.range(offset..offset),
                parent: None,
            })
        };
        positions.iter().map(one).collect()
    })
}

pub(super) fn inlay_hints(
    server: &mut Server,
    params: InlayHintParams,
) -> Answer<Option<Vec<InlayHint>>> {
    let document = params.text_document.uri;
    let asked = params.range;
    with_document(server, &document, Reach::Envs, |view, places| {
        let lines = places.lines(view.file);
        let part = lines.offsets(asked);
        let part = part.start as u32..part.end as u32;
        let hint = |hint: inlay::Hint| InlayHint {
            position: lines.position(hint.offset as usize),
            label: InlayHintLabel::String(hint.label),
            kind: None,
            text_edits: None,
            tooltip: Some(InlayHintTooltip::String(hint.tooltip)),
            padding_left: Some(true),
            padding_right: None,
            data: None,
        };
        inlay::hints(view, &part).into_iter().map(hint).collect()
    })
}
