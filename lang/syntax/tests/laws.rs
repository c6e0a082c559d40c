//! Laws of the parser, over arbitrary input: it never panics, it keeps every byte, and a mistake in
//! one item leaves the others alone.

use ordain_lang_syntax::{FileId, parse};
use proptest::prelude::*;

/// Pieces of programs, so that random input gets past the first token.
const PIECES: &[&str] = &[
    "app ",
    "env ",
    "type ",
    "fn ",
    "test ",
    "policy ",
    "use ",
    "let ",
    "export ",
    "a",
    "b",
    "Shop",
    "k8s.Deployment",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "<",
    ">",
    "=",
    ":",
    ",",
    ".",
    "?.",
    "??",
    "..=",
    "=>",
    "->",
    "+=",
    "|",
    "?",
    "\"",
    "\"\"\"",
    "{a}",
    "\\",
    "\n",
    "  ",
    "// c\n",
    "/// d\n",
    "/*",
    "*/",
    "/x/",
    "1",
    "1.5",
    "256Mi",
    "5q",
    "for ",
    "in ",
    "if ",
    "then ",
    "else ",
    "match ",
    "not ",
    "and ",
    "or ",
    "assert ",
    "deny ",
    "final ",
    "delete ",
    "must fail ",
    "-",
    "+",
    "#",
    "'",
    "ä",
    ";",
    "&&",
    "...",
];

fn keeps_every_byte(source: &[u8]) {
    let parsed = parse(FileId(0), source);
    let mut text = Vec::new();
    parsed.tree().root().write_text(source, &mut text);
    assert_eq!(text, source);
    for diagnostic in &parsed.diagnostics {
        for label in &diagnostic.labels {
            assert!(label.span.start <= label.span.end && label.span.end as usize <= source.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(source in proptest::collection::vec(any::<u8>(), 0..300)) {
        keeps_every_byte(&source);
    }

    #[test]
    fn any_pieces(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..120)) {
        keeps_every_byte(pieces.concat().as_bytes());
    }

    #[test]
    fn any_cut_of_a_program(from in 0_usize..3000, to in 0_usize..3000) {
        let source = include_bytes!("ok/everything.ord");
        let (from, to) = (from.min(source.len()), to.min(source.len()));
        keeps_every_byte(&source[from.min(to)..from.max(to)]);
        let mut holed = source[..from.min(to)].to_vec();
        holed.extend_from_slice(&source[from.max(to)..]);
        keeps_every_byte(&holed);
    }

    #[test]
    fn a_broken_item_leaves_its_neighbours_alone(
        pieces in proptest::collection::vec(proptest::sample::select(&["a", "=", "1", ",", "b", "+"][..]), 1..12),
    ) {
        let broken = format!("let before = 1\nlet x = {}\nlet after = 2\n", pieces.join(" "));
        let parsed = parse(FileId(0), &broken);
        let lets = parsed.file.items.iter().filter(|item| {
            matches!(&item.kind, ordain_lang_syntax::ast::ItemKind::Let(binding) if binding.name.name == "before" || binding.name.name == "after")
        });
        prop_assert_eq!(lets.count(), 2);
        prop_assert!(parsed.diagnostics.len() <= 1, "{:?}", parsed.diagnostics);
    }
}

#[test]
fn the_least_and_the_most_nested_inputs() {
    keeps_every_byte(b"");
    for open in [
        "[",
        "{",
        "(",
        "{a=",
        "\"{",
        "if a then ",
        "not ",
        "- ",
        "x => ",
        "a.",
        "a(",
        "a{b ",
        "f(\"{",
    ] {
        keeps_every_byte(format!("let a = {}", open.repeat(20_000)).as_bytes());
    }
    keeps_every_byte(format!("type A = {}", "List<".repeat(20_000)).as_bytes());
    keeps_every_byte(format!("let a = {}1{}", "(".repeat(20_000), ")".repeat(20_000)).as_bytes());
    keeps_every_byte(format!("let a = 1{}", " + 1".repeat(20_000)).as_bytes());
    keeps_every_byte(format!("policy \"a\" {}", "{ if a ".repeat(20_000)).as_bytes());
    keeps_every_byte(format!("let a = {{ {}", "if a {} else ".repeat(20_000)).as_bytes());
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_white_space() {
    let source = b"\xef\xbb\xbflet a = \"x\" // c\r\n\r\nlet b = 1\r\n";
    keeps_every_byte(source);
    let parsed = parse(FileId(0), source);
    assert_eq!(parsed.diagnostics, []);
    assert_eq!(parsed.file.items.len(), 2);
}
