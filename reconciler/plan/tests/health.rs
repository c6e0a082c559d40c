//! Health from files: each `health/KIND.yaml` lists objects with what is to be said about them.
//! Beside them, an extra suite of real objects, when the folder that holds it is there.

#![expect(
    clippy::print_stderr,
    reason = "an extra suite says how many cases ran"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use ordain_reconciler_plan::health::{self, Status};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What the case shows.
    case: String,
    status: Status,
    #[serde(default)]
    message: String,
    object: Value,
}

fn kind(path: &Path) -> datatest_stable::Result<()> {
    let cases: Vec<Case> = serde_yaml::from_str(&fs::read_to_string(path)?)?;
    for Case {
        case,
        status,
        message,
        object,
    } in cases
    {
        let found = health::of(&object);
        if (found.status, found.message.as_str()) != (status, &message) {
            return Err(format!("{case}: wanted {status} `{message}`, found {found:?}").into());
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Suite {
    tests: Vec<SuiteCase>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SuiteCase {
    health_status: SuiteStatus,
    /// A case without one is commented out.
    #[serde(default)]
    input_path: Option<PathBuf>,
}

#[derive(Deserialize)]
struct SuiteStatus {
    status: String,
}

/// Kinds of Kubernetes itself; all of their cases have to be right.
const BUILT_IN: [&str; 2] = ["apiextensions.k8s.io", "policy"];

/// Share of the custom kinds' cases that have to be right, in percent. It only goes up.
const CUSTOM_PERCENT_MIN: usize = 95;

/// What was found in one kind's cases.
#[derive(Default)]
struct Count {
    total: usize,
    wrong: Vec<String>,
}

fn real_objects(_readme: &Path) -> datatest_stable::Result<()> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = checkout.join("../shared/data/health");
    if !shared.is_dir() {
        eprintln!("left out: the folder `shared/data/health` is not beside the checkout");
        return Ok(());
    }
    let (mut built_in, mut custom) = (Count::default(), Count::default());
    for group in folders(&shared)? {
        let name = group.file_name().unwrap_or_default().to_string_lossy();
        let native = BUILT_IN.contains(&&*name);
        for kind in folders(&group)? {
            let found = cases(&kind)?;
            let label = kind.strip_prefix(&shared)?.display();
            if !found.wrong.is_empty() {
                let (wrong, total) = (found.wrong.len(), found.total);
                eprintln!("{label}: {wrong} of {total} differ");
                for line in &found.wrong {
                    eprintln!("    {line}");
                }
            }
            let all = if native { &mut built_in } else { &mut custom };
            all.total += found.total;
            all.wrong.extend(found.wrong);
        }
    }
    let (total, right) = (custom.total, custom.total - custom.wrong.len());
    eprintln!(
        "real objects: {} of built-in kinds, {} differ; {right} of {total} of custom kinds are right",
        built_in.total,
        built_in.wrong.len()
    );
    if !built_in.wrong.is_empty() {
        return Err(built_in.wrong.join("\n").into());
    }
    if right * 100 < total * CUSTOM_PERCENT_MIN {
        return Err(format!("only {right} of {total} custom cases are right").into());
    }
    Ok(())
}

fn folders(parent: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Judges the cases of one kind.
fn cases(kind: &Path) -> datatest_stable::Result<Count> {
    let mut count = Count::default();
    let Ok(text) = fs::read_to_string(kind.join("health_test.yaml")) else {
        return Ok(count);
    };
    let suite: Suite = serde_yaml::from_str(&text)?;
    for case in suite.tests {
        let Some(input) = case.input_path else {
            continue;
        };
        let text = fs::read_to_string(kind.join(&input))?;
        let object: Value = serde_yaml::from_str(&text)?;
        let found = health::of(&object);
        let wanted = case.health_status.status.to_lowercase();
        count.total += 1;
        if found.status.as_str() != wanted {
            let (name, status) = (input.display(), found.status);
            let message = found.message;
            count.wrong.push(format!(
                "{name}: wanted {wanted}, found {status} `{message}`"
            ));
        }
    }
    Ok(count)
}

datatest_stable::harness! {
    { test = kind, root = "tests/health", pattern = r"\.yaml$" },
    { test = real_objects, root = "tests/health", pattern = r"README\.md$" },
}
