//! Secrets files from end to end: written, read, changed, tampered with, and filled into objects.

#![allow(clippy::print_stderr, reason = "what was left out is said")]

use ordain_lang_secrets::{
    Document, DocumentError, Format, Identity, Kind, OpenError, Plain, Reference, RevealError,
    Revealer, Shape, Template, armor, encrypt, references, scrub,
};
use serde_json::{Value, json};

const NOW: &str = "2026-01-02T03:04:05Z";
const FORMATS: [(Format, &str); 3] = [
    (Format::Yaml, "a.enc.yaml"),
    (Format::Json, "a.json"),
    (Format::Dotenv, "a.env"),
];

/// Bytes that look random and are the same in every run.
struct Counting(u64);

impl ordain_lang_secrets::Random for Counting {
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

fn path(dotted: &str) -> Vec<String> {
    dotted.split('.').map(str::to_owned).collect()
}

fn written(
    format: Format,
    values: &[(&str, &str)],
    key: &Identity,
    random: &mut Counting,
) -> Vec<u8> {
    let mut editor = Document::create(format, &[key.recipient()], random).expect("a recipient");
    for (name, value) in values {
        editor
            .set(&path(name), Plain::text(value))
            .expect("a new key");
    }
    editor.finish(NOW, random).expect("written anew")
}

fn texts(format: Format, bytes: &[u8], key: &Identity) -> Result<Vec<(String, String)>, OpenError> {
    let opened = Document::parse(format, bytes)?.open(std::slice::from_ref(key))?;
    Ok(opened
        .values()
        .map(|(path, plain)| (path.join("."), plain.to_text().expect("text").to_string()))
        .collect())
}

#[test]
fn what_is_written_is_read_again_in_every_format() {
    let mut random = Counting(1);
    let key = Identity::generate(&mut random);
    for (format, file) in FORMATS {
        assert_eq!(Format::of(file), Ok(format));
        let values: &[(&str, &str)] = match format {
            Format::Dotenv => &[("USER", "shop"), ("PASSWORD", "a=b\nc # d"), ("EMPTY", "")],
            _ => &[
                ("db.user", "shop"),
                ("db.password", "line\nline: \"#' ü\n"),
                ("token", "ENC[no"),
                ("yes", "no"),
                ("empty", ""),
            ],
        };
        let bytes = written(format, values, &key, &mut random);
        let text = String::from_utf8(bytes.clone()).expect("text");
        for (_, value) in values.iter().filter(|(_, value)| value.len() > 4) {
            assert!(!text.contains(value.trim()), "{text}");
        }
        let read = texts(format, &bytes, &key).expect("its own file");
        let read: Vec<(&str, &str)> = read.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(read, values, "{text}");
    }
}

#[test]
fn keys_and_kinds_are_known_without_a_key() {
    let mut random = Counting(2);
    let key = Identity::generate(&mut random);
    let bytes = written(
        Format::Yaml,
        &[("db.password", "hunter2"), ("token", "t")],
        &key,
        &mut random,
    );
    let document = Document::parse(Format::Yaml, &bytes).expect("valid");
    let Shape::Map(root) = document.shape() else {
        panic!("a map");
    };
    assert_eq!(
        root.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(),
        ["db", "token"]
    );
    assert!(
        matches!(&root[1].1, Shape::Leaf(leaf) if leaf.kind == Kind::Str && leaf.digest.len() == 32)
    );
    assert_eq!(document.recipients(), [key.recipient().to_string()]);
    assert!(document.entries().iter().all(|entry| !entry.is_plain));
}

#[test]
fn a_change_keeps_the_ciphertext_of_everything_else() {
    let mut random = Counting(3);
    let key = Identity::generate(&mut random);
    let keys = std::slice::from_ref(&key);
    for (format, _) in FORMATS {
        let first = written(
            format,
            &[("A", "one"), ("B", "two"), ("C", "three")],
            &key,
            &mut random,
        );
        let mut first = String::from_utf8(first).expect("text");
        if format == Format::Yaml {
            first.insert_str(0, "# kept\n");
        }
        let document = Document::parse(format, first.as_bytes()).expect("valid");
        let mut editor = document.clone().edit(keys).expect("its key");
        editor
            .set(&path("B"), Plain::text("changed"))
            .expect("a value");
        let second = editor
            .finish("2026-02-02T00:00:00Z", &mut random)
            .expect("patched");
        let second = String::from_utf8(second).expect("text");
        let same = first.lines().filter(|line| second.contains(*line)).count();
        assert_eq!(
            same,
            first.lines().count() - 3,
            "value, time and MAC differ:\n{first}\n{second}"
        );
        let read = texts(format, second.as_bytes(), &key).expect("valid");
        assert_eq!(read[1].1, "changed");
        assert_eq!(read[2].1, "three");
    }
}

#[test]
fn an_editor_shows_and_takes_plain_text() {
    let mut random = Counting(11);
    let key = Identity::generate(&mut random);
    let keys = std::slice::from_ref(&key);
    let bytes = written(
        Format::Json,
        &[("db.user", "shop"), ("db.password", "a\nb"), ("old", "x")],
        &key,
        &mut random,
    );
    let mut editor = Document::parse(Format::Json, &bytes)
        .expect("valid")
        .edit(keys)
        .expect("its key");
    let plain = editor.to_plain_yaml();
    assert_eq!(
        plain.as_str(),
        "db:\n    user: shop\n    password: \"a\\nb\"\nold: x\n"
    );
    let changed = plain.replace("old: x", "new: {port: 5432, tls: true}");
    editor.take_plain_yaml(&changed).expect("taken");
    let bytes = editor.finish(NOW, &mut random).expect("written");
    let read = texts(Format::Json, &bytes, &key).expect("valid");
    let wanted = [
        ("db.user", "shop"),
        ("db.password", "a\nb"),
        ("new.port", "5432"),
        ("new.tls", "true"),
    ];
    assert_eq!(read, wanted.map(|(k, v)| (k.to_owned(), v.to_owned())));
    let mut editor = Document::parse(Format::Json, &bytes)
        .expect("valid")
        .edit(keys)
        .expect("its key");
    let error = editor.take_plain_yaml("canary: \"").expect_err("no YAML");
    assert!(!error.to_string().contains("canary"));
    editor.take_plain_yaml("").expect("everything is gone");
    assert!(
        texts(
            Format::Json,
            &editor.finish(NOW, &mut random).expect("written"),
            &key
        )
        .expect("valid")
        .is_empty()
    );
}

#[test]
fn keys_are_added_removed_and_rotated() {
    let mut random = Counting(4);
    let (old, new) = (
        Identity::generate(&mut random),
        Identity::generate(&mut random),
    );
    for (format, _) in FORMATS {
        let bytes = written(format, &[("A", "one"), ("B", "two")], &old, &mut random);
        let open = |bytes: &[u8], key: &Identity| {
            Document::parse(format, bytes)
                .expect("valid")
                .edit(std::slice::from_ref(key))
        };
        let mut editor = open(&bytes, &old).expect("its key");
        editor.set(&path("C"), Plain::text("three")).expect("new");
        editor.remove(&path("A")).expect("there");
        assert!(matches!(
            editor.remove(&path("A")),
            Err(OpenError::NoKey { .. })
        ));
        let bytes = editor.finish(NOW, &mut random).expect("written");
        let mut editor = open(&bytes, &old).expect("its key");
        editor
            .rotate(&[new.recipient()], &mut random)
            .expect("age alone");
        let bytes = editor.finish(NOW, &mut random).expect("written");
        let read = texts(format, &bytes, &new).expect("the new key");
        assert_eq!(
            read,
            [("B".into(), "two".into()), ("C".into(), "three".into())]
        );
        assert!(matches!(
            texts(format, &bytes, &old),
            Err(OpenError::NoIdentity { .. })
        ));
    }
}

#[test]
fn whoever_changes_a_file_without_the_key_is_found_out() {
    let mut random = Counting(5);
    let key = Identity::generate(&mut random);
    let bytes = written(
        Format::Yaml,
        &[("a", "one"), ("b", "two")],
        &key,
        &mut random,
    );
    let text = String::from_utf8(bytes).expect("text");
    let check = |changed: String, wanted: &str| {
        let error = texts(Format::Yaml, changed.as_bytes(), &key).expect_err(wanted);
        assert!(error.to_string().contains(wanted), "{error}");
    };
    let lines: Vec<&str> = text.lines().collect();
    let value = |line: &str| {
        line.split_once(": ")
            .map(|(_, value)| value.to_owned())
            .expect("a value")
    };
    check(text.replace(lines[1], ""), "MAC");
    check(
        text.replace(lines[0], &format!("a: {}", value(lines[1]))),
        "changed or moved",
    );
    check(text.replace(lines[0], "a: plain"), "`a` is not encrypted");
    check(text.replace(NOW, "2027-01-02T03:04:05Z"), "MAC");
    let swapped = text
        .replace(lines[0], "@")
        .replace(lines[1], lines[0])
        .replace('@', lines[1]);
    check(swapped, "MAC");
}

#[test]
fn a_plain_value_is_reported_without_being_shown() {
    let mut random = Counting(6);
    let key = Identity::generate(&mut random);
    let bytes = written(Format::Yaml, &[("a", "one")], &key, &mut random);
    let text = format!(
        "left: canary\nnumber: 7\nnote_unencrypted: fine\n{}",
        String::from_utf8(bytes).expect("text")
    );
    let document = Document::parse(Format::Yaml, text.as_bytes()).expect("its structure is right");
    let plain: Vec<String> = document
        .entries()
        .iter()
        .filter(|entry| entry.is_plain)
        .map(|entry| entry.path.join("."))
        .collect();
    assert_eq!(plain, ["left", "number"]);
    let error = document
        .open(std::slice::from_ref(&key))
        .expect_err("plain");
    assert!(!format!("{error} {error:?}").contains("canary"));
    let whole =
        Document::parse(Format::Yaml, b"password: canary\n").expect_err("nothing encrypted it");
    assert_eq!(whole, DocumentError::NotEncrypted);
    for broken in [
        "password: \"canary",
        "- canary\n",
        "password: canary: 7\n",
        "[canary",
        "? [canary]\n: 1\n",
    ] {
        let error = Document::parse(Format::Yaml, broken.as_bytes()).expect_err(broken);
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
    let error = Document::parse(Format::Json, b"{\"a\": canary}").expect_err("broken");
    assert!(!error.to_string().contains("canary"));
    let error = Document::parse(Format::Dotenv, b"canary\n").expect_err("broken");
    assert!(!error.to_string().contains("canary"));
}

fn reference(document: &Document, file: &str, dotted: &str) -> Template {
    let wanted = if dotted.is_empty() {
        Vec::new()
    } else {
        path(dotted)
    };
    let entry = document
        .entries()
        .into_iter()
        .find(|entry| entry.path == wanted)
        .expect("there");
    Template::of(Reference {
        file: file.into(),
        key: wanted,
        digest: entry.leaf.digest,
    })
}

#[test]
fn a_secret_gets_its_values_and_nothing_else_does() {
    let mut random = Counting(7);
    let key = Identity::generate(&mut random);
    let keys = std::slice::from_ref(&key);
    let vault = written(
        Format::Yaml,
        &[("db.password", "pass\"word")],
        &key,
        &mut random,
    );
    let whole = armor(&encrypt(&[key.recipient()], b"whole file", &mut random)).into_bytes();
    let read = |path: &str| match path {
        "v.enc.yaml" => Some(vault.clone()),
        "w.age" => Some(whole.clone()),
        _ => None,
    };
    let document = Document::parse(Format::Yaml, &vault).expect("valid");
    let file = Document::parse(Format::Age, &whole).expect("valid");
    let password = reference(&document, "v.enc.yaml", "db.password");
    let mut url = Template::default();
    url.push_text("postgres://shop:");
    url.push(&password);
    let mut config = Template::default();
    config.push_text("{\"p\":");
    config.push(&password.clone().json());
    config.push_text("}");
    let object = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"},
        "data": {"plain": "eA==", "password": password.clone().base64().encode()},
        "stringData": {
            "url": url.encode(), "config": config.encode(), "file": reference(&file, "w.age", "").encode(),
            "text": "open",
        },
    });
    assert_eq!(references(&object).len(), 4);
    let mut revealer = Revealer::new(keys, &read);
    let revealed = revealer
        .object(&object)
        .expect("all there")
        .expect("has secrets");
    assert_eq!(
        revealed.object,
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"},
            "data": {
                "plain": "eA==", "password": "cGFzcyJ3b3Jk",
                "url": "cG9zdGdyZXM6Ly9zaG9wOnBhc3Mid29yZA==", "config": "eyJwIjoicGFzc1wid29yZCJ9",
                "file": "d2hvbGUgZmlsZQ==", "text": "b3Blbg==",
            },
        })
    );
    let said = scrub(
        "bad value pass\"word (pass\\\"word, cGFzcyJ3b3Jk)",
        &revealed.values,
    );
    assert_eq!(said, "bad value (secret) ((secret), (secret))");

    let nothing = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}});
    assert!(revealer.object(&nothing).expect("fine").is_none());
    let check = |object: Value, wanted: &str| {
        let mut revealer = Revealer::new(keys, &read);
        let error: RevealError = revealer.object(&object).expect_err(wanted);
        assert!(error.to_string().contains(wanted), "{error}");
    };
    let secret =
        |text: String| json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"a": text}});
    check(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": password.encode()}}),
        "`data.a`; only",
    );
    check(
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"labels": {"a": password.encode()}}}),
        "`metadata.labels.a`; only",
    );
    check(secret("ordain-secret/v1:{}".into()), "cannot be read");
    check(
        secret(reference(&document, "other.yaml", "db.password").encode()),
        "no secrets file `other.yaml`",
    );
    check(
        secret(password.encode().replace("\"digest\":\"", "\"digest\":\"x")),
        "not the value that was compiled",
    );
    let stranger = [Identity::generate(&mut random)];
    let error = Revealer::new(&stranger, &read)
        .object(&object)
        .expect_err("no key");
    assert!(
        error.to_string().contains(&key.recipient().to_string()),
        "{error}"
    );
    assert!(Revealer::new(&[], &read).object(&object).is_err());
}

