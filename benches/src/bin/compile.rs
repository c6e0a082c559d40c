//! Compiles the same applications with Ordain, jrsonnet, Pkl, KCL and Nickel, and measures Ordain alone: ten times as many
//! applications, one object, and one edit in a project of a thousand files; all in one run.
//!
//!     cargo build --release && cargo run --release -p ordain-benches --bin compile [N]
//!
//! The peers come from `benches/peers.sh` (or PATH) and read their programs from `../shared/bench/k8s-1000`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark talks to the person who started it"
)]

use ordain_benches::{Run, measure, ordain, peer, peers, project, root};
use ordain_lang_project::{BuildOptions, Format, Memory, Session};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Runs of a row; the fastest counts. All rows take turns, so that a machine which is slow for a while is slow for all.
const TIMES: u32 = 10;

/// Runs of a peer that takes seconds.
const TIMES_SLOW: u32 = 3;

/// Edits that are measured; the fastest counts.
const EDITS: usize = 20;

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
    let mut rows = vec![own("ordain, typed, all checks", temp.path(), number)?];
    rows.extend(peers_rows(temp.path(), number)?);
    let peers_end = rows.len();
    rows.push(own(
        &format!("{} applications", number * 10),
        temp.path(),
        number * 10,
    )?);
    rows.push(Row::build(
        "one object",
        temp.path(),
        "one.ord",
        ONE_OBJECT,
    )?);

    let runs = take_turns(&rows, temp.path());
    let ordain = runs[0].clone()?;
    println!(
        "{number} applications, best of {TIMES} in turns; ratios are of wall time and of memory\n"
    );
    println!(
        "{:<28} {:>10} {:>10} {:>8} {:>8}",
        "", "wall ms", "peak MiB", "time", "memory"
    );
    for (at, (row, run)) in rows.iter().zip(runs).enumerate() {
        if at == peers_end {
            println!("\nordain alone");
        }
        match run {
            Ok(run) => show(&row.label, run, ordain),
            Err(error) => println!("{:<28} {error}", row.label),
        }
        if at == 0 {
            compare_with_reference(&output(temp.path(), 0), number);
        }
    }
    edits(number)
}

const ONE_OBJECT: &str =
    "export k8s.ConfigMap { metadata.name = \"settings\", data = { LOG_LEVEL = \"info\" } }\n";

/// A command to measure.
struct Row {
    label: String,
    program: Result<PathBuf, String>,
    args: Vec<OsString>,
    times: u32,
}

impl Row {
    /// `ordain build` of a text.
    fn build(label: &str, temp: &Path, file: &str, text: &str) -> Result<Self, String> {
        let path = temp.join(file);
        std::fs::write(&path, text).map_err(|e| e.to_string())?;
        Ok(Self {
            label: label.to_owned(),
            program: Ok(ordain()?),
            args: vec![
                "build".into(),
                path.into(),
                "--format".into(),
                "json".into(),
            ],
            times: TIMES,
        })
    }

    fn peer(label: &str, name: &str, times: u32, args: Vec<OsString>) -> Self {
        Self {
            label: label.to_owned(),
            program: peer(name).ok_or_else(|| "not installed; run benches/peers.sh".to_owned()),
            args,
            times,
        }
    }
}

/// The committed program is for 1,000; another number is the same program with another constant.
fn own(label: &str, temp: &Path, number: usize) -> Result<Row, String> {
    let from = root().join("benches/compile/k8s-1000/main.ord");
    let text = std::fs::read_to_string(&from).map_err(|e| format!("{}: {e}", from.display()))?;
    let text = text.replace("0..1000", &format!("0..{number}"));
    Row::build(label, temp, &format!("apps-{number}.ord"), &text)
}

fn workload() -> Option<PathBuf> {
    let path = root().parent()?.join("shared/bench/k8s-1000");
    path.is_dir().then_some(path)
}

fn peers_rows(temp: &Path, number: usize) -> Result<Vec<Row>, String> {
    let Some(workload) = workload() else {
        println!(
            "peers left out: their programs are in ../shared/bench/k8s-1000, which is not there"
        );
        return Ok(Vec::new());
    };
    let n = format!("N={number}");
    let file = |path: &str| workload.join(path).into_os_string();
    // Nickel takes no arguments: the number is a file on its import path.
    std::fs::write(temp.join("n.json"), number.to_string()).map_err(|e| e.to_string())?;
    // KCL comes as a Python library.
    let mut path = OsString::from("PYTHONPATH=");
    path.push(peers().join("kcl"));
    Ok(vec![
        Row::peer(
            "jrsonnet, untyped",
            "jrsonnet",
            TIMES,
            vec!["-V".into(), n.clone().into(), file("jsonnet/main.jsonnet")],
        ),
        Row::peer(
            "Pkl, own classes",
            "pkl",
            TIMES,
            vec!["eval".into(), "-p".into(), n.into(), file("pkl/main.pkl")],
        ),
        Row::peer(
            "Nickel, contracts",
            "nickel",
            TIMES_SLOW,
            vec![
                "export".into(),
                "-I".into(),
                temp.into(),
                file("nickel/main.ncl"),
            ],
        ),
        Row::peer(
            "KCL, schemas",
            "env",
            TIMES_SLOW,
            vec![
                path,
                "python3".into(),
                file("run_kcl.py"),
                file("kcl/main.k"),
                number.to_string().into(),
            ],
        ),
    ])
}

