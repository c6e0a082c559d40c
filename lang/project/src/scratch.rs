//! Trying things out beside a project: entries are checked and evaluated as if they stood in a test of it, where every app
//! and every built object can be named.
//!
//! Nothing is read or written, and the project stays as it was. A front end that reads lines is the caller's business.

use std::sync::Arc;

use ordain_lang_eval as eval;
use ordain_lang_syntax::ast::{ItemKind, StmtKind, UseTarget};
use ordain_lang_syntax::{Diagnostic, FileId, Label, Sources, Span, parse};
use ordain_lang_types::Program;
use ordain_lang_types::program::{ItemRef, TestStep};
use ordain_lang_types::ty::{Ty, TyKind};

use crate::load::Project;

/// The module of the entries. No file can have this path.
const MODULE: &str = "(entries)";
/// The name that diagnostics show for an entry.
const SHOWN: &str = "entry";

/// What an entry comes to.
#[derive(Clone, Default, Debug)]
pub struct Answer {
    /// The value as YAML, secrets masked. None for a definition, a function, or a mistake.
    pub value: Option<String>,
    /// The type of the value, or of what was defined.
    pub ty: Option<String>,
    /// What was defined, when it was a definition.
    pub defined: Option<String>,
    /// What is wrong with the entry.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that the diagnostics speak of.
    pub sources: Sources,
}

/// Where a definition stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Level {
    /// On its own: `use`, `type`, `fn`, and a `let` that names no app.
    Module,
    /// In the test, where apps can be named.
    Test,
}

#[derive(Clone, Debug)]
struct Definition {
    level: Level,
    name: String,
    text: String,
}

/// A project, and what was defined beside it.
#[derive(Debug)]
pub struct Scratch {
    project: Project,
    /// How many modules and diagnostics the project itself has.
    modules: usize,
    found: usize,
    definitions: Vec<Definition>,
}

/// What to read of an entry.
enum Part<'a> {
    /// A definition, just added at this position.
    Definition(usize),
    /// An expression.
    Value(&'a str),
}

/// A checked entry.
struct Checked {
    program: Arc<Program>,
    diagnostics: Vec<Diagnostic>,
    file: FileId,
    /// The bytes of the entry in the scratch file.
    entry: std::ops::Range<usize>,
}

impl Scratch {
    /// Begins with a project.
    pub fn new(project: Project) -> Scratch {
        let (modules, found) = (project.modules.len(), project.diagnostics.len());
        Scratch {
            project,
            modules,
            found,
            definitions: Vec::new(),
        }
    }

    /// Returns the project.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// Takes the project anew, from changed files; what was defined stays.
    pub fn set_project(&mut self, project: Project) {
        let definitions = std::mem::take(&mut self.definitions);
        *self = Scratch::new(project);
        self.definitions = definitions;
    }

