//! Each `steps/<controller>/*.yaml` is what a controller sees; the `.txt` beside it is what it
//! decides. `INSTA_UPDATE=always` rewrites the expectations.

use std::{fmt::Write, fs, path::Path, sync::Arc};

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet},
        batch::v1::Job,
        core::v1::{Endpoints, Pod, Service},
        discovery::v1::EndpointSlice,
    },
    jiff::Timestamp,
};
use ordain_orchestrator_controllers::{
    Action,
    steps::{self, EndpointsObserved},
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Case {
    #[serde(default)]
    now: Option<Timestamp>,
    deployment: Option<Deployment>,
    replica_set: Option<ReplicaSet>,
    job: Option<Job>,
    service: Option<Service>,
    #[serde(default)]
    replica_sets: Vec<ReplicaSet>,
    #[serde(default)]
    pods: Vec<Pod>,
    endpoints: Option<Endpoints>,
    #[serde(default)]
    slices: Vec<EndpointSlice>,
}

fn decide(case: Case) -> Vec<Action> {
    let now = case
        .now
        .unwrap_or_else(|| "2026-01-01T00:00:00Z".parse().unwrap());
    let pods: Vec<_> = case.pods.into_iter().map(Arc::new).collect();
    let sets: Vec<_> = case.replica_sets.into_iter().map(Arc::new).collect();
    let mut actions = Vec::new();
    if let Some(deployment) = case.deployment {
        actions.extend(steps::deployment(&deployment, &sets, &pods, now));
    }
    if let Some(set) = case.replica_set {
        actions.extend(steps::replica_set(&set, &pods, now));
    }
    if let Some(job) = case.job {
        actions.extend(steps::job(&job, &pods, now));
    }
    if let Some(service) = case.service {
        let slices = case.slices.into_iter().map(Arc::new).collect();
        let observed = EndpointsObserved {
            pods,
            endpoints: case.endpoints.map(Arc::new),
            slices,
        };
        actions.extend(steps::endpoints(&service, &observed));
    }
    actions
}

/// One line per action; large bodies get a line per field.
fn show(action: &Action) -> String {
    match action {
        Action::Patch {
            target,
            subresource,
            body,
        } => {
            let part = subresource
                .map(|part| format!("/{part}"))
                .unwrap_or_default();
            let mut text = format!("patch {}{part} {}\n", target.resource.kind, target.key);
            leaves("", body, &mut text);
            text
        }
        Action::Create { object, .. } if object["kind"] != "ReplicaSet" => {
            let mut text = format!("{action}\n");
            leaves("", object, &mut text);
            text
        }
        other => format!("{other}\n"),
    }
}

fn leaves(path: &str, value: &serde_json::Value, text: &mut String) {
    match value {
        serde_json::Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                leaves(&format!("{path}.{name}"), value, text);
            }
        }
        serde_json::Value::Array(items) if !items.is_empty() => {
            for (index, value) in items.iter().enumerate() {
                leaves(&format!("{path}[{index}]"), value, text);
            }
        }
        leaf => writeln!(text, "  {} = {leaf}", path.trim_start_matches('.')).unwrap(),
    }
}

#[test]
fn the_controllers_decide_as_written() {
    let update = std::env::var("INSTA_UPDATE").is_ok_and(|mode| mode == "always");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/steps");
    let mut cases = 0;
    let mut wrong = String::new();
    for controller in fs::read_dir(folder).unwrap() {
        for file in fs::read_dir(controller.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            cases += 1;
            let case = serde_yaml::from_str(&fs::read_to_string(&path).unwrap())
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let decided: String = decide(case).iter().map(show).collect();
            let expectation = path.with_extension("txt");
            if update {
                fs::write(&expectation, &decided).unwrap();
            }
            let expected = fs::read_to_string(&expectation).unwrap_or_default();
            if decided != expected {
                writeln!(
                    wrong,
                    "{}\nexpected:\n{expected}decided:\n{decided}",
                    path.display()
                )
                .unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(cases > 10, "only {cases} cases found");
}
