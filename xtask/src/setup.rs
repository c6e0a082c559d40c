//! What a machine needs to build and run everything, beside the Rust toolchain and the C compiler that links with it.
//!
//! Knows Debian's packages alone; elsewhere it says what is missing.

use std::process::{Command, ExitCode};

/// Programs and the packages that have them: make builds jemalloc, git is what people push with.
const NEEDED: [(&str, &str); 2] = [("make", "make"), ("git", "git")];

/// Installs what is missing, then runs a command of cargo in its place.
pub(crate) fn then(arguments: &[&str]) -> ExitCode {
    if let Err(why) = install() {
        eprintln!("xtask: {why}");
        return ExitCode::FAILURE;
    }
    match Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(crate::root())
        .status()
    {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: cannot start cargo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Installs what is missing.
///
/// # Errors
/// What is missing still, and what to do.
pub(crate) fn install() -> Result<(), String> {
    let missing: Vec<&str> = (NEEDED.iter())
        .filter(|(program, _)| !is_there(program))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let wanted = missing.join(" ");
    let by_hand = format!("install {wanted} first: `apt-get install {wanted}` as root");
    if !is_there("apt-get") {
        return Err(by_hand);
    }
    eprintln!("xtask: installing {wanted}");
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        // Data is for stdout, and this is none.
        command.stdout(std::io::stderr());
        command.status().is_ok_and(|status| status.success())
    };
    let mut install = vec!["install", "--yes", "--quiet", "--no-install-recommends"];
    install.extend(&missing);
    match apt(&["update", "--quiet"]) && apt(&install) {
        true => Ok(()),
        false => Err(by_hand),
    }
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
