//! Measures the bundled cluster: first and second start to ready, idle memory, and `git push` to the new pod being Ready.
//!
//!     cargo build --release && cargo run -p ordain-benches --bin cluster [--runtime oci|process]
//!
//! As root with real containers, otherwise with plain processes. Run it where no other cluster runs.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark talks to the person who started it"
)]

use ordain_benches::ordain;
use ordain_orchestrator_node::images::build::ImageBuilder;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Pushes that are measured; the middle one is printed.
const PUSHES: usize = 5;
/// How long the cluster is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(20);

const PROJECT: &str = r#"app hello {
  greeting: String = "@"
  objects = [
    k8s.Deployment {
      metadata.name = "hello"
      spec = {
        selector.matchLabels = { app = "hello" }
        template = {
          metadata.labels = { app = "hello" }
          spec = {
            terminationGracePeriodSeconds = 1
            containers = [{
              name = "main"
              image = "localhost/hello:1"
              env = [{ name = "GREETING", value = greeting }]
              ports = [{ name = "http", containerPort = 8080 }]
              readinessProbe = { httpGet = { path = "/healthz", port = "http" }, periodSeconds = 1 }
            }]
          }
        }
      }
    }
  ]
}

env dev { cluster = "local", namespace = "hello" }
"#;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cluster: {error}");
            ExitCode::from(3)
        }
    }
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn run() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = args
        .iter()
        .position(|a| a == "--runtime")
        .and_then(|at| args.get(at + 1))
        .map_or("auto", String::as_str);
    let program = ordain()?;
    let temp = tempfile::tempdir()?;
    let data = temp.path().join("data");

    let (first, up) = Up::start(&program, &data, runtime)?;
    up.stop()?;
    let (second, up) = Up::start(&program, &data, runtime)?;
    println!(
        "first start to ready    {:>8.0} ms",
        first.as_secs_f64() * 1_000.0
    );
    println!(
        "second start to ready   {:>8.0} ms",
        second.as_secs_f64() * 1_000.0
    );
    std::thread::sleep(IDLE);
    println!(
        "idle memory             {:>8.1} MiB (resident, the whole cluster in one process)",
        up.resident_mib()?
    );

    let archive = temp.path().join("hello.tar");
    let image = ImageBuilder::new()
        .program("/bin/hello", &program)?
        .entrypoint(["/bin/hello", "__shop"])
        .port(8080)
        .build();
    image.save("localhost/hello:1", &archive)?;
    succeed(
        Command::new(&program)
            .args(["image", "load"])
            .arg(&archive)
            .arg("--data-dir")
            .arg(&data),
    )?;
    let work = temp.path().join("work");
    std::fs::create_dir(&work)?;
    std::fs::write(work.join("ordain.toml"), "name = \"hello\"\n")?;
    git(&work, &["init", "--quiet", "--initial-branch=main"])?;
    let mut times = Vec::new();
    for number in 0..=PUSHES {
        std::fs::write(
            work.join("hello.ord"),
            PROJECT.replace("\"@\"", &format!("\"hello {number}\"")),
        )?;
        git(&work, &["add", "--all"])?;
        git(
            &work,
            &["commit", "--quiet", "--message", "a one-line change"],
        )?;
        let start = Instant::now();
        git(&work, &["push", "--quiet", &up.git, "HEAD:main"])?;
        // The first push creates everything; only the changes are of interest.
        if number > 0 {
            times.push(start.elapsed());
        }
    }
    times.sort();
    println!(
        "push to new pod Ready   {:>8.0} ms (median of {PUSHES}; {:.0} to {:.0})",
        times[PUSHES / 2].as_secs_f64() * 1_000.0,
        times[0].as_secs_f64() * 1_000.0,
        times[PUSHES - 1].as_secs_f64() * 1_000.0
    );
    println!("memory with one app     {:>8.1} MiB", up.resident_mib()?);
    up.stop()
}

struct Up {
    child: Child,
    git: String,
}

impl Up {
    fn start(program: &Path, data: &Path, runtime: &str) -> Result<(Duration, Self)> {
        let start = Instant::now();
        let mut child = Command::new(program)
            .args([
                "up",
                "--listen",
                "127.0.0.1:0",
                "--format",
                "json",
                "--runtime",
                runtime,
                "--data-dir",
            ])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no stdout")?).read_line(&mut line)?;
        let took = start.elapsed();
        let ready: serde_json::Value = serde_json::from_str(&line)?;
        let git = ready["git"].as_str().ok_or("no git remote")?.to_owned();
        Ok((took, Self { child, git }))
    }

    fn resident_mib(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find_map(|l| l.strip_prefix("VmRSS:"))
            .ok_or("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }

    fn stop(mut self) -> Result<()> {
        succeed(Command::new("kill").args(["-s", "INT", &self.child.id().to_string()]))?;
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("`ordain up` ended with {status}").into())
        }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = Command::new("kill")
                .args(["-s", "INT", &self.child.id().to_string()])
                .status();
            let _ = self.child.wait();
        }
    }
}

fn git(work: &Path, args: &[&str]) -> Result<()> {
    let identity = [
        "-c",
        "user.name=Bench",
        "-c",
        "user.email=bench@example.com",
    ];
    succeed(
        Command::new("git")
            .current_dir(work)
            .args(identity)
            .args(args),
    )
}

fn succeed(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    )
    .into())
}
