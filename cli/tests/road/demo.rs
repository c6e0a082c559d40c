//! `ordain demo` tells its whole story, with both drivers, and leaves nothing behind.

use crate::cluster::{Driver, is_root, text};
use std::process::Command;

fn check(driver: Driver) {
    let runtime = if driver == Driver::Oci {
        "oci"
    } else {
        "process"
    };
    let temp = tempfile::tempdir().expect("a directory");
    let mut command = if is_root() {
        let mut command = Command::new("unshare");
        command.args([
            "--net",
            "--",
            "sh",
            "-c",
            "ip link set lo up && exec \"$0\" \"$@\"",
        ]);
        command.arg(env!("CARGO_BIN_EXE_ordain"));
        command
    } else {
        Command::new(env!("CARGO_BIN_EXE_ordain"))
    };
    let output = command
        .args(["demo", "--runtime", runtime])
        .env("TMPDIR", temp.path())
        .env("NO_COLOR", "1")
        .output();
    let output = output.expect("the binary starts");
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    for part in [
        "1. A cluster",
        "2. A push deploys",
        "3. A change",
        "4. A bad image",
        "5. A rollback",
        "6. The history",
    ] {
        assert!(said.contains(part), "no `{part}` in:\n{said}");
    }
    assert!(
        said.contains("Rollback-To:"),
        "the rollback commit has its trailers:\n{said}"
    );
    let left: Vec<_> = std::fs::read_dir(temp.path())
        .expect("a directory")
        .flatten()
        .map(|e| e.path())
        .collect();
    assert!(left.is_empty(), "the demo leaves nothing: {left:?}");
}

#[test]
fn the_demo_runs_with_real_containers() {
    if !is_root() {
        return crate::left_out("the demo with real containers", "it needs root");
    }
    check(Driver::Oci);
}

#[test]
fn the_demo_runs_with_plain_processes() {
    check(Driver::Process);
}
