//! What the side-by-side measurements share: running a program and saying how long it took and how much it held.
//!
//! Figures are for reading, never for passing or failing: a slow machine is not a mistake.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark talks to the person who started it"
)]

pub mod counter;
pub mod fleet;
pub mod project;
pub mod running;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Returns the root of the checkout.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("benches/ lies in the root")
        .to_path_buf()
}

/// Returns the release binary, or says how to build it.
///
/// # Errors
/// Returns the command to run when it is missing.
pub fn ordain() -> Result<PathBuf, String> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let path = target.join("release").join("ordain");
    path.is_file()
        .then_some(path)
        .ok_or_else(|| "build it first: cargo build --release".to_owned())
}

/// Returns the folder that `benches/peers.sh` installs into.
#[must_use]
pub fn peers() -> PathBuf {
    std::env::var_os("ORDAIN_PEERS").map_or_else(|| root().join("target/peers"), PathBuf::from)
}

/// Returns a program of the given name from `target/peers` or from PATH.
#[must_use]
pub fn peer(name: &str) -> Option<PathBuf> {
    let peers = peers();
    let own = [
        peers.join("bin").join(name),
        peers.join("node_modules/.bin").join(name),
    ];
    let path = std::env::var_os("PATH").unwrap_or_default();
    own.into_iter()
        .chain(std::env::split_paths(&path).map(|p| p.join(name)))
        .find(|p| p.is_file())
}

/// One run of a program.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// From start to exit.
    pub wall: Duration,
    /// The most memory that it (or one of its children) held at once, in KiB.
    pub peak_kib: u64,
}

/// The word that turns a benchmark binary into the measuring stick of one command.
const STICK: &str = "__measure";

/// Runs one command and reports on stdout, when this process was started by [`measure`].
///
/// Peak memory of children is a figure of the whole process, so each run needs a process of its own.
#[must_use]
pub fn is_stick() -> bool {
    let mut args = std::env::args_os().skip(1);
    if args.next().as_deref() != Some(OsStr::new(STICK)) {
        return false;
    }
    let (Some(output), Some(program)) = (args.next(), args.next()) else {
        return true;
    };
    let output = std::fs::File::create(output).expect("the parent made the folder");
    let start = Instant::now();
    let status = Command::new(program)
        .args(args)
        .stdout(output)
        .stdin(Stdio::null())
        .status();
    let wall = start.elapsed();
    let succeeded = status.is_ok_and(|s| s.success());
    println!("{} {} {succeeded}", wall.as_nanos(), peak_kib());
    true
}

#[cfg(target_os = "linux")]
fn peak_kib() -> u64 {
    use nix::sys::resource::{UsageWho, getrusage};
    getrusage(UsageWho::RUSAGE_CHILDREN)
        .map_or(0, |usage| u64::try_from(usage.max_rss()).unwrap_or(0))
}

#[cfg(not(target_os = "linux"))]
fn peak_kib() -> u64 {
    0
}

/// Runs a command `times` times with its stdout in `output`, and returns the fastest run.
///
/// # Errors
/// Returns what went wrong with the command, with its name.
pub fn measure(times: u32, output: &Path, program: &Path, args: &[&OsStr]) -> Result<Run, String> {
    let mut best: Option<Run> = None;
    for _ in 0..times {
        let own = std::env::current_exe().map_err(|e| e.to_string())?;
        let result = Command::new(own)
            .arg(STICK)
            .arg(output)
            .arg(program)
            .args(args)
            .stderr(Stdio::piped())
            .output()
            .map_err(|e| format!("{}: {e}", program.display()))?;
        let text = String::from_utf8_lossy(&result.stdout);
        let mut words = text.split_whitespace();
        let (wall, peak) = (
            words.next().and_then(|w| w.parse().ok()),
            words.next().and_then(|w| w.parse().ok()),
        );
        let (Some(wall), Some(peak_kib), Some("true")) = (wall, peak, words.next()) else {
            return Err(format!(
                "{} failed: {}",
                program.display(),
                String::from_utf8_lossy(&result.stderr).trim()
            ));
        };
        let run = Run {
            wall: Duration::from_nanos(wall),
            peak_kib,
        };
        best = Some(best.filter(|b| b.wall <= run.wall).unwrap_or(run));
    }
    best.ok_or_else(|| "no run was asked for".to_owned())
}
