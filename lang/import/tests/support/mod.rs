//! What the suites share: importing, building what was written, comparing.

#![allow(
    clippy::print_stdout,
    dead_code,
    reason = "every suite uses its own part"
)]

use std::path::{Path, PathBuf};

use ordain_lang_import::{Imported, Input, Options, import};
use ordain_lang_project::{BuildOptions, Memory, Project, build};
use ordain_lang_syntax::{Diagnostic, Sources};
use ordain_schemas::KubeVersion;
use serde_json::Value;

/// Imports one text as one file.
pub(crate) fn one(path: &str, text: &str) -> Imported {
    one_for(path, text, KubeVersion::DEFAULT)
}

/// Imports one text as one file, for a version of Kubernetes.
pub(crate) fn one_for(path: &str, text: &str, kubernetes: KubeVersion) -> Imported {
    let options = Options {
        kubernetes,
        is_single: true,
        ..Options::default()
    };
    import(&[Input::new(path, text)], &options)
}

/// Builds what was written, independently of the proof that the import made itself.
pub(crate) fn rebuilt(
    imported: &Imported,
    kubernetes: KubeVersion,
    env: Option<&str>,
) -> Vec<Value> {
    let project = match &imported.files[..] {
        [] => return Vec::new(),
        [only] if only.path != "ordain.toml" => {
            let mut project = Project::single(&only.path, only.text.as_bytes().to_vec());
            project.manifest.kubernetes = kubernetes;
            project
        }
        files => {
            let mut memory = Memory::new();
            for file in files {
                memory.insert(file.path.clone(), file.text.clone());
            }
            Project::load(&memory)
        }
    };
    let options = BuildOptions {
        env: env.map(str::to_owned),
        ..BuildOptions::default()
    };
    let built = build(&project, &options);
    assert!(
        built.is_ok(),
        "{}",
        shown(&built.diagnostics, &project.sources)
    );
    built
        .apps
        .into_iter()
        .flat_map(|app| app.objects)
        .map(|object| object.json)
        .collect()
}

/// Diagnostics with their places, one per line.
pub(crate) fn shown(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&format!("{} {}\n", diagnostic.code, diagnostic.message));
        for label in &diagnostic.labels {
            let at = sources.line_col(label.span);
            let path = sources.path(label.span.file);
            out.push_str(&format!(
                "  {path}:{}:{} {}\n",
                at.line, at.column, label.text
            ));
        }
        for line in diagnostic.help.iter().chain(&diagnostic.notes) {
            out.push_str(&format!("  = {line}\n"));
        }
    }
    out
}

/// The written files, one after the other. They must be as `ordain fmt` has them.
pub(crate) fn written(imported: &Imported) -> String {
    let mut out = String::new();
    for file in &imported.files {
        if file.path.ends_with(".ord") {
            let formatted = ordain_lang_fmt::format(&file.text)
                .unwrap_or_else(|errors| panic!("{}: {errors:?}\n{}", file.path, file.text));
            assert_eq!(
                formatted, file.text,
                "{} is written as it is formatted",
                file.path
            );
        }
        if imported.files.len() > 1 {
            out.push_str(&format!("==> {}\n", file.path));
        }
        out.push_str(&file.text);
    }
    out
}

/// Objects in an order that does not depend on where they were written.
pub(crate) fn sorted(mut objects: Vec<Value>) -> Vec<Value> {
    objects.sort_by_key(|object| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &object["metadata"];
        (
            text(&object["apiVersion"]),
            text(&object["kind"]),
            text(&metadata["namespace"]),
            text(&metadata["name"]),
        )
    });
    objects
}

/// Whether two values are equal as JSON: numbers by value, maps without regard to order.
pub(crate) fn equal(one: &Value, two: &Value) -> bool {
    match (one, two) {
        (Value::Number(one), Value::Number(two)) => one == two || one.as_f64() == two.as_f64(),
        (Value::Array(one), Value::Array(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| equal(one, two))
        }
        (Value::Object(one), Value::Object(two)) => {
            one.len() == two.len()
                && one
                    .iter()
                    .all(|(key, value)| two.get(key).is_some_and(|other| equal(value, other)))
        }
        _ => one == two,
    }
}

/// A folder of the data that lies beside the checkout; says so when it is not there.
pub(crate) fn shared(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(folder);
    if path.is_dir() {
        return Some(path);
    }
    println!("left out: there is no {}", path.display());
    None
}

/// The files of a folder with an ending, sorted.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder is readable")
        .map(|entry| entry.expect("the entry is readable").path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    files.sort();
    files
}
