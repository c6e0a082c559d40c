//! Programs in doc comments: they are checked beside the module that they document, so that documentation stays true.

use ordain_lang_syntax::ast::{ItemKind, MemberKind, TypeBody};
use ordain_lang_syntax::{Diagnostic, Parsed, Sources, Span, parse};

use crate::load::Project;
use crate::suites::Tested;

/// A fenced program of a doc comment.
struct Example {
    /// What it documents.
    item: String,
    /// Where that stands.
    span: Span,
    /// The module's path.
    module: String,
    text: String,
}

/// Checks every program of the project's own doc comments, that is every fenced block which says `ord` and no other word behind
/// it: as a module of its own that uses the documented one. Returns one result for each, in the order of the sources, and the
/// project's texts with those of the programs behind them.
pub fn examples(project: &Project) -> (Vec<Tested>, Sources) {
    let found = of_project(project);
    let mut sources = project.sources.clone();
    if found.is_empty() {
        return (Vec::new(), sources);
    }
    let mut modules: Vec<(String, Parsed)> = Vec::new();
    let mut add = |module: String, shown: &str, text: &str| {
        let file = sources.add(shown, text);
        modules.push((module, parse(file, text)));
        file
    };
    let mut files = Vec::with_capacity(found.len());
    for (at, example) in found.iter().enumerate() {
        let text = format!("use {}\n{}", quoted(&example.module), example.text);
        let shown = format!("example {} of {}", at + 1, example.item);
        files.push(add(format!("(example {at})"), &shown, &text));
    }
    let known = |path: &str| project.modules.iter().any(|module| module.path == path);
    for module in ordain_stdlib::MODULES {
        if !known(module.path) {
            add(module.path.to_owned(), module.file, module.text);
        }
    }
    let own = project.modules.iter().map(|m| (&*m.path, &m.parsed.file));
    let added = modules.iter().map(|(path, parsed)| (&**path, &parsed.file));
    let checked = project.check_modules(project.manifest.kubernetes, own.chain(added));
    let syntax = modules
        .iter()
        .flat_map(|(_, parsed)| parsed.diagnostics.iter().cloned());
    let diagnostics: Vec<Diagnostic> = syntax.chain(checked.diagnostics).collect();
    let results = found.into_iter().zip(files).map(|(example, file)| {
        let own = |d: &&Diagnostic| d.is_error() && d.span().is_some_and(|span| span.file == file);
        Tested {
            name: format!("the example of {}", example.item),
            file: project.sources.path(example.span.file).to_owned(),
            at: project.sources.place(example.span),
            span: example.span,
            env: None,
            failures: diagnostics.iter().filter(own).cloned().collect(),
            snapshots: Vec::new(),
        }
    });
    (results.collect(), sources)
}

fn of_project(project: &Project) -> Vec<Example> {
    let mut found = Vec::new();
    for module in project.modules.iter().filter(|m| m.is_own) {
        let mut add = |doc: &Option<Box<str>>, item: &str, span: Span| {
            let blocks = doc.as_deref().map(blocks).unwrap_or_default();
            found.extend(blocks.into_iter().map(|text| Example {
                item: item.to_owned(),
                span,
                module: module.path.clone(),
                text,
            }));
        };
        for item in &module.parsed.file.items {
            let name = match &item.kind {
                ItemKind::Type(decl) => decl.name.name.to_string(),
                ItemKind::Fn(decl) => decl.name.name.to_string(),
                ItemKind::Let(binding) => binding.name.name.to_string(),
                ItemKind::App(app) => app.name.name.to_string(),
                ItemKind::Env(env) => env.name.name.to_string(),
                _ => module.path.clone(),
            };
            add(&item.doc, &name, item.span);
            match &item.kind {
                ItemKind::Type(decl) => {
                    if let TypeBody::Record(record) = &decl.body {
                        for field in &record.fields {
                            add(
                                &field.doc,
                                &format!("{name}.{}", field.name.name),
                                field.span,
                            );
                        }
                    }
                }
                ItemKind::App(app) => {
                    for member in &app.body.members {
                        if let MemberKind::Field(field) = &member.kind {
                            add(&field.doc, &name, member.span);
                        }
                    }
                }
                _ => {}
            }
        }
    }
    found
}

/// The fenced programs of a doc comment.
fn blocks(doc: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<(bool, String)> = None;
    for line in doc.lines() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut block, fence) {
            (None, Some(info)) => block = Some((info.trim() == "ord", String::new())),
            (Some(_), Some(_)) => {
                let (ours, text) = block.take().unwrap_or_default();
                blocks.extend(ours.then_some(text));
            }
            (Some((_, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// A module's path as `use` takes it: parts that are no words are quoted.
fn quoted(path: &str) -> String {
    let is_word = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let parts = path.split('.').map(|part| match is_word(part) {
        true => part.to_owned(),
        false => format!("\"{part}\""),
    });
    parts.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blocks_that_say_ord_are_programs() {
        let doc = "A.\n\n```ord\nlet a = 1\n```\n```ord fails\nlet b = x\n```\n```sh\nls\n```\n```ord\nopen";
        assert_eq!(blocks(doc), ["let a = 1\n"]);
    }

    #[test]
    fn paths_are_quoted_where_they_must_be() {
        assert_eq!(quoted("apps.my-shop"), "apps.\"my-shop\"");
    }
}
