//! A running `ordain up` for a test: its own data directory, port 0, and as root its own network namespace.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a debug build on a slow machine may take to be ready, or to stop.
const PATIENCE: Duration = Duration::from_secs(120);

/// Which driver the cluster runs its pods with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    Oci,
    Process,
}

/// A network namespace that lives as long as the value, with loopback up.
pub(crate) struct Namespace {
    holder: Child,
}

impl Namespace {
    fn new() -> Self {
        let holder = Command::new("unshare")
            .args([
                "--net",
                "--",
                "sh",
                "-c",
                "ip link set lo up && echo ready && exec sleep 3600",
            ])
            .stdout(Stdio::piped())
            .spawn();
        let mut holder = holder.expect("unshare is part of every Linux system");
        let mut line = String::new();
        BufReader::new(holder.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("a line");
        assert_eq!(line.trim(), "ready", "the namespace has no loopback");
        Self { holder }
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", self.holder.id()))
            .arg("--")
            .arg(program.as_ref());
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

pub(crate) fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|o| o.stdout == b"0\n")
}

/// A cluster that is stopped, and checked to have stopped cleanly, when the value is dropped.
pub(crate) struct Up {
    child: Option<Child>,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) git: String,
    /// The dashboard's address, with the key.
    pub(crate) dashboard: String,
    namespace: Option<Namespace>,
}

impl Up {
    pub(crate) fn start(driver: Driver) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        Self::start_in(dir, driver, &[], None)
    }

    /// Starts on a directory that may have been used before, with more arguments, in a given namespace.
    pub(crate) fn start_in(
        dir: tempfile::TempDir,
        driver: Driver,
        more: &[&str],
        namespace: Option<Namespace>,
    ) -> Self {
        let namespace = namespace.or_else(|| is_root().then(Namespace::new));
        let program = env!("CARGO_BIN_EXE_ordain");
        let mut command = match &namespace {
            Some(namespace) => namespace.command(program),
            None => Command::new(program),
        };
        let runtime = if driver == Driver::Oci {
            "oci"
        } else {
            "process"
        };
        let log = std::fs::File::create(dir.path().join("stderr.log")).expect("a log");
        let mut child = command
            .args([
                "up",
                "--listen",
                "127.0.0.1:0",
                "--format",
                "json",
                "-v",
                "--runtime",
                runtime,
                "--data-dir",
            ])
            .arg(dir.path().join("data"))
            .args(more)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("stdout is text");
        let Ok(ready) = serde_json::from_str::<serde_json::Value>(&line) else {
            let log = std::fs::read_to_string(dir.path().join("stderr.log")).unwrap_or_default();
            panic!("`ordain up` did not become ready: {line}{log}");
        };
        let text = |key: &str| {
            ready[key]
                .as_str()
                .unwrap_or_else(|| panic!("no `{key}` in {line}"))
                .to_owned()
        };
        assert!(text("server").starts_with("https://127.0.0.1:"), "{line}");
        Self {
            kubeconfig: text("kubeconfig").into(),
            git: text("git"),
            dashboard: text("dashboard"),
            child: Some(child),
            dir,
            namespace,
        }
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Returns a command that runs where the cluster's addresses are.
    pub(crate) fn command(&self, program: &str) -> Command {
        match &self.namespace {
            Some(namespace) => namespace.command(program),
            None => Command::new(program),
        }
    }

    /// What a command says as JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let mut all = args.to_vec();
        all.extend(["--format", "json"]);
        let output = self.ordain(&all);
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|e| panic!("{args:?}: {e}: {}{}", text(&output), self.log()))
    }

    /// Runs `ordain` with the cluster's data directory at the end.
    pub(crate) fn ordain(&self, args: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_ordain"))
            .args(args)
            .arg("--data-dir")
            .arg(self.data_dir())
            .env("NO_COLOR", "1")
            .output()
            .expect("ordain starts")
    }

    /// Runs `kubectl` and returns its stdout.
    #[track_caller]
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        let output = self
            .command("kubectl")
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(args)
            .output();
        let output = output.expect("kubectl starts");
        assert!(
            output.status.success(),
            "kubectl {}: {}{}",
            args.join(" "),
            text(&output),
            self.log()
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Returns the end of what `ordain up` logged, for a failing test's message.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read_to_string(self.dir.path().join("stderr.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        format!(
            "\n-- log\n{}",
            lines[lines.len().saturating_sub(60)..].join("\n")
        )
    }

    /// Asks again until `done` gives something.
    #[track_caller]
    pub(crate) fn eventually<T>(&self, what: &str, mut done: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(value) = done() {
                return value;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{what} did not happen{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Sends a signal to `ordain up` itself.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name])
            .arg(self.pid().to_string())
            .status();
        assert!(status.is_ok_and(|s| s.success()), "kill works");
    }

    /// Stops it as Ctrl-C does, and returns the directory and the namespace for the next start.
    #[track_caller]
    pub(crate) fn stop(mut self) -> (tempfile::TempDir, Option<Namespace>) {
        self.signal("INT");
        let code = self.wait();
        assert_eq!(code, Some(0), "`ordain up` stops cleanly{}", self.log());
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().expect("a directory"));
        (dir, self.namespace.take())
    }

    /// Kills it as a power cut does.
    pub(crate) fn kill(mut self) -> (tempfile::TempDir, Option<Namespace>) {
        self.signal("KILL");
        self.wait();
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().expect("a directory"));
        (dir, self.namespace.take())
    }

    fn wait(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("it runs");
        let start = Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("it is our child") {
                return status.code();
            }
            if start.elapsed() > PATIENCE {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.signal("INT");
            self.wait();
        }
    }
}

/// Returns stdout and stderr of a command as one text.
pub(crate) fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A user's clone of a project, with the cluster as the remote `ordain`.
pub(crate) struct Work {
    dir: tempfile::TempDir,
}

impl Work {
    pub(crate) fn new(up: &Up, files: &[(&str, &str)]) -> Self {
        let work = Self {
            dir: tempfile::tempdir().expect("a directory"),
        };
        for (name, text) in files {
            work.write(name, text);
        }
        work.git(&["init", "--quiet", "--initial-branch=main"]);
        work.git(&["remote", "add", "ordain", &up.git]);
        work
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder");
        std::fs::write(path, content).expect("a file");
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Runs git as a user without a configuration, and returns everything it printed and whether it succeeded.
    pub(crate) fn try_git(&self, args: &[&str]) -> (bool, String) {
        let mut command = Command::new("git");
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .envs([
                ("GIT_AUTHOR_NAME", "Ada"),
                ("GIT_AUTHOR_EMAIL", "ada@example.com"),
            ])
            .envs([
                ("GIT_COMMITTER_NAME", "Ada"),
                ("GIT_COMMITTER_EMAIL", "ada@example.com"),
            ]);
        let output = command.output().expect("git starts");
        (output.status.success(), text(&output))
    }

    #[track_caller]
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let (ok, text) = self.try_git(args);
        assert!(ok, "git {}: {text}", args.join(" "));
        text
    }

    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// Pushes and returns what the user saw.
    pub(crate) fn push(&self) -> (bool, String) {
        let (ok, mut text) = self.try_git(&["push", "ordain", "HEAD:main"]);
        if !ok {
            let _ = writeln!(text, "(the push was refused)");
        }
        (ok, text)
    }
}
