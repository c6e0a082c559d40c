//! A folder of built objects: which file holds which object, and a list of our own files, so that a later build removes what
//! is gone and nothing else. It knows nothing of sources.

use ordain_lang_project::{App, Format, json, yaml};
use ordain_schemas::WATCH_EVENT;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

/// The file that lists what we wrote into the folder.
const LIST: &str = ".ordain-files.json";

/// What to do when [`write`] refuses or fails.
pub(crate) const REMEDY: &str =
    "`--output` wants a folder of its own; choose another, or remove the file";

/// Why a folder could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    #[error("`{}` is there and was not written by ordain", path.display())]
    Foreign { path: PathBuf },
    #[error("`{}` does not list what ordain wrote", path.display())]
    List {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("cannot write `{}`", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Files by their path below the folder, with `/`.
pub(crate) type Files = BTreeMap<String, String>;

/// What became of a folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) changed: usize,
    pub(crate) unchanged: usize,
    pub(crate) removed: usize,
    /// Files of objects that are gone, which somebody changed since they were written.
    pub(crate) kept: Vec<String>,
}

impl Written {
    /// Returns a line about it.
    pub(crate) fn summary(&self, dir: &Path) -> String {
        let mut parts = vec![format!("{} written", self.changed)];
        if self.unchanged > 0 {
            parts.push(format!("{} unchanged", self.unchanged));
        }
        if self.removed > 0 {
            parts.push(format!("{} removed", self.removed));
        }
        let mut text = format!("{}: {}", dir.display(), parts.join(", "));
        for path in &self.kept {
            text.push_str(&format!(
                "\n{path} is no longer built; it was changed by hand, so it stays"
            ));
        }
        text
    }
}

/// Names a file for every object: `ENV/APP/KIND-NAME`. The same objects get the same names.
pub(crate) fn files<A: std::borrow::Borrow<App>>(apps: &[A], format: Format) -> Files {
    let mut files = Files::new();
    for app in apps {
        let app = app.borrow();
        let folder = format!("{}/{}", word(&app.env), word(&app.name));
        // Objects of one kind and name can still differ in group or namespace.
        let mut short: BTreeMap<String, usize> = BTreeMap::new();
        for object in &app.objects {
            *short.entry(short_name(&object.json)).or_default() += 1;
        }
        for object in &app.objects {
            let mut name = short_name(&object.json);
            if short[&name] > 1 {
                name = long_name(&object.json);
            }
            let (ending, text) = match format {
                Format::Yaml => ("yaml", yaml([object])),
                Format::Json => ("json", json_object(object)),
            };
            let mut path = format!("{folder}/{name}.{ending}");
            let mut number = 2;
            while files.contains_key(&path) {
                path = format!("{folder}/{name}-{number}.{ending}");
                number += 1;
            }
            files.insert(path, text);
        }
    }
    files
}

fn json_object(object: &ordain_lang_project::Object) -> String {
    let list: serde_json::Value =
        serde_json::from_str(&json([object])).expect("what we write is JSON");
    let text = serde_json::to_string_pretty(&list[0]).expect("an object has string keys");
    text + "\n"
}

fn part<'a>(object: &'a serde_json::Value, path: &str) -> &'a str {
    object.pointer(path).and_then(|v| v.as_str()).unwrap_or("")
}

fn short_name(object: &serde_json::Value) -> String {
    let (kind, name) = (part(object, "/kind"), part(object, "/metadata/name"));
    // A message has no name, and what a watch sends not even a kind.
    let kind = if kind.is_empty() { WATCH_EVENT } else { kind };
    let kind = kind.to_lowercase();
    match name {
        "" => word(&kind),
        name => word(&format!("{kind}-{name}")),
    }
}

fn long_name(object: &serde_json::Value) -> String {
    let kind = part(object, "/kind").to_lowercase();
    let group = part(object, "/apiVersion")
        .rsplit_once('/')
        .map_or(String::new(), |(group, _)| format!(".{group}"));
    let namespace = part(object, "/metadata/namespace");
    let name = part(object, "/metadata/name");
    word(format!("{kind}{group}-{namespace}-{name}").trim_matches('-'))
}

/// A text as one part of a path, on every system: names such as `system:node` hold more than file systems allow.
fn word(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let word: String = text
        .chars()
        .map(|c| if safe(c) { c } else { '_' })
        .collect();
    match word.trim_start_matches('.') {
        "" => "_".to_owned(),
        word => word.to_owned(),
    }
}

#[derive(Default, Serialize, Deserialize)]
struct List {
    version: u32,
    /// The content's hash by path.
    files: BTreeMap<String, String>,
}

