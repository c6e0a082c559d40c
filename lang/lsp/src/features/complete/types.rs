//! Types by name: the project's, the library's, Kubernetes'.

use ordain_lang_syntax::ast::{ItemKind, NamePath, UseTarget};
use ordain_lang_types::index::{BUILTIN_TYPES, KUBERNETES_SCALARS};
use ordain_schemas::{KubeVersion, table};

use super::{At, Kind, MARK, Proposal, names};

/// Where a type is named.
pub(super) fn named(at: &At<'_, '_>, path: &NamePath) -> Vec<Proposal> {
    let before: Vec<&str> = path
        .parts
        .iter()
        .map(|part| part.name.as_str())
        .take_while(|name| !name.contains(MARK))
        .collect();
    match before.as_slice() {
        [] => in_scope(at),
        ["k8s"] => kubernetes(at, false),
        [alias] => {
            let kinds = of_crd(at, alias, false);
            if kinds.is_empty() {
                of_import(at, alias)
            } else {
                kinds
            }
        }
        _ => Vec::new(),
    }
}

/// Types that need no module in front, and the modules that have some.
fn in_scope(at: &At<'_, '_>) -> Vec<Proposal> {
    let mut found = own(at);
    for name in BUILTIN_TYPES {
        let made = Proposal::new(*name, Kind::Type, "built in").ranked(4);
        found.push(match *name {
            "List" | "Secret" => made.snippet(format!("{name}<$0>")),
            "Map" => made.snippet("Map<${1:String}, $0>"),
            _ => made,
        });
    }
    found.push(
        Proposal::new("k8s", Kind::Module, "Kubernetes")
            .inserting("k8s.")
            .ranked(3),
    );
    if let Some(tree) = at.view.tree() {
        for item in &tree.items {
            let ItemKind::Use(used) = &item.kind else {
                continue;
            };
            let called = match &used.target {
                UseTarget::Module(path) => used.alias.or(path.parts.last().copied()),
                UseTarget::Crd { .. } | UseTarget::Text { .. } | UseTarget::Secrets { .. } => {
                    used.alias
                }
            };
            if let Some(called) = called {
                let made = Proposal::new(called.name.as_str(), Kind::Module, "module");
                found.push(made.ranked(5));
            }
        }
        let params = tree
            .items
            .iter()
            .find(|item| item.span.start <= at.typed.offset && at.typed.offset <= item.span.end);
        let params = match params.map(|item| &item.kind) {
            Some(ItemKind::Fn(decl)) => &decl.type_params[..],
            Some(ItemKind::Type(decl)) => &decl.params[..],
            _ => &[],
        };
        for param in params {
            found.push(Proposal::new(param.name.as_str(), Kind::Type, "parameter").ranked(1));
        }
    }
    found
}

/// The file's own types.
pub(super) fn own(at: &At<'_, '_>) -> Vec<Proposal> {
    let items = at.view.tree().map_or(&[][..], |tree| &tree.items);
    types_of(items).collect()
}

fn types_of(items: &[ordain_lang_syntax::ast::Item]) -> impl Iterator<Item = Proposal> {
    items.iter().filter_map(|item| match &item.kind {
        ItemKind::Type(decl) if !decl.name.name.is_empty() => {
            let made = Proposal::new(decl.name.name.as_str(), Kind::Type, "type");
            Some(
                made.documented(item.doc.as_deref().map(str::to_owned))
                    .ranked(2),
            )
        }
        _ => None,
    })
}

fn of_import(at: &At<'_, '_>, alias: &str) -> Vec<Proposal> {
    let Some(module) = names::imported(at, alias) else {
        return Vec::new();
    };
    let Some(module) = at.view.program().modules.get(module) else {
        return Vec::new();
    };
    let items = at
        .view
        .parsed_of(module.file)
        .map(|parsed| &parsed.file.items);
    items
        .into_iter()
        .flat_map(|items| types_of(items))
        .collect()
}

