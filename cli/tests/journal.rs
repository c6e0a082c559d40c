//! `log`, `at`, `blame` and `audit` on a data directory where nothing runs. Commits, times and objects are fixed, so
//! everything that is printed but hashes and keys is the same in each run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ordain_reconciler_journal::{
    AppRef, Counts, DriftedObject, Event, Intent, Journal, ObjectSet, ObjectWrite, Outcome,
    Rollback,
};
use serde_json::Value;
use tempfile::TempDir;

const HELLO: &str = r#"type Server {
  name: k8s.Name
  replicas: Int(1..=20) = 1
}
fn deployment(server: Server) -> k8s.Deployment = k8s.Deployment {
  metadata.name = server.name
  spec = {
    replicas = server.replicas
    selector.matchLabels = { app = server.name }
    template = {
      metadata.labels = { app = server.name }
      spec.containers = [{ name = "main", image = "registry.local/hello:1.0" }]
    }
  }
}
app hello {
  web: Server = { name = "web" }
  objects = [deployment(web)]
}
env dev { cluster = "local" }
"#;

const PROD: &str = r#"env prod {
  cluster = "prod"
  namespace = "hello"
  hello.web { replicas = REPLICAS }
}
"#;

/// A data directory with a repository and a journal, as `ordain up` leaves it.
struct World {
    dir: TempDir,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let world = Self { dir };
        let bare = world.data_dir().join("git/ordain.git");
        fs::create_dir_all(&bare).expect("a folder");
        world.git(
            &bare,
            "Ada",
            0,
            &["init", "--quiet", "--bare", "--initial-branch=main"],
        );
        fs::create_dir(world.work()).expect("a folder");
        world.git(
            &world.work(),
            "Ada",
            0,
            &["init", "--quiet", "--initial-branch=main"],
        );
        world
    }

    fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    fn git(&self, folder: &Path, who: &str, minute: u64, args: &[&str]) -> String {
        let date = format!("2026-08-01T14:{minute:02}:00Z");
        let mail = format!("{}@example.com", who.to_lowercase());
        let output = Command::new("git")
            .current_dir(folder)
            .args(["-c", "commit.gpgsign=false"])
            .args(args)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_AUTHOR_NAME", who)
            .env("GIT_AUTHOR_EMAIL", &mail)
            .env("GIT_COMMITTER_NAME", who)
            .env("GIT_COMMITTER_EMAIL", &mail)
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_DATE", &date)
            .output()
            .expect("git is there");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn commit(&self, who: &str, minute: u64, message: &str, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            fs::write(self.work().join(path), text).expect("written");
        }
        let remote = self.data_dir().join("git/ordain.git").display().to_string();
        self.git(&self.work(), who, minute, &["add", "-A"]);
        self.git(
            &self.work(),
            who,
            minute,
            &["commit", "--quiet", "-m", message],
        );
        self.git(
            &self.work(),
            who,
            minute,
            &["push", "--quiet", "--force", &remote, "HEAD:main"],
        );
        self.git(&self.work(), who, minute, &["rev-parse", "HEAD"])
    }

    /// The objects of the work tree as the language makes them, with the namespace that a deploy adds.
    fn built(&self) -> ObjectSet {
        let output = Command::new(env!("CARGO_BIN_EXE_ordain"))
            .current_dir(self.work())
            .args(["build", "--env", "prod", "--format", "json"])
            .output()
            .expect("it starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut objects: Vec<Value> = serde_json::from_slice(&output.stdout).expect("a list");
        objects.push(serde_json::json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": "hello"},
            "data": {"token": "Q0FOQVJZ"},
        }));
        for object in &mut objects {
            object["metadata"]["namespace"] = "hello".into();
        }
        ObjectSet::new(objects.iter().map(Value::to_string))
    }

    fn ordain(&self, args: &[&str]) -> (i32, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_ordain"))
            .args(args)
            .arg("--data-dir")
            .arg(self.data_dir())
            .env("TZ", "UTC")
            .output()
            .expect("it starts");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        let text = text.replace(&self.dir.path().display().to_string(), "[DIR]");
        (output.status.code().unwrap_or(-1), text)
    }
}

/// Milliseconds of a time on the day of the test.
fn at(minute: i64, second: i64) -> i64 {
    // 2026-08-01T14:00:00Z
    1_785_592_800_000 + (minute * 60 + second) * 1000
}

fn app() -> AppRef {
    AppRef {
        env: "prod".to_owned(),
        name: "hello".to_owned(),
    }
}

