//! `ordain vendor`: fetches dependencies into the project, the only step of theirs that needs a network.

use super::report;
use crate::Outcome;
use crate::args::{Format, SourceArg};
use crate::terminal;
use crate::usage::{did_you_mean, usage};
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use ordain_lang_project::{
    Dependency, Disk, LOCK, Lock, Locked, MANIFEST, Request, VENDOR, Version, choose, dependencies,
    is_vendored, tree_hash,
};
use ordain_reconciler_source::{Revision, TreeFiles, fetch_revision};
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// Dependencies of dependencies that are followed; more is a loop or a mistake.
const ROUNDS_MAX: usize = 64;

/// Fetch the dependencies of a project into `vendor/`
///
/// Reads `[dependencies]` of `ordain.toml`, fetches what `ordain.lock` does not pin yet with git, and writes both `vendor/` and
/// `ordain.lock`; commit them. Builds never fetch anything. What is pinned stays until `--update` names it.
#[derive(clap::Args)]
pub(crate) struct VendorArgs {
    #[command(flatten)]
    source: SourceArg,

    /// Take the newest commit of this dependency's tag (can be repeated); `all` means every one
    #[arg(long, value_name = "NAME")]
    update: Vec<String>,

    /// Change nothing; exit code 1 when `vendor/` or `ordain.lock` is not as it should be
    #[arg(long)]
    check: bool,
}

/// A fetched dependency.
struct Fetched {
    locked: Locked,
    files: BTreeMap<String, Vec<u8>>,
    needs: Vec<Dependency>,
}

#[derive(Serialize)]
struct Change<'a> {
    name: &'a str,
    change: &'static str,
    version: String,
}

pub(crate) fn run(args: &VendorArgs, format: Format) -> Result<Outcome> {
    let disk = Disk::find(&args.source.path).ok_or_else(|| {
        usage(
            format!("`{}` is in no project", args.source.path.display()),
            format!("a project is a folder with an {MANIFEST}"),
        )
    })?;
    let project = ordain_lang_project::Project::load(&disk);
    let broken: Vec<_> = ordain_lang_project::check(&project)
        .into_iter()
        .filter(|found| matches!(found.code, "E0814" | "E0901"))
        .collect();
    if !broken.is_empty() {
        super::check::show(&broken, &project);
        return Ok(Outcome::Findings);
    }
    let root = disk.root();
    let before = read_lock(root)?;
    let wanted = project.manifest.dependencies.clone();
    let names: Vec<&str> = before
        .entries
        .iter()
        .map(|entry| entry.name.as_str())
        .collect();
    if let Some(name) = args
        .update
        .iter()
        .find(|name| *name != "all" && !names.contains(&name.as_str()))
    {
        return Err(usage(
            format!("there is no dependency `{name}` to update"),
            did_you_mean(name, &names, "dependencies"),
        ));
    }
    let update = |name: &str| {
        args.update
            .iter()
            .any(|wanted| wanted == "all" || wanted == name)
    };
    let mut work = Work {
        root,
        before: &before,
        scratch: tempfile::tempdir()
            .into_diagnostic()
            .wrap_err("cannot make a temporary folder")?,
        fetched: HashMap::new(),
    };
    let found = work.resolve(&project.manifest.name, &wanted, &update)?;
    let after = Lock {
        entries: found.values().map(|one| one.locked.clone()).collect(),
    };
    let changes = changes(root, &before, &after, &found)?;
    if !args.check {
        write(root, &found, &after)?;
    }
    match format {
        Format::Json => terminal::json(&serde_json::json!({ "changes": changes }))?,
        Format::Text => {
            for change in &changes {
                terminal::data(&format!(
                    "{} {} {}\n",
                    change.change, change.name, change.version
                ))?;
            }
            if changes.is_empty() {
                terminal::say("everything is vendored");
            }
        }
    }
    Ok(match args.check && !changes.is_empty() {
        true => Outcome::Findings,
        false => Outcome::Done,
    })
}

struct Work<'a> {
    root: &'a Path,
    before: &'a Lock,
    scratch: tempfile::TempDir,
    /// By repository, folder and version.
    fetched: HashMap<(String, String, Version), Fetched>,
}

