//! The language as the reconciler sees it: a commit's files in, apps with their objects out, secrets at the end.

use crate::blame::Answer;
use crate::commands::check::WIDTH;
use crate::keys::Keys;
use crate::report;
use ordain_lang_project::{App as LangApp, BuildOptions, Files, FilesError, MANIFEST, Session};
use ordain_lang_secrets::{OpenError, RevealError, Revealer, references, scrub};
use ordain_reconciler_engine::{
    App, CompileError, Compiled, CompiledObject, Compiler, Deployed, FieldEdit, Revealed,
    Rewritten, SecretFiles, Wanted,
};
use ordain_reconciler_journal::AppRef;
use ordain_reconciler_source::{Error, Repository, TreeFiles};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Apps of a project that is kept open while nothing happens. A larger one is let go of: it takes seconds of one core
/// to open it again, and hundreds of megabytes to keep it.
const KEPT_APPS_MAX: usize = 2_000;

/// Compiles a commit's tree straight from git, without a checkout.
///
/// What is known of the last commit is kept, so that of the next one only that is compiled which its changed files
/// can reach. What it says of a commit is what a compilation from scratch says.
pub(crate) struct ProjectCompiler {
    /// What opens secrets files. Looked up each time: a key may come later.
    keys: Keys,
    /// The project as of the last commit that was looked at.
    open: Mutex<Option<Open>>,
}

