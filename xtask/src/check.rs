//! The one entry that says whether a change is finished. CI runs the same function.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};

/// The command of the README that runs all tests.
const TESTS: [&str; 4] = ["test", "--workspace", "--no-fail-fast", "--quiet"];

/// Runs every gate, and prints the totals of the test runner last.
///
/// A gate that fails does not keep the later ones from running, so that one run shows everything.
pub(crate) fn run(clippy: bool) -> ExitCode {
    if let Err(why) = crate::setup::install() {
        eprintln!("xtask: {why}");
        return ExitCode::FAILURE;
    }
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
                "--keep-going",
                "--quiet",
                "--",
                "-D",
                "warnings",
            ],
        )
    {
        failed.push("clippy");
    }
    let mut totals = Totals::default();
    eprintln!("xtask: tests: cargo {}", TESTS.join(" "));
    let mut command = Command::new(env!("CARGO"));
    command.args(TESTS).current_dir(crate::root());
    if !counted(command, &mut totals) {
        failed.push("tests");
    }
    if !crate::editors::run(&mut totals) {
        failed.push("editors");
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

/// What the test runners counted.
#[derive(Default)]
pub(crate) struct Totals {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

/// Runs a test runner, passes its output through, and adds up its totals: the lines `test result: …` of cargo's, and
/// `# pass 1` or `ℹ pass 1` of node's.
pub(crate) fn counted(mut command: Command, totals: &mut Totals) -> bool {
    let mut child = match command.stdout(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => {
            eprintln!("xtask: the tests do not start: {error}");
            return false;
        }
    };
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
        if let Some(result) = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ ")) {
            let number = |word: &str| {
                result
                    .strip_prefix(word)
                    .and_then(|n| n.trim().parse().ok())
            };
            totals.passed += number("pass ").unwrap_or(0);
            totals.failed += number("fail ").unwrap_or(0);
            totals.skipped += number("skipped ").unwrap_or(0);
        }
    }
    child.wait().is_ok_and(|s| s.success())
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
