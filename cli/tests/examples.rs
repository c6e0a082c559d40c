//! Every `.ord` program of the repository is formatted, and every example checks and builds in each environment.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("cli/ lies in the root")
        .to_path_buf()
}

fn ordain(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ordain"))
        .args(args)
        .current_dir(root())
        .output()
        .expect("it starts")
}

#[track_caller]
fn succeeds(args: &[&str]) -> String {
    let output = ordain(args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ordain {}: {said}", args.join(" "));
    String::from_utf8(output.stdout).expect("output is text")
}

#[test]
fn our_own_programs_are_formatted() {
    for folder in ["examples", "stdlib", "benches/compile"] {
        succeeds(&["fmt", "--check", folder]);
    }
}

#[test]
fn examples_check_and_build_in_every_environment() {
    let mut built = 0;
    for entry in std::fs::read_dir(root().join("examples"))
        .expect("examples/ is there")
        .flatten()
    {
        let path = format!("examples/{}", entry.file_name().to_string_lossy());
        if !root().join(&path).join("ordain.toml").is_file() {
            continue;
        }
        succeeds(&["check", &path]);
        let temp = tempfile::tempdir().expect("a folder");
        succeeds(&[
            "build",
            &path,
            "--output",
            &temp.path().display().to_string(),
        ]);
        built += std::fs::read_dir(temp.path()).expect("the output").count();
    }
    assert!(built >= 2, "the shop alone has two environments");
}
