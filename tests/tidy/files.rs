//! What every source file keeps to: a header, a length, nothing left over, no path of somebody's machine.

use super::{none, sources};

/// A file this long has more than one idea. Files under it stay under it.
const LINES_MAX: usize = 600;
/// Files that were longer when the ratchet was set, with the length they may not pass.
const LONGER: &str = include_str!("longer.txt");

#[test]
fn every_file_says_what_it_is_for() {
    let found: Vec<String> = sources(&[".rs"])
        .iter()
        .filter(|s| {
            !s.text
                .trim_start_matches("#!/usr/bin/env")
                .starts_with("//!")
        })
        .map(|s| s.path.clone())
        .collect();
    none("a file opens with `//!` and what it is for:", &found);
}

#[test]
fn files_stay_readable_in_one_sitting() {
    let limits: Vec<(&str, usize)> = LONGER
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .map(|l| {
            let (path, lines) = l.split_once(' ').expect("`path lines`");
            (path, lines.parse().expect("a number of lines"))
        })
        .collect();
    let mut found = Vec::new();
    for source in sources(&[".rs", ".ord", ".ts"]) {
        let lines = source.text.lines().count();
        match limits.iter().find(|(path, _)| *path == source.path) {
            Some((_, max)) if lines > *max => {
                found.push(format!(
                    "{}: {lines} lines, it had {max}; split it",
                    source.path
                ));
            }
            Some(_) if lines <= LINES_MAX => {
                found.push(format!(
                    "{}: {lines} lines; take it out of tests/tidy/longer.txt",
                    source.path
                ));
            }
            None if lines > LINES_MAX => found.push(format!(
                "{}: {lines} lines, the limit is {LINES_MAX}",
                source.path
            )),
            _ => {}
        }
    }
    none("one idea per file:", &found);
}

#[test]
fn nothing_is_left_over() {
    // Written in two halves, so that this file does not find itself.
    let words = [
        ["todo", "!("],
        ["unimplemented", "!("],
        ["dbg", "!("],
        ["FIX", "ME"],
        ["XX", "X "],
        ["#[ig", "nore"],
    ];
    let words: Vec<String> = words.iter().map(|w| w.concat()).collect();
    let found = lines_with(&[".rs", ".ord"], |_, line| {
        words.iter().any(|w| line.contains(w))
    });
    none("finish it, or write an issue:", &found);
}

#[test]
fn no_path_of_one_machine_is_committed() {
    // Written in two halves, so that this file does not find itself.
    let places = [
        ["/wo", "rk/main"],
        ["/wo", "rk/w-"],
        ["/wo", "rk/shared"],
        ["/ro", "ot/"],
        ["/ho", "me/"],
    ]
    .map(|p| p.concat());
    let found = lines_with(
        &[".rs", ".ord", ".toml", ".md", ".sh", ".yaml", ".snap"],
        |_, line| places.iter().any(|p| line.contains(p)),
    );
    none("name places relative to the checkout:", &found);
}

/// Returns `path:line: text` of each line that `wrong` points at.
pub(super) fn lines_with(endings: &[&str], wrong: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources(endings) {
        for (number, line) in source.text.lines().enumerate() {
            if wrong(&source.path, line) {
                found.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    found
}
