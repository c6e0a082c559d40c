//! Sources as HTML: words colored by what they are, names linked to where they are declared.

use ordain_lang_project::Module;
use ordain_lang_syntax::{FileId, Span, TokenKind, parse};
use ordain_lang_types::index::Def;

use crate::links::Links;
use crate::page::escape;

/// A place of a source, with links from a page whose way to the site's folder is `root`.
pub(crate) fn linked(links: &Links<'_>, module: &Module, span: Span, root: &str) -> String {
    let text = links.project.sources.text(module.file);
    let uses = links.index.uses_in(module.file);
    let link = |start: u32, end: u32| {
        let at = uses.partition_point(|used| used.span.start < start);
        let used = uses
            .get(at)
            .filter(|u| u.span.start == start && u.span.end == end)?;
        // Where something is declared, the page is there already.
        if used.is_definition && !matches!(used.def, Def::Module(_)) {
            return None;
        }
        Some(format!("{root}{}", links.of(used.def)?))
    };
    let tokens = module.parsed.tree();
    let line = text[..span.start as usize]
        .rfind('\n')
        .map_or(0, |at| at + 1);
    let indent = text[line..].len() - text[line..].trim_start_matches(' ').len();
    let html = tokens_as_html(text, tokens.tokens(), span.range(), link);
    dedent(&html, indent)
}

/// A program that stands on its own, as in a comment: colored, without links.
pub(crate) fn plain(text: &str) -> String {
    let parsed = parse(FileId(0), text);
    tokens_as_html(text, parsed.tree().tokens(), 0..text.len(), |_, _| None)
}

fn tokens_as_html(
    text: &str,
    tokens: &[ordain_lang_syntax::Token],
    range: std::ops::Range<usize>,
    link: impl Fn(u32, u32) -> Option<String>,
) -> String {
    let mut out = String::new();
    let (mut start, mut open) = (0, None);
    for token in tokens {
        let (from, to) = (start, token.end as usize);
        start = to;
        let shown = from.max(range.start)..to.min(range.end);
        let Some(piece) = text.get(shown.clone()).filter(|piece| !piece.is_empty()) else {
            continue;
        };
        let whole = shown == (from..to);
        let address = match token.kind.is_word() && whole {
            true => link(from as u32, token.end),
            false => None,
        };
        // Neighbors of one style share their mark: a string is several tokens.
        let style = class(token.kind).filter(|_| address.is_none());
        if style != open {
            out.push_str(open.map_or("", |_| "</span>"));
            if let Some(class) = style {
                out.push_str(&format!("<span class=\"{class}\">"));
            }
            open = style;
        }
        let piece = escape(piece);
        match address {
            Some(address) => out.push_str(&format!("<a href=\"{}\">{piece}</a>", escape(&address))),
            None => out.push_str(&piece),
        }
    }
    out.push_str(open.map_or("", |_| "</span>"));
    out
}

/// The style of a token.
fn class(kind: TokenKind) -> Option<&'static str> {
    use TokenKind as T;
    match kind {
        T::LineComment | T::BlockComment | T::DocComment => Some("c"),
        T::Quote | T::QuoteEnd | T::StrText | T::Regex => Some("s"),
        T::Int | T::Float | T::Unit | T::True | T::False | T::Null => Some("n"),
        T::Ident => None,
        kind if kind.is_word() => Some("k"),
        _ => None,
    }
}

/// Takes the indentation of the line on which a place begins from the lines that follow.
fn dedent(html: &str, most: usize) -> String {
    let mut lines = html.lines();
    let mut out = lines.next().unwrap_or("").to_owned();
    for line in lines {
        let indent = line.len() - line.trim_start_matches(' ').len();
        out.push('\n');
        out.push_str(&line[indent.min(most)..]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_colored_and_markup_is_escaped() {
        assert_eq!(
            plain("let a = \"<b>\" // c"),
            "<span class=\"k\">let</span> a = <span class=\"s\">&quot;&lt;b&gt;&quot;</span> <span class=\"c\">// c</span>"
        );
    }

    #[test]
    fn indentation_of_the_place_goes() {
        assert_eq!(dedent("a {\n    b\n  }", 2), "a {\n  b\n}");
    }
}
