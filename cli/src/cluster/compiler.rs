//! The language as the reconciler sees it: a commit's files in, apps with their objects out, secrets at the end.

use crate::commands::check::WIDTH;
use crate::keys::Keys;
use crate::report;
use ordain_lang_project::{BuildOptions, Files, FilesError, Project, build};
use ordain_lang_secrets::{OpenError, RevealError, Revealer, references, scrub};
use ordain_reconciler_engine::{
    App, CompileError, Compiled, CompiledObject, Compiler, Revealed, SecretFiles, Wanted,
};
use ordain_reconciler_source::{Error, TreeFiles};
use serde_json::Value;
use std::sync::Arc;

/// Compiles a commit's tree straight from git, without a checkout.
pub(crate) struct ProjectCompiler {
    /// What opens secrets files. Looked up each time: a key may come later.
    pub(crate) keys: Keys,
}

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
        let mut secrets = SecretFiles::new();
        for object in built.apps.iter().flat_map(|app| &app.objects) {
            for path in self.secret_files(&object.json) {
                // The build read it a moment ago; what is missing is told when it is needed.
                if !secrets.contains_key(&path)
                    && let Ok(bytes) = files.read(&path)
                {
                    secrets.insert(path, bytes);
                }
            }
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
            secrets: Arc::new(secrets),
        })
    }

    fn secret_files(&self, object: &Value) -> Vec<String> {
        let mut files: Vec<String> = references(object).into_iter().map(|r| r.file).collect();
        files.sort();
        files.dedup();
        files
    }

    fn reveal(
        &self,
        objects: &[&Value],
        files: &SecretFiles,
    ) -> Result<Vec<Option<Revealed>>, Vec<String>> {
        let keys = self.keys.load().map_err(|error| {
            let mut text = error.to_string();
            if let Some(source) = std::error::Error::source(&error) {
                text = format!("{text}: {source}");
            }
            vec![text]
        })?;
        let read = |path: &str| files.get(path).cloned();
        let mut revealer = Revealer::new(&keys, &read);
        let (mut revealed, mut reasons) = (Vec::new(), Vec::new());
        for object in objects {
            match revealer.object(object) {
                Ok(None) => revealed.push(None),
                Ok(Some(found)) => {
                    let values = found.values;
                    revealed.push(Some(Revealed {
                        object: found.object,
                        scrub: Arc::new(move |message| scrub(message, &values)),
                    }));
                }
                Err(error) => {
                    let name = object["metadata"]["name"].as_str().unwrap_or_default();
                    let kind = object["kind"].as_str().unwrap_or_default();
                    let mut reason = format!("{kind} {name}: {error}");
                    if let RevealError::Open {
                        source: OpenError::NoIdentity { .. },
                        ..
                    } = error
                    {
                        let places = self.keys.places();
                        reason = format!("{reason}; keys were looked for in {places}");
                    }
                    reasons.push(reason);
                }
            }
        }
        match reasons.is_empty() {
            true => Ok(revealed),
            false => Err(reasons),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_planner_knows_what_stands_for_a_secret() {
        assert_eq!(
            ordain_reconciler_plan::SECRET_MARK,
            ordain_lang_secrets::MARK
        );
    }
}
