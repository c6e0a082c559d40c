//! Edits that may give a field its value, the nicest first: where the value stands, in the app's own environment, or at
//! the object in its app. Nothing here is believed: whoever asks builds each of them.

use super::place::{Text, body, nodes, value};
use super::target::{Step, get};
use super::words::{literal, literals, paths, quoted};
use ordain_lang_project::{BuildOptions, FieldRef, Module, Origin, Project, deciding_lines};
use ordain_lang_syntax::ast::{ItemKind, UseTarget};
use ordain_lang_syntax::{Node, NodeKind};
use ordain_reconciler_engine::FieldEdit;
use serde_json::Value;
use std::ops::Range;

/// Where an edit goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// Where the value stands.
    Line,
    /// In the environment.
    Env,
    /// At the object, in its app.
    App,
}

/// An edit to try.
#[derive(Debug)]
pub(super) struct Try {
    pub(super) path: String,
    pub(super) text: String,
    pub(super) place: Where,
    /// It gives another value to what decides the field now, and no more: what that may not have, the field may not.
    pub(super) is_own: bool,
}

/// One field of one object, and what is known of it.
pub(super) struct Field<'a> {
    pub(super) edit: &'a FieldEdit,
    pub(super) steps: &'a [Step],
    /// What it is to be; none when it is to be gone.
    pub(super) to: Option<&'a Value>,
    /// The object as it is built now.
    pub(super) object: &'a Value,
    /// The object as it is to be.
    pub(super) wanted: &'a Value,
    /// More fields of the object have to be edited: the environment gets a block for them.
    pub(super) has_others: bool,
}

/// What there is to try.
pub(super) struct Tries {
    pub(super) tries: Vec<Try>,
    /// `file:line` of what decides the value now.
    pub(super) line: Option<String>,
    /// Others use that line too, or could.
    pub(super) is_shared: bool,
}

/// The lines that decide the object's fields on the way to a place: of the place itself first.
fn lines(project: &Project, field: &Field<'_>) -> Option<Vec<Option<Origin>>> {
    let edit = field.edit;
    let written = |end: usize| {
        let mut path = String::new();
        for step in &field.steps[..end] {
            path.push_str(&format!("[\"{}\"]", step.text));
        }
        path
    };
    let refs: Vec<FieldRef> = (1..=field.steps.len())
        .rev()
        .map(|end| FieldRef {
            env: edit.env.clone(),
            kind: edit.kind.clone(),
            namespace: None,
            name: edit.name.clone(),
            path: written(end),
        })
        .collect();
    let options = BuildOptions {
        env: Some(edit.env.clone()).filter(|env| env != "default"),
        cluster: None,
    };
    deciding_lines(project, &options, &refs).ok()
}

/// A line in a module of the project's own.
struct Line<'a> {
    module: &'a Module,
    place: Range<usize>,
}

fn own<'a>(project: &'a Project, origin: &Origin) -> Option<Line<'a>> {
    let mut modules = project.modules.iter();
    let module = modules.find(|module| module.is_own && module.file == origin.span.file)?;
    let place = origin.span.start as usize..origin.span.end as usize;
    Some(Line { module, place })
}

