//! Every project below `examples/` is checked and built, and so is the one that `ordain new` makes.

use std::path::Path;

use ordain_lang_project::{BuildOptions, Disk, Memory, Project, build, check, new_project};

/// Checks a project and builds it for all environments.
fn holds(name: &str, project: &Project) {
    let shown = |diagnostics: Vec<ordain_lang_syntax::Diagnostic>| -> Vec<String> {
        diagnostics
            .iter()
            .map(|diagnostic| {
                let place = diagnostic.span().map(|span| project.sources.place(span));
                format!(
                    "{} {} {}",
                    diagnostic.code,
                    place.unwrap_or_default(),
                    diagnostic.message
                )
            })
            .collect()
    };
    assert_eq!(shown(check(project)), Vec::<String>::new(), "{name}");
    let built = build(project, &BuildOptions::default());
    assert_eq!(shown(built.diagnostics), Vec::<String>::new(), "{name}");
}

#[test]
fn examples_check_and_build() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it is readable").path();
        if path.join("ordain.toml").is_file() {
            holds(
                &path.display().to_string(),
                &Project::load(&Disk::new(&path)),
            );
            seen += 1;
        }
    }
    assert!(seen > 0);
}

#[test]
fn a_new_project_checks_and_builds() {
    let mut files = Memory::new();
    for (path, content) in new_project("my-shop").expect("the name is good") {
        files.insert(path, content);
    }
    holds("my-shop", &Project::load(&files));
}
