//! A part of a project, checked with notes: what every feature asks.
//!
//! After a keystroke only the file and what it uses is checked again, so that an answer does not wait for a
//! thousand other files. The whole project is checked for what concerns all of it, such as renaming.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use ordain_lang_project::{Module, Project};
use ordain_lang_syntax::ast::{
    Env, File, Item, ItemKind, Member, MemberKind, Record, Segment, SegmentKind, UseTarget,
};
use ordain_lang_syntax::{FileId, Name, Parsed, Span, parse};
use ordain_lang_types::index::{Def, Use};
use ordain_lang_types::{Index, Program, check_recording};
use ordain_schemas::KubeVersion;

use crate::far::without_far;
use crate::nodes::{Node, path_at, walk, walk_from};

/// With more files that declare environments than this, values per environment are not shown.
const ENV_FILES_MAX: usize = 64;

/// How much of a project is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reach {
    /// A file, what it uses, and the apps that it changes.
    File,
    /// The same, and all environments.
    Envs,
    /// Everything.
    Whole,
}

/// What checking a part of a project gave.
#[derive(Debug)]
pub(crate) struct Analysis {
    /// The resolved program; it has holes where there are mistakes.
    pub(crate) program: Arc<Program>,
    /// What every name means.
    pub(crate) index: Index,
    /// Whether the program may be evaluated, up to apps that are left out.
    pub(crate) is_sound: bool,
    /// A file as it would be with something typed into it.
    replaced: Option<(FileId, Parsed, String)>,
}

impl Analysis {
    /// Checks as much of a project as a file needs.
    pub(crate) fn new(project: &Project, file: FileId, reach: Reach) -> Analysis {
        let modules = reached(project, file, reach, None);
        check(project, &modules, None)
    }

    /// Checks what stands at one place of a file, when that is less than all of it: of an environment for a thousand
    /// apps one line, and the app that it changes.
    pub(crate) fn near(
        project: &Project,
        file: FileId,
        reach: Reach,
        offset: u32,
    ) -> Option<Analysis> {
        let module = project.modules.iter().find(|m| m.file == file)?;
        if reach == Reach::Whole || !speaks_of_apps(module) {
            return None;
        }
        let at = Some((&module.parsed.file, offset));
        let modules = reached(project, file, reach, at);
        Some(check(project, &modules, None))
    }

    /// Checks what a file needs, with another text in its place: what it would be with a name typed in.
    ///
    /// Of an environment for a thousand apps only the line at `offset` is asked about, so only its app is checked.
    pub(crate) fn with_text(
        project: &Project,
        file: FileId,
        text: String,
        offset: u32,
    ) -> Analysis {
        let module = project.modules.iter().find(|m| m.file == file);
        let old = project.sources.text(file);
        let near = module.and_then(|module| without_far(&module.parsed, old, &text));
        let parsed = parse(file, near.as_ref().unwrap_or(&text).as_str());
        let modules = reached(project, file, Reach::File, Some((&parsed.file, offset)));
        check(project, &modules, Some((file, parsed, text)))
    }
}

fn check(
    project: &Project,
    modules: &[usize],
    replaced: Option<(FileId, Parsed, String)>,
) -> Analysis {
    let tree = |at: usize| {
        let module = &project.modules[at];
        match &replaced {
            Some((file, parsed, _)) if *file == module.file => &parsed.file,
            _ => &module.parsed.file,
        }
    };
    let unseen = unseen_apps(project, modules);
    let parts: HashMap<usize, File> = modules
        .iter()
        .filter_map(|at| Some((*at, without_changes_of(tree(*at), &unseen)?)))
        .collect();
    let inputs = modules.iter().map(|at| {
        let file = parts.get(at).unwrap_or_else(|| tree(*at));
        (&*project.modules[*at].path, file)
    });
    let (checked, index) = check_recording(&project.input(version(project), inputs));
    let is_broken = modules.iter().any(|at| {
        project.modules[*at]
            .parsed
            .diagnostics
            .iter()
            .any(|d| d.is_error())
    });
    // Apps of other files are unknown here, which is no mistake.
    let is_sound = !is_broken
        && !checked
            .diagnostics
            .iter()
            .any(|d| d.is_error() && !matches!(d.code, "E0109" | "E0110"));
    Analysis {
        program: checked.program,
        index,
        is_sound,
        replaced,
    }
}

/// The apps of the project in modules that are not looked at.
fn unseen_apps(project: &Project, modules: &[usize]) -> HashSet<Name> {
    let apps_of = |at: usize| {
        let items = project.modules[at].parsed.file.items.iter();
        items.filter_map(|item| match &item.kind {
            ItemKind::App(app) => Some(app.name.name),
            _ => None,
        })
    };
    let seen: HashSet<Name> = modules.iter().flat_map(|at| apps_of(*at)).collect();
    (0..project.modules.len())
        .flat_map(apps_of)
        .filter(|name| !seen.contains(name))
        .collect()
}