/// The kinds of all CRD files that the file uses, with the names these stand under.
pub(super) fn imported_kinds(at: &At<'_, '_>) -> Vec<Proposal> {
    let items = at.view.tree().map_or(&[][..], |tree| &tree.items);
    let aliases = items.iter().filter_map(|item| match &item.kind {
        ItemKind::Use(used) => match &used.target {
            UseTarget::Crd { .. } => used.alias,
            UseTarget::Module(_) | UseTarget::Text { .. } | UseTarget::Secrets { .. } => None,
        },
        _ => None,
    });
    let kinds = aliases.flat_map(|alias| {
        let alias = alias.name.as_str();
        let mut kinds = of_crd(at, alias, true);
        for made in &mut kinds {
            made.insert.insert_str(0, &format!("{alias}."));
            made.label.insert_str(0, &format!("{alias}."));
        }
        kinds
    });
    kinds.collect()
}

/// The kinds of the CRD file that a name stands for; `as_value` writes braces behind a kind.
pub(super) fn of_crd(at: &At<'_, '_>, alias: &str, as_value: bool) -> Vec<Proposal> {
    let items = at.view.tree().map_or(&[][..], |tree| &tree.items);
    let path = items.iter().find_map(|item| match &item.kind {
        ItemKind::Use(used) => match &used.target {
            UseTarget::Crd { path, .. } if used.alias?.name == *alias => Some(path),
            _ => None,
        },
        _ => None,
    });
    let crds = &at.view.project.crds;
    let file = path
        .and_then(|path| crds.used(at.view.file, path))
        .and_then(|file| crds.files().get(file));
    let kinds = file.into_iter().flat_map(|file| file.crds.iter());
    let one = |crd: &ordain_lang_crd::Crd| {
        let version = crd.preferred().or(crd.versions.first());
        let detail = version.map(|version| crd.api_version(version));
        let made = Proposal::new(&*crd.kind, Kind::Type, detail.unwrap_or_default()).ranked(1);
        match as_value && !at.typed.follows.starts_with(['{', '"']) {
            true => {
                let body = "{\n  metadata.name = \"$1\"\n  spec = { $0 }\n}";
                made.snippet(format!("{} {body}", crd.kind))
            }
            false => made,
        }
    };
    kinds.map(one).collect()
}

/// Everything behind `k8s.`; `as_value` writes braces behind a kind.
pub(super) fn kubernetes(at: &At<'_, '_>, as_value: bool) -> Vec<Proposal> {
    let version: KubeVersion = at.view.program().kubernetes.parse().unwrap_or_default();
    let table = table(version);
    let mut found = Vec::new();
    let follows_brace = at.typed.follows.starts_with('{');
    for kind in table.kinds() {
        let is_kind = table.ty(kind.ty).field("metadata").is_some();
        if !is_kind || kind.kind.ends_with("List") {
            continue;
        }
        let unstable = kind.version.contains("alpha") || kind.version.contains("beta");
        let doc = ordain_schemas_docs::ty(table.ty(kind.ty).name);
        let mut made = Proposal::new(kind.kind, Kind::Type, kind.api_version());
        if as_value && !follows_brace && !at.typed.follows.starts_with('"') {
            let text = format!("{} {{\n  metadata.name = \"$1\"\n  $0\n}}", kind.kind);
            made = made.snippet(text);
        }
        made = made.documented(doc);
        // The same kind in several groups: the first is the one that the short name means.
        if !found
            .iter()
            .any(|known: &Proposal| known.label == made.label)
        {
            found.push(made.ranked(if unstable { 6 } else { 2 }));
        }
    }
    if !as_value {
        for name in KUBERNETES_SCALARS {
            found.push(Proposal::new(*name, Kind::Type, "String or number").ranked(3));
        }
    }
    // The parts of kinds: thousands of letters, wanted only by name.
    if !at.typed.prefix.is_empty() {
        let prefix = at.typed.prefix.to_lowercase();
        for id in table.types() {
            let ty = table.ty(id);
            let name = ty.short_name();
            let is_part = ty.special.is_none()
                && !name.ends_with("List")
                && name.to_lowercase().starts_with(&prefix)
                && !found.iter().any(|known| known.label == name);
            if is_part {
                let made = Proposal::new(name, Kind::Type, "part of a kind");
                let made = match as_value && !follows_brace {
                    true => made.snippet(format!("{name} {{ $0 }}")),
                    false => made,
                };
                found.push(made.documented(ordain_schemas_docs::ty(ty.name)).ranked(5));
            }
        }
    }
    found
}
