//! Makes a real container: mount namespace, overlay root, libcontainer. Runs in a single-threaded
//! shim only; knows nothing of images or pods beyond the task.

use std::fs::{self, File};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use libcontainer::container::Container;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Pid, chdir};

use super::run::{Streams, pipe};
use super::task::Task;
use super::{ShimResult, said, tty};
use crate::runtime::ContainerSpec;
use crate::runtime::host::mounts_below;

/// Gives this shim a mount namespace of its own: its overlay is seen by nobody else and goes away
/// with it, whatever happens to the agent.
pub(super) fn isolate(data_dir: &Path, task: &Task) -> ShimResult<()> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(said("failed to make a mount namespace"))?;
    let flags = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)
        .map_err(said("failed to separate the mounts"))?;
    // Copies of other pods' mounts would keep their namespaces and memory alive.
    let spec = &task.container;
    let ours = |point: &Path| {
        spec.sandbox
            .namespaces
            .as_ref()
            .is_some_and(|folder| point.starts_with(folder))
            || spec
                .mounts
                .iter()
                .any(|volume| volume.source.starts_with(point))
    };
    for point in mounts_below(data_dir).iter().filter(|point| !ours(point)) {
        if point.as_path() != data_dir {
            let _ = umount2(point, MntFlags::MNT_DETACH);
        }
    }
    Ok(())
}

/// Mounts the image's layers with a writable one on top at `folder/rootfs`.
pub(super) fn mount_root(folder: &Path, layers: &[PathBuf]) -> ShimResult<()> {
    for name in ["rootfs", "upper", "work", "empty"] {
        let path = folder.join(name);
        fs::create_dir_all(&path).map_err(said("failed to make the container's folders"))?;
    }
    // The kernel takes one page of options, so layers are named from their common folder.
    let empty = folder.join("empty");
    let base = layers
        .first()
        .and_then(|layer| layer.parent())
        .unwrap_or(folder);
    chdir(base).map_err(said("failed to enter the layers' folder"))?;
    let name = |path: &PathBuf| {
        path.strip_prefix(base)
            .unwrap_or(path)
            .to_string_lossy()
            .into_owned()
    };
    let mut lower: Vec<String> = layers.iter().rev().map(name).collect();
    if lower.is_empty() {
        lower.push(empty.to_string_lossy().into_owned());
    }
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.join(":"),
        folder.join("upper").display(),
        folder.join("work").display(),
    );
    let root = folder.join("rootfs");
    let mounted = mount(
        Some("overlay"),
        &root,
        Some("overlay"),
        MsFlags::empty(),
        Some(options.as_str()),
    );
    chdir("/").map_err(said("failed to leave the layers' folder"))?;
    mounted.map_err(said("failed to mount the overlay file system"))
}

/// Creates and starts the container of `folder/bundle`.
pub(super) fn start(folder: &Path, spec: &ContainerSpec) -> ShimResult<(Pid, Streams)> {
    let state = folder.join("state");
    fs::create_dir_all(&state).map_err(said("failed to make the container's folders"))?;
    let builder = ContainerBuilder::new(spec.id.clone(), SyscallType::default())
        .with_root_path(&state)
        .map_err(said("failed to prepare the container"))?;
    let bundle = folder.join("bundle");
    if spec.tty {
        let socket = listen(folder)?;
        let builder = builder.with_console_socket(Some(folder.join("console.sock")));
        let built = builder
            .as_init(&bundle)
            .with_systemd(false)
            .with_detach(true)
            .build();
        let mut container = built.map_err(|error| plain(&error))?;
        let terminal = tty::receive(&socket)?;
        let pid = begin(&mut container)?;
        return Ok((
            pid,
            Streams {
                stdout: Some(File::from(terminal)),
                stderr: None,
            },
        ));
    }
    let null = File::open("/dev/null").map_err(said("failed to open /dev/null"))?;
    let (stdout, stdout_end) = pipe()?;
    let (stderr, stderr_end) = pipe()?;
    let builder = builder
        .with_stdin(null)
        .with_stdout(stdout_end)
        .with_stderr(stderr_end);
    let built = builder
        .as_init(&bundle)
        .with_systemd(false)
        .with_detach(true)
        .build();
    let mut container = built.map_err(|error| plain(&error))?;
    let pid = begin(&mut container)?;
    Ok((
        pid,
        Streams {
            stdout: Some(stdout),
            stderr: Some(stderr),
        },
    ))
}

fn begin(container: &mut Container) -> ShimResult<Pid> {
    let pid = container.pid().ok_or("the container has no process")?;
    container.start().map_err(|error| plain(&error))?;
    Ok(Pid::from_raw(pid.as_raw()))
}

/// Listens for a terminal. The socket is bound by its short name: a full path may exceed the
/// 108 bytes of unix(7).
pub(super) fn listen(folder: &Path) -> ShimResult<UnixListener> {
    chdir(folder).map_err(said("failed to enter the container's folder"))?;
    let _ = fs::remove_file("console.sock");
    let listener = UnixListener::bind("console.sock").map_err(said("failed to listen"))?;
    chdir("/").map_err(said("failed to leave the container's folder"))?;
    Ok(listener)
}

/// Removes what libcontainer keeps about the container, its processes included.
pub(super) fn delete(folder: &Path, id: &str) {
    if let Ok(mut container) = Container::load(folder.join("state").join(id)) {
        let _ = container.delete(true);
    }
    let _ = umount2(&folder.join("rootfs"), MntFlags::MNT_DETACH);
}

/// Returns libcontainer's words with its causes, which say what the outer ones hide.
pub(super) fn plain(error: &libcontainer::error::LibcontainerError) -> String {
    super::chain(error)
}
