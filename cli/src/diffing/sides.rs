//! One side of a comparison: a project, from a commit or from the disk, and what it compiles to.

use crate::cluster::Tree;
use crate::usage::{did_you_mean, usage};
use crate::{commands, disk};
use miette::{Result, miette};
use ordain_lang_project::{
    App, Below, BuildOptions, Disk, FieldRef, Files, MANIFEST, Project, build, deciding_lines,
};
use ordain_reconciler_diff::{Diff, Facts, FieldAt, Side as Name};
use ordain_reconciler_engine::SecretFiles;
use ordain_reconciler_plan::SetObject;
use ordain_reconciler_source::{Error as GitError, Repository, TreeFiles};
use std::path::Path;

/// A side of a comparison.
pub(crate) struct Side {
    pub(crate) name: Name,
    pub(crate) project: Project,
    from: From,
}

/// Where the files are, for the encrypted ones that objects name.
enum From {
    Commit(TreeFiles, String),
    Disk(Option<Disk>),
}

impl Side {
    /// Reads encrypted files; what is missing is told by whoever needs it.
    pub(crate) fn secrets(&self, paths: &[String]) -> SecretFiles {
        let read = |path: &String| match &self.from {
            From::Commit(files, folder) => {
                let tree = Tree(files);
                Below::new(&tree, folder).read(path).ok()
            }
            From::Disk(disk) => disk.as_ref()?.read(path).ok(),
        };
        let found = paths
            .iter()
            .filter_map(|path| Some((path.clone(), read(path)?)));
        found.collect()
    }
}

/// What a side compiles to.
#[derive(Default)]
pub(crate) struct Built {
    pub(crate) apps: Vec<App>,
    pub(crate) objects: Vec<SetObject>,
}

impl Built {
    /// Adds what is known of the environments; what is known already stays.
    pub(crate) fn facts(&self, side: &Side, facts: &mut Facts) {
        let environments = side.project.environments();
        for app in &self.apps {
            let declared = environments.iter().find(|env| env.name == app.env);
            let version = declared.map_or(side.project.manifest.kubernetes, |env| env.kubernetes);
            facts
                .envs
                .entry(app.env.clone())
                .or_insert_with(|| (version, app.namespace.clone()));
        }
    }
}

/// Opens the repository that a folder is in.
///
/// # Errors
/// When it is in none.
pub(crate) fn open(path: &Path) -> Result<Repository> {
    Repository::discover(path).map_err(|e| commands::report(e, None))
}

/// Loads the files on disk.
///
/// # Errors
/// When there is no project.
pub(crate) fn on_disk(path: &Path) -> Result<Side> {
    let (project, disk) = disk::open(path)?;
    Ok(Side {
        name: Name::named("the working tree"),
        project,
        from: From::Disk(Some(disk)),
    })
}

/// Loads the project of a commit; none when the commit has none, so that the commit which brings it in can be compared.
///
/// # Errors
/// When there is no such commit.
pub(crate) fn at_commit(
    repository: &Repository,
    path: &Path,
    revision: &str,
) -> Result<Option<Side>> {
    let failed = |error: GitError| match error {
        GitError::UnknownRevision { .. } | GitError::Unborn { .. } => usage(error.to_string(), ""),
        error => commands::report(error, None),
    };
    let commit = repository.resolve(revision).map_err(failed)?;
    let files = repository.files(&commit).map_err(failed)?;
    let folder = folder(repository, path);
    let project = {
        let tree = Tree(&files);
        let below = Below::new(&tree, &folder);
        if below.read(MANIFEST).is_err() {
            return Ok(None);
        }
        Project::load(&below)
    };
    Ok(Some(Side {
        name: Name {
            name: revision.to_owned(),
            commit: Some(commit.to_string()),
        },
        project,
        from: From::Commit(files, folder),
    }))
}

/// The project's folder as a path from the repository's root, with `/`.
pub(crate) fn folder(repository: &Repository, path: &Path) -> String {
    let root = repository
        .workdir()
        .and_then(|root| root.canonicalize().ok());
    let own = Disk::find(path).map_or_else(|| path.to_owned(), |disk| disk.root().to_owned());
    let own = own.canonicalize().ok();
    let (Some(root), Some(own)) = (root, own) else {
        return String::new();
    };
    let Ok(relative) = own.strip_prefix(root) else {
        return String::new();
    };
    let parts: Vec<String> = relative
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    parts.join("/")
}

/// Checks that one of the sides has the environment: it may be new, or gone; one that neither side has is a slip.
///
/// # Errors
/// A usage error when none has it.
pub(crate) fn known(sides: &[&Side], env: Option<&str>) -> Result<()> {
    let Some(name) = env else { return Ok(()) };
    let has = |side: &&Side| side.project.environments().iter().any(|e| e.name == name);
    let broken = |side: &&Side| side.project.has_syntax_errors();
    if sides.iter().any(|side| has(side) || broken(side)) {
        return Ok(());
    }
    let all: Vec<String> = sides
        .first()
        .map_or(Vec::new(), |side| side.project.environments())
        .into_iter()
        .map(|e| e.name)
        .collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    Err(usage(
        format!("there is no environment `{name}` on either side"),
        did_you_mean(name, &all, "environments"),
    ))
}

/// Builds one side; nothing when it does not have the environment.
///
/// # Errors
/// When it does not compile; what is wrong was shown.
pub(crate) fn build_side(side: &Side, options: &BuildOptions) -> Result<Built> {
    if let Some(name) = &options.env
        && !side.project.environments().iter().any(|e| e.name == *name)
        && !side.project.has_syntax_errors()
    {
        return Ok(Built::default());
    }
    let built = build(&side.project, options);
    if !built.is_ok() {
        commands::check::show(&built.diagnostics, &side.project);
        let name = match side.name.commit {
            Some(_) => format!("`{}`", side.name.name),
            None => side.name.name.clone(),
        };
        return Err(miette!(
            help = "mend it first: there is nothing to compare",
            "{name} does not compile"
        ));
    }
    let objects = built.apps.iter().flat_map(|app| {
        let deployed = app.objects.iter().filter(|object| !object.is_message);
        deployed.map(|object| SetObject {
            env: app.env.clone(),
            app: app.name.clone(),
            object: object.json.clone(),
            at: Some(object.at.clone()),
        })
    });
    Ok(Built {
        objects: objects.collect(),
        apps: built.apps,
    })
}

/// Names for each changed field the lines that decide it, on both sides. `place` turns an environment and a namespace of
/// the diff into those of a side.
pub(crate) fn cite(
    diff: &mut Diff,
    base: Option<&Side>,
    head: Option<&Side>,
    options: &BuildOptions,
    place: impl Fn(bool, &FieldAt) -> (String, Option<String>),
) {
    let ask = |side: Option<&Side>, is_head: bool, fields: &[FieldAt]| -> Vec<Option<String>> {
        let Some(side) = side else {
            return Vec::new();
        };
        let asked: Vec<FieldRef> = fields
            .iter()
            .map(|field| {
                let (env, namespace) = place(is_head, field);
                FieldRef {
                    env,
                    kind: field.key.kind.clone(),
                    namespace,
                    name: field.key.name.clone(),
                    path: field.path.clone(),
                }
            })
            .collect();
        // The project was built before, so there are lines; a diff is worth showing without them too.
        let lines = deciding_lines(&side.project, options, &asked).unwrap_or_default();
        lines
            .into_iter()
            .map(|line| line.map(|line| line.at))
            .collect()
    };
    diff.cite(
        |fields| ask(head, true, fields),
        |fields| ask(base, false, fields),
    );
}
