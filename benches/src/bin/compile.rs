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

/// Runs of a row; the fastest counts.
const TIMES: u32 = 5;

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
    let bench = Bench {
        temp: temp.path(),
        ordain: ordain()?,
    };
    let own = bench.ordain(number)?;
    println!("{number} applications, best of {TIMES}; ratios are of wall time and of memory\n");
    println!(
        "{:<28} {:>10} {:>10} {:>8} {:>8}",
        "", "wall ms", "peak MiB", "time", "memory"
    );
    row("ordain, typed, all checks", own, own);
    bench.peers(number, own)?;
    bench.alone(number, own)?;
    edits(number)
}

struct Bench<'t> {
    temp: &'t Path,
    ordain: PathBuf,
}

impl Bench<'_> {
    fn measure(&self, times: u32, program: &Path, args: &[OsString]) -> Result<Run, String> {
        let args: Vec<&OsStr> = args.iter().map(OsString::as_os_str).collect();
        measure(times, &self.temp.join("output"), program, &args)
    }

    /// The committed program is for 1,000; another number is the same program with another constant.
    fn ordain(&self, number: usize) -> Result<Run, String> {
        let from = root().join("benches/compile/k8s-1000/main.ord");
        let text =
            std::fs::read_to_string(&from).map_err(|e| format!("{}: {e}", from.display()))?;
        self.build(&text.replace("0..1000", &format!("0..{number}")))
    }

    fn build(&self, text: &str) -> Result<Run, String> {
        let path = self.temp.join("main.ord");
        std::fs::write(&path, text).map_err(|e| e.to_string())?;
        let args = [
            "build".into(),
            path.into(),
            "--format".into(),
            "json".into(),
        ];
        self.measure(TIMES, &self.ordain, &args)
    }

    fn peers(&self, number: usize, own: Run) -> Result<(), String> {
        let workload = root()
            .parent()
            .map(|p| p.join("shared/bench/k8s-1000"))
            .filter(|p| p.is_dir());
        let Some(workload) = workload else {
            println!(
                "peers left out: their programs are in ../shared/bench/k8s-1000, which is not there"
            );
            return Ok(());
        };
        self.compare_with_reference(&workload, number);
        let n = format!("N={number}");
        let file = |path: &str| workload.join(path).into_os_string();
        let peer_row = |label: &str, name: &str, times, args: &[OsString]| {
            let found = peer(name).ok_or_else(|| "not installed; run benches/peers.sh".to_owned());
            match found.and_then(|program| self.measure(times, &program, args)) {
                Ok(run) => row(label, run, own),
                Err(error) => println!("{label:<28} {error}"),
            }
        };
        peer_row(
            "jrsonnet, untyped",
            "jrsonnet",
            TIMES,
            &["-V".into(), n.clone().into(), file("jsonnet/main.jsonnet")],
        );
        peer_row(
            "Pkl, own classes",
            "pkl",
            TIMES,
            &["eval".into(), "-p".into(), n.into(), file("pkl/main.pkl")],
        );
        // Nickel takes no arguments: the number is a file on its import path.
        std::fs::write(self.temp.join("n.json"), number.to_string()).map_err(|e| e.to_string())?;
        peer_row(
            "Nickel, contracts",
            "nickel",
            TIMES_SLOW,
            &[
                "export".into(),
                "-I".into(),
                self.temp.into(),
                file("nickel/main.ncl"),
            ],
        );
        // KCL comes as a Python library.
        let mut path = OsString::from("PYTHONPATH=");
        path.push(peers().join("kcl"));
        peer_row(
            "KCL, schemas",
            "env",
            TIMES_SLOW,
            &[
                path,
                "python3".into(),
                file("run_kcl.py"),
                file("kcl/main.k"),
                number.to_string().into(),
            ],
        );
        Ok(())
    }

    /// Says whether what Ordain wrote last is what all of them must write.
    fn compare_with_reference(&self, workload: &Path, number: usize) {
        let check = Command::new("python3")
            .arg(workload.join("check.py"))
            .arg(self.temp.join("output"))
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

    fn alone(&self, number: usize, own: Run) -> Result<(), String> {
        let ten = self.ordain(number * 10)?;
        let one = self.build(
            "export k8s.ConfigMap { metadata.name = \"settings\", data = { LOG_LEVEL = \"info\" } }\n",
        )?;
        println!("\nordain alone");
        row(&format!("{} applications", number * 10), ten, own);
        row("one object", one, own);
        Ok(())
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

fn row(label: &str, run: Run, own: Run) {
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
