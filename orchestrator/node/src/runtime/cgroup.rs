//! Control groups, both versions and the mix: reading what a container used, finding out-of-memory
//! kills, removing what is left. libcontainer makes the groups; this file never does.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Usage;

/// Where cgroup file systems are mounted on every current distribution (systemd's convention).
const MOUNT: &str = "/sys/fs/cgroup";

/// Returns the hierarchies of this host: one folder for version 2, one per controller for version 1.
pub fn hierarchies() -> Vec<PathBuf> {
    let root = PathBuf::from(MOUNT);
    if root.join("cgroup.controllers").exists() {
        return vec![root];
    }
    let Ok(entries) = fs::read_dir(&root) else {
        return Vec::new();
    };
    // `cpu` and `cpuacct` are often links to `cpu,cpuacct`; following them is harmless.
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}

/// Returns the folders of a group in every hierarchy that has it.
pub fn folders(group: &str) -> Vec<PathBuf> {
    let group = group.trim_start_matches('/');
    let all = hierarchies()
        .into_iter()
        .map(|hierarchy| hierarchy.join(group));
    all.filter(|folder| folder.is_dir()).collect()
}

/// Returns how many processes of a group the kernel killed for lack of memory.
pub fn oom_kills(group: &str) -> u64 {
    let count = |folder: &PathBuf| {
        // Version 1 (kernel 4.13 on) and version 2 use the same key.
        let text = fs::read_to_string(folder.join("memory.oom_control"))
            .or_else(|_| fs::read_to_string(folder.join("memory.events")))
            .ok()?;
        field(&text, "oom_kill")
    };
    folders(group).iter().filter_map(count).max().unwrap_or(0)
}

/// Returns what a group uses now.
pub fn usage(group: &str) -> Option<Usage> {
    let mut usage = Usage::default();
    let mut known = false;
    for folder in folders(group) {
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
        if let Some(text) = read("cpuacct.usage") {
            usage.cpu_nanoseconds = text.trim().parse().unwrap_or(0);
            known = true;
        } else if let Some(text) = read("cpu.stat")
            && let Some(microseconds) = field(&text, "usage_usec")
        {
            usage.cpu_nanoseconds = microseconds * 1000;
            known = true;
        }
        let total = read("memory.usage_in_bytes").or_else(|| read("memory.current"));
        if let Some(total) = total.and_then(|text| text.trim().parse::<u64>().ok()) {
            let stat = read("memory.stat").unwrap_or_default();
            let idle =
                field(&stat, "total_inactive_file").or_else(|| field(&stat, "inactive_file"));
            usage.memory_bytes = total.saturating_sub(idle.unwrap_or(0));
            known = true;
        }
    }
    known.then_some(usage)
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

/// Kills everything in a group, its subgroups included. Returns how many processes were told.
pub fn kill_all(group: &str) -> usize {
    let mut told = std::collections::BTreeSet::new();
    for folder in folders(group) {
        walk(&folder, &mut |folder| {
            let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            for pid in text.lines().filter_map(|line| line.parse::<i32>().ok()) {
                if told.insert(pid) {
                    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                }
            }
        });
    }
    told.len()
}

/// Removes a group with its subgroups from every hierarchy. Blocking, up to a second: the kernel
/// keeps a group busy for a moment after its last process died.
pub fn remove(group: &str) {
    for folder in folders(group) {
        walk(&folder, &mut |folder| {
            for _ in 0..20 {
                match fs::remove_dir(folder) {
                    Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
                        std::thread::sleep(Duration::from_millis(50));
                    }
                    _ => return,
                }
            }
            tracing::warn!(path = %folder.display(), "control group could not be removed");
        });
    }
}

/// Visits a folder's subfolders, then the folder.
fn walk(folder: &Path, visit: &mut impl FnMut(&Path)) {
    if let Ok(entries) = fs::read_dir(folder) {
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                walk(&entry.path(), visit);
            }
        }
    }
    visit(folder);
}
