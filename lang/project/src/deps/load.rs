//! Loading vendored dependencies as modules, after they were found to be what is pinned.

use std::collections::{BTreeMap, BTreeSet};

use ordain_lang_syntax::ast::{Binding, Ident, ItemKind, NodeId, UseTarget};
use ordain_lang_syntax::{Diagnostic, Name, Span};

use super::VENDOR;
use super::hash::{is_vendored, tree_hash};
use super::lock::{LOCK, Lock, Locked};
use super::resolve::fulfils;
use super::want::{Dependency, dependencies};
use crate::files::{Files, FilesError};
use crate::load::{MANIFEST, Project, module_path, sources_of};

/// The remedy for everything that is not as it should be.
const REMEDY: &str = "run `ordain vendor`, and commit `ordain.lock` and `vendor/`";

/// Whether a file belongs to a dependency.
pub(crate) fn vendored(path: &str) -> bool {
    path.strip_prefix(VENDOR)
        .is_some_and(|rest| rest.starts_with('/'))
}

/// A dependency whose files are what is pinned.
struct Package<'a> {
    locked: &'a Locked,
    /// Its paths, from its own folder.
    paths: Vec<String>,
    /// What it depends on itself.
    needs: Vec<Dependency>,
}

/// Adds the modules of the project's dependencies; `paths` are all its files.
pub(crate) fn load(project: &mut Project, files: &dyn Files, paths: &[String]) {
    if project.manifest.dependencies.is_empty() {
        return;
    }
    let wanted = project.manifest.dependencies.clone();
    let lock = match files.read(LOCK) {
        Ok(bytes) => Lock::parse(&String::from_utf8_lossy(&bytes)),
        Err(FilesError::NotFound(_)) => Ok(Lock::default()),
        Err(error) => Err(error.to_string()),
    };
    let lock = match lock {
        Ok(lock) => lock,
        Err(why) => {
            project.missing = wanted.iter().map(|wanted| wanted.name.clone()).collect();
            project.diagnostics.push(
                Diagnostic::error("E0811", format!("`{LOCK}` cannot be read: {why}"))
                    .label(wanted[0].span, "this is not pinned")
                    .help(REMEDY),
            );
            return;
        }
    };
    let mut packages: BTreeMap<String, Package<'_>> = BTreeMap::new();
    let mut todo: Vec<(Dependency, Vec<String>, Span)> = wanted
        .into_iter()
        .rev()
        .map(|wanted| (wanted.clone(), vec![wanted.name.clone()], wanted.span))
        .collect();
    let mut told = BTreeSet::new();
    while let Some((wanted, way, span)) = todo.pop() {
        let name = wanted.name.clone();
        if way[..way.len() - 1].contains(&name) {
            if told.insert(name.clone()) {
                let circle = way.join("` needs `");
                project.diagnostics.push(
                    Diagnostic::error("E0815", format!("dependencies go in a circle: `{circle}`"))
                        .label(span, "leads to it")
                        .help("move what both need into a dependency of its own"),
                );
            }
            continue;
        }
        let package = match packages.contains_key(&name) || told.contains(&name) {
            true => packages.get(&name),
            false => match find(&lock, &wanted, files, paths) {
                Ok(package) => Some(&*packages.entry(name.clone()).or_insert(package)),
                Err(diagnostic) => {
                    told.insert(name);
                    project
                        .diagnostics
                        .push(diagnostic.label(span, "asked for here"));
                    continue;
                }
            },
        };
        let Some(package) = package else { continue };
        if !is_pinned(package.locked, &wanted) {
            if told.insert(name) {
                project
                    .diagnostics
                    .push(not_pinned(&wanted, package.locked).label(span, "asked for here"));
            }
            continue;
        }
        for need in package.needs.iter().rev() {
            let way = way.iter().cloned().chain([need.name.clone()]).collect();
            todo.push((need.clone(), way, span));
        }
    }
    project.missing = told.into_iter().collect();
    packages.retain(|name, _| !project.missing.contains(name));
    for package in packages.values() {
        add(project, files, package);
    }
}

fn is_pinned(locked: &Locked, wanted: &Dependency) -> bool {
    locked.git == wanted.git
        && locked.path == wanted.path
        && fulfils(&locked.version, &wanted.version)
}

fn not_pinned(wanted: &Dependency, locked: &Locked) -> Diagnostic {
    let (name, version, pinned) = (&wanted.name, &wanted.version, &locked.version);
    let what = match locked.git == wanted.git && locked.path == wanted.path {
        true => format!("`{LOCK}` pins {pinned}, {version} is asked for"),
        false => format!("`{LOCK}` has it from `{}`", locked.git),
    };
    Diagnostic::error(
        "E0811",
        format!("the dependency `{name}` is not pinned: {what}"),
    )
    .help(REMEDY)
}

