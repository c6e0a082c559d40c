//! `ordain diff`: what a change of the sources, or another environment, changes in the cluster's objects, without a cluster.

use crate::args::Format;
use crate::cluster::Tree;
use crate::usage::{did_you_mean, usage};
use crate::{Outcome, disk, envs, terminal};
use miette::{Report, Result, miette};
use ordain_lang_project::{
    Below, BuildOptions, Disk, FieldRef, Files, MANIFEST, Project, build, deciding_lines,
};
use ordain_reconciler_plan::{SetDiff, SetObject, Verb, diff_sets};
use ordain_reconciler_source::{Error as GitError, Repository};
use std::path::{Path, PathBuf};

/// Show what a change of the sources changes in the cluster's objects
///
/// Compiles two commits and compares every object, field by field, with the source line that decides it. It needs no cluster and
/// no credentials, so it runs in CI. With `--env dev..prod` two environments are compared instead: those of the files on disk, or
/// of one commit. Exit code 0 when nothing changes, 1 when something does, 3 when a side does not compile.
#[derive(clap::Args)]
pub(crate) struct DiffArgs {
    /// Two commits, branches or tags, as `A..B`; B is HEAD when it is left out
    #[arg(value_name = "A..B")]
    range: Option<String>,

    /// Compare this environment only; or two environments, as `dev..prod`
    #[arg(long, value_name = "ENV")]
    env: Option<String>,

    /// Compare with the files on disk instead of a second commit
    #[arg(long)]
    worktree: bool,

    /// Project folder in the repository
    #[arg(long, value_name = "DIR", default_value = ".")]
    path: PathBuf,
}

pub(crate) fn run(args: &DiffArgs, format: Format) -> Result<Outcome> {
    let pair = args.env.as_deref().and_then(|env| env.split_once(".."));
    let diff = match pair {
        Some((one, other)) => environments(args, one, other)?,
        None => commits(args)?,
    };
    match format {
        Format::Text => terminal::data(&diff.to_string())?,
        Format::Json => terminal::json(&diff)?,
    }
    Ok(if diff.is_empty() {
        Outcome::Done
    } else {
        Outcome::Findings
    })
}

/// Returns the difference of two commits as text, for the demo.
///
/// # Errors
/// As the command.
pub(crate) fn between(path: &Path, before: &str, after: &str, env: Option<&str>) -> Result<String> {
    let repository = open(path)?;
    let before = at_commit(&repository, path, before)?;
    let after = at_commit(&repository, path, after)?;
    Ok(compare(before.as_ref(), after.as_ref(), env)?.to_string())
}

/// A side of a comparison: a project, and what messages call it.
struct Side {
    name: String,
    project: Project,
}

fn commits(args: &DiffArgs) -> Result<SetDiff> {
    let (before, after) = range(args)?;
    let repository = open(&args.path)?;
    let old = at_commit(&repository, &args.path, before)?;
    let new = match after {
        None => Some(on_disk(&args.path)?),
        Some(after) => at_commit(&repository, &args.path, after)?,
    };
    if after == Some("HEAD") {
        hint_at_uncommitted(&repository);
    }
    compare(old.as_ref(), new.as_ref(), args.env.as_deref())
}

/// Returns the two sides; none for the files on disk.
fn range(args: &DiffArgs) -> Result<(&str, Option<&str>)> {
    let form = "write it like `main..HEAD`, or name one commit to compare HEAD with";
    let Some(text) = args.range.as_deref() else {
        return match args.worktree {
            true => Ok(("HEAD", None)),
            false => Err(usage(
                "nothing to compare",
                "name two commits like `main..HEAD`, two environments like `--env dev..prod`, or `--worktree`",
            )),
        };
    };
    let (before, after) = text.split_once("..").unwrap_or((text, ""));
    if before.is_empty() || after.starts_with('.') {
        return Err(usage(format!("`{text}` is no range of commits"), form));
    }
    match (args.worktree, after) {
        (true, "") => Ok((before, None)),
        (true, _) => Err(usage(
            format!("`{text}` names two commits, and `--worktree` is a third"),
            format!("write `ordain diff {before} --worktree`"),
        )),
        (false, "") => Ok((before, Some("HEAD"))),
        (false, after) => Ok((before, Some(after))),
    }
}

/// Compares two environments of one state of the sources.
fn environments(args: &DiffArgs, one: &str, other: &str) -> Result<SetDiff> {
    let side = match args.range.as_deref() {
        None => on_disk(&args.path)?,
        Some(range) if range.contains("..") => {
            return Err(usage(
                "two commits and two environments are four sides",
                format!("choose one commit, as `ordain diff HEAD --env {one}..{other}`"),
            ));
        }
        Some(commit) => {
            let repository = open(&args.path)?;
            at_commit(&repository, &args.path, commit)?
                .ok_or_else(|| usage(format!("there is no project at `{commit}`"), ""))?
        }
    };
    envs::known(&side.project, Some(one))?;
    envs::known(&side.project, Some(other))?;
    let (mut before, one_space) = objects(&side, Some(one))?;
    let (mut after, other_space) = objects(&side, Some(other))?;
    // The same object has another namespace where the environments have.
    if let (Some(from), Some(to)) = (&one_space, &other_space)
        && from != to
    {
        terminal::say(&format!("namespace {from} is compared with {to}"));
        for object in &mut before {
            if let Some(space) = object.object.pointer_mut("/metadata/namespace")
                && space.as_str() == Some(from)
            {
                *space = to.as_str().into();
            }
        }
    }
    let label = format!("{one}..{other}");
    for object in before.iter_mut().chain(&mut after) {
        object.env.clone_from(&label);
    }
    let mut diff = diff_sets(&before, &after);
    cite(&mut diff, &side.project, Some(other), |_| other.to_owned());
    Ok(diff)
}

