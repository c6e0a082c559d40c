//! Half-written, torn and huge files: every question is answered, nothing fails inside.

mod client;

use client::{Client, modern, position};
use serde_json::json;

/// Asks everything at a place; an internal failure is the only wrong answer.
fn ask_all(client: &mut Client, file: &str, offset: usize) {
    let uri = client.uri(file);
    let text = client.texts[file].clone();
    let document = json!({ "uri": uri });
    let at = position(&text, offset);
    let all = json!({ "start": position(&text, 0), "end": position(&text, text.len()) });
    let here = json!({ "textDocument": document, "position": at });
    let whole = json!({ "textDocument": document });
    let mut with = |method: &str, params: serde_json::Value| {
        let answer = client.ask(method, params);
        let answer = serde_json::to_value(answer).expect("JSON");
        let code = answer["error"]["code"].as_i64();
        assert_ne!(
            code,
            Some(-32603),
            "{method} at {offset} of:\n{text}\n{answer}"
        );
        assert_ne!(code, Some(-32602), "{method}: {answer}");
    };
    for method in [
        "textDocument/completion",
        "textDocument/hover",
        "textDocument/signatureHelp",
        "textDocument/definition",
        "textDocument/typeDefinition",
        "textDocument/documentHighlight",
        "textDocument/prepareRename",
    ] {
        with(method, here.clone());
    }
    for method in [
        "textDocument/documentSymbol",
        "textDocument/foldingRange",
        "textDocument/semanticTokens/full",
    ] {
        with(method, whole.clone());
    }
    let range = json!({ "textDocument": document, "range": all });
    with("textDocument/inlayHint", range.clone());
    with("textDocument/semanticTokens/range", range);
    let options = json!({ "tabSize": 2, "insertSpaces": true });
    with(
        "textDocument/formatting",
        json!({ "textDocument": document, "options": options }),
    );
    with(
        "textDocument/codeAction",
        json!({ "textDocument": document, "range": all, "context": { "diagnostics": [] } }),
    );
    with(
        "textDocument/selectionRange",
        json!({ "textDocument": document, "positions": [at] }),
    );
    with(
        "textDocument/references",
        json!({ "textDocument": document, "position": at, "context": { "includeDeclaration": true } }),
    );
    with(
        "textDocument/rename",
        json!({ "textDocument": document, "position": at, "newName": "other" }),
    );
    with("ordain/settled", json!(null));
}

const SOURCE: &str = include_str!("../../../examples/shop/server.ord");
const ENVS: &str = include_str!("../../../examples/shop/envs.ord");
const SHOP: &str = include_str!("../../../examples/shop/shop.ord");

fn shop() -> Client {
    let files = [
        ("ordain.toml", "name = \"shop\"\n"),
        ("server.ord", SOURCE),
        ("shop.ord", SHOP),
        ("envs.ord", ENVS),
    ]
    .map(|(name, text)| (name.to_owned(), text.to_owned()));
    Client::start(&files, modern())
}

/// Chance that is the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % limit.max(1)
    }
}

fn boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[test]
fn a_file_cut_off_anywhere_is_answered() {
    let mut client = shop();
    for (file, text, stride) in [("server.ord", SOURCE, 331), ("envs.ord", ENVS, 173)] {
        client.open(file);
        for end in (0..text.len()).step_by(stride) {
            let end = boundary(text, end);
            let now = client.texts[file].len();
            client.change(file, 0..now, &text[..end]);
            ask_all(&mut client, file, end);
        }
    }
    client.stop();
}

#[test]
fn a_file_torn_anywhere_is_answered() {
    let mut client = shop();
    client.open("envs.ord");
    client.open("shop.ord");
    let mut chance = Chance(7);
    let pieces = [
        "{", "}", "\"", "[", "]", "(", "\"\"\"", ".", " = ", "\n", "env ", "«", "𝄞", "/*", "use ",
    ];
    for turn in 0..20 {
        let (file, original) = if turn % 2 == 0 {
            ("envs.ord", ENVS)
        } else {
            ("shop.ord", SHOP)
        };
        let text = client.texts[file].clone();
        let from = boundary(&text, chance.below(text.len() + 1));
        let to = boundary(&text, (from + chance.below(9)).min(text.len()));
        let to = to.max(from);
        let piece = pieces[chance.below(pieces.len())];
        client.change(file, from..to, piece);
        ask_all(&mut client, file, from + piece.len());
        if turn % 7 == 6 {
            let now = client.texts[file].len();
            client.change(file, 0..now, original);
        }
    }
    client.stop();
}

#[test]
fn huge_and_deep_files_are_answered() {
    let deep = format!("let a = {}1{}\n", "[".repeat(5_000), "]".repeat(5_000));
    let long = format!("let a = \"{}\"\n", "x".repeat(300_000));
    let wide = format!("let a = [{}]\n", "1, ".repeat(20_000));
    let dots = format!("let a = b{}\n", ".c".repeat(2_000));
    let sum = format!("let a = 1{}\n", " + 1".repeat(3_000));
    let binary: String = (0..2_000)
        .map(|at| char::from_u32(at % 600).unwrap_or(' '))
        .collect();
    for text in [deep, long, wide, dots, sum, binary] {
        let files = [
            ("ordain.toml", "name = \"x\"\n".to_owned()),
            ("a.ord", "".to_owned()),
        ];
        let files = files.map(|(name, text)| (name.to_owned(), text));
        let mut client = Client::start(&files, modern());
        client.open("a.ord");
        client.change("a.ord", 0..0, &text);
        ask_all(&mut client, "a.ord", 10);
        let end = boundary(&text, text.len() - 1);
        ask_all(&mut client, "a.ord", end);
        client.stop();
    }
}
