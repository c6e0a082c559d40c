//! The checker's test-suite: Markdown chapters of sentences, snippets and the mistakes expected in them.
//!
//! A section is a heading and its snippets, which make one project. A snippet's first line may name its file
//! (`// file: apps/shop.ord`). A mistake is expected where a comment says so, on the line of its first place:
//! `// error: E0201 "part of the message"`, with `help "…"`, `rule "…"` (the line of a further place) and
//! `object "…"` as wanted. What is not expected fails the section, and so does what is expected and not told.

#[path = "support/mod.rs"]
mod support;

use std::path::Path;

fn chapter(path: &Path) -> datatest_stable::Result<()> {
    let text = std::fs::read_to_string(path)?;
    let mut failures = Vec::new();
    let mut sections = 0;
    for section in support::sections(&text) {
        sections += 1;
        let planted = section
            .files
            .iter()
            .map(|(_, text)| text.matches("// error: ").count());
        let planted: usize = planted.sum();
        if section.title.starts_with("Twenty") && planted != 20 {
            failures.push(format!(
                "## {}: {planted} mistakes are planted",
                section.title
            ));
        }
        if let Err(why) = support::check_section(&section) {
            failures.push(format!("## {}\n{why}", section.title));
        }
    }
    if sections == 0 {
        return Err("no snippet in this chapter".into());
    }
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures.join("\n").into()),
    }
}

datatest_stable::harness! {
    { test = chapter, root = "tests/chapters", pattern = r"\.md$" },
}
