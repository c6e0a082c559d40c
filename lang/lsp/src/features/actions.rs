//! Mending a mistake as its help says: the nearest name, a missing field, an import too many or too few.

use ordain_lang_syntax::ast::{ItemKind, UseTarget};
use ordain_lang_syntax::{Diagnostic, Span};

use super::Edit;
use super::snippet;
use crate::nodes::{Node, path_at};
use crate::view::View;

/// A change that mends a diagnostic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Action {
    /// What it does, as a menu shows it.
    pub(crate) title: String,
    /// The changes.
    pub(crate) edits: Vec<Edit>,
    /// Whether it is surely what is meant.
    pub(crate) is_preferred: bool,
}

impl Action {
    fn new(title: String, edits: Vec<Edit>) -> Action {
        Action {
            title,
            edits,
            is_preferred: false,
        }
    }
}

/// Returns what mends a diagnostic; several when there is a choice.
pub(crate) fn actions(view: &View<'_>, diagnostic: &Diagnostic) -> Vec<Action> {
    let Some(span) = diagnostic.span().filter(|span| view.is_own(span.file)) else {
        return Vec::new();
    };
    let help = diagnostic.help.as_deref().unwrap_or("");
    let mut found = Vec::new();
    match diagnostic.code {
        "W0101" => found.extend(remove_import(view, span)),
        "W0102" => {
            let name = view.slice(span);
            found.push(Action::new(
                format!("Rename to `_{name}`"),
                vec![Edit::new(span, format!("_{name}"))],
            ));
        }
        "E0204" => found.extend(missing_fields(view, span)),
        _ => {}
    }
    if let Some(near) = quoted(help, "did you mean `") {
        let mut action = Action::new(
            format!("Change to `{near}`"),
            vec![Edit::new(bare(view, span), near)],
        );
        action.is_preferred = true;
        found.push(action);
    } else if let Some(module) = quoted(help, "add `use ") {
        // `std.web` has `service`: it is `web.service` from here.
        let is_item = help.starts_with(&format!("`{module}`"));
        found.push(bring_in(view, module, is_item.then_some(span)));
    }
    if let Some(text) = quoted(help, "write `")
        && is_replacement(diagnostic.code, text)
    {
        found.push(Action::new(
            format!("Write `{text}`"),
            vec![Edit::new(bare(view, span), text)],
        ));
    }
    found
}

/// What a help puts in backticks behind some words.
fn quoted<'h>(help: &'h str, words: &str) -> Option<&'h str> {
    let rest = &help[help.find(words)? + words.len()..];
    let text = &rest[..rest.find('`')?];
    (!text.is_empty()).then_some(text)
}

/// Whether a help names exactly what is to stand in the place of the mistake.
fn is_replacement(code: &str, text: &str) -> bool {
    let is_whole = !text.contains('…') && !text.contains("...");
    is_whole && matches!(code, "E0101" | "E0102" | "E0201")
}

/// The part of a span that a name takes the place of: what is in quotes stays in them.
fn bare(view: &View<'_>, span: Span) -> Span {
    let text = view.slice(span);
    match text.len() >= 2 && text.starts_with('"') && text.ends_with('"') {
        true => Span {
            start: span.start + 1,
            end: span.end - 1,
            ..span
        },
        false => span,
    }
}

/// Removes the line of an import.
fn remove_import(view: &View<'_>, span: Span) -> Option<Action> {
    let file = &view.parsed_of(span.file)?.file;
    let item = file.items.iter().find(|item| {
        matches!(item.kind, ItemKind::Use(_))
            && item.span.start <= span.start
            && span.end <= item.span.end
    })?;
    let text = view.text_of(span.file);
    let end = item.span.end as usize;
    let rest = text.get(end..)?;
    let line_end = rest.find('\n').map_or(text.len(), |at| end + at + 1);
    // A comment on the same line goes with it; another item does not.
    let is_alone = rest[..line_end - end].trim().is_empty() || rest.trim_start().starts_with("//");
    let whole = Span {
        end: if is_alone {
            line_end as u32
        } else {
            item.span.end
        },
        ..item.span
    };
    let mut action = Action::new("Remove this import".to_owned(), vec![Edit::new(whole, "")]);
    action.is_preferred = true;
    Some(action)
}

