//! Writes a container as an OCI runtime config (runtime-spec 1.0.2, config.md). Pure but for two
//! facts about this process: which capabilities it may give away.

use std::path::Path;

use serde_json::{Value, json};

use crate::runtime::ContainerSpec;
use crate::runtime::user::User;

/// What a container may do unless told otherwise: containerd's and Docker's default set.
const DEFAULT_CAPABILITIES: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// All capabilities by number (linux/capability.h).
const CAPABILITIES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Kernel files that tell or change too much: containerd's and Docker's default list.
const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Kernel files that may be read only: containerd's and Docker's default list.
const READ_ONLY: &[&str] = &[
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// The number of SYS_RESOURCE, without which a process cannot be made less killable.
const SYS_RESOURCE: u32 = 24;

/// Returns the config.
pub(super) fn config(spec: &ContainerSpec, user: &User, root: &Path, group: &str) -> Value {
    let held = held_capabilities();
    let capabilities = capabilities(spec, held);
    let mut env: Vec<String> = spec
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if !spec.env.iter().any(|(name, _)| name == "HOME") {
        env.push(format!("HOME={}", user.home.as_deref().unwrap_or("/")));
    }
    if spec.tty && !spec.env.iter().any(|(name, _)| name == "TERM") {
        env.push("TERM=xterm".to_owned());
    }
    let mut process = json!({
        "terminal": spec.tty,
        "user": {"uid": user.uid, "gid": user.gid, "additionalGids": user.groups},
        "args": spec.args,
        "env": env,
        "cwd": spec.cwd,
        "capabilities": {
            "bounding": capabilities,
            "effective": capabilities,
            "permitted": capabilities,
            "inheritable": [],
            "ambient": [],
        },
        "noNewPrivileges": spec.security.no_new_privileges,
    });
    let adjust = spec.limits.oom_score_adj;
    if adjust > 0 || (adjust < 0 && held & (1 << SYS_RESOURCE) != 0) {
        process["oomScoreAdj"] = adjust.into();
    }
    let (masked, read_only) = if spec.security.privileged {
        (&[][..], &[][..])
    } else {
        (MASKED, READ_ONLY)
    };
    let mut config = json!({
        "ociVersion": "1.0.2",
        "process": process,
        "root": {"path": root, "readonly": spec.security.read_only_root},
        "mounts": mounts(spec),
        "linux": {
            "cgroupsPath": group,
            "namespaces": namespaces(spec),
            "resources": resources(spec),
            "maskedPaths": masked,
            "readonlyPaths": read_only,
        },
    });
    // The pod's uts namespace has its name already; one of our own needs it set.
    if spec.sandbox.namespaces.is_none() && !spec.sandbox.host_network {
        config["hostname"] = spec.hostname.clone().into();
    }
    config
}

fn namespaces(spec: &ContainerSpec) -> Vec<Value> {
    let mut out = vec![json!({"type": "pid"}), json!({"type": "mount"})];
    match &spec.sandbox.namespaces {
        Some(folder) => {
            for (kind, file) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts")] {
                out.push(json!({"type": kind, "path": folder.join(file)}));
            }
        }
        // In the host's network a pod has the host's name as well.
        None => out.push(json!({"type": "ipc"})),
    }
    out
}

fn resources(spec: &ContainerSpec) -> Value {
    let limits = &spec.limits;
    let mut cpu = json!({"shares": limits.cpu_shares});
    if let Some(quota) = limits.cpu_quota_us {
        cpu["quota"] = quota.into();
        cpu["period"] = 100_000.into();
    }
    let allow = spec.security.privileged;
    let mut resources = json!({
        "devices": [{"allow": allow, "access": "rwm"}],
        "cpu": cpu,
    });
    if let Some(bytes) = limits.memory_bytes {
        resources["memory"] = json!({"limit": bytes});
    }
    resources
}

fn mounts(spec: &ContainerSpec) -> Vec<Value> {
    let system = |destination: &str, kind: &str, options: &[&str]| {
        json!({
            "destination": destination, "type": kind, "source": kind, "options": options,
        })
    };
    let sys_mode = if spec.security.privileged { "rw" } else { "ro" };
    let pts = [
        "nosuid",
        "noexec",
        "newinstance",
        "ptmxmode=0666",
        "mode=0620",
        "gid=5",
    ];
    let mut out = vec![
        system("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        system(
            "/dev",
            "tmpfs",
            &["nosuid", "strictatime", "mode=755", "size=65536k"],
        ),
        system("/dev/pts", "devpts", &pts),
        system(
            "/dev/shm",
            "tmpfs",
            &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
        ),
        system("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        system("/sys", "sysfs", &["nosuid", "noexec", "nodev", sys_mode]),
    ];
    // A mount on a parent must come before one below it.
    let mut volumes: Vec<_> = spec.mounts.iter().collect();
    volumes.sort_by_key(|mount| mount.destination.matches('/').count());
    for mount in volumes {
        let mode = if mount.read_only { "ro" } else { "rw" };
        out.push(json!({
            "destination": mount.destination,
            "type": "bind",
            "source": mount.source,
            "options": ["rbind", "rprivate", mode],
        }));
    }
    out
}

fn capabilities(spec: &ContainerSpec, held: u64) -> Vec<String> {
    let security = &spec.security;
    let named = |list: &[String], name: &str| {
        list.iter().any(|wish| {
            let wish = wish.to_ascii_uppercase();
            wish == "ALL" || wish.trim_start_matches("CAP_") == name
        })
    };
    let has = |(number, name): &(usize, &&str)| {
        let name: &str = name;
        if held & (1 << number) == 0 {
            return false;
        }
        if security.privileged {
            return true;
        }
        // As upstream: `add` of a single one wins over `drop: ALL`.
        let dropped = named(&security.drop, name);
        let added = named(&security.add, name);
        added || (DEFAULT_CAPABILITIES.contains(&name) && !dropped)
    };
    let all = CAPABILITIES.iter().enumerate().filter(has);
    all.map(|(_, name)| format!("CAP_{name}")).collect()
}

/// Returns the capabilities that this process may pass on, as a bit set (proc(5), CapBnd).
fn held_capabilities() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    line.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok())
        .unwrap_or(0)
}