/// Three deploys: the first, a change by somebody else, and a rollback.
fn world() -> World {
    let world = World::new();
    let journal = world.data_dir().join("journal");
    let (journal, _) = Journal::open(&journal).expect("it opens");
    let files = |replicas: &str| {
        [
            ("hello.ord", HELLO.to_owned()),
            ("prod.ord", PROD.replace("REPLICAS", replicas)),
        ]
    };
    let deploy = |who: &str, minute: i64, message: &str, replicas: &str, before: u64| {
        let toml = ("ordain.toml", "name = \"hello\"\n".to_owned());
        let files: Vec<_> = files(replicas).into_iter().chain([toml]).collect();
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| (*path, text.as_str()))
            .collect();
        let commit = world.commit(who, minute as u64, message, &files);
        let trailer = |key: &str| {
            let found = message
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{key}: ")));
            found.map(str::to_owned)
        };
        let rollback = trailer("Rollback-Of").zip(trailer("Rollback-To"));
        let mut batch = journal.batch().expect("it writes");
        let set = batch.put_set(&world.built());
        let inventory = batch.put(b"[]");
        let update = usize::from(before > 0);
        let intent = Intent {
            app: app(),
            commit,
            author: format!("{who} <{}@example.com>", who.to_lowercase()),
            subject: message.lines().next().unwrap_or_default().to_owned(),
            set,
            inventory,
            plan: format!("{minute:064x}"),
            counts: Counts {
                create: 2 - 2 * update,
                update,
                delete: 0,
                unchanged: update,
            },
            reason: if rollback.is_some() {
                "too many pods".to_owned()
            } else {
                String::new()
            },
            rollback: rollback.map(|(of, to)| Rollback { of, to }),
            compiler: "ordain 0.1.0".to_owned(),
            ..Intent::default()
        };
        let deploy = batch
            .append(at(minute, 5), Event::Intent(Box::new(intent)))
            .seq;
        for (second, outcome) in [(6, Outcome::Applied), (9, Outcome::Healthy)] {
            let write = ObjectWrite {
                object: "apps/Deployment hello/web".to_owned(),
                verb: if before > 0 { "update" } else { "create" }.to_owned(),
                uid: "11111111-2222-3333-4444-555555555555".to_owned(),
                before: (before > 0).then(|| before.to_string()),
                after: Some((before + 7).to_string()),
            };
            let writes = match outcome {
                Outcome::Applied => vec![write],
                _ => Vec::new(),
            };
            let event = Event::Outcome {
                deploy,
                app: app(),
                outcome,
                inventory: None,
                writes,
            };
            batch.append(at(minute, second), event);
        }
        batch.commit().expect("it is durable");
    };
    deploy("Ada", 3, "first", "2", 0);
    let first = world.git(&world.work(), "Ada", 3, &["rev-parse", "HEAD"]);
    deploy("Grace", 10, "more pods for the sale", "9", 100);
    let drift = Event::Drift {
        app: app(),
        objects: vec!["apps/Deployment hello/web: spec.replicas".to_owned()],
        changes: vec![DriftedObject {
            object: "apps/Deployment hello/web".to_owned(),
            fields: vec!["spec.replicas".to_owned()],
            managers: vec!["kubectl-edit".to_owned()],
        }],
    };
    journal.append(at(12, 0), drift).expect("it is durable");
    let second = world.git(&world.work(), "Ada", 3, &["rev-parse", "HEAD"]);
    let message = format!(
        "rollback hello to {}\n\ntoo many pods\n\nRollback-Of: {second}\nRollback-To: {first}\nPlan-Hash: {:064x}\n",
        &first[..10],
        20
    );
    deploy("Ada", 20, &message, "2", 200);
    world
}

