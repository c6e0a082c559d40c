//! The limits of a source: each has a diagnostic of its own, and what lies within them is read.

use ordain_lang_syntax::{FileId, MAX_BYTES, MAX_DEPTH, parse};

fn codes(source: &str) -> Vec<&'static str> {
    let found = parse(FileId(0), source).diagnostics;
    found.iter().map(|found| found.code).collect()
}

#[test]
fn a_file_has_a_size() {
    let program = "let a = 1\n";
    let blank = |length: usize| program.to_owned() + &" ".repeat(length - program.len());
    assert_eq!(codes(&blank(MAX_BYTES)), [""; 0]);
    let parsed = parse(FileId(0), blank(MAX_BYTES + 1));
    assert_eq!(parsed.diagnostics.len(), 1);
    let found = &parsed.diagnostics[0];
    assert_eq!(found.code, "E0907");
    assert!(found.help.is_some() && found.span().is_some());
    assert!(parsed.file.items.is_empty());
}

#[test]
fn values_nest_so_deep_and_no_deeper() {
    let nested = |depth: usize| format!("let a = {}1{}\n", "[".repeat(depth), "]".repeat(depth));
    let most = MAX_DEPTH as usize;
    assert_eq!(codes(&nested(most / 2)), [""; 0]);
    assert_eq!(codes(&nested(10 * most)).len(), 1);
}
