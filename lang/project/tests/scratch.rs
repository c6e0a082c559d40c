//! Entries beside a project: what they come to, in one environment or another.

use ordain_lang_project::{Memory, Project, Scratch};
use std::fmt::Write as _;

const APP: &str = r#"
/// A server.
type Server { name: k8s.Name, replicas: Int(1..=20) = 1, password: Secret<String>? }
fn double(n: Int) -> Int = n * 2
app shop {
  web: Server = { name = "web" }
  objects = [k8s.ConfigMap { metadata.name = web.name, data = { replicas = "{web.replicas}" } }]
}
env dev { cluster = "local" }
env prod { cluster = "prod", shop.web.replicas = 3 }
"#;

fn scratch() -> Scratch {
    let files = Memory::new()
        .with("ordain.toml", "name = \"shop\"\n")
        .with("app.ord", APP);
    Scratch::new(Project::load(&files))
}

fn check(env: Option<&str>, entries: &[&str]) -> String {
    let mut scratch = scratch();
    let mut out = String::new();
    for entry in entries {
        let answer = scratch.enter(env, entry);
        let _ = writeln!(out, "> {entry}");
        for (what, text) in [
            ("defined", &answer.defined),
            (":", &answer.ty),
            ("=", &answer.value),
        ] {
            if let Some(text) = text {
                let _ = writeln!(out, "{what} {}", text.trim_end());
            }
        }
        for found in &answer.diagnostics {
            let at = found.span().map_or(String::new(), |span| {
                // Whoever shows a place leaves out what stands there when it is a secret, as the command does.
                let text = match found.code {
                    "E0803" => "…",
                    _ => answer.sources.slice(span),
                };
                format!(" {} `{text}`", answer.sources.place(span))
            });
            let _ = writeln!(out, "{}{at}: {}", found.code, found.message);
        }
    }
    out
}

#[test]
fn expressions_are_evaluated_in_their_environment() {
    insta::assert_snapshot!(check(
        Some("prod"),
        &[
            "1 + 2",
            "shop.web.replicas",
            "shop.web",
            "\"a-{shop.web.name}\"",
            "objects.of(k8s.ConfigMap).len()"
        ]
    ));
    insta::assert_snapshot!(check(Some("dev"), &["shop.web.replicas"]));
}

#[test]
fn definitions_stay_and_can_be_replaced() {
    insta::assert_snapshot!(check(
        Some("prod"),
        &[
            "use app",
            "let n = shop.web.replicas",
            "let m = 2",
            "fn triple(n: Int) -> Int = n * 3",
            "triple(app.double(n)) + m",
            "let m = 4",
            "triple(n) + m",
            "type Pair { a: Int, b: Int = a * 2 }",
            "Pair { a = m }",
            "let x = 1 in x + 1",
            "triple",
        ]
    ));
}

#[test]
fn mistakes_are_said_of_the_entry_and_nothing_stays_of_it() {
    insta::assert_snapshot!(check(
        Some("dev"),
        &[
            "shop.wbe",
            "let n = nope",
            "n",
            "1 +",
            "let y = 1 / 0",
            "1 / 0",
            ")",
            "use std.nope"
        ]
    ));
}

#[test]
fn secrets_are_masked() {
    let shown = check(
        None,
        &["use app", "let s: Secret<String> = \"canary-1\"", "s"],
    );
    assert!(
        !shown
            .lines()
            .any(|line| !line.starts_with('>') && line.contains("canary")),
        "{shown}"
    );
}

#[test]
fn what_may_follow_is_known() {
    let mut scratch = scratch();
    let env = Some("dev");
    assert!(scratch.complete(env, None).contains(&"shop".to_owned()));
    let fields = scratch.complete(env, Some("shop.web"));
    assert!(fields.contains(&"replicas".to_owned()), "{fields:?}");
    let methods = scratch.complete(env, Some("shop.web.name"));
    assert!(methods.iter().any(|m| m == "upper("), "{methods:?}");
    scratch.enter(env, "use std.web");
    assert!(
        scratch
            .complete(env, Some("web"))
            .iter()
            .any(|f| f == "service(")
    );
    assert!(
        scratch
            .complete(env, Some("k8s"))
            .contains(&"Deployment".to_owned())
    );
    assert!(scratch.complete(env, Some("nothing.at.all")).is_empty());
}