#[test]
fn the_journal_tells_what_was_when_and_by_whom() {
    let world = world();
    let mut shown = String::new();
    for args in [
        &["log"][..],
        &[
            "log",
            "hello",
            "--since",
            "2026-08-01 14:11",
            "--until",
            "2026-08-01T14:20:06Z",
        ],
        &["log", "--limit", "1", "--format", "json"],
        &["at", "2026-08-01 14:15", "get"],
        &[
            "at",
            "2026-08-01T14:15:00Z",
            "get",
            "secret/key",
            "-o",
            "yaml",
        ],
        &["at", "2026-08-01 14:02", "get"],
        &["at", "soon", "get"],
        &["blame", "deployment/web", "spec.replicas"],
        &[
            "blame",
            "deploy/web",
            "spec.replicas",
            "--at",
            "2026-08-01 14:15",
        ],
        &[
            "blame",
            "deploy/web",
            r#"spec.template.spec.containers["main"].image"#,
            "--format",
            "json",
        ],
        &["blame", "deploy/web", "spec.nothing"],
        &["blame", "deploy/other", "spec.replicas"],
    ] {
        let (code, text) = world.ordain(args);
        shown.push_str(&format!(
            "$ ordain {}\n{text}[exit {code}]\n\n",
            args.join(" ")
        ));
    }
    assert!(!shown.contains("CANARY") && !shown.contains("Q0FOQVJZ"));
    insta::assert_snapshot!(shown);
    let replicas = |time: &str| {
        let args = ["at", time, "get", "deploy/web", "-n", "hello", "-o", "json"];
        let (code, text) = world.ordain(&args);
        assert_eq!(code, 0, "{text}");
        let object: Value = serde_json::from_str(&text).expect("an object");
        object["spec"]["replicas"].clone()
    };
    assert_eq!(replicas("2026-08-01 14:05"), 2);
    assert_eq!(replicas("2026-08-01 14:15"), 9);
    assert_eq!(replicas("now"), 2);
}

#[test]
fn an_audit_finds_what_was_changed() {
    let world = world();
    let (code, text) = world.ordain(&["audit", "verify"]);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("1 rollback commits") && text.contains("intact"),
        "{text}"
    );
    let head = text
        .lines()
        .find_map(|line| line.strip_prefix("head "))
        .expect("a head")
        .to_owned();
    let (code, text) = world.ordain(&["audit", "verify", "--head", &head]);
    assert_eq!(code, 0, "{text}");
    let other = head
        .replace(':', ":0")
        .chars()
        .take(head.len())
        .collect::<String>();
    let (code, _) = world.ordain(&["audit", "verify", "--head", &other]);
    assert_eq!(code, 1);

    let log = world
        .data_dir()
        .join("journal/segments/0000000000000001.log");
    let text = fs::read_to_string(&log).expect("text");
    fs::write(&log, text.replace("more pods", "less pods")).expect("written");
    let (code, found) = world.ordain(&["audit", "verify"]);
    assert_eq!(code, 1, "{found}");
    assert!(found.contains("record 4"), "{found}");
    fs::write(&log, text).expect("written");

    // The rollback commit is replaced by one that says something else.
    let message = "rollback hello\n\nRollback-Of: 0\nRollback-To: 0\n";
    world.git(
        &world.work(),
        "Ada",
        30,
        &["commit", "--quiet", "--amend", "-m", message],
    );
    let (code, _) = world.ordain(&["audit", "verify"]);
    assert_eq!(
        code, 0,
        "a commit that the journal does not name is nobody's business"
    );
}

#[test]
fn an_export_is_signed_and_names_what_was_deployed() {
    let world = world();
    let (code, text) = world.ordain(&["audit", "export", "--since", "2026-08-01 14:20"]);
    assert_eq!(code, 0, "{text}");
    let (_, key) = world.ordain(&["audit", "key"]);
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 3);
    for line in &lines {
        assert_eq!(line["payloadType"], "application/vnd.in-toto+json");
        assert_eq!(line["signatures"][0]["keyid"], key.trim());
    }
    use base64::Engine as _;
    let payload = lines[0]["payload"].as_str().expect("text");
    let payload = base64::engine::general_purpose::STANDARD
        .decode(payload)
        .expect("base64");
    let statement: Value = serde_json::from_slice(&payload).expect("JSON");
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicate"]["event"], "intent");
    assert_eq!(statement["predicate"]["reason"], "too many pods");
    assert_eq!(
        statement["subject"][2]["digest"]["gitCommit"],
        statement["predicate"]["commit"]
    );

    let (code, text) = world.ordain(&["audit", "export", "--format", "cdevents"]);
    assert_eq!(code, 0, "{text}");
    let kinds: Vec<String> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).expect("JSON")["context"]["type"].to_string()
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "\"dev.cdevents.service.deployed.0.2.0\"",
            "\"dev.cdevents.service.upgraded.0.2.0\"",
            "\"dev.cdevents.incident.detected.0.2.0\"",
            "\"dev.cdevents.service.rolledback.0.2.0\"",
        ]
    );
}

