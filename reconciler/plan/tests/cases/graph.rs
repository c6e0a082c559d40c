//! The order of a set, and what a walk over it hands out.

use std::{fmt::Write as _, path::Path};

use ordain_reconciler_plan::{External, Graph, ObjectKey, Walk};
use serde::Deserialize;
use serde_json::Value;

use crate::{Result, desired, expect, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[allow(dead_code, reason = "it is there for people")]
    about: String,
    objects: Vec<Value>,
    /// What happens, one after the other. Objects are named as they are shown.
    #[serde(default)]
    steps: Vec<Step>,
    /// Walk the way in which they are deleted.
    #[serde(default)]
    delete: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Step {
    Applied(String),
    Healthy(String),
    Unhealthy(String, String),
    Degraded(String, String),
    Failed(String, String),
    /// An app elsewhere became healthy.
    App(String),
}

pub(crate) fn check(path: &Path) -> Result {
    let case: Case = read(path)?;
    let objects: Vec<_> = case
        .objects
        .iter()
        .map(|object| desired(object, None))
        .collect();
    let graph = if case.delete {
        Graph::for_deletion(
            objects
                .iter()
                .map(|desired| (&desired.key, &desired.object)),
        )
    } else {
        Graph::new(&objects)
    };
    let mut text = String::from("edges:\n");
    for edge in graph.edges() {
        writeln!(
            text,
            "  {} -> {} ({}, {:?})",
            edge.from, edge.on, edge.why, edge.demand
        )?;
    }
    for external in graph.externals() {
        writeln!(text, "elsewhere: {external}")?;
    }
    for (key, problem) in graph.problems() {
        writeln!(text, "problem: {key}: {problem}")?;
    }
    text.push_str("order:\n");
    for key in graph.order() {
        writeln!(text, "  {key}")?;
    }
    let keys: Vec<ObjectKey> = objects.iter().map(|desired| desired.key.clone()).collect();
    let find = |name: &String| {
        let found = keys.iter().find(|key| key.to_string() == *name);
        found
            .cloned()
            .ok_or_else(|| format!("no object is called {name}"))
    };
    let mut walk = Walk::new(&graph);
    tell(&mut text, "begin", &mut walk)?;
    for step in &case.steps {
        let words = match step {
            Step::Applied(name) => {
                walk.applied(&find(name)?);
                format!("{name} is applied")
            }
            Step::Healthy(name) => {
                walk.healthy(&find(name)?);
                format!("{name} is healthy")
            }
            Step::Unhealthy(name, words) => {
                walk.unhealthy(&find(name)?, words);
                format!("{name} is not healthy yet")
            }
            Step::Degraded(name, words) => {
                walk.degraded(&find(name)?, words);
                format!("{name} is degraded")
            }
            Step::Failed(name, reason) => {
                walk.failed(&find(name)?, reason);
                format!("{name} fails")
            }
            Step::App(name) => {
                walk.external(&External::App(name.clone()));
                format!("app {name} is healthy")
            }
        };
        tell(&mut text, &words, &mut walk)?;
    }
    for blocked in walk.blocked() {
        writeln!(text, "blocked: {} {blocked}", blocked.key)?;
    }
    for waiting in walk.waiting() {
        writeln!(text, "waiting: {} {waiting}", waiting.key)?;
    }
    expect(path, &text)
}

fn tell(text: &mut String, words: &str, walk: &mut Walk<'_>) -> Result {
    let ready: Vec<_> = walk.take().iter().map(ToString::to_string).collect();
    let ready = if ready.is_empty() {
        "-".to_owned()
    } else {
        ready.join(", ")
    };
    writeln!(text, "{words}: {ready}")?;
    Ok(())
}
