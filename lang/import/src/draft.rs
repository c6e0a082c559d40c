//! The files of a project: apps, and environments that amend them.

use std::collections::BTreeSet;

use ordain_lang_syntax::Span;

use crate::Options;
use crate::custom::{Customs, Definitions};
use crate::factor::{self, Leaves, Variable, amendments, merge, under};
use crate::group::App;
use crate::project::{Form, Place, Set, Written};
use crate::write::doc::{Doc, Item, Member, Page};
use crate::write::text;
use crate::write::value::{Kind, Writer};
use crate::yaml::Node;

/// The file that holds the environments.
const ENVIRONMENTS: &str = "envs.ord";

/// A file being written, with the places of the objects in it.
pub(crate) struct Draft {
    pub(crate) path: String,
    pub(crate) page: Page,
    /// First and last offset of an object, and its number.
    pub(crate) regions: Vec<(usize, usize, usize)>,
}

impl Draft {
    fn new(path: String) -> Draft {
        Draft {
            path,
            page: Page::default(),
            regions: Vec::new(),
        }
    }
}

/// What the environments share of an app.
struct Base {
    variables: Vec<Variable>,
    /// The nodes of the app's objects, in their order.
    nodes: Vec<Node>,
}

/// Writes all files but the manifest.
pub(crate) fn write(set: &Set, writer: &Writer<'_>, options: &Options) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = Vec::new();
    let mut bases = Vec::with_capacity(set.apps.len());
    for app in &set.apps {
        if drafts.is_empty() || !options.is_single {
            drafts.push(Draft::new(match set.apps.len() {
                _ if options.is_single => format!("{}.ord", options.name),
                1 if app.name != "envs" => format!("{}.ord", app.name),
                _ => format!("apps/{}.ord", app.name),
            }));
        }
        let base = base(app, set, writer);
        if let Some(draft) = drafts.last_mut() {
            write_app(draft, app, &base, set, writer);
        }
        bases.push(base);
    }
    if !set.envs.is_empty() {
        drafts.push(environments(&bases, set, writer));
    }
    drafts
}

/// Works out what the environments share, and which values that differ get a name.
fn base(app: &App, set: &Set, writer: &Writer<'_>) -> Base {
    let mut leaves = Leaves::default();
    let merged = |one: &Written, leaves: &mut Leaves| {
        let nodes: Vec<Node> = (0..one.copies.len()).map(|at| one.node(at, set)).collect();
        let nodes: Vec<&Node> = nodes.iter().collect();
        let is_whole = one.place == Place::Base && nodes.len() == set.envs.len();
        let kind = one.kind();
        // A kind's type is part of the object, so the writer's borrow of it is as long as the object's.
        let writer = Writer {
            table: writer.table,
        };
        merge(&nodes, kind, "", None, &writer, is_whole, leaves)
    };
    for &at in &app.objects {
        merged(&set.written[at], &mut leaves);
    }
    let mut taken: BTreeSet<String> = app
        .objects
        .iter()
        .map(|at| set.written[*at].field.clone())
        .collect();
    let variables = leaves.name(|field| {
        let wanted = match field {
            "env" => "environment".to_owned(),
            _ => text::identifier(&snake(field)),
        };
        let mut name = wanted.clone();
        for nth in 2.. {
            if taken.insert(name.clone()) {
                break;
            }
            name = format!("{wanted}_{nth}");
        }
        name
    });
    let nodes = app
        .objects
        .iter()
        .map(|at| merged(&set.written[*at], &mut leaves))
        .collect();
    Base { variables, nodes }
}

/// `imagePullPolicy` to `image_pull_policy`.
fn snake(field: &str) -> String {
    let mut out = String::with_capacity(field.len() + 4);
    let mut was_small = false;
    for c in field.chars() {
        if c.is_ascii_uppercase() && was_small {
            out.push('_');
        }
        was_small = c.is_ascii_lowercase();
        out.push(c.to_ascii_lowercase());
    }
    if out.is_empty() {
        "value".to_owned()
    } else {
        out
    }
}

/// The files whose types some objects have.
pub(crate) fn definitions<'s>(
    written: impl Iterator<Item = &'s Written>,
    customs: &'s Customs,
) -> Vec<&'s Definitions> {
    let mut used: Vec<&Definitions> = Vec::new();
    for one in written {
        if let Form::Typed {
            name, shape: None, ..
        } = &one.form
            && let Some(file) = customs.file(name)
            && !used.iter().any(|other| other.alias == file.alias)
        {
            used.push(file);
        }
    }
    used.sort_by(|one, two| one.alias.cmp(&two.alias));
    used
}