/// The last commit amended by hand, pushed, and deployed as the reconciler records it: with what its trailers say.
fn amended(world: &World, change: impl Fn(&str) -> String) -> String {
    let message = world.git(&world.work(), "Ada", 21, &["log", "-1", "--format=%B"]);
    let message = change(&message);
    let args = [
        "commit",
        "--quiet",
        "--amend",
        "--allow-empty",
        "-m",
        &message,
    ];
    world.git(&world.work(), "Mallory", 21, &args);
    let remote = world
        .data_dir()
        .join("git/ordain.git")
        .display()
        .to_string();
    let push = ["push", "--quiet", "--force", &remote, "HEAD:main"];
    world.git(&world.work(), "Mallory", 21, &push);
    let commit = world.git(&world.work(), "Ada", 21, &["rev-parse", "HEAD"]);
    let trailer = |key: &str| ordain_reconciler_source::trailer(&message, key).map(str::to_owned);
    let rollback = trailer("Rollback-Of").zip(trailer("Rollback-To"));
    let (journal, _) = Journal::open(&world.data_dir().join("journal")).expect("it opens");
    let mut batch = journal.batch().expect("it writes");
    let set = batch.put_set(&world.built());
    let intent = Intent {
        app: app(),
        commit: commit.clone(),
        set,
        inventory: batch.put(b"[]"),
        plan: format!("{:064x}", 20),
        rollback: rollback.map(|(of, to)| Rollback { of, to }),
        compiler: "ordain 0.1.0".to_owned(),
        ..Intent::default()
    };
    let deploy = batch.append(at(21, 5), Event::Intent(Box::new(intent))).seq;
    let event = Event::Outcome {
        deploy,
        app: app(),
        outcome: Outcome::Healthy,
        inventory: None,
        writes: Vec::new(),
    };
    batch.append(at(21, 6), event);
    batch.commit().expect("it is durable");
    commit
}

#[test]
fn an_audit_finds_trailers_that_somebody_changed() {
    let line = |message: &str, key: &str, other: Option<&str>| -> String {
        let lines = message
            .lines()
            .filter_map(|line| match line.starts_with(key) {
                true => other.map(|other| format!("{key}: {other}")),
                false => Some(line.to_owned()),
            });
        lines.collect::<Vec<_>>().join("\n")
    };
    let found = |world: &World, commit: &str, parts: &[&str]| {
        let (code, text) = world.ordain(&["audit", "verify", "--format", "json"]);
        assert_eq!(code, 1, "{text}");
        let verdict: Value = serde_json::from_str(&text).expect("a verdict");
        assert_eq!(verdict["intact"], false);
        let findings = verdict["findings"].as_array().expect("findings");
        assert_eq!(findings.len(), 1, "{text}");
        let finding = findings[0].as_str().expect("a text");
        assert!(
            finding.contains(&format!("rollback commit {}", &commit[..10])),
            "{finding}"
        );
        for part in parts {
            assert!(finding.contains(part), "no `{part}` in: {finding}");
        }
    };
    let all = world();
    let ids = all.git(&all.work(), "Ada", 21, &["log", "--format=%H"]);
    let ids: Vec<&str> = ids.lines().collect();
    let [_, second, first] = ids[..] else {
        panic!("three commits: {ids:?}");
    };
    let (code, text) = all.ordain(&["audit", "verify"]);
    assert_eq!(code, 0, "as it was written, everything fits: {text}");
    // Amended without another trailer, it fits as well.
    let kept = amended(&all, |message| format!("another subject\n{message}"));
    let (code, text) = all.ordain(&["audit", "verify"]);
    assert_eq!(code, 0, "{kept}: {text}");

    // Each trailer is taken away.
    for key in ["Rollback-Of", "Rollback-To", "Plan-Hash"] {
        let world = world();
        let commit = amended(&world, |message| line(message, key, None));
        found(&world, &commit, &["has no trailer", key]);
    }
    // Each names something else.
    let plan = format!("{:064x}", 10);
    let nowhere = "0123456789012345678901234567890123456789";
    for (key, other, says) in [
        // What stood before the rollback is not what the amended commit says is undone.
        ("Rollback-Of", first, "stood before it"),
        ("Rollback-Of", nowhere, "there is no such commit"),
        // Objects of another commit came back.
        ("Rollback-To", second, "are not those that it deployed"),
        // The hash of the plan of another deploy.
        ("Plan-Hash", plan.as_str(), "has plan"),
    ] {
        let world = world();
        // The same commits as above: times, names and texts are fixed.
        let commit = amended(&world, |message| line(message, key, Some(other)));
        found(&world, &commit, &[format!("{key}: {other}").as_str(), says]);
    }
}
