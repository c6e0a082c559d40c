//! Names in scope: items, modules, environments, apps, locals; and keywords where they may stand.

use std::collections::BTreeSet;

use ordain_lang_syntax::Name;
use ordain_lang_syntax::ast::{
    ForClause, Ident, Item, ItemKind, MemberKind, NamePath, Pattern, PatternKind, StmtKind,
    UseTarget,
};
use ordain_lang_types::index::{Def, Use};
use ordain_lang_types::program::ItemRef;
use ordain_lang_types::ty::Ty;

use super::{At, Kind, MARK, Proposal};
use crate::features::actions::import_edit;
use crate::features::describe::{describe, item_named, params};
use crate::nodes::Node;

/// What begins an item, with places to fill in.
const ITEMS: &[(&str, &str)] = &[
    ("use", "use $0"),
    ("type", "type ${1:Name} {\n  $0\n}"),
    ("fn", "fn ${1:name}($2) -> ${3:Type} = $0"),
    ("let", "let ${1:name} = $0"),
    ("export", "export ${1:name} = $0"),
    ("app", "app ${1:name} {\n  objects = [\n    $0\n  ]\n}"),
    ("env", "env ${1:name} extends ${2:base} {\n  $0\n}"),
    (
        "test",
        "test \"${1:what holds}\" in ${2:env} {\n  assert $0\n}",
    ),
    ("policy", "policy \"${1:what must hold}\" {\n  $0\n}"),
];

/// What begins an item.
pub(super) fn items() -> Vec<Proposal> {
    ITEMS
        .iter()
        .map(|(word, text)| Proposal::new(*word, Kind::Keyword, "").snippet(*text))
        .collect()
}

/// Keywords as they are.
pub(super) fn keywords(words: &[&str]) -> Vec<Proposal> {
    let one = |word: &&str| {
        let spaced = format!("{word} ");
        Proposal::new(*word, Kind::Keyword, "")
            .inserting(spaced)
            .ranked(9)
    };
    words.iter().map(one).collect()
}

/// What begins a statement of a test or a policy.
pub(super) fn statements(item: &Item) -> Vec<Proposal> {
    let texts: &[(&str, &str)] = match &item.kind {
        ItemKind::Test(_) => &[
            ("assert", "assert $0"),
            ("snapshot", "snapshot $0"),
            ("must fail", "must fail \"${1:E0203}\" { $0 }"),
            ("let", "let ${1:name} = $0"),
        ],
        ItemKind::Policy(_) => &[
            (
                "for",
                "for ${1:d} in objects.of(k8s.${2:Deployment}) {\n  $0\n}",
            ),
            ("deny if", "deny if ${1:condition}, \"${0:why}\""),
            ("warn if", "warn if ${1:condition}, \"${0:why}\""),
            ("if", "if ${1:condition} {\n  $0\n}"),
            ("let", "let ${1:name} = $0"),
        ],
        _ => &[],
    };
    texts
        .iter()
        .map(|(word, text)| Proposal::new(*word, Kind::Keyword, "").snippet(*text))
        .collect()
}

/// Modules for `use`, step by step.
pub(super) fn modules(at: &At<'_, '_>, path: &NamePath) -> Vec<Proposal> {
    let before: Vec<&str> = path
        .parts
        .iter()
        .map(|part| part.name.as_str())
        .take_while(|name| !name.contains(MARK))
        .collect();
    let own = at
        .view
        .module(at.view.file)
        .map(|module| module.path.as_str());
    let known = at
        .view
        .project
        .modules
        .iter()
        .map(|module| module.path.as_str())
        .chain(ordain_stdlib::MODULES.iter().map(|module| module.path));
    let mut found: BTreeSet<(String, bool)> = BTreeSet::new();
    // From the project's root, and from the folder of the module that says it.
    let beside: Vec<&str> = own.map_or(Vec::new(), |own| own.split('.').collect());
    let beside = beside.split_last().map_or(&[][..], |(_, folder)| folder);
    let beside: Vec<&str> = beside.iter().chain(&before).copied().collect();
    for module in known.filter(|path| Some(*path) != own) {
        let parts: Vec<&str> = module.split('.').collect();
        for before in [&before, &beside] {
            if let Some([next, rest @ ..]) = parts.strip_prefix(before.as_slice()) {
                found.insert(((*next).to_owned(), rest.is_empty()));
            }
        }
    }
    if at.view.project.is_single {
        let listed = super::paths::modules(at, &before).into_iter();
        found.extend(listed.filter(|(name, _)| !before.is_empty() || own != Some(name.as_str())));
    }
    found
        .into_iter()
        .map(|(name, is_module)| {
            let detail = if is_module { "module" } else { "folder" };
            Proposal::new(name, Kind::Module, detail).ranked(2)
        })
        .collect()
}