fn use_definitions(page: &mut Page, used: &[&Definitions]) {
    for file in used {
        page.raw(&format!("use crd \"{}\" as {}\n", file.path, file.alias));
    }
    if !used.is_empty() {
        page.raw("\n");
    }
}

fn write_app(draft: &mut Draft, app: &App, base: &Base, set: &Set, writer: &Writer<'_>) {
    let page = &mut draft.page;
    if !page.out.is_empty() {
        page.raw("\n");
    }
    let own = app.objects.iter().map(|at| &set.written[*at]);
    use_definitions(
        page,
        &definitions(own.filter(|one| one.place == Place::Base), &set.customs),
    );
    page.raw(&format!("app {} {{", app.name));
    let lines: BTreeSet<&str> = set
        .exemptions
        .iter()
        .filter(|(at, _)| app.objects.contains(at))
        .map(|(_, line)| line.as_str())
        .collect();
    for line in &lines {
        page.line(2);
        page.raw(line);
    }
    if !lines.is_empty() && !base.variables.is_empty() {
        page.raw("\n");
    }
    for variable in &base.variables {
        page.line(2);
        page.raw(&format!("{}: {} = ", variable.name, variable.ty));
        page.doc(&value(variable.default(), variable.ty, writer), 2);
    }
    let in_base = || {
        app.objects
            .iter()
            .zip(&base.nodes)
            .map(|(at, node)| (*at, &set.written[*at], node))
    };
    let mut has_fields = !base.variables.is_empty() || !lines.is_empty();
    for (at, one, node) in
        in_base().filter(|(_, one, _)| one.place == Place::Base && is_held(one, set))
    {
        if has_fields {
            page.raw("\n");
        }
        has_fields = true;
        let start = page.out.len();
        page.comments(&one.object().comments, 2);
        page.line(2);
        let ty = match &one.form {
            Form::Typed { name, .. } => name,
            Form::Data => "Any",
        };
        page.raw(&format!("{}: {ty} = ", one.field));
        page.comes_from(Some(one.object().span));
        page.doc(&record(String::new(), node, one, writer), 2);
        draft.regions.push((start, page.out.len(), at));
    }
    if has_fields {
        page.raw("\n");
    }
    let is_empty = !in_base().any(|(_, one, _)| one.place == Place::Base);
    page.line(2);
    page.raw(if is_empty {
        "objects = []\n}\n"
    } else {
        "objects = ["
    });
    if is_empty {
        return;
    }
    let mut after_held = None;
    for (at, one, node) in in_base().filter(|(_, one, _)| one.place == Place::Base) {
        let start = page.out.len();
        let held = is_held(one, set);
        if after_held.is_some_and(|after| !(after && held)) {
            page.raw("\n");
        }
        after_held = Some(held);
        let Form::Typed { name, .. } = &one.form else {
            page.line(4);
            page.raw(&one.field);
            continue;
        };
        if held {
            page.line(4);
            page.raw(&one.field);
            continue;
        }
        page.comments(&one.object().comments, 4);
        page.line(4);
        page.comes_from(Some(one.object().span));
        page.doc(&record(name.clone(), node, one, writer), 4);
        draft.regions.push((start, page.out.len(), at));
    }
    page.line(2);
    page.raw("]\n}\n");
}

/// Whether an object is a field of its app: data is, and what kind and name do not tell from others where environments
/// have to name it.
fn is_held(one: &Written, set: &Set) -> bool {
    one.is_data() || (one.is_field && !set.envs.is_empty())
}

/// An object as a record with its type in front.
fn record(head: String, node: &Node, one: &Written, writer: &Writer<'_>) -> Doc {
    let writer = Writer {
        table: writer.table,
    };
    Doc::Record(
        head,
        writer.members(node.entries().unwrap_or_default(), one.kind()),
    )
}

fn value(node: &Node, ty: &str, writer: &Writer<'_>) -> Doc {
    let quantity = ordain_schemas::Shape::Quantity;
    let writer = Writer {
        table: writer.table,
    };
    match ty {
        "Quantity" => writer.doc(node, Kind::Of(&quantity)),
        _ => writer.doc(node, Kind::Any),
    }
}

