//! Small facts about this host: who we are, which processes live, which mounts are ours.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use serde::{Deserialize, Serialize};

/// Returns whether this process may make containers.
pub fn is_root() -> bool {
    Uid::effective().is_root()
}

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRef {
    /// Its number.
    pub pid: i32,
    /// When it started, in clock ticks since boot (proc(5), stat field 22).
    pub start: u64,
}

impl ProcessRef {
    /// Returns the reference of a living process.
    pub fn of(pid: i32) -> Option<Self> {
        let (start, zombie) = stat(pid)?;
        (!zombie).then_some(Self { pid, start })
    }

    /// Returns whether it still lives; a zombie does not.
    pub fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|(start, zombie)| start == self.start && !zombie)
    }

    /// Sends a signal, to its whole group if `group`; a process that is gone is fine.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn signal(self, signal: Signal, group: bool) -> std::io::Result<()> {
        if stat(self.pid).is_none_or(|(start, _)| start != self.start) {
            return Ok(());
        }
        let target = if group { -self.pid } else { self.pid };
        match kill(Pid::from_raw(target), signal) {
            Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Returns the start time of a process and whether it is a zombie.
fn stat(pid: i32) -> Option<(u64, bool)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command name may hold anything, so fields are counted from its closing parenthesis.
    let rest = text.rsplit_once(')')?.1;
    let mut fields = rest.split_whitespace();
    let zombie = matches!(fields.next()?, "Z" | "X");
    Some((fields.nth(18)?.parse().ok()?, zombie))
}

/// Returns the mount points below `folder`, deepest first.
pub fn mounts_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(text) = fs::read_to_string("/proc/self/mountinfo") else {
        return Vec::new();
    };
    let points = text
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(unescape);
    let mut below: Vec<PathBuf> = points.filter(|point| point.starts_with(folder)).collect();
    below.sort();
    below.reverse();
    below
}

/// Unmounts everything below `folder`, whatever still uses it.
pub fn unmount_below(folder: &Path) {
    for point in mounts_below(folder) {
        if let Err(error) = nix::mount::umount2(&point, nix::mount::MntFlags::MNT_DETACH) {
            tracing::warn!(path = %point.display(), %error, "mount could not be removed");
        }
    }
}

/// Undoes the octal escapes of proc(5) mountinfo.
fn unescape(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = bytes
            .get(at + 1..at + 4)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let code = code.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (bytes[at], code) {
            (b'\\', Some(code)) => {
                out.push(code);
                at += 4;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    std::ffi::OsString::from_vec(out).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_with_spaces_are_read() {
        assert_eq!(unescape("/a\\040b/c\\134"), PathBuf::from("/a b/c\\"));
    }

    #[test]
    fn this_process_lives_and_a_wrong_start_does_not() {
        let me = ProcessRef::of(std::process::id() as i32).expect("this process");
        assert!(me.is_alive());
        assert!(
            !ProcessRef {
                start: me.start + 1,
                ..me
            }
            .is_alive()
        );
    }
}
