//! Role `exec`: runs a further program in a container. Its standard streams are this shim's, its
//! exit code becomes this shim's; why it could not run is written beside the request.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Pid, setsid, tcsetpgrp};
use serde_json::Value;

use super::run::wait;
use super::seal::seal;
use super::task::{self, How, Task};
use super::{ShimResult, container, said, tty};
use crate::runtime::ExecRequest;

/// The exit code of a shim whose program could not be run, as a shell's for "cannot execute".
const CANNOT_RUN: u8 = 126;

pub(super) fn exec(folder: &Path, request: &Path) -> ExitCode {
    match run(folder, request) {
        Ok(code) => ExitCode::from(code as u8),
        Err(error) => {
            let _ = fs::write(error_file(request), error);
            ExitCode::from(CANNOT_RUN)
        }
    }
}

/// Returns where the reason is written when a request's program cannot be run.
pub(crate) fn error_file(request: &Path) -> PathBuf {
    request.with_extension("error")
}

fn run(folder: &Path, path: &Path) -> ShimResult<i32> {
    let task: Option<Task> =
        task::read(folder, task::TASK).map_err(said("failed to read the task"))?;
    let task = task.ok_or("there is no such container")?;
    let text = fs::read(path).map_err(said("failed to read the request"))?;
    let request: ExecRequest =
        serde_json::from_slice(&text).map_err(said("failed to read the request"))?;
    if let How::Oci { .. } = task.how {
        seal(folder);
    }
    let (pid, terminal) = match &task.how {
        How::Oci { .. } => tenant(folder, path, &task, &request)?,
        How::Process { cwd, user, .. } => {
            let (program, words) =
                crate::runtime::process::prepare_exec(&task.container, &request)?;
            let request = ExecRequest {
                command: words,
                ..request.clone()
            };
            process(&task, &request, &program, cwd, *user)?
        }
    };
    let Some(mut terminal) = terminal else {
        return Ok(wait(pid).0);
    };
    let reader = terminal
        .try_clone()
        .map_err(said("failed to copy the terminal"))?;
    if request.stdin {
        let mut input = terminal
            .try_clone()
            .map_err(said("failed to copy the terminal"))?;
        std::thread::spawn(move || tty::feed(std::io::stdin().lock(), &mut input));
    }
    let shown = std::thread::spawn(move || {
        let mut reader = reader;
        tty::show(&mut reader, std::io::stdout());
    });
    let (code, _) = wait(pid);
    // What the program wrote last may still be on its way; a background child may keep the
    // terminal open for ever, so the wait is short.
    for _ in 0..40 {
        if shown.is_finished() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    tty::resize(&terminal, 0, 0);
    let _ = std::io::Write::flush(&mut terminal);
    Ok(code)
}

fn tenant(
    folder: &Path,
    path: &Path,
    task: &Task,
    request: &ExecRequest,
) -> ShimResult<(Pid, Option<File>)> {
    let text = fs::read(folder.join("bundle/config.json"))
        .map_err(said("failed to read the container's config"))?;
    let config: Value =
        serde_json::from_slice(&text).map_err(said("failed to read the container's config"))?;
    let mut process = config["process"].clone();
    process["args"] = request.command.clone().into();
    process["terminal"] = request.tty.into();
    let process_file = path.with_extension("process");
    fs::write(&process_file, process.to_string()).map_err(said("failed to write the process"))?;
    let mut builder = ContainerBuilder::new(task.container.id.clone(), SyscallType::default())
        .with_root_path(folder.join("state"))
        .map_err(said("failed to prepare the program"))?;
    let mut socket = None;
    if request.tty {
        // Each terminal has a folder of its own, since several may be asked for at once.
        let place = path.with_extension("console");
        fs::create_dir_all(&place).map_err(said("failed to make a folder for the terminal"))?;
        socket = Some(container::listen(&place)?);
        builder = builder.with_console_socket(Some(place.join("console.sock")));
    }
    let built = builder
        .as_tenant()
        .with_process(Some(&process_file))
        .with_detach(request.tty)
        .build();
    let _ = fs::remove_file(&process_file);
    let pid = built.map_err(|error| container::plain(&error))?;
    let terminal = socket.map(|socket| tty::receive(&socket)).transpose()?;
    let _ = fs::remove_dir_all(path.with_extension("console"));
    Ok((Pid::from_raw(pid.as_raw()), terminal.map(File::from)))
}

fn process(
    task: &Task,
    request: &ExecRequest,
    program: &Path,
    cwd: &Path,
    user: Option<(u32, u32)>,
) -> ShimResult<(Pid, Option<File>)> {
    let mut command = Command::new(program);
    if let Some(name) = request.command.first() {
        command.arg0(name);
    }
    command
        .args(request.command.iter().skip(1))
        .env_clear()
        .envs(task.container.env.iter().map(|(name, value)| (name, value)))
        .current_dir(cwd);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    let mut terminal = None;
    if request.tty {
        let pty = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY)
            .and_then(|pty| grantpt(&pty).and_then(|()| unlockpt(&pty)).map(|()| pty))
            .map_err(said("failed to make a terminal"))?;
        let name = ptsname_r(&pty).map_err(said("failed to make a terminal"))?;
        // A session leader without a terminal gets the first one that it opens (tty(4)), and is
        // told when it goes away, which is no reason to end. The program's own mask is reset by
        // the standard library.
        let mut hangup = SigSet::empty();
        hangup.add(Signal::SIGHUP);
        hangup
            .thread_block()
            .map_err(said("failed to block a signal"))?;
        setsid().map_err(said("failed to make a session"))?;
        let open = || fs::OpenOptions::new().read(true).write(true).open(&name);
        let slave = open().map_err(said("failed to open the terminal"))?;
        let copy = |file: &File| {
            file.try_clone()
                .map_err(said("failed to copy the terminal"))
        };
        command
            .stdin(copy(&slave)?)
            .stdout(copy(&slave)?)
            .stderr(copy(&slave)?)
            .process_group(0);
        terminal = Some((File::from(OwnedFd::from(pty)), slave));
    } else if !request.stdin {
        command.stdin(Stdio::null());
    }
    let spawned = command.spawn();
    let child =
        spawned.map_err(|error| format!("failed to run `{}`: {error}", program.display()))?;
    let pid = Pid::from_raw(child.id() as i32);
    let terminal = terminal.map(|(master, slave)| {
        let _ = tcsetpgrp(&slave, pid);
        master
    });
    Ok((pid, terminal))
}
