//! Secrets in a project: what is typed, what is refused, what a built object carries instead of a value.

use ordain_lang_project::{
    App, BuildOptions, Memory, Project, Scratch, TestOptions, build, check, test,
};
use ordain_lang_secrets::{Document, Format, Identity, Plain, Random, armor, encrypt};

/// In no output whatsoever.
const CANARY: &str = "canary-7f3a";

/// Bytes that are the same in every run.
struct Counting(u64);

impl Random for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            *byte = (self.0 >> 33) as u8;
        }
    }
}

fn sops(format: Format, values: &[&str]) -> Vec<u8> {
    let mut random = Counting(9);
    let key = Identity::generate(&mut random);
    let mut editor =
        Document::create(format, &[key.recipient()], &mut random).expect("a recipient");
    for name in values {
        let path: Vec<String> = name.split('.').map(str::to_owned).collect();
        editor.set(&path, Plain::text(CANARY)).expect("a new key");
    }
    editor
        .finish("2026-01-02T03:04:05Z", &mut random)
        .expect("written")
}

fn files() -> Memory {
    let mut random = Counting(10);
    let key = Identity::generate(&mut random);
    let app = sops(Format::Yaml, &["db.password", "db.user", "api-token"]);
    let mut mixed = format!("extra: {CANARY}\n").into_bytes();
    mixed.extend(&app);
    Memory::new()
        .with("ordain.toml", "name = \"shop\"")
        .with("secrets/app.enc.yaml", app)
        .with("secrets/app.json", sops(Format::Json, &["a.b"]))
        .with("secrets/app.env", sops(Format::Dotenv, &["TOKEN"]))
        .with("secrets/mixed.enc.yaml", mixed)
        .with("secrets/plain.yaml", format!("password: {CANARY}\n"))
        .with("secrets/broken.yaml", format!("password: \"{CANARY}\n"))
        .with(
            "secrets/licence.age",
            armor(&encrypt(&[key.recipient()], CANARY.as_bytes(), &mut random)),
        )
}

fn load(source: &str) -> Project {
    Project::load(&files().with("main.ord", source))
}

fn said(project: &Project) -> String {
    let built = build(project, &BuildOptions::default());
    let mut out = String::new();
    for diagnostic in &built.diagnostics {
        out.push_str(&format!("{} {}\n", diagnostic.code, diagnostic.message));
        for label in &diagnostic.labels {
            let at = project.sources.line_col(label.span);
            out.push_str(&format!(
                "  {}:{} `{}` {}\n",
                at.line,
                at.column,
                project.sources.slice(label.span),
                label.text
            ));
        }
        if let Some(help) = &diagnostic.help {
            out.push_str(&format!("  help: {help}\n"));
        }
    }
    assert!(!out.contains(CANARY), "{out}");
    out
}

fn objects(source: &str) -> Vec<App> {
    let project = load(source);
    let built = build(&project, &BuildOptions::default());
    assert!(built.is_ok(), "{}", said(&project));
    built.apps
}

#[test]
fn an_object_carries_references() {
    let apps = objects(
        r#"
use secrets "secrets/app.enc.yaml" as vault
use secrets "secrets/app.json" as more
use secrets "secrets/app.env" as dotenv
use secrets "secrets/licence.age" as licence

type Db { name: String, password: Secret<String>, user: Secret<String>? }

fn url(db: Db) -> Secret<String> = "postgres://{db.user ?? vault.db.user}:{db.password}@{db.name}"

let db = Db { name = "db", password = vault.db.password }

export account = k8s.Secret {
  metadata.name = "db"
  data = { plain = "eA==", token = vault.api-token.base64(), licence = licence.base64() }
  stringData = {
    open = "text"
    password = db.password
    url = url(db)
    config = { host = "db", password = vault.db.password, list = [more.a.b, "x"] }.to_json()
    token = dotenv.TOKEN
  }
}
"#
        .replace("vault.api-token", "vault.\"api-token\"")
        .as_str(),
    );
    let text = serde_json::to_string_pretty(&apps[0].objects[0].json).expect("JSON");
    insta::assert_snapshot!(text);
}

#[test]
fn a_secret_stays_one() {
    let mut out = String::new();
    for line in [
        "let a: String = vault.db.password",
        "let a = vault.db.pasword",
        "let a: Secret<String> = vault.db",
        "let a: Secret<Int> = vault.db.password",
        "let a: Secret<String> = \"plain\"",
        "let a: Secret<String> = \"pla\" + \"in\"",
        "let a = vault.db.password == \"x\"",
        "let a = vault.db == vault.db",
        "let a = if vault.db.password == vault.db.user then 1 else 2",
        "let a = vault.db.password.len()",
        "let a = vault.db.password + \"x\"",
        "let a = [vault.db.password].join(\",\")",
        "let a: Any = vault.db",
        "let a: Any = { x = vault.db.password }",
        "let a: String = \"x{vault.db.password}\"",
        "let a = { x = vault.db.password }.to_yaml()",
        "let a: String = { x = vault.db.password }.to_json()",
        "let a = match vault.db.password { \"x\" => 1, _ => 2 }",
        "let a = fail(\"no {vault.db.password}\")",
        "let a = k8s.ConfigMap { metadata.name = \"a\", data = { x = vault.db.password } }",
        "let a = k8s.EnvVar { name = \"A\", value = vault.db.password }",
        "let a = k8s.Secret { metadata.name = \"a\", data = { x = vault.db.password } }",
        "let a = k8s.Secret { metadata = { name = \"a\", labels = { x = vault.db.password } } }",
        "let a = vault.db.password.base64().sha256()",
        "type T { s: Secret<String>, assert s == \"x\", \"is {s}\" }",
    ] {
        let project = load(&format!(
            "use secrets \"secrets/app.enc.yaml\" as vault\nlet used = vault.db.user\n{line}\n"
        ));
        let told = said(&project);
        assert!(told.contains("E"), "{line}\n{told}");
        out.push_str(&format!("{line}\n{told}\n"));
    }
    insta::assert_snapshot!(out);
}

