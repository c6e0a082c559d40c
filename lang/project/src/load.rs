//! Loading: files to parsed modules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use ordain_lang_syntax::ast::{ItemKind, UseTarget};
use ordain_lang_syntax::{Diagnostic, FileId, Parsed, Severity, Sources, parse};
use ordain_lang_types::Crds;
use ordain_lang_types::{SecretsInput, TextInput};

use crate::deps;
use crate::files::{Files, FilesError, Memory};
use crate::manifest::{self, Manifest};
use crate::vaults;

/// The file that makes a folder a project.
pub const MANIFEST: &str = "ordain.toml";

/// From this many files on, parsing is spread over the machine's cores.
const PARALLEL_FROM: usize = 32;

/// A parsed module.
#[derive(Debug)]
pub struct Module {
    /// Its path as `use` names it: `apps.shop`, `std.web`.
    pub path: String,
    /// Its number in [`Project::sources`].
    pub file: FileId,
    /// Its trees and syntax diagnostics.
    pub parsed: Parsed,
    /// Whether it is the project's own, not the standard library's.
    pub is_own: bool,
}

impl Module {
    /// The modules that it uses, as it writes them.
    pub fn uses(&self) -> impl Iterator<Item = String> {
        self.parsed.file.items.iter().filter_map(|item| {
            let ItemKind::Use(used) = &item.kind else {
                return None;
            };
            let UseTarget::Module(path) = &used.target else {
                return None;
            };
            let parts: Vec<&str> = path.parts.iter().map(|part| part.name.as_str()).collect();
            Some(parts.join("."))
        })
    }
}

/// Whether a module's path belongs to the language: `std.web`, `k8s`.
fn is_given(path: &str) -> bool {
    matches!(path.split('.').next(), Some("std" | "k8s" | ""))
}