/// Whether a line is in a function, a type or another environment, so that others may depend on it.
fn is_shared(around: &[Node<'_>], text: &Text<'_>, env: &str) -> bool {
    around.iter().any(|node| match node.kind() {
        NodeKind::FnDecl | NodeKind::TypeDecl | NodeKind::Lambda => true,
        NodeKind::Env => name_of(*node, text) != env,
        _ => false,
    })
}

/// The second word of an item: `prod` of `env prod extends base { … }`.
fn name_of<'t>(item: Node<'_>, text: &Text<'t>) -> &'t str {
    let mut words = text.of(item).split_whitespace();
    words.nth(1).unwrap_or_default().trim_end_matches('{')
}

/// Everything to try for a field.
pub(super) fn tries(project: &Project, field: &Field<'_>) -> Tries {
    let lines = lines(project, field).unwrap_or_default();
    let first = lines.first().cloned().flatten();
    let there = first.as_ref().and_then(|line| own(project, line));
    let mut is_shared_line = first.is_some() && there.is_none();
    let mut names = Vec::new();
    let mut is_default = false;
    if let Some(line) = &there {
        let text = Text::new(project.sources.text(line.module.file));
        let around = text.around(&line.place);
        is_shared_line = is_shared(&around, &text, &field.edit.env);
        names = members(&around, &text, &field.edit.app);
        is_default = around.iter().any(|node| node.kind() == NodeKind::TypeDecl);
    }
    let mut in_place = Vec::new();
    if let (Some(line), true) = (&there, get(field.object, field.steps).is_some()) {
        in_place = at_line(project, line, field);
    }
    if let (Some(to), None) = (field.to, get(field.object, field.steps)) {
        for (at, origin) in lines.iter().enumerate().skip(1) {
            let Some(line) = origin.as_ref().and_then(|origin| own(project, origin)) else {
                continue;
            };
            in_place.extend(beside(project, &line, field, field.steps.len() - at, to));
        }
        if is_shared_line && let Some(Some(near)) = lines.get(1) {
            // What decides the map around it, as nothing decides the field itself.
            let near = own(project, near);
            is_shared_line = near.is_none_or(|line| {
                let text = Text::new(project.sources.text(line.module.file));
                is_shared(&text.around(&line.place), &text, &field.edit.env)
            });
        }
    }
    let mut others = in_env(project, field, &names, is_default);
    others.extend(at_object(project, field));
    let tries = match is_shared_line {
        true => others.into_iter().chain(in_place).collect(),
        false => in_place.into_iter().chain(others).collect(),
    };
    Tries {
        tries,
        line: first.map(|line| line.at),
        is_shared: is_shared_line,
    }
}

/// How the environment could name the value that the line decides: fields of the app, and of what those hold.
fn members(around: &[Node<'_>], text: &Text<'_>, app: &str) -> Vec<String> {
    let fields = || {
        around
            .iter()
            .rev()
            .filter(|node| matches!(node.kind(), NodeKind::Field | NodeKind::FieldDecl))
    };
    let path = |node: &Node<'_>| {
        let text = text.of(*node);
        let end = text.find(['=', ':', '{']).unwrap_or(text.len());
        text[..end].trim().trim_start_matches("final ").to_owned()
    };
    let inner = fields().next().map(path);
    let is_app = |node: &&Node<'_>| node.kind() == NodeKind::App && name_of(**node, text) == app;
    let in_app = around.iter().any(|node| is_app(&node));
    let outer = fields().next_back().map(path);
    let mut names = Vec::new();
    // A line of another environment names it as this one will: `shop.web.replicas`.
    let of_app = inner
        .as_deref()
        .and_then(|path| path.strip_prefix(&format!("{app}.")).map(str::to_owned));
    match (inner, outer) {
        _ if of_app.is_some() => names.extend(of_app),
        (Some(inner), Some(outer)) if in_app && inner == outer => names.push(inner),
        (Some(inner), Some(outer)) if in_app => names.push(format!("{outer}.{inner}")),
        (Some(inner), _) => names.push(format!("*.{inner}")),
        _ => {}
    }
    names.retain(|name| !name.contains(['[', '"', ' ']) && !name.starts_with("objects"));
    names
}

/// The value replaced or taken away where it stands.
fn at_line(project: &Project, line: &Line<'_>, field: &Field<'_>) -> Vec<Try> {
    let path = project.sources.path(line.module.file);
    let text = Text::new(project.sources.text(line.module.file));
    let around = text.around(&line.place);
    let mut texts = Vec::new();
    match field.to {
        Some(to) => {
            let from = get(field.object, field.steps);
            for (old, new) in from.map(|from| spellings(from, to)).unwrap_or_default() {
                for (at, _) in text.text[line.place.clone()].match_indices(&old) {
                    let at = line.place.start + at;
                    texts.push(text.replaced(at..at + old.len(), &new));
                }
            }
            // The line may be that of the value, or of the field's name.
            let is_field = |node: &&Node<'_>| {
                matches!(
                    node.kind(),
                    NodeKind::Field | NodeKind::FieldDecl | NodeKind::Let
                )
            };
            let field = around.iter().rev().find(is_field);
            let near = around.iter().rev().take(2).chain(field);
            for node in near.filter_map(|node| value(*node)) {
                let indent = text.indent(node.range().start) + 2;
                for new in literals(to, indent) {
                    texts.push(text.replaced(node.range(), &new));
                }
            }
        }
        None => {
            for (at, node) in around.iter().enumerate().rev() {
                let is_element = at > 0 && around[at - 1].kind() == NodeKind::List;
                if node.kind() == NodeKind::Field || is_element {
                    texts.push(text.without(*node));
                    break;
                }
            }
            // An element that is a field's record: `containers = [{ … }]`.
            for (at, node) in around.iter().enumerate().rev() {
                if at > 0 && around[at - 1].kind() == NodeKind::List {
                    texts.push(text.without(*node));
                    break;
                }
            }
        }
    }
    on_lines(path, texts, field.to.is_some())
}