/// The project's environments.
pub(super) fn environments(at: &At<'_, '_>, except: Option<Name>) -> Vec<Proposal> {
    let known = at.view.project.environments();
    known
        .into_iter()
        .filter(|env| except.is_none_or(|name| name != *env.name))
        .map(|env| {
            let detail = env.cluster.map(|cluster| format!("cluster {cluster}"));
            Proposal::new(env.name, Kind::Environment, detail.unwrap_or_default()).ranked(1)
        })
        .collect()
}

/// What an environment may set or change.
pub(super) fn changes(at: &At<'_, '_>, only_name: bool) -> Vec<Proposal> {
    let mut found = Vec::new();
    let is_env =
        matches!(at.path.first(), Some(Node::Item(item)) if matches!(item.kind, ItemKind::Env(_)));
    if is_env {
        for (name, what) in [
            ("cluster", "The cluster that the environment is for."),
            (
                "namespace",
                "Where namespaced objects without a namespace go.",
            ),
            ("kubernetes", "The version whose types are meant."),
        ] {
            let made = Proposal::new(name, Kind::Field, "String").ranked(3);
            let made = match only_name {
                true => made,
                false => made.snippet(format!("{name} = \"$0\"")),
            };
            found.push(made.documented(Some(what.to_owned())));
        }
    }
    for module in at
        .view
        .project
        .modules
        .iter()
        .filter(|module| module.is_own)
    {
        for item in &module.parsed.file.items {
            let ItemKind::App(app) = &item.kind else {
                continue;
            };
            let name = app.name.name;
            if name.is_empty() {
                continue;
            }
            let detail = format!("app of {}", module.path);
            let made = Proposal::new(name.as_str(), Kind::App, detail).ranked(1);
            found.push(made.documented(item.doc.as_deref().map(str::to_owned)));
        }
    }
    found
}

/// The module that a name of the file's imports stands for, by position in the program.
pub(super) fn imported(at: &At<'_, '_>, name: &str) -> Option<usize> {
    let tree = at.view.tree()?;
    let found = tree.items.iter().find_map(|item| {
        let ItemKind::Use(used) = &item.kind else {
            return None;
        };
        let UseTarget::Module(path) = &used.target else {
            return None;
        };
        let last = path.parts.last()?;
        let called = used.alias.unwrap_or(*last);
        (called.name == *name).then_some(last.span)
    })?;
    match at.view.index().use_at(at.view.file, found.start)?.def {
        Def::Module(id) => Some(id.index()),
        _ => None,
    }
}

/// The definition behind an item of a module.
pub(super) fn item_def(at: &At<'_, '_>, item: ItemRef) -> Option<Use> {
    let program = at.view.program();
    let (def, ty) = match item {
        ItemRef::Fn(id) => (Def::Fn(id), program.fns.get(id.index())?.ret),
        ItemRef::Let(id) => (Def::Let(id), program.lets.get(id.index())?.ty),
        ItemRef::App(id) => (Def::App(id), Ty::ERROR),
        ItemRef::Type(ty) => {
            let record = program.types.as_record(ty)?;
            (Def::Type(program.types.record(record).span?), ty)
        }
    };
    Some(Use {
        span: at.typed.replaced,
        def,
        ty,
        is_definition: false,
    })
}

/// A function or constant as a proposal; `written` is how it is called from here.
pub(super) fn item_proposal(
    at: &At<'_, '_>,
    label: &str,
    item: ItemRef,
    written: &str,
) -> Option<Proposal> {
    let program = at.view.program();
    let found = item_def(at, item)?;
    let doc = describe(at.view, &found).and_then(|described| described.doc);
    Some(match item {
        ItemRef::Fn(id) => {
            let function = program.fns.get(id.index())?;
            let decl = match &item_named(at.view, function.span)?.kind {
                ItemKind::Fn(decl) => decl,
                _ => return None,
            };
            let list = params(at.view, decl).join(", ");
            let detail = format!("({list}) -> {}", program.show(function.ret));
            let call = match decl.params.is_empty() {
                true => format!("{written}()"),
                false => format!("{written}($0)"),
            };
            let made = Proposal::new(label, Kind::Function, detail).snippet(call);
            made.documented(doc).ranked(4)
        }
        ItemRef::Let(id) => {
            let ty = program.lets.get(id.index())?.ty;
            let made = Proposal::new(label, Kind::Constant, program.show(ty));
            made.inserting(written).documented(doc).ranked(4)
        }
        ItemRef::Type(_) | ItemRef::App(_) => return None,
    })
}

/// A local name and where it is declared.
type Local = Ident;

