//! A repository with a change, and scripts run on it as runners do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};

const PROJECT: &str = "name = \"shop\"\nkubernetes = \"1.36\"\n";

/// One Deployment with so many replicas.
pub(crate) fn source(replicas: u32) -> String {
    format!(
        "app shop {{\n  objects = [k8s.Deployment {{\n    metadata.name = \"web\"\n    spec = {{\n      replicas = {replicas}\n      \
         selector.matchLabels = {{ app = \"web\" }}\n      template = {{\n        metadata.labels = {{ app = \"web\" }}\n        \
         spec.containers = [{{ name = \"web\", image = \"registry.local/web:1\" }}]\n      }}\n    }}\n  }}]\n}}\n"
    )
}

/// A repository with a change in a folder, and the program beside it.
pub(crate) struct Work {
    dir: tempfile::TempDir,
    pub(crate) base: String,
    pub(crate) head: String,
}

impl Work {
    pub(crate) fn new(before: &str, after: &str) -> Work {
        let dir = tempfile::tempdir().expect("a folder");
        let repository = dir.path().join("repository");
        std::fs::create_dir_all(repository.join("deploy")).expect("a folder");
        std::fs::create_dir_all(dir.path().join("temp")).expect("a folder");
        let git = |args: &[&str]| {
            let output = Command::new("git")
                .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
                .args(["-c", "commit.gpgsign=false"])
                .args(args)
                .current_dir(&repository)
                .output()
                .expect("git is installed");
            assert!(output.status.success(), "{output:?}");
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        git(&["init", "--quiet", "--initial-branch=main"]);
        let write = |text: &str| {
            std::fs::write(repository.join("deploy/ordain.toml"), PROJECT).expect("written");
            std::fs::write(repository.join("deploy/shop.ord"), text).expect("written");
            git(&["add", "-A"]);
            git(&["commit", "--quiet", "--allow-empty", "-m", "change"]);
            git(&["rev-parse", "HEAD"])
        };
        let (base, head) = (write(before), write(after));
        Work { dir, base, head }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where programs are found: what steps added comes first, then a `cargo` of the test's own, when it has one.
    pub(crate) fn search_path(&self) -> Option<String> {
        let added = std::fs::read_to_string(self.path("temp/path")).unwrap_or_default();
        let mut folders: Vec<PathBuf> = added.lines().rev().map(PathBuf::from).collect();
        folders.push(self.path("cargo"));
        let known = std::env::var_os("PATH").unwrap_or_default();
        folders.extend(std::env::split_paths(&known));
        let joined = std::env::join_paths(folders).ok()?;
        joined.into_string().ok()
    }

    /// Puts a `cargo` into the way that installs the program which is tested, and writes down how it was called.
    pub(crate) fn fake_cargo(&self) {
        use std::os::unix::fs::PermissionsExt;
        let script = format!(
            "#!/bin/sh\necho \"$*\" >> '{}'\nwhile [ \"$1\" != --root ]; do shift; done\nmkdir -p \"$2/bin\"\nln -s '{}' \"$2/bin/ordain\"\n",
            self.path("cargo.log").display(),
            env!("CARGO_BIN_EXE_ordain")
        );
        let folder = self.path("cargo");
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join("cargo");
        std::fs::write(&file, script).expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("allowed");
    }

    pub(crate) fn cargo_log(&self) -> String {
        std::fs::read_to_string(self.path("cargo.log")).unwrap_or_default()
    }

    /// Runs a script as the runners do.
    pub(crate) fn bash(&self, script: &str, env: &BTreeMap<String, String>) -> Output {
        let file = self.path("temp/step.sh");
        std::fs::write(&file, script).expect("written");
        Command::new("bash")
            .args(["--noprofile", "--norc", "-eo", "pipefail"])
            .arg(&file)
            .current_dir(self.path("repository"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("temp"))
            .envs(env)
            .output()
            .expect("bash is installed")
    }
}
