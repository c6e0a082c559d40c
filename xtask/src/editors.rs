//! The gates of `editors/`, which are no members of the workspace: a grammar in C and an extension in TypeScript.

use std::path::PathBuf;
use std::process::Command;

use crate::check::{Totals, counted};

/// Runs the tests of both and adds up their totals. What cannot run here says why, and counts as skipped.
pub(crate) fn run(totals: &mut Totals) -> bool {
    let grammar = tree_sitter(totals);
    let extension = vscode(totals);
    grammar && extension
}

fn tree_sitter(totals: &mut Totals) -> bool {
    eprintln!("xtask: editors: the tree-sitter grammar");
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["test", "--quiet", "--target-dir"])
        .arg(crate::root().join("target/editors"))
        .current_dir(crate::root().join("editors/tree-sitter"));
    counted(command, totals)
}

fn vscode(totals: &mut Totals) -> bool {
    eprintln!("xtask: editors: the extension for VS Code");
    let folder = crate::root().join("editors/vscode");
    if !found("npm") {
        eprintln!("xtask: editors: the extension's tests are left out: npm is not installed");
        totals.skipped += 1;
        return true;
    }
    let npm = |args: &[&str]| {
        let mut command = Command::new("npm");
        command.args(args).current_dir(&folder);
        command.env("ORDAIN", program());
        command
    };
    let installed = npm(&["ci", "--no-audit", "--no-fund", "--loglevel=error"])
        .status()
        .is_ok_and(|status| status.success());
    installed && counted(npm(&["test", "--loglevel=error"]), totals)
}

/// The binary that the workspace's tests built.
fn program() -> PathBuf {
    let name = format!("ordain{}", std::env::consts::EXE_SUFFIX);
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| crate::root().join("target"));
    target.join("debug").join(name)
}

fn found(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|out| out.status.success())
}
