//! The two programs with which the language began, as they stand: they check, build, pass their tests, and the
//! environment's change arrives where it must.

use std::path::Path;

use ordain_lang_project::{
    BuildOptions, Disk, Format, Memory, Project, TestOptions, build_text, check, test,
};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/design")
}

#[test]
fn the_programs_build_as_they_stand() {
    let project = Project::load(&Disk::new(folder()));
    let told: Vec<String> = check(&project)
        .iter()
        .map(|d| format!("{} {}", d.code, d.message))
        .collect();
    // The CRD is there to show the form; nothing of it is used.
    assert_eq!(told, ["W0101 nothing uses the import `certmanager`"]);
    let options = BuildOptions {
        env: Some("prod".into()),
        ..BuildOptions::default()
    };
    insta::assert_snapshot!(build_text(&project, &options, Format::Yaml).joined(Format::Yaml));
}

/// The test of the page: a fact, a snapshot that is taken here for the first time, and a change that must fail.
#[test]
fn their_tests_pass() {
    let disk = Disk::new(folder());
    let options = TestOptions {
        update: true,
        ..TestOptions::default()
    };
    let project = Project::load(&disk);
    let run = test(&project, &Memory::new(), &options).expect("the project has no mistakes");
    let failed: Vec<String> = run
        .tests
        .iter()
        .filter(|one| !one.failures.is_empty())
        .map(|one| format!("{}: {:?}", one.name, one.failures))
        .collect();
    assert_eq!(failed, Vec::<String>::new());
    assert_eq!(run.tests.len(), 1);
}

/// Whatever breaks the page's own rules is told, with both places.
#[test]
fn their_rules_hold() {
    let read = |path: &str| std::fs::read(folder().join(path)).expect("it is there");
    let with = |envs: &str| {
        let files = Memory::new()
            .with("ordain.toml", read("ordain.toml"))
            .with("crds/certificates.yaml", read("crds/certificates.yaml"))
            .with("apps/shop/shop.ord", read("apps/shop/shop.ord"))
            .with("envs.ord", envs);
        let project = Project::load(&files);
        let built = build_text(&project, &BuildOptions::default(), Format::Yaml);
        let errors = built.diagnostics.iter().filter(|d| d.is_error());
        errors
            .map(|d| format!("{} {} ({} places)", d.code, d.message, d.labels.len()))
            .collect::<Vec<String>>()
    };
    let env = |body: &str| {
        with(&format!(
            "env prod {{\n  cluster = \"prod\"\n  {body}\n}}\n"
        ))
    };
    assert_eq!(env("shop.config.port = 80"), Vec::<String>::new());
    assert_eq!(
        env("shop.config.replicas = 101"),
        ["E0203 `replicas`: 101 is outside 1..=100 (2 places)"]
    );
    assert_eq!(
        env("shop.config.replicas = 1"),
        ["E0504 a TLS shop needs two replicas (3 places)"]
    );
    assert_eq!(
        env("shop.config { replicas = 1, tls = false }"),
        Vec::<String>::new()
    );
    let label = "spec.template.metadata.labels[\"app.kubernetes.io/name\"]";
    assert_eq!(
        env(&format!(
            "shop.objects[k8s.Deployment \"shop\"].{label} = \"x\""
        )),
        [
            "E0703 the selector wants `app.kubernetes.io/name` to be \"shop\", the pods' label is \"x\" (3 places)"
        ]
    );
}