/// Adds an import, unless it is there, and names an item through it.
fn bring_in(view: &View<'_>, module: &str, item: Option<Span>) -> Action {
    let known = imported_as(view, module);
    let alias = match &known {
        Some(alias) => alias.as_str(),
        None => module.rsplit('.').next().unwrap_or(module),
    };
    let mut edits = Vec::new();
    if known.is_none() {
        edits.push(import_edit(view, module));
    }
    let mut title = format!("Add `use {module}`");
    if let Some(item) = item {
        let written = format!("{alias}.{}", view.slice(item));
        title = match known {
            Some(_) => format!("Write `{written}`"),
            None => format!("Write `{written}` and add `use {module}`"),
        };
        edits.push(Edit::new(item, written));
    }
    Action::new(title, edits)
}

/// The name that a module has in the asked file.
fn imported_as(view: &View<'_>, module: &str) -> Option<String> {
    let items = &view.module(view.file)?.parsed.file.items;
    items.iter().find_map(|item| {
        let ItemKind::Use(used) = &item.kind else {
            return None;
        };
        let UseTarget::Module(path) = &used.target else {
            return None;
        };
        let parts: Vec<&str> = path.parts.iter().map(|part| part.name.as_str()).collect();
        let last = path.parts.last()?;
        (parts.join(".") == module).then(|| used.alias.unwrap_or(*last).name.to_string())
    })
}

/// The edit that adds an import behind the others, or at the top.
pub(crate) fn import_edit(view: &View<'_>, module: &str) -> Edit {
    let text = view.project.sources.text(view.file);
    let module_of = view.module(view.file);
    let items = module_of.map_or(&[][..], |module| &module.parsed.file.items);
    let last = items
        .iter()
        .rfind(|item| matches!(item.kind, ItemKind::Use(_)));
    match last {
        Some(last) => {
            let end = last.span.end as usize;
            let line_end = text[end.min(text.len())..].find('\n').map(|at| end + at);
            let at = line_end.unwrap_or(text.len()) as u32;
            Edit::new(Span::new(view.file, at, at), format!("\nuse {module}"))
        }
        None => Edit::new(Span::new(view.file, 0, 0), format!("use {module}\n\n")),
    }
}

/// Adds the required fields that braces do not set.
fn missing_fields(view: &View<'_>, span: Span) -> Option<Action> {
    let tree = &view.parsed_of(span.file)?.file;
    // The mistake is at the head: `k8s.Service`, or the opening brace.
    let path = path_at(tree, span.start);
    let whole = path.iter().rev().find_map(|node| match node {
        Node::Expr(expr) => match &expr.kind {
            ordain_lang_syntax::ast::ExprKind::Amend { body, .. } => Some(body),
            ordain_lang_syntax::ast::ExprKind::Record(body) => Some(body),
            _ => None,
        },
        Node::Record(body) if body.span.start == span.start => Some(*body),
        _ => None,
    })?;
    let ty = view.index().braces(whole.span)?;
    let record = view.program().types.as_record(ty)?;
    let text = view.text_of(span.file);
    let missing = snippet::missing(view, record, whole);
    if missing.is_empty() {
        return None;
    }
    let names: Vec<&str> = missing.iter().map(|(name, _)| name.as_str()).collect();
    let title = format!("Add {}", names.join(", "));
    Some(Action::new(
        title,
        vec![insert_members(text, whole.span, &missing)],
    ))
}

/// Puts members before the closing brace, in lines when the braces are, else on the same line.
fn insert_members(text: &str, braces: Span, members: &[(String, String)]) -> Edit {
    let inside = text
        .get(braces.start as usize + 1..(braces.end as usize).saturating_sub(1))
        .unwrap_or("");
    let line_start = text[..braces.start as usize]
        .rfind('\n')
        .map_or(0, |at| at + 1);
    let indent: String = text[line_start..]
        .chars()
        .take_while(|c| *c == ' ' || *c == '\t')
        .collect();
    let written: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    let content_end = braces.start as usize + 1 + inside.trim_end().len();
    let end = braces.end as usize - 1;
    let span = Span::new(braces.file, content_end as u32, end.max(content_end) as u32);
    let joined = if inside.contains('\n') {
        let lines: Vec<String> = written.iter().map(|m| format!("\n{indent}  {m}")).collect();
        format!("{}\n{indent}", lines.concat())
    } else {
        let comma = if inside.trim().is_empty() { "" } else { "," };
        format!("{comma} {} ", written.join(", "))
    };
    Edit::new(span, joined)
}
