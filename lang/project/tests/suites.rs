//! Tests of projects: what fails and how it is shown, snapshots and their files, JUnit XML.

use ordain_lang_project::{Memory, Project, TestOptions, TestRun, test};

const MANIFEST: &str = "name = \"demo\"\n";

const SOURCE: &str = r#"
type Server {
  name: k8s.Name
  replicas: Int(1..=9) = 1
  tags: List<String> = []
}

fn settings(server: Server) -> k8s.ConfigMap = k8s.ConfigMap {
  metadata.name = server.name
  data = { REPLICAS = "{server.replicas}" }
}

app shop {
  web: Server = { name = "web", tags = ["a", "b"] }
  objects = [settings(web)]
}

env base { namespace = "shop" }
env dev extends base { cluster = "local" }
env prod extends base { cluster = "prod", shop.web { replicas = 2 } }

test "facts & <figures>" in prod {
  assert shop.web.replicas >= 3 and shop.web.name == "web"
  assert (shop.web.replicas + 1) * 2 == shop.web.tags.len(), "twice as many"
  assert shop.web.tags.map(tag => "{tag}!").contains("c!")
    or not (shop.web.name in ["web"])
}

test "what is built" in prod {
  snapshot shop.objects
  snapshot shop.web
}

test "what is refused" in dev {
  must fail "E0203" { shop.web.replicas = 10 }
  must fail "E0203" { shop.web.replicas = 9 }
}
"#;

fn files() -> Memory {
    Memory::new()
        .with("ordain.toml", MANIFEST)
        .with("envs.ord", SOURCE)
}

fn run(files: &Memory, options: &TestOptions) -> TestRun {
    test(&Project::load(files), files, options).expect("the project has no mistakes")
}

fn shown(run: &TestRun) -> String {
    let mut out = String::new();
    for one in &run.tests {
        let env = one.env.as_deref().unwrap_or("-");
        out.push_str(&format!("{} {:?} in {env}\n", one.at, one.name));
        for snapshot in &one.snapshots {
            out.push_str(&format!("  {} {:?}\n", snapshot.path, snapshot.state));
        }
        for failure in &one.failures {
            out.push_str(&format!("  {}: {}\n", failure.code, failure.message));
            for note in failure.notes.iter().flat_map(|note| note.lines()) {
                out.push_str(&format!("    {note}\n"));
            }
        }
    }
    for warning in &run.warnings {
        out.push_str(&format!("warning {}: {}\n", warning.code, warning.message));
    }
    out
}

#[test]
fn failures_show_the_values_of_their_parts() {
    let run = run(&files(), &TestOptions::default());
    assert!(!run.is_ok());
    assert_eq!(run.writes().count(), 0, "nothing is written unasked");
    insta::assert_snapshot!(shown(&run));
}

/// `must fail` reaches the rules over all objects, policies and identities.
#[test]
fn rules_over_all_objects_can_be_expected() {
    let source = r#"
fn service(name: String, to: String) -> k8s.Service = k8s.Service {
  metadata.name = name
  spec = { selector = { app = to }, ports = [{ port = 80 }] }
}

app shop {
  to = "web"
  names = ["a", "b"]
  objects = [
    k8s.Pod { metadata = { name = "web", labels = { app = "web" } }, spec.containers = [{ name = "main", image = "web:1" }] }
    ...names.map(name => service(name, to))
  ]
}

policy "no long names" {
  for s in objects.of(k8s.Service) { deny if s.metadata.name.len() > 3, "`{s.metadata.name}` is long" }
}

test "the rules are there" {
  must fail "E0601" { shop.to = "wbe" }
  must fail "E0521" { shop.names += ["long"] }
  must fail "E0511" { shop.names += ["a"] }
  must fail "E0601" { shop.names += ["c"] }
}
"#;
    let files = Memory::new()
        .with("ordain.toml", MANIFEST)
        .with("shop.ord", source);
    let run = run(&files, &TestOptions::default());
    let failures: Vec<&str> = run.tests[0]
        .failures
        .iter()
        .flat_map(|failure| &failure.labels)
        .map(|label| &*label.text)
        .collect();
    assert_eq!(failures, ["it is accepted"], "only the last one holds");
}

#[test]
fn a_run_is_junit_xml() {
    let run = run(&files(), &TestOptions::default());
    insta::assert_snapshot!(run.junit("demo"));
}

#[test]
fn snapshots_are_recorded_compared_and_cleared_away() {
    let mut files = files();
    let only = TestOptions {
        pattern: Some("WHAT is Built".into()),
        update: true,
    };
    let first = run(&files, &only);
    assert!(first.is_ok());
    assert_eq!((first.tests.len(), first.skipped), (1, 2));
    let written: Vec<(String, String)> = first
        .writes()
        .map(|(path, text)| (path.to_owned(), text.to_owned()))
        .collect();
    assert_eq!(
        written.iter().map(|(path, _)| &**path).collect::<Vec<_>>(),
        [
            "snapshots/envs/what-is-built.yaml",
            "snapshots/envs/what-is-built-2.yaml"
        ]
    );
    for (path, text) in written {
        files.insert(path, text);
    }
    let pattern = TestOptions {
        update: false,
        ..only.clone()
    };
    assert!(run(&files, &pattern).is_ok(), "recorded snapshots hold");

    files.insert("snapshots/envs/gone.yaml", "a: b\n");
    files.insert(
        "envs.ord",
        SOURCE.replace("replicas = 2 }", "replicas = 3 }"),
    );
    assert!(
        run(&files, &pattern).orphans.is_empty(),
        "not all tests ran"
    );
    let all = run(&files, &TestOptions::default());
    assert_eq!(all.orphans, ["snapshots/envs/gone.yaml"]);
    insta::assert_snapshot!(shown(&all));
    let update = run(
        &files,
        &TestOptions {
            update: true,
            ..TestOptions::default()
        },
    );
    assert_eq!(update.writes().count(), 2);
    assert_eq!(
        update.removals().collect::<Vec<_>>(),
        ["snapshots/envs/gone.yaml"]
    );
}
