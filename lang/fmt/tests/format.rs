//! The laws of the formatter on every `.ord` file of the repository and on random spacing of them;
//! and what it makes of one badly written file.

use std::path::{Path, PathBuf};

use ordain_lang_fmt::format;
use ordain_lang_syntax::{FileId, TokenKind, parse};
use proptest::prelude::*;

/// All `.ord` files of the repository that parse.
fn programs() -> Vec<(PathBuf, String)> {
    let mut found = texts(".ord");
    found.retain(|(_, text)| parse(FileId(0), text).diagnostics.is_empty());
    assert!(found.len() >= 5);
    found
}

/// What formatting must keep: all tokens but commas, and all comments, in order.
fn essence(text: &str) -> Vec<String> {
    let parsed = parse(FileId(0), text);
    let tree = parsed.tree();
    let mut start = 0;
    let mut out = Vec::new();
    for token in tree.tokens() {
        let text = text[start..token.end as usize].replace("\r\n", "\n");
        start = token.end as usize;
        if !matches!(token.kind, TokenKind::Whitespace | TokenKind::Comma) {
            out.push(if token.kind.is_trivia() {
                text.trim_end().into()
            } else {
                text
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
    let dump = parsed
        .tree()
        .root()
        .dump(text.as_bytes())
        .replace("\\r\\n", "\\n");
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
                // Their recorded reports name lines.
                && !path.contains("/benches/compile/errors/")
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

/// The programs in a Markdown text.
fn snippets(markdown: &str) -> Vec<String> {
    let mut snippets = Vec::new();
    let mut open: Option<String> = None;
    for line in markdown.lines() {
        match &mut open {
            Some(_) if line.trim_end() == "```" => snippets.extend(open.take()),
            Some(text) => {
                text.push_str(line);
                text.push('\n');
            }
            None if line.starts_with("```ord") => open = Some(String::new()),
            None => {}
        }
    }
    snippets
}

/// All texts of the repository with an ending.
fn texts(ending: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the folder is readable") {
            let path = entry.expect("the entry is readable").path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() && !path.is_symlink() {
                if !matches!(name.as_str(), "target" | "node_modules") && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if name.ends_with(ending)
                && let Ok(text) = std::fs::read_to_string(&path)
            {
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_laws_hold_for_every_program_in_the_documents() {
    let mut count = 0;
    for (path, markdown) in texts(".md") {
        for text in snippets(&markdown) {
            if parse(FileId(0), &text).diagnostics.is_empty() {
                holds(&path.display().to_string(), &text);
                holds(&path.display().to_string(), &text.replace('\n', "\r\n"));
                count += 1;
            }
        }
    }
    assert!(count > 100, "the documents are full of programs: {count}");
}

#[test]
fn line_ends_of_every_kind_are_one() {
    for (path, text) in programs() {
        if text.contains('\r') {
            continue;
        }
        let name = path.display().to_string();
        let crlf = text.replace('\n', "\r\n");
        assert_eq!(holds(&name, &crlf), holds(&name, &text), "{name}");
    }
    assert_eq!(
        holds("cr", "let a = 1 // b\rlet c = 2\r"),
        "let a = 1 // b\nlet c = 2\n"
    );
}

#[test]
fn wide_lines_are_opened_at_their_brackets() {
    let source = concat!(
        "let deployment = workload(\"a-rather-long-name\", image = \"registry.example.com/team/application:1.2.3\", replicas = 3)\n",
        "let nested = { metadata = { name = \"web\", labels = { app = \"web\", tier = \"frontend\" } }, spec.ports = [{ port = 80 }, { port = 443 }], more = [for k, v in settings if v != \"\" { name = k, value = v }] }\n",
        "let list = [1111111111, 2222222222, 3333333333, 4444444444, 5555555555, 6666666666, 7777777777, -8888888888]\n",
        "type Wide { first: String = \"aaaaaaaaaaaaaaaaaaaaaaa\", second: Int(1..=5) = 3, third: List<Map<String, Int>> = [] }\n",
        "fn wide(first: String, second: Int = 3, third: List<String> = [\"a\"], fourth: (Int, Int) -> Bool) -> Int = second\n",
        "let text = \"{join([\"aaaaaaaaaaaaaaaaaaaaaaaaaaaa\", \"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\", \"ccccccccccccccccccc\"])}\"\n",
        "let choice = match tier { \"frontend\" | \"backend\" => { port = 80, name = \"http\" }, \"other\" => {}, _ => { port = 8080 } }\n",
        "export { \"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": { \"name\": \"pasted\" }, \"data\": { \"key\": \"value\" } }\n",
        "let hugged = f([{ name = \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\", value = \"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\" }])\n",
        "let short = { a = 1, b = 2 } // a comment that reaches far beyond the hundredth column does not break the line before it\n",
    );
    insta::assert_snapshot!(holds("wide", source));
}

/// A generated value on one line.
fn value(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        Just("1".to_owned()),
        Just("-1".to_owned()),
        Just("256Mi".to_owned()),
        Just("null".to_owned()),
        Just("/a[/]b/".to_owned()),
        Just("name.of[\"x\"].field".to_owned()),
        Just("\"a {b} c {f({ x = [1, 2] }.x)}\"".to_owned()),
        "[a-z]{1,30}".prop_map(|text| format!("\"{text}\"")),
        Just("(1 + 2) * 3".to_owned()),
        Just("1..=3".to_owned()),
        Just("\"\"\"\n    text\n      block {a}\n    \"\"\"".to_owned()),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let inner = move || proptest::collection::vec(value(depth - 1), 0..5);
    let separated = |values: Vec<String>, breaks: u8| {
        let gap = |nth: usize| match (breaks >> (nth % 8)) & 1 {
            0 => ", ",
            _ => ",\n",
        };
        let mut out = String::new();
        for (nth, value) in values.iter().enumerate() {
            if nth > 0 {
                out.push_str(gap(nth));
            }
            out.push_str(value);
        }
        out
    };
    prop_oneof![
        2 => leaf,
        2 => (inner(), any::<u8>()).prop_map(move |(values, breaks)| format!("[{}]", separated(values, breaks))),
        3 => (inner(), any::<u8>()).prop_map(move |(values, breaks)| {
            let fields = values.iter().enumerate().map(|(nth, value)| match nth % 4 {
                0 => format!("a{nth} = {value}"),
                1 => format!("\"k {nth}\" = {value}"),
                2 => format!("b.c{nth} += [{value}]"),
                _ => format!("...{value}"),
            });
            format!("{{ {} }}", separated(fields.collect(), breaks))
        }),
        1 => (inner(), any::<u8>()).prop_map(move |(values, breaks)| {
            let values = values.iter().enumerate().map(|(nth, value)| match nth {
                0 => value.clone(),
                _ => format!("p{nth} = {value}"),
            });
            format!("call({})", separated(values.collect(), breaks))
        }),
        1 => value(depth - 1).prop_map(|value| format!("base {{ a = {value} }}")),
        1 => value(depth - 1).prop_map(|value| format!("if a then {value} else 2")),
        1 => value(depth - 1).prop_map(|value| format!("[for k, v in m if v > 1 => {value}]")),
        1 => value(depth - 1).prop_map(|value| format!("match x {{ 1 | 2 => {value}, _ if y => 3 }}")),
        1 => value(depth - 1).prop_map(|value| format!("xs.map((a, b) => {value}) ?? 1")),
        1 => value(depth - 1).prop_map(|value| format!("[{value}, // comment\n /* another */ 2]")),
    ]
    .boxed()
}

/// The widest line that could still be opened; what cannot be opened may be as wide as it is.
fn can_be_opened(line: &str) -> bool {
    let width = line
        .split("//")
        .next()
        .unwrap_or_default()
        .trim_end()
        .chars()
        .count();
    let count = |c: char| line.matches(c).count();
    let is_closed = [('[', ']'), ('{', '}'), ('(', ')')]
        .iter()
        .all(|(open, close)| count(*open) == count(*close));
    width > 100 && is_closed && !line.contains('"') && line.contains(['[', '{'])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_hold_for_generated_programs(values in proptest::collection::vec(value(4), 1..4)) {
        let text: String = values
            .iter()
            .enumerate()
            .map(|(nth, value)| format!("let v{nth} = {value}\n"))
            .collect();
        let parsed = parse(FileId(0), &text);
        prop_assume!(parsed.diagnostics.is_empty());
        let formatted = holds("generated", &text);
        for line in formatted.lines() {
            prop_assert!(!can_be_opened(line), "{}", line);
        }
        holds("generated", &text.replace('\n', "\r\n"));
    }
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