fn on_lines(path: &str, texts: Vec<String>, is_own: bool) -> Vec<Try> {
    let one = |text| Try {
        path: path.to_owned(),
        text,
        place: Where::Line,
        is_own,
    };
    texts.into_iter().map(one).collect()
}

/// How a plain value may stand in the sources, and what stands there instead then.
fn spellings(from: &Value, to: &Value) -> Vec<(String, String)> {
    let is_plain = |value: &Value| !value.is_object() && !value.is_array() && !value.is_null();
    if !is_plain(from) || !is_plain(to) {
        return Vec::new();
    }
    let mut all = vec![(literal(from), literal(to))];
    // Quantities and durations stand without quotes.
    if let (Value::String(old), Value::String(new)) = (from, to)
        && [old, new].iter().all(|text| super::words::is_bare(text))
    {
        all.push((old.clone(), new.clone()));
    }
    all
}

/// A new entry in the braces or brackets that make what is around it. `end` steps lead there.
fn beside(
    project: &Project,
    line: &Line<'_>,
    field: &Field<'_>,
    end: usize,
    to: &Value,
) -> Vec<Try> {
    let path = project.sources.path(line.module.file);
    let text = Text::new(project.sources.text(line.module.file));
    let around = text.around(&line.place);
    let rest = &field.steps[end..];
    let mut texts = Vec::new();
    let is_list = get(field.object, &field.steps[..end]).is_some_and(Value::is_array);
    let wanted = match is_list {
        true => NodeKind::List,
        false => NodeKind::Record,
    };
    if is_list && rest.len() > 1 {
        return Vec::new();
    }
    let parent = get(field.wanted, &field.steps[..end]).unwrap_or(&Value::Null);
    let entries = |indent: usize, object: &Value, steps: &[Step]| -> Vec<String> {
        let names = paths(object, steps);
        let values = literals(to, indent);
        let all = names.iter().flat_map(|name| {
            let name = name
                .strip_prefix('[')
                .and_then(|key| key.strip_suffix(']'))
                .filter(|_| steps.len() == 1)
                .unwrap_or(name);
            values.iter().map(move |value| format!("{name} = {value}"))
        });
        all.collect()
    };
    for node in around.iter().rev().take(2) {
        let Some(braces) = body(*node, wanted) else {
            continue;
        };
        let indent = text.indent(braces.range().start) + 4;
        let new = match is_list {
            true => vec![literal(to)],
            false => entries(indent, parent, rest),
        };
        texts.extend(new.iter().map(|entry| text.extended(braces, entry)));
        break;
    }
    if end == 1 {
        // Beside the field that is decided here, when the object's own braces are around it.
        let mut records = around.iter().rev();
        records.find(|node| node.kind() == NodeKind::Field);
        if let Some(braces) = records.find(|node| node.kind() == NodeKind::Record) {
            let indent = text.indent(braces.range().start) + 4;
            for entry in entries(indent, field.wanted, field.steps) {
                texts.push(text.extended(*braces, &entry));
            }
        }
    }
    on_lines(path, texts, false)
}

