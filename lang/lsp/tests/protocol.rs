//! What the protocol demands of every server: goodbyes, errors, cancellation, positions, files that come and go.

mod client;

use client::{Client, modern, position};
use lsp_server::{Connection, Message, Notification, Request};
use ordain_lang_lsp::{ServeError, serve};
use serde_json::{Value, json};

const SOURCE: &str = "/// 𝄞 ß\ntype Server { name: k8s.Name, replicas: Int(1..=3) = 1 }\n\napp shop {\n  web: Server = { name = \"𝄞\", replicas = «1»9 }\n  objects = []\n}\n";

fn project() -> Vec<(String, String)> {
    [("ordain.toml", "name = \"shop\"\n"), ("shop.ord", SOURCE)]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .to_vec()
}

/// The codes and places of what is published for a file.
fn published(client: &mut Client, file: &str) -> Vec<(String, u64, u64)> {
    client.settle();
    let uri = client.uri(file);
    let found = client
        .published
        .get(&uri)
        .map(|params| params["diagnostics"].clone());
    let all = found
        .and_then(|found| found.as_array().cloned())
        .unwrap_or_default();
    all.iter()
        .map(|one| {
            let start = &one["range"]["start"];
            let number = |at: &Value| at.as_u64().expect("a number");
            let code = one["code"].as_str().expect("a code").to_owned();
            (code, number(&start["line"]), number(&start["character"]))
        })
        .collect()
}

#[test]
fn it_leaves_only_after_shutdown() {
    let mut client = Client::start(&project(), modern());
    client.stop();

    let (ours, theirs) = Connection::memory();
    let server = std::thread::spawn(move || serve(theirs));
    let start = Request::new(
        1.into(),
        "initialize".to_owned(),
        json!({ "capabilities": {} }),
    );
    ours.sender.send(start.into()).expect("sent");
    let _ = ours.receiver.recv().expect("an answer");
    for method in ["initialized", "exit"] {
        let note = Notification::new(method.to_owned(), json!({}));
        ours.sender.send(note.into()).expect("sent");
    }
    let ended = server.join().expect("no panic");
    assert!(matches!(ended, Err(ServeError::Left)), "{ended:?}");
}

#[test]
fn what_cannot_be_answered_is_an_error_or_null() {
    let mut client = Client::start(&project(), modern());
    let code = |client: &mut Client, method: &str, params: Value| {
        client.ask(method, params).response_error_code()
    };
    assert_eq!(
        code(&mut client, "textDocument/nothing", json!({})),
        Some(-32601)
    );
    assert_eq!(
        code(&mut client, "textDocument/hover", json!({ "a": 1 })),
        Some(-32602)
    );
    let nowhere = json!({
        "textDocument": { "uri": "file:///nowhere/at/all.txt" },
        "position": { "line": 90, "character": 90 },
    });
    assert_eq!(
        client.request("textDocument/hover", nowhere.clone()),
        Value::Null
    );
    assert_eq!(
        client.request("textDocument/definition", nowhere),
        Value::Null
    );
    client.stop();
}

trait ErrorCode {
    fn response_error_code(&self) -> Option<i64>;
}

impl ErrorCode for lsp_server::Response {
    fn response_error_code(&self) -> Option<i64> {
        serde_json::to_value(self).expect("JSON")["error"]["code"].as_i64()
    }
}

#[test]
fn a_cancelled_request_is_not_answered() {
    let mut client = Client::start(&project(), modern());
    client.notify("$/cancelRequest", json!({ "id": 2 }));
    let params = client.at("1");
    // The client counts from 1, which was `initialize`.
    let answer = client.ask("textDocument/hover", params);
    assert_eq!(answer.response_error_code(), Some(-32800));
    client.stop();
}

#[test]
fn columns_are_utf16_unless_utf8_is_offered() {
    let mut client = Client::start(&project(), modern());
    let utf16 = published(&mut client, "shop.ord");
    let out_of_range = ("E0203".to_owned(), 4, 42);
    assert!(utf16.contains(&out_of_range), "{utf16:?}");
    client.stop();

    let mut capabilities = modern();
    capabilities["general"] = json!({ "positionEncodings": ["utf-8", "utf-16"] });
    let mut client = Client::start(&project(), capabilities);
    let utf8 = published(&mut client, "shop.ord");
    // The clef is two units, and four bytes.
    assert!(utf8.contains(&("E0203".to_owned(), 4, 44)), "{utf8:?}");
    client.stop();
}

#[test]
fn diagnostics_follow_typing_with_its_version() {
    let mut client = Client::start(&project(), modern());
    client.open("shop.ord");
    assert!(
        published(&mut client, "shop.ord")
            .iter()
            .any(|(code, ..)| code == "E0203")
    );
    let at = client.marks["1"].1;
    client.change("shop.ord", at..at + 1, "2");
    let now = published(&mut client, "shop.ord");
    assert!(!now.iter().any(|(code, ..)| code == "E0203"), "{now:?}");
    client.change("shop.ord", at..at + 1, "\"a\"");
    let uri = client.uri("shop.ord");
    client.settle();
    assert_eq!(client.published[&uri]["version"], 3);
    client.stop();
}

