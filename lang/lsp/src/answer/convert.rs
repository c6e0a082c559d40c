//! Features' answers in the protocol's words.

use lsp_types::{
    CompletionItem, CompletionItemKind, CompletionItemLabelDetails, CompletionItemTag,
    CompletionTextEdit, DocumentSymbol, Documentation, FoldingRange, FoldingRangeKind,
    InsertTextFormat, MarkupContent, MarkupKind, Position, Range, SemanticToken,
    SemanticTokenModifier, SemanticTokenType, SemanticTokensEdit, SemanticTokensLegend, SymbolKind,
    TextEdit,
};

use crate::features::complete::{Kind, Proposal};
use crate::features::folding::{Fold, FoldKind};
use crate::features::symbols::{self, Symbol};
use crate::features::tokens::{Colored, MODIFIERS, NAMES};
use crate::places::Places;
use crate::position::Lines;

/// The meaning of the numbers in semantic tokens.
pub(crate) fn legend() -> SemanticTokensLegend {
    SemanticTokensLegend {
        token_types: NAMES
            .iter()
            .map(|name| SemanticTokenType::new(name))
            .collect(),
        token_modifiers: MODIFIERS
            .iter()
            .map(|name| SemanticTokenModifier::new(name))
            .collect(),
    }
}

/// Colors, each relative to the one before.
pub(super) fn tokens(colored: &[Colored], lines: &Lines<'_>) -> Vec<SemanticToken> {
    let mut made = Vec::with_capacity(colored.len());
    let (mut line, mut column, mut before) = (0, 0, 0);
    for color in colored {
        let start = match lines.line_of(color.start) {
            // Counted on from the token before: a line may be as long as the file.
            same if same == line => Position {
                line,
                character: column + lines.width(before..color.start),
            },
            _ => lines.position(color.start),
        };
        made.push(SemanticToken {
            delta_line: start.line - line,
            delta_start: match start.line == line {
                true => start.character - column,
                false => start.character,
            },
            length: lines.width(color.start..color.end),
            token_type: color.kind as u32,
            token_modifiers_bitset: color.modifiers,
        });
        (line, column, before) = (start.line, start.character, color.start);
    }
    made
}

/// The change between two lists of tokens: one edit between what is equal at both ends.
pub(super) fn delta(old: &[SemanticToken], new: &[SemanticToken]) -> Vec<SemanticTokensEdit> {
    let start = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[start..], &new[start..]);
    let same = old_rest
        .iter()
        .rev()
        .zip(new_rest.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let (removed, added) = (
        old_rest.len() - same,
        new_rest[..new_rest.len() - same].to_vec(),
    );
    if removed == 0 && added.is_empty() {
        return Vec::new();
    }
    // The protocol counts integers, five for a token.
    vec![SemanticTokensEdit {
        start: start as u32 * 5,
        delete_count: removed as u32 * 5,
        data: Some(added),
    }]
}

pub(super) fn symbol_kind(kind: symbols::SymbolKind) -> SymbolKind {
    use symbols::SymbolKind as K;
    match kind {
        K::Record => SymbolKind::STRUCT,
        K::Alias => SymbolKind::INTERFACE,
        K::Field => SymbolKind::FIELD,
        K::Function => SymbolKind::FUNCTION,
        K::Constant | K::Export => SymbolKind::CONSTANT,
        K::App => SymbolKind::CLASS,
        K::Env => SymbolKind::NAMESPACE,
        K::Test => SymbolKind::METHOD,
        K::Policy => SymbolKind::EVENT,
    }
}

/// A tree of symbols.
#[allow(
    deprecated,
    reason = "the protocol's structure has a field that is no longer used"
)]
pub(super) fn symbol(symbol: Symbol, places: &Places<'_>) -> DocumentSymbol {
    let children: Vec<DocumentSymbol> = symbol
        .children
        .into_iter()
        .map(|child| self::symbol(child, places))
        .collect();
    DocumentSymbol {
        name: symbol.name,
        detail: (!symbol.detail.is_empty()).then_some(symbol.detail),
        kind: symbol_kind(symbol.kind),
        tags: None,
        deprecated: None,
        range: places.range(symbol.span),
        selection_range: places.range(symbol.name_span),
        children: (!children.is_empty()).then_some(children),
    }
}