/// Where the row at this place writes.
fn output(temp: &Path, row: usize) -> PathBuf {
    temp.join(format!("output-{row}"))
}

/// Runs every row once, and again, until each has run as often as it wants; returns the fastest run of each.
fn take_turns(rows: &[Row], temp: &Path) -> Vec<Result<Run, String>> {
    let mut best: Vec<Option<Result<Run, String>>> = rows.iter().map(|_| None).collect();
    for round in 0..TIMES {
        for (at, row) in rows.iter().enumerate() {
            if round >= row.times || matches!(best[at], Some(Err(_))) {
                continue;
            }
            let args: Vec<&OsStr> = row.args.iter().map(OsString::as_os_str).collect();
            let run = row
                .program
                .clone()
                .and_then(|program| measure(1, &output(temp, at), &program, &args));
            let is_better = match (&best[at], &run) {
                (Some(Ok(before)), Ok(run)) => run.wall < before.wall,
                _ => true,
            };
            if is_better {
                best[at] = Some(run);
            }
        }
    }
    best.into_iter()
        .map(|run| run.unwrap_or_else(|| Err("not run".to_owned())))
        .collect()
}

/// Says whether what Ordain wrote is what all of them must write.
fn compare_with_reference(output: &Path, number: usize) {
    let Some(workload) = workload() else {
        return;
    };
    let check = Command::new("python3")
        .arg(workload.join("check.py"))
        .arg(output)
        .arg(number.to_string())
        .output();
    match check {
        Ok(done) => {
            let said = String::from_utf8_lossy(&done.stdout);
            println!(
                "  the reference says: {}",
                said.lines().next().unwrap_or("nothing")
            );
        }
        Err(error) => println!("  not compared with the reference: {error}"),
    }
}

/// One edit in a project of a file per application, in an open session and from scratch.
fn edits(number: usize) -> Result<(), String> {
    let mut files = Memory::new();
    for (path, text) in project::files(number) {
        files.insert(path, text);
    }
    let all = BuildOptions::default();
    let build = |session: &mut Session| {
        let built = session.build_text(&all, Format::Yaml);
        match built.diagnostics.first() {
            Some(found) => Err(format!("the project is not right: {}", found.message)),
            None => Ok(built.changed.len()),
        }
    };
    let mut cold = Duration::MAX;
    for _ in 0..TIMES {
        let start = Instant::now();
        build(&mut Session::new(files.clone()))?;
        cold = cold.min(start.elapsed());
    }
    let mut session = Session::new(files);
    build(&mut session)?;
    let (mut warm, mut check, mut mistake) = (Duration::MAX, Duration::MAX, Duration::MAX);
    let at = number / 2;
    for edit in 0..EDITS {
        let text = |more: &str| Some(project::app(at, more));
        session.set_text(&project::path(at), text("    replicsa = 3\n"));
        let start = Instant::now();
        let found = session.check().len();
        mistake = mistake.min(start.elapsed());
        if found != 1 {
            return Err(format!("{found} findings instead of one"));
        }
        session.set_text(&project::path(at), text(""));
        build(&mut session)?;
        let port = format!("    metricsPort = {}\n", 9100 + edit);
        session.set_text(&project::path(at), text(&port));
        let start = Instant::now();
        session.check();
        check = check.min(start.elapsed());
        let changed = build(&mut session)?;
        warm = warm.min(start.elapsed());
        if changed != 2 {
            return Err(format!(
                "{changed} apps changed instead of one in two environments"
            ));
        }
    }
    println!("\n{number} files with an application each, two environments, in one process");
    let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
    println!("{:<28} {:>10.1}", "full build", ms(cold));
    println!(
        "{:<28} {:>10.1} {:>26.3} of the full build",
        "build after an edit",
        ms(warm),
        warm.as_secs_f64() / cold.as_secs_f64()
    );
    println!("{:<28} {:>10.1}", "findings after an edit", ms(check));
    println!("{:<28} {:>10.1}", "findings after a mistake", ms(mistake));
    Ok(())
}

fn show(label: &str, run: Run, own: Run) {
    #[expect(
        clippy::cast_precision_loss,
        reason = "memory of a process fits a float's 53 bits"
    )]
    let (mib, memory) = (
        run.peak_kib as f64 / 1024.0,
        run.peak_kib as f64 / own.peak_kib.max(1) as f64,
    );
    let ratio = run.wall.as_secs_f64() / own.wall.as_secs_f64();
    println!(
        "{label:<28} {:>10.1} {mib:>10.1} {ratio:>7.2}x {memory:>7.2}x",
        run.wall.as_secs_f64() * 1_000.0
    );
}
