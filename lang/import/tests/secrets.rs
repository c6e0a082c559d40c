//! What an import says never holds what a Secret holds. The program it writes does, as the input did.

use ordain_lang_import::{Input, Options, import, import_text};

/// In no diagnostic.
const CANARY: &str = "canary-7f3a";

const INPUTS: [&str; 9] = [
    "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {password: CANARY}\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {password: \"CANARY!\"}\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringDta: {password: CANARY}\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: [CANARY]\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: 3\nstringData: {password: [CANARY]}\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {password: CANARY}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {password: CANARY2}\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {password: \"CANARY\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {? [CANARY] : CANARY}\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {}\nstringData: {password: CANARY}\n",
];

#[test]
fn no_diagnostic_shows_a_value() {
    let check = |found: &[ordain_lang_syntax::Diagnostic], input: &str| {
        for one in found {
            let said = format!(
                "{} {:?} {:?} {:?} {:?}",
                one.message, one.labels, one.help, one.notes, one.object
            );
            assert!(!said.contains(CANARY), "{input}\n{said}");
        }
    };
    for input in INPUTS {
        let text = input.replace("CANARY", CANARY);
        check(&import_text(&text).diagnostics, input);
    }
    // Copies that differ per environment are factored, and told of where they cannot be.
    let inputs = ["dev", "prod"].map(|env| Input {
        path: format!("{env}.yaml"),
        content: INPUTS[0]
            .replace("CANARY", &format!("{CANARY}-{env}"))
            .into_bytes(),
        env: Some(env.to_owned()),
    });
    let imported = import(&inputs, &Options::default());
    check(&imported.diagnostics, "two environments");
}