/// A file without what its environments change in some apps: a thousand changes that mean nothing here cost more than
/// all the rest. None when it says nothing of them.
fn without_changes_of(file: &File, apps: &HashSet<Name>) -> Option<File> {
    let is_left_out = |member: &Member| {
        let path: &[Segment] = match &member.kind {
            MemberKind::Field(field) => &field.path,
            MemberKind::Delete(path) => path,
            _ => &[],
        };
        match path.first().map(|segment| &segment.kind) {
            Some(SegmentKind::Name(name)) => apps.contains(name),
            _ => false,
        }
    };
    let has_some = file.items.iter().any(|item| match &item.kind {
        ItemKind::Env(env) => env.body.members.iter().any(is_left_out),
        _ => false,
    });
    if !has_some {
        return None;
    }
    let items = file.items.iter().map(|item| {
        let ItemKind::Env(env) = &item.kind else {
            return item.clone();
        };
        let members = env.body.members.iter().filter(|one| !is_left_out(one));
        Item {
            id: item.id,
            span: item.span,
            doc: item.doc.clone(),
            kind: ItemKind::Env(Env {
                name: env.name,
                extends: env.extends,
                body: Record {
                    id: env.body.id,
                    span: env.body.span,
                    members: members.cloned().collect(),
                },
            }),
        }
    });
    Some(File {
        id: file.id,
        items: items.collect(),
        nodes: file.nodes,
    })
}

/// The version whose types are shown: that of the first environment that is built.
fn version(project: &Project) -> KubeVersion {
    let environments = project.environments();
    let built = environments.iter().find(|env| !env.is_base);
    built
        .or(environments.first())
        .map_or(project.manifest.kubernetes, |env| env.kubernetes)
}

/// Positions of the modules that are looked at, in the project's order.
fn reached(project: &Project, file: FileId, reach: Reach, at: Option<(&File, u32)>) -> Vec<usize> {
    if reach == Reach::Whole {
        return (0..project.modules.len()).collect();
    }
    let by_path: HashMap<&str, usize> = project
        .modules
        .iter()
        .enumerate()
        .map(|(at, module)| (module.path.as_str(), at))
        .collect();
    let Some(start) = project.modules.iter().position(|m| m.file == file) else {
        return Vec::new();
    };
    let mut found: BTreeSet<usize> = BTreeSet::new();
    let mut todo = vec![start];
    if reach == Reach::Envs {
        let envs: Vec<usize> = (0..project.modules.len())
            .filter(|at| {
                declares(&project.modules[*at], |kind| {
                    matches!(kind, ItemKind::Env(_))
                })
            })
            .collect();
        if envs.len() <= ENV_FILES_MAX {
            todo.extend(envs);
        }
    }
    if speaks_of_apps(&project.modules[start]) {
        todo.extend(apps_and_envs(project, start, at));
    }
    while let Some(at) = todo.pop() {
        if !found.insert(at) {
            continue;
        }
        let module = &project.modules[at];
        for item in &module.parsed.file.items {
            let ItemKind::Use(used) = &item.kind else {
                continue;
            };
            let UseTarget::Module(path) = &used.target else {
                continue;
            };
            let parts: Vec<&str> = path.parts.iter().map(|p| p.name.as_str()).collect();
            let dotted = parts.join(".");
            let beside = module
                .path
                .rsplit_once('.')
                .map(|(folder, _)| format!("{folder}.{dotted}"));
            let target = by_path
                .get(dotted.as_str())
                .or_else(|| by_path.get(beside?.as_str()));
            todo.extend(target);
        }
    }
    found.into_iter().collect()
}

fn speaks_of_apps(module: &Module) -> bool {
    declares(module, |kind| {
        matches!(
            kind,
            ItemKind::Env(_) | ItemKind::Test(_) | ItemKind::Policy(_)
        )
    })
}

fn declares(module: &Module, is_wanted: impl Fn(&ItemKind) -> bool) -> bool {
    module
        .parsed
        .file
        .items
        .iter()
        .any(|item| is_wanted(&item.kind))
}

