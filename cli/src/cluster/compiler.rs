//! The language as the reconciler sees it: a commit's files in, apps with their objects out.

use crate::commands::check::WIDTH;
use crate::report;
use ordain_lang_project::{BuildOptions, Files, FilesError, Project, build};
use ordain_reconciler_engine::{App, CompileError, Compiled, CompiledObject, Compiler, Wanted};
use ordain_reconciler_source::{Error, TreeFiles};

/// Compiles a commit's tree straight from git, without a checkout.
pub(crate) struct ProjectCompiler;

/// A commit's tree as a project's files.
pub(crate) struct Tree<'a>(pub(crate) &'a TreeFiles);

impl Files for Tree<'_> {
    fn list(&self) -> Result<Vec<String>, FilesError> {
        Ok(self.0.list().map(str::to_owned).collect())
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, FilesError> {
        if !self.0.contains(path) {
            return Err(FilesError::NotFound(path.to_owned()));
        }
        self.0.read(path).map_err(|source: Error| FilesError::Read {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }
}

impl Compiler for ProjectCompiler {
    fn compile(&self, files: &TreeFiles, wanted: &Wanted) -> Result<Compiled, CompileError> {
        let project = Project::load(&Tree(files));
        let options = BuildOptions {
            env: wanted.env.clone(),
            cluster: wanted.cluster.clone(),
        };
        let built = build(&project, &options);
        let text = report::render(&built.diagnostics, &project.sources, WIDTH, false);
        if !built.is_ok() {
            return Err(CompileError {
                text: format!("{text}{}\n", report::summary(&built.diagnostics)),
            });
        }
        let apps = built.apps.into_iter().map(|app| App {
            name: app.name,
            env: app.env,
            namespace: app.namespace,
            objects: app
                .objects
                .into_iter()
                .map(|o| CompiledObject {
                    object: o.json,
                    at: Some(o.at),
                })
                .collect(),
        });
        Ok(Compiled {
            apps: apps.collect(),
            warnings: text,
        })
    }
}
