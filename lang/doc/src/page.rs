//! The frame of every page, and the escaping of text. It knows nothing of what a page shows.

use crate::Page;
use crate::links::{Links, module_page};

/// A heading of a page, for its table of contents.
pub(crate) struct Section {
    /// The anchor.
    pub(crate) id: String,
    /// The text.
    pub(crate) title: String,
}

/// Escapes text for content and for attributes in double quotes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML and HTML hold no other control characters.
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The way from a page to the site's folder: `../` for each folder above it.
pub(crate) fn root(path: &str) -> String {
    "../".repeat(path.matches('/').count())
}

/// Puts content into the frame.
pub(crate) fn page(
    links: &Links<'_>,
    path: String,
    title: &str,
    sections: &[Section],
    content: &str,
) -> Page {
    let root = root(&path);
    let name = match links.project.manifest.name.as_str() {
        "" => "Ordain",
        name => name,
    };
    let whole = match title == name {
        true => name.to_owned(),
        false => format!("{title} – {name}"),
    };
    let text = format!(
        r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="ordain doc">
<meta name="color-scheme" content="light dark">
<title>{whole}</title>
<link rel="stylesheet" href="{root}style.css">
</head>
<body data-root="{root}">
<a class="skip" href="#content">Skip to the content</a>
<header>
<a class="home" href="{root}index.html">{name}</a>
<form role="search" onsubmit="return false">
<input id="search" type="search" placeholder="Search ( / )" aria-label="Search types, functions and fields" autocomplete="off" spellcheck="false">
<div id="found" role="listbox" aria-label="Found" hidden></div>
</form>
</header>
<div class="columns">
<nav aria-label="Pages">
{nav}</nav>
<main id="content">
{content}</main>
{contents}</div>
<script src="{root}search-index.js" defer></script>
<script src="{root}search.js" defer></script>
</body>
</html>
"##,
        whole = escape(&whole),
        name = escape(name),
        nav = nav(links, &path, &root),
        contents = contents(sections),
    );
    Page { path, text }
}

fn nav(links: &Links<'_>, path: &str, root: &str) -> String {
    let entry = |page: &str, text: &str| {
        let current = if page == path {
            " aria-current=\"page\""
        } else {
            ""
        };
        format!(
            "<li><a href=\"{root}{page}\"{current}>{}</a></li>\n",
            escape(text)
        )
    };
    let list = |title: &str, own: bool| {
        let modules = links.modules().filter(|m| m.is_own == own);
        let entries: String = modules
            .map(|m| entry(&module_page(&m.path), &m.path))
            .collect();
        match entries.is_empty() {
            true => String::new(),
            false => format!("<h2>{title}</h2>\n<ul>\n{entries}</ul>\n"),
        }
    };
    let mut out = list("Modules", true) + &list("Standard library", false);
    if !links.kube().is_empty() {
        let current = if path == "k8s/index.html" || path.starts_with("k8s/") {
            " aria-current=\"true\""
        } else {
            ""
        };
        out.push_str(&format!(
            "<h2>Kubernetes</h2>\n<ul>\n<li><a href=\"{root}k8s/index.html\"{current}>Types of {}</a></li>\n</ul>\n",
            links.table.version()
        ));
    }
    out
}

/// The table of contents beside a long page.
fn contents(sections: &[Section]) -> String {
    if sections.len() < 2 {
        return String::new();
    }
    let entries: String = sections
        .iter()
        .map(|s| format!("<li><a href=\"#{}\">{}</a></li>\n", s.id, escape(&s.title)))
        .collect();
    format!(
        "<aside aria-label=\"On this page\">\n<h2>On this page</h2>\n<ul>\n{entries}</ul>\n</aside>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(
            escape("<a href=\"x\" b='c'>&\u{1}"),
            "&lt;a href=&quot;x&quot; b=&#39;c&#39;&gt;&amp;\u{fffd}"
        );
    }

    #[test]
    fn the_way_up_fits_the_folder() {
        assert_eq!(root("index.html"), "");
        assert_eq!(root("module/a.html"), "../");
    }
}
