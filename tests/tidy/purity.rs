//! The absences of ARCHITECTURE.md that a search can hold: pure crates, Linux in two places, `unsafe` in one.

use super::files::lines_with;
use super::{none, sources};
use regex::Regex;

/// Crates whose functions depend on their arguments alone.
const PURE: [&str; 9] = [
    "lang/secrets/src/",
    "schemas/src/",
    "lang/syntax/src/",
    "lang/fmt/src/",
    "lang/types/src/",
    "lang/eval/src/",
    "reconciler/plan/src/",
    "reconciler/diff/src/",
    "orchestrator/api/src/",
];

/// Crates that a pure crate must not ask for.
const RUNTIMES: [&str; 6] = ["tokio", "kube", "hyper", "git2", "redb", "nix"];

/// Where Linux may be known.
const LINUX: [&str; 2] = ["orchestrator/node/", "orchestrator/net/"];

#[test]
fn pure_crates_touch_nothing_outside() {
    let calls = [
        "std::fs",
        "std::net",
        "std::env",
        "std::process",
        "std::thread::sleep",
        "SystemTime::now",
        "Instant::now",
        "Timestamp::now",
        "Zoned::now",
    ];
    let found = lines_with(&[".rs"], |path, line| {
        PURE.iter().any(|p| path.starts_with(p))
            && !comment(line)
            && calls.iter().any(|c| line.contains(c))
    });
    none(
        "a pure crate reads no file, clock, environment or network:",
        &found,
    );
}

#[test]
fn pure_crates_have_no_runtime() {
    let mut found = Vec::new();
    for source in sources(&["Cargo.toml"]) {
        if !PURE
            .iter()
            .any(|p| p.strip_suffix("src/") == source.path.strip_suffix("Cargo.toml"))
        {
            continue;
        }
        let normal = source
            .text
            .split("[dependencies]")
            .nth(1)
            .unwrap_or_default();
        let normal = normal.split("\n[").next().unwrap_or_default();
        for name in RUNTIMES {
            if normal
                .lines()
                .any(|l| l.starts_with(&format!("{name}.")) || l.starts_with(&format!("{name} ")))
            {
                found.push(format!("{} depends on {name}", source.path));
            }
        }
    }
    none("a pure crate has no runtime in its manifest:", &found);
}

#[test]
fn linux_is_known_in_two_places() {
    // `unix::` is macOS as well, and stands behind `cfg(unix)`; `nix::` alone is the Linux crate.
    let calls = Regex::new(r"std::os::linux|\bnix::|\blibc::|rtnetlink|/proc/|/sys/fs")
        .expect("a valid pattern");
    let found = lines_with(&[".rs"], |path, line| {
        let product = path.contains("/src/")
            && !path.starts_with("xtask/")
            && !path.starts_with("benches/")
            && !path.starts_with("tests/");
        product
            && !LINUX.iter().any(|p| path.starts_with(p))
            && !path.ends_with("_linux.rs")
            && !comment(line)
            && calls.is_match(line)
    });
    none(
        "only orchestrator/node and orchestrator/net know Linux (elsewhere a file `…_linux.rs` behind cfg):",
        &found,
    );
}

#[test]
fn unsafe_code_stands_where_it_is_measured_or_needed() {
    let word = ["uns", "afe"].concat();
    let forms = [
        format!("{word} {{"),
        format!("{word} fn"),
        format!("{word} impl"),
        format!("allow({word}_code"),
    ];
    let found = lines_with(&[".rs"], |path, line| {
        // The grammar for editors is no part of the product, and is bound as every such grammar is.
        !path.starts_with("orchestrator/node/src/shim")
            && path != "cli/src/memory.rs"
            && !path.starts_with("editors/tree-sitter/")
            && !comment(line)
            && forms.iter().any(|f| line.contains(f))
    });
    none(
        "`unsafe` belongs to orchestrator/node/src/shim and cli/src/memory.rs:",
        &found,
    );
}

fn comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}