    /// Returns the names that were defined or brought in, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.definitions.iter().map(|d| d.name.as_str())
    }

    /// Takes an entry: `use`, `type`, `fn` and `let` define, anything else is evaluated in the
    /// environment.
    pub fn enter(&mut self, env: Option<&str>, text: &str) -> Answer {
        match name_of(text) {
            None => self.value(env, text),
            Some(name) => {
                let answer = self.define(env, name, text);
                if answer.defined.is_some() || first_word(text) != "let" {
                    return answer;
                }
                // `let a = 1 in a + 1` is an expression, which reads like a definition by `1 in …`.
                let value = self.value(env, text);
                match value.diagnostics.iter().any(Diagnostic::is_error) {
                    true => answer,
                    false => value,
                }
            }
        }
    }

    /// Says the type of an expression without evaluating it.
    pub fn type_of(&mut self, env: Option<&str>, text: &str) -> Answer {
        let checked = self.checked(env, &Part::Value(text));
        let ty = ty_of(&checked.program).map(|ty| checked.program.show(ty));
        let answer = self.answer(checked);
        let ty = ty.filter(|_| !answer.diagnostics.iter().any(Diagnostic::is_error));
        Answer { ty, ..answer }
    }

    /// Returns what may follow a dot behind an expression, or what a word may begin with where
    /// there is none.
    pub fn complete(&mut self, env: Option<&str>, before_dot: Option<&str>) -> Vec<String> {
        let Some(text) = before_dot else {
            let checked = self.checked(env, &Part::Value("null"));
            let program = &checked.program;
            let mut names: Vec<String> = program.apps.iter().map(|a| a.name.to_string()).collect();
            names.extend(self.names().map(str::to_owned));
            names.extend(["k8s", "objects"].map(str::to_owned));
            self.forget();
            return names;
        };
        if text == "k8s" {
            let version = self.version(env);
            let kinds = ordain_schemas::table(version).kinds();
            let mut names: Vec<String> = kinds.iter().map(|kind| kind.kind.to_string()).collect();
            names.sort_unstable();
            names.dedup();
            return names;
        }
        if let Some(names) = self.module_items(env, text) {
            return names;
        }
        let checked = self.checked(env, &Part::Value(text));
        self.forget();
        let (program, ty) = (&checked.program, ty_of(&checked.program));
        let Some(ty) = ty.filter(|ty| *ty != Ty::ERROR) else {
            return Vec::new();
        };
        let mut names = Vec::new();
        if let TyKind::Record(id) = program.types.kind(program.types.without_optional(ty)) {
            let fields = program.types.record(*id).fields.iter();
            names.extend(fields.map(|field| field.name.to_string()));
        }
        let methods = ordain_lang_types::index::methods(&program.types, ty);
        names.extend(methods.into_iter().map(|(name, _)| format!("{name}(")));
        names
    }

    /// The items of the module that a name stands for by one of the `use` entries.
    fn module_items(&mut self, env: Option<&str>, name: &str) -> Option<Vec<String>> {
        let used = self.definitions.iter().find(|d| d.name == name)?;
        let parsed = parse(FileId(0), used.text.as_str());
        let ItemKind::Use(used) = &parsed.file.items.first()?.kind else {
            return None;
        };
        let UseTarget::Module(path) = &used.target else {
            return None;
        };
        let parts: Vec<&str> = path.parts.iter().map(|p| p.name.as_str()).collect();
        let path = parts.join(".");
        let checked = self.checked(env, &Part::Value("null"));
        self.forget();
        let module = checked.program.modules.iter().find(|m| *m.path == *path)?;
        let mut names: Vec<String> = module
            .items
            .iter()
            .map(|(name, item)| match item {
                ItemRef::Fn(_) => format!("{name}("),
                _ => name.to_string(),
            })
            .collect();
        names.sort_unstable();
        Some(names)
    }

    fn define(&mut self, env: Option<&str>, name: String, text: &str) -> Answer {
        let before = self.definitions.clone();
        let is_let = first_word(text) == "let";
        let mut answer = Answer::default();
        for level in [Level::Module, Level::Test] {
            if level == Level::Test && !is_let {
                break;
            }
            let definition = Definition {
                level,
                name: name.clone(),
                text: text.to_owned(),
            };
            // Another definition of a name takes the first one's place, so that what uses it follows.
            let at = match before.iter().position(|d| d.name == name) {
                Some(at) => {
                    self.definitions[at] = definition;
                    at
                }
                None => {
                    self.definitions.push(definition);
                    self.definitions.len() - 1
                }
            };
            let checked = self.checked(env, &Part::Definition(at));
            let ty = checked.program.modules.iter().find_map(|module| {
                let own = *module.path == *MODULE;
                let item = module.items.iter().find(|(n, _)| own && ***n == *name)?.1;
                match item {
                    ItemRef::Let(id) => Some(checked.program.lets[id.index()].ty),
                    _ => None,
                }
            });
            let ty = match level {
                Level::Module => ty,
                Level::Test => let_ty(&checked.program, at_test(&self.definitions, at)),
            };
            let ty = ty.map(|ty| checked.program.show(ty));
            answer = self.answer(checked);
            if !answer.diagnostics.iter().any(Diagnostic::is_error) {
                answer.defined = Some(name);
                answer.ty = ty;
                return answer;
            }
            self.definitions.clone_from(&before);
        }
        answer
    }

    fn value(&mut self, env: Option<&str>, text: &str) -> Answer {
        let checked = self.checked(env, &Part::Value(text));
        let program = Arc::clone(&checked.program);
        let (file, entry) = (checked.file, checked.entry.clone());
        let mut answer = self.answer(checked);
        if answer.diagnostics.iter().any(Diagnostic::is_error) {
            return answer;
        }
        let ty = ty_of(&program);
        answer.ty = ty.map(|ty| program.show(ty));
        if ty.is_some_and(|ty| matches!(program.types.kind(ty), TyKind::Fn(..))) {
            return answer;
        }
        let own = |test: &ordain_lang_types::program::Test| test.span.file == file;
        let Some(at) = program.tests.iter().position(own) else {
            return answer;
        };
        let tested = eval::run_test(&program, at, &mut ());
        match tested.snapshots.into_iter().last() {
            Some((_, value)) => answer.value = Some(value),
            None => {
                let failures = tested.failures;
                answer.diagnostics = at_entry(failures, file, &entry, &answer.sources);
            }
        }
        answer
    }

    /// Puts the definitions and the entry into a module and checks the project with it.
    fn checked(&mut self, env: Option<&str>, part: &Part<'_>) -> Checked {
        self.forget();
        let mut text = String::new();
        let mut entry = 0..0;
        let mut put = |text: &mut String, at: usize, definition: &Definition| {
            let start = text.len();
            text.push_str(&definition.text);
            if matches!(part, Part::Definition(own) if *own == at) {
                entry = start..text.len();
            }
            text.push('\n');
        };
        let of = |level| {
            self.definitions
                .iter()
                .enumerate()
                .filter(move |(_, d)| d.level == level)
        };
        for (at, definition) in of(Level::Module) {
            put(&mut text, at, definition);
        }
        text.push_str("test \"entry\"");
        if let Some(env) = env {
            text.push_str(" in ");
            text.push_str(env);
        }
        text.push_str(" {\n");
        for (at, definition) in of(Level::Test) {
            put(&mut text, at, definition);
        }
        if let Part::Value(value) = part {
            text.push_str("snapshot (");
            entry = text.len()..text.len() + value.len();
            text.push_str(value);
            text.push_str("\n)\n");
        }
        text.push_str("}\n");
        let file = FileId(u32::try_from(self.project.sources.len()).unwrap_or(u32::MAX));
        let own = vec![(MODULE.to_owned(), MODULE.to_owned(), text.into_bytes())];
        self.project.add(own, true);
        self.project.add_std();
        let mut diagnostics = self.project.diagnostics.split_off(self.found);
        let (program, found) = self.project.checked(self.version(env));
        diagnostics.extend(found);
        Checked {
            program,
            diagnostics,
            file,
            entry,
        }
    }

    fn version(&self, env: Option<&str>) -> ordain_schemas::KubeVersion {
        let environments = self.project.environments();
        let env = environments.iter().find(|e| Some(&*e.name) == env);
        env.map_or(self.project.manifest.kubernetes, |e| e.kubernetes)
    }

    /// Takes the last entry's module out again.
    fn forget(&mut self) {
        self.project.modules.truncate(self.modules);
        self.project.diagnostics.truncate(self.found);
    }

    /// Keeps what concerns the entry, and says when the project itself stands in the way.
    fn answer(&mut self, checked: Checked) -> Answer {
        let Checked {
            diagnostics,
            file,
            entry,
            ..
        } = checked;
        let (own, others): (Vec<Diagnostic>, Vec<Diagnostic>) = diagnostics
            .into_iter()
            .filter(Diagnostic::is_error)
            .partition(|d| d.span().is_some_and(|span| span.file == file));
        let sources = self.sources(file, &entry);
        self.forget();
        // Mistakes of the project are said when there are none of the entry: nothing can be evaluated.
        let before = self.project.diagnostics.iter().filter(|d| d.is_error());
        let found = match own.is_empty() {
            true => before.cloned().chain(others).collect(),
            false => own,
        };
        Answer {
            diagnostics: at_entry(found, file, &entry, &sources),
            sources,
            ..Answer::default()
        }
    }

    /// The project's texts, and behind them the entry alone.
    fn sources(&self, file: FileId, entry: &std::ops::Range<usize>) -> Sources {
        let mut sources = self.project.sources.clone();
        let text = sources
            .text(file)
            .get(entry.clone())
            .unwrap_or("")
            .to_owned();
        // A mark at the end needs a line to stand on.
        sources.add(SHOWN, text + "\n");
        sources
    }
}