impl Work<'_> {
    /// Chooses versions and fetches until nothing new is asked for.
    fn resolve(
        &mut self,
        project: &str,
        wanted: &[Dependency],
        update: &dyn Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, Fetched>> {
        let before = self.before;
        // What is pinned stays as long as it does what is asked for.
        let lifted = |wanted: &Dependency| {
            let pinned = before.get(&wanted.name).filter(|locked| {
                locked.git == wanted.git
                    && locked.path == wanted.path
                    && !update(&wanted.name)
                    && wanted.version.compare(&locked.version) == Some(Ordering::Less)
            });
            let version = pinned.map_or(&wanted.version, |locked| &locked.version);
            Dependency {
                version: version.clone(),
                ..wanted.clone()
            }
        };
        let mine = |wanted: &Dependency| Request {
            by: project.to_owned(),
            wanted: lifted(wanted),
        };
        let mut requests: Vec<Request> = wanted.iter().map(mine).collect();
        for _ in 0..ROUNDS_MAX {
            let chosen = choose(&requests).map_err(|conflict| {
                report(
                    conflict,
                    Some(
                        "ask for versions with the same first number, or for the same commit"
                            .to_owned(),
                    ),
                )
            })?;
            for dependency in chosen.values() {
                self.fetch(dependency, update(&dependency.name))?;
            }
            let mut next: Vec<Request> = wanted.iter().map(mine).collect();
            let mut reached = BTreeSet::new();
            let mut todo: Vec<&str> = wanted.iter().map(|wanted| wanted.name.as_str()).collect();
            while let Some(name) = todo.pop() {
                let Some(dependency) = chosen.get(name).filter(|_| reached.insert(name.to_owned()))
                else {
                    continue;
                };
                for need in &self.fetched[&key(dependency)].needs {
                    next.push(Request {
                        by: name.to_owned(),
                        wanted: lifted(need),
                    });
                    if let Some((known, _)) = chosen.get_key_value(&need.name) {
                        todo.push(known);
                    }
                }
            }
            let names = |requests: &[Request]| -> BTreeSet<String> {
                requests
                    .iter()
                    .map(|r| format!("{} {} {}", r.by, r.wanted.name, r.wanted.version))
                    .collect()
            };
            if names(&next) == names(&requests) {
                return Ok(chosen
                    .into_iter()
                    .filter(|(name, _)| reached.contains(name))
                    .filter_map(|(name, dependency)| {
                        Some((name, self.fetched.remove(&key(&dependency))?))
                    })
                    .collect());
            }
            requests = next;
        }
        Err(miette!("the dependencies ask for ever more dependencies"))
    }

    fn fetch(&mut self, dependency: &Dependency, update: bool) -> Result<()> {
        let Dependency {
            name,
            git,
            version,
            path,
            ..
        } = dependency;
        if self.fetched.contains_key(&key(dependency)) {
            return Ok(());
        }
        let pinned = self.before.get(name).filter(|locked| {
            locked.git == *git && locked.path == *path && locked.version == *version && !update
        });
        // What is there and is what is pinned needs no network.
        if let Some(locked) = pinned {
            let files = vendored_files(&self.root.join(VENDOR).join(name))?;
            if hash(&files) == locked.hash {
                let fetched = fetched(locked.clone(), files);
                self.fetched.insert(key(dependency), fetched);
                return Ok(());
            }
        }
        let url = absolute(self.root, git);
        let folder = self.scratch.path().join(self.fetched.len().to_string());
        terminal::say(&format!("fetching {name} ({version}) from {git}"));
        let revision = match (pinned, version) {
            (Some(locked), _) => Revision::Commit(&locked.commit),
            (None, Version::Tag(tag)) => Revision::Tag(tag),
            (None, Version::Commit(commit)) => Revision::Commit(commit),
        };
        let help = || Some(format!("it is what `{name}` in {MANIFEST} asks for"));
        let (repository, commit) =
            fetch_revision(&folder, &url, revision).map_err(|error| report(error, help()))?;
        let tree = repository
            .files(&commit)
            .map_err(|error| report(error, help()))?;
        let files = take(&tree, path)
            .wrap_err_with(|| format!("cannot use {name} ({version}) from {git}"))?;
        let locked = Locked {
            name: name.clone(),
            git: git.clone(),
            version: version.clone(),
            path: path.clone(),
            commit: commit.to_string(),
            hash: hash(&files),
        };
        if let Some(pinned) = pinned
            && pinned.hash != locked.hash
        {
            return Err(miette!(
                help = "somebody changed the repository or `ordain.lock`; look at it, then pin it anew with `--update`",
                "commit {commit} of {name} has not the content that {LOCK} pins"
            ));
        }
        self.fetched.insert(key(dependency), fetched(locked, files));
        Ok(())
    }
}

fn key(dependency: &Dependency) -> (String, String, Version) {
    (
        dependency.git.clone(),
        dependency.path.clone(),
        dependency.version.clone(),
    )
}

fn fetched(locked: Locked, files: BTreeMap<String, Vec<u8>>) -> Fetched {
    let manifest = files
        .get(MANIFEST)
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    Fetched {
        locked,
        needs: manifest.map_or_else(Vec::new, |text| dependencies(&text)),
        files,
    }
}

/// The files of a commit that are vendored, from a folder of it.
fn take(tree: &TreeFiles, folder: &str) -> Result<BTreeMap<String, Vec<u8>>> {
    let prefix = match folder {
        "" => String::new(),
        folder => format!("{folder}/"),
    };
    if let Some(link) = tree
        .links()
        .find(|path| path.strip_prefix(&prefix).is_some_and(is_vendored))
    {
        return Err(miette!(
            help = "a link may lead anywhere; ask for a version that has the file itself",
            "`{link}` is a symbolic link"
        ));
    }
    let mut files = BTreeMap::new();
    for path in tree.list() {
        let Some(own) = path.strip_prefix(&prefix).filter(|own| is_vendored(own)) else {
            continue;
        };
        let content = tree.read(path).map_err(|error| report(error, None))?;
        files.insert(own.to_owned(), content);
    }
    if !files.contains_key(MANIFEST) {
        return Err(miette!(
            help = "say which folder of the repository with `path = \"…\"`",
            "there is no {MANIFEST} in {}",
            if folder.is_empty() {
                "its root"
            } else {
                folder
            }
        ));
    }
    Ok(files)
}

