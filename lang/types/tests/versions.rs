//! Kubernetes' rules in every version: the chapters about them, with the types of each.

#[path = "support/mod.rs"]
mod support;

use ordain_schemas::KubeVersion;

#[test]
fn the_rules_hold_in_every_version() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chapters");
    let text: String = ["constraints.md", "constraints-more.md"]
        .iter()
        .map(|name| std::fs::read_to_string(folder.join(name)).expect("the chapter is there"))
        .collect();
    let mut failures = Vec::new();
    for version in KubeVersion::ALL {
        for mut section in support::sections(&text) {
            let chosen = format!("// kubernetes: {version}\n");
            section.files.push(("version.ord".to_owned(), chosen));
            if let Err(why) = support::check_section(&section) {
                failures.push(format!("{version}: {}\n{why}", section.title));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
