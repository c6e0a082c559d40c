//! `ordain run`: the reconciler alone, by a kubeconfig, beside the cluster it deploys to.

use crate::cluster::{Driver, Up, text as text_of};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

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
pub(crate) struct Running(pub(crate) Child);

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
    assert!(
        output.status.success(),
        "git {args:?}: {}",
        text_of(&output)
    );
}

/// A reconciler of its own beside the cluster that it deploys to, with everything that a test asks it.
pub(crate) struct Far {
    running: Option<Running>,
    pub(crate) up: Up,
    pub(crate) origin: std::path::PathBuf,
    pub(crate) data_dir: std::path::PathBuf,
}

/// The namespace of its objects: the cluster's own reconciler has the usual one.
const FAR: &str = "ordain-far";

impl Far {
    pub(crate) fn start(project: &str) -> Self {
        let up = Up::start(Driver::Process);
        let origin = up.dir.path().join("origin");
        std::fs::create_dir(&origin).expect("a folder");
        std::fs::write(origin.join("ordain.toml"), "name = \"hello\"\n").expect("a file");
        std::fs::write(origin.join("hello.ord"), project).expect("a file");
        git(&origin, &["init", "-q", "-b", "main"]);
        git(&origin, &["add", "-A"]);
        git(&origin, &["commit", "-q", "-m", "first"]);
        let data_dir = up.dir.path().join("reconciler");
        let mut far = Self {
            running: None,
            up,
            origin,
            data_dir,
        };
        let log = far.up.dir.path().join("run.log");
        let mut child = far
            .up
            .command(env!("CARGO_BIN_EXE_ordain"))
            .args(["run", "--format", "json", "--cluster", "far"])
            .args(["--http", "127.0.0.1:0", "--system-namespace", FAR])
            .arg("--kubeconfig")
            .arg(&far.up.kubeconfig)
            .arg("--repo")
            .arg(&far.origin)
            .arg("--data-dir")
            .arg(&far.data_dir)
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).expect("a log"))
            .spawn()
            .expect("it starts");
        let stdout = child.stdout.take().expect("a pipe");
        far.running = Some(Running(child));
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let log = || std::fs::read_to_string(&log).unwrap_or_default();
        let ready: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}{}", log()));
        assert_eq!(ready["cluster"], "far", "{ready}");
        far
    }

    /// Runs a command against its data directory.
    pub(crate) fn here(&self, args: &[&str]) -> Output {
        let mut command = self.up.command(env!("CARGO_BIN_EXE_ordain"));
        command.args(args).arg("--data-dir").arg(&self.data_dir);
        command.env("NO_COLOR", "1").output().expect("it starts")
    }

    /// Runs a command with nothing but the kubeconfig.
    pub(crate) fn there(&self, args: &[&str]) -> Output {
        let mut command = self.up.command(env!("CARGO_BIN_EXE_ordain"));
        command.args(args).args(["--system-namespace", FAR]);
        command.arg("--kubeconfig").arg(&self.up.kubeconfig);
        command.env("NO_COLOR", "1").output().expect("it starts")
    }

    /// Waits until the app is what a commit says, and healthy.
    #[track_caller]
    pub(crate) fn settled(&self, commit: &str) {
        let what = format!("commit {commit} is deployed");
        self.up.eventually(&what, || {
            let output = self.here(&["status", "--format", "json"]);
            let status: Value = serde_json::from_slice(&output.stdout).ok()?;
            let app = &status["apps"][0];
            let is_it = app["commit"].as_str()?.starts_with(commit);
            (is_it && app["health"] == "healthy").then_some(())
        });
    }

    /// Commits to the repository, and says so; returns the commit's name.
    pub(crate) fn commit(&self, file: &str, text: &str, message: &str) -> String {
        std::fs::write(self.origin.join(file), text).expect("a file");
        git(&self.origin, &["add", "-A"]);
        git(&self.origin, &["commit", "-q", "-m", message]);
        let synced = self.here(&["sync"]);
        assert_eq!(synced.status.code(), Some(0), "{}", text_of(&synced));
        self.head()
    }

    pub(crate) fn head(&self) -> String {
        let output = Command::new("git")
            .current_dir(&self.origin)
            .args(["rev-parse", "HEAD"])
            .output()
            .expect("git is installed");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

#[test]
fn a_foreign_cluster_is_kept_equal_to_a_foreign_repository() {
    let far = Far::start(PROJECT);
    far.settled(&far.head());
    let up = &far.up;
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
}
