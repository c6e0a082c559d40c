//! Checks about the code itself, run by plain `cargo test`. They read files and Cargo's graph; they build nothing.

mod arrows;
mod files;
mod layout;
mod pages;
mod purity;

use std::fs;
use std::path::{Path, PathBuf};

/// A tracked text file of the checkout: its path from the root, with `/`, and what it holds.
struct Source {
    path: String,
    text: String,
}

/// Returns every file with one of `endings` below the root, without `target`, `node_modules` and hidden folders.
fn sources(endings: &[&str]) -> Vec<Source> {
    fn walk(root: &Path, dir: &Path, endings: &[&str], found: &mut Vec<Source>) {
        let mut entries: Vec<PathBuf> = fs::read_dir(dir)
            .expect("a folder of the checkout")
            .flatten()
            .map(|e| e.path())
            .collect();
        entries.sort();
        for path in entries {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if name.starts_with('.') || name == "target" || name == "node_modules" {
                continue;
            }
            if path.is_dir() {
                walk(root, &path, endings, found);
            } else if endings.iter().any(|e| name.ends_with(e))
                && let Ok(text) = fs::read_to_string(&path)
            {
                let path = path.strip_prefix(root).expect("it is below the root");
                found.push(Source {
                    path: path.to_string_lossy().replace('\\', "/"),
                    text,
                });
            }
        }
    }
    let root = ordain_tests::root();
    let mut found = Vec::new();
    walk(&root, &root, endings, &mut found);
    assert!(
        !found.is_empty(),
        "no file ends in {endings:?}: the walk is broken"
    );
    found
}

/// Fails with one line per finding.
#[track_caller]
fn none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}\n  {}\n", findings.join("\n  "));
}
