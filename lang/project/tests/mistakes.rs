//! The mistakes that people make: each program in `mistakes/` says in its first line how many there
//! are, and exactly as many diagnostics come, at the right places, with a remedy.

use std::fmt::Write as _;
use std::path::Path;

use ordain_lang_project::{BuildOptions, Project, build};

#[test]
fn every_mistake_is_reported_once() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("the entry is readable").path())
        .collect();
    paths.sort();
    let mut out = String::new();
    let mut wrong = Vec::new();
    for path in paths {
        let name = path
            .file_name()
            .expect("a file has a name")
            .to_string_lossy()
            .into_owned();
        let text = std::fs::read_to_string(&path).expect("the program is readable");
        let wanted: usize = text[3..4].parse().expect("the first line is a number");
        let project = Project::single(&name, text);
        let found = build(&project, &BuildOptions::default()).diagnostics;
        if found.len() != wanted {
            wrong.push(format!("{name}: {} instead of {wanted}", found.len()));
        }
        let _ = writeln!(out, "{name}");
        for diagnostic in &found {
            let _ = writeln!(out, "  {} {}", diagnostic.code, diagnostic.message);
            for label in &diagnostic.labels {
                let at = project.sources.line_col(label.span);
                let text = project
                    .sources
                    .slice(label.span)
                    .lines()
                    .next()
                    .unwrap_or_default();
                let _ = writeln!(out, "    {}:{} `{text}` {}", at.line, at.column, label.text);
            }
            for note in &diagnostic.notes {
                let _ = writeln!(out, "    note: {note}");
            }
            if let Some(help) = &diagnostic.help {
                let _ = writeln!(out, "    help: {help}");
            }
        }
    }
    insta::assert_snapshot!(out);
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_checker_knows_the_standard_library() {
    let known: Vec<&str> = ordain_stdlib::MODULES.iter().map(|m| m.path).collect();
    assert_eq!(known, ordain_lang_types::STANDARD_MODULES);
}
