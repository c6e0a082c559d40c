//! A canary: a secret that goes all the way to the cluster, and is found in nothing that any command says or keeps.

use crate::cluster::{Driver, Up, Work, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const CANARY: &str = "canary-Zk3v9QpX7w";
const SECOND: &str = "canary-Lm5t2RsY8u";

const PROJECT: &str = r#"
use secrets "secrets/shop.enc.yaml" as vault
use secrets "secrets/licence.age" as licence

type Db { host: String, password: Secret<String> }

app shop {
  db: Db = { host = "db", password = vault.db.password }
  objects = [
    k8s.Secret {
      metadata.name = "db"
      data = { raw = db.password.base64(), licence = licence.base64() }
      stringData = {
        password = db.password
        url = "postgres://shop:{db.password}@{db.host}"
        config = { user = "shop", password = db.password }.to_json()
      }
    }
  ]
}

env dev { cluster = "local", namespace = "vault" }

policy "everything is shown" {
  for s in objects.of(k8s.Secret) {
    warn if s.metadata.name == "db", "{s.to_json()}"
  }
}

test "what is shown" in dev {
  snapshot shop.objects
  assert shop.db.host == "elsewhere"
  assert shop.objects[k8s.Secret "db"].to_json() == "x"
}
"#;

const OTHER: &str = r#"
use secrets "secrets/strange.enc.yaml" as strange

app other {
  objects = [k8s.Secret { metadata.name = "other", stringData = { token = strange.token } }]
}
"#;

const WRONG: &str = r#"
use secrets "secrets/shop.enc.yaml" as vault

let plain: String = vault.db.password
let same = vault.db.password == "x"
let missing = vault.db.pasword
let text: String = "{vault.db.password}"
"#;

/// How a text may show: as it is, in hexadecimal, and in base64 wherever it begins.
fn forms(secret: &str) -> Vec<String> {
    let hex: String = secret.bytes().map(|b| format!("{b:02x}")).collect();
    let mut forms = vec![secret.to_owned(), hex.to_uppercase(), hex];
    for before in 0..3 {
        let encoded = STANDARD.encode(format!("{}{secret}", "x".repeat(before)));
        // The first and last digits also hold what stands beside.
        let start = (before * 8).div_ceil(6);
        forms.push(encoded[start..encoded.len() - 4].to_owned());
    }
    forms
}

/// Everything that was seen, and where.
#[derive(Default)]
struct Watch {
    found: Vec<String>,
    looked_at: usize,
}

impl Watch {
    fn look(&mut self, place: &str, bytes: &[u8]) {
        self.looked_at += 1;
        let text = String::from_utf8_lossy(bytes);
        for secret in [CANARY, SECOND] {
            for form in forms(secret) {
                if text.contains(&form) {
                    self.found.push(format!("{place}: {form}"));
                }
            }
        }
    }

    fn output(&mut self, what: &str, output: &Output) -> String {
        self.look(&format!("stdout of {what}"), &output.stdout);
        self.look(&format!("stderr of {what}"), &output.stderr);
        text(output)
    }

    fn files(&mut self, folder: &Path, left_out: &[PathBuf]) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if left_out.contains(&path) {
                continue;
            }
            let kind = entry.file_type().expect("a file has a type");
            if kind.is_dir() {
                self.files(&path, left_out);
            } else if kind.is_file() {
                self.look(
                    &path.display().to_string(),
                    &std::fs::read(&path).unwrap_or_default(),
                );
            }
        }
    }
}

fn secret(data_dir: &Path, work: &Work, args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ordain"))
        .arg("secret")
        .args(args)
        .arg("--data-dir")
        .arg(data_dir)
        .current_dir(work.path())
        .env("HOME", data_dir)
        .env_remove("XDG_CONFIG_HOME")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ordain starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{args:?}: {}", text(&output));
    output
}