/// Reads a dependency and compares it with what is pinned.
fn find<'a>(
    lock: &'a Lock,
    wanted: &Dependency,
    files: &dyn Files,
    paths: &[String],
) -> Result<Package<'a>, Box<Diagnostic>> {
    let name = &wanted.name;
    let Some(locked) = lock.get(name) else {
        let message = format!("the dependency `{name}` is not pinned by `{LOCK}`");
        return Err(Box::new(Diagnostic::error("E0811", message).help(REMEDY)));
    };
    if !is_pinned(locked, wanted) {
        return Err(Box::new(not_pinned(wanted, locked)));
    }
    let folder = format!("{VENDOR}/{name}/");
    let mut contents: Vec<(String, Vec<u8>)> = Vec::new();
    for path in paths.iter().filter_map(|path| path.strip_prefix(&folder)) {
        // A hidden file is listed by git trees and not by folders, and is no part of it.
        if path.split('/').any(|part| part.starts_with('.')) {
            continue;
        }
        let content = files.read(&format!("{folder}{path}")).map_err(|error| {
            Diagnostic::error(
                "E0812",
                format!("the dependency `{name}` cannot be read: {error}"),
            )
            .help(REMEDY)
        })?;
        contents.push((path.to_owned(), content));
    }
    if contents.is_empty() {
        let message = format!("the dependency `{name}` is not in `{VENDOR}/`");
        return Err(Box::new(Diagnostic::error("E0811", message).help(REMEDY)));
    }
    let found = tree_hash(
        contents
            .iter()
            .map(|(path, content)| (path.as_str(), content.as_slice())),
    );
    if found != locked.hash {
        let extra = contents.iter().find(|(path, _)| !is_vendored(path));
        let mut diagnostic = Diagnostic::error(
            "E0812",
            format!("`{VENDOR}/{name}` is not what `{LOCK}` pins: files were changed"),
        )
        .help(REMEDY)
        .note(format!("pinned is {}, found is {found}", locked.hash));
        if let Some((path, _)) = extra {
            diagnostic = diagnostic.note(format!("`{path}` does not belong there"));
        }
        return Err(Box::new(diagnostic));
    }
    let manifest = contents.iter().find(|(path, _)| path == MANIFEST);
    let needs = manifest.map_or_else(Vec::new, |(_, text)| {
        dependencies(&String::from_utf8_lossy(text))
    });
    Ok(Package {
        locked,
        paths: contents.into_iter().map(|(path, _)| path).collect(),
        needs,
    })
}

/// Adds a dependency's modules as `NAME.module`, and its CRDs to the project's.
fn add(project: &mut Project, files: &dyn Files, package: &Package<'_>) {
    let name = &package.locked.name;
    let folder = format!("{VENDOR}/{name}/");
    let mut texts = Vec::new();
    for path in sources_of(&package.paths) {
        let whole = format!("{folder}{path}");
        // It was read a moment ago.
        if let Ok(bytes) = files.read(&whole) {
            texts.push((format!("{name}.{}", module_path(path)), whole, bytes));
        }
    }
    let first = project.modules.len();
    project.add(texts, false);
    let known: BTreeSet<String> = project.modules[first..]
        .iter()
        .map(|module| module.path.clone())
        .collect();
    let needs: BTreeSet<&str> = package
        .needs
        .iter()
        .map(|need| need.name.as_str())
        .collect();
    for module in &mut project.modules[first..] {
        let mut items = std::mem::take(&mut module.parsed.file.items);
        items.retain(|item| {
            // What it deploys itself is not ours: types, functions, constants and policies are.
            !matches!(
                item.kind,
                ItemKind::App(_) | ItemKind::Env(_) | ItemKind::Test(_) | ItemKind::Exempt(_)
            ) && !matches!(&item.kind, ItemKind::Export(export) if export.name.is_none())
        });
        for item in &mut items {
            match &mut item.kind {
                ItemKind::Use(used) => match &mut used.target {
                    UseTarget::Module(path) => {
                        let dotted: Vec<&str> =
                            path.parts.iter().map(|part| part.name.as_str()).collect();
                        let own = format!("{name}.{}", dotted.join("."));
                        let beside = module
                            .path
                            .rsplit_once('.')
                            .map(|(front, _)| format!("{front}.{}", dotted.join(".")));
                        let is_beside = beside.is_some_and(|beside| known.contains(&beside));
                        let is_foreign = dotted[0] == "std" || needs.contains(dotted[0]);
                        // Never a module of the project: a dependency knows itself, `std` and what it depends on.
                        if known.contains(&own) || !(is_foreign || is_beside) {
                            path.parts.insert(
                                0,
                                Ident {
                                    name: Name::new(name),
                                    span: path.span,
                                },
                            );
                        }
                    }
                    UseTarget::Crd { path, .. } | UseTarget::Text { path, .. } => {
                        let whole = format!("{folder}{path}");
                        if package.paths.iter().any(|known| **known == **path) {
                            *path = whole.into();
                        }
                    }
                    UseTarget::Secrets { .. } => {}
                },
                ItemKind::Export(export) => {
                    if let Some(name) = export.name {
                        item.kind = ItemKind::Let(Binding {
                            id: NodeId(0),
                            span: item.span,
                            name,
                            ty: export.ty.clone(),
                            value: export.value.clone(),
                        });
                    }
                }
                _ => {}
            }
        }
        module.parsed.file.items = items;
    }
    if let Ok(bytes) = files.read(&format!("{folder}{MANIFEST}")) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let file = project
            .sources
            .add(format!("{folder}{MANIFEST}"), text.as_str());
        let manifest = crate::manifest::read(file, &text, &mut Vec::new());
        let crds = manifest
            .crds
            .into_iter()
            .filter(|(pattern, _)| !pattern.contains(".."));
        let crds = crds.map(|(pattern, span)| {
            (
                format!("{folder}{}", pattern.trim_start_matches("./")),
                span,
            )
        });
        project.manifest.crds.extend(crds);
    }
}
