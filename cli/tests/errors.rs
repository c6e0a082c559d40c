//! `docs/errors.md` shows what Ordain says to five mistakes; this holds it to the truth, and to the bar: both places, a
//! suggestion where there is one, the object's identity, and as many findings as mistakes.

use std::path::Path;
use std::process::Command;

fn check(case: &str, more: &[&str]) -> (String, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/compile/errors");
    let output = Command::new(env!("CARGO_BIN_EXE_ordain"))
        .arg("check")
        .arg(format!("{case}.ord"))
        .args(more)
        .current_dir(folder)
        .output()
        .expect("it starts");
    assert_eq!(output.status.code(), Some(1), "{case}");
    let text = |bytes| String::from_utf8(bytes).expect("reports are text");
    (text(output.stdout), text(output.stderr))
}

#[test]
fn the_page_shows_what_is_said() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    for case in ["typo", "type", "range", "missing", "two"] {
        let (_, said) = check(case, &[]);
        let lines: Vec<&str> = said.lines().map(str::trim_end).collect();
        let block = format!(
            "\n### Ordain\n\n```text\n{}\n```\n",
            lines.join("\n").trim_start_matches('\n')
        );
        let (_, section) = page
            .split_once(&format!("\n## `{case}`\n"))
            .expect("each case has a section");
        assert!(
            section.starts_with(&block),
            "{case}: run benches/errors.sh; now it is\n{said}"
        );
    }
}

#[test]
fn every_mistake_has_both_places_and_the_object() {
    for (case, count, helps) in [
        ("typo", 1, &["did you mean `replicas`?"][..]),
        ("type", 1, &[]),
        ("range", 1, &[]),
        ("missing", 1, &[]),
        ("two", 2, &[]),
    ] {
        let (said, _) = check(case, &["--format", "json"]);
        let said: serde_json::Value = serde_json::from_str(&said).expect("it is JSON");
        let found = said["diagnostics"].as_array().expect("a list");
        assert_eq!(found.len(), count, "{case}: {said}");
        for one in found {
            assert!(
                one["labels"].as_array().is_some_and(|l| l.len() >= 2),
                "{case}: {one}"
            );
            assert_eq!(one["object"], "Deployment web", "{case}: {one}");
        }
        for help in helps {
            assert!(
                found.iter().any(|one| one["help"] == **help),
                "{case}: {said}"
            );
        }
    }
}
