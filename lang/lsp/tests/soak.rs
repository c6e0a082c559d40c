//! Edits without a plan, through the protocol: what is shown in the end is what a fresh look at the files on disk says.

mod client;

use std::path::Path;

use client::{Client, modern};
use ordain_lang_project::{BuildOptions, Disk, Project, build};
use proptest::prelude::*;
use serde_json::Value;

/// An edit of one of the files. Numbers choose a file, a place, and what comes there.
#[derive(Clone, Debug)]
enum Edit {
    /// A line of any of the files is put in front of another one.
    Copy(usize, usize, usize),
    Remove(usize, usize),
    Type(usize, usize, char),
    /// What follows on a line is gone.
    Cut(usize, usize),
    /// The text of the start.
    Restore(usize),
    Settle,
    Ask(usize, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let any = any::<usize>;
    prop_oneof![
        3 => (any(), any(), any()).prop_map(|(file, from, to)| Edit::Copy(file, from, to)),
        3 => (any(), any()).prop_map(|(file, at)| Edit::Remove(file, at)),
        4 => (any(), any(), prop::sample::select(vec![' ', '\n', 'x', '{', '}', '"', '.', '3', '=', 'é']))
            .prop_map(|(file, at, c)| Edit::Type(file, at, c)),
        2 => (any(), any()).prop_map(|(file, at)| Edit::Cut(file, at)),
        6 => any().prop_map(Edit::Restore),
        4 => Just(Edit::Settle),
        2 => (any(), any()).prop_map(|(file, at)| Edit::Ask(file, at)),
    ]
}

/// The sources of an example.
fn example(name: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples")
        .join(name);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the example is there") {
        let path = entry.expect("it can be read").path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(name) = name.filter(|name| name.ends_with(".ord") || name.ends_with(".toml")) {
            let text = std::fs::read_to_string(&path).expect("it is text");
            files.push((name.to_owned(), text));
        }
    }
    files.sort();
    files
}

/// The bytes of a line.
fn line(text: &str, at: usize) -> std::ops::Range<usize> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let at = at % lines.len().max(1);
    let start: usize = lines.iter().take(at).map(|line| line.len()).sum();
    start..start + lines.get(at).map_or(0, |line| line.len())
}

fn boundary(text: &str, at: usize) -> usize {
    let mut at = at % (text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// What is shown, without where the folder is.
fn shown(client: &Client) -> Vec<String> {
    let root = client.uri("");
    let of = |(uri, params): (&String, &Value)| {
        let text = format!("{uri} {}", params["diagnostics"]);
        text.replace(&root, "")
    };
    client.published.iter().map(of).collect()
}

fn check(name: &str, edits: &[Edit]) {
    let files = example(name);
    let sources: Vec<&(String, String)> = files
        .iter()
        .filter(|(name, _)| name.ends_with(".ord"))
        .collect();
    let mut client = Client::start(&files, modern());
    for (name, _) in &sources {
        client.open(name);
    }
    for edit in edits {
        let source = |at: &usize| sources[at % sources.len()];
        match edit {
            Edit::Copy(file, from, to) => {
                let name = &source(file).0;
                let other = &source(from).1;
                let copied = other[line(other, *from)].to_owned();
                let at = line(&client.texts[name], *to).start;
                client.change(name, at..at, &copied);
            }
            Edit::Remove(file, at) => {
                let name = &source(file).0;
                let range = line(&client.texts[name], *at);
                client.change(name, range, "");
            }
            Edit::Type(file, at, c) => {
                let name = &source(file).0;
                let at = boundary(&client.texts[name], *at);
                client.change(name, at..at, &c.to_string());
            }
            Edit::Cut(file, at) => {
                let name = &source(file).0;
                let text = &client.texts[name];
                let from = boundary(text, *at);
                let end = text[from..].find('\n').map_or(text.len(), |end| from + end);
                client.change(name, from..end, "");
            }
            Edit::Restore(file) => {
                let (name, text) = source(file);
                let all = 0..client.texts[name].len();
                client.change(name, all, text);
            }
            Edit::Settle => client.settle(),
            Edit::Ask(file, at) => {
                let name = &source(file).0;
                let text = &client.texts[name];
                let place = client::position(text, boundary(text, *at));
                let uri = client.uri(name);
                let at = serde_json::json!({ "textDocument": { "uri": uri }, "position": place });
                for method in ["textDocument/completion", "textDocument/hover"] {
                    let answer = client.request(method, at.clone());
                    assert!(answer.get("error").is_none(), "{method}: {answer}");
                }
            }
        }
    }
    client.settle();
    let now: Vec<(String, String)> = files
        .iter()
        .map(|(name, text)| (name.clone(), client.texts.get(name).unwrap_or(text).clone()))
        .collect();
    for (name, text) in &now {
        std::fs::write(client.root().join(name), text).expect("written");
    }
    let built = build(
        &Project::load(&Disk::new(client.root())),
        &BuildOptions::default(),
    );
    let mut codes: Vec<&str> = built.diagnostics.iter().map(|one| one.code).collect();
    codes.sort_unstable();
    let published = client.published.values();
    let of_all =
        published.flat_map(|params| params["diagnostics"].as_array().into_iter().flatten());
    let mut seen: Vec<&str> = of_all.filter_map(|one| one["code"].as_str()).collect();
    seen.sort_unstable();
    assert_eq!(seen, codes);
    let mut fresh = Client::start(&now, modern());
    fresh.settle();
    assert_eq!(shown(&client), shown(&fresh));
    client.stop();
    fresh.stop();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn in_the_end_a_shop_is_shown_as_it_is(edits in prop::collection::vec(edit(), 1..40)) {
        check("shop", &edits);
    }

    #[test]
    fn in_the_end_backups_are_shown_as_they_are(edits in prop::collection::vec(edit(), 1..40)) {
        check("backups", &edits);
    }
}