/// The modules whose apps and environments a module names.
fn apps_and_envs(project: &Project, module: usize, at: Option<(&File, u32)>) -> Vec<usize> {
    let mut names: HashMap<&str, usize> = HashMap::new();
    for (at, module) in project.modules.iter().enumerate() {
        for item in &module.parsed.file.items {
            match &item.kind {
                ItemKind::App(app) => names.insert(app.name.name.as_str(), at),
                ItemKind::Env(env) => names.insert(env.name.name.as_str(), at),
                _ => None,
            };
        }
    }
    let mut found: BTreeSet<usize> = BTreeSet::new();
    let file = &project.modules[module].parsed.file;
    let mut todo: Vec<&File> = vec![file];
    let mut seen: BTreeSet<usize> = BTreeSet::new();
    while let Some(file) = todo.pop() {
        let mut bases = Vec::new();
        for item in &file.items {
            match &item.kind {
                ItemKind::Env(env) => bases.extend(env.extends),
                ItemKind::Test(test) => bases.extend(test.env),
                _ => {}
            }
        }
        for base in bases {
            if let Some(at) = names.get(base.name.as_str())
                && seen.insert(*at)
            {
                found.insert(*at);
                todo.push(&project.modules[*at].parsed.file);
            }
        }
    }
    let mut note = |node: Node<'_>| {
        let name = match node {
            Node::Segment(segment) => match &segment.kind {
                SegmentKind::Name(name) => Some(*name),
                _ => None,
            },
            Node::Expr(expr) => match &expr.kind {
                ordain_lang_syntax::ast::ExprKind::Name(name) => Some(*name),
                _ => None,
            },
            _ => None,
        };
        if let Some(at) = name.and_then(|name| names.get(name.as_str())) {
            found.insert(*at);
        }
    };
    match at {
        Some((tree, offset)) => {
            let path = path_at(tree, offset);
            // The line of an environment; of anything else, all of it.
            let part = match path.as_slice() {
                [Node::Item(item), Node::Record(_), line, ..]
                    if matches!(item.kind, ItemKind::Env(_)) =>
                {
                    Some(*line)
                }
                [item, ..] => Some(*item),
                [] => None,
            };
            if let Some(part) = part {
                walk_from(part, &mut note);
            }
        }
        None => walk(file, &mut note),
    }
    found.into_iter().collect()
}

/// A project, a part of it checked, and the file that is asked about.
#[derive(Clone, Copy)]
pub(crate) struct View<'v> {
    /// The project.
    pub(crate) project: &'v Project,
    /// What checking gave.
    pub(crate) analysis: &'v Analysis,
    /// The file that is asked about.
    pub(crate) file: FileId,
}

impl<'v> View<'v> {
    /// The checked program.
    pub(crate) fn program(&self) -> &'v Program {
        &self.analysis.program
    }

    /// What names mean.
    pub(crate) fn index(&self) -> &'v Index {
        &self.analysis.index
    }

    /// A file's parsed module, as it was checked.
    pub(crate) fn parsed_of(&self, file: FileId) -> Option<&'v Parsed> {
        match &self.analysis.replaced {
            Some((replaced, parsed, _)) if *replaced == file => Some(parsed),
            _ => Some(&self.module(file)?.parsed),
        }
    }

    /// The module of a file.
    pub(crate) fn module(&self, file: FileId) -> Option<&'v Module> {
        self.project.modules.iter().find(|m| m.file == file)
    }

    /// The syntax tree of the asked file.
    pub(crate) fn tree(&self) -> Option<&'v File> {
        Some(&self.parsed_of(self.file)?.file)
    }

    /// The text of a file, as it was checked.
    pub(crate) fn text_of(&self, file: FileId) -> &'v str {
        match &self.analysis.replaced {
            Some((replaced, _, text)) if *replaced == file => text,
            _ => self.project.sources.text(file),
        }
    }

    /// The text of the asked file.
    pub(crate) fn text(&self) -> &'v str {
        self.text_of(self.file)
    }

    /// The text under a span.
    pub(crate) fn slice(&self, span: Span) -> &'v str {
        self.text_of(span.file).get(span.range()).unwrap_or("")
    }

    /// The name at a place of the asked file.
    pub(crate) fn use_at(&self, offset: u32) -> Option<Use> {
        self.index().use_at(self.file, offset).copied()
    }

    /// Whether a file is the project's own.
    pub(crate) fn is_own(&self, file: FileId) -> bool {
        self.module(file).is_some_and(|module| module.is_own)
    }

    /// What makes two uses the same thing: its place, or the name of what stands in no file.
    pub(crate) fn key(&self, def: Def) -> Key {
        let program = self.program();
        if let Def::Module(id) = def {
            return Key::Named(match program.modules.get(id.index()) {
                Some(module) => format!("module {}", module.path),
                None => String::new(),
            });
        }
        if let Some(span) = program.place(def) {
            return Key::Place(span);
        }
        Key::Named(match def {
            Def::Field(record, at) => {
                let def = program.types.record(record);
                match def.fields.get(at as usize) {
                    Some(field) => format!("{}.{}", def.name, field.name),
                    None => String::new(),
                }
            }
            Def::Kubernetes(ty) => program.show(ty),
            Def::Builtin(name, _) => format!("{name}()"),
            _ => String::new(),
        })
    }
}

/// See [`View::key`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Key {
    /// It is written here.
    Place(Span),
    /// It stands in no file.
    Named(String),
}
