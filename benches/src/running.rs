//! A running `ordain`: started until it says that it is ready, watched from outside, stopped as a user stops it.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Clock ticks in a second, in which Linux counts a process' time (`USER_HZ`).
const TICKS: f64 = 100.0;

/// A process of ours. Dropping it stops it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// What it printed when it was ready.
    pub ready: serde_json::Value,
    /// From start to ready.
    pub took: Duration,
}

impl Running {
    /// Starts a program and waits for its first line, which is JSON.
    ///
    /// # Errors
    /// When it does not start, or ends before it is ready.
    pub fn start(program: &Path, args: &[&OsStr], log: &Path) -> io::Result<Self> {
        let start = Instant::now();
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(log)?)
            .spawn()?;
        let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let ready = serde_json::from_str(&line).map_err(|error| {
            let said = std::fs::read_to_string(log).unwrap_or_default();
            io::Error::other(format!(
                "{} is not ready: {error}; {said}",
                program.display()
            ))
        })?;
        Ok(Self {
            child,
            ready,
            took: start.elapsed(),
        })
    }

    /// A text of what it printed.
    ///
    /// # Errors
    /// When it did not print it.
    pub fn text(&self, key: &str) -> io::Result<&str> {
        let text = self.ready[key].as_str();
        text.ok_or_else(|| io::Error::other(format!("it did not say `{key}`")))
    }

    /// Memory that it holds now, and the most that it ever held, in MiB.
    ///
    /// # Errors
    /// When it is gone, or this is no Linux.
    pub fn memory(&self) -> io::Result<(f64, f64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let mib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
            Some(kib / 1024.0)
        };
        let both = mib("VmRSS:").zip(mib("VmHWM:"));
        both.ok_or_else(|| io::Error::other("the kernel does not tell its memory"))
    }

    /// Seconds of processor time that it used so far.
    ///
    /// # Errors
    /// When it is gone, or this is no Linux.
    pub fn cpu(&self) -> io::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name may hold blanks; the fields behind it are numbered from 3 (proc_pid_stat(5)).
        let rest = stat.rsplit(')').next().unwrap_or_default();
        let field = |number: usize| {
            let text = rest.split_whitespace().nth(number - 3)?;
            text.parse::<f64>().ok()
        };
        let ticks = field(14).zip(field(15)).map(|(user, system)| user + system);
        ticks
            .map(|ticks| ticks / TICKS)
            .ok_or_else(|| io::Error::other("the kernel does not tell its time"))
    }

    /// Stops it as Ctrl-C does, and waits until it ended.
    ///
    /// # Errors
    /// When it does not end well.
    pub fn stop(mut self) -> io::Result<()> {
        self.interrupt();
        let status = self.child.wait()?;
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!("it ended with {status}"))),
        }
    }

    fn interrupt(&self) {
        let _ = Command::new("kill")
            .args(["-s", "INT", &self.child.id().to_string()])
            .status();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.interrupt();
            let _ = self.child.wait();
        }
    }
}
