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
    for kind in kinds(&shared)? {
        let found = cases(&kind)?;
        let label = kind.strip_prefix(&shared)?;
        if !found.wrong.is_empty() {
            let (wrong, total) = (found.wrong.len(), found.total);
            eprintln!("{}: {wrong} of {total} differ", label.display());
            for line in &found.wrong {
                eprintln!("    {line}");
            }
        }
        let native = BUILT_IN.iter().any(|group| label.starts_with(group));
        let all = if native { &mut built_in } else { &mut custom };
        all.total += found.total;
        all.wrong.extend(found.wrong);
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

/// Every field that a status has is missing at some time: a rule has an answer then as well.
fn parts_of_real_objects(_readme: &Path) -> datatest_stable::Result<()> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = checkout.join("../shared/data/health");
    if !shared.is_dir() {
        eprintln!("left out: the folder `shared/data/health` is not beside the checkout");
        return Ok(());
    }
    let mut judged = 0;
    let mut wrong = Vec::new();
    for kind in kinds(&shared)? {
        for (input, _, object) in inputs(&kind)? {
            for (field, part) in without_each_field(&object) {
                judged += 1;
                let message = health::of(&part).message;
                if message.contains("fails at") || message.contains("cannot be made") {
                    let place = kind.join(&input);
                    wrong.push(format!("{} without {field}: {message}", place.display()));
                }
            }
        }
    }
    eprintln!("parts of real objects: {judged} judged");
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n").into()),
    }
}

/// The object without one of its fields, for each field down to the fourth level.
fn without_each_field(object: &Value) -> Vec<(String, Value)> {
    fn paths(value: &Value, path: &str, depth: usize, out: &mut Vec<String>) {
        let mut below = |name: String, value: &Value| {
            let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
            if depth < 5 {
                paths(value, &path, depth + 1, out);
            }
            out.push(path);
        };
        match value {
            Value::Object(fields) => fields.iter().for_each(|(k, v)| below(k.clone(), v)),
            // The first ones stand for all.
            Value::Array(items) => {
                let items = items.iter().take(3).enumerate();
                items.for_each(|(at, item)| below(at.to_string(), item));
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    paths(&object["status"], "/status", 0, &mut all);
    all.extend([
        "/spec".to_owned(),
        "/metadata".to_owned(),
        "/status".to_owned(),
    ]);
    let without = |path: String| {
        let mut part = object.clone();
        let (parent, name) = path.rsplit_once('/').expect("it begins with one");
        let name = name.replace("~1", "/").replace("~0", "~");
        match part.pointer_mut(parent) {
            Some(Value::Object(fields)) => {
                fields.remove(&name);
            }
            Some(Value::Array(items)) => {
                items.remove(name.parse().expect("a list has positions"));
            }
            _ => {}
        }
        (path, part)
    };
    all.into_iter().map(without).collect()
}

/// The folders of all kinds: one for each, in one for its group.
fn kinds(shared: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for group in folders(shared)? {
        found.extend(folders(&group)?);
    }
    Ok(found)
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

/// The cases of one kind: the files, what is wanted of each, and the objects in them.
fn inputs(kind: &Path) -> datatest_stable::Result<Vec<(PathBuf, String, Value)>> {
    let Ok(text) = fs::read_to_string(kind.join("health_test.yaml")) else {
        return Ok(Vec::new());
    };
    let suite: Suite = serde_yaml::from_str(&text)?;
    let mut found = Vec::new();
    for case in suite.tests {
        let Some(input) = case.input_path else {
            continue;
        };
        let text = fs::read_to_string(kind.join(&input))?;
        let object = serde_yaml::from_str(&text)?;
        found.push((input, case.health_status.status.to_lowercase(), object));
    }
    Ok(found)
}

/// Judges the cases of one kind.
fn cases(kind: &Path) -> datatest_stable::Result<Count> {
    let mut count = Count::default();
    for (input, wanted, object) in inputs(kind)? {
        let found = health::of(&object);
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
    { test = parts_of_real_objects, root = "tests/health", pattern = r"README\.md$" },
}