#[test]
fn closing_goes_back_to_the_disk() {
    let mut client = Client::start(&project(), modern());
    client.open("shop.ord");
    let at = client.marks["1"].1;
    client.change("shop.ord", at..at + 1, "2");
    assert!(
        !published(&mut client, "shop.ord")
            .iter()
            .any(|(code, ..)| code == "E0203")
    );
    let uri = client.uri("shop.ord");
    client.notify(
        "textDocument/didClose",
        json!({ "textDocument": { "uri": uri } }),
    );
    assert!(
        published(&mut client, "shop.ord")
            .iter()
            .any(|(code, ..)| code == "E0203")
    );
    client.stop();
}

fn changed(client: &mut Client, file: &str, kind: u8) {
    let uri = client.uri(file);
    client.notify(
        "workspace/didChangeWatchedFiles",
        json!({ "changes": [{ "uri": uri, "type": kind }] }),
    );
}

#[test]
fn files_come_and_go_on_disk() {
    let mut client = Client::start(&project(), modern());
    let path = client.root().join("more.ord");
    std::fs::write(&path, "let a: Int = \"x\"\n").expect("written");
    changed(&mut client, "more.ord", 1);
    assert!(
        published(&mut client, "more.ord")
            .iter()
            .any(|(code, ..)| code == "E0202")
    );
    std::fs::remove_file(&path).expect("removed");
    changed(&mut client, "more.ord", 3);
    assert_eq!(published(&mut client, "more.ord"), []);
    client.stop();
}

#[test]
fn a_file_outside_of_projects_stands_alone() {
    let files =
        [("alone.ord", "let a: Int = «1»\"x\"\n")].map(|(n, t)| (n.to_owned(), t.to_owned()));
    let mut client = Client::start(&files, modern());
    client.open("alone.ord");
    assert!(
        published(&mut client, "alone.ord")
            .iter()
            .any(|(code, ..)| code == "E0202")
    );
    // A manifest makes it part of a project.
    std::fs::write(
        client.root().join("ordain.toml"),
        "name = \"now\"\nwrong = 1\n",
    )
    .expect("written");
    changed(&mut client, "ordain.toml", 1);
    assert!(
        published(&mut client, "alone.ord")
            .iter()
            .any(|(code, ..)| code == "E0202")
    );
    assert!(
        published(&mut client, "ordain.toml")
            .iter()
            .any(|(code, ..)| code == "E0901")
    );

    let text = "let b: Int = true\n";
    client.notify(
        "textDocument/didOpen",
        json!({ "textDocument": { "uri": "untitled:Untitled-1", "languageId": "ordain", "version": 1, "text": text } }),
    );
    assert!(
        published(&mut client, "untitled:Untitled-1")
            .iter()
            .any(|(code, ..)| code == "E0202")
    );
    client.notify(
        "textDocument/didClose",
        json!({ "textDocument": { "uri": "untitled:Untitled-1" } }),
    );
    assert_eq!(published(&mut client, "untitled:Untitled-1"), []);
    client.stop();
}

#[test]
fn two_projects_are_two_worlds() {
    let files = [
        ("a/ordain.toml", "name = \"a\"\n"),
        ("a/main.ord", "let size«a» = 1\nlet b: String = size\n"),
        ("b/ordain.toml", "name = \"b\"\n"),
        ("b/main.ord", "let size = 1\nlet c: Int = size\n"),
    ]
    .map(|(n, t)| (n.to_owned(), t.to_owned()));
    let mut client = Client::start(&files, modern());
    assert!(
        published(&mut client, "a/main.ord")
            .iter()
            .any(|(code, ..)| code == "E0202")
    );
    assert!(
        !published(&mut client, "b/main.ord")
            .iter()
            .any(|(code, ..)| code == "E0202")
    );
    let mut params = client.at("a");
    params["context"] = json!({ "includeDeclaration": true });
    let found = client.request("textDocument/references", params);
    assert_eq!(found.as_array().map(Vec::len), Some(2), "{found}");
    client.stop();
}

#[test]
fn documents_of_the_library_can_be_asked_for() {
    let mut client = Client::start(&project(), modern());
    let text = client.request(
        "ordain/providedText",
        json!({ "uri": "ordain-std:///std/web.ord" }),
    );
    assert!(
        text.as_str()
            .is_some_and(|text| text.contains("fn service"))
    );
    let page = client.request(
        "ordain/providedText",
        json!({ "uri": "ordain-std:///diagnostics/E0203.md" }),
    );
    assert!(
        page.as_str()
            .is_some_and(|text| text.starts_with("# E0203"))
    );
    client.stop();
}