/// The names that the nodes around the cursor bind, innermost last.
pub(super) fn locals(at: &At<'_, '_>) -> Vec<Local> {
    let offset = at.typed.offset;
    let mut found: Vec<Local> = Vec::new();
    let clauses = |list: &[ForClause], found: &mut Vec<Local>| {
        for clause in list {
            // A clause's own list does not know its names.
            if clause.iter.span.end < offset {
                found.push(clause.first);
                found.extend(clause.second);
            }
        }
    };
    for node in at.path {
        match node {
            Node::Item(item) => {
                if let ItemKind::Fn(decl) = &item.kind {
                    found.extend(decl.params.iter().map(|param| param.name));
                }
            }
            Node::Expr(expr) => match &expr.kind {
                ordain_lang_syntax::ast::ExprKind::Let { binding, body }
                    if body.span.start <= offset =>
                {
                    found.push(binding.name);
                }
                ordain_lang_syntax::ast::ExprKind::Lambda { params, .. } => {
                    found.extend(params.iter().map(|param| param.name));
                }
                _ => {}
            },
            Node::Element(ordain_lang_syntax::ast::Element::For { clauses: list, .. }) => {
                clauses(list, &mut found);
            }
            Node::Member(member) => {
                if let MemberKind::For { clauses: list, .. } = &member.kind {
                    clauses(list, &mut found);
                }
            }
            Node::Record(record) => {
                for member in &record.members {
                    if let MemberKind::Let(binding) = &member.kind
                        && binding.span.end <= offset
                    {
                        found.push(binding.name);
                    }
                }
            }
            Node::Stmt(stmt) => {
                if let StmtKind::For { clauses: list, .. } = &stmt.kind {
                    clauses(list, &mut found);
                }
            }
            Node::Arm(arm) => arm.patterns.iter().for_each(|p| bound(p, &mut found)),
            _ => {}
        }
    }
    // Statements before this one.
    if let Some(Node::Item(item)) = at.path.first() {
        let body = match &item.kind {
            ItemKind::Test(test) => &test.body[..],
            ItemKind::Policy(policy) => &policy.body[..],
            _ => &[],
        };
        for stmt in body.iter().filter(|stmt| stmt.span.end <= offset) {
            if let StmtKind::Let(binding) = &stmt.kind {
                found.push(binding.name);
            }
        }
    }
    found.retain(|local| !local.name.is_empty() && !local.name.contains(MARK));
    found
}

fn bound(pattern: &Pattern, found: &mut Vec<Local>) {
    match &pattern.kind {
        PatternKind::Bind(name) => found.push(*name),
        PatternKind::Type(_, name) => found.extend(*name),
        _ => {}
    }
}

/// Functions of modules that are not imported yet, with the import as a second change.
pub(super) fn elsewhere(at: &At<'_, '_>) -> Vec<Proposal> {
    let mut found = Vec::new();
    // Only what is asked for by name: the library is large.
    if at.typed.prefix.len() < 2 {
        return found;
    }
    let here = at
        .view
        .module(at.view.file)
        .map(|module| module.path.as_str());
    for module in &at.view.project.modules {
        if Some(module.path.as_str()) == here || !module.is_own {
            continue;
        }
        let alias = module.path.rsplit('.').next().unwrap_or(&module.path);
        if imported(at, alias).is_some() {
            continue;
        }
        offer(
            at,
            &module.parsed.file.items,
            &module.path,
            alias,
            &mut found,
        );
    }
    for module in ordain_stdlib::MODULES {
        let alias = module.path.rsplit('.').next().unwrap_or(module.path);
        if imported(at, alias).is_some() {
            continue;
        }
        if crate::features::symbols::rank(&at.typed.prefix, alias).is_some_and(|rank| rank < 2) {
            let mut made = Proposal::new(alias, Kind::Module, format!("use {}", module.path));
            made.also = vec![import_edit(at.view, module.path)];
            found.push(made.ranked(8));
        }
    }
    found
}

fn offer(at: &At<'_, '_>, items: &[Item], path: &str, alias: &str, found: &mut Vec<Proposal>) {
    for item in items {
        let ItemKind::Fn(decl) = &item.kind else {
            continue;
        };
        let name = decl.name.name.as_str();
        if crate::features::symbols::rank(&at.typed.prefix, name).is_none_or(|rank| rank > 1) {
            continue;
        }
        let mut made = Proposal::new(name, Kind::Function, format!("use {path}"));
        made = made.snippet(format!("{alias}.{name}($0)"));
        made.also = vec![import_edit(at.view, path)];
        found.push(
            made.documented(item.doc.as_deref().map(str::to_owned))
                .ranked(8),
        );
    }
}
