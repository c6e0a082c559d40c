//! Each `cases/*.yaml` is a cluster with waiting pods; the `.txt` beside it is what the scheduler
//! decides. `INSTA_UPDATE=always` rewrites the expectations.

use std::{fmt::Write, fs, path::Path};

use k8s_openapi::api::core::v1::{Node, Pod};
use ordain_orchestrator_scheduler::{Verdict, decide};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    nodes: Vec<Node>,
    pods: Vec<Pod>,
}

/// Makes a plain value usable where the informers give an `Arc`.
struct Ref<T>(T);

impl<T> AsRef<T> for Ref<T> {
    fn as_ref(&self) -> &T {
        &self.0
    }
}

fn show(case: Case) -> String {
    let nodes: Vec<_> = case.nodes.into_iter().map(Ref).collect();
    let pods: Vec<_> = case.pods.into_iter().map(Ref).collect();
    let mut text = String::new();
    for verdict in decide(&pods, &nodes, |_| None) {
        match verdict {
            Verdict::Bind { pod, node } => writeln!(text, "{pod} -> {node}").unwrap(),
            Verdict::Unschedulable { pod, message } => writeln!(text, "{pod}: {message}").unwrap(),
        }
    }
    text
}

#[test]
fn the_scheduler_decides_as_written() {
    let update = std::env::var("INSTA_UPDATE").is_ok_and(|mode| mode == "always");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases = 0;
    let mut wrong = String::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        cases += 1;
        let case = serde_yaml::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let decided = show(case);
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
    assert!(wrong.is_empty(), "{wrong}");
    assert!(cases > 5, "only {cases} cases found");
}
