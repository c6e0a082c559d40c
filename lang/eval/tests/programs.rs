//! Whole programs: `ok/*.ord` with their objects in every environment, `err/*.ord` with their
//! diagnostics, as snapshots beside them.

mod common;

use common::{Program, environments};

fn each(folder: &str, run: impl Fn(&str, &Program) -> String) {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(folder);
    let mut names: Vec<_> = std::fs::read_dir(&root)
        .expect("the folder is part of the checkout")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "ord"))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "{} has programs", root.display());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(&root);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for path in names {
            let name = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .expect("a plain name");
            let source = std::fs::read_to_string(&path).expect("a readable program");
            let program = Program::new(&[(&format!("{name}.ord"), &source)]);
            insta::assert_snapshot!(name, run(name, &program));
        }
    });
}

#[test]
fn programs_give_their_objects() {
    each("ok", |name, program| {
        assert_eq!(program.checked(), "", "{name} passes the checker");
        assert_eq!(program.tests(), "", "{name} passes its own tests");
        let mut text = String::new();
        for env in environments(program) {
            let (objects, diagnostics) = program.build(env);
            assert_eq!(diagnostics, "", "{name} evaluates");
            text.push_str(&format!("# {}\n{objects}", env.unwrap_or("no environment")));
        }
        text
    });
}

#[test]
fn programs_give_their_diagnostics() {
    each("err", |name, program| {
        assert_eq!(
            program.checked(),
            "",
            "{name} passes the checker: its mistakes come later"
        );
        let mut text = String::new();
        for env in environments(program) {
            let (_, diagnostics) = program.build(env);
            text.push_str(&diagnostics);
        }
        assert_ne!(text, "", "{name} has a mistake");
        text
    });
}
