//! Plans from files: `scenarios/NAME.yaml` in, `NAME.txt` out. A new case is a new file.

use std::{collections::BTreeSet, path::Path};

use ordain_reconciler_plan::{
    ApiVersion, Breaker, Candidate, Desired, DryRun, Input, ObjectKey, Observed, Refusal, Rules,
    plan, prepare,
};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// What the case shows, for the reader.
    #[allow(dead_code, reason = "it is there for people")]
    about: String,
    #[serde(default)]
    objects: Vec<Case>,
    /// Live objects of the inventory that nothing declares.
    #[serde(default)]
    gone: Vec<Gone>,
    /// Approve the plan and show it once more.
    #[serde(default)]
    approve: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    desired: Value,
    #[serde(default)]
    at: Option<String>,
    /// Left out: it does not exist. `same`: as the dry run. Otherwise the object.
    #[serde(default)]
    live: Option<Value>,
    /// Left out: as desired.
    #[serde(default)]
    dry_run: Option<Value>,
    #[serde(default)]
    refused: Option<Refusal>,
    #[serde(default)]
    later: Option<String>,
    #[serde(default)]
    no_namespace: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Gone {
    object: Value,
    /// It is only in the inventory.
    #[serde(default)]
    missing: bool,
    /// How many like it, with numbers behind their names.
    #[serde(default)]
    times: Option<usize>,
}

fn desired(case: &Case) -> Desired {
    let cluster_wide = ["Namespace", "ClusterRole", "CustomResourceDefinition"];
    let kind = case.desired["kind"].as_str().unwrap_or_default();
    prepare(
        case.desired.clone(),
        case.at.clone(),
        !cluster_wide.contains(&kind),
        "shop",
        "dev/web",
    )
    .expect("a complete object")
}

fn observed(case: &Case, desired: &Desired) -> Observed {
    let after = case
        .dry_run
        .clone()
        .unwrap_or_else(|| desired.object.clone());
    let live = case
        .live
        .clone()
        .map(|live| if live == "same" { after.clone() } else { live });
    let dry_run = match (&case.refused, &case.later) {
        (Some(refusal), _) => DryRun::Refused(refusal.clone()),
        (None, Some(why)) => DryRun::Later(why.clone()),
        (None, None) if case.no_namespace => DryRun::NoNamespace,
        (None, None) => DryRun::Accepted(after),
    };
    Observed { live, dry_run }
}

fn candidates(gone: &Gone) -> Vec<Candidate> {
    let one = |suffix: &str| {
        let mut key = ObjectKey::of(&gone.object).expect("a complete object");
        key.name.push_str(suffix);
        let version = ApiVersion::parse(gone.object["apiVersion"].as_str().unwrap_or_default());
        Candidate {
            key,
            version,
            live: (!gone.missing).then(|| gone.object.clone()),
        }
    };
    match gone.times {
        None => vec![one("")],
        Some(times) => (0..times).map(|number| one(&number.to_string())).collect(),
    }
}

fn scenario(path: &Path) -> datatest_stable::Result<()> {
    let scenario: Scenario = serde_yaml::from_str(&std::fs::read_to_string(path)?)?;
    let desired: Vec<_> = scenario.objects.iter().map(desired).collect();
    let observed: Vec<_> = scenario
        .objects
        .iter()
        .zip(&desired)
        .map(|(case, desired)| observed(case, desired))
        .collect();
    let candidates: Vec<_> = scenario.gone.iter().flat_map(candidates).collect();
    let mut approved = BTreeSet::new();
    let mut text = String::new();
    for round in 0..=usize::from(scenario.approve) {
        let plan = plan(&Input {
            owner: "dev/web",
            desired: &desired,
            observed: &observed,
            candidates: &candidates,
            breaker: Breaker::default(),
            approved: &approved,
            rules: &Rules::default(),
        });
        if round == 1 {
            text.push_str("approved:\n");
        }
        text.push_str(&plan.to_string());
        approved.insert(plan.hash);
    }
    let name = path
        .file_stem()
        .and_then(|name| name.to_str())
        .ok_or("a name in UTF-8")?;
    let folder = path.parent().ok_or("a folder")?;
    expect(&folder.join(format!("{name}.txt")), &text)
}

/// Compares with the file beside the scenario; `INSTA_UPDATE=always` writes it.
fn expect(path: &Path, text: &str) -> datatest_stable::Result<()> {
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(path, text)?;
    }
    let wanted = std::fs::read_to_string(path)?;
    if wanted == text {
        Ok(())
    } else {
        Err(format!("wanted:\n{wanted}\nfound:\n{text}").into())
    }
}

datatest_stable::harness! {
    { test = scenario, root = "tests/scenarios", pattern = r"\.yaml$" },
}
