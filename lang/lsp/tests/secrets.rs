//! A secret planted in a project is in no answer, whatever is asked and wherever.

mod client;

use client::{Client, modern, position};
use serde_json::json;

/// In no answer whatsoever.
const CANARY: &str = "canary-7f3a";

#[test]
fn no_answer_shows_a_secret() {
    let main = format!(
        "use secrets \"secrets/plain.yaml\" as plain\n\n\
         type Shop {{\n  name: k8s.Name\n  /// Who gets in.\n  password: Secret<String>?\n  \
         token: Secret<String> = \"{CANARY}\"\n}}\n\n\
         let direct: Secret<String> = \"{CANARY}\"\n\n\
         app shop {{\n  config: Shop = {{ name = \"shop\", password = \"{CANARY}\" }}\n  \
         from: Secret<String> = plain.password\n  \
         objects = [k8s.Secret {{ metadata.name = \"s\", stringData = {{ a = config.password }} }}]\n}}\n\n\
         env base {{ namespace = \"shop\" }}\n\
         env prod extends base {{\n  cluster = \"prod\"\n  shop.config {{ password = \"{CANARY}\" }}\n  shop.config.token = \"{CANARY}\"\n}}\n\n\
         test \"t\" in prod {{\n  assert shop.config.password == \"{CANARY}\"\n}}\n"
    );
    let files = [
        ("ordain.toml", "name = \"shop\"\n".to_owned()),
        ("main.ord", main.clone()),
        (
            "secrets/plain.yaml",
            format!("password: {CANARY}\nnested:\n  user: {CANARY}\n"),
        ),
    ]
    .map(|(name, text)| (name.to_owned(), text));
    let mut client = Client::start(&files, modern());
    client.open("main.ord");
    client.settle();
    let uri = client.uri("main.ord");
    let document = json!({ "uri": uri });
    let all = json!({ "start": position(&main, 0), "end": position(&main, main.len()) });
    for offset in (0..main.len())
        .filter(|at| main.is_char_boundary(*at))
        .step_by(5)
    {
        let here = json!({ "textDocument": document, "position": position(&main, offset) });
        for method in [
            "textDocument/completion",
            "textDocument/hover",
            "textDocument/signatureHelp",
            "textDocument/definition",
            "textDocument/prepareRename",
        ] {
            client.request(method, here.clone());
        }
    }
    let whole = json!({ "textDocument": document });
    client.request("textDocument/documentSymbol", whole.clone());
    client.request("workspace/symbol", json!({ "query": "" }));
    client.request("textDocument/semanticTokens/full", whole);
    client.request(
        "textDocument/inlayHint",
        json!({ "textDocument": document, "range": all }),
    );
    client.request(
        "textDocument/codeAction",
        json!({ "textDocument": document, "range": all, "context": { "diagnostics": [] } }),
    );
    client.stop();
    let leaks: Vec<&String> = client
        .said
        .iter()
        .filter(|said| said.contains(CANARY))
        .collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
    assert!(client.said.len() > 100, "everything was asked");
}
