//! The project of the edit benchmark: one file per app, a shared module, two environments.
//!
//! The same applications as `compile/k8s-1000`, written as people write projects: the types and functions in a module,
//! each app's own values in its file, and what production changes in `envs.ord`. Knows nothing of measuring.

use std::fmt::Write;

/// The shared module: the committed benchmark program without its app.
const PROGRAM: &str = include_str!("../compile/k8s-1000/main.ord");

/// Returns the project's files for so many applications, as paths and texts.
#[must_use]
pub fn files(apps: usize) -> Vec<(String, String)> {
    let mut files = vec![
        (
            "ordain.toml".to_owned(),
            "name = \"shops\"\nkubernetes = \"1.36\"\n".to_owned(),
        ),
        ("lib.ord".to_owned(), shared()),
        ("envs.ord".to_owned(), environments(apps)),
    ];
    files.extend((0..apps).map(|i| (path(i), app(i, ""))));
    files
}

/// Returns the path of an application's file.
#[must_use]
pub fn path(i: usize) -> String {
    format!("apps/app_{i:04}.ord")
}

/// Returns an application's file; `more` are further fields of its value.
#[must_use]
pub fn app(i: usize, more: &str) -> String {
    let mut text = format!(
        "use lib\n\napp app_{i:04} {{\n  external k8s.ServiceAccount \"app-{i:04}\"\n  \
         external k8s.ConfigMap \"app-{i:04}-config\"\n  config: lib.App = {{\n    name = \"app-{i:04}\"\n    namespace = \"shop-{}\"\n    \
         tag = \"v1.{}.0\"\n    tier = \"{}\"\n    port = {}\n",
        i % 20,
        i % 10,
        ["frontend", "backend", "data"][i % 3],
        8000 + i % 100,
    );
    if i.is_multiple_of(5) {
        text.push_str("    env { FEATURE_X = \"on\" }\n");
    }
    let _ = writeln!(text, "{more}  }}");
    text.push_str("  objects = [lib.deployment(config), lib.service(config)]\n}\n");
    text
}

/// The types and functions that only make objects of an app's value.
fn shared() -> String {
    let (types, rest) = PROGRAM
        .split_once("let tiers")
        .expect("the program has tiers");
    let (_, functions) = rest
        .split_once("fn labels")
        .expect("the program has labels");
    let (functions, _) = functions
        .split_once("app shop")
        .expect("the program has an app");
    format!("{types}fn labels{}", functions.trim_end()) + "\n"
}

fn environments(apps: usize) -> String {
    let mut text =
        "env base {\n  cluster = \"local\"\n  external k8s.ServiceAccount \"app-*\"\n  external k8s.ConfigMap \"app-*-config\"\n}\n\nenv prod extends base {\n  cluster = \"prod\"\n"
            .to_owned();
    for i in 0..apps {
        let replicas = if i.is_multiple_of(7) { 5 } else { 3 };
        let _ = writeln!(
            text,
            "  app_{i:04}.config {{ replicas = {replicas}, env {{ LOG_LEVEL = \"warn\" }}, resources.limits.cpu = 1 }}"
        );
    }
    text.push_str("}\n");
    text
}