fn compare(before: Option<&Side>, after: Option<&Side>, env: Option<&str>) -> Result<SetDiff> {
    if let Some(name) = env {
        // An environment may be new, or gone; one that neither side has is a slip.
        let sides = [after, before];
        let known = |side: &&Side| side.project.environments().iter().any(|e| e.name == name);
        let broken = |side: &Side| side.project.has_syntax_errors();
        let sides: Vec<&Side> = sides.into_iter().flatten().collect();
        if !sides.iter().any(known) && !sides.iter().any(|side| broken(side)) {
            let all: Vec<String> = sides
                .first()
                .map_or(Vec::new(), |side| side.project.environments())
                .into_iter()
                .map(|e| e.name)
                .collect();
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            return Err(usage(
                format!("there is no environment `{name}` on either side"),
                did_you_mean(name, &all, "environments"),
            ));
        }
    }
    let of = |side: Option<&Side>| match side {
        Some(side) => Ok(objects(side, env)?.0),
        None => Ok::<_, Report>(Vec::new()),
    };
    let mut diff = diff_sets(&of(before)?, &of(after)?);
    if let Some(after) = after {
        cite(&mut diff, &after.project, env, str::to_owned);
    }
    Ok(diff)
}

/// Names for each changed field the line that decides it.
fn cite(diff: &mut SetDiff, project: &Project, env: Option<&str>, env_of: impl Fn(&str) -> String) {
    let mut asked = Vec::new();
    let updated = diff.objects.iter_mut().filter(|o| o.verb == Verb::Update);
    let mut places: Vec<&mut Option<String>> = Vec::new();
    for object in updated {
        for change in &mut object.changes {
            asked.push(FieldRef {
                env: env_of(&object.env),
                kind: object.key.kind.clone(),
                namespace: object.key.namespace.clone(),
                name: object.key.name.clone(),
                path: change.path.clone(),
            });
            places.push(&mut change.at);
        }
    }
    if asked.is_empty() {
        return;
    }
    let options = BuildOptions {
        env: env.map(str::to_owned),
        cluster: None,
    };
    // The project was built before, so there are lines; a diff is worth showing without them too.
    let lines = deciding_lines(project, &options, &asked).unwrap_or_default();
    for (place, origin) in places.into_iter().zip(lines) {
        *place = origin.map(|origin| origin.at);
    }
}

fn open(path: &Path) -> Result<Repository> {
    Repository::discover(path).map_err(|e| super::report(e, None))
}

fn on_disk(path: &Path) -> Result<Side> {
    Ok(Side {
        name: "the working tree".to_owned(),
        project: disk::load(path)?,
    })
}

/// Loads the project of a commit; none when the commit has none, so that the commit which brings it in can be compared.
fn at_commit(repository: &Repository, path: &Path, revision: &str) -> Result<Option<Side>> {
    let failed = |error: GitError| match error {
        GitError::UnknownRevision { .. } | GitError::Unborn { .. } => usage(error.to_string(), ""),
        error => super::report(error, None),
    };
    let commit = repository.resolve(revision).map_err(failed)?;
    let files = repository.files(&commit).map_err(failed)?;
    let tree = Tree(&files);
    let below = Below::new(&tree, &folder(repository, path));
    if below.read(MANIFEST).is_err() {
        return Ok(None);
    }
    Ok(Some(Side {
        name: format!("`{revision}`"),
        project: Project::load(&below),
    }))
}

/// The project's folder as a path from the repository's root, with `/`.
fn folder(repository: &Repository, path: &Path) -> String {
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

/// Who compares with HEAD may mean what is not committed yet.
fn hint_at_uncommitted(repository: &Repository) {
    // Whether there is a hint is no reason to fail.
    let changed = repository.uncommitted().unwrap_or_default();
    let sources: Vec<&String> = changed
        .iter()
        .filter(|path| path.ends_with(".ord") || path.ends_with(MANIFEST))
        .collect();
    if let Some(first) = sources.first() {
        let more = match sources.len() {
            1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        terminal::say(&format!(
            "hint: {first}{more} differs from HEAD and is not compared; `--worktree` compares the files on disk"
        ));
    }
}

/// Builds one side, and returns its objects and the namespace of the environment.
fn objects(side: &Side, env: Option<&str>) -> Result<(Vec<SetObject>, Option<String>)> {
    if let Some(name) = env
        && !side.project.environments().iter().any(|e| e.name == name)
        && !side.project.has_syntax_errors()
    {
        return Ok((Vec::new(), None));
    }
    let options = BuildOptions {
        env: env.map(str::to_owned),
        cluster: None,
    };
    let built = build(&side.project, &options);
    if !built.is_ok() {
        super::check::show(&built.diagnostics, &side.project);
        return Err(miette!(
            help = "mend it first: there is nothing to compare",
            "{} does not compile",
            side.name
        ));
    }
    let namespace = built.apps.first().map(|app| app.namespace.clone());
    let apps = built.apps.into_iter().flat_map(|app| {
        let (env, name) = (app.env, app.name);
        app.objects.into_iter().map(move |o| SetObject {
            env: env.clone(),
            app: name.clone(),
            object: o.json,
            at: Some(o.at),
        })
    });
    Ok((apps.collect(), namespace))
}