#[test]
fn a_file_that_cannot_be_used_is_told_once_and_never_shown() {
    let mut out = String::new();
    for file in [
        "secrets/plain.yaml",
        "secrets/mixed.enc.yaml",
        "secrets/broken.yaml",
        "secrets/ap.enc.yaml",
        "nowhere.yaml",
        "secrets/app.txt",
        "../outside.yaml",
        "/etc/passwd.yaml",
        "secrets//app.json",
        "",
    ] {
        let project = load(&format!(
            "use secrets \"{file}\" as vault\nexport a = k8s.Secret {{ metadata.name = \"a\", stringData = {{ p = vault.db.password }} }}\n"
        ));
        out.push_str(&format!("{file}\n{}\n", said(&project)));
    }
    let single = Project::single(
        "a.ord",
        "use secrets \"a.enc.yaml\" as vault\nlet a = vault.x\n",
    );
    out.push_str(&said(&single));
    out.push_str(&said(&load(
        "use secrets \"secrets/app.enc.yaml\" as vault\n",
    )));
    out.push_str(&said(&load("use secrets \"secrets/app.enc.yaml\"\n")));
    insta::assert_snapshot!(out);
}

#[test]
fn tests_and_policies_see_no_value() {
    let project = load(
        r#"
use secrets "secrets/app.enc.yaml" as vault

app shop {
  password: Secret<String> = vault.db.password
  objects = [k8s.Secret { metadata.name = "db", stringData = { password = password } }]
}

env prod {}

policy "secrets are text" {
  for s in objects.of(k8s.Secret) {
    warn if s.to_json().contains("password"), "{s.to_json()}"
  }
}

test "shown" in prod {
  snapshot shop.objects
  assert shop.objects[k8s.Secret "db"].to_json() == "x"
}
"#,
    );
    let built = build(&project, &BuildOptions::default());
    let tested = test(&project, &files(), &TestOptions::default());
    let shown = format!("{:#?}\n{:#?}", built.diagnostics, tested);
    assert!(!shown.contains(CANARY), "{shown}");
    assert!(shown.contains("***"), "{shown}");
}

#[test]
fn pages_tell_the_truth() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../types/diagnostics");
    for code in ["E0801", "E0802", "E0803"] {
        let page = std::fs::read_to_string(folder.join(format!("{code}.md"))).expect("a page");
        let mut kinds = [0, 0];
        for block in page.split("```ord").skip(1) {
            let block = block.split("```").next().unwrap_or_default();
            let (fails, source) = match block.strip_prefix(" fails\n") {
                Some(source) => (true, source),
                None => (false, block),
            };
            kinds[usize::from(fails)] += 1;
            let project = load(source);
            let codes: Vec<&str> = build(&project, &BuildOptions::default())
                .diagnostics
                .iter()
                .map(|found| found.code)
                .collect();
            let wanted: &[&str] = if fails { &[code] } else { &[] };
            assert_eq!(codes, wanted, "{code}: {}", said(&project));
        }
        assert!(kinds[0] > 0 && kinds[1] > 0, "{code} has both");
        let _ = check(&load(""));
    }
}

/// The repl shows that there is a secret, its type, and its keys; never what it is.
#[test]
fn a_line_typed_beside_the_project_sees_no_value() {
    let project = load(
        "use secrets \"secrets/app.enc.yaml\" as vault\n\nlet password = vault.db.password\n\n\
         app a {\n  token: Secret<String> = vault.db.user\n  \
         objects = [k8s.Secret { metadata.name = \"a\", stringData.token = token }]\n}\n",
    );
    let mut scratch = Scratch::new(project);
    let entries = [
        "use main",
        "main.password",
        "a.token",
        "\"x{a.token}\"",
        "a.token.base64()",
        "[a.token, main.password]",
        "{ a = a.token }.to_json()",
        "a.objects",
        "objects.of(k8s.Secret)",
        "a.token == \"x\"",
        "a.token.length()",
        "let s: String = a.token",
        "fail(\"{a.token}\")",
        "assert a.token == \"x\", \"{a.token}\"",
    ];
    let mut shown = 0;
    for entry in entries {
        let answer = scratch.enter(None, entry);
        shown += usize::from(answer.value.is_some());
        let said = format!("{answer:?}");
        assert!(!said.contains(CANARY), "{entry}: {said}");
        let ty = scratch.type_of(None, entry);
        assert!(!format!("{ty:?}").contains(CANARY), "{entry}");
    }
    assert!(shown > 4, "{shown} entries had a value");
    for before in [None, Some("main"), Some("a"), Some("a.token")] {
        let proposed = scratch.complete(None, before).join(" ");
        assert!(!proposed.contains(CANARY), "{proposed}");
    }
}