impl ProjectCompiler {
    pub(crate) fn new(keys: Keys) -> Self {
        Self {
            keys,
            open: Mutex::default(),
        }
    }
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

/// The tree that is looked at now, and which of its files anybody asked for.
#[derive(Clone)]
pub(super) struct Current(Arc<Mutex<Looked>>);

struct Looked {
    tree: Arc<TreeFiles>,
    asked: HashSet<String>,
}

impl Current {
    /// Looks at a tree.
    pub(super) fn new(tree: &Arc<TreeFiles>) -> Self {
        Self(Arc::new(Mutex::new(Looked {
            tree: Arc::clone(tree),
            asked: HashSet::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Looked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at another tree from now on; returns the files that the project may see a difference in.
    fn turn_to(&self, tree: &Arc<TreeFiles>) -> Vec<String> {
        let mut looked = self.lock();
        let before = std::mem::replace(&mut looked.tree, Arc::clone(tree));
        let mut changed = tree.differing(&before);
        // A file that is no module is part of the project when somebody asked for it.
        changed.retain(|path| {
            path.ends_with(MODULE_SUFFIX)
                || path.rsplit('/').next() == Some(MANIFEST)
                || looked.asked.contains(path)
        });
        changed
    }
}

/// What modules are called.
const MODULE_SUFFIX: &str = ".ord";

impl Files for Current {
    fn list(&self) -> Result<Vec<String>, FilesError> {
        Tree(&self.lock().tree).list()
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, FilesError> {
        let tree = {
            let mut looked = self.lock();
            if !looked.asked.contains(path) {
                looked.asked.insert(path.to_owned());
            }
            Arc::clone(&looked.tree)
        };
        Tree(&tree).read(path)
    }
}

/// An open project.
struct Open {
    session: Session,
    current: Current,
    /// The apps of the last commit that compiled, as the language and as the engine have them.
    apps: HashMap<(String, String), (Arc<LangApp>, Arc<App>)>,
}

impl Open {
    fn new(tree: &Arc<TreeFiles>) -> Self {
        let current = Current::new(tree);
        Self {
            session: Session::new(current.clone()),
            current,
            apps: HashMap::new(),
        }
    }

    /// The engine's form of an app; the same allocation as long as nothing of it changes.
    fn convert(&mut self, app: &Arc<LangApp>, tree: &TreeFiles, secrets_changed: bool) -> Arc<App> {
        let key = (app.env.clone(), app.name.clone());
        if let Some((from, to)) = self.apps.get(&key)
            && Arc::ptr_eq(from, app)
            && (to.secrets.is_empty() || !secrets_changed)
        {
            return Arc::clone(to);
        }
        let mut secrets = SecretFiles::new();
        for path in app
            .objects
            .iter()
            .flat_map(|object| named_files(&object.json))
        {
            // The build read it a moment ago; what is missing is told when it is needed.
            if !secrets.contains_key(&path)
                && let Ok(bytes) = tree.read(&path)
            {
                secrets.insert(path, bytes);
            }
        }
        // The warning of the check says that messages stay behind.
        let deployed = app.objects.iter().filter(|object| !object.is_message);
        let objects = deployed.map(|object| CompiledObject {
            object: object.json.clone(),
            at: Some(object.at.clone()),
        });
        let converted = App::new(
            app.name.clone(),
            app.env.clone(),
            app.namespace.clone(),
            objects.collect(),
            secrets,
        );
        let converted = Arc::new(converted.on(app.cluster.clone()));
        self.apps
            .insert(key, (Arc::clone(app), Arc::clone(&converted)));
        converted
    }
}

/// The encrypted files that an object names.
fn named_files(object: &Value) -> Vec<String> {
    let mut files: Vec<String> = references(object).into_iter().map(|r| r.file).collect();
    files.sort();
    files.dedup();
    files
}

impl Compiler for ProjectCompiler {
    fn compile(&self, files: &Arc<TreeFiles>, wanted: &Wanted) -> Result<Compiled, CompileError> {
        let mut guard = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = None;
        // Taken out while it is worked on: after a panic inside, the next commit begins from scratch.
        let mut open = match guard.take() {
            Some(mut open) => {
                let paths = open.current.turn_to(files);
                open.session.refresh(&paths);
                changed = Some(paths);
                open
            }
            None => Open::new(files),
        };
        let options = BuildOptions {
            env: wanted.env.clone(),
            cluster: wanted.cluster.clone(),
        };
        let built = open.session.build(&options);
        let project = open.session.project();
        let text = report::render(&built.diagnostics, &project.sources, WIDTH, false);
        if !built.is_ok() {
            let text = format!("{text}{}\n", report::summary(&built.diagnostics));
            let affected = changed.map_or_else(Vec::new, |paths| open.session.affected(&paths));
            *guard = Some(open);
            return Err(CompileError {
                affected,
                ..CompileError::new(text)
            });
        }
        let rules = super::rules::rules(&project.manifest.rollout);
        let is_module = |path: &String| path.ends_with(MODULE_SUFFIX);
        let secrets_changed = changed.is_none_or(|paths| !paths.iter().all(is_module));
        let apps: Vec<_> = (built.apps.iter())
            .map(|app| open.convert(app, files, secrets_changed))
            .collect();
        if open.apps.len() > apps.len() {
            let names: HashSet<_> = apps.iter().map(|app| (&app.env, &app.name)).collect();
            open.apps
                .retain(|(env, name), _| names.contains(&(env, name)));
        }
        *guard = Some(open);
        Ok(Compiled {
            apps,
            warnings: text,
            rules: Arc::new(rules),
        })
    }

    fn inputs(&self, files: &Arc<TreeFiles>, _: &Wanted, app: &AppRef) -> Option<BTreeSet<String>> {
        // Asked for rollbacks alone, of any commit: the open project stays at the one it has.
        let mut open = Open::new(files);
        Some(open.session.inputs(&app.name).into_iter().collect())
    }

    fn rewrite(&self, files: &Arc<TreeFiles>, edits: &[FieldEdit]) -> Result<Rewritten, String> {
        super::rewrite::rewrite(files, edits)
    }

    fn blame(
        &self,
        repository: &Repository,
        found: Vec<Deployed>,
        object: &str,
        field: &str,
    ) -> Result<Value, String> {
        let told = |error: miette::Report| {
            let help = error
                .help()
                .map_or_else(String::new, |help| format!("; {help}"));
            format!("{error}{help}")
        };
        let blame = crate::blame::single(found, object)
            .and_then(|deployed| crate::blame::blame(repository, &deployed, field));
        let answer = match blame {
            Ok(blame) => Answer::Known(Box::new(blame)),
            Err(error) if crate::usage::is_usage(&error) => Answer::Misnamed {
                help: error.help().map(|help| help.to_string()),
                misnamed: error.to_string(),
            },
            Err(error) => return Err(told(error)),
        };
        serde_json::to_value(answer).map_err(|error| error.to_string())
    }

    fn rest(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open
            .as_ref()
            .is_some_and(|open| open.apps.len() > KEPT_APPS_MAX)
        {
            *open = None;
        }
        drop(open);
        crate::memory::give_back();
    }

    fn secret_files(&self, object: &Value) -> Vec<String> {
        named_files(object)
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
#[path = "compiler_tests.rs"]
mod commits;

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
