//! What a name is, and what value it has in each environment.

use ordain_lang_syntax::Span;

use super::describe::{Described, describe};
use super::values;
use crate::view::View;

/// What is shown for a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Hover {
    /// The name that it is about.
    pub(crate) span: Span,
    /// Markdown.
    pub(crate) text: String,
}

/// Describes the name at a place.
pub(crate) fn hover(view: &View<'_>, offset: u32) -> Option<Hover> {
    let found = view.use_at(offset)?;
    let described = describe(view, &found)?;
    let mut text = markdown(&described);
    if let Some(table) = in_environments(view, offset) {
        text.push_str("\n\n");
        text.push_str(&table);
    }
    Some(Hover {
        span: found.span,
        text,
    })
}

/// A description as Markdown.
pub(crate) fn markdown(described: &Described) -> String {
    let mut text = format!("```ord\n{}\n```", described.code.trim_end());
    if let Some(doc) = &described.doc {
        text.push_str(&format!("\n\n{}", doc.trim()));
    }
    if !described.facts.is_empty() {
        text.push_str(&format!("\n\n{}", described.facts.join(" ")));
    }
    text
}

/// The value of the field that a line sets, by environment, and what set it.
fn in_environments(view: &View<'_>, offset: u32) -> Option<String> {
    let lines = values::lines(view);
    let line = lines
        .iter()
        .find(|line| line.name.start <= offset && offset <= line.name.end)?;
    let mut table = String::from("| environment | value | set by |\n| --- | --- | --- |");
    let mut has_rows = false;
    for (env, name) in values::environments(view) {
        let paths = [line.path.clone()];
        let found = values::values(view, Some(env), line.app, &paths)
            .pop()
            .flatten();
        let Some(found) = found else { continue };
        let Some(winner) = found.sources.first() else {
            continue;
        };
        has_rows = true;
        let layer = values::layer(view, winner);
        let at = view.project.sources.place(winner.span);
        let value = found.value.replace('|', "\\|");
        table.push_str(&format!("\n| {name} | `{value}` | {layer}, {at} |"));
    }
    has_rows.then_some(table)
}