/// A loaded project.
#[derive(Debug)]
pub struct Project {
    /// What `ordain.toml` says; the default for a single file.
    pub manifest: Manifest,
    /// All texts, for showing diagnostics.
    pub sources: Sources,
    /// The project's modules sorted by path, then those of the standard library that they use.
    pub modules: Vec<Module>,
    /// Whether it is one file without a project around it.
    pub is_single: bool,
    /// What the paths of a single file's folder begin with where they are shown; empty in a project.
    pub(crate) folder: String,
    /// The secrets files that the modules use.
    pub(crate) secrets: Vec<SecretsInput>,
    /// The files that the modules use as texts.
    pub(crate) texts: Vec<TextInput>,
    /// Its CRD files: those of `use crd`, and those that `ordain.toml` names. They are read when the
    /// project is loaded; a change of one of them may change everything.
    pub crds: Crds,
    /// Dependencies whose modules are not there, which was told.
    pub(crate) missing: Vec<String>,
    /// What was wrong with `ordain.toml`, with reading, and with the syntax.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl Project {
    /// Loads the project whose root is the root of `files`. What is wrong is kept as diagnostics
    /// and comes with [`check`](crate::check) and [`build`](crate::build).
    pub fn load(files: &dyn Files) -> Project {
        let mut project = Project::empty(false);
        let paths = match files.list() {
            Ok(paths) => paths,
            Err(error) => {
                project.diagnostics.push(unreadable(&error));
                return project;
            }
        };
        match files.read(MANIFEST) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let file = project.sources.add(MANIFEST, text.as_str());
                project.manifest = manifest::read(file, &text, &mut project.diagnostics);
            }
            Err(FilesError::NotFound(_)) => project.diagnostics.push(
                Diagnostic::error("E0901", format!("there is no `{MANIFEST}` here"))
                    .help("make a project with `ordain new NAME`, or name a single `.ord` file"),
            ),
            Err(error) => project.diagnostics.push(unreadable(&error)),
        }
        let mut texts = Vec::new();
        project.report_capitals(&paths);
        let is_own =
            |path: &&str| project.manifest.dependencies.is_empty() || !deps::vendored(path);
        for path in sources_of(&paths).into_iter().filter(is_own) {
            match files.read(path) {
                Ok(bytes) => texts.push((module_path(path), path.to_owned(), bytes)),
                Err(error) => project.diagnostics.push(unreadable(&error)),
            }
        }
        project.add(texts, true);
        deps::load(&mut project, files, &paths);
        project.add_std();
        project.add_crds(files, &paths);
        project.report_twins();
        vaults::load(&mut project, Some(files));
        project.add_texts(files, &paths);
        project
    }

    /// Loads one file without a project around it. `path` is what diagnostics show.
    pub fn single(path: &str, content: impl Into<Vec<u8>>) -> Project {
        Project::single_beside(path, content, &Memory::new())
    }

    /// Loads one file without a project around it, with what it uses of the files beside it: modules and
    /// CRDs. Paths in `files` start from the file's folder, of which nothing is listed; only what some
    /// `use` names is read. `path` is what diagnostics show.
    pub fn single_beside(path: &str, content: impl Into<Vec<u8>>, files: &dyn Files) -> Project {
        let mut project = Project::empty(true);
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        project.folder = path[..path.len() - name.len()].to_owned();
        project.add(
            vec![(module_path(name), path.to_owned(), content.into())],
            true,
        );
        project.add_beside(files);
        project.add_std();
        vaults::load(&mut project, None);
        project.add_crds(files, &[]);
        project.add_texts(files, &[]);
        project
    }

    /// Adds the modules that a single file uses of its folder, and those that these use.
    fn add_beside(&mut self, files: &dyn Files) {
        let mut seen = 0;
        let mut tried: BTreeSet<String> = BTreeSet::new();
        while seen < self.modules.len() {
            let mut texts = Vec::new();
            for module in &self.modules[seen..] {
                for written in module.uses() {
                    // From the first file's folder, else beside the one that says it; as the checker looks.
                    let beside = module.path.rsplit_once('.');
                    let beside = beside.map(|(folder, _)| format!("{folder}.{written}"));
                    for wanted in [Some(written), beside].into_iter().flatten() {
                        let is_known = self.modules.iter().any(|known| known.path == wanted);
                        if is_known || is_given(&wanted) || !tried.insert(wanted.clone()) {
                            continue;
                        }
                        let path = format!("{}.ord", wanted.replace('.', "/"));
                        match files.read(&path) {
                            Ok(bytes) => {
                                texts.push((wanted, format!("{}{path}", self.folder), bytes));
                            }
                            Err(FilesError::NotFound(_)) => {}
                            Err(error) => self.diagnostics.push(unreadable(&error)),
                        }
                    }
                }
            }
            seen = self.modules.len();
            self.add(texts, true);
        }
    }

    fn empty(is_single: bool) -> Project {
        Project {
            manifest: Manifest::default(),
            sources: Sources::new(),
            modules: Vec::new(),
            is_single,
            folder: String::new(),
            secrets: Vec::new(),
            texts: Vec::new(),
            missing: Vec::new(),
            crds: Crds::new(),
            diagnostics: Vec::new(),
        }
    }

    /// Parses texts and adds them as modules.
    pub(crate) fn add(&mut self, texts: Vec<(String, String, Vec<u8>)>, is_own: bool) {
        let mut inputs = Vec::with_capacity(texts.len());
        for (module, path, bytes) in texts {
            // The sources keep text. Bytes that are not UTF-8 are reported by the parser, which
            // gets them as they are when replacing them would move what stands behind them.
            let mut broken = None;
            let text: std::sync::Arc<str> = match String::from_utf8(bytes) {
                Ok(text) => text.into(),
                Err(error) => {
                    broken = Some(error.into_bytes());
                    ascii_only(broken.as_deref().unwrap_or_default()).into()
                }
            };
            let file = self.sources.add(path, text.clone());
            inputs.push(Input {
                path: module,
                file,
                text,
                broken,
            });
        }
        let parsed = parse_all(&inputs);
        for (Input { path, file, .. }, parsed) in inputs.into_iter().zip(parsed) {
            self.diagnostics.extend(parsed.diagnostics.iter().cloned());
            self.modules.push(Module {
                path,
                file,
                parsed,
                is_own,
            });
        }
    }

    /// Adds all modules of the standard library that are not there yet, for tools that show them.
    pub fn add_library(&mut self) {
        let missing = ordain_stdlib::MODULES.iter().filter(|module| {
            let known = self.modules.iter();
            !known.into_iter().any(|known| known.path == module.path)
        });
        let texts = missing
            .map(|module| (module.path.into(), module.file.into(), module.text.into()))
            .collect();
        self.add(texts, false);
    }

    /// Adds the modules of the standard library that are used, and those that these use.
    pub(crate) fn add_std(&mut self) {
        let mut seen = 0;
        while seen < self.modules.len() {
            let mut wanted: Vec<&'static ordain_stdlib::Module> = Vec::new();
            for module in &self.modules[seen..] {
                for path in module.uses() {
                    match ordain_stdlib::module(&path) {
                        Some(module) => wanted.push(module),
                        // A slip: all of them, so that the checker can name the nearest.
                        None if path.split('.').next() == Some("std") => {
                            wanted.extend(ordain_stdlib::MODULES);
                        }
                        None => {}
                    }
                }
            }
            seen = self.modules.len();
            let known: Vec<String> = self
                .modules
                .iter()
                .map(|module| module.path.clone())
                .collect();
            wanted.retain(|module| !known.iter().any(|path| path == module.path));
            wanted.sort_by_key(|module| module.path);
            wanted.dedup_by_key(|module| module.path);
            let texts = wanted
                .into_iter()
                .map(|module| (module.path.into(), module.file.into(), module.text.into()))
                .collect();
            self.add(texts, false);
        }
    }

    /// Reports files that have the same module path (`a.b.ord` and `a/b.ord`).
    fn report_twins(&mut self) {
        let mut first: BTreeMap<&str, FileId> = BTreeMap::new();
        let mut twins = Vec::new();
        for module in &self.modules {
            if let Some(other) = first.insert(&module.path, module.file) {
                let (one, two) = (self.sources.path(other), self.sources.path(module.file));
                twins.push(
                    Diagnostic::error(
                        "E0905",
                        format!("`{one}` and `{two}` are both the module `{}`", module.path),
                    )
                    .help("rename one of the files"),
                );
            }
        }
        for module in self.modules.iter().filter(|module| module.is_own) {
            let first = module.path.split('.').next().unwrap_or_default();
            let what = match first {
                "std" => "the standard library",
                "k8s" => "Kubernetes' types",
                _ => continue,
            };
            twins.push(
                Diagnostic::error(
                    "E0905",
                    format!(
                        "`{}` would be the module `{}`, but `{first}` is {what}",
                        self.sources.path(module.file),
                        module.path
                    ),
                )
                .help("rename the file or its folder"),
            );
        }
        self.diagnostics.extend(twins);
    }

    /// Warns of files that only nearly end in `.ord`: on some systems they look like modules.
    fn report_capitals(&mut self, paths: &[String]) {
        let nearly = |path: &&String| {
            let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
            ending.eq_ignore_ascii_case("ord") && ending != "ord"
        };
        let found = paths.iter().filter(nearly).map(|path| {
            Diagnostic::warning("W0901", format!("`{path}` is not read"))
                .note("modules end in `.ord`, in small letters")
                .help("rename the file")
        });
        self.diagnostics.extend(found);
    }

    /// Returns whether a file could not be read as what it should be.
    pub fn has_syntax_errors(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

fn unreadable(error: &FilesError) -> Diagnostic {
    let mut diagnostic = Diagnostic::error("E0902", error.to_string());
    if matches!(error, FilesError::NotFound(_)) {
        diagnostic = diagnostic
            .note("it is listed, so it may be a symbolic link whose target is gone")
            .help("mend the link, or remove it");
    }
    if let Some(source) = std::error::Error::source(error) {
        diagnostic = diagnostic.note(source.to_string());
    }
    diagnostic
}

/// The project's `.ord` files, sorted; folders with an `ordain.toml` of their own are other projects.
pub(crate) fn sources_of(paths: &[String]) -> Vec<&str> {
    let nested: Vec<&str> = paths
        .iter()
        .filter_map(|path| path.strip_suffix(MANIFEST))
        .filter(|folder| folder.ends_with('/'))
        .collect();
    let mut sources: Vec<&str> = paths
        .iter()
        .map(String::as_str)
        .filter(|path| {
            path.ends_with(".ord") && !nested.iter().any(|folder| path.starts_with(folder))
        })
        .collect();
    sources.sort_unstable();
    sources
}

/// Returns the module that a file is: `apps/shop.ord` is `apps.shop`.
pub fn module_path(path: &str) -> String {
    path.strip_suffix(".ord").unwrap_or(path).replace('/', ".")
}

/// Keeps every byte's place: what is not UTF-8 is shown as a control character.
fn ascii_only(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(std::iter::repeat_n('\u{1}', chunk.invalid().len()));
    }
    out
}

/// A text to parse.
struct Input {
    path: String,
    file: FileId,
    text: std::sync::Arc<str>,
    /// The bytes, when they are not UTF-8: the parser says where.
    broken: Option<Vec<u8>>,
}

impl Input {
    fn parse(&self) -> Parsed {
        match &self.broken {
            Some(bytes) => parse(self.file, bytes),
            None => parse(self.file, &*self.text),
        }
    }
}

/// Parses all inputs, in their order.
fn parse_all(inputs: &[Input]) -> Vec<Parsed> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if inputs.len() < PARALLEL_FROM || cores < 2 {
        return inputs.iter().map(Input::parse).collect();
    }
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Parsed)>> = Mutex::new(Vec::with_capacity(inputs.len()));
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                let mut mine = Vec::new();
                while let Some((at, input)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    inputs.get(at).map(|input| (at, input))
                } {
                    mine.push((at, input.parse()));
                }
                done.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend(mine);
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, parsed)| parsed).collect()
}
