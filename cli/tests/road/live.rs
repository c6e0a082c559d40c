//! The files on disk against a running cluster and against a signed snapshot of it, and a status that is watched.

use crate::cluster::{Driver, Up, Work, text};
use crate::run::Running;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

const PROJECT: &str = r#"
app hello {
  objects = [
    k8s.ConfigMap {
      metadata.name = "greeting"
      data = { text = "hello" }
    }
    k8s.ConfigMap {
      metadata.name = "quota"
      data = { limit = "10" }
    }
    k8s.Secret {
      metadata.name = "token"
      stringData = { token = "CANARY" }
    }
  ]
}

env local { cluster = "local", namespace = "default" }
"#;

/// Somebody else sets the limit.
const RULES: &str = "- {kind: ConfigMap, name: quota, paths: [/data/limit]}\n";

/// Far more than anything here takes: a test that hangs ends.
const PATIENCE: Duration = Duration::from_secs(120);

/// A command in the project's folder.
fn ordain(up: &Up, work: &Work, args: &[&str]) -> Output {
    let mut command = up.command(env!("CARGO_BIN_EXE_ordain"));
    command
        .current_dir(work.path())
        .args(args)
        .env("NO_COLOR", "1");
    command.output().expect("ordain starts")
}

/// The same with the data directory named.
fn here(up: &Up, work: &Work, args: &[&str]) -> Output {
    let data_dir = up.data_dir().display().to_string();
    let args: Vec<&str> = args
        .iter()
        .copied()
        .chain(["--data-dir", &data_dir])
        .collect();
    ordain(up, work, &args)
}

