//! `use crd` in projects: each file of `crd/ok` builds, each of `crd/err` is told what is wrong, in snapshots.
#![allow(
    clippy::print_stderr,
    reason = "the extra suite says how many cases ran"
)]

use std::path::{Path, PathBuf};

use ordain_lang_project::{BuildOptions, Memory, Project, build, check, yaml};
use ordain_lang_syntax::Diagnostic;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/crd")
        .join(name)
}

fn files_of(name: &str) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder(name)).expect("the folder is there");
    let mut files: Vec<(String, String)> = entries
        .map(|entry| {
            let path = entry.expect("readable").path();
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            (name, std::fs::read_to_string(path).expect("readable"))
        })
        .collect();
    files.sort();
    files
}

/// A project of one module and the CRDs of `crd/crds`.
fn project(main: &str) -> Project {
    let mut files = Memory::new()
        .with("ordain.toml", "name = \"crds\"\ncrds = [\"crds/*.yaml\"]\n")
        .with("main.ord", main);
    for (name, text) in files_of("crds") {
        files.insert(format!("crds/{name}"), text);
    }
    Project::load(&files)
}

fn show(project: &Project, diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for found in diagnostics {
        let kind = if found.is_error() { "" } else { "warning " };
        out.push_str(&format!("{kind}{}: {}", found.code, found.message));
        if let Some(object) = &found.object {
            out.push_str(&format!(" [{object}]"));
        }
        out.push('\n');
        for label in &found.labels {
            let place = project.sources.place(label.span);
            let text = project
                .sources
                .slice(label.span)
                .lines()
                .next()
                .unwrap_or_default();
            out.push_str(&format!("  {place} `{text}` {}\n", label.text));
        }
        for note in &found.notes {
            out.push_str(&format!("  note: {note}\n"));
        }
        if let Some(help) = &found.help {
            out.push_str(&format!("  help: {help}\n"));
        }
    }
    out
}

#[test]
fn these_build() {
    for (name, text) in files_of("ok") {
        let project = project(&text);
        let built = build(&project, &BuildOptions::default());
        assert_eq!(show(&project, &built.diagnostics), "", "{name}");
        let objects = built.apps.iter().flat_map(|app| &app.objects);
        insta::assert_snapshot!(format!("ok_{name}"), yaml(objects));
    }
}

#[test]
fn these_are_told() {
    for (name, text) in files_of("err") {
        let project = project(&text);
        let built = build(&project, &BuildOptions::default());
        assert!(built.apps.is_empty(), "{name}");
        insta::assert_snapshot!(format!("err_{name}"), show(&project, &built.diagnostics));
    }
}

#[test]
fn a_broken_file_is_told_at_its_own_lines() {
    let files = Memory::new()
        .with("ordain.toml", "name = \"a\"\ncrds = [\"none/*.yaml\", \"../up.yaml\"]\n")
        .with("deep/main.ord", "use crd \"crd.yaml\" as a\nuse crd \"../top.yaml\" as b\nlet x: a.Thing? = null\nlet y: b.Thing? = null\n")
        .with("deep/crd.yaml", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec:\n  group: a\n")
        .with("top.yaml", "a: [\n");
    let project = Project::load(&files);
    insta::assert_snapshot!(show(&project, &check(&project)));
}

#[test]
fn documentation_reaches_the_fields() {
    let project = project(
        "use crd \"crds/certificates.yaml\" as certmanager\nlet a: certmanager.Certificate? = null\n",
    );
    let mut session_files = Memory::new().with("ordain.toml", "name = \"crds\"\n").with(
        "main.ord",
        "use crd \"crds/certificates.yaml\" as certmanager\nlet a: certmanager.Certificate? = null\n",
    );
    for (name, text) in files_of("crds") {
        session_files.insert(format!("crds/{name}"), text);
    }
    assert_eq!(show(&project, &check(&project)), "");
    let program = ordain_lang_project::Session::new(session_files).program();
    let (_, spec) = program
        .types
        .records()
        .find(|(_, def)| &*def.name == "certmanager.CertificateSpec")
        .expect("it was made");
    let at = spec.field("secretName".into()).expect("it has one");
    assert_eq!(
        spec.fields[at as usize].doc.as_deref(),
        Some("Where the certificate is kept.")
    );
}

#[test]
fn a_session_sees_changes_of_a_crd() {
    let things = |most: u32| {
        let (_, crds) = files_of("crds")
            .into_iter()
            .find(|(name, _)| name == "widgets.yaml")
            .expect("it is there");
        crds.replace("maximum: 10", &format!("maximum: {most}"))
    };
    let main = "use crd \"crds/widgets.yaml\" as example\nexport example.Widget { metadata.name = \"a\", spec = { size = \"small\", replicas = 7, source.git = \"a\", parts = [{ name = \"a\" }] } }\n";
    let files = Memory::new()
        .with("ordain.toml", "name = \"a\"\n")
        .with("main.ord", main)
        .with("crds/widgets.yaml", things(10));
    let mut session = ordain_lang_project::Session::new(files);
    let mut codes = |text: String| -> Vec<&'static str> {
        session.set_text("crds/widgets.yaml", Some(text));
        let built = session.build(&BuildOptions::default());
        built.diagnostics.iter().map(|found| found.code).collect()
    };
    assert!(codes(things(10)).is_empty());
    assert_eq!(codes(things(5)), ["E0203"]);
    assert!(codes(things(8)).is_empty());
    // A rule that only the finished object is held against.
    assert_eq!(
        codes(things(8).replace("required: [image]", "required: [git]")),
        ["E0860"]
    );
    assert_eq!(codes("nothing".to_owned()), ["E0851"]);
    assert!(codes(things(10)).is_empty());
}

