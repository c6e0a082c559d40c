//! What cannot work says so: one clear message with place and remedy, exit code 3, nothing half-written.

use crate::cluster::{Driver, Up, text};
use std::net::TcpListener;
use std::process::{Command, Output};

fn ordain(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ordain"))
        .args(args)
        .env("NO_COLOR", "1")
        .output()
        .expect("the binary starts")
}

#[track_caller]
fn fails(output: &Output, words: &[&str]) {
    let said = text(output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    for word in words {
        assert!(said.contains(word), "no `{word}` in: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a_second_cluster_on_the_same_directory_is_refused() {
    let up = Up::start(Driver::Process);
    let output = up.ordain(&["up", "--listen", "127.0.0.1:0", "--runtime", "process"]);
    fails(
        &output,
        &["another `ordain up`", &up.pid().to_string(), "--data-dir"],
    );
    assert!(
        up.ordain(&["status"]).status.success(),
        "the first one still answers"
    );
    up.stop();
}

#[test]
fn a_port_in_use_is_named_and_nothing_is_left() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data").display().to_string();
    let output = ordain(&[
        "up",
        "--runtime",
        "process",
        "--listen",
        &address,
        "--data-dir",
        &data,
    ]);
    fails(&output, &[&address, "--listen"]);
    let output = ordain(&["status", "--data-dir", &data]);
    fails(&output, &["no `ordain up` or `ordain run` works in"]);
}

#[test]
fn a_repository_that_is_none_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data").display().to_string();
    let nowhere = dir.path().join("nowhere").display().to_string();
    let args = [
        "up",
        "--runtime",
        "process",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        &data,
        "--repo",
        &nowhere,
    ];
    fails(&ordain(&args), &[&nowhere]);
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let data = file.join("data").display().to_string();
    let output = ordain(&[
        "up",
        "--runtime",
        "process",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        &data,
    ]);
    fails(&output, &[&data, "--data-dir"]);
}

#[test]
fn usage_mistakes_have_their_own_exit_code() {
    assert_eq!(
        ordain(&["up", "--listen", "nonsense"]).status.code(),
        Some(2)
    );
    assert_eq!(ordain(&["rollback", "shop"]).status.code(), Some(2));
    assert_eq!(ordain(&["nonsense"]).status.code(), Some(2));
}