#[track_caller]
fn is(output: &Output, code: i32, parts: &[&str], absent: &[&str]) {
    let said = text(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for part in parts {
        assert!(said.contains(part), "no `{part}` in: {said}");
    }
    for part in absent.iter().chain(&["CANARY"]) {
        assert!(!said.contains(part), "`{part}` in: {said}");
    }
}

fn project(dir: tempfile::TempDir) -> (Up, Work) {
    let rules = dir.path().join("rules.yaml");
    std::fs::write(&rules, RULES).expect("a file");
    let rules = rules.display().to_string();
    let up = Up::start_in(dir, Driver::Process, &["--ignore-rules", &rules], None);
    let files = [
        ("ordain.toml", "name = \"hello\"\n"),
        ("hello.ord", PROJECT),
    ];
    let work = Work::new(&up, &files);
    work.commit("first");
    let (ok, said) = work.push();
    assert!(ok, "{said}{}", up.log());
    (up, work)
}

#[test]
fn what_would_change_is_told_before_anything_does() {
    let (up, work) = project(tempfile::tempdir().expect("a folder"));
    let snapshot = work.path().join("../snapshot.json");
    let snapshot = std::path::absolute(snapshot)
        .expect("a path")
        .display()
        .to_string();
    let snapshot = format!("{snapshot}-{}", up.pid());

    // Nothing differs yet.
    is(
        &here(&up, &work, &["diff", "--live"]),
        0,
        &[],
        &["greeting"],
    );
    is(&here(&up, &work, &["plan"]), 0, &[], &["greeting"]);
    let made = here(&up, &work, &["snapshot", &snapshot]);
    is(&made, 0, &["3 objects"], &[]);
    let key = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    assert_eq!(key.len(), 64, "{key}");
    let against = |work: &Work| {
        ordain(
            &up,
            work,
            &["diff", "--snapshot", &snapshot, "--snapshot-key", &key],
        )
    };
    is(&against(&work), 0, &[], &["greeting"]);

    // A change on disk; of the field that is left to somebody else, too.
    let changed = PROJECT
        .replace("\"hello\" }\n", "\"bye\" }\n")
        .replace("\"10\"", "\"20\"");
    work.write("hello.ord", &changed);
    let told = ["greeting", "data.text", "hello", "bye", "hello.ord:6"];
    is(
        &here(&up, &work, &["diff", "--live"]),
        1,
        &told,
        &["quota", "token"],
    );
    is(&against(&work), 1, &told, &["quota", "token"]);
    let kubeconfig = up.kubeconfig.display().to_string();
    let by_kubeconfig = [
        "diff",
        "--live",
        "--env",
        "local",
        "--kubeconfig",
        &kubeconfig,
    ];
    is(
        &ordain(&up, &work, &by_kubeconfig),
        1,
        &told,
        &["quota", "token"],
    );
    let path = work.path().display().to_string();
    let by_kubeconfig = [
        "plan",
        "--path",
        &path,
        "--env",
        "local",
        "--kubeconfig",
        &kubeconfig,
    ];
    is(
        &ordain(&up, &work, &by_kubeconfig),
        1,
        &told,
        &["quota", "token"],
    );
    let with_all = ["diff", "--live", "--ignore-rules", "/dev/null"];
    let with_all = here(&up, &work, &with_all);
    assert_ne!(with_all.status.code(), Some(0), "{}", text(&with_all));

    // Nothing was done, and the deployed branch has nothing new.
    is(&here(&up, &work, &["plan"]), 0, &[], &["greeting"]);
    let live = [
        "get",
        "configmap",
        "greeting",
        "-n",
        "default",
        "-o",
        "jsonpath={.data.text}",
    ];
    assert_eq!(up.kubectl(&live), "hello");

    // A snapshot that somebody changed is refused, and so is one that somebody else signed.
    let whole = std::fs::read(&snapshot).expect("it was written");
    assert!(!String::from_utf8_lossy(&whole).contains("CANARY"));
    let mut tampered = whole.clone();
    let at = whole.windows(7).position(|bytes| bytes == b"\"hello\"");
    tampered[at.expect("the greeting") + 1] = b'j';
    std::fs::write(&snapshot, &tampered).expect("written");
    is(&against(&work), 2, &["signature does not fit"], &[]);
    std::fs::write(&snapshot, &whole[..whole.len() - 20]).expect("written");
    is(&against(&work), 2, &["signature does not fit"], &[]);
    std::fs::write(&snapshot, &whole).expect("written");
    let other = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let other = ["diff", "--snapshot", &snapshot, "--snapshot-key", other];
    is(&ordain(&up, &work, &other), 2, &["signed by"], &[]);
    std::fs::remove_file(&snapshot).expect("removed");

    // Once it is pushed, it is as the preview said.
    work.commit("bye");
    let (ok, said) = work.push();
    assert!(ok, "{said}{}", up.log());
    is(
        &here(&up, &work, &["diff", "--live"]),
        0,
        &[],
        &["greeting"],
    );
    assert_eq!(up.kubectl(&live), "bye");
    let limit = [
        "get",
        "configmap",
        "quota",
        "-n",
        "default",
        "-o",
        "jsonpath={.data.limit}",
    ];
    assert_eq!(up.kubectl(&limit), "10");
    is(
        &here(&up, &work, &["blame", "cm/greeting", "data.text"]),
        0,
        &["bye", "Ada"],
        &[],
    );
    let log = here(&up, &work, &["log", "hello", "--format", "json"]);
    let log: Value = serde_json::from_slice(&log.stdout).expect("records");
    let records = log["records"].as_array().expect("a list");
    let deploy = records.iter().find(|one| one["event"] == "intent");
    let deploy = deploy.expect("a deploy");
    // Who ran `git push`, as the kernel knows him.
    let actor = deploy["actor"].as_str().unwrap_or_default();
    assert!(actor.starts_with("local user "), "{deploy}");
    assert_eq!(deploy["signature"]["verdict"], "unsigned", "{deploy}");
    let before = here(&up, &work, &["at", "2020-01-01", "get"]);
    assert_eq!(before.status.code(), Some(3), "{}", text(&before));
    is(
        &here(&up, &work, &["at", "now", "get", "cm"]),
        0,
        &["greeting", "quota"],
        &["token"],
    );
    up.stop();
}

#[test]
fn a_watched_status_shows_each_change() {
    let (up, work) = project(tempfile::tempdir().expect("a folder"));
    let mut child = up
        .command(env!("CARGO_BIN_EXE_ordain"))
        .args(["status", "--watch", "--format", "json", "--data-dir"])
        .arg(up.data_dir())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let stdout = child.stdout.take().expect("a pipe");
    let _watching = Running(child);
    let (tell, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
    });
    // The state in which the app is the commit's, and healthy. What stays as it is, is shown once.
    let mut last = String::new();
    let mut until = |commit: &str| loop {
        let line = lines.recv_timeout(PATIENCE).expect("a state is shown");
        assert_ne!(line, last);
        last.clone_from(&line);
        let status: Value = serde_json::from_str(&line).expect("one document a line");
        let app = &status["apps"][0];
        if app["commit"] == commit && app["health"] == "healthy" {
            return status;
        }
    };
    let first = work.git(&["rev-parse", "HEAD"]).trim().to_owned();
    let before = until(&first);
    work.write(
        "hello.ord",
        &PROJECT.replace("\"hello\" }\n", "\"bye\" }\n"),
    );
    let second = work.commit("bye");
    let (ok, said) = work.push();
    assert!(ok, "{said}{}", up.log());
    assert_ne!(until(&second), before);
    let suspended = up.ordain(&["suspend", "hello", "--reason", "a look"]);
    assert!(suspended.status.success(), "{}", text(&suspended));
    loop {
        let line = lines.recv_timeout(PATIENCE).expect("a state is shown");
        if line.contains("a look") {
            break;
        }
    }
    up.stop();
}
