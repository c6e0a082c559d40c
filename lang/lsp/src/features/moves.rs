//! Files that get another path, and what is to be written otherwise for it: the `use` of modules, CRD files and secrets
//! files, and the names that modules are called by. Moves nothing itself, and knows no disk.

use std::collections::HashMap;

use ordain_lang_project::{crd_paths, module_path};
use ordain_lang_syntax::ast::{Ident, Item, ItemKind, NamePath, UseTarget};
use ordain_lang_syntax::{FileId, Span};
use ordain_lang_types::index::Def;
use ordain_lang_types::program::ModuleId;

use super::Edit;
use super::references::{RenameError, is_name};
use crate::view::View;

/// A file or folder of the project that gets another path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Move {
    /// Its path from the project's root.
    pub(crate) from: String,
    /// The path it gets.
    pub(crate) to: String,
}

/// Where a file is after some moves; none when it stays where it is.
pub(crate) fn moved(moves: &[Move], path: &str) -> Option<String> {
    moves.iter().find_map(|one| {
        let rest = path.strip_prefix(one.from.as_str())?;
        let is_it = rest.is_empty() || rest.starts_with('/');
        is_it.then(|| format!("{}{rest}", one.to))
    })
}

/// What is written otherwise.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Rewritten {
    /// In `use` of modules, and where these are named.
    pub(crate) modules: Vec<Edit>,
    /// In `use crd` and `use secrets`.
    pub(crate) paths: Vec<Edit>,
}

/// The name of a module, or of a folder of modules, where it may be changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Named {
    /// Where it is written.
    pub(crate) span: Span,
    /// What it says.
    pub(crate) name: String,
    what: What,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum What {
    /// The name after `as`, which is this file's alone.
    Alias(ModuleId),
    /// A file or folder: its path up to the name, and what follows.
    Path(String, &'static str),
}

/// Returns the module or folder that is named at a place; none when something else is.
///
/// # Errors
/// When it is not the project's to rename.
pub(crate) fn named(view: &View<'_>, offset: u32) -> Option<Result<Named, RenameError>> {
    let tree = view.tree()?;
    let holds = |span: Span| span.start <= offset && offset <= span.end;
    let uses = || tree.items.iter().filter_map(module_use);
    let in_path = uses().find_map(|(path, _)| {
        let at = path.parts.iter().position(|part| holds(part.span))?;
        Some((path, at))
    });
    if let Some((path, at)) = in_path {
        let module = used(view, path)?;
        return Some(file_or_folder(view, module, path, at));
    }
    let found = view.use_at(offset)?;
    let Def::Module(id) = found.def else {
        return None;
    };
    let name = view.slice(found.span);
    let (path, alias) = uses().find(|(path, alias)| called(path, *alias) == Some(name))?;
    match alias {
        Some(_) => Some(Ok(Named {
            span: found.span,
            name: name.to_owned(),
            what: What::Alias(id),
        })),
        None => Some(
            file_or_folder(view, id, path, path.parts.len() - 1).map(|named| Named {
                span: found.span,
                ..named
            }),
        ),
    }
}

fn module_use(item: &Item) -> Option<(&NamePath, Option<Ident>)> {
    let ItemKind::Use(used) = &item.kind else {
        return None;
    };
    match &used.target {
        UseTarget::Module(path) => Some((path, used.alias)),
        UseTarget::Crd { .. } | UseTarget::Text { .. } | UseTarget::Secrets { .. } => None,
    }
}

/// What a module is called in the file that uses it.
fn called(path: &NamePath, alias: Option<Ident>) -> Option<&str> {
    match &alias {
        // Names are kept for as long as the program runs.
        Some(alias) => Some(alias.name.as_str()),
        None => path.parts.last().map(|part| part.name.as_str()),
    }
}

/// The module that a `use` means.
fn used(view: &View<'_>, path: &NamePath) -> Option<ModuleId> {
    let last = path.parts.last()?;
    match view.index().use_at(last.span.file, last.span.start)?.def {
        Def::Module(id) => Some(id),
        _ => None,
    }
}

fn file_or_folder(
    view: &View<'_>,
    module: ModuleId,
    written: &NamePath,
    at: usize,
) -> Result<Named, RenameError> {
    let part = written.parts[at];
    let path = view.program().modules.get(module.index());
    let path = path.map_or("", |module| &*module.path);
    let own = view
        .project
        .modules
        .iter()
        .find(|known| known.path == path && known.is_own)
        .ok_or_else(|| {
            RenameError::Given(format!(
                "`{path}` is no file of the project: `use {path} as name` gives it another name here"
            ))
        })?;
    if view.project.is_single {
        return Err(RenameError::Given(
            "these files are in no project: others may use them".to_owned(),
        ));
    }
    let file = view.project.sources.path(own.file);
    let stem = file.strip_suffix(".ord").unwrap_or(file);
    let name = part.name.as_str();
    let what = match at + 1 == written.parts.len() {
        true => stem
            .strip_suffix(name)
            .map(|before| What::Path(before.to_owned(), ".ord")),
        false => {
            // What is written may begin in the folder of the file that says it.
            let behind = written.parts.len() - 1 - at;
            let folders: Vec<&str> = stem.split('/').collect();
            let until = folders.len().checked_sub(behind);
            let is_folder = folders.len() == path.split('.').count();
            let folders = until.map(|until| &folders[..until]);
            folders
                .filter(|folders| is_folder && folders.last() == Some(&name))
                .map(|folders| {
                    let all = folders.join("/");
                    What::Path(all[..all.len() - name.len()].to_owned(), "")
                })
        }
    };
    let what = what.ok_or_else(|| {
        RenameError::Given(format!(
            "`{name}` is a part of the name of `{file}`: rename the file"
        ))
    })?;
    Ok(Named {
        span: part.span,
        name: name.to_owned(),
        what,
    })
}

/// What renaming means: a file or folder that moves, and what is written otherwise.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Change {
    /// None for a name that only one file uses.
    pub(crate) moves: Vec<Move>,
    /// The edits, in the files as they are before the move.
    pub(crate) rewritten: Rewritten,
}