/// Makes the folder hold the files, and removes those of earlier builds that are not among them. With `env` only files of
/// that environment are removed: the others were not built this time.
///
/// # Errors
/// When a file that is not ours is in the way, before anything is written; or when writing fails.
pub(crate) fn write(dir: &Path, files: &Files, env: Option<&str>) -> Result<Written, OutputError> {
    let mut list = read_list(dir)?;
    let mut plan: Vec<(&String, &String)> = Vec::new();
    let mut written = Written::default();
    for (path, text) in files {
        let full = dir.join(path);
        match fs::read(&full) {
            Ok(there) if there == text.as_bytes() => written.unchanged += 1,
            Ok(_) if !list.files.contains_key(path) => {
                return Err(OutputError::Foreign { path: full });
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(&full)(error));
            }
            Ok(_) | Err(_) => plan.push((path, text)),
        }
    }
    let scope = env.map(|env| format!("{}/", word(env)));
    let in_scope = |path: &String| scope.as_ref().is_none_or(|scope| path.starts_with(scope));
    let stale: BTreeSet<String> = list
        .files
        .keys()
        .filter(|path| !files.contains_key(*path) && in_scope(path))
        .cloned()
        .collect();
    // What is about to be written is listed first, so that an interrupted build leaves no stranger behind.
    let before = list.files.clone();
    for (path, text) in files {
        list.files.insert(path.clone(), hash(text.as_bytes()));
    }
    if list.files != before {
        write_list(dir, &list)?;
    }
    for (path, text) in plan {
        let full = dir.join(path);
        put(&full, text)?;
        written.changed += 1;
    }
    for path in &stale {
        let listed = list.files.remove(path);
        let full = dir.join(path);
        match fs::read(&full) {
            Ok(there) if listed.as_deref() == Some(&*hash(&there)) => {
                fs::remove_file(&full).map_err(failed(&full))?;
                written.removed += 1;
                // Folders go with their last file; those that hold something refuse.
                for folder in full.ancestors().skip(1).take_while(|f| *f != dir) {
                    if fs::remove_dir(folder).is_err() {
                        break;
                    }
                }
            }
            Ok(_) => written.kept.push(full.display().to_string()),
            Err(_) => {}
        }
    }
    if !stale.is_empty() {
        write_list(dir, &list)?;
    }
    Ok(written)
}

fn read_list(dir: &Path) -> Result<List, OutputError> {
    let path = dir.join(LIST);
    match fs::read(&path) {
        Ok(bytes) => {
            let mut list: List = serde_json::from_slice(&bytes)
                .map_err(|source| OutputError::List { path, source })?;
            // The list decides what is removed: nothing outside the folder, whatever it says.
            list.files.retain(|path, _| {
                let mut parts = Path::new(path).components();
                parts.all(|part| matches!(part, Component::Normal(_)))
            });
            Ok(list)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(List {
            version: 1,
            files: BTreeMap::new(),
        }),
        Err(error) => Err(failed(&path)(error)),
    }
}

fn write_list(dir: &Path, list: &List) -> Result<(), OutputError> {
    let text = serde_json::to_string_pretty(list).expect("a list has string keys");
    put(&dir.join(LIST), &(text + "\n"))
}

fn put(path: &Path, text: &str) -> Result<(), OutputError> {
    let folder = path.parent().expect("it lies in the folder");
    fs::create_dir_all(folder).map_err(failed(folder))?;
    fs::write(path, text).map_err(failed(path))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> OutputError {
    let path = path.to_owned();
    move |source| OutputError::Write { path, source }
}

fn hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(paths: &[(&str, &str)]) -> Files {
        let pairs = paths.iter();
        pairs
            .map(|(p, t)| ((*p).to_owned(), (*t).to_owned()))
            .collect()
    }

    #[test]
    fn only_our_own_stale_files_go() {
        let temp = tempfile::tempdir().expect("a folder");
        let dir = temp.path();
        let first = set(&[
            ("dev/a/x.yaml", "1"),
            ("dev/b/y.yaml", "2"),
            ("prod/a/x.yaml", "3"),
        ]);
        assert_eq!(write(dir, &first, None).expect("written").changed, 3);
        fs::write(dir.join("dev/a/mine.txt"), "mine").expect("a file of somebody");
        fs::write(dir.join("dev/b/y.yaml"), "edited").expect("a change by hand");
        let second = write(dir, &set(&[("dev/c/z.yaml", "4")]), Some("dev")).expect("written");
        assert_eq!(
            (second.changed, second.removed, second.kept.len()),
            (1, 1, 1)
        );
        assert!(dir.join("dev/a/mine.txt").is_file());
        assert!(dir.join("prod/a/x.yaml").is_file(), "another environment");
        let third = write(dir, &set(&[]), None).expect("written");
        assert_eq!(third.removed, 2);
        assert!(!dir.join("prod").exists());
        assert!(dir.join("dev/b/y.yaml").is_file());
    }

    #[test]
    fn a_file_of_somebody_else_stops_the_build_before_it_writes() {
        let temp = tempfile::tempdir().expect("a folder");
        fs::write(temp.path().join("b.yaml"), "mine").expect("a file of somebody");
        let files = set(&[("a.yaml", "1"), ("b.yaml", "2")]);
        let refused = write(temp.path(), &files, None);
        assert!(matches!(refused, Err(OutputError::Foreign { .. })));
        assert!(!temp.path().join("a.yaml").exists());
    }

    #[test]
    fn a_list_cannot_reach_outside() {
        let temp = tempfile::tempdir().expect("a folder");
        let dir = temp.path().join("out");
        fs::create_dir(&dir).expect("a folder");
        fs::write(temp.path().join("precious"), "x").expect("a file");
        let list = serde_json::json!({ "version": 1, "files": { "../precious": hash(b"x") } });
        fs::write(dir.join(LIST), list.to_string()).expect("a list");
        write(&dir, &set(&[]), None).expect("written");
        assert!(temp.path().join("precious").is_file());
    }

    #[test]
    fn names_are_safe_and_say_no_more_than_needed() {
        assert_eq!(word("../x"), "_x");
        assert_eq!(word("system:node"), "system_node");
        assert_eq!(word(".."), "_");
    }
}
