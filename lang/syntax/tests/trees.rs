//! Snapshots of the lossless tree and the diagnostics for every program in `ok/` and `err/`.

use std::fmt::Write as _;
use std::path::Path;

use ordain_lang_syntax::{Diagnostic, Sources, parse};

fn render(name: &str, source: &[u8], diagnostics: &[Diagnostic]) -> String {
    let mut sources = Sources::new();
    sources.add(name, String::from_utf8_lossy(source).into_owned());
    let mut out = String::new();
    for diagnostic in diagnostics {
        let _ = writeln!(out, "{}: {}", diagnostic.code, diagnostic.message);
        for label in &diagnostic.labels {
            let at = sources.line_col(label.span);
            let text = &source[label.span.range()];
            let text = String::from_utf8_lossy(&text[..text.len().min(40)]).into_owned();
            let _ = writeln!(out, "  {}:{} {text:?} {}", at.line, at.column, label.text);
        }
        if let Some(help) = &diagnostic.help {
            let _ = writeln!(out, "  help: {help}");
        }
    }
    out
}

fn check(path: &Path) -> (String, String) {
    let source = std::fs::read(path).expect("the test's file is readable");
    let mut sources = Sources::new();
    let file = sources.add("test.ord", "");
    let parsed = parse(file, &source);
    let tree = parsed.tree();
    let mut text = Vec::new();
    tree.root().write_text(&source, &mut text);
    assert_eq!(
        text,
        source,
        "the tree of {} holds its text",
        path.display()
    );
    (
        tree.root().dump(&source),
        render("test.ord", &source, &parsed.diagnostics),
    )
}

fn programs(folder: &str) -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("the entry is readable").path())
        .collect();
    paths.sort();
    paths
}

#[test]
fn good_programs_parse_without_a_word() {
    for path in programs("ok") {
        let (tree, diagnostics) = check(&path);
        assert_eq!(diagnostics, "", "{}", path.display());
        let name = path
            .file_stem()
            .expect("a file has a name")
            .to_string_lossy()
            .into_owned();
        insta::assert_snapshot!(format!("ok__{name}"), tree);
    }
}

#[test]
fn mistakes_are_reported_once_each() {
    for path in programs("err") {
        let (_, diagnostics) = check(&path);
        assert_ne!(diagnostics, "", "{}", path.display());
        let name = path
            .file_stem()
            .expect("a file has a name")
            .to_string_lossy()
            .into_owned();
        insta::assert_snapshot!(format!("err__{name}"), diagnostics);
    }
}