/// Returns what renaming a module or folder changes. Asked of a view of the whole project.
///
/// # Errors
/// When the new name is none, or taken.
pub(crate) fn rename(view: &View<'_>, named: &Named, new: &str) -> Result<Change, RenameError> {
    if !is_name(new) {
        return Err(RenameError::Invalid(new.to_owned()));
    }
    let is_capital = |name: &str| name.starts_with(|c: char| c.is_ascii_uppercase());
    if is_capital(new) && !is_capital(&named.name) {
        return Err(RenameError::Case(
            "only the names of types begin with a capital letter",
        ));
    }
    let (before, ending) = match &named.what {
        What::Alias(module) => {
            return Ok(Change {
                moves: Vec::new(),
                rewritten: Rewritten {
                    modules: names(view, *module, &named.name, new, named.span.file),
                    paths: Vec::new(),
                },
            });
        }
        What::Path(before, ending) => (before, *ending),
    };
    let one = Move {
        from: format!("{before}{}{ending}", named.name),
        to: format!("{before}{new}{ending}"),
    };
    if before.is_empty() && matches!(new, "std" | "k8s") {
        return Err(RenameError::Given(format!("`{new}` is the language's own")));
    }
    let files = view.project.sources.files().map(|(_, path)| path);
    let is_taken = |path: &str| match path.strip_prefix(one.to.as_str()) {
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    };
    let module = module_path(&one.to);
    let mut known = view.project.modules.iter();
    if one.from != one.to
        && (known.any(|known| known.path == module) || files.into_iter().any(is_taken))
    {
        return Err(RenameError::Given(format!("there is already `{}`", one.to)));
    }
    let moves = vec![one];
    let rewritten = rewrite(view, &moves, false);
    Ok(Change { moves, rewritten })
}

/// Every place of a file where a module is called by a name, with the alias.
fn names(view: &View<'_>, module: ModuleId, old: &str, new: &str, file: FileId) -> Vec<Edit> {
    let uses = view.index().uses_in(file).iter();
    uses.filter(|found| found.def == Def::Module(module) && view.slice(found.span) == old)
        .map(|found| Edit::new(found.span, new))
        .collect()
}

/// A module before and after.
struct Place<'v> {
    path: &'v str,
    new: String,
    is_own: bool,
}

/// Which module a `use` means: from the root, else beside the one that says it. As the checker looks for it.
fn resolve(modules: &HashMap<&str, usize>, from: &str, written: &str) -> Option<usize> {
    let beside = || {
        let (folder, _) = from.rsplit_once('.')?;
        modules.get(format!("{folder}.{written}").as_str()).copied()
    };
    modules.get(written).copied().or_else(beside)
}