/// Real tools as peers: `age` where it is installed, and files of `sops` where a folder names some.
mod peers {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    fn run(program: &str, args: &[&str], input: &[u8]) -> Option<Vec<u8>> {
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            eprintln!("left out: `{program}` is not installed");
            return None;
        };
        child
            .stdin
            .take()
            .expect("piped")
            .write_all(input)
            .expect("written");
        let output = child.wait_with_output().expect("ended");
        assert!(output.status.success(), "{program} {args:?}");
        Some(output.stdout)
    }

    #[test]
    fn age_opens_ours_and_we_open_its() {
        let mut random = Counting(8);
        let key = Identity::generate(&mut random);
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("keys.txt");
        std::fs::write(&file, format!("# a comment\n{}\n", *key.to_text())).expect("written");
        let keys = file.to_str().expect("UTF-8");
        for length in [0, 5, 70_000] {
            let plain: Vec<u8> = (0..length).map(|at: u32| at as u8).collect();
            let ours = encrypt(&[key.recipient()], &plain, &mut random);
            let Some(opened) = run("age", &["-d", "-i", keys], &ours) else {
                return;
            };
            assert_eq!(opened, plain);
            let opened = run("age", &["-d", "-i", keys], armor(&ours).as_bytes());
            assert_eq!(opened.expect("installed"), plain);
            for armored in [&["-a"][..], &[]] {
                let to = key.recipient().to_string();
                let args = [armored, &["-r", &to]].concat();
                let its = run("age", &args, &plain).expect("installed");
                let opened =
                    ordain_lang_secrets::decrypt(&its, std::slice::from_ref(&key)).expect("for us");
                assert_eq!(*opened, plain);
            }
        }
    }

    /// Every `*.yaml`, `*.json` and `*.env` in the folder `ORDAIN_SOPS_SAMPLES` names opens with its `keys.txt`.
    #[test]
    fn files_of_sops_open() {
        let Some(folder) = std::env::var_os("ORDAIN_SOPS_SAMPLES") else {
            eprintln!("left out: ORDAIN_SOPS_SAMPLES names no folder");
            return;
        };
        let folder = std::path::PathBuf::from(folder);
        let keys = std::fs::read_to_string(folder.join("keys.txt")).expect("keys");
        let keys = ordain_lang_secrets::identities(&keys).expect("keys");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("readable").path();
            let Ok(format) = Format::of(path.to_str().expect("UTF-8")) else {
                continue;
            };
            let bytes = std::fs::read(&path).expect("readable");
            let opened = Document::parse(format, &bytes).map(|d| d.open(&keys));
            opened.expect("valid").expect("its key");
            count += 1;
        }
        eprintln!("{count} files of sops opened");
    }
}