/// What an amendment says, below the object: `spec.replicas = 3`, `delete data["x"]`.
pub(super) fn statements(field: &Field<'_>, indent: usize) -> Vec<(bool, String)> {
    let Some(to) = field.to else {
        let all = paths(field.object, field.steps).into_iter();
        return all.map(|path| (true, path)).collect();
    };
    let mut all = Vec::new();
    if let Some((last, parent)) = field.steps.split_last()
        && get(field.object, field.steps).is_none()
        && get(field.wanted, parent).is_some_and(Value::is_array)
        && last.is_bracket
    {
        for path in paths(field.wanted, parent) {
            all.push((false, format!("{path} += [{}]", literal(to))));
            all.push((false, format!("{path} = [{}]", literal(to))));
        }
        return all;
    }
    for value in literals(to, indent) {
        for path in paths(field.wanted, field.steps) {
            all.push((false, format!("{path} = {value}")));
        }
    }
    all
}

/// The names under which the kind may be known to a file: `k8s.Deployment`, or that of a `use crd`, with the line that
/// it needs when the file does not have it.
fn kinds(project: &Project, module: &Module, kind: &str) -> Vec<(String, Option<String>)> {
    let mut all = vec![(format!("k8s.{kind}"), None)];
    let uses = |module: &Module| -> Vec<(String, String)> {
        let text = project.sources.text(module.file);
        let items = module.parsed.file.items.iter();
        items
            .filter_map(|item| match &item.kind {
                ItemKind::Use(item_use) => match (&item_use.target, &item_use.alias) {
                    (UseTarget::Crd { .. }, Some(alias)) => {
                        let range = item.span.start as usize..item.span.end as usize;
                        Some((alias.name.as_str().to_owned(), text[range].to_owned()))
                    }
                    _ => None,
                },
                _ => None,
            })
            .collect()
    };
    for (alias, _) in uses(module) {
        all.push((format!("{alias}.{kind}"), None));
    }
    for other in project
        .modules
        .iter()
        .filter(|one| one.is_own && one.file != module.file)
    {
        for (alias, line) in uses(other) {
            all.push((format!("{alias}.{kind}"), Some(line)));
        }
    }
    all
}

/// Lines of the environment that set the field.
fn in_env(project: &Project, field: &Field<'_>, names: &[String], is_default: bool) -> Vec<Try> {
    let edit = field.edit;
    let mut tries = Vec::new();
    for module in project.modules.iter().filter(|module| module.is_own) {
        let path = project.sources.path(module.file);
        let text = Text::new(project.sources.text(module.file));
        let is_env =
            |node: &Node<'_>| node.kind() == NodeKind::Env && name_of(*node, &text) == edit.env;
        let Some(braces) = text
            .items()
            .find(is_env)
            .and_then(|env| body(env, NodeKind::Record))
        else {
            continue;
        };
        let mut add = |text: String, is_own: bool| {
            tries.push(Try {
                path: path.to_owned(),
                text,
                place: Where::Env,
                is_own,
            });
        };
        if let Some(to) = field.to.filter(|to| !to.is_object() && !to.is_array()) {
            for name in spelled(project, &edit.app, names) {
                for value in literals(to, 4) {
                    let line = format!("{}.{name} = {value}", edit.app);
                    // Others are guesses; for a default of a type one of them is right.
                    add(
                        lined(&text, braces, &line),
                        is_default || names.contains(&name),
                    );
                }
            }
        }
        for (kind, needs) in kinds(project, module, &edit.kind) {
            let object = format!("{}.objects[{kind} {}]", edit.app, quoted(&edit.name));
            let block = existing(&text, braces, &object);
            for (is_delete, statement) in statements(field, 6) {
                let word = if is_delete { "delete " } else { "" };
                let edited = match (block, field.has_others) {
                    (Some(block), _) => text.extended(block, &format!("{word}{statement}")),
                    (None, false) => lined(&text, braces, &format!("{word}{object}.{statement}")),
                    (None, true) => {
                        let block = format!("{object} {{\n    {word}{statement}\n  }}");
                        lined(&text, braces, &block)
                    }
                };
                let edited = match &needs {
                    Some(line) => format!("{line}\n{edited}"),
                    None => edited,
                };
                add(edited, false);
            }
        }
    }
    tries
}

