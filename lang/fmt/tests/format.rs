//! The laws of the formatter on every `.ord` file of the repository and on random spacing of them;
//! and what it makes of one badly written file.

use std::path::{Path, PathBuf};

use ordain_lang_fmt::format;
use ordain_lang_syntax::{FileId, TokenKind, parse};
use proptest::prelude::*;

/// All `.ord` files of the repository that parse.
fn programs() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the folder is readable") {
            let path = entry.expect("the entry is readable").path();
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if name.ends_with(".ord")
                && let Ok(text) = std::fs::read_to_string(&path)
                && parse(FileId(0), &text).diagnostics.is_empty()
            {
                found.push((path, text));
            }
        }
    }
    assert!(found.len() >= 5);
    found.sort();
    found
}

/// What formatting must keep: all tokens but commas, and all comments, in order.
fn essence(text: &str) -> Vec<String> {
    let parsed = parse(FileId(0), text);
    let tree = parsed.tree();
    let mut start = 0;
    let mut out = Vec::new();
    for token in tree.tokens() {
        let text = &text[start..token.end as usize];
        start = token.end as usize;
        if !matches!(token.kind, TokenKind::Whitespace | TokenKind::Comma) {
            out.push(if token.kind.is_trivia() {
                text.trim_end().into()
            } else {
                text.to_owned()
            });
        }
    }
    out
}

fn holds(name: &str, text: &str) -> String {
    let once = format(text).unwrap_or_else(|errors| panic!("{name}: {errors:?}\n{text}"));
    let twice = format(&once).unwrap_or_else(|errors| panic!("{name}: {errors:?}\n{once}"));
    assert_eq!(once, twice, "{name}: formatting twice is formatting once");
    assert_eq!(
        essence(text),
        essence(&once),
        "{name}: nothing but white space and commas changes"
    );
    assert!(
        shape(text) == shape(&once),
        "{name}: the tree stays the same\n{once}"
    );
    once
}

/// The tree without white space, commas and comments.
fn shape(text: &str) -> String {
    let parsed = parse(FileId(0), text);
    let dump = parsed.tree().root().dump(text.as_bytes());
    let counts = |line: &&str| {
        let line = line.trim_start();
        !line.starts_with("Comma ") && !line.contains("Comment ")
    };
    dump.lines().filter(counts).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_laws_hold_for_every_program() {
    for (path, text) in programs() {
        holds(&path.display().to_string(), &text);
    }
}

/// The examples, the templates and the standard library are formatted.
#[test]
fn what_people_read_is_formatted() {
    let crooked: Vec<String> = programs()
        .into_iter()
        .filter(|(path, _)| {
            let path = path.to_string_lossy();
            ["/examples/", "/stdlib/", "/template/", "/benches/"]
                .iter()
                .any(|part| path.contains(part))
        })
        .filter(|(path, text)| holds(&path.display().to_string(), text) != *text)
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert_eq!(crooked, Vec::<String>::new(), "run `ordain fmt` on these");
}

#[test]
fn a_badly_written_file() {
    let source = "use   std.web\n\n\n\n// about a\nlet a={x=1,y  =  [1,2 ,3,],}  // trailing   \ntype  T<A , B>{\na:Map< String,List<Int> >?=null,\n\n  /// b\n        b :  Int( 1 ..= 5 )|\"x\"\n\n}\nfn f( x:Int ,y:(Int)->Bool )->Int=x+ -1*( y . z )\nexport {\"a\":1,\n\"b\":[1,\n2]}\nlet c = [{\na = 1,\nb = 2\n},\n-1,\n/x/,\n  2,\n// last\n]\nlet d =\n1 +\n2\nlet t = \"{ a }  {b+1}\"\nlet e = f( x=1 ,\ny=2 ).z [ 0 ] { q =1 }\n";
    insta::assert_snapshot!(holds("bad", source));
}

#[test]
fn mistakes_are_refused() {
    assert_eq!(format("let a = ").unwrap_err().len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Changes the white space between tokens where a line end stands already or spaces do.
    #[test]
    fn spacing_does_not_matter(seed in any::<u64>(), nth in 0_usize..64) {
        let programs = programs();
        let (path, text) = &programs[nth % programs.len()];
        let parsed = parse(FileId(0), text);
        let tree = parsed.tree();
        let mut state = seed | 1;
        let mut start = 0;
        let mut crooked = String::new();
        for token in tree.tokens() {
            let piece = &text[start..token.end as usize];
            start = token.end as usize;
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let spaces = " ".repeat((state >> 60) as usize);
            match token.kind {
                TokenKind::Whitespace if piece.contains('\n') => {
                    crooked.push_str(&spaces);
                    crooked.push('\n');
                    crooked.push_str(&spaces);
                }
                TokenKind::Whitespace => {
                    crooked.push(' ');
                    crooked.push_str(&spaces);
                }
                _ => crooked.push_str(piece),
            }
        }
        let straight = holds("crooked", &crooked);
        let blank = |text: &str| text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        let expected = holds("straight", text);
        prop_assert_eq!(blank(&straight), blank(&expected), "{}", path.display());
    }
}
