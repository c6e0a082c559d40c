//! `ordain run`: the reconciler alone, by a kubeconfig, beside the cluster it deploys to.

use crate::cluster::{Driver, Up, text};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const PROJECT: &str = r#"
app hello {
  objects = [
    k8s.ConfigMap {
      metadata.name = "greeting"
      data = { text = "hello" }
    }
  ]
}

env prod { cluster = "far", namespace = "default" }
"#;

/// Ends the process with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn git(folder: &Path, args: &[&str]) {
    let output = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
        .args(args)
        .output()
        .expect("git is installed");
    assert!(output.status.success(), "git {args:?}: {}", text(&output));
}

#[test]
fn a_foreign_cluster_is_kept_equal_to_a_foreign_repository() {
    let up = Up::start(Driver::Process);
    let origin = up.dir.path().join("origin");
    std::fs::create_dir(&origin).expect("a folder");
    std::fs::write(origin.join("ordain.toml"), "name = \"hello\"\n").expect("a file");
    std::fs::write(origin.join("hello.ord"), PROJECT).expect("a file");
    git(&origin, &["init", "-q", "-b", "main"]);
    git(&origin, &["add", "-A"]);
    git(&origin, &["commit", "-q", "-m", "first"]);

    let data_dir = up.dir.path().join("reconciler");
    let mut child = up
        .command(env!("CARGO_BIN_EXE_ordain"))
        .args([
            "run",
            "--format",
            "json",
            "--cluster",
            "far",
            "--http",
            "127.0.0.1:0",
        ])
        .arg("--kubeconfig")
        .arg(&up.kubeconfig)
        .arg("--repo")
        .arg(&origin)
        .arg("--data-dir")
        .arg(&data_dir)
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(up.dir.path().join("run.log")).expect("a log"))
        .spawn()
        .expect("it starts");
    let stdout = child.stdout.take().expect("a pipe");
    let running = Running(child);
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let log = || std::fs::read_to_string(up.dir.path().join("run.log")).unwrap_or_default();
    let ready: Value =
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}{}", log()));
    assert_eq!(ready["cluster"], "far", "{ready}");

    let status = || {
        let output = up
            .command(env!("CARGO_BIN_EXE_ordain"))
            .args(["status", "--format", "json", "--data-dir"])
            .arg(&data_dir)
            .output()
            .expect("it starts");
        serde_json::from_slice::<Value>(&output.stdout).ok()
    };
    up.eventually("the app is deployed", || {
        let status = status()?;
        (status["apps"][0]["health"] == "healthy").then_some(())
    });
    let map = up.kubectl(&[
        "get",
        "configmap",
        "greeting",
        "-n",
        "default",
        "-o",
        "jsonpath={.data.text}",
    ]);
    assert_eq!(map, "hello");

    // What somebody changes by hand is put right.
    up.kubectl(&[
        "patch",
        "configmap",
        "greeting",
        "-n",
        "default",
        "--type",
        "merge",
        "-p",
        r#"{"data":{"text":"bye"}}"#,
    ]);
    up.eventually("the edit is reverted", || {
        let map = up.kubectl(&[
            "get",
            "configmap",
            "greeting",
            "-n",
            "default",
            "-o",
            "jsonpath={.data.text}",
        ]);
        (map == "hello").then_some(())
    });
    drop(running);
}