#[test]
fn tokens_come_as_differences() {
    let mut client = Client::start(&project(), modern());
    client.open("shop.ord");
    let uri = client.uri("shop.ord");
    let params = json!({ "textDocument": { "uri": uri } });
    let full = client.request("textDocument/semanticTokens/full", params);
    let at = client.marks["1"].1;
    client.change("shop.ord", at..at + 1, "2 + 1");
    let params = json!({ "textDocument": { "uri": uri }, "previousResultId": full["resultId"] });
    let delta = client.request("textDocument/semanticTokens/full/delta", params);
    let edits = delta["edits"].as_array().expect("a difference");
    assert_eq!(edits.len(), 1);
    assert!(
        edits[0]["data"]
            .as_array()
            .is_some_and(|data| data.len() < 25),
        "{delta}"
    );
    client.stop();
}

#[test]
fn watching_is_asked_for() {
    let (ours, theirs) = Connection::memory();
    let server = std::thread::spawn(move || serve(theirs));
    let capabilities =
        json!({ "workspace": { "didChangeWatchedFiles": { "dynamicRegistration": true } } });
    let params = json!({ "capabilities": capabilities });
    let start = Request::new(1.into(), "initialize".to_owned(), params);
    ours.sender.send(start.into()).expect("sent");
    let _ = ours.receiver.recv().expect("an answer");
    let note = Notification::new("initialized".to_owned(), json!({}));
    ours.sender.send(note.into()).expect("sent");
    let Ok(Message::Request(asked)) = ours.receiver.recv() else {
        panic!("the server asks first");
    };
    assert_eq!(asked.method, "client/registerCapability");
    assert!(asked.params.to_string().contains("**/*.ord"));
    drop(ours);
    let _ = server.join().expect("no panic");
    let _ = position("", 0);
}

#[test]
fn moves_that_concern_nobody_change_nothing() {
    let files: Vec<(String, String)> = [
        ("ordain.toml", "name = \"shop\"\n"),
        ("lib.ord", "let one = 1\n"),
        (
            "shop.ord",
            "use l«1»ib\n\napp shop {\n  n: Int = lib.one\n  objects = []\n}\n",
        ),
    ]
    .map(|(name, text)| (name.to_owned(), text.to_owned()))
    .to_vec();
    // An editor that cannot rename files is told what to do.
    let mut client = Client::start(&files, json!({}));
    client.open("shop.ord");
    let mut params = client.at("1");
    params["newName"] = json!("other");
    let refused = client.request("textDocument/rename", params);
    let told = refused["error"].as_str().expect("it is refused");
    assert!(told.contains("move `lib.ord` to `other.ord`"), "{told}");
    let inside = |client: &Client, name: &str| client.uri(name);
    let moves = [
        ("untitled:one".to_owned(), "untitled:two".to_owned()),
        (
            "file:///elsewhere/a.ord".to_owned(),
            inside(&client, "a.ord"),
        ),
        (
            inside(&client, "lib.ord"),
            "file:///elsewhere/lib.ord".to_owned(),
        ),
        (inside(&client, "lib.ord"), inside(&client, "lib.txt")),
        (inside(&client, ""), inside(&client, "x")),
        ("%".to_owned(), String::new()),
    ];
    for (from, to) in moves {
        let params = json!({ "files": [{ "oldUri": from, "newUri": to }] });
        let answer = client.request("workspace/willRenameFiles", params.clone());
        assert_eq!(answer, Value::Null, "{from} → {to}");
        client.notify("workspace/didRenameFiles", params);
    }
    assert_eq!(published(&mut client, "shop.ord"), []);
    client.stop();
}

#[test]
fn a_mistake_that_is_gone_leaves_what_evaluating_finds() {
    let files: Vec<(String, String)> = [
        ("ordain.toml", "name = \"shop\"\n"),
        (
            "shop.ord",
            "app shop {\n  n: Int(1..=3) = [1, 5, 9][1]\n  objects = [k8s.ConfigMap { metadata.name = \"a-{n}\" }]\n}\n",
        ),
        ("other.ord", "let a = 1«1»\nexport k8s.ConfigMap { metadata.name = \"b-{a}\" }\n"),
    ]
    .map(|(name, text)| (name.to_owned(), text.to_owned()))
    .to_vec();
    let mut client = Client::start(&files, modern());
    client.open("other.ord");
    let before = published(&mut client, "shop.ord");
    assert_eq!(before.len(), 1, "{before:?}");
    let at = client.marks["1"].1;
    client.change("other.ord", at..at, " + oops");
    assert_eq!(published(&mut client, "other.ord").len(), 1);
    assert_eq!(published(&mut client, "shop.ord"), []);
    client.change("other.ord", at..at + 7, "");
    assert_eq!(published(&mut client, "other.ord"), []);
    assert_eq!(published(&mut client, "shop.ord"), before);
    client.stop();
}