pub(super) fn fold(fold: Fold) -> FoldingRange {
    FoldingRange {
        start_line: fold.first,
        end_line: fold.last,
        kind: Some(match fold.kind {
            FoldKind::Region => FoldingRangeKind::Region,
            FoldKind::Comment => FoldingRangeKind::Comment,
            FoldKind::Imports => FoldingRangeKind::Imports,
        }),
        ..FoldingRange::default()
    }
}

pub(super) fn markdown(text: String) -> MarkupContent {
    MarkupContent {
        kind: MarkupKind::Markdown,
        value: text,
    }
}

/// A proposal; without places to fill in where the editor cannot have them.
pub(super) fn completion(
    proposal: Proposal,
    range: Range,
    snippets: bool,
    places: &Places<'_>,
) -> CompletionItem {
    let kind = match proposal.kind {
        Kind::Field => CompletionItemKind::FIELD,
        Kind::Method => CompletionItemKind::METHOD,
        Kind::Function => CompletionItemKind::FUNCTION,
        Kind::Variable => CompletionItemKind::VARIABLE,
        Kind::Constant => CompletionItemKind::CONSTANT,
        Kind::Type => CompletionItemKind::STRUCT,
        Kind::Module | Kind::Environment => CompletionItemKind::MODULE,
        Kind::EnumMember => CompletionItemKind::ENUM_MEMBER,
        Kind::Value => CompletionItemKind::VALUE,
        Kind::Unit => CompletionItemKind::UNIT,
        Kind::Keyword => CompletionItemKind::KEYWORD,
        Kind::Snippet => CompletionItemKind::SNIPPET,
        Kind::Reference => CompletionItemKind::REFERENCE,
        Kind::App => CompletionItemKind::CLASS,
        Kind::File => CompletionItemKind::FILE,
        Kind::Folder => CompletionItemKind::FOLDER,
    };
    let is_snippet = proposal.is_snippet && snippets;
    let text = match proposal.is_snippet && !snippets {
        true => without_places(&proposal.insert),
        false => proposal.insert,
    };
    let also: Vec<TextEdit> = proposal
        .also
        .into_iter()
        .map(|edit| places.edit(edit))
        .collect();
    CompletionItem {
        sort_text: Some(format!("{}{}", proposal.rank, proposal.label)),
        filter_text: None,
        label_details: (!proposal.detail.is_empty()).then(|| CompletionItemLabelDetails {
            detail: None,
            description: Some(proposal.detail.clone()),
        }),
        detail: (!proposal.detail.is_empty()).then_some(proposal.detail),
        label: proposal.label,
        kind: Some(kind),
        tags: proposal
            .is_deprecated
            .then(|| vec![CompletionItemTag::DEPRECATED]),
        documentation: proposal
            .doc
            .map(|doc| Documentation::MarkupContent(markdown(doc))),
        insert_text_format: is_snippet.then_some(InsertTextFormat::SNIPPET),
        text_edit: Some(CompletionTextEdit::Edit(TextEdit {
            range,
            new_text: text,
        })),
        additional_text_edits: (!also.is_empty()).then_some(also),
        ..CompletionItem::default()
    }
}

/// The text of a snippet: `${1:name}` says `name`, `$0` nothing.
pub(super) fn without_places(snippet: &str) -> String {
    let mut out = String::with_capacity(snippet.len());
    let mut rest = snippet;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(inner) = rest.strip_prefix('{')
            && let Some(end) = inner.find('}')
        {
            let (place, after) = (&inner[..end], &inner[end + 1..]);
            out.push_str(place.split_once(':').map_or("", |(_, text)| text));
            rest = after;
        } else {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_has_a_plain_text() {
        assert_eq!(without_places("a = ${1:true}$0"), "a = true");
        assert_eq!(without_places("f($0)"), "f()");
        assert_eq!(
            without_places("type ${1:Name} {\n  $2\n}"),
            "type Name {\n  \n}"
        );
    }

    #[test]
    fn a_delta_leaves_what_is_equal() {
        let token = |length| SemanticToken {
            length,
            ..SemanticToken::default()
        };
        let (old, new) = ([1, 2, 3, 4].map(token), [1, 9, 9, 4].map(token));
        let edits = delta(&old, &new);
        assert_eq!(edits.len(), 1);
        assert_eq!((edits[0].start, edits[0].delete_count), (5, 10));
        assert!(delta(&old, &old).is_empty());
        assert_eq!(delta(&[], &new)[0].delete_count, 0);
    }
}