/// Moves places in the scratch module to the entry alone, where they belong to it.
fn at_entry(
    diagnostics: Vec<Diagnostic>,
    file: FileId,
    entry: &std::ops::Range<usize>,
    sources: &Sources,
) -> Vec<Diagnostic> {
    let alone = FileId(u32::try_from(sources.len() - 1).unwrap_or(u32::MAX));
    let length = entry.len();
    let moved = |label: Label| {
        let at = |offset: u32| (offset as usize).saturating_sub(entry.start).min(length) as u32;
        let span = match label.span.file == file && label.span.range().end >= entry.start {
            true => Span::new(alone, at(label.span.start), at(label.span.end)),
            false => label.span,
        };
        Label { span, ..label }
    };
    diagnostics
        .into_iter()
        .map(|mut d| {
            d.labels = d.labels.into_iter().map(moved).collect();
            d
        })
        .collect()
}

/// The last expression of the entries' test.
fn ty_of(program: &Program) -> Option<Ty> {
    let module = program.modules.iter().find(|m| *m.path == *MODULE)?;
    let test = program.tests.iter().find(|t| t.span.file == module.file)?;
    match test.steps.last()? {
        TestStep::Snapshot(expr, _) => Some(program.hir.ty(*expr)),
        _ => None,
    }
}