#[test]
fn a_single_file_uses_what_stands_beside_it() {
    let (_, widgets) = files_of("crds")
        .into_iter()
        .find(|(name, _)| name == "widgets.yaml")
        .expect("it is there");
    let text = "use crd \"widgets.yaml\" as example\nexport example.Widget { metadata.name = \"a\", spec = { size = \"small\", parts = [{ name = \"a\" }] } }\n";
    let beside = Memory::new().with("widgets.yaml", widgets);
    let project = Project::single_beside("some/where/a.ord", text, &beside);
    assert_eq!(
        show(
            &project,
            &build(&project, &BuildOptions::default()).diagnostics
        ),
        ""
    );
    let alone = Project::single("some/where/a.ord", text);
    let told = build(&alone, &BuildOptions::default()).diagnostics;
    assert_eq!(
        told.iter().map(|found| found.code).collect::<Vec<_>>(),
        ["E0851"]
    );
}

#[test]
fn tests_reach_the_rules_of_a_definition() {
    let project = project(
        r#"use crd "crds/widgets.yaml" as example

app widgets {
  least: Int = 1
  git: String? = "https://example.com"
  objects = [example.Widget {
    metadata.name = "one"
    spec = { size = "small", min = least, max = 5, parts = [{ name = "a" }], source = { git = git } }
  }]
}

env prod { cluster = "prod" }

test "rules are there" in prod {
  assert widgets.objects.of(example.Widget)[0].spec.min == 1
  must fail "E0861" { widgets.least = 6 }
  must fail "E0860" { widgets.git = null }
}
"#,
    );
    assert_eq!(show(&project, &check(&project)), "");
    let options = ordain_lang_project::TestOptions::default();
    let run = ordain_lang_project::test(&project, &Memory::new(), &options).expect("it checks");
    assert_eq!(run.tests.len(), 1);
    assert_eq!(show(&project, &run.tests[0].failures), "");
}

/// The programs of a page: whether they fail, and their files. A section without CRDs has those of the one before.
fn programs(page: &str) -> Vec<(bool, Vec<(String, String)>)> {
    let mut programs = Vec::new();
    let mut crds: Vec<(String, String)> = Vec::new();
    for section in page.split("\nThis ").skip(1) {
        let mut main =
            "use crd \"crds/things.yaml\" as example\n\nlet thing: example.Thing? = null\n"
                .to_owned();
        for block in section.split("\n```").skip(1).step_by(2) {
            let (head, text) = block.split_once('\n').expect("a block has lines");
            let name = text
                .lines()
                .next()
                .and_then(|line| line.strip_prefix("# file: "));
            match name {
                Some(name) => crds = vec![(name.to_owned(), text.to_owned())],
                None if head.starts_with("ord") => main = text.to_owned(),
                None => panic!("a block is YAML with `# file:` or a program"),
            }
        }
        let mut files = crds.clone();
        files.push(("main.ord".to_owned(), main));
        programs.push((section.starts_with("fails"), files));
    }
    programs
}

#[test]
fn pages_tell_the_truth() {
    let codes = ordain_lang_types::codes()
        .filter(|code| code[1..].starts_with("085") || code[1..].starts_with("086"));
    for code in codes {
        let page = ordain_lang_types::page(code).expect("it is listed");
        let programs = programs(page);
        assert_eq!(programs.len(), 2, "{code} shows both ways");
        for (fails, files) in programs {
            let mut memory = Memory::new().with("ordain.toml", "name = \"page\"\n");
            for (name, text) in files {
                memory.insert(name, text);
            }
            let project = Project::load(&memory);
            let built = build(&project, &BuildOptions::default());
            let told: Vec<&str> = built.diagnostics.iter().map(|found| found.code).collect();
            let wanted: &[&str] = if fails { &[code] } else { &[] };
            assert_eq!(
                told,
                wanted,
                "{code}: {}",
                show(&project, &built.diagnostics)
            );
        }
    }
}

/// An extra suite: objects of the CRDs beside the checkout, when they are there.
#[test]
fn kinds_of_known_projects_are_types() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/crds");
    let Ok(entries) = std::fs::read_dir(&shared) else {
        eprintln!("left out: there is no folder {}", shared.display());
        return;
    };
    let mut files = Memory::new().with(
        "ordain.toml",
        "name = \"known\"\ncrds = [\"crds/*.yaml\"]\n",
    );
    let mut count = 0;
    for entry in entries {
        let path = entry.expect("readable").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        files.insert(
            format!("crds/{name}"),
            std::fs::read(path).expect("readable"),
        );
        count += 1;
    }
    files.insert(
        "main.ord",
        r#"
use crd "crds/application-crd.yaml" as argo
use crd "crds/kustomize.toolkit.fluxcd.io_kustomizations.yaml" as flux

export argo.Application {
  metadata.name = "shop"
  spec = {
    project = "default"
    source = { repoURL = "https://example.com/shop.git", path = "deploy", targetRevision = "main" }
    destination = { server = "https://kubernetes.default.svc", namespace = "shop" }
    syncPolicy.automated = { prune = true, selfHeal = true }
  }
}
export flux.Kustomization {
  metadata.name = "shop"
  spec = { interval = "10m", path = "./deploy", prune = true, sourceRef = { kind = "GitRepository", name = "shop" } }
}
export { apiVersion = "argoproj.io/v1alpha1", kind = "AppProject", metadata.name = "p", spec.sourceRepos = ["*"] }
"#,
    );
    let project = Project::load(&files);
    let built = build(&project, &BuildOptions::default());
    assert_eq!(show(&project, &built.diagnostics), "");
    eprintln!(
        "{count} files, {} objects",
        built
            .apps
            .iter()
            .map(|app| app.objects.len())
            .sum::<usize>()
    );
}
