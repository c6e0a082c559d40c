//! The arrow list of ARCHITECTURE.md equals Cargo's own graph, in both directions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

type Graph = BTreeMap<String, BTreeSet<String>>;

/// Packages that stand outside the product: they may know anything and nothing may know them.
const OUTSIDE: [&str; 3] = ["tests", "benches", "xtask"];

#[test]
fn the_arrows_of_the_architecture_page_are_cargos() {
    let page = documented();
    let cargo = actual();
    let mut findings = Vec::new();
    for (from, to) in &cargo {
        let Some(allowed) = page.get(from) else {
            findings.push(format!("`{from}` is not in the list"));
            continue;
        };
        if allowed.contains("*") {
            continue;
        }
        findings.extend(
            to.difference(allowed)
                .map(|t| format!("{from} -> {t} is not allowed")),
        );
        findings.extend(
            allowed
                .difference(to)
                .map(|t| format!("{from} -> {t} is listed, but Cargo has no such arrow")),
        );
    }
    findings.extend(
        page.keys()
            .filter(|n| !cargo.contains_key(*n))
            .map(|n| format!("no package is called `{n}`")),
    );
    super::none(
        "ARCHITECTURE.md and Cargo disagree about who knows whom:",
        &findings,
    );
}

/// The block ```arrows of ARCHITECTURE.md.
fn documented() -> Graph {
    let text = fs::read_to_string(ordain_tests::root().join("ARCHITECTURE.md"))
        .expect("ARCHITECTURE.md is there");
    let block = text
        .split("```arrows\n")
        .nth(1)
        .expect("ARCHITECTURE.md has a block ```arrows");
    let block = block
        .split("```")
        .next()
        .expect("split gives at least one part");
    block
        .lines()
        .map(|line| {
            let (from, to) = line
                .split_once("->")
                .unwrap_or_else(|| panic!("no arrow in `{line}`"));
            (
                from.trim().to_owned(),
                to.split_whitespace().map(str::to_owned).collect(),
            )
        })
        .collect()
}

/// What Cargo says, without dev-dependencies: a test may look wherever it needs to.
fn actual() -> Graph {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--offline",
        ])
        .current_dir(ordain_tests::root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let mut graph = Graph::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = short(package["name"].as_str().expect("a name"));
        if OUTSIDE.contains(&name.as_str()) {
            continue;
        }
        let to = package["dependencies"]
            .as_array()
            .expect("dependencies")
            .iter()
            .filter(|d| d["kind"].as_str() != Some("dev") && !d["path"].is_null())
            .map(|d| short(d["name"].as_str().expect("a name")))
            .collect();
        graph.insert(name, to);
    }
    graph
}

fn short(package: &str) -> String {
    if package == "ordain" {
        "cli".to_owned()
    } else {
        package.trim_start_matches("ordain-").to_owned()
    }
}