/// Writes the file of the environments.
fn environments(bases: &[Base], set: &Set, writer: &Writer<'_>) -> Draft {
    let mut draft = Draft::new(ENVIRONMENTS.to_owned());
    let differs = |one: &&Written| {
        let first = one.node(0, set);
        let is_same = |at| factor::same(&first, &one.node(at, set));
        one.place == Place::Copies
            || one.copies.len() < set.envs.len()
            || !(1..one.copies.len()).all(is_same)
    };
    use_definitions(
        &mut draft.page,
        &definitions(set.written.iter().filter(differs), &set.customs),
    );
    for (env, name) in set.envs.iter().enumerate() {
        let page = &mut draft.page;
        if env > 0 {
            page.raw("\n");
        }
        // What is data in this environment alone has a name before the environment adds it.
        for (at, one) in set.written.iter().enumerate() {
            let Some(copy) = copy(one, env).filter(|_| one.is_data() && one.place == Place::Copies)
            else {
                continue;
            };
            let start = page.out.len();
            let object = &one.copies[copy].1;
            page.raw(&format!("let {}: Any = ", data_name(one, at, name)));
            page.comes_from(Some(object.span));
            page.doc(&record(String::new(), &one.node(copy, set), one, writer), 0);
            draft.regions.push((start, page.out.len(), at));
            page.raw("\n\n");
        }
        let mut members: Vec<(Member, Option<usize>)> = Vec::new();
        if let Some(namespace) = set.namespaces.get(env) {
            members.push((
                Member::new("namespace =", Doc::Atom(text::quoted(namespace))),
                None,
            ));
        }
        // Environments of one cluster and namespace would make the same objects.
        let is_alone = |namespace| {
            set.namespaces
                .iter()
                .filter(|other| *other == namespace)
                .count()
                == 1
        };
        if set.envs.len() > 1 && !set.namespaces.get(env).is_some_and(is_alone) {
            members.push((
                Member::new("cluster =", Doc::Atom(text::quoted(name))),
                None,
            ));
        }
        for (app, base) in set.apps.iter().zip(bases) {
            changes(app, base, env, name, set, writer, &mut members);
        }
        if members.is_empty() {
            page.raw(&format!("env {name} {{}}\n"));
            continue;
        }
        page.raw(&format!("env {name} {{"));
        for (member, at) in &members {
            let start = page.out.len();
            page.member(member, 2);
            if let Some(at) = at {
                draft.regions.push((start, page.out.len(), *at));
            }
        }
        page.raw("\n}\n");
    }
    draft
}

fn copy(one: &Written, env: usize) -> Option<usize> {
    one.copies.iter().position(|(of, _)| *of == env)
}

/// The name of data that one environment alone has. The number keeps names of different apps apart.
fn data_name(one: &Written, at: usize, env: &str) -> String {
    format!("{}_{at}_{env}", one.field)
}

/// What an environment changes of an app.
fn changes(
    app: &App,
    base: &Base,
    env: usize,
    name: &str,
    set: &Set,
    writer: &Writer<'_>,
    members: &mut Vec<(Member, Option<usize>)>,
) {
    for variable in &base.variables {
        let node = &variable.values[env];
        if !factor::same(node, variable.default()) {
            let head = format!("{}.{} =", app.name, variable.name);
            members.push((Member::new(head, value(node, variable.ty, writer)), None));
        }
    }
    let mut deleted = Vec::new();
    let mut added: Vec<Item> = Vec::new();
    let mut origin: Option<(Span, usize)> = None;
    for (&at, node) in app.objects.iter().zip(&base.nodes) {
        let one = &set.written[at];
        let selected = match &one.form {
            Form::Typed { name, .. } if !is_held(one, set) => {
                format!(
                    "{}.objects[{name} {}]",
                    app.name,
                    text::quoted(&one.object().name)
                )
            }
            _ => format!("{}.{}", app.name, one.field),
        };
        match (one.place, copy(one, env)) {
            (Place::Base, None) => {
                let member = Member {
                    head: format!("delete {selected}"),
                    doc: None,
                    before: Vec::new(),
                    behind: None,
                    origin: None,
                };
                deleted.push((member, Some(at)));
            }
            (Place::Base, Some(copy)) => {
                let target = one.node(copy, set);
                let (Some(before), Some(after)) = (node.entries(), target.entries()) else {
                    continue;
                };
                let writer = Writer {
                    table: writer.table,
                };
                let changed = amendments(before, after, one.kind(), &writer);
                members.extend(
                    under(&selected, changed, &target)
                        .into_iter()
                        .map(|member| (member, Some(at))),
                );
            }
            (Place::Copies, None) => {}
            (Place::Copies, Some(copy)) => {
                let object = &one.copies[copy].1;
                origin = origin.or(Some((object.span, at)));
                added.push(match &one.form {
                    Form::Typed { name, .. } => Item {
                        doc: record(name.clone(), &one.node(copy, set), one, writer),
                        before: object.comments.clone(),
                        behind: None,
                        origin: Some(object.span),
                    },
                    Form::Data => Item::new(Doc::Atom(data_name(one, at, name))),
                });
            }
        }
    }
    members.append(&mut deleted);
    if !added.is_empty() {
        let member = Member::new(format!("{}.objects +=", app.name), Doc::List(added));
        members.push((member, None));
    }
}