/// The fields that a name may mean: `*.replicas` is that of anything the app holds.
fn spelled(project: &Project, app: &str, names: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    for name in names {
        let Some(field) = name.strip_prefix("*.") else {
            all.push(name.clone());
            continue;
        };
        for module in project.modules.iter().filter(|module| module.is_own) {
            for item in &module.parsed.file.items {
                let ItemKind::App(one) = &item.kind else {
                    continue;
                };
                if one.name.name.as_str() != app {
                    continue;
                }
                for member in &one.body.members {
                    let text = project.sources.slice(member.span);
                    let end = text.find(['=', ':', '{']).unwrap_or(text.len());
                    let holder = text[..end].trim();
                    if !holder.starts_with("objects") && !holder.contains(['[', '"', ' ']) {
                        all.push(format!("{holder}.{field}"));
                    }
                }
            }
        }
    }
    all
}

/// Braces with one more line at their end.
pub(super) fn lined(text: &Text<'_>, braces: Node<'_>, line: &str) -> String {
    let range = braces.range();
    let inner = &text.text[range.start + 1..range.end - 1];
    let new = match inner.trim() {
        "" => format!("{{\n  {line}\n}}"),
        _ if inner.contains('\n') => format!("{{{}\n  {line}\n}}", inner.trim_end()),
        one => format!("{{\n  {one}\n  {line}\n}}"),
    };
    text.replaced(range, &new)
}

/// The block in which the environment amends the object already.
fn existing<'t>(text: &'t Text<'_>, braces: Node<'t>, object: &str) -> Option<Node<'t>> {
    let tight = |text: &str| text.split_whitespace().collect::<String>();
    nodes(braces).find_map(|member| {
        let block = body(member, NodeKind::Record)?;
        let head = &text.text[member.range().start..block.range().start];
        (tight(head) == tight(object)).then_some(block)
    })
}

/// Amendments where the app, or the file's export, names the object.
fn at_object(project: &Project, field: &Field<'_>) -> Vec<Try> {
    let mut tries = Vec::new();
    for module in project.modules.iter().filter(|module| module.is_own) {
        let path = project.sources.path(module.file);
        let text = Text::new(project.sources.text(module.file));
        for item in text.items() {
            let value = match item.kind() {
                NodeKind::App if name_of(item, &text) == field.edit.app => {
                    let members = body(item, NodeKind::Record).into_iter().flat_map(nodes);
                    members
                        .filter(|member| text.of(*member).starts_with("objects"))
                        .find_map(|member| nodes(member).next_back())
                }
                NodeKind::Export => nodes(item).next_back(),
                _ => None,
            };
            let Some(value) = value else { continue };
            let elements: Vec<Node<'_>> = match value.kind() {
                NodeKind::List => nodes(value).collect(),
                _ => vec![value],
            };
            for element in elements {
                for (is_delete, statement) in
                    statements(field, text.indent(element.range().start) + 4)
                {
                    let word = if is_delete { "delete " } else { "" };
                    let entry = format!("{word}{statement}");
                    let edited = match element.kind() {
                        NodeKind::Amend => match body(element, NodeKind::Record) {
                            Some(braces) => text.extended(braces, &entry),
                            None => continue,
                        },
                        NodeKind::Name
                        | NodeKind::Call
                        | NodeKind::FieldAccess
                        | NodeKind::Index => {
                            let end = element.range().end;
                            text.replaced(end..end, &format!(" {{ {entry} }}"))
                        }
                        _ => continue,
                    };
                    tries.push(Try {
                        path: path.to_owned(),
                        text: edited,
                        place: Where::App,
                        is_own: false,
                    });
                }
            }
        }
    }
    tries
}
