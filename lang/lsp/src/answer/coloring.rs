//! Requests for the colors of a document: all of them, a part, or what changed since the last answer.

use lsp_types::{
    SemanticTokens, SemanticTokensDelta, SemanticTokensDeltaParams, SemanticTokensFullDeltaResult,
    SemanticTokensParams, SemanticTokensRangeParams, SemanticTokensResult, Uri,
};

use super::requests::{Answer, with_document};
use super::{Server, convert};
use crate::features::tokens;
use crate::uri;
use crate::view::Reach;

fn tokens_of(
    server: &mut Server,
    document: &Uri,
    range: Option<lsp_types::Range>,
) -> Answer<Vec<lsp_types::SemanticToken>> {
    let found = with_document(server, document, Reach::File, |view, places| {
        let lines = places.lines(view.file);
        let part = range.map_or(0..view.text().len(), |range| lines.offsets(range));
        convert::tokens(&tokens::colors(view, part), &lines)
    })?;
    Ok(found.unwrap_or_default())
}

fn remember(server: &mut Server, document: &Uri, data: Vec<lsp_types::SemanticToken>) -> String {
    server.next_result += 1;
    let id = server.next_result.to_string();
    server
        .tokens
        .insert(uri::same(document), (id.clone(), data));
    id
}

pub(super) fn full(
    server: &mut Server,
    params: SemanticTokensParams,
) -> Answer<SemanticTokensResult> {
    let document = params.text_document.uri;
    let data = tokens_of(server, &document, None)?;
    let result_id = Some(remember(server, &document, data.clone()));
    Ok(SemanticTokensResult::Tokens(SemanticTokens {
        result_id,
        data,
    }))
}

pub(super) fn delta(
    server: &mut Server,
    params: SemanticTokensDeltaParams,
) -> Answer<SemanticTokensFullDeltaResult> {
    let document = params.text_document.uri;
    let data = tokens_of(server, &document, None)?;
    let known = server.tokens.get(&uri::same(&document));
    let edits = known
        .filter(|(id, _)| *id == params.previous_result_id)
        .map(|(_, old)| convert::delta(old, &data));
    let result_id = Some(remember(server, &document, data.clone()));
    Ok(match edits {
        Some(edits) => {
            SemanticTokensFullDeltaResult::TokensDelta(SemanticTokensDelta { result_id, edits })
        }
        None => SemanticTokensFullDeltaResult::Tokens(SemanticTokens { result_id, data }),
    })
}

pub(super) fn range(
    server: &mut Server,
    params: SemanticTokensRangeParams,
) -> Answer<SemanticTokensResult> {
    let document = params.text_document.uri;
    let data = tokens_of(server, &document, Some(params.range))?;
    let result_id = None;
    Ok(SemanticTokensResult::Tokens(SemanticTokens {
        result_id,
        data,
    }))
}
