//! Repositories for the tests, written by the installed git as people write theirs, and servers for them.

#![allow(dead_code, reason = "each test file uses what it needs")]

pub(crate) mod backend;
pub(crate) mod sshd;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Runs a program in a folder and returns what it printed.
///
/// # Panics
/// When it fails: a fixture that is not as it should be proves nothing.
pub(crate) fn run(folder: &Path, program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_AUTHOR_NAME", "Ada")
        .env("GIT_AUTHOR_EMAIL", "ada@example.com")
        .env("GIT_COMMITTER_NAME", "Ada")
        .env("GIT_COMMITTER_EMAIL", "ada@example.com")
        .output()
        .unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{program} {args:?}: {}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout).trim().to_owned()
}

/// A repository with a working tree and a bare one that it is pushed to.
pub(crate) struct Author {
    pub(crate) tree: PathBuf,
    pub(crate) bare: PathBuf,
}

impl Author {
    /// Makes `<root>/<name>` and `<root>/<name>.git`.
    pub(crate) fn new(root: &Path, name: &str) -> Self {
        let (tree, bare) = (root.join(name), root.join(format!("{name}.git")));
        std::fs::create_dir_all(&tree).expect("a folder");
        run(
            root,
            "git",
            &["init", "-q", "--bare", "-b", "main", &path(&bare)],
        );
        run(&tree, "git", &["init", "-q", "-b", "main"]);
        run(&tree, "git", &["remote", "add", "origin", &path(&bare)]);
        // What every larger host allows.
        for key in [
            "uploadpack.allowFilter",
            "uploadpack.allowAnySHA1InWant",
            "http.receivepack",
        ] {
            run(&bare, "git", &["config", key, "true"]);
        }
        Self { tree, bare }
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        run(&self.tree, "git", args)
    }

    /// Writes a file, commits and pushes; returns the commit.
    pub(crate) fn commit(&self, file: &str, content: &str) -> String {
        self.write(file, content);
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", &format!("change {file}")]);
        self.git(&["push", "-q", "-f", "origin", "HEAD:main"]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub(crate) fn write(&self, file: &str, content: &str) {
        let file = self.tree.join(file);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).expect("a folder");
        }
        std::fs::write(file, content).expect("a file");
    }
}

/// A path as text.
pub(crate) fn path(path: &Path) -> String {
    path.display().to_string()
}

/// True when a program is there; says so when not, so that nobody takes a test for run that was not.
#[allow(clippy::print_stderr, reason = "this is where tests speak")]
pub(crate) fn has(program: &str, arg: &str) -> bool {
    let found = Command::new(program).arg(arg).output().is_ok();
    if !found {
        eprintln!("left out: `{program}` is not installed");
    }
    found
}
