//! Codes, pages and their programs: every code of the sources has a page, every page is of a code, and its programs do as
//! they say.

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A module of the standard library for the pages' programs.
const WEB: &str = "fn name() -> String = \"web\"\n";

/// Codes that only evaluation, loading or parsing finds; their pages are run where they are found.
fn found_elsewhere(code: &str) -> bool {
    let number: u32 = code[1..].parse().unwrap_or(0);
    (code.starts_with('E') && matches!(number, 0..=99 | 230..=299 | 500..=699 | 800..))
        || (code.starts_with('W') && number >= 500)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("diagnostics")
}

/// The programs of a page: whether it fails, and its text.
fn programs(page: &str) -> Vec<(bool, String)> {
    let mut heading_fails = false;
    let mut program: Option<(bool, String)> = None;
    let mut all = Vec::new();
    for line in page.lines() {
        match &mut program {
            Some(_) if line.trim_end() == "```" => all.extend(program.take()),
            Some((_, text)) => {
                text.push_str(line);
                text.push('\n');
            }
            None if line.starts_with("```ord") => {
                program = Some((line.contains("fails") || heading_fails, String::new()));
            }
            None if line.starts_with("## ") => heading_fails = line.contains("Fails"),
            None => {}
        }
    }
    all
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let pages: BTreeSet<String> = std::fs::read_dir(folder())
        .expect("the folder is there")
        .map(|e| {
            e.expect("readable")
                .path()
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let listed: BTreeSet<String> = ordain_lang_types::codes().map(str::to_owned).collect();
    assert_eq!(
        pages, listed,
        "src/pages.rs lists what the folder diagnostics has"
    );
    let mut used = BTreeSet::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut todo = vec![root];
    while let Some(path) = todo.pop() {
        for entry in std::fs::read_dir(path).expect("the folder is there") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                todo.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("readable");
            for (at, _) in text.match_indices('"') {
                let Some(code) = text.get(at + 1..at + 6) else {
                    continue;
                };
                let is_code = code.starts_with(['E', 'W'])
                    && code[1..].bytes().all(|b| b.is_ascii_digit())
                    && text[at + 6..].starts_with('"');
                if is_code {
                    used.insert(code.to_owned());
                }
            }
        }
    }
    assert!(used.len() > 30, "codes are found in the sources");
    let without: Vec<&String> = used.difference(&pages).collect();
    assert!(without.is_empty(), "codes without a page: {without:?}");
    let stale: Vec<&String> = pages
        .iter()
        .filter(|c| !used.contains(*c) && !found_elsewhere(c))
        .collect();
    assert!(
        stale.is_empty(),
        "pages of codes that nothing uses: {stale:?}"
    );
}

#[test]
fn the_programs_of_the_pages_do_as_they_say() {
    let mut failures = Vec::new();
    for code in ordain_lang_types::codes() {
        let page = ordain_lang_types::page(code).expect("it is listed");
        if !page.starts_with(&format!("# {code}: ")) {
            failures.push(format!("{code}: the page begins with its code and a title"));
        }
        if found_elsewhere(code) {
            continue;
        }
        let programs = programs(page);
        if !programs.iter().any(|(fails, _)| *fails) || programs.iter().all(|(fails, _)| *fails) {
            failures.push(format!("{code}: a failing and a right program are needed"));
        }
        for (fails, program) in programs {
            let mut files = vec![("main.ord".to_owned(), program)];
            files.push(("std/web.ord".to_owned(), WEB.to_owned()));
            let run = support::run(&files);
            let told: Vec<&str> = run.diagnostics.iter().map(|d| d.code).collect();
            let good = if fails {
                told == [code]
            } else {
                told.is_empty()
            };
            if !good {
                let shown: Vec<String> = run
                    .diagnostics
                    .iter()
                    .map(|d| support::render(&run.sources, d))
                    .collect();
                failures.push(format!(
                    "{code} ({}): {}",
                    if fails { "fails" } else { "right" },
                    shown.join("\n")
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
