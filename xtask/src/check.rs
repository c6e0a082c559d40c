//! The one entry that says whether a change is finished. CI runs the same function.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};

/// The command of the README that runs all tests.
const TESTS: [&str; 4] = ["test", "--workspace", "--no-fail-fast", "--quiet"];

/// Runs every gate, and prints the totals of the test runner last.
///
/// A gate that fails does not keep the later ones from running, so that one run shows everything.
pub(crate) fn run(clippy: bool) -> ExitCode {
    let mut failed = Vec::new();
    if !gate("format", &["fmt", "--all", "--check"]) {
        failed.push("format");
    }
    if clippy
        && !gate(
            "clippy",
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--quiet",
                "--",
                "-D",
                "warnings",
            ],
        )
    {
        failed.push("clippy");
    }
    let totals = tests();
    if !totals.succeeded {
        failed.push("tests");
    }
    for gate in &failed {
        eprintln!("xtask: {gate} failed");
    }
    println!(
        "{} passed, {} failed, {} skipped",
        totals.passed, totals.failed, totals.skipped
    );
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn gate(name: &str, args: &[&str]) -> bool {
    eprintln!("xtask: {name}: cargo {}", args.join(" "));
    Command::new(env!("CARGO"))
        .args(args)
        .current_dir(crate::root())
        .status()
        .is_ok_and(|s| s.success())
}

#[derive(Default)]
struct Totals {
    passed: u64,
    failed: u64,
    skipped: u64,
    succeeded: bool,
}

/// Runs all tests, passes their output through, and adds up the lines `test result: …` of every binary.
fn tests() -> Totals {
    eprintln!("xtask: tests: cargo {}", TESTS.join(" "));
    let child = Command::new(env!("CARGO"))
        .args(TESTS)
        .current_dir(crate::root())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            eprintln!("xtask: cargo does not start: {error}");
            return Totals::default();
        }
    };
    let mut totals = Totals::default();
    for line in BufReader::new(child.stdout.take().expect("stdout is a pipe"))
        .lines()
        .map_while(Result::ok)
    {
        println!("{line}");
        if let Some(result) = line.trim_start().strip_prefix("test result:") {
            totals.passed += count(result, "passed");
            totals.failed += count(result, "failed");
            totals.skipped += count(result, "ignored");
        }
    }
    totals.succeeded = child.wait().is_ok_and(|s| s.success());
    totals
}

/// Returns the number before `word` in `ok. 3 passed; 0 failed; …`.
fn count(result: &str, word: &str) -> u64 {
    let before = result.split(word).next().unwrap_or_default();
    before
        .split_whitespace()
        .last()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}