/// A path is meant from the project's root; a URL is itself.
fn absolute(root: &Path, git: &str) -> String {
    let is_path = git.starts_with('.') || git.starts_with('/');
    match is_path {
        true => root.join(git).display().to_string(),
        false => git.to_owned(),
    }
}

fn hash(files: &BTreeMap<String, Vec<u8>>) -> String {
    tree_hash(
        files
            .iter()
            .map(|(path, content)| (path.as_str(), content.as_slice())),
    )
}

fn read_lock(root: &Path) -> Result<Lock> {
    match fs::read_to_string(root.join(LOCK)) {
        Ok(text) => Lock::parse(&text).map_err(|why| {
            miette!(
                help = "restore it from git, or remove it to pin everything anew",
                "{LOCK} cannot be read: {why}"
            )
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Lock::default()),
        Err(error) => Err(error)
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot read {LOCK}")),
    }
}

/// The files of a dependency as they lie in `vendor/`; links and hidden files are none.
fn vendored_files(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut todo = vec![(folder.to_owned(), String::new())];
    while let Some((folder, prefix)) = todo.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let entry = entry.into_diagnostic()?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let kind = entry.file_type().into_diagnostic()?;
            if name.starts_with('.') {
                continue;
            }
            if kind.is_dir() {
                todo.push((entry.path(), format!("{path}/")));
            } else {
                let content = fs::read(entry.path())
                    .into_diagnostic()
                    .wrap_err_with(|| format!("cannot read {}", entry.path().display()))?;
                // A link is no file of ours: with another content the hash tells, so that it is written anew.
                files.insert(
                    path,
                    if kind.is_file() {
                        content
                    } else {
                        b"a link".to_vec()
                    },
                );
            }
        }
    }
    Ok(files)
}

fn changes<'a>(
    root: &Path,
    before: &'a Lock,
    after: &'a Lock,
    found: &BTreeMap<String, Fetched>,
) -> Result<Vec<Change<'a>>> {
    let mut changes = Vec::new();
    for entry in &after.entries {
        let change = match before.get(&entry.name) {
            None => "add",
            Some(old) if old != entry => "change",
            Some(_)
                if vendored_files(&root.join(VENDOR).join(&entry.name))?
                    != found[&entry.name].files =>
            {
                "restore"
            }
            Some(_) => continue,
        };
        changes.push(Change {
            name: &entry.name,
            change,
            version: entry.version.to_string(),
        });
    }
    for entry in before
        .entries
        .iter()
        .filter(|entry| after.get(&entry.name).is_none())
    {
        changes.push(Change {
            name: &entry.name,
            change: "remove",
            version: entry.version.to_string(),
        });
    }
    let known: BTreeSet<&str> = changes.iter().map(|change| change.name).collect();
    if let Some(stray) = strays(root, after)?
        .iter()
        .find(|stray| !known.contains(stray.as_str()))
    {
        terminal::say(&format!(
            "{VENDOR}/{stray} belongs to no dependency; remove it"
        ));
    }
    Ok(changes)
}

/// Folders in `vendor/` that no dependency has.
fn strays(root: &Path, lock: &Lock) -> Result<Vec<String>> {
    let Ok(entries) = fs::read_dir(root.join(VENDOR)) else {
        return Ok(Vec::new());
    };
    let mut strays = Vec::new();
    for entry in entries {
        let name = entry
            .into_diagnostic()?
            .file_name()
            .to_string_lossy()
            .into_owned();
        if !name.starts_with('.') && lock.get(&name).is_none() {
            strays.push(name);
        }
    }
    Ok(strays)
}

fn write(root: &Path, found: &BTreeMap<String, Fetched>, lock: &Lock) -> Result<()> {
    let old = read_lock(root)?;
    for entry in old
        .entries
        .iter()
        .filter(|entry| lock.get(&entry.name).is_none())
    {
        remove(&root.join(VENDOR).join(&entry.name))?;
    }
    for (name, fetched) in found {
        let folder = root.join(VENDOR).join(name);
        if vendored_files(&folder)? == fetched.files {
            continue;
        }
        remove(&folder)?;
        for (path, content) in &fetched.files {
            let file: PathBuf = path
                .split('/')
                .fold(folder.clone(), |at, part| at.join(part));
            let made = file.parent().map_or(Ok(()), fs::create_dir_all);
            made.and_then(|()| fs::write(&file, content))
                .into_diagnostic()
                .wrap_err_with(|| format!("cannot write {}", file.display()))?;
        }
    }
    let path = root.join(LOCK);
    if lock.entries.is_empty() && !path.exists() {
        return Ok(());
    }
    fs::write(&path, lock.to_text())
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot write {}", path.display()))
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error)
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot remove {}", folder.display())),
        _ => Ok(()),
    }
}
