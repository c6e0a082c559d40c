//! An open project: texts change, and what follows from them is brought up to date when it is asked for.
//!
//! What a session says is what a run from scratch over the same texts says, to the last label; only the
//! time it takes depends on what changed. A language server, a watching command and a reconciler keep one.
//! It starts nothing by itself: whoever knows of a change tells it, and asks afterwards.

mod files;

use std::sync::Arc;

use ordain_lang_syntax::Diagnostic;
use ordain_lang_types::Program;

use crate::build::{App, AppText, BuildOptions, Format, build, build_text};
use crate::check::check;
use crate::files::Files;
use crate::load::Project;

use files::Overlay;

/// An open project. See the module.
pub struct Session {
    files: Overlay,
    project: Option<Project>,
}

/// The state of a session's objects.
#[derive(Clone, Default, Debug)]
pub struct SessionBuild<T> {
    /// Every app in every wanted environment; empty when there is an error. What did not change since
    /// the last build is the same allocation.
    pub apps: Vec<Arc<T>>,
    /// Positions in `apps` of what is new or differs from the last build of this kind.
    pub changed: Vec<usize>,
    /// What was found, errors and warnings, in the order of the sources.
    pub diagnostics: Arc<[Diagnostic]>,
}

impl<T> SessionBuild<T> {
    /// Returns whether nothing stops the result from being used.
    pub fn is_ok(&self) -> bool {
        !self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

impl Session {
    /// Opens the project whose root is the root of `files`.
    pub fn new(files: impl Files + Send + 'static) -> Session {
        Session::over(Overlay::project(Box::new(files)))
    }

    /// Opens one file without a project around it. `path` is what diagnostics show, and what
    /// [`set_text`](Self::set_text) takes.
    pub fn single(path: &str, text: impl Into<String>) -> Session {
        Session::over(Overlay::single(path, text.into()))
    }

    fn over(files: Overlay) -> Session {
        Session {
            files,
            project: None,
        }
    }

    /// Sets what a file says, whatever the disk says (an editor's unsaved text); none means the disk
    /// again. `path` is relative to the project's root, separated by `/`.
    pub fn set_text(&mut self, path: &str, text: Option<String>) {
        self.files.set_text(path, text);
        self.project = None;
    }

    /// Takes note that these files were made, changed or removed on disk.
    pub fn refresh(&mut self, paths: &[String]) {
        let _ = paths;
        self.project = None;
    }

    /// Takes note that anything may have changed on disk.
    pub fn refresh_all(&mut self) {
        self.project = None;
    }

    /// Returns the loaded project: texts for showing diagnostics, parsed modules, environments.
    pub fn project(&mut self) -> &Project {
        let files = &self.files;
        self.project.get_or_insert_with(|| files.load())
    }

    /// Returns everything that is wrong before evaluation, in the order of the sources; the same as
    /// [`check`](crate::check()).
    pub fn check(&mut self) -> Arc<[Diagnostic]> {
        check(self.project()).into()
    }

    /// Returns the resolved program of the whole project, for the Kubernetes version of its first
    /// environment. For tools; while there are errors it has holes.
    pub fn program(&mut self) -> Arc<Program> {
        let project = self.project();
        let version = project
            .environments()
            .first()
            .map_or(project.manifest.kubernetes, |env| env.kubernetes);
        project.checked(version).0
    }

    /// Returns a resolved program in which the file is whole and checked: itself, what it uses, and what
    /// the environments say about its apps. Numbers of files are those of [`project`](Self::project).
    /// Much cheaper than [`program`](Self::program) after an edit.
    pub fn program_of(&mut self, path: &str) -> Arc<Program> {
        let _ = path;
        self.program()
    }

    /// Builds the objects of the wanted apps; the same as [`build`](crate::build()).
    pub fn build(&mut self, options: &BuildOptions) -> SessionBuild<App> {
        let built = build(self.project(), options);
        SessionBuild {
            changed: (0..built.apps.len()).collect(),
            apps: built.apps.into_iter().map(Arc::new).collect(),
            diagnostics: built.diagnostics.into(),
        }
    }

    /// Builds the wanted apps as text; the same as [`build_text`](crate::build_text()).
    pub fn build_text(&mut self, options: &BuildOptions, format: Format) -> SessionBuild<AppText> {
        let built = build_text(self.project(), options, format);
        SessionBuild {
            changed: (0..built.apps.len()).collect(),
            apps: built.apps.into_iter().map(Arc::new).collect(),
            diagnostics: built.diagnostics.into(),
        }
    }

    /// Names the apps whose objects may depend on one of these files, in the order of the project. A
    /// file that is not part of the project as it is now may change everything.
    pub fn affected(&mut self, paths: &[String]) -> Vec<String> {
        let _ = paths;
        let apps = build(self.project(), &BuildOptions::default()).apps;
        apps.into_iter().map(|app| app.name).collect()
    }
}
