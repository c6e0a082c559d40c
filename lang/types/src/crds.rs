//! The CRD files of a project: what `use crd` names, and the kinds that objects written out can be of.
//!
//! The project reads the files; here they are only looked things up in.

use std::collections::HashMap;
use std::sync::Arc;

use ordain_lang_crd::{Crd, Place, Problem, Version};
use ordain_lang_syntax::{Diagnostic, FileId, Span};

/// A CRD file.
#[derive(Clone, Debug)]
pub struct CrdFile {
    /// Its number among the sources.
    pub file: FileId,
    /// Its path from the project's root.
    pub path: Arc<str>,
    /// The name under which it is first used: its kinds are called by it in messages.
    pub alias: Option<Arc<str>>,
    /// Its definitions.
    pub crds: Arc<[Crd]>,
}

impl CrdFile {
    /// A place of the file.
    #[must_use]
    pub fn span(&self, place: Place) -> Span {
        Span::new(self.file, place.start, place.end)
    }
}

/// All CRD files of a project.
#[derive(Clone, Debug, Default)]
pub struct Crds {
    files: Vec<CrdFile>,
    uses: HashMap<(FileId, Arc<str>), usize>,
    /// Positions by API version and kind; the first of two wins.
    by_kind: HashMap<(String, Arc<str>), (usize, usize, usize)>,
}

/// A version of a kind.
#[derive(Clone, Copy, Debug)]
pub struct CrdKind<'c> {
    /// The file.
    pub file: &'c CrdFile,
    /// The definition.
    pub crd: &'c Crd,
    /// The version.
    pub version: &'c Version,
    /// Positions of file, definition and version.
    pub at: (usize, usize, usize),
}

impl Crds {
    /// No files.
    #[must_use]
    pub fn new() -> Crds {
        Crds::default()
    }

    /// Adds a file; gives its position.
    pub fn add(&mut self, file: CrdFile) -> usize {
        let f = self.files.len();
        for (c, crd) in file.crds.iter().enumerate() {
            for (v, version) in crd.versions.iter().enumerate() {
                let key = (crd.api_version(version), Arc::clone(&crd.kind));
                self.by_kind.entry(key).or_insert((f, c, v));
            }
        }
        self.files.push(file);
        f
    }

    /// Notes that a module's `use crd` with this path means the file at the position, under a name.
    pub fn bind(&mut self, module: FileId, path: &str, at: usize, alias: Option<&str>) {
        self.uses.insert((module, path.into()), at);
        if let Some(file) = self.files.get_mut(at)
            && file.alias.is_none()
        {
            file.alias = alias.map(Arc::from);
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The files, in the order of adding.
    #[must_use]
    pub fn files(&self) -> &[CrdFile] {
        &self.files
    }

    /// The position of the file that a module's `use crd` means; none when it could not be read.
    #[must_use]
    pub fn used(&self, module: FileId, path: &str) -> Option<usize> {
        self.uses.get(&(module, path.into())).copied()
    }

    /// All versions of all kinds.
    pub fn kinds(&self) -> impl Iterator<Item = CrdKind<'_>> {
        self.files.iter().enumerate().flat_map(|(f, file)| {
            let crds = file.crds.iter().enumerate();
            crds.flat_map(move |(c, crd)| {
                let versions = crd.versions.iter().enumerate();
                versions.map(move |(v, version)| CrdKind {
                    file,
                    crd,
                    version,
                    at: (f, c, v),
                })
            })
        })
    }

    /// The kind of an object with `apiVersion` and `kind`.
    #[must_use]
    pub fn find(&self, api_version: &str, kind: &str) -> Option<CrdKind<'_>> {
        let key = (api_version.to_owned(), Arc::from(kind));
        let at = *self.by_kind.get(&key)?;
        let file = self.files.get(at.0)?;
        let crd = file.crds.get(at.1)?;
        Some(CrdKind {
            file,
            crd,
            version: crd.versions.get(at.2)?,
            at,
        })
    }
}

/// What is wrong with a CRD file, as a diagnostic.
#[must_use]
pub fn crd_problem(file: FileId, problem: &Problem) -> Diagnostic {
    let mut diagnostic = match problem.is_warning {
        true => Diagnostic::warning(problem.code, &problem.message),
        false => Diagnostic::error(problem.code, &problem.message),
    };
    for (place, label) in &problem.labels {
        diagnostic = diagnostic.label(Span::new(file, place.start, place.end), label);
    }
    diagnostic.help = problem.help.clone();
    diagnostic
}
