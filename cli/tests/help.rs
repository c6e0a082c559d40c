//! The help of every command, as a user sees it. It is product: read the difference before accepting it.

use std::process::Command;

fn help(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ordain"))
        .args(args)
        .env("COLUMNS", "100")
        .output()
        .expect("it starts");
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("help is text")
}

#[test]
fn help_reads_well() {
    insta::assert_snapshot!("ordain", help(&["--help"]));
    for command in [
        "new",
        "check",
        "build",
        "test",
        "diff",
        "up",
        "run",
        "demo",
        "status",
        "history",
        "rollback",
        "explain",
        "fmt",
        "repl",
        "doc",
        "import",
        "export",
        "secret",
        "vendor",
        "plan",
        "snapshot",
        "why",
        "dashboard",
        "sync",
        "adopt",
        "approve",
        "suspend",
        "resume",
    ] {
        insta::assert_snapshot!(format!("ordain-{command}"), help(&[command, "--help"]));
    }
    for command in ["log", "at", "blame", "audit"] {
        insta::assert_snapshot!(format!("ordain-{command}"), help(&[command, "--help"]));
    }
    insta::assert_snapshot!("ordain-audit-verify", help(&["audit", "verify", "--help"]));
    insta::assert_snapshot!("ordain-image-load", help(&["image", "load", "--help"]));
}