/// Returns what is to be written otherwise when files move. Asked of a view of the whole project. With `keeps_names` a
/// module that gets another name is still called by its old one, after `as`.
pub(crate) fn rewrite(view: &View<'_>, moves: &[Move], keeps_names: bool) -> Rewritten {
    let project = view.project;
    let places: Vec<Place<'_>> = project
        .modules
        .iter()
        .map(|module| {
            let to = moved(moves, project.sources.path(module.file));
            let to = to.filter(|to| module.is_own && to.ends_with(".ord"));
            Place {
                path: &module.path,
                // Of a file that is no module any more nothing is written otherwise: it is missed where it is used.
                new: to.map_or_else(|| module.path.clone(), |to| module_path(&to)),
                is_own: module.is_own,
            }
        })
        .collect();
    let all = || places.iter().enumerate();
    let old: HashMap<&str, usize> = all().map(|(at, place)| (place.path, at)).collect();
    let new: HashMap<&str, usize> = all().map(|(at, place)| (&*place.new, at)).collect();
    let mut made = Rewritten::default();
    for (module, place) in project.modules.iter().zip(&places) {
        if !place.is_own {
            continue;
        }
        for item in &module.parsed.file.items {
            let ItemKind::Use(item) = &item.kind else {
                continue;
            };
            match &item.target {
                UseTarget::Module(path) => {
                    let parts: Vec<&str> = path.parts.iter().map(|p| p.name.as_str()).collect();
                    let written = parts.join(".");
                    let Some(target) = resolve(&old, place.path, &written) else {
                        continue;
                    };
                    if resolve(&new, &place.new, &written) == Some(target) {
                        continue;
                    }
                    let to = &places[target].new;
                    if !to.split('.').all(is_name) {
                        continue;
                    }
                    let is_beside = old.get(written.as_str()) != Some(&target);
                    let short = place
                        .new
                        .rsplit_once('.')
                        .and_then(|(folder, _)| to.strip_prefix(folder)?.strip_prefix('.'))
                        .filter(|short| {
                            is_beside && resolve(&new, &place.new, short) == Some(target)
                        });
                    let mut text = short.unwrap_or(to).to_owned();
                    let (before, after) = (parts.last(), to.rsplit('.').next());
                    if item.alias.is_none() && before.copied() != after {
                        let (before, after) = (before.unwrap_or(&""), after.unwrap_or(""));
                        match keeps_names {
                            true => text.push_str(&format!(" as {before}")),
                            false => {
                                let id = ModuleId::new(target);
                                let outside = |edit: &Edit| {
                                    edit.span.end <= path.span.start
                                        || path.span.end <= edit.span.start
                                };
                                let named = names(view, id, before, after, module.file);
                                made.modules.extend(named.into_iter().filter(outside));
                            }
                        }
                    }
                    made.modules.push(Edit::new(path.span, text));
                }
                UseTarget::Crd { path, span } | UseTarget::Text { path, span } => {
                    let (from, to) = (folder(project.sources.path(module.file)), {
                        let path = project.sources.path(module.file);
                        let to = moved(moves, path).unwrap_or_else(|| path.to_owned());
                        folder(&to).to_owned()
                    });
                    if let Some(text) = crd(view, moves, path, (from, &to)) {
                        made.paths.push(Edit::new(inside(*span), text));
                    }
                }
                UseTarget::Secrets { path, span } => {
                    if let Some(text) = moved(moves, path).filter(|text| is_plain(text)) {
                        made.paths.push(Edit::new(inside(*span), text));
                    }
                }
            }
        }
    }
    made
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A string without its quotes.
fn inside(span: Span) -> Span {
    Span {
        start: span.start + 1,
        end: span.end.saturating_sub(1).max(span.start + 1),
        ..span
    }
}

/// Whether a text stands for itself between quotes.
fn is_plain(text: &str) -> bool {
    !text.contains(['"', '\\', '{', '}', '\n'])
}

/// How the path of a CRD file is written after the moves; none when it stays as it is.
fn crd(view: &View<'_>, moves: &[Move], written: &str, folders: (&str, &str)) -> Option<String> {
    let (from, to) = folders;
    let is_known = |path: &str| {
        let mut files = view.project.crds.files().iter();
        files.any(|file| *file.path == *path)
    };
    let before = crd_paths(from, written);
    let (at, file) = before.iter().enumerate().find(|(_, path)| is_known(path))?;
    let file = moved(moves, file).unwrap_or_else(|| file.clone());
    let after = |path: &str| {
        let stays = is_known(path) && moved(moves, path).is_none();
        stays || path == file
    };
    let means =
        |text: &str| crd_paths(to, text).into_iter().find(|path| after(path)) == Some(file.clone());
    if means(written) {
        return None;
    }
    let is_beside = at == 0 && !from.is_empty();
    let short = match to {
        "" => None,
        to => file
            .strip_prefix(to)
            .and_then(|rest| rest.strip_prefix('/')),
    };
    let text = short
        .filter(|short| is_beside && means(short))
        .unwrap_or(&file);
    (is_plain(text) && means(text)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_moves_what_is_below_it() {
        let moves = [Move {
            from: "apps".to_owned(),
            to: "shops".to_owned(),
        }];
        assert_eq!(moved(&moves, "apps/a.ord").as_deref(), Some("shops/a.ord"));
        assert_eq!(moved(&moves, "apps").as_deref(), Some("shops"));
        assert_eq!(moved(&moves, "apps2/a.ord"), None);
    }

    #[test]
    fn the_root_comes_before_what_stands_beside() {
        let modules = HashMap::from([("web", 0), ("apps.web", 1), ("apps.shop", 2)]);
        assert_eq!(resolve(&modules, "apps.shop", "web"), Some(0));
        assert_eq!(resolve(&modules, "apps.shop", "shop"), Some(2));
        assert_eq!(resolve(&modules, "main", "shop"), None);
    }
}
