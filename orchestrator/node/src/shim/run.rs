//! Role `run`: starts one container, keeps its output, waits for its end and writes it down.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::fcntl::OFlag;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2};

use super::log::LogFile;
use super::seal::seal;
use super::task::{self, How, Started, Task};
use super::{Report, ShimResult, container, report, said};
use crate::runtime::host::ProcessRef;
use crate::runtime::{ContainerSpec, Exit, cgroup};

/// How long output is awaited after the program ended, when something still holds its pipes.
const DRAIN_SECONDS_MAX: u64 = 2;

/// Where a container's output comes from, and its input goes.
pub(super) struct Streams {
    pub(super) stdout: Option<File>,
    pub(super) stderr: Option<File>,
}

pub(super) fn run(folder: &Path) -> ShimResult<()> {
    let task: Option<Task> =
        task::read(folder, task::TASK).map_err(said("failed to read the task"))?;
    let task = task.ok_or("there is no task")?;
    if let How::Oci { .. } = task.how {
        seal(folder);
    }
    let me = ProcessRef::of(std::process::id() as i32).ok_or("/proc is not mounted")?;
    task::write(folder, task::SHIM, &me).map_err(said("failed to write the shim's file"))?;
    // Children of a dead container process come to us instead of to the host's init.
    set_child_subreaper(true).map_err(said("failed to become a reaper"))?;
    let spec = &task.container;

    let started = start(folder, &task);
    let (pid, streams) = match started {
        Ok(started) => started,
        Err(error) => {
            clean(folder, &task);
            let exit = Exit {
                // As containerd answers for a container that could not be started.
                code: 128,
                signal: None,
                reason: "StartError".to_owned(),
                message: Some(error.clone()),
                started_at: None,
                finished_at: Timestamp::now(),
            };
            task::write(folder, task::EXIT, &exit).map_err(said("failed to write the exit"))?;
            return Err(error);
        }
    };
    let started_at = Timestamp::now();
    let process = ProcessRef::of(pid.as_raw()).unwrap_or(ProcessRef {
        pid: pid.as_raw(),
        start: 0,
    });
    let written = task::write(
        folder,
        task::PID,
        &Started {
            process,
            started_at,
        },
    );
    report(&Report::Ok);
    // Threads only from here on: nothing forks any more.
    let readers = collect(spec, streams);
    let (code, signal) = wait(pid);
    if let How::Process { .. } = task.how {
        // What the program left behind in its group would keep the pod's ports.
        let _ = killpg(pid, Signal::SIGKILL);
    }
    let killed = match &task.how {
        How::Oci { cgroup, .. } => code != 0 && cgroup::oom_kills(cgroup) > 0,
        How::Process { .. } => false,
    };
    let deadline = Instant::now() + Duration::from_secs(DRAIN_SECONDS_MAX);
    while readers.iter().any(|reader| !reader.is_finished()) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    clean(folder, &task);
    let reason = match code {
        _ if killed => "OOMKilled",
        0 => "Completed",
        _ => "Error",
    };
    let exit = Exit {
        code,
        signal,
        reason: reason.to_owned(),
        message: None,
        started_at: Some(started_at),
        finished_at: Timestamp::now(),
    };
    task::write(folder, task::EXIT, &exit).map_err(said("failed to write the exit"))?;
    written.map_err(said("failed to write the process"))
}

fn start(folder: &Path, task: &Task) -> ShimResult<(Pid, Streams)> {
    match &task.how {
        How::Oci {
            layers, data_dir, ..
        } => {
            container::isolate(data_dir, task)?;
            container::mount_root(folder, layers)?;
            container::start(folder, &task.container)
        }
        How::Process { program, cwd, user } => start_process(&task.container, program, cwd, *user),
    }
}

fn start_process(
    spec: &ContainerSpec,
    program: &Path,
    cwd: &Path,
    user: Option<(u32, u32)>,
) -> ShimResult<(Pid, Streams)> {
    let mut command = Command::new(program);
    if let Some(name) = spec.args.first() {
        command.arg0(name);
    }
    command
        .args(spec.args.iter().skip(1))
        .env_clear()
        .envs(spec.env.iter().map(|(name, value)| (name, value)))
        .current_dir(cwd)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    let spawned = command.spawn();
    let mut child =
        spawned.map_err(|error| format!("failed to run `{}`: {error}", program.display()))?;
    let stdout = child
        .stdout
        .take()
        .map(|pipe| File::from(OwnedFd::from(pipe)));
    let stderr = child
        .stderr
        .take()
        .map(|pipe| File::from(OwnedFd::from(pipe)));
    // The process is waited for by number, together with the orphans that come to us.
    Ok((Pid::from_raw(child.id() as i32), Streams { stdout, stderr }))
}

/// Returns a pipe whose ends no program inherits.
pub(super) fn pipe() -> ShimResult<(File, OwnedFd)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC).map_err(said("failed to make a pipe"))?;
    Ok((File::from(read), write))
}

fn collect(spec: &ContainerSpec, streams: Streams) -> Vec<std::thread::JoinHandle<()>> {
    let log = match LogFile::open(&spec.log) {
        Ok(log) => Some(Arc::new(log)),
        // Without a log the pipes are still read, or the container would block.
        Err(_) => None,
    };
    let named = [("stdout", streams.stdout), ("stderr", streams.stderr)];
    let open = named
        .into_iter()
        .filter_map(|(name, stream)| Some((name, stream?)));
    open.map(|(name, mut stream)| {
        let log = log.clone();
        std::thread::spawn(move || match log {
            Some(log) => log.copy(name, stream),
            None => {
                let _ = io::copy(&mut stream, &mut io::sink());
            }
        })
    })
    .collect()
}

/// Waits for the process, reaping whatever else ends meanwhile. Returns exit code and signal.
pub(super) fn wait(main: Pid) -> (i32, Option<i32>) {
    loop {
        match waitpid(None::<Pid>, None) {
            Ok(WaitStatus::Exited(pid, code)) if pid == main => return (code, None),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == main => {
                return (128 + signal as i32, Some(signal as i32));
            }
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            // Somebody else reaped it: the exit code is lost.
            Err(_) => return (255, None),
        }
    }
}

fn clean(folder: &Path, task: &Task) {
    if let How::Oci { cgroup, .. } = &task.how {
        container::delete(folder, &task.container.id);
        cgroup::kill_all(cgroup);
        cgroup::remove(cgroup);
    }
}
