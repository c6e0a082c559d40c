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

/// Share of the custom kinds' cases that the generic rules have to get right, in percent.
/// It only goes up; rules per kind come as data.
const CUSTOM_PERCENT_MIN: usize = 50;

fn real_objects(_readme: &Path) -> datatest_stable::Result<()> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = checkout.join("../shared/data/health");
    let Ok(groups) = fs::read_dir(&shared) else {
        eprintln!("left out: the folder `shared/data/health` is not beside the checkout");
        return Ok(());
    };
    let (mut right, mut total, mut built_in) = (0, 0, 0);
    let mut wrong = Vec::new();
    for group in groups {
        let group = group?;
        let native = BUILT_IN.contains(&group.file_name().to_str().unwrap_or_default());
        for kind in fs::read_dir(group.path())? {
            let kind = kind?.path();
            let Ok(text) = fs::read_to_string(kind.join("health_test.yaml")) else {
                continue;
            };
            let suite: Suite = serde_yaml::from_str(&text)?;
            for case in suite.tests {
                let Some(input) = case.input_path else {
                    continue;
                };
                let text = fs::read_to_string(kind.join(&input))?;
                let object: Value = serde_yaml::from_str(&text)?;
                let found = health::of(&object);
                let fine = found
                    .status
                    .as_str()
                    .eq_ignore_ascii_case(&case.health_status.status);
                if native {
                    built_in += 1;
                    if !fine {
                        let place = kind.join(&input);
                        wrong.push(format!("{}: {found:?}", place.display()));
                    }
                } else {
                    total += 1;
                    right += usize::from(fine);
                }
            }
        }
    }
    eprintln!(
        "real objects: {built_in} of built-in kinds, {} wrong; {right} of {total} of custom kinds",
        wrong.len()
    );
    if !wrong.is_empty() {
        return Err(wrong.join("\n").into());
    }
    if right * 100 < total * CUSTOM_PERCENT_MIN {
        return Err(format!("only {right} of {total} custom cases are right").into());
    }
    Ok(())
}

datatest_stable::harness! {
    { test = kind, root = "tests/health", pattern = r"\.yaml$" },
    { test = real_objects, root = "tests/health", pattern = r"README\.md$" },
}
