//! What `check --format sarif` prints is SARIF 2.1.0: the parts that we write are held against `sarif-2.1.0.json`, which says
//! of them what the standard's own schema says, and nothing else may appear.

use serde_json::Value;
use std::fs;
use std::process::Command;

const APP: &str = r#"
fn name(part: String) -> String = "shop-{part}"
let unused = naem("web")
app shop {
  replicas: Int(1..=20) = 0
  objects = [
    k8s.ConfigMap {
      metadata.nmae = name("web")
      data = { greeting = 5 }
    }
  ]
}
env prod { cluster = "prod", shop.replicas = 300 }
"#;

fn sarif(app: &str) -> (Option<i32>, Value) {
    let temp = tempfile::tempdir().expect("a folder");
    fs::write(temp.path().join("ordain.toml"), "name = \"shop\"\n").expect("a file");
    fs::create_dir(temp.path().join("my apps")).expect("a folder");
    fs::write(temp.path().join("my apps/shöp.ord"), app).expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_ordain"))
        .args(["check", "--format", "sarif"])
        .current_dir(temp.path())
        .output()
        .expect("it starts");
    let log = serde_json::from_slice(&output.stdout).expect("stdout is JSON");
    (output.status.code(), log)
}

#[test]
fn a_log_keeps_the_standard() {
    let schema: Value = serde_json::from_str(include_str!("sarif-2.1.0.json")).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for app in [APP, "", "let a = {"] {
        let (_, log) = sarif(app);
        let errors: Vec<String> = validator
            .iter_errors(&log)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}\n{log:#}", errors.join("\n"));
    }
}

#[test]
fn a_log_names_rules_places_and_edits() {
    let (code, log) = sarif(APP);
    assert_eq!(code, Some(1));
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    let results = run["results"].as_array().expect("results");
    assert!(results.len() >= 4, "{results:#?}");
    for result in results {
        let at = result["ruleIndex"].as_u64().expect("an index") as usize;
        assert_eq!(rules[at]["id"], result["ruleId"]);
        assert!(
            rules[at]["help"]["markdown"]
                .as_str()
                .is_some_and(|help| help.contains("```ord"))
        );
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "my%20apps/sh%C3%B6p.ord");
    }
    let typo = results
        .iter()
        .find(|r| r["ruleId"] == "E0201")
        .expect("the typo");
    assert_eq!(
        typo["fixes"][0]["artifactChanges"][0]["replacements"][0]["insertedContent"]["text"],
        "name"
    );
    let range = results
        .iter()
        .find(|r| r["ruleId"] == "E0203")
        .expect("the range");
    assert!(
        range["relatedLocations"][0]["message"]["text"]
            .as_str()
            .is_some_and(|t| t.contains("Int(1..=20)"))
    );
    let prints: std::collections::BTreeSet<String> = results
        .iter()
        .map(|r| r["partialFingerprints"].to_string())
        .collect();
    assert_eq!(
        prints.len(),
        results.len(),
        "every result has a fingerprint of its own"
    );
    assert_eq!(sarif(APP).1, log, "two runs say the same");
}
