//! Decisions from files: `FEATURE/NAME.yaml` in, `NAME.txt` beside it out. A new case is a new file.
//!
//! `INSTA_UPDATE=always` writes what came out; read it before it is committed.

mod adoption;
mod fights;
mod graph;
mod ignore;
mod inventory;
mod normalize;
mod plan;

use std::path::Path;

use ordain_reconciler_plan::{Desired, prepare};
use serde_json::Value;

type Result = datatest_stable::Result<()>;

/// Who the objects of all cases belong to.
const OWNER: &str = "dev/web";

const CLUSTER_WIDE: [&str; 15] = [
    "Namespace",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "PersistentVolume",
    "StorageClass",
    "PriorityClass",
    "RuntimeClass",
    "IngressClass",
    "GatewayClass",
    "APIService",
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
];

fn desired(object: &Value, at: Option<String>) -> Desired {
    let kind = object["kind"].as_str().unwrap_or_default();
    let namespaced = !CLUSTER_WIDE.contains(&kind);
    prepare(object.clone(), at, namespaced, "shop", OWNER).expect("a complete object")
}

/// Compares with the file beside the case.
fn expect(case: &Path, text: &str) -> Result {
    let path = case.with_extension("txt");
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(&path, text)?;
    }
    let wanted = std::fs::read_to_string(&path)?;
    // A checkout on Windows may have other line ends.
    if wanted.replace("\r\n", "\n") == text {
        Ok(())
    } else {
        Err(format!("wanted:\n{wanted}\nfound:\n{text}").into())
    }
}

fn yaml<T: serde::Serialize>(value: &T) -> datatest_stable::Result<String> {
    Ok(serde_yaml::to_string(value)?)
}

fn read<T: serde::de::DeserializeOwned>(case: &Path) -> datatest_stable::Result<T> {
    // By way of JSON, in which a variant is an entry of a map and not a tag.
    let value: Value = serde_yaml::from_str(&std::fs::read_to_string(case)?)?;
    Ok(serde_json::from_value(value)?)
}

datatest_stable::harness! {
    { test = plan::check, root = "tests/scenarios", pattern = r"\.yaml$" },
    { test = plan::check, root = "tests/policy", pattern = r"\.yaml$" },
    { test = plan::check, root = "tests/prune", pattern = r"\.yaml$" },
    { test = plan::check, root = "tests/replace", pattern = r"\.yaml$" },
    { test = plan::check, root = "tests/claims", pattern = r"\.yaml$" },
    { test = plan::check, root = "tests/definitions", pattern = r"\.yaml$" },
    { test = plan::check, root = "tests/conflicts", pattern = r"\.yaml$" },
    { test = graph::check, root = "tests/graph", pattern = r"\.yaml$" },
    { test = ignore::check, root = "tests/ignore", pattern = r"\.yaml$" },
    { test = normalize::check, root = "tests/normalize", pattern = r"\.yaml$" },
    { test = adoption::check, root = "tests/adoption", pattern = r"\.yaml$" },
    { test = inventory::check, root = "tests/inventory", pattern = r"\.yaml$" },
    { test = fights::check, root = "tests/fights", pattern = r"\.yaml$" },
}
