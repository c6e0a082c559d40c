//! Measures the diff of a pull request: 600 apps of which all get another image, and of which one does; the sources alone, with
//! a snapshot, and with a server's dry run of every object that differs.
//!
//!     cargo build --release && cargo run --release -p ordain-benches --bin gitops_diff [APPS]
//!
//! The bar is three seconds for 600 apps.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark talks to the person who started it"
)]

use ordain_benches::fleet::Fleet;
use ordain_benches::running::Running;
use ordain_benches::{measure, ordain};
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Runs of a row; the fastest is printed.
const TIMES: u32 = 5;

fn main() -> ExitCode {
    if ordain_benches::is_stick() {
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gitops_diff: {error}");
            ExitCode::from(3)
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let apps: usize = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => 600,
    };
    let program = ordain()?;
    let temp = tempfile::tempdir()?;
    let work = temp.path().join("work");
    let fleet = Fleet::new(&work)?;
    for number in 0..apps {
        fleet.app(number, "v1")?;
    }
    let base = fleet.commit("all apps")?;

    let data = temp.path().join("cluster");
    let args = "up --runtime process --listen 127.0.0.1:0 --format json --data-dir";
    let args: Vec<&OsStr> = args
        .split(' ')
        .map(OsStr::new)
        .chain([data.as_os_str()])
        .collect();
    let cluster = Running::start(&program, &args, &temp.path().join("cluster.log"))?;
    fleet.push(cluster.text("git")?)?;
    let snapshot = temp.path().join("applied.snapshot");
    let made = Command::new(&program)
        .args([
            OsStr::new("snapshot"),
            snapshot.as_os_str(),
            OsStr::new("--data-dir"),
        ])
        .arg(&data)
        .output()?;
    let key = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    if !made.status.success() {
        return Err(String::from_utf8_lossy(&made.stderr).into_owned().into());
    }

    for number in 0..apps {
        fleet.app(number, "v2")?;
    }
    let all = fleet.commit("another image for all")?;
    fleet.app(0, "v3")?;
    let one = fleet.commit("another image for one")?;
    println!("{apps} apps, four objects each; best of {TIMES}\n");
    println!("{:<44} {:>10} {:>10}", "", "wall ms", "peak MiB");
    for (name, range) in [
        ("all apps change", format!("{base}..{all}")),
        ("one app changes", format!("{all}..{one}")),
    ] {
        let snapshot = snapshot.display().to_string();
        let data = data.display().to_string();
        let forms: [(&str, &[&str]); 3] = [
            ("sources", &[]),
            (
                "snapshot",
                &["--snapshot", &snapshot, "--snapshot-key", &key],
            ),
            ("live, dry runs", &["--live", "--data-dir", &data]),
        ];
        for (form, more) in forms {
            row(
                &program,
                temp.path(),
                &work,
                &format!("{name}: {form}"),
                &range,
                more,
            )?;
        }
    }
    cluster.stop()?;
    Ok(())
}

fn row(
    program: &Path,
    temp: &Path,
    work: &Path,
    name: &str,
    range: &str,
    more: &[&str],
) -> Result<(), Box<dyn std::error::Error>> {
    let mut args: Vec<&OsStr> = [
        "diff",
        range,
        "--format",
        "markdown",
        "--fail-on",
        "never",
        "--path",
    ]
    .map(OsStr::new)
    .to_vec();
    args.push(work.as_os_str());
    args.extend(more.iter().map(OsStr::new));
    let run = measure(TIMES, &temp.join("diff.md"), program, &args)?;
    println!(
        "{name:<44} {:>10} {:>10}",
        run.wall.as_millis(),
        run.peak_kib / 1024
    );
    Ok(())
}
