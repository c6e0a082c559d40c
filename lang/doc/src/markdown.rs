//! Doc comments as HTML. They are prose of people we may not know: no markup of theirs, no scripts and nothing loaded from
//! elsewhere passes.

use pulldown_cmark::{CodeBlockKind, CowStr, Event, Options, Parser, Tag, TagEnd, html};

use crate::code;
use crate::page::escape;

/// Renders a doc comment. `link` gives the address of a name in code marks.
pub(crate) fn render(text: &str, link: impl Fn(&str) -> Option<String>) -> String {
    let mut options = Options::empty();
    options.insert(Options::ENABLE_TABLES);
    let mut events = Vec::new();
    let mut program: Option<String> = None;
    // Inside a link another one would not be valid; images are shown by their text.
    let mut depth = 0_usize;
    for event in Parser::new_ext(text, options) {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(lang))) if is_ours(&lang) => {
                program = Some(String::new());
            }
            Event::Text(text) if program.is_some() => {
                if let Some(program) = &mut program {
                    program.push_str(&text);
                }
            }
            Event::End(TagEnd::CodeBlock) if program.is_some() => {
                let shown = code::plain(program.take().unwrap_or_default().trim_end());
                events.push(Event::Html(
                    format!("<pre><code>{shown}</code></pre>\n").into(),
                ));
            }
            Event::Html(html) | Event::InlineHtml(html) => events.push(Event::Text(html)),
            Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => {}
            Event::Start(Tag::Link {
                dest_url,
                link_type,
                title,
                id,
            }) => {
                depth += 1;
                let dest_url = match is_safe(&dest_url) {
                    true => dest_url,
                    false => CowStr::Borrowed("#"),
                };
                events.push(Event::Start(Tag::Link {
                    link_type,
                    dest_url,
                    title,
                    id,
                }));
            }
            Event::End(TagEnd::Link) => {
                depth = depth.saturating_sub(1);
                events.push(Event::End(TagEnd::Link));
            }
            Event::Code(name) if depth == 0 => {
                let shown = escape(&name);
                events.push(match link(&name) {
                    Some(address) => Event::InlineHtml(
                        format!("<a href=\"{}\"><code>{shown}</code></a>", escape(&address)).into(),
                    ),
                    None => Event::Code(name),
                });
            }
            // A page has its own headings; those of a comment stand below them.
            Event::Start(Tag::Heading { .. }) => {
                events.push(Event::Html("<p class=\"heading\">".into()))
            }
            Event::End(TagEnd::Heading(_)) => events.push(Event::Html("</p>\n".into())),
            event => events.push(event),
        }
    }
    let mut out = String::new();
    html::push_html(&mut out, events.into_iter());
    out
}

/// The first sentence as plain text, for lists and for the search.
pub(crate) fn summary(text: &str) -> String {
    let mut out = String::new();
    for event in Parser::new(text) {
        match event {
            Event::Text(text) | Event::Code(text) => out.push_str(&text),
            Event::SoftBreak | Event::HardBreak => out.push(' '),
            Event::End(TagEnd::Paragraph) => break,
            _ => {}
        }
    }
    let end = out.find(". ").map_or(out.len(), |at| at + 1);
    out.truncate(end);
    out
}

/// Prose without markup, as Kubernetes' descriptions are: paragraphs, with addresses that can be followed.
pub(crate) fn prose(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(str::trim).filter(|p| !p.is_empty());
    paragraphs
        .map(|p| format!("<p>{}</p>\n", followed(p)))
        .collect()
}

/// Escapes a text and makes links of the web addresses in it.
fn followed(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("https://") {
        let end = rest[at..]
            .find(|c: char| c.is_whitespace() || matches!(c, ')' | '>' | '"' | '\'' | '`' | ','))
            .map_or(rest.len(), |end| at + end);
        let address = rest[at..end].trim_end_matches(['.', ';', ':']);
        let end = at + address.len();
        out.push_str(&escape(&rest[..at]));
        let shown = escape(address);
        out.push_str(&format!("<a href=\"{shown}\">{shown}</a>"));
        rest = &rest[end..];
    }
    out.push_str(&escape(rest));
    out
}

fn is_ours(lang: &str) -> bool {
    lang.is_empty() || lang.split_whitespace().next() == Some("ord")
}

/// Links go to other pages or to the web; `javascript:` and the like go nowhere.
fn is_safe(address: &str) -> bool {
    let scheme = address.split(['/', '#', '?']).next().unwrap_or("");
    match scheme.split_once(':') {
        None => true,
        Some((scheme, _)) => matches!(
            scheme.to_ascii_lowercase().as_str(),
            "http" | "https" | "mailto"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_comment_becomes_markup() {
        let hostile = "a <script>alert(1)</script> [x](javascript:alert(1)) ![i](http://example.com/i.png)\n\n<img src=x onerror=y>";
        let html = render(hostile, |_| None);
        assert!(
            !html.contains("<script") && !html.contains("<img") && !html.contains("javascript:"),
            "{html}"
        );
    }

    #[test]
    fn names_are_linked_and_programs_colored() {
        let link = |name: &str| (name == "service").then(|| "#fn.service".to_owned());
        let html = render("By `service`, not `other`.\n\n```ord\nlet a = 1\n```", link);
        assert!(
            html.contains("<a href=\"#fn.service\"><code>service</code></a>"),
            "{html}"
        );
        assert!(
            html.contains("<code>other</code>") && html.contains("<span class=\"k\">let</span>"),
            "{html}"
        );
    }

    #[test]
    fn addresses_in_prose_can_be_followed() {
        assert_eq!(
            prose("See https://a.b/c?d=1&e. Then <x>."),
            "<p>See <a href=\"https://a.b/c?d=1&amp;e\">https://a.b/c?d=1&amp;e</a>. Then &lt;x&gt;.</p>\n"
        );
    }

    #[test]
    fn a_summary_is_the_first_sentence() {
        assert_eq!(
            summary("A `Service`\nin front. More.\n\nEven more."),
            "A Service in front."
        );
        assert_eq!(summary(""), "");
    }
}
