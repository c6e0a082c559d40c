//! Paths: the files of `use crd` and `use text`, and the modules of a folder.
//!
//! Looks at one folder at a time, and into no more files than fit the budget below.

use ordain_lang_project::{Entry, crd_paths};

use super::{At, Kind, Proposal};
use crate::features::references::is_name;

/// How many bytes of files are read for one answer, to tell which declare kinds.
const READ_MAX: usize = 16 << 20;
/// Of files up to this size the kinds are named; it bounds how long an answer takes.
const NAMED_MAX: usize = 512 << 10;
/// How many kinds of a file are named.
const KINDS_SHOWN: usize = 3;
/// What a file with kinds to use contains.
const DEFINITION: &str = "CustomResourceDefinition";

/// Files that are no sources, and folders: beside the module, then from the project's root.
pub(super) fn texts(at: &At<'_, '_>) -> Vec<Proposal> {
    let (folder, begun) = match at.typed.prefix.rfind('/') {
        Some(slash) => at.typed.prefix.split_at(slash + 1),
        None => ("", &*at.typed.prefix),
    };
    let mut found: Vec<Proposal> = Vec::new();
    for inside in crd_paths(&own_folder(at), &format!("{folder}x")) {
        let looked = inside.strip_suffix('x').unwrap_or(&inside);
        let entries = at.files.entries(looked.trim_end_matches('/'));
        let entries = entries.unwrap_or_default().into_iter();
        for entry in entries.filter(|entry| is_shown(entry, begun)) {
            let written = format!("{folder}{}", entry.name);
            if found
                .iter()
                .any(|one| one.label.trim_end_matches('/') == written)
            {
                continue;
            }
            found.push(match entry.is_folder {
                true => Proposal::new(format!("{written}/"), Kind::Folder, "folder").ranked(3),
                false if entry.name.ends_with(".ord") => continue,
                false => Proposal::new(written, Kind::File, "text").ranked(1),
            });
        }
    }
    found
}

/// The folder of the module; empty for a single file, which is where its paths start.
fn own_folder(at: &At<'_, '_>) -> String {
    let own = at.view.project.sources.path(at.view.file);
    match at.view.project.is_single {
        true => String::new(),
        false => own
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder)
            .to_owned(),
    }
}

/// Files that declare kinds, and folders that may hold some: beside the module, then from the project's root.
pub(super) fn crds(at: &At<'_, '_>) -> Vec<Proposal> {
    let (folder, begun) = match at.typed.prefix.rsplit_once('/') {
        Some((_, begun)) => at
            .typed
            .prefix
            .split_at(at.typed.prefix.len() - begun.len()),
        None => ("", &*at.typed.prefix),
    };
    let own = own_folder(at);
    let mut found = Vec::new();
    let (mut budget, mut named) = (READ_MAX, NAMED_MAX);
    // What a path means is asked of a name in the folder: the folder may be the root itself.
    for inside in crd_paths(&own, &format!("{folder}x")) {
        let looked = inside.strip_suffix('x').unwrap_or(&inside);
        let looked = looked.trim_end_matches('/');
        let entries = at.files.entries(looked).unwrap_or_default();
        for entry in entries.into_iter().filter(|entry| is_shown(entry, begun)) {
            let written = format!("{folder}{}", entry.name);
            if entry.is_folder {
                let made = Proposal::new(format!("{written}/"), Kind::Folder, "folder");
                found.push(made.ranked(3));
                continue;
            }
            let path = match looked {
                "" => entry.name.clone(),
                looked => format!("{looked}/{}", entry.name),
            };
            if budget == 0 || !may_declare(&entry.name) {
                continue;
            }
            let Ok(bytes) = at.files.read(&path) else {
                continue;
            };
            budget = budget.saturating_sub(bytes.len());
            let text = String::from_utf8_lossy(&bytes);
            if !text.contains(DEFINITION) {
                continue;
            }
            let mut detail = "kinds".to_owned();
            if text.len() <= named {
                named -= text.len();
                let (crds, _) = ordain_lang_crd::parse(&text);
                if crds.is_empty() {
                    continue;
                }
                let kinds: Vec<&str> = crds.iter().map(|crd| &*crd.kind).collect();
                detail = kinds[..kinds.len().min(KINDS_SHOWN)].join(", ");
                if kinds.len() > KINDS_SHOWN {
                    detail.push_str(&format!(" and {} more", kinds.len() - KINDS_SHOWN));
                }
            }
            found.push(Proposal::new(written, Kind::File, detail).ranked(1));
        }
    }
    found
}

fn may_declare(name: &str) -> bool {
    [".yaml", ".yml", ".json"]
        .iter()
        .any(|ending| name.ends_with(ending))
}

fn is_shown(entry: &Entry, begun: &str) -> bool {
    let name = entry.name.to_lowercase();
    let is_other = matches!(&*name, "node_modules" | "target") && entry.is_folder;
    name.starts_with(&begun.to_lowercase()) && !name.starts_with('.') && !is_other
}

/// The modules and folders of modules in a folder of the files, for what is in no project.
pub(super) fn modules(at: &At<'_, '_>, before: &[&str]) -> Vec<(String, bool)> {
    let entries = at.files.entries(&before.join("/")).unwrap_or_default();
    let one = |entry: Entry| match entry.is_folder {
        true => Some((entry.name, false)),
        false => Some((entry.name.strip_suffix(".ord")?.to_owned(), true)),
    };
    let shown = entries.into_iter().filter(|entry| is_shown(entry, ""));
    shown
        .filter_map(one)
        .filter(|(name, _)| is_name(name))
        .collect()
}
