//! Recorded snapshots: where they are, and how they differ.

use std::collections::BTreeMap;

use ordain_lang_syntax::{Diagnostic, Span};
use serde::Serialize;

use crate::files::{Files, FilesError};

/// The folder of recorded snapshots, in a project's root.
pub const SNAPSHOTS: &str = "snapshots";

/// Differing lines that a message shows of each side.
const SHOWN_LINES: usize = 12;

/// How a snapshot compares with the recorded one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotState {
    /// It is as recorded.
    Same,
    /// None is recorded.
    New,
    /// It differs from the recorded one.
    Changed,
}

/// A value that a test compares with its recorded text.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    /// The file, from the project's root.
    pub path: String,
    /// Where it is taken.
    #[serde(skip)]
    pub span: Span,
    /// The value as YAML; secrets are masked.
    pub text: String,
    /// The recorded text.
    pub recorded: Option<String>,
    /// How the two compare.
    pub state: SnapshotState,
    #[serde(skip)]
    unreadable: Option<String>,
}

impl Snapshot {
    /// Compares a value with what is recorded at the path.
    pub(super) fn compare(files: &dyn Files, path: String, span: Span, text: String) -> Snapshot {
        let (recorded, unreadable) = match files.read(&path) {
            // Git may have made the line ends those of Windows.
            Ok(bytes) => (
                Some(String::from_utf8_lossy(&bytes).replace("\r\n", "\n")),
                None,
            ),
            Err(FilesError::NotFound(_)) => (None, None),
            Err(error) => (None, Some(error.to_string())),
        };
        let state = match &recorded {
            None => SnapshotState::New,
            Some(recorded) if *recorded == text => SnapshotState::Same,
            Some(_) => SnapshotState::Changed,
        };
        Snapshot {
            path,
            span,
            text,
            recorded,
            state,
            unreadable,
        }
    }

    /// What is wrong with it, if anything.
    pub(super) fn difference(&self, env: Option<&str>) -> Option<Diagnostic> {
        let mut diagnostic = match (self.state, &self.recorded) {
            (SnapshotState::Same, _) => return None,
            (_, Some(recorded)) => Diagnostic::error("E0524", "the snapshot differs")
                .label(self.span, format!("recorded in `{}`", self.path))
                .note(differing_lines(recorded, &self.text))
                .help("if the new value is right, record it with `ordain test --update`"),
            (_, None) => Diagnostic::error("E0524", "the snapshot is not recorded")
                .label(self.span, format!("there is no `{}`", self.path))
                .help("record it with `ordain test --update`, and commit the file"),
        };
        if let Some(why) = &self.unreadable {
            diagnostic = diagnostic.note(why.clone());
        }
        diagnostic.env = env.map(str::to_owned);
        Some(diagnostic)
    }
}

/// The warning about a recorded snapshot that no test takes.
pub(super) fn orphan(path: &str) -> Diagnostic {
    Diagnostic::warning("W0501", format!("no test takes the snapshot `{path}`"))
        .help("remove the file, or let `ordain test --update` do it")
}

/// The lines from the first to the last difference, those of the recorded text with `-`, the new
/// ones with `+`.
fn differing_lines(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let same = |pair: &(&&str, &&str)| pair.0 == pair.1;
    let before = old.iter().zip(&new).take_while(same).count();
    let after = old[before..]
        .iter()
        .rev()
        .zip(new[before..].iter().rev())
        .take_while(same)
        .count();
    let mut out = format!("from line {} on:", before + 1);
    for (sign, lines) in [
        ('-', &old[before..old.len() - after]),
        ('+', &new[before..new.len() - after]),
    ] {
        for line in lines.iter().take(SHOWN_LINES) {
            out.push_str(&format!("\n{sign} {line}"));
        }
        if lines.len() > SHOWN_LINES {
            out.push_str(&format!(
                "\n{sign} … {} lines more",
                lines.len() - SHOWN_LINES
            ));
        }
    }
    out
}

/// Gives every snapshot of a project its file.
#[derive(Default)]
pub(super) struct Paths {
    /// How many snapshots have a name so far.
    used: BTreeMap<String, usize>,
    given: Vec<String>,
}

impl Paths {
    /// The files of the snapshots of a test: `snapshots/FILE/NAME.yaml`, the second with `-2`.
    pub(super) fn of(&mut self, file: &str, test: &str, count: usize) -> Vec<String> {
        let module = file.strip_suffix(".ord").unwrap_or(file);
        // A single file may be named by a path that leads elsewhere.
        let module = module.rsplit("../").next().unwrap_or(module);
        let stem = format!(
            "{SNAPSHOTS}/{}/{}",
            module.trim_start_matches(['/', '.']),
            slug(test)
        );
        (0..count)
            .map(|_| {
                let used = self.used.entry(stem.clone()).or_default();
                *used += 1;
                let path = match *used {
                    1 => format!("{stem}.yaml"),
                    n => format!("{stem}-{n}.yaml"),
                };
                self.given.push(path.clone());
                path
            })
            .collect()
    }

    /// The recorded files that were given to no snapshot.
    pub(super) fn orphans(&self, files: &dyn Files) -> Vec<String> {
        let folder = format!("{SNAPSHOTS}/");
        let mut orphans: Vec<String> = files
            .list()
            .unwrap_or_default()
            .into_iter()
            .filter(|path| path.starts_with(&folder) && path.ends_with(".yaml"))
            .filter(|path| !self.given.contains(path))
            .collect();
        orphans.sort_unstable();
        orphans
    }
}

/// A name as a file may have it: small letters, digits and `-`.
fn slug(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for letter in name.chars() {
        if letter.is_alphanumeric() {
            out.extend(letter.to_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    let out = out.trim_end_matches('-');
    match out {
        "" => "test".to_owned(),
        out => out.chars().take(80).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_snapshot_has_a_file_of_its_own() {
        let mut paths = Paths::default();
        assert_eq!(
            paths.of("a/envs.ord", "Prod is redundant!", 2),
            [
                "snapshots/a/envs/prod-is-redundant.yaml",
                "snapshots/a/envs/prod-is-redundant-2.yaml"
            ]
        );
        assert_eq!(
            paths.of("a/envs.ord", "prod: is redundant", 1),
            ["snapshots/a/envs/prod-is-redundant-3.yaml"]
        );
        assert_eq!(paths.of("../../x.ord", "…", 1), ["snapshots/x/test.yaml"]);
    }

    #[test]
    fn only_the_lines_that_differ_are_shown() {
        assert_eq!(
            differing_lines("a\nb\nc\nd\n", "a\nx\nc\nd\n"),
            "from line 2 on:\n- b\n+ x"
        );
        assert_eq!(differing_lines("a\n", "a\nb\n"), "from line 2 on:\n+ b");
    }
}
