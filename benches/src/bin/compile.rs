//! Compiles the same 1,000 applications with Ordain, jrsonnet and Pkl, one after the other in one run.
//!
//!     cargo build --release && cargo run -p ordain-benches --bin compile [N]
//!
//! The peers come from `benches/peers.sh` (or PATH) and read their programs from `../shared/bench/k8s-1000`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark talks to the person who started it"
)]

use ordain_benches::{Run, measure, ordain, peer, root};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const TIMES: u32 = 5;

fn main() -> ExitCode {
    if ordain_benches::is_stick() {
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compile: {error}");
            ExitCode::from(3)
        }
    }
}

fn run() -> Result<(), String> {
    let n = std::env::args().nth(1).unwrap_or_else(|| "1000".to_owned());
    let number: usize = n
        .parse()
        .map_err(|_| format!("`{n}` is no number of applications"))?;
    let temp = tempfile::tempdir().map_err(|e| e.to_string())?;
    let workload = root()
        .parent()
        .map(|p| p.join("shared/bench/k8s-1000"))
        .filter(|p| p.is_dir());
    let program = ordain_program(temp.path(), number)?;
    let own = measure_one(
        temp.path(),
        &ordain()?,
        &[
            OsStr::new("build"),
            program.as_os_str(),
            OsStr::new("--format"),
            OsStr::new("json"),
        ],
    )?;
    println!("{number} applications, best of {TIMES}\n");
    println!(
        "{:<28} {:>10} {:>10} {:>8}",
        "", "wall ms", "peak MiB", "ratio"
    );
    row("ordain, typed, all checks", own, own);
    let Some(workload) = workload else {
        println!(
            "\npeers left out: their programs are in ../shared/bench/k8s-1000, which is not there"
        );
        return Ok(());
    };
    let jsonnet = workload.join("jsonnet/main.jsonnet");
    let tla = format!("N={n}");
    peer_row(
        "jrsonnet, untyped",
        "jrsonnet",
        own,
        temp.path(),
        &[OsStr::new("-V"), OsStr::new(&tla), jsonnet.as_os_str()],
    );
    let pkl = workload.join("pkl/main.pkl");
    let property = format!("N={n}");
    peer_row(
        "Pkl, own classes",
        "pkl",
        own,
        temp.path(),
        &[
            OsStr::new("eval"),
            OsStr::new("-p"),
            OsStr::new(&property),
            pkl.as_os_str(),
        ],
    );
    Ok(())
}

/// The committed program is for 1,000; another number is the same program with another constant.
fn ordain_program(temp: &Path, number: usize) -> Result<PathBuf, String> {
    let from = root().join("benches/compile/k8s-1000/main.ord");
    let text = std::fs::read_to_string(&from).map_err(|e| format!("{}: {e}", from.display()))?;
    let path = temp.join("main.ord");
    std::fs::write(&path, text.replace("0..1000", &format!("0..{number}")))
        .map_err(|e| e.to_string())?;
    Ok(path)
}

fn measure_one(temp: &Path, program: &Path, args: &[&OsStr]) -> Result<Run, String> {
    measure(TIMES, &temp.join("output"), program, args)
}

fn peer_row(label: &str, name: &str, own: Run, temp: &Path, args: &[&OsStr]) {
    match peer(name)
        .ok_or_else(|| "not installed; run benches/peers.sh".to_owned())
        .and_then(|p| measure_one(temp, &p, args))
    {
        Ok(run) => row(label, run, own),
        Err(error) => println!("{label:<28} {error}"),
    }
}

fn row(label: &str, run: Run, own: Run) {
    #[expect(
        clippy::cast_precision_loss,
        reason = "memory of a process fits a float's 53 bits"
    )]
    let mib = run.peak_kib as f64 / 1024.0;
    let ratio = run.wall.as_secs_f64() / own.wall.as_secs_f64();
    println!(
        "{label:<28} {:>10.1} {mib:>10.1} {ratio:>7.2}x",
        run.wall.as_secs_f64() * 1_000.0
    );
}
