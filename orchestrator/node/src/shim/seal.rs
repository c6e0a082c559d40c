//! Runs the shim from a read-only mount of its own program.
//!
//! For a moment a process of this program lives inside the container, where the image chooses what
//! else is loaded or run; through `/proc/self/exe` it could then write to the host's binary
//! (CVE-2019-5736). A mount that cannot be written takes that away at the cost of one more exec.

use std::ffi::CString;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::execve;

use super::{ShimResult, said};

/// Tells the second run that it is one.
const SEALED: &str = "ORDAIN_SHIM_SEALED";

/// Starts this program again from a read-only mount in a mount namespace of its own; returns only
/// in that second run, or when it cannot be had.
///
/// Where it cannot be had (a data directory that forbids programs), the shim goes on as it is: the
/// mount is a second wall behind libcontainer's own.
pub(super) fn seal(folder: &Path) {
    if std::env::var_os(SEALED).is_some() {
        return;
    }
    if let Err(error) = again(folder) {
        // Not on the error output: that may be the caller's of an exec.
        let _ = std::fs::write(folder.join("seal.error"), error);
    }
}

fn again(folder: &Path) -> ShimResult<()> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(said("failed to make a mount namespace"))?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)
        .map_err(said("failed to separate the mounts"))?;
    // The file itself belongs to the former namespace, so it is found again by its path, and only
    // taken if it still is the same.
    let program =
        std::fs::read_link("/proc/self/exe").map_err(said("failed to find the program"))?;
    let identity = |path: &Path| {
        std::fs::metadata(path)
            .map(|meta| (meta.dev(), meta.ino()))
            .ok()
    };
    if identity(&program) != identity(Path::new("/proc/self/exe")) {
        return Err("the program's file was replaced".to_owned());
    }
    let at = folder.join("shim");
    File::create(&at).map_err(said("failed to make a mount point"))?;
    mount(Some(&program), &at, none, MsFlags::MS_BIND, none)
        .map_err(said("failed to mount the program"))?;
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(none, &at, none, flags, none).map_err(said("failed to make the program read-only"))?;
    let text = |bytes: &[u8]| CString::new(bytes).map_err(said("an argument holds a zero byte"));
    let arguments: ShimResult<Vec<CString>> = std::env::args_os()
        .map(|word| text(word.as_bytes()))
        .collect();
    let mut environment = vec![text(format!("{SEALED}=1").as_bytes())?];
    for (name, value) in std::env::vars_os() {
        environment.push(text(&[name.as_bytes(), b"=", value.as_bytes()].concat())?);
    }
    let path = text(at.as_os_str().as_bytes())?;
    match execve(&path, &arguments?, &environment) {
        Ok(never) => match never {},
        Err(error) => Err(format!("failed to run the program again: {error}")),
    }
}