/// How many definitions of the test stand before one.
fn at_test(definitions: &[Definition], at: usize) -> usize {
    let before = definitions[..at].iter();
    before.filter(|d| d.level == Level::Test).count()
}

/// The type of a `let` of the entries' test.
fn let_ty(program: &Program, at: usize) -> Option<Ty> {
    let module = program.modules.iter().find(|m| *m.path == *MODULE)?;
    let test = program.tests.iter().find(|t| t.span.file == module.file)?;
    match test.steps.get(at)? {
        TestStep::Let(_, expr) => Some(program.hir.ty(*expr)),
        _ => None,
    }
}

fn first_word(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// The name that an entry defines, if it is a definition.
fn name_of(text: &str) -> Option<String> {
    match first_word(text) {
        "use" | "type" | "fn" => {
            let parsed = parse(FileId(0), text);
            let name = parsed.file.items.first().and_then(|item| match &item.kind {
                ItemKind::Use(used) => match (&used.alias, &used.target) {
                    (Some(alias), _) => Some(alias.name),
                    (None, UseTarget::Module(path)) => path.parts.last().map(|part| part.name),
                    (None, _) => None,
                },
                ItemKind::Type(decl) => Some(decl.name.name),
                ItemKind::Fn(decl) => Some(decl.name.name),
                _ => None,
            });
            // Whatever is wrong with it is said as of a definition.
            Some(name.map_or_else(|| text.trim().to_owned(), |name| name.to_string()))
        }
        "let" => {
            let parsed = parse(FileId(0), format!("test \"\" {{\n{text}\n}}\n"));
            let ItemKind::Test(test) = &parsed.file.items.first()?.kind else {
                return None;
            };
            match &test.body[..] {
                [one] if parsed.diagnostics.is_empty() => match &one.kind {
                    StmtKind::Let(binding) => Some(binding.name.name.to_string()),
                    _ => None,
                },
                _ => None,
            }
        }
        _ => None,
    }
}