/// A language server that is asked about the secret.
fn lsp(work: &Work) -> Output {
    let uri = format!("file://{}/shop.ord", work.path().display());
    let root = format!("file://{}", work.path().display());
    let at = |line: u32, character: u32| serde_json::json!({"textDocument": {"uri": uri}, "position": {"line": line, "character": character}});
    let messages = [
        serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "processId": null, "rootUri": root, "capabilities": {},
            "workspaceFolders": [{"uri": root, "name": "shop"}],
        }}),
        serde_json::json!({"jsonrpc": "2.0", "method": "initialized", "params": {}}),
        serde_json::json!({"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": {
            "uri": uri, "languageId": "ordain", "version": 1, "text": PROJECT,
        }}}),
        serde_json::json!({"jsonrpc": "2.0", "id": 2, "method": "textDocument/hover", "params": at(7, 52)}),
        serde_json::json!({"jsonrpc": "2.0", "id": 3, "method": "textDocument/completion", "params": at(7, 49)}),
        serde_json::json!({"jsonrpc": "2.0", "id": 4, "method": "textDocument/inlayHint", "params": {
            "textDocument": {"uri": uri},
            "range": {"start": {"line": 0, "character": 0}, "end": {"line": 40, "character": 0}},
        }}),
        serde_json::json!({"jsonrpc": "2.0", "id": 5, "method": "textDocument/definition", "params": at(7, 52)}),
        serde_json::json!({"jsonrpc": "2.0", "id": 6, "method": "shutdown"}),
        serde_json::json!({"jsonrpc": "2.0", "method": "exit"}),
    ];
    let mut child = Command::new(env!("CARGO_BIN_EXE_ordain"))
        .arg("lsp")
        .current_dir(work.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ordain starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    for message in messages {
        let body = message.to_string();
        write!(stdin, "Content-Length: {}\r\n\r\n{body}", body.len()).expect("it reads");
    }
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

#[test]
fn a_canary_is_found_nowhere_but_in_the_cluster() {
    let up = Up::start(Driver::Process);
    let work = Work::new(
        &up,
        &[
            ("ordain.toml", "name = \"shop\"\n"),
            ("shop.ord", PROJECT),
            ("other.ord", OTHER),
        ],
    );
    let mut watch = Watch::default();
    let own = up.data_dir();
    let stranger = tempfile::tempdir().expect("a folder");
    let shop = "secrets/shop.enc.yaml";
    for (dir, args, value) in [
        (&*own, &["set", shop, "db.password"][..], CANARY),
        (&own, &["set", "secrets/licence.age"], CANARY),
        (
            stranger.path(),
            &["set", "secrets/strange.enc.yaml", "token"],
            CANARY,
        ),
        (&own, &["keys", shop], ""),
        (&own, &["recipient"], ""),
    ] {
        let output = secret(dir, &work, args, value);
        watch.output(&format!("{args:?}"), &output);
    }
    watch.files(work.path(), &[]);

    // Everything that looks at sources.
    let run = |watch: &mut Watch, args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_ordain"))
            .args(args)
            .current_dir(work.path())
            .env("ORDAIN_DATA_DIR", &own)
            .output()
            .expect("ordain starts");
        watch.output(&args.join(" "), &output)
    };
    work.commit("first");
    for args in [
        &["check"][..],
        &["check", "--format", "json"],
        &["check", "--format", "sarif"],
        &["build"],
        &["build", "--format", "json"],
        &["build", "-o", "out"],
        &["test"],
        &["test", "--format", "json"],
        &["test", "--update"],
        &["test", "--junit", "junit.xml"],
        &["explain", "secret/db", "stringData.password"],
        &["explain", "secret/db", "stringData.url", "--format", "json"],
        &["explain", "secret/db", "data"],
        &["fmt", "--check"],
        &["doc", "-o", "site"],
        &["diff", "HEAD..HEAD"],
        &["export", "jsonschema", "shop.Db"],
    ] {
        run(&mut watch, args);
    }
    let built = run(&mut watch, &["build"]);
    assert!(built.contains("ordain-secret/v1:"), "{built}");
    let tested = run(&mut watch, &["test"]);
    assert!(
        tested.contains("elsewhere"),
        "the assertion is shown: {tested}"
    );
    work.write("wrong.ord", WRONG);
    let wrong = run(&mut watch, &["check"]);
    assert!(
        wrong.contains("E0207") && wrong.contains("did you mean `password`"),
        "{wrong}"
    );
    std::fs::remove_file(work.path().join("wrong.ord")).expect("it is there");
    work.write(
        "plain.ord",
        "use secrets \"secrets/plain.yaml\" as p\nlet x = p.a\n",
    );
    work.write("secrets/plain.yaml", &format!("a: {CANARY}\n"));
    let plain = run(&mut watch, &["check"]);
    assert!(plain.contains("E0801"), "{plain}");
    for name in ["plain.ord", "secrets/plain.yaml"] {
        std::fs::remove_file(work.path().join(name)).expect("it is there");
    }
    let spoken = lsp(&work);
    let spoken = watch.output("lsp", &spoken);
    assert!(
        spoken.contains("Secret<String>"),
        "the hover tells the type: {spoken}"
    );

    // All the way: one app gets its secret, the other's key is not here.
    std::fs::remove_dir_all(work.path().join("out")).ok();
    work.commit("ready");
    let (_, said) = work.push();
    watch.look("the push", said.as_bytes());
    assert!(said.contains("no key opens it"), "{said}{}", up.log());
    let status = up.eventually("the shop is healthy", || {
        let status = text(&up.ordain(&["status", "--format", "json"]));
        let read: serde_json::Value = serde_json::from_str(&status).ok()?;
        let apps = read["apps"].as_array()?.clone();
        let shop = apps.iter().find(|app| app["name"] == "shop")?;
        (shop["health"] == "healthy").then_some(status)
    });
    assert!(status.contains("no key opens it"), "{status}");
    let value = |key: &str| {
        let path = format!("jsonpath={{.data.{key}}}");
        let encoded = up.kubectl(&["-n", "vault", "get", "secret", "db", "-o", &path]);
        String::from_utf8(STANDARD.decode(encoded.trim()).expect("base64")).expect("text")
    };
    assert_eq!(value("password"), CANARY);
    assert_eq!(value("raw"), CANARY);
    assert_eq!(value("licence"), CANARY);
    assert_eq!(value("url"), format!("postgres://shop:{CANARY}@db"));
    assert_eq!(
        value("config"),
        format!("{{\"user\":\"shop\",\"password\":\"{CANARY}\"}}")
    );

    // Another value: that it changed is seen, and no more.
    let output = secret(&own, &work, &["set", shop, "db.password"], SECOND);
    watch.output("the second set", &output);
    work.commit("another password");
    let changed = run(&mut watch, &["diff", "HEAD~1..HEAD"]);
    assert!(changed.contains("password"), "{changed}");
    let (_, said) = work.push();
    watch.look("the second push", said.as_bytes());
    assert!(said.contains("data.password"), "{said}");
    up.eventually("the new value is there", || {
        (value("password") == SECOND).then_some(())
    });
    let mut output = up.ordain(&[
        "rollback",
        "shop",
        "--to",
        "last-healthy",
        "--reason",
        "back",
    ]);
    watch.output("rollback", &output);
    up.eventually("the old value is back", || {
        (value("password") == CANARY).then_some(())
    });
    let snapshot = work.path().join("applied.snapshot");
    let snapshot = snapshot.to_str().expect("UTF-8");
    for args in [
        &["status"][..],
        &["history", "shop"],
        &["history", "shop", "--format", "json"],
        &["why", "shop"],
        &["why", "other", "--format", "json"],
        &["log"],
        &["log", "--format", "json"],
        &["at", "now", "get", "secret/db", "-o", "yaml"],
        &["blame", "secret/db", "data.password"],
        &["blame", "secret/db", "data.password", "--format", "json"],
        &["plan"],
        &["plan", "--format", "json"],
        &["snapshot", snapshot],
        &["audit", "verify"],
        &["audit", "export"],
        &["audit", "export", "--format", "cdevents"],
    ] {
        output = up.ordain(args);
        let said = watch.output(&args.join(" "), &output);
        assert!(!said.contains("Usage:"), "{args:?}: {said}");
    }
    let (dir, _) = up.stop();

    // What is kept: everything but the API server's own store.
    watch.files(work.path(), &[]);
    watch.files(dir.path(), &[own.join("store")]);
    assert!(
        watch.looked_at > 90,
        "{} places were looked at",
        watch.looked_at
    );
    assert_eq!(watch.found, Vec::<String>::new());
    let kept = std::fs::read(own.join("age").join("keys.txt")).expect("the key was made");
    assert!(kept.starts_with(b"# public key: age1"));
}
